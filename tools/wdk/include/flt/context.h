/*
 * Contexts. They are counted: FltAllocateContext and each Get return a reference, FltReleaseContext
 * gives it back.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI FltAllocateContext(PFLT_FILTER Filter, FLT_CONTEXT_TYPE ContextType,
                                              SIZE_T ContextSize, POOL_TYPE PoolType,
                                              _Outptr_ PFLT_CONTEXT *ReturnedContext);
NTKERNELAPI VOID NTAPI FltReferenceContext(PFLT_CONTEXT Context);
NTKERNELAPI VOID NTAPI FltReleaseContext(PFLT_CONTEXT Context);
NTKERNELAPI VOID NTAPI FltDeleteContext(PFLT_CONTEXT Context);
NTKERNELAPI NTSTATUS NTAPI FltSetVolumeContext(
    PFLT_VOLUME Volume, FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext,
    _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltGetVolumeContext(PFLT_FILTER Filter, PFLT_VOLUME Volume,
                                               _Outptr_ PFLT_CONTEXT *Context);
NTKERNELAPI NTSTATUS NTAPI FltDeleteVolumeContext(
    PFLT_FILTER Filter, PFLT_VOLUME Volume, _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltSetInstanceContext(
    PFLT_INSTANCE Instance, FLT_SET_CONTEXT_OPERATION Operation, PFLT_CONTEXT NewContext,
    _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltGetInstanceContext(PFLT_INSTANCE Instance,
                                                 _Outptr_ PFLT_CONTEXT *Context);
NTKERNELAPI NTSTATUS NTAPI FltDeleteInstanceContext(
    PFLT_INSTANCE Instance, _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltSetFileContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, FLT_SET_CONTEXT_OPERATION Operation,
    PFLT_CONTEXT NewContext, _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltGetFileContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                             _Outptr_ PFLT_CONTEXT *Context);
NTKERNELAPI NTSTATUS NTAPI
FltDeleteFileContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                     _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltSetStreamContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, FLT_SET_CONTEXT_OPERATION Operation,
    PFLT_CONTEXT NewContext, _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltGetStreamContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                               _Outptr_ PFLT_CONTEXT *Context);
NTKERNELAPI NTSTATUS NTAPI
FltDeleteStreamContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                       _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltSetStreamHandleContext(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, FLT_SET_CONTEXT_OPERATION Operation,
    PFLT_CONTEXT NewContext, _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltGetStreamHandleContext(PFLT_INSTANCE Instance,
                                                     PFILE_OBJECT FileObject,
                                                     _Outptr_ PFLT_CONTEXT *Context);
NTKERNELAPI NTSTATUS NTAPI
FltDeleteStreamHandleContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                             _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltSetTransactionContext(
    PFLT_INSTANCE Instance, PKTRANSACTION Transaction, FLT_SET_CONTEXT_OPERATION Operation,
    PFLT_CONTEXT NewContext, _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltGetTransactionContext(PFLT_INSTANCE Instance,
                                                    PKTRANSACTION Transaction,
                                                    _Outptr_ PFLT_CONTEXT *Context);
NTKERNELAPI NTSTATUS NTAPI
FltDeleteTransactionContext(PFLT_INSTANCE Instance, PKTRANSACTION Transaction,
                            _Outptr_opt_result_maybenull_ PFLT_CONTEXT *OldContext);
NTKERNELAPI NTSTATUS NTAPI FltGetSectionContext(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                _Outptr_ PFLT_CONTEXT *Context);
NTKERNELAPI VOID NTAPI FltGetContexts(PCFLT_RELATED_OBJECTS FltObjects,
                                      FLT_CONTEXT_TYPE DesiredContexts,
                                      _Out_ PFLT_RELATED_CONTEXTS Contexts);
NTKERNELAPI NTSTATUS NTAPI FltGetContextsEx(PCFLT_RELATED_OBJECTS FltObjects,
                                            FLT_CONTEXT_TYPE DesiredContexts, SIZE_T ContextsSize,
                                            _Out_writes_bytes_(ContextsSize)
                                                PFLT_RELATED_CONTEXTS_EX Contexts);
NTKERNELAPI VOID NTAPI FltReleaseContexts(_Inout_ PFLT_RELATED_CONTEXTS Contexts);
NTKERNELAPI VOID NTAPI FltReleaseContextsEx(SIZE_T ContextsSize,
                                            _Inout_ PFLT_RELATED_CONTEXTS_EX Contexts);
NTKERNELAPI BOOLEAN NTAPI FltSupportsFileContexts(PFILE_OBJECT FileObject);
NTKERNELAPI BOOLEAN NTAPI FltSupportsFileContextsEx(PFILE_OBJECT FileObject,
                                                    _In_opt_ PFLT_INSTANCE Instance);
NTKERNELAPI BOOLEAN NTAPI FltSupportsStreamContexts(PFILE_OBJECT FileObject);
NTKERNELAPI BOOLEAN NTAPI FltSupportsStreamHandleContexts(PFILE_OBJECT FileObject);
