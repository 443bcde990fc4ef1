/*
 * How far behind the backups are: the time and the bytes of a number, from samples.
 *
 * A sample is kept of every number that is a multiple of Stride. When there are too many, Stride
 * doubles and every other sample goes; when all is acknowledged it is 1 again. So the answer is
 * that of a number at most Stride below. The caller locks.
 */
#pragma once

#include "repl.h"

#define RPL_LAG_SAMPLES 512

typedef struct RPL_LAG_SAMPLE
{
    UINT64 Sequence;
    UINT64 Time;
    UINT64 Bytes; /* of all records before it */
} RPL_LAG_SAMPLE;

typedef struct RPL_LAG
{
    UINT64 Mask; /* Stride - 1, a power of two */
    ULONG First; /* index of the oldest */
    ULONG Count;
    RPL_LAG_SAMPLE Samples[RPL_LAG_SAMPLES];
} RPL_LAG;

VOID RplLagAdd(_Inout_ RPL_LAG *Lag, _In_ UINT64 Sequence, _In_ UINT64 Time, _In_ UINT64 Bytes);

/* Each number that is given out, in order. */
FORCEINLINE VOID RplLagNote(_Inout_ RPL_LAG *Lag, _In_ UINT64 Sequence, _In_ UINT64 Time,
                            _In_ UINT64 Bytes)
{
    if ((Sequence & Lag->Mask) == 0 || Lag->Count == 0)
    {
        RplLagAdd(Lag, Sequence, Time, Bytes);
    }
}

/* All up to Sequence need no answer any more. */
VOID RplLagDrop(_Inout_ RPL_LAG *Lag, _In_ UINT64 Sequence);

/* The sample of the oldest number that is not dropped, or one a little older; FALSE: none. */
BOOLEAN RplLagOldest(_In_ const RPL_LAG *Lag, _Out_ RPL_LAG_SAMPLE *Sample);
