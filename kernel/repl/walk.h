/*
 * From record to record over memory that does not change.
 */
#pragma once

#include "record.h"

typedef struct RPL_WALK
{
    const UCHAR *At;
    UINT64 Left; /* bytes */
} RPL_WALK;

FORCEINLINE VOID RplWalkBegin(_Out_ RPL_WALK *Walk, _In_ const UCHAR *Memory, _In_ UINT64 Bytes)
{
    Walk->At = Memory;
    Walk->Left = Bytes;
}

/* The next record, pads passed over; NULL: the end, or what follows is none. */
const REPL_RECORD *RplWalkNext(_Inout_ RPL_WALK *Walk);

/* Copies whole records with numbers above After and up to Last, without pads, as long as there is
 * room. *Bytes 0 and success: there are none; STATUS_END_OF_FILE: the first is beyond Last.
 * STATUS_BUFFER_TOO_SMALL: not even the first fits. */
NTSTATUS RplWalkCopy(_Inout_ RPL_WALK *Walk, _In_ UINT64 After, _In_ UINT64 Last,
                     _Out_ UCHAR *Output, _In_ ULONG Room, _Out_ ULONG *Bytes);
