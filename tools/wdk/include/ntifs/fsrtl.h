/*
 * The run-time library of file systems: sizes, names, extra create parameters, change notification,
 * byte-range locks.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI FsRtlGetFileSize(PFILE_OBJECT FileObject, _Out_ PLARGE_INTEGER FileSize);
NTKERNELAPI NTSTATUS NTAPI FsRtlGetSectorSizeInformation(
    PDEVICE_OBJECT DeviceObject, _Out_ PFILE_FS_SECTOR_SIZE_INFORMATION SectorSizeInfo);
NTKERNELAPI NTSTATUS NTAPI FsRtlQueryInformationFile(
    PFILE_OBJECT FileObject,
    _Out_writes_bytes_to_(Length, *RetFileInformationSize) PVOID FileInformation, ULONG Length,
    FILE_INFORMATION_CLASS FileInformationClass, _Out_ PULONG RetFileInformationSize);
NTKERNELAPI NTSTATUS NTAPI FsRtlQueryKernelEaFile(PFILE_OBJECT FileObject,
                                                  _Out_writes_bytes_(Length) PVOID ReturnedEaData,
                                                  ULONG Length, BOOLEAN ReturnSingleEntry,
                                                  _In_opt_ PVOID EaList, ULONG EaListLength,
                                                  _In_opt_ PULONG EaIndex, BOOLEAN RestartScan,
                                                  _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FsRtlSetKernelEaFile(PFILE_OBJECT FileObject, PVOID EaBuffer,
                                                ULONG Length);
NTKERNELAPI LOGICAL NTAPI FsRtlIsPagingFile(PFILE_OBJECT FileObject);
NTKERNELAPI LOGICAL NTAPI FsRtlIsSystemPagingFile(PFILE_OBJECT FileObject);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsNtstatusExpected(NTSTATUS Exception);
NTKERNELAPI NTSTATUS NTAPI FsRtlNormalizeNtstatus(NTSTATUS Exception, NTSTATUS GenericException);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsDaxVolume(PFILE_OBJECT FileObject);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsTotalDeviceFailure(NTSTATUS Status);
NTKERNELAPI VOID NTAPI FsRtlAcquireFileExclusive(PFILE_OBJECT FileObject);
NTKERNELAPI VOID NTAPI FsRtlReleaseFile(PFILE_OBJECT FileObject);
NTKERNELAPI NTSTATUS NTAPI FsRtlCancellableWaitForSingleObject(PVOID Object,
                                                               _In_opt_ PLARGE_INTEGER Timeout,
                                                               _In_opt_ PIRP Irp);

/* Names. An expression is in upper case if the comparison ignores case; DOS_xxx are * ? . with the
 * meaning of DOS. */
#define DOS_STAR (L'<')
#define DOS_QM   (L'>')
#define DOS_DOT  (L'"')
NTKERNELAPI BOOLEAN NTAPI FsRtlIsNameInExpression(PUNICODE_STRING Expression, PUNICODE_STRING Name,
                                                  BOOLEAN IgnoreCase, _In_opt_ PWCH UpcaseTable);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsNameInUnUpcasedExpression(PUNICODE_STRING Expression,
                                                           PUNICODE_STRING Name, BOOLEAN IgnoreCase,
                                                           _In_opt_ PWCH UpcaseTable);
NTKERNELAPI BOOLEAN NTAPI FsRtlDoesNameContainWildCards(PUNICODE_STRING Name);
NTKERNELAPI BOOLEAN NTAPI FsRtlAreNamesEqual(PCUNICODE_STRING ConstantNameA,
                                             PCUNICODE_STRING ConstantNameB, BOOLEAN IgnoreCase,
                                             _In_opt_ PCWCH UpcaseTable);
NTKERNELAPI VOID NTAPI FsRtlDissectName(UNICODE_STRING Path, _Out_ PUNICODE_STRING FirstName,
                                        _Out_ PUNICODE_STRING RemainingName);

/* Extra create parameters */
typedef VOID(NTAPI *PFSRTL_EXTRA_CREATE_PARAMETER_CLEANUP_CALLBACK)(_Inout_ PVOID EcpContext,
                                                                    LPCGUID EcpType);
