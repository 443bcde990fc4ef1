/*
 * Working on callback data: marking it changed, its buffers, its requestor, completing, reissuing
 * and making operations.
 */
#pragma once

NTKERNELAPI VOID NTAPI FltSetCallbackDataDirty(_Inout_ PFLT_CALLBACK_DATA Data);
NTKERNELAPI VOID NTAPI FltClearCallbackDataDirty(_Inout_ PFLT_CALLBACK_DATA Data);
NTKERNELAPI BOOLEAN NTAPI FltIsCallbackDataDirty(PFLT_CALLBACK_DATA Data);

/* Buffers */
NTKERNELAPI NTSTATUS NTAPI FltDecodeParameters(PFLT_CALLBACK_DATA CallbackData,
                                               _Outptr_opt_ PMDL **MdlAddressPointer,
                                               _Outptr_opt_ PVOID **Buffer,
                                               _Outptr_opt_ PULONG *Length,
                                               _Out_opt_ LOCK_OPERATION *DesiredAccess);
NTKERNELAPI PMDL NTAPI FltGetSwappedBufferMdlAddress(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI VOID NTAPI FltRetainSwappedBufferMdlAddress(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI PVOID NTAPI FltGetNewSystemBufferAddress(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI NTSTATUS NTAPI FltLockUserBuffer(PFLT_CALLBACK_DATA CallbackData);

/* The requestor */
NTKERNELAPI PEPROCESS NTAPI FltGetRequestorProcess(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI ULONG NTAPI FltGetRequestorProcessId(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI HANDLE NTAPI FltGetRequestorProcessIdEx(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI NTSTATUS NTAPI FltGetRequestorSessionId(PFLT_CALLBACK_DATA CallbackData,
                                                    _Out_ PULONG SessionId);
NTKERNELAPI BOOLEAN NTAPI FltIs32bitProcess(_In_opt_ PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI PCHAR NTAPI FltGetIrpName(UCHAR IrpMajorCode);

/* Priority */
NTKERNELAPI IO_PRIORITY_HINT NTAPI FltGetIoPriorityHint(PFLT_CALLBACK_DATA Data);
NTKERNELAPI IO_PRIORITY_HINT NTAPI FltGetIoPriorityHintFromCallbackData(PFLT_CALLBACK_DATA Data);
NTKERNELAPI NTSTATUS NTAPI FltSetIoPriorityHintIntoCallbackData(PFLT_CALLBACK_DATA Data,
                                                                IO_PRIORITY_HINT PriorityHint);

/* Completion */
NTKERNELAPI BOOLEAN NTAPI FltIsOperationSynchronous(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI BOOLEAN NTAPI FltIsIoCanceled(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI BOOLEAN NTAPI FltCancelIo(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI BOOLEAN NTAPI FltDoCompletionProcessingWhenSafe(
    PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, _In_opt_ PVOID CompletionContext,
    FLT_POST_OPERATION_FLAGS Flags, PFLT_POST_OPERATION_CALLBACK SafePostCallback,
    _Out_ PFLT_POSTOP_CALLBACK_STATUS RetPostOperationStatus);
NTKERNELAPI VOID NTAPI FltCompletePendedPreOperation(PFLT_CALLBACK_DATA CallbackData,
                                                     FLT_PREOP_CALLBACK_STATUS CallbackStatus,
                                                     _In_opt_ PVOID Context);
NTKERNELAPI VOID NTAPI FltCompletePendedPostOperation(PFLT_CALLBACK_DATA CallbackData);
typedef VOID(NTAPI *PFLT_COMPLETE_CANCELED_CALLBACK)(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI NTSTATUS NTAPI FltSetCancelCompletion(PFLT_CALLBACK_DATA CallbackData,
                                                  PFLT_COMPLETE_CANCELED_CALLBACK CanceledCallback);
NTKERNELAPI NTSTATUS NTAPI FltClearCancelCompletion(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI VOID NTAPI FltCancelFileOpen(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject);
typedef VOID(NTAPI *PFLT_GET_OPERATION_STATUS_CALLBACK)(PCFLT_RELATED_OBJECTS FltObjects,
                                                        PFLT_IO_PARAMETER_BLOCK IopbSnapshot,
                                                        NTSTATUS OperationStatus,
                                                        _In_opt_ PVOID RequesterContext);
NTKERNELAPI NTSTATUS NTAPI FltRequestOperationStatusCallback(
    PFLT_CALLBACK_DATA Data, PFLT_GET_OPERATION_STATUS_CALLBACK CallbackRoutine,
    _In_opt_ PVOID RequesterContext);
NTKERNELAPI VOID NTAPI FltReissueSynchronousIo(PFLT_INSTANCE InitiatingInstance,
                                               PFLT_CALLBACK_DATA CallbackData);

/* Operations of the filter's own, sent to the instances below */
typedef ULONG FLT_ALLOCATE_CALLBACK_DATA_FLAGS;
#define FLT_ALLOCATE_CALLBACK_DATA_PREALLOCATE_ALL_MEMORY 0x00000001
typedef VOID(NTAPI *PFLT_COMPLETED_ASYNC_IO_CALLBACK)(PFLT_CALLBACK_DATA CallbackData,
                                                      PFLT_CONTEXT Context);
NTKERNELAPI NTSTATUS NTAPI FltAllocateCallbackData(PFLT_INSTANCE Instance,
                                                   _In_opt_ PFILE_OBJECT FileObject,
                                                   _Outptr_ PFLT_CALLBACK_DATA *RetNewCallbackData);
NTKERNELAPI NTSTATUS NTAPI FltAllocateCallbackDataEx(
    PFLT_INSTANCE Instance, _In_opt_ PFILE_OBJECT FileObject,
    FLT_ALLOCATE_CALLBACK_DATA_FLAGS Flags, _Outptr_ PFLT_CALLBACK_DATA *RetNewCallbackData);
NTKERNELAPI VOID NTAPI FltReuseCallbackData(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI VOID NTAPI FltFreeCallbackData(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI VOID NTAPI FltPerformSynchronousIo(PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI NTSTATUS NTAPI
FltPerformAsynchronousIo(_Inout_ PFLT_CALLBACK_DATA CallbackData,
                         PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine, PVOID CallbackContext);
