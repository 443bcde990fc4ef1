/*
 * Cancel-safe queues of callback data, work items, push locks, aligned pool.
 */
#pragma once

struct _FLT_CALLBACK_DATA_QUEUE;
typedef struct _FLT_CALLBACK_DATA_QUEUE *PFLT_CALLBACK_DATA_QUEUE;
typedef NTSTATUS(NTAPI *PFLT_CALLBACK_DATA_QUEUE_INSERT_IO)(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                                            PFLT_CALLBACK_DATA Cbd,
                                                            _In_opt_ PVOID InsertContext);
typedef VOID(NTAPI *PFLT_CALLBACK_DATA_QUEUE_REMOVE_IO)(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                                        PFLT_CALLBACK_DATA Cbd);
typedef PFLT_CALLBACK_DATA(NTAPI *PFLT_CALLBACK_DATA_QUEUE_PEEK_NEXT_IO)(
    PFLT_CALLBACK_DATA_QUEUE Cbdq, _In_opt_ PFLT_CALLBACK_DATA Cbd, _In_opt_ PVOID PeekContext);
typedef VOID(NTAPI *PFLT_CALLBACK_DATA_QUEUE_ACQUIRE)(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                                      _Out_opt_ PKIRQL Irql);
typedef VOID(NTAPI *PFLT_CALLBACK_DATA_QUEUE_RELEASE)(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                                      _In_opt_ KIRQL Irql);
typedef VOID(NTAPI *PFLT_CALLBACK_DATA_QUEUE_COMPLETE_CANCELED_IO)(
    _Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq, _Inout_ PFLT_CALLBACK_DATA Cbd);

typedef IO_CSQ_IRP_CONTEXT FLT_CALLBACK_DATA_QUEUE_IO_CONTEXT, *PFLT_CALLBACK_DATA_QUEUE_IO_CONTEXT;
typedef ULONG FLT_CALLBACK_DATA_QUEUE_FLAGS;

typedef struct _FLT_CALLBACK_DATA_QUEUE {
    IO_CSQ Csq;
    FLT_CALLBACK_DATA_QUEUE_FLAGS Flags;
    PFLT_INSTANCE Instance;
    PFLT_CALLBACK_DATA_QUEUE_INSERT_IO InsertIo;
    PFLT_CALLBACK_DATA_QUEUE_REMOVE_IO RemoveIo;
    PFLT_CALLBACK_DATA_QUEUE_PEEK_NEXT_IO PeekNextIo;
    PFLT_CALLBACK_DATA_QUEUE_ACQUIRE Acquire;
    PFLT_CALLBACK_DATA_QUEUE_RELEASE Release;
    PFLT_CALLBACK_DATA_QUEUE_COMPLETE_CANCELED_IO CompleteCanceledIo;
} FLT_CALLBACK_DATA_QUEUE;

NTKERNELAPI NTSTATUS NTAPI FltCbdqInitialize(
    PFLT_INSTANCE Instance, _Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq,
    PFLT_CALLBACK_DATA_QUEUE_INSERT_IO CbdqInsertIo,
    PFLT_CALLBACK_DATA_QUEUE_REMOVE_IO CbdqRemoveIo,
    PFLT_CALLBACK_DATA_QUEUE_PEEK_NEXT_IO CbdqPeekNextIo,
    PFLT_CALLBACK_DATA_QUEUE_ACQUIRE CbdqAcquire, PFLT_CALLBACK_DATA_QUEUE_RELEASE CbdqRelease,
    PFLT_CALLBACK_DATA_QUEUE_COMPLETE_CANCELED_IO CbdqCompleteCanceledIo);
NTKERNELAPI VOID NTAPI FltCbdqEnable(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq);
NTKERNELAPI VOID NTAPI FltCbdqDisable(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq);
NTKERNELAPI NTSTATUS NTAPI FltCbdqInsertIo(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                           PFLT_CALLBACK_DATA Cbd,
                                           _In_opt_ PFLT_CALLBACK_DATA_QUEUE_IO_CONTEXT Context,
                                           _In_opt_ PVOID InsertContext);
NTKERNELAPI PFLT_CALLBACK_DATA NTAPI FltCbdqRemoveIo(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                                     PFLT_CALLBACK_DATA_QUEUE_IO_CONTEXT Context);
NTKERNELAPI PFLT_CALLBACK_DATA NTAPI FltCbdqRemoveNextIo(_Inout_ PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                                         _In_opt_ PVOID PeekContext);

/* Work items */
typedef struct _FLT_DEFERRED_IO_WORKITEM *PFLT_DEFERRED_IO_WORKITEM;
typedef VOID(NTAPI *PFLT_DEFERRED_IO_WORKITEM_ROUTINE)(PFLT_DEFERRED_IO_WORKITEM FltWorkItem,
                                                       PFLT_CALLBACK_DATA CallbackData,
                                                       _In_opt_ PVOID Context);
