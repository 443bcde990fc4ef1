/*
 * The head of a file system's control block (FileObject->FsContext), and contexts that filters hang
 * on it.
 */
#pragma once

typedef struct _FSRTL_COMMON_FCB_HEADER {
    CSHORT NodeTypeCode;
    CSHORT NodeByteSize;
    UCHAR Flags;
    UCHAR IsFastIoPossible;
    UCHAR Flags2;
    UCHAR Reserved : 4;
    UCHAR Version : 4;
    PERESOURCE Resource;
    PERESOURCE PagingIoResource;
    LARGE_INTEGER AllocationSize;
    LARGE_INTEGER FileSize;
    LARGE_INTEGER ValidDataLength;
} FSRTL_COMMON_FCB_HEADER, *PFSRTL_COMMON_FCB_HEADER;

typedef struct _FSRTL_ADVANCED_FCB_HEADER {
    CSHORT NodeTypeCode;
    CSHORT NodeByteSize;
    UCHAR Flags;
    UCHAR IsFastIoPossible;
    UCHAR Flags2;
    UCHAR Reserved : 4;
    UCHAR Version : 4;
    PERESOURCE Resource;
    PERESOURCE PagingIoResource;
    LARGE_INTEGER AllocationSize;
    LARGE_INTEGER FileSize;
    LARGE_INTEGER ValidDataLength;
    PFAST_MUTEX FastMutex;
    LIST_ENTRY FilterContexts;
    EX_PUSH_LOCK PushLock;
    PVOID *FileContextSupportPointer;
    union {
        OPLOCK Oplock;
        PVOID ReservedForRemote;
    };
    PVOID AePushLock;
} FSRTL_ADVANCED_FCB_HEADER, *PFSRTL_ADVANCED_FCB_HEADER;

typedef enum _FAST_IO_POSSIBLE {
    FastIoIsNotPossible,
    FastIoIsPossible,
    FastIoIsQuestionable
} FAST_IO_POSSIBLE;
#define FSRTL_FCB_HEADER_V0                   0x00
#define FSRTL_FCB_HEADER_V1                   0x01
#define FSRTL_FCB_HEADER_V2                   0x02
#define FSRTL_FCB_HEADER_V3                   0x03
#define FSRTL_FCB_HEADER_V4                   0x04
#define FSRTL_FLAG_FILE_MODIFIED              0x01
#define FSRTL_FLAG_FILE_LENGTH_CHANGED        0x02
#define FSRTL_FLAG_LIMIT_MODIFIED_PAGES       0x04
#define FSRTL_FLAG_ACQUIRE_MAIN_RSRC_EX       0x08
#define FSRTL_FLAG_ACQUIRE_MAIN_RSRC_SH       0x10
#define FSRTL_FLAG_USER_MAPPED_FILE           0x20
#define FSRTL_FLAG_ADVANCED_HEADER            0x40
#define FSRTL_FLAG_EOF_ADVANCE_ACTIVE         0x80
#define FSRTL_FLAG2_DO_MODIFIED_WRITE         0x01
#define FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS  0x02
#define FSRTL_FLAG2_PURGE_WHEN_MAPPED         0x04
#define FSRTL_FLAG2_IS_PAGING_FILE            0x08
#define FSRTL_FLAG2_WRITABLE_USER_MAPPED_FILE 0x10
#define FSRTL_FLAG2_BYPASSIO_STREAM_PAUSED    0x20

/* Prepares a header for filter contexts; the memory was zeroed and Flags and Flags2 may be set. */
FORCEINLINE VOID FsRtlSetupAdvancedHeader(PVOID AdvHdr, _In_opt_ PFAST_MUTEX FMutex)
{
    PFSRTL_ADVANCED_FCB_HEADER header = AdvHdr;

    header->Flags |= FSRTL_FLAG_ADVANCED_HEADER;
    header->Flags2 |= FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS;
    header->Version = FSRTL_FCB_HEADER_V2;
    InitializeListHead(&header->FilterContexts);
    if (FMutex)
        header->FastMutex = FMutex;
    ExInitializePushLock(&header->PushLock);
    header->FileContextSupportPointer = NULL;
    header->Oplock = NULL;
}

/* The same for a file system that supports contexts of files, whose list begins at *pointer. */
#define FsRtlSetupAdvancedHeaderEx(header, mutex, pointer)                                         \
    do {                                                                                           \
        FsRtlSetupAdvancedHeader(header, mutex);                                                   \
        if ((pointer) != NULL)                                                                     \
            (header)->FileContextSupportPointer = (PVOID *)(pointer);                              \
    } while (0)

#define FsRtlGetPerStreamContextPointer(file) ((PFSRTL_ADVANCED_FCB_HEADER)((file)->FsContext))
#define FsRtlSupportsPerStreamContexts(file)                                                       \
    (FsRtlGetPerStreamContextPointer(file) != NULL &&                                              \
     FlagOn(FsRtlGetPerStreamContextPointer(file)->Flags2, FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS))
