/*
 * Samples of numbers, times and bytes. See lag.h.
 */
#include "lag.h"

static RPL_LAG_SAMPLE *RplLagAt(_In_ const RPL_LAG *Lag, _In_ ULONG Index)
{
    return (RPL_LAG_SAMPLE *)&Lag->Samples[(Lag->First + Index) % RPL_LAG_SAMPLES];
}

/* Every other one goes, the oldest stays. */
static VOID RplLagThin(_Inout_ RPL_LAG *Lag)
{
    ULONG kept = 1;

    Lag->Mask = Lag->Mask * 2 + 1;
    for (ULONG i = 1; i < Lag->Count; i++)
    {
        if ((RplLagAt(Lag, i)->Sequence & Lag->Mask) == 0)
        {
            *RplLagAt(Lag, kept++) = *RplLagAt(Lag, i);
        }
    }
    Lag->Count = kept;
}

_Use_decl_annotations_ VOID RplLagAdd(RPL_LAG *Lag, UINT64 Sequence, UINT64 Time, UINT64 Bytes)
{
    RPL_LAG_SAMPLE *sample;

    while (Lag->Count == RPL_LAG_SAMPLES)
    {
        RplLagThin(Lag);
    }
    sample = RplLagAt(Lag, Lag->Count++);
    sample->Sequence = Sequence;
    sample->Time = Time;
    sample->Bytes = Bytes;
}

_Use_decl_annotations_ VOID RplLagDrop(RPL_LAG *Lag, UINT64 Sequence)
{
    /* The last sample at or below the next number is the one that answers for it. */
    while (Lag->Count > 1 && RplLagAt(Lag, 1)->Sequence <= Sequence + 1)
    {
        Lag->First = (Lag->First + 1) % RPL_LAG_SAMPLES;
        Lag->Count--;
    }
    if (Lag->Count <= 1)
    {
        Lag->Mask = 0;
    }
}

_Use_decl_annotations_ BOOLEAN RplLagOldest(const RPL_LAG *Lag, RPL_LAG_SAMPLE *Sample)
{
    if (Lag->Count == 0)
    {
        return FALSE;
    }
    *Sample = *RplLagAt(Lag, 0);
    return TRUE;
}