NTKERNELAPI PFLT_DEFERRED_IO_WORKITEM NTAPI FltAllocateDeferredIoWorkItem(VOID);
NTKERNELAPI VOID NTAPI FltFreeDeferredIoWorkItem(PFLT_DEFERRED_IO_WORKITEM FltWorkItem);
NTKERNELAPI NTSTATUS NTAPI FltQueueDeferredIoWorkItem(
    PFLT_DEFERRED_IO_WORKITEM FltWorkItem, PFLT_CALLBACK_DATA Data,
    PFLT_DEFERRED_IO_WORKITEM_ROUTINE WorkerRoutine, WORK_QUEUE_TYPE QueueType, PVOID Context);

typedef struct _FLT_GENERIC_WORKITEM *PFLT_GENERIC_WORKITEM;
typedef VOID(NTAPI *PFLT_GENERIC_WORKITEM_ROUTINE)(PFLT_GENERIC_WORKITEM FltWorkItem,
                                                   PVOID FltObject, _In_opt_ PVOID Context);
NTKERNELAPI PFLT_GENERIC_WORKITEM NTAPI FltAllocateGenericWorkItem(VOID);
NTKERNELAPI VOID NTAPI FltFreeGenericWorkItem(PFLT_GENERIC_WORKITEM FltWorkItem);
NTKERNELAPI NTSTATUS NTAPI FltQueueGenericWorkItem(PFLT_GENERIC_WORKITEM FltWorkItem,
                                                   PVOID FltObject,
                                                   PFLT_GENERIC_WORKITEM_ROUTINE WorkerRoutine,
                                                   WORK_QUEUE_TYPE QueueType,
                                                   _In_opt_ PVOID Context);

/* Locks */
#define FLT_PUSH_LOCK_ENABLE_AUTO_BOOST  0x00000001
#define FLT_PUSH_LOCK_DISABLE_AUTO_BOOST 0x00000002
#define FLT_PUSH_LOCK_VALID_FLAGS        0x00000003
NTKERNELAPI VOID NTAPI FltInitializePushLock(_Out_ PEX_PUSH_LOCK PushLock);
NTKERNELAPI VOID NTAPI FltDeletePushLock(PEX_PUSH_LOCK PushLock);
NTKERNELAPI VOID NTAPI FltAcquirePushLockExclusive(_Inout_ PEX_PUSH_LOCK PushLock);
NTKERNELAPI VOID NTAPI FltAcquirePushLockExclusiveEx(_Inout_ PEX_PUSH_LOCK PushLock, ULONG Flags);
NTKERNELAPI VOID NTAPI FltAcquirePushLockShared(_Inout_ PEX_PUSH_LOCK PushLock);
NTKERNELAPI VOID NTAPI FltAcquirePushLockSharedEx(_Inout_ PEX_PUSH_LOCK PushLock, ULONG Flags);
NTKERNELAPI VOID NTAPI FltReleasePushLock(_Inout_ PEX_PUSH_LOCK PushLock);
NTKERNELAPI VOID NTAPI FltReleasePushLockEx(_Inout_ PEX_PUSH_LOCK PushLock, ULONG Flags);
NTKERNELAPI VOID NTAPI FltAcquireResourceExclusive(_Inout_ PERESOURCE Resource);
NTKERNELAPI VOID NTAPI FltAcquireResourceShared(_Inout_ PERESOURCE Resource);
NTKERNELAPI VOID NTAPI FltReleaseResource(_Inout_ PERESOURCE Resource);
NTKERNELAPI NTSTATUS NTAPI FltCancellableWaitForSingleObject(
    PVOID Object, _In_opt_ PLARGE_INTEGER Timeout, _In_opt_ PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI NTSTATUS NTAPI FltCancellableWaitForMultipleObjects(
    ULONG Count, _In_reads_(Count) PVOID ObjectArray[], WAIT_TYPE WaitType,
    _In_opt_ PLARGE_INTEGER Timeout, _In_opt_ PKWAIT_BLOCK WaitBlockArray,
    PFLT_CALLBACK_DATA CallbackData);

/* Pool that is aligned for non-cached I/O on the instance's volume */
NTKERNELAPI PVOID NTAPI FltAllocatePoolAlignedWithTag(PFLT_INSTANCE Instance, POOL_TYPE PoolType,
                                                      SIZE_T NumberOfBytes, ULONG Tag);
NTKERNELAPI VOID NTAPI FltFreePoolAlignedWithTag(PFLT_INSTANCE Instance, PVOID Buffer, ULONG Tag);
