/*
 * The cache manager and the memory manager's part of file systems.
 */
#pragma once

typedef struct _CC_FILE_SIZES {
    LARGE_INTEGER AllocationSize;
    LARGE_INTEGER FileSize;
    LARGE_INTEGER ValidDataLength;
} CC_FILE_SIZES, *PCC_FILE_SIZES;

typedef BOOLEAN(NTAPI *PACQUIRE_FOR_LAZY_WRITE)(PVOID Context, BOOLEAN Wait);
typedef VOID(NTAPI *PRELEASE_FROM_LAZY_WRITE)(PVOID Context);
typedef BOOLEAN(NTAPI *PACQUIRE_FOR_READ_AHEAD)(PVOID Context, BOOLEAN Wait);
typedef VOID(NTAPI *PRELEASE_FROM_READ_AHEAD)(PVOID Context);
typedef struct _CACHE_MANAGER_CALLBACKS {
    PACQUIRE_FOR_LAZY_WRITE AcquireForLazyWrite;
    PRELEASE_FROM_LAZY_WRITE ReleaseFromLazyWrite;
    PACQUIRE_FOR_READ_AHEAD AcquireForReadAhead;
    PRELEASE_FROM_READ_AHEAD ReleaseFromReadAhead;
} CACHE_MANAGER_CALLBACKS, *PCACHE_MANAGER_CALLBACKS;

typedef struct _CACHE_UNINITIALIZE_EVENT {
    struct _CACHE_UNINITIALIZE_EVENT *Next;
    KEVENT Event;
} CACHE_UNINITIALIZE_EVENT, *PCACHE_UNINITIALIZE_EVENT;

#define CcIsFileCached(file)                                                                       \
    ((file)->SectionObjectPointer != NULL && (file)->SectionObjectPointer->SharedCacheMap != NULL)

NTKERNELAPI VOID NTAPI CcInitializeCacheMap(PFILE_OBJECT FileObject, PCC_FILE_SIZES FileSizes,
                                            BOOLEAN PinAccess, PCACHE_MANAGER_CALLBACKS Callbacks,
                                            PVOID LazyWriteContext);
NTKERNELAPI BOOLEAN NTAPI
CcUninitializeCacheMap(PFILE_OBJECT FileObject, _In_opt_ PLARGE_INTEGER TruncateSize,
                       _In_opt_ PCACHE_UNINITIALIZE_EVENT UninitializeEvent);
NTKERNELAPI VOID NTAPI CcSetFileSizes(PFILE_OBJECT FileObject, PCC_FILE_SIZES FileSizes);
NTKERNELAPI BOOLEAN NTAPI CcCopyRead(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset,
                                     ULONG Length, BOOLEAN Wait,
                                     _Out_writes_bytes_(Length) PVOID Buffer,
                                     _Out_ PIO_STATUS_BLOCK IoStatus);
NTKERNELAPI BOOLEAN NTAPI CcCopyWrite(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset,
                                      ULONG Length, BOOLEAN Wait,
                                      _In_reads_bytes_(Length) PVOID Buffer);
NTKERNELAPI BOOLEAN NTAPI CcZeroData(PFILE_OBJECT FileObject, PLARGE_INTEGER StartOffset,
                                     PLARGE_INTEGER EndOffset, BOOLEAN Wait);
NTKERNELAPI VOID NTAPI CcFlushCache(PSECTION_OBJECT_POINTERS SectionObjectPointer,
                                    _In_opt_ PLARGE_INTEGER FileOffset, ULONG Length,
                                    _Out_opt_ PIO_STATUS_BLOCK IoStatus);
NTKERNELAPI BOOLEAN NTAPI CcPurgeCacheSection(PSECTION_OBJECT_POINTERS SectionObjectPointer,
                                              _In_opt_ PLARGE_INTEGER FileOffset, ULONG Length,
                                              ULONG Flags);
NTKERNELAPI VOID NTAPI CcCoherencyFlushAndPurgeCache(PSECTION_OBJECT_POINTERS SectionObjectPointer,
                                                     _In_opt_ PLARGE_INTEGER FileOffset,
                                                     ULONG Length, _Out_ PIO_STATUS_BLOCK IoStatus,
                                                     _In_opt_ ULONG Flags);

typedef enum _MMFLUSH_TYPE { MmFlushForDelete, MmFlushForWrite } MMFLUSH_TYPE;
NTKERNELAPI BOOLEAN NTAPI MmFlushImageSection(PSECTION_OBJECT_POINTERS SectionObjectPointer,
                                              MMFLUSH_TYPE FlushType);
NTKERNELAPI BOOLEAN NTAPI MmForceSectionClosed(PSECTION_OBJECT_POINTERS SectionObjectPointer,
                                               BOOLEAN DelayClose);
NTKERNELAPI BOOLEAN NTAPI MmCanFileBeTruncated(PSECTION_OBJECT_POINTERS SectionPointer,
                                               _In_opt_ PLARGE_INTEGER NewFileSize);
NTKERNELAPI ULONG NTAPI
MmDoesFileHaveUserWritableReferences(PSECTION_OBJECT_POINTERS SectionPointer);
