/*
 * The types of FltMgr's callbacks as functions, which fltKernel.h has as pointers only.
 */
#pragma once

#include "repl.h"

typedef FLT_PREOP_CALLBACK_STATUS NTAPI RPL_PRE_OPERATION(_Inout_ PFLT_CALLBACK_DATA Data,
                                                          _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                          _Out_ PVOID *CompletionContext);

typedef FLT_POSTOP_CALLBACK_STATUS NTAPI RPL_POST_OPERATION(_Inout_ PFLT_CALLBACK_DATA Data,
                                                            _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                            _In_ PVOID CompletionContext,
                                                            _In_ FLT_POST_OPERATION_FLAGS Flags);

typedef VOID NTAPI RPL_CONTEXT_CLEANUP(_In_ PFLT_CONTEXT Context,
                                       _In_ FLT_CONTEXT_TYPE ContextType);
