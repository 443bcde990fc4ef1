/*
 * The flow table's inner parts, for flow.c and for the fast path (fast.c), which has them inline.
 */
#pragma once

#include <emmintrin.h>

#include "flow.h"

#define OIP_FLOW_ALL_WAYS ((1UL << OIP_FLOW_WAYS) - 1)

/* Multiply and fold, as wyhash (Wang Yi) does: both halves of a product of secret-masked words. */
FORCEINLINE UINT64 OipFold(_In_ UINT64 Left, _In_ UINT64 Right)
{
    return (Left * Right) ^ UnsignedMultiplyHigh(Left, Right);
}

/* Of an IPv4 key, by its two words. */
FORCEINLINE UINT64 OipFlowHashIpv4(_In_ const OIP_FLOW_TABLE *Table, _In_ UINT64 Word0,
                                   _In_ UINT64 Word4)
{
    const UINT64 *secret = Table->Secret;

    return OipFold(OipFold(Word0 ^ secret[0], Word4 ^ secret[1]) ^ secret[2], secret[1]);
}

FORCEINLINE OIP_FLOW_BUCKET *OipFlowFirst(_In_ OIP_FLOW_TABLE *Table, _In_ UINT64 Hash)
{
    return &Table->Bucket[((Hash & 0xFFFFFFFF) * Table->Buckets) >> 32];
}

FORCEINLINE OIP_FLOW_BUCKET *OipFlowSecond(_In_ OIP_FLOW_TABLE *Table, _In_ UINT64 Hash)
{
    return &Table->Bucket[((Hash >> 32) * Table->Buckets) >> 32];
}

/* Buckets are chosen by the upper bits of each half, tags are lower ones. */
FORCEINLINE UINT16 OipFlowTag(_In_ UINT64 Hash)
{
    UINT16 tag = (UINT16)(Hash ^ (Hash >> 32));

    return tag == 0 ? 1 : tag;
}

/* Ways with this tag, a bit each; of tag 0, the free ones. */
FORCEINLINE ULONG OipFlowMatch(_In_ const OIP_FLOW_BUCKET *Bucket, _In_ UINT16 Tag)
{
    __m128i tags = _mm_load_si128((const __m128i *)Bucket->Tag);
    __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((SHORT)Tag));

    /* Two bytes a way become one bit. */
    return (ULONG)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128())) &
           OIP_FLOW_ALL_WAYS;
}

FORCEINLINE BOOLEAN OipFlowEqual(_In_ const OIP_FLOW_KEY *Left, _In_ const OIP_FLOW_KEY *Right)
{
    return (((Left->Word[0] ^ Right->Word[0]) | (Left->Word[4] ^ Right->Word[4])) == 0) &&
           (OipFlowFamily(Left) == OneIpFamilyIpv4 ||
            (((Left->Word[1] ^ Right->Word[1]) | (Left->Word[2] ^ Right->Word[2]) |
              (Left->Word[3] ^ Right->Word[3])) == 0));
}

FORCEINLINE UINT32 OipFlowTimeout(_In_ const OIP_FLOW_TABLE *Table, _In_ UINT8 State)
{
    return Table->Timeout[State / OIP_FLOW_DATAGRAM][State & ~OIP_FLOW_DATAGRAM];
}

/* Over, or never was. */
FORCEINLINE BOOLEAN OipFlowOver(_In_ const OIP_FLOW_TABLE *Table,
                                _In_ const OIP_FLOW_BUCKET *Bucket, _In_ ULONG Way,
                                _In_ UINT32 Time)
{
    /* Another processor's clock may be a little ahead: that is no idle time. */
    LONG idle = (LONG)(Time - Bucket->Seen[Way]);

    return idle > 0 && (UINT32)idle > OipFlowTimeout(Table, Bucket->State[Way]);
}

