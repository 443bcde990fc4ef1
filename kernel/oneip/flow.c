/*
 * The flow table: see flow.h.
 */
#include "flow_inline.h"

/* Ways for each flow of capacity: 5/4, so that a table with that many is four fifths full. */
#define OIP_FLOW_BUCKETS(Capacity) ((ULONG)((Capacity) * 5ULL / (4 * OIP_FLOW_WAYS) + 1))

SIZE_T OipFlowTableBytes(_In_ ULONG Capacity)
{
    return FIELD_OFFSET(OIP_FLOW_TABLE, Bucket) +
           (SIZE_T)OIP_FLOW_BUCKETS(Capacity) * sizeof(OIP_FLOW_BUCKET);
}

VOID OipFlowTableInitialize(_Inout_ OIP_FLOW_TABLE *Table, _In_ ULONG Capacity,
                            _In_ const OIP_SIP_KEY *Secret, _In_ const OIP_FLOW_TIMEOUTS *Timeouts)
{
    static const UCHAR purpose[3] = {1, 2, 3};

    for (ULONG i = 0; i < RTL_NUMBER_OF(Table->Secret); i++)
    {
        Table->Secret[i] = OipSipHash64(Secret, &purpose[i], 1) | 1;
    }
    Table->Capacity = Capacity;
    Table->Buckets = OIP_FLOW_BUCKETS(Capacity);
    OipFlowSetTimeouts(Table, Timeouts);
}

static UINT32 OipFlowUnits(_In_ UINT32 Seconds)
{
    return (UINT32)(Seconds * 10000000ULL >> OIP_FLOW_TIME_SHIFT) + 1;
}

VOID OipFlowSetTimeouts(_Inout_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_TIMEOUTS *Timeouts)
{
    for (ULONG i = 0; i < 2; i++)
    {
        Table->Timeout[i][OipFlowOpening] = OipFlowUnits(Timeouts->Opening);
        Table->Timeout[i][OipFlowEstablished] =
            OipFlowUnits(i == 0 ? Timeouts->Tcp : Timeouts->Udp);
        Table->Timeout[i][OipFlowClosing] = OipFlowUnits(Timeouts->Closing);
        Table->Timeout[i][OipFlowReset] = OipFlowUnits(Timeouts->Closing);
    }
}

VOID OipFlowKey(_Out_ OIP_FLOW_KEY *Key, _In_ UCHAR Family, _In_ const UCHAR *Client,
                _In_ const UCHAR *Cluster, _In_ UINT8 Protocol, _In_ UINT32 Ports)
{
    RtlZeroMemory(Key, sizeof(*Key));
    if (Family == OneIpFamilyIpv4)
    {
        RtlCopyMemory(Key->Word, Client, 4);
        RtlCopyMemory((UCHAR *)Key->Word + 4, Cluster, 4);
    }
    else
    {
        RtlCopyMemory(Key->Word, Client, 16);
        RtlCopyMemory(Key->Word + 2, Cluster, 16);
    }
    Key->Word[4] = Ports | ((UINT64)Protocol << 32) | ((UINT64)Family << 40);
}

UINT64 OipFlowHash(_In_ const OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key)
{
    const UINT64 *secret = Table->Secret;
    UINT64 hash;

    if (OipFlowFamily(Key) == OneIpFamilyIpv4)
    {
        return OipFlowHashIpv4(Table, Key->Word[0], Key->Word[4]);
    }
    hash = OipFold(Key->Word[0] ^ secret[0], Key->Word[4] ^ secret[1]) ^
           OipFold(Key->Word[1] ^ secret[1], Key->Word[2] ^ secret[2]);
    hash = OipFold(hash ^ Key->Word[3], secret[0]);
    return OipFold(hash ^ secret[2], secret[1]);
}

_Success_(return) BOOLEAN OipFlowFind(_In_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key,
                                      _In_ UINT64 Hash, _In_ UINT32 Time, _Out_ OIP_FLOW *Flow)
{
    return OipFlowFindInline(Table, Key, Hash, Time, Flow);
}

UINT8 OipFlowNext(_In_ UINT8 State, _In_ UINT8 TcpFlags)
{
    if ((TcpFlags & OIP_TCP_RST) != 0)
    {
        return OipFlowReset;
    }
    if ((TcpFlags & OIP_TCP_FIN) != 0)
    {
        return OipFlowClosing;
    }
    if ((TcpFlags & OIP_TCP_SYN) != 0)
    {
        return State;
    }
    return State == OipFlowClosing ? OipFlowClosing : OipFlowEstablished;
}

static BOOLEAN OipFlowLock(_Inout_ OIP_FLOW_BUCKET *Bucket)
{
    LONG sequence = ReadNoFence(&Bucket->Sequence);

    return (sequence & 1) == 0 &&
           InterlockedCompareExchange(&Bucket->Sequence, sequence + 1, sequence) == sequence;
}