typedef ULONG FSRTL_ALLOCATE_ECPLIST_FLAGS;
typedef ULONG FSRTL_ALLOCATE_ECP_FLAGS;
#define FSRTL_ALLOCATE_ECPLIST_FLAG_CHARGE_QUOTA 0x00000001
#define FSRTL_ALLOCATE_ECP_FLAG_CHARGE_QUOTA     0x00000001
#define FSRTL_ALLOCATE_ECP_FLAG_NONPAGED_POOL    0x00000002
NTKERNELAPI NTSTATUS NTAPI FsRtlAllocateExtraCreateParameterList(FSRTL_ALLOCATE_ECPLIST_FLAGS Flags,
                                                                 _Outptr_ PECP_LIST *EcpList);
NTKERNELAPI VOID NTAPI FsRtlFreeExtraCreateParameterList(PECP_LIST EcpList);
NTKERNELAPI NTSTATUS NTAPI FsRtlAllocateExtraCreateParameter(
    LPCGUID EcpType, ULONG SizeOfContext, FSRTL_ALLOCATE_ECP_FLAGS Flags,
    _In_opt_ PFSRTL_EXTRA_CREATE_PARAMETER_CLEANUP_CALLBACK CleanupCallback, ULONG PoolTag,
    _Outptr_ PVOID *EcpContext);
NTKERNELAPI VOID NTAPI FsRtlFreeExtraCreateParameter(PVOID EcpContext);
NTKERNELAPI NTSTATUS NTAPI FsRtlInsertExtraCreateParameter(_Inout_ PECP_LIST EcpList,
                                                           _Inout_ PVOID EcpContext);
NTKERNELAPI NTSTATUS NTAPI FsRtlRemoveExtraCreateParameter(_Inout_ PECP_LIST EcpList,
                                                           LPCGUID EcpType,
                                                           _Outptr_ PVOID *EcpContext,
                                                           _Out_opt_ ULONG *EcpContextSize);
NTKERNELAPI NTSTATUS NTAPI FsRtlFindExtraCreateParameter(PECP_LIST EcpList, LPCGUID EcpType,
                                                         _Outptr_opt_ PVOID *EcpContext,
                                                         _Out_opt_ ULONG *EcpContextSize);
NTKERNELAPI NTSTATUS NTAPI FsRtlGetNextExtraCreateParameter(PECP_LIST EcpList,
                                                            _In_opt_ PVOID CurrentEcpContext,
                                                            _Out_opt_ LPGUID NextEcpType,
                                                            _Outptr_opt_ PVOID *NextEcpContext,
                                                            _Out_opt_ ULONG *NextEcpContextSize);
NTKERNELAPI NTSTATUS NTAPI FsRtlGetEcpListFromIrp(PIRP Irp,
                                                  _Outptr_result_maybenull_ PECP_LIST *EcpList);
NTKERNELAPI NTSTATUS NTAPI FsRtlSetEcpListIntoIrp(_Inout_ PIRP Irp, PECP_LIST EcpList);
NTKERNELAPI VOID NTAPI FsRtlAcknowledgeEcp(PVOID EcpContext);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsEcpAcknowledged(PVOID EcpContext);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsEcpFromUserMode(PVOID EcpContext);

/* Change notification */
typedef struct _REAL_NOTIFY_SYNC *PNOTIFY_SYNC;
typedef BOOLEAN(NTAPI *PCHECK_FOR_TRAVERSE_ACCESS)(PVOID NotifyContext,
                                                   _In_opt_ PVOID TargetContext,
                                                   PSECURITY_SUBJECT_CONTEXT SubjectContext);
NTKERNELAPI VOID NTAPI FsRtlNotifyInitializeSync(_Out_ PNOTIFY_SYNC *NotifySync);
NTKERNELAPI VOID NTAPI FsRtlNotifyUninitializeSync(_Inout_ PNOTIFY_SYNC *NotifySync);
NTKERNELAPI VOID NTAPI FsRtlNotifyFullChangeDirectory(
    PNOTIFY_SYNC NotifySync, PLIST_ENTRY NotifyList, PVOID FsContext, PSTRING FullDirectoryName,
    BOOLEAN WatchTree, BOOLEAN IgnoreBuffer, ULONG CompletionFilter, _In_opt_ PIRP NotifyIrp,
    _In_opt_ PCHECK_FOR_TRAVERSE_ACCESS TraverseCallback,
    _In_opt_ PSECURITY_SUBJECT_CONTEXT SubjectContext);
NTKERNELAPI VOID NTAPI FsRtlNotifyFullReportChange(PNOTIFY_SYNC NotifySync, PLIST_ENTRY NotifyList,
                                                   PSTRING FullTargetName, USHORT TargetNameOffset,
                                                   _In_opt_ PSTRING StreamName,
                                                   _In_opt_ PSTRING NormalizedParentName,
                                                   ULONG FilterMatch, ULONG Action,
                                                   _In_opt_ PVOID TargetContext);