/* The way of a key, OIP_FLOW_WAYS if it is not here. */
FORCEINLINE ULONG OipFlowWay(_In_ const OIP_FLOW_BUCKET *Bucket, _In_ const OIP_FLOW_KEY *Key,
                             _In_ UINT16 Tag)
{
    for (ULONG match = OipFlowMatch(Bucket, Tag); match != 0; match &= match - 1)
    {
        ULONG way;

        (VOID) BitScanForward(&way, match);
        if (OipFlowEqual(&Bucket->Key[way], Key))
        {
            return way;
        }
    }
    return OIP_FLOW_WAYS;
}

/*
 * A consistent look into one bucket for an IPv4 flow: its way, OIP_FLOW_WAYS if it is not here.
 * What it is goes to Owner, State and Seen, and the bucket's sequence number to Sequence.
 */
FORCEINLINE ULONG OipFlowLookIpv4(_In_ const OIP_FLOW_BUCKET *Bucket, _In_ UINT64 Word0,
                                  _In_ UINT64 Word4, _In_ UINT16 Tag, _Out_ UINT8 *Owner,
                                  _Out_ UINT8 *State, _Out_ UINT32 *Seen, _Out_ LONG *Sequence)
{
    for (;;)
    {
        LONG sequence = ReadAcquire(&Bucket->Sequence);
        ULONG match = OipFlowMatch(Bucket, Tag);
        ULONG way = OIP_FLOW_WAYS;

        while (match != 0)
        {
            ULONG candidate;

            (VOID) BitScanForward(&candidate, match);
            if (Bucket->Key[candidate].Word[0] == Word0 && Bucket->Key[candidate].Word[4] == Word4)
            {
                way = candidate;
                *Owner = Bucket->Owner[way];
                *State = Bucket->State[way];
                *Seen = Bucket->Seen[way];
                break;
            }
            match &= match - 1;
        }
        KeMemoryBarrierWithoutFence();
        if ((sequence & 1) == 0 && ReadAcquire(&Bucket->Sequence) == sequence)
        {
            *Sequence = sequence;
            return way;
        }
        YieldProcessor();
    }
}

/* A consistent look into one bucket, its First or Second. */
FORCEINLINE BOOLEAN OipFlowLook(_In_ OIP_FLOW_TABLE *Table, _In_ OIP_FLOW_BUCKET *Bucket,
                                _In_ ULONG Which, _In_ const OIP_FLOW_KEY *Key, _In_ UINT16 Tag,
                                _In_ UINT32 Time, _Inout_ OIP_FLOW *Flow)
{
    for (;;)
    {
        LONG sequence = ReadAcquire(&Bucket->Sequence);
        ULONG way = OipFlowWay(Bucket, Key, Tag);
        BOOLEAN over = FALSE;

        if (way != OIP_FLOW_WAYS)
        {
            Flow->Bucket = Bucket;
            Flow->Way = way;
            Flow->Owner = Bucket->Owner[way];
            Flow->State = Bucket->State[way] & (UINT8)~OIP_FLOW_DATAGRAM;
            Flow->Seen = Bucket->Seen[way];
            over = OipFlowOver(Table, Bucket, way, Time);
        }
        /* The loads above come before the one below. */
        KeMemoryBarrierWithoutFence();
        if ((sequence & 1) == 0 && ReadAcquire(&Bucket->Sequence) == sequence)
        {
            Flow->Sequences[Which] = sequence;
            Flow->Over |= over;
            return way != OIP_FLOW_WAYS && !over;
        }
        YieldProcessor();
    }
}

FORCEINLINE BOOLEAN OipFlowFindInline(_In_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key,
                                      _In_ UINT64 Hash, _In_ UINT32 Time, _Out_ OIP_FLOW *Flow)
{
    UINT16 tag = OipFlowTag(Hash);

    Flow->Over = FALSE;
    return OipFlowLook(Table, OipFlowFirst(Table, Hash), 0, Key, tag, Time, Flow) ||
           OipFlowLook(Table, OipFlowSecond(Table, Hash), 1, Key, tag, Time, Flow);
}
