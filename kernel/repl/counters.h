/*
 * What the callbacks count, for REPL_STATUS. Interlocked; any IRQL.
 */
#pragma once

#include "repl.h"

typedef struct RPL_COUNTERS
{
    volatile LONG64 Refused;
    volatile LONG64 Blocked;
    volatile LONG64 LongestBlock; /* 100 ns */
    volatile LONG64 PagingCaptured;
    volatile LONG64 PagingSkipped;
} RPL_COUNTERS;

extern RPL_COUNTERS RplCounters;

/* An operation has waited for REPL since then (KeQueryInterruptTime). */
VOID RplCountBlock(UINT64 Since);