NTKERNELAPI VOID NTAPI FsRtlNotifyCleanup(PNOTIFY_SYNC NotifySync, PLIST_ENTRY NotifyList,
                                          PVOID FsContext);
#define FSRTL_VOLUME_DISMOUNT          0x00000001
#define FSRTL_VOLUME_DISMOUNT_FAILED   0x00000002
#define FSRTL_VOLUME_LOCK              0x00000003
#define FSRTL_VOLUME_LOCK_FAILED       0x00000004
#define FSRTL_VOLUME_UNLOCK            0x00000005
#define FSRTL_VOLUME_MOUNT             0x00000006
#define FSRTL_VOLUME_NEEDS_CHKDSK      0x00000007
#define FSRTL_VOLUME_WORM_NEAR_FULL    0x00000008
#define FSRTL_VOLUME_WEARING_OUT       0x00000009
#define FSRTL_VOLUME_FORCED_CLOSED     0x0000000A
#define FSRTL_VOLUME_INFO_MAKE_COMPAT  0x0000000B
#define FSRTL_VOLUME_PREPARING_EJECT   0x0000000C
#define FSRTL_VOLUME_CHANGE_SIZE       0x0000000D
#define FSRTL_VOLUME_BACKGROUND_FORMAT 0x0000000E
NTKERNELAPI NTSTATUS NTAPI FsRtlNotifyVolumeEvent(PFILE_OBJECT FileObject, ULONG EventCode);

/* Byte-range locks */
typedef struct _FILE_LOCK_INFO {
    LARGE_INTEGER StartingByte;
    LARGE_INTEGER Length;
    BOOLEAN ExclusiveLock;
    ULONG Key;
    PFILE_OBJECT FileObject;
    PVOID ProcessId;
    LARGE_INTEGER EndingByte;
} FILE_LOCK_INFO, *PFILE_LOCK_INFO;
typedef NTSTATUS(NTAPI *PCOMPLETE_LOCK_IRP_ROUTINE)(PVOID Context, PIRP Irp);
typedef VOID(NTAPI *PUNLOCK_ROUTINE)(PVOID Context, PFILE_LOCK_INFO FileLockInfo);
typedef struct _FILE_LOCK {
    PCOMPLETE_LOCK_IRP_ROUTINE CompleteLockIrpRoutine;
    PUNLOCK_ROUTINE UnlockRoutine;
    BOOLEAN FastIoIsQuestionable;
    BOOLEAN SpareC[3];
    PVOID LockInformation;
    FILE_LOCK_INFO LastReturnedLockInfo;
    PVOID LastReturnedLock;
    LONG volatile LockRequestsInProgress;
} FILE_LOCK, *PFILE_LOCK;
NTKERNELAPI PFILE_LOCK NTAPI
FsRtlAllocateFileLock(_In_opt_ PCOMPLETE_LOCK_IRP_ROUTINE CompleteLockIrpRoutine,
                      _In_opt_ PUNLOCK_ROUTINE UnlockRoutine);
NTKERNELAPI VOID NTAPI FsRtlFreeFileLock(PFILE_LOCK FileLock);
NTKERNELAPI VOID NTAPI FsRtlInitializeFileLock(
    _Out_ PFILE_LOCK FileLock, _In_opt_ PCOMPLETE_LOCK_IRP_ROUTINE CompleteLockIrpRoutine,
    _In_opt_ PUNLOCK_ROUTINE UnlockRoutine);
NTKERNELAPI VOID NTAPI FsRtlUninitializeFileLock(_Inout_ PFILE_LOCK FileLock);
NTKERNELAPI NTSTATUS NTAPI FsRtlProcessFileLock(PFILE_LOCK FileLock, PIRP Irp,
                                                _In_opt_ PVOID Context);
NTKERNELAPI BOOLEAN NTAPI FsRtlCheckLockForReadAccess(PFILE_LOCK FileLock, PIRP Irp);
NTKERNELAPI BOOLEAN NTAPI FsRtlCheckLockForWriteAccess(PFILE_LOCK FileLock, PIRP Irp);
NTKERNELAPI PFILE_LOCK_INFO NTAPI FsRtlGetNextFileLock(PFILE_LOCK FileLock, BOOLEAN Restart);
NTKERNELAPI NTSTATUS NTAPI FsRtlFastUnlockAll(PFILE_LOCK FileLock, PFILE_OBJECT FileObject,
                                              PEPROCESS Process, _In_opt_ PVOID Context);