#define FsRtlGetPerFileContextPointer(file)                                                        \
    (FsRtlSupportsPerFileContexts(file)                                                            \
         ? FsRtlGetPerStreamContextPointer(file)->FileContextSupportPointer                        \
         : NULL)
#define FsRtlSupportsPerFileContexts(file)                                                         \
    (FsRtlGetPerStreamContextPointer(file) != NULL &&                                              \
     FsRtlGetPerStreamContextPointer(file)->Version >= FSRTL_FCB_HEADER_V1 &&                      \
     FsRtlGetPerStreamContextPointer(file)->FileContextSupportPointer != NULL)

typedef VOID(NTAPI *PFREE_FUNCTION)(PVOID Buffer);

typedef struct _FSRTL_PER_STREAM_CONTEXT {
    LIST_ENTRY Links;
    PVOID OwnerId;
    PVOID InstanceId;
    PFREE_FUNCTION FreeCallback;
} FSRTL_PER_STREAM_CONTEXT, *PFSRTL_PER_STREAM_CONTEXT;

typedef struct _FSRTL_PER_FILE_CONTEXT {
    LIST_ENTRY Links;
    PVOID OwnerId;
    PVOID InstanceId;
    PFREE_FUNCTION FreeCallback;
} FSRTL_PER_FILE_CONTEXT, *PFSRTL_PER_FILE_CONTEXT;

typedef struct _FSRTL_PER_FILEOBJECT_CONTEXT {
    LIST_ENTRY Links;
    PVOID OwnerId;
    PVOID InstanceId;
} FSRTL_PER_FILEOBJECT_CONTEXT, *PFSRTL_PER_FILEOBJECT_CONTEXT;

NTKERNELAPI NTSTATUS NTAPI FsRtlInsertPerStreamContext(PFSRTL_ADVANCED_FCB_HEADER PerStreamContext,
                                                       PFSRTL_PER_STREAM_CONTEXT Ptr);
NTKERNELAPI PFSRTL_PER_STREAM_CONTEXT NTAPI FsRtlLookupPerStreamContextInternal(
    PFSRTL_ADVANCED_FCB_HEADER StreamContext, _In_opt_ PVOID OwnerId, _In_opt_ PVOID InstanceId);
NTKERNELAPI PFSRTL_PER_STREAM_CONTEXT NTAPI FsRtlRemovePerStreamContext(
    PFSRTL_ADVANCED_FCB_HEADER StreamContext, _In_opt_ PVOID OwnerId, _In_opt_ PVOID InstanceId);
NTKERNELAPI VOID NTAPI FsRtlTeardownPerStreamContexts(PFSRTL_ADVANCED_FCB_HEADER AdvancedHeader);
NTKERNELAPI NTSTATUS NTAPI FsRtlInsertPerFileContext(PVOID *PerFileContextPointer,
                                                     PFSRTL_PER_FILE_CONTEXT Ptr);
NTKERNELAPI PFSRTL_PER_FILE_CONTEXT NTAPI FsRtlLookupPerFileContext(PVOID *PerFileContextPointer,
                                                                    _In_opt_ PVOID OwnerId,
                                                                    _In_opt_ PVOID InstanceId);
NTKERNELAPI PFSRTL_PER_FILE_CONTEXT NTAPI FsRtlRemovePerFileContext(PVOID *PerFileContextPointer,
                                                                    _In_opt_ PVOID OwnerId,
                                                                    _In_opt_ PVOID InstanceId);
NTKERNELAPI VOID NTAPI FsRtlTeardownPerFileContexts(PVOID *PerFileContextPointer);
NTKERNELAPI NTSTATUS NTAPI FsRtlInsertPerFileObjectContext(PFILE_OBJECT FileObject,
                                                           PFSRTL_PER_FILEOBJECT_CONTEXT Ptr);
NTKERNELAPI PFSRTL_PER_FILEOBJECT_CONTEXT NTAPI FsRtlLookupPerFileObjectContext(
    PFILE_OBJECT FileObject, _In_opt_ PVOID OwnerId, _In_opt_ PVOID InstanceId);
NTKERNELAPI PFSRTL_PER_FILEOBJECT_CONTEXT NTAPI FsRtlRemovePerFileObjectContext(
    PFILE_OBJECT FileObject, _In_opt_ PVOID OwnerId, _In_opt_ PVOID InstanceId);
#define FsRtlLookupPerStreamContext(header, owner, instance)                                       \
    (((header) != NULL && FlagOn((header)->Flags2, FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS) &&        \
      !IsListEmpty(&(header)->FilterContexts))                                                     \
         ? FsRtlLookupPerStreamContextInternal(header, owner, instance)                            \
         : NULL)