static VOID OipFlowUnlock(_Inout_ OIP_FLOW_BUCKET *Bucket)
{
    WriteRelease(&Bucket->Sequence, Bucket->Sequence + 1);
}

/* Bits that are set in a byte's lower seven: pairs, then fours, then all. */
FORCEINLINE ULONG OipFlowCount(_In_ ULONG Ways)
{
    Ways -= (Ways >> 1) & 0x55;
    Ways = (Ways & 0x33) + ((Ways >> 2) & 0x33);
    return (Ways + (Ways >> 4)) & 0x0F;
}

/* How much a flow of this state is worth keeping; the established are not given up. */
static ULONG OipFlowWorth(_In_ UINT8 State)
{
    switch (State & ~OIP_FLOW_DATAGRAM)
    {
    case OipFlowOpening:
        return 0;
    case OipFlowClosing:
    case OipFlowReset:
        return 1;
    default:
        return 2;
    }
}

/* A way that may be taken from its flow, better than the best so far. */
typedef struct OIP_FLOW_VICTIM
{
    OIP_FLOW_BUCKET *Bucket;
    ULONG Way;
    ULONG Worth;
    LONG Idle;
    BOOLEAN Over;
} OIP_FLOW_VICTIM;

/* From way Start on, which is as good as random: among those of one age not always the same goes.
 */
static VOID OipFlowSeekVictim(_In_ const OIP_FLOW_TABLE *Table, _In_ OIP_FLOW_BUCKET *Bucket,
                              _In_ ULONG Start, _In_ UINT32 Time, _Inout_ OIP_FLOW_VICTIM *Victim)
{
    for (ULONG i = 0; i < OIP_FLOW_WAYS && !Victim->Over; i++)
    {
        ULONG way = (Start + i) % OIP_FLOW_WAYS;
        ULONG worth = OipFlowWorth(Bucket->State[way]);
        LONG idle = (LONG)(Time - Bucket->Seen[way]);

        if (OipFlowOver(Table, Bucket, way, Time))
        {
            Victim->Over = TRUE;
        }
        else if (worth > 1 || worth > Victim->Worth ||
                 (worth == Victim->Worth && idle <= Victim->Idle))
        {
            continue;
        }
        Victim->Bucket = Bucket;
        Victim->Way = way;
        Victim->Worth = worth;
        Victim->Idle = idle;
    }
}

static VOID OipFlowWrite(_Inout_ OIP_FLOW_BUCKET *Bucket, _In_ ULONG Way,
                         _In_ const OIP_FLOW_KEY *Key, _In_ UINT16 Tag, _In_ UINT8 Owner,
                         _In_ UINT8 State, _In_ UINT32 Time)
{
    Bucket->Tag[Way] = Tag;
    Bucket->Key[Way] = *Key;
    Bucket->Owner[Way] = Owner;
    Bucket->State[Way] = (UINT8)(State | (OipFlowProtocol(Key) == 6 ? 0 : OIP_FLOW_DATAGRAM));
    Bucket->Seen[Way] = Time;
}

/* The one with more free ways, which are *Free, a bit each. */
FORCEINLINE OIP_FLOW_BUCKET *OipFlowEmptier(_In_ OIP_FLOW_BUCKET *First,
                                            _In_ OIP_FLOW_BUCKET *Second, _Out_ ULONG *Free)
{
    ULONG first = OipFlowMatch(First, 0);
    ULONG second = OipFlowMatch(Second, 0);

    if (OipFlowCount(second) > OipFlowCount(first))
    {
        *Free = second;
        return Second;
    }
    *Free = first;
    return First;
}

/* Both buckets are ours. */
static OIP_FLOW_RESULT OipFlowPlace(_In_ const OIP_FLOW_TABLE *Table, _In_ OIP_FLOW_BUCKET *First,
                                    _In_ OIP_FLOW_BUCKET *Second, _In_ const OIP_FLOW_KEY *Key,
                                    _In_ UINT16 Tag, _In_ UINT8 Owner, _In_ UINT8 State,
                                    _In_ UINT32 Time)
{
    OIP_FLOW_VICTIM victim = {NULL, 0, 1, MINLONG, FALSE};
    ULONG way = OipFlowWay(First, Key, Tag);
    OIP_FLOW_BUCKET *bucket = First;
    ULONG free;

    if (way == OIP_FLOW_WAYS)
    {
        way = OipFlowWay(Second, Key, Tag);
        bucket = Second;
    }
    if (way != OIP_FLOW_WAYS)
    {
        OipFlowWrite(bucket, way, Key, Tag, Owner, State, Time);
        return OipFlowUpdated;
    }

    bucket = OipFlowEmptier(First, Second, &free);
    if (free != 0)
    {
        (VOID) BitScanForward(&way, free);
        OipFlowWrite(bucket, way, Key, Tag, Owner, State, Time);
        return OipFlowInserted;
    }

    OipFlowSeekVictim(Table, First, Tag, Time, &victim);
    if (!victim.Over && Second != First)
    {
        OipFlowSeekVictim(Table, Second, Tag, Time, &victim);
    }
    if (victim.Bucket == NULL)
    {
        return OipFlowFull;
    }
    OipFlowWrite(victim.Bucket, victim.Way, Key, Tag, Owner, State, Time);
    return victim.Over ? OipFlowInserted : OipFlowEvicted;
}

