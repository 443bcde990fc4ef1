/*
 * Operations whose record is known before they go down: all but writes and names. They hold what
 * they change, are recorded, and committed or aborted when they have completed.
 */
#pragma once

#include "operation.h"

typedef struct RPL_CHANGE
{
    UINT16 Type; /* of REPL_RECORD_TYPE */
    UINT64 Offset;
    UINT64 Range;
    const VOID *Data; /* of the record, system memory */
    ULONG DataBytes;
    BOOLEAN Metadata; /* it changes no bytes: LockOffset and LockLength are not looked at */
    UINT64 LockOffset;
    UINT64 LockLength;
} RPL_CHANGE;

/* File: RplCapture was the verdict; the reference is taken over. PASSIVE_LEVEL. */
FLT_PREOP_CALLBACK_STATUS RplChangeBegin(_In_ RPL_FILE *File, _In_ const RPL_CHANGE *Change,
                                         _Out_ PVOID *CompletionContext);

/* The post-operation of those that need nothing else. */
RPL_POST_OPERATION RplPostChange;

/* Finds the file that is to be changed; NULL and *Status, *CompletionContext: what the
 * pre-operation returns. */
RPL_FILE *RplChangeFile(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                        _Out_ PVOID *CompletionContext, _Out_ FLT_PREOP_CALLBACK_STATUS *Status);

/* IRP_MJ_SET_SECURITY and IRP_MJ_SET_EA. */
RPL_PRE_OPERATION RplPreSetSecurity;
RPL_PRE_OPERATION RplPreSetEa;
