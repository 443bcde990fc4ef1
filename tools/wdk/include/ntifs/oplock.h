/*
 * Opportunistic locks.
 */
#pragma once

#define FSCTL_REQUEST_OPLOCK_LEVEL_1                                                               \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_REQUEST_OPLOCK_LEVEL_2                                                               \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 1, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_REQUEST_BATCH_OPLOCK                                                                 \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 2, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_OPLOCK_BREAK_ACKNOWLEDGE                                                             \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 3, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_OPBATCH_ACK_CLOSE_PENDING                                                            \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 4, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_OPLOCK_BREAK_NOTIFY                                                                  \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 5, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_OPLOCK_BREAK_ACK_NO_2                                                                \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 20, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_REQUEST_FILTER_OPLOCK                                                                \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 23, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FSCTL_REQUEST_OPLOCK                                                                       \
    CTL_CODE(FILE_DEVICE_FILE_SYSTEM, 144, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* IoStatus.Information of a legacy request that is completed */
#define FILE_OPLOCK_BROKEN_TO_LEVEL_2 0x00000007
#define FILE_OPLOCK_BROKEN_TO_NONE    0x00000008
#define FILE_OPBATCH_BREAK_UNDERWAY   0x00000009

#define OPLOCK_LEVEL_CACHE_READ                         0x00000001
#define OPLOCK_LEVEL_CACHE_HANDLE                       0x00000002
#define OPLOCK_LEVEL_CACHE_WRITE                        0x00000004
#define REQUEST_OPLOCK_INPUT_FLAG_REQUEST               0x00000001
#define REQUEST_OPLOCK_INPUT_FLAG_ACK                   0x00000002
#define REQUEST_OPLOCK_INPUT_FLAG_COMPLETE_ACK_ON_CLOSE 0x00000004
#define REQUEST_OPLOCK_CURRENT_VERSION                  0x00000001
#define REQUEST_OPLOCK_OUTPUT_FLAG_ACK_REQUIRED         0x00000001
#define REQUEST_OPLOCK_OUTPUT_FLAG_MODES_PROVIDED       0x00000002
typedef struct _REQUEST_OPLOCK_INPUT_BUFFER {
    USHORT StructureVersion;
    USHORT StructureLength;
    ULONG RequestedOplockLevel;
    ULONG Flags;
} REQUEST_OPLOCK_INPUT_BUFFER, *PREQUEST_OPLOCK_INPUT_BUFFER;

typedef struct _REQUEST_OPLOCK_OUTPUT_BUFFER {
    USHORT StructureVersion;
    USHORT StructureLength;
    ULONG OriginalOplockLevel;
    ULONG NewOplockLevel;
    ULONG Flags;
    ACCESS_MASK AccessMode;
    USHORT ShareMode;
} REQUEST_OPLOCK_OUTPUT_BUFFER, *PREQUEST_OPLOCK_OUTPUT_BUFFER;

typedef PVOID OPLOCK, *POPLOCK;
#define OPLOCK_FLAG_COMPLETE_IF_OPLOCKED           0x00000001
#define OPLOCK_FLAG_OPLOCK_KEY_CHECK_ONLY          0x00000002
#define OPLOCK_FLAG_BACK_OUT_ATOMIC_OPLOCK         0x00000004
#define OPLOCK_FLAG_IGNORE_OPLOCK_KEYS             0x00000008
#define OPLOCK_FLAG_PARENT_OBJECT                  0x00000010
#define OPLOCK_FLAG_CLOSING_DELETE_ON_CLOSE        0x00000020
#define OPLOCK_FLAG_REMOVING_FILE_OR_LINK          0x00000040
#define OPLOCK_FLAG_BREAKING_FOR_SHARING_VIOLATION 0x00000080
#define OPLOCK_FSCTRL_FLAG_ALL_KEYS_MATCH          0x00000001
#define OPLOCK_KEY_FLAG_PARENT_KEY                 0x00000001
#define OPLOCK_KEY_VERSION_WIN7                    0x00000001
#define OPLOCK_KEY_FLAG_TARGET_KEY                 0x00000002
#define OPLOCK_KEY_VERSION_WIN8                    0x00000002
typedef struct _OPLOCK_KEY_ECP_CONTEXT {
    GUID OplockKey;
    ULONG Reserved;
} OPLOCK_KEY_ECP_CONTEXT, *POPLOCK_KEY_ECP_CONTEXT;

typedef struct _OPLOCK_KEY_CONTEXT {
    USHORT Version;
    USHORT Flags;
    GUID ParentOplockKey;
    GUID TargetOplockKey;
    ULONG Reserved;
} OPLOCK_KEY_CONTEXT, *POPLOCK_KEY_CONTEXT;

typedef VOID(NTAPI *POPLOCK_WAIT_COMPLETE_ROUTINE)(PVOID Context, PIRP Irp);
typedef VOID(NTAPI *POPLOCK_FS_PREPOST_IRP)(PVOID Context, PIRP Irp);
NTKERNELAPI VOID NTAPI FsRtlInitializeOplock(_Inout_ POPLOCK Oplock);
NTKERNELAPI VOID NTAPI FsRtlUninitializeOplock(_Inout_ POPLOCK Oplock);
NTKERNELAPI NTSTATUS NTAPI FsRtlOplockFsctrl(POPLOCK Oplock, PIRP Irp, ULONG OpenCount);
NTKERNELAPI NTSTATUS NTAPI FsRtlOplockFsctrlEx(POPLOCK Oplock, PIRP Irp, ULONG OpenCount,
                                               ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI
FsRtlCheckOplock(POPLOCK Oplock, PIRP Irp, _In_opt_ PVOID Context,
                 _In_opt_ POPLOCK_WAIT_COMPLETE_ROUTINE CompletionRoutine,
                 _In_opt_ POPLOCK_FS_PREPOST_IRP PostIrpRoutine);
NTKERNELAPI NTSTATUS NTAPI
FsRtlCheckOplockEx(POPLOCK Oplock, PIRP Irp, ULONG Flags, _In_opt_ PVOID Context,
                   _In_opt_ POPLOCK_WAIT_COMPLETE_ROUTINE CompletionRoutine,
                   _In_opt_ POPLOCK_FS_PREPOST_IRP PostIrpRoutine);
NTKERNELAPI BOOLEAN NTAPI FsRtlOplockIsFastIoPossible(POPLOCK Oplock);
NTKERNELAPI BOOLEAN NTAPI FsRtlCurrentBatchOplock(POPLOCK Oplock);
NTKERNELAPI BOOLEAN NTAPI FsRtlCurrentOplock(POPLOCK Oplock);
NTKERNELAPI BOOLEAN NTAPI FsRtlCurrentOplockH(POPLOCK Oplock);
NTKERNELAPI BOOLEAN NTAPI FsRtlOplockIsSharedRequest(PIRP Irp);
NTKERNELAPI BOOLEAN NTAPI FsRtlOplockKeysEqual(_In_opt_ PFILE_OBJECT Fo1,
                                               _In_opt_ PFILE_OBJECT Fo2);