OIP_FLOW_RESULT OipFlowInsert(_Inout_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key,
                              _In_ UINT64 Hash, _In_ UINT8 Owner, _In_ UINT8 State,
                              _In_ UINT32 Time)
{
    OIP_FLOW_BUCKET *first = OipFlowFirst(Table, Hash);
    OIP_FLOW_BUCKET *second = OipFlowSecond(Table, Hash);
    OIP_FLOW_RESULT result;

    /* Both, though one is written: else two processors could put one flow into either. */
    if (!OipFlowLock(first))
    {
        return OipFlowBusy;
    }
    if (second != first && !OipFlowLock(second))
    {
        OipFlowUnlock(first);
        return OipFlowBusy;
    }
    result = OipFlowPlace(Table, first, second, Key, OipFlowTag(Hash), Owner, State, Time);
    if (second != first)
    {
        OipFlowUnlock(second);
    }
    OipFlowUnlock(first);
    return result;
}

OIP_FLOW_RESULT OipFlowInsertNew(_Inout_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key,
                                 _In_ UINT64 Hash, _In_ const OIP_FLOW *Missed, _In_ UINT8 Owner,
                                 _In_ UINT8 State, _In_ UINT32 Time)
{
    OIP_FLOW_BUCKET *first = OipFlowFirst(Table, Hash);
    OIP_FLOW_BUCKET *second = OipFlowSecond(Table, Hash);
    OIP_FLOW_RESULT result = OipFlowFull;
    OIP_FLOW_BUCKET *bucket;
    ULONG free;
    ULONG way;

    /* As long as the sequence numbers are those of the search, the key is in neither bucket. */
    if (!Missed->Over && first != second &&
        InterlockedCompareExchange(&first->Sequence, Missed->Sequences[0] + 1,
                                   Missed->Sequences[0]) == Missed->Sequences[0])
    {
        if (InterlockedCompareExchange(&second->Sequence, Missed->Sequences[1] + 1,
                                       Missed->Sequences[1]) == Missed->Sequences[1])
        {
            bucket = OipFlowEmptier(first, second, &free);
            if (free != 0)
            {
                (VOID) BitScanForward(&way, free);
                OipFlowWrite(bucket, way, Key, OipFlowTag(Hash), Owner, State, Time);
                result = OipFlowInserted;
            }
            OipFlowUnlock(second);
        }
        OipFlowUnlock(first);
    }
    return result == OipFlowInserted ? OipFlowInserted
                                     : OipFlowInsert(Table, Key, Hash, Owner, State, Time);
}

ULONG OipFlowRead(_In_ const OIP_FLOW_TABLE *Table, _In_ ULONG Index, _In_ UINT32 Time,
                  _Out_writes_(OIP_FLOW_WAYS) OIP_FLOW_ENTRY *Entries)
{
    const OIP_FLOW_BUCKET *bucket = &Table->Bucket[Index];

    for (;;)
    {
        LONG sequence = ReadAcquire(&bucket->Sequence);
        ULONG count = 0;

        for (ULONG ways = ~OipFlowMatch(bucket, 0) & OIP_FLOW_ALL_WAYS; ways != 0; ways &= ways - 1)
        {
            ULONG way;

            (VOID) BitScanForward(&way, ways);
            if (!OipFlowOver(Table, bucket, way, Time))
            {
                OIP_FLOW_ENTRY *entry = &Entries[count++];
                LONG idle = (LONG)(Time - bucket->Seen[way]);

                entry->Key = bucket->Key[way];
                entry->Owner = bucket->Owner[way];
                entry->State = bucket->State[way] & (UINT8)~OIP_FLOW_DATAGRAM;
                entry->Idle = idle > 0 ? (UINT32)idle : 0;
            }
        }
        KeMemoryBarrierWithoutFence();
        if ((sequence & 1) == 0 && ReadAcquire(&bucket->Sequence) == sequence)
        {
            return count;
        }
        YieldProcessor();
    }
}
