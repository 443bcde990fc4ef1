/*
 * The flow table: which member serves an established connection, whatever the dispatch table says
 * now. A node learns the flows that it dispatches and those that it serves.
 *
 * Shape
 *   Buckets of seven ways. A flow stands in one of two buckets, chosen by one hash (two choices:
 *   Azar, Broder, Karlin, Upfal, "Balanced Allocations", STOC 1994), the emptier at the time, so
 *   the table takes four fifths of its ways before insertions fail. All that a lookup looks at or
 *   changes but the key stands in the bucket's first cache line; the keys follow. 69 bytes a flow
 *   of capacity, allocated at once: no allocation later, whatever comes.
 *
 * Bounded, and safe under floods
 *   A flow is learned as opening (one SYN, one datagram) and becomes established with the client's
 *   second frame. When both buckets are full a new flow takes the place of one that is over, else
 *   of the oldest opening one, else of the oldest closing one; never of an established one. If
 *   there is none, it is not learned and goes by the hash, as if there were no table. The hash is
 *   keyed by a secret of this node, so nobody outside can fill chosen buckets.
 *
 * Concurrency
 *   Readers take no lock: each bucket has a sequence number, odd while it is written, and a reader
 *   whose bucket changed meanwhile looks again. Time and state of a flow are stored in place
 *   without it; a store that meets a replacement at worst gives one flow another's time. Writers
 *   take both buckets by compare-and-swap, and do not wait: OipFlowBusy. At DISPATCH_LEVEL nobody
 *   is preempted while a number is odd; so callers run there.
 *
 * Time is in units of 2^17 * 100 ns (about 13 ms) and wraps after 651 days.
 * All functions: DISPATCH_LEVEL, no allocation.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#include "siphash.h"

#define OIP_FLOW_WAYS 7

/* Server of a flow: a handle that a member keeps over configurations; 0 is nobody's. */
#define OIP_FLOW_NOBODY 0

/*
 * Addresses and ports as they stand in the frame. IPv4: Word[0] is the client, with the cluster
 * address above it, and Word[1..3] are zero. IPv6: two words each. Word[4]: client port, cluster
 * port, protocol, family, from the lowest bits.
 */
typedef struct OIP_FLOW_KEY
{
    UINT64 Word[5];
} OIP_FLOW_KEY;

typedef enum OIP_FLOW_STATE
{
    OipFlowFree = 0,
    OipFlowOpening = 1,
    OipFlowEstablished = 2,
    OipFlowClosing = 3, /* FIN */
    OipFlowReset = 4,   /* RST: may be forged; the next frame without one takes it back */
    OipFlowStates = 5
} OIP_FLOW_STATE;

typedef struct DECLSPEC_ALIGN(64) OIP_FLOW_BUCKET
{
    UINT16 Tag[8]; /* of the key; 0 free; the last one is always 0 */
    volatile LONG Sequence;
    UINT32 Seen[OIP_FLOW_WAYS];
    UINT8 Owner[OIP_FLOW_WAYS];
    UINT8 State[OIP_FLOW_WAYS]; /* OIP_FLOW_STATE, with OIP_FLOW_DATAGRAM */
    UINT8 Reserved[2];
    OIP_FLOW_KEY Key[OIP_FLOW_WAYS];
} OIP_FLOW_BUCKET;

C_ASSERT(FIELD_OFFSET(OIP_FLOW_BUCKET, Key) == 64);
C_ASSERT(sizeof(OIP_FLOW_BUCKET) == 384);

/* In State: not TCP. */
#define OIP_FLOW_DATAGRAM 0x80

/* Seconds, by contract. */
typedef struct OIP_FLOW_TIMEOUTS
{
    UINT32 Tcp;
    UINT32 Udp;
    UINT32 Opening;
    UINT32 Closing;
} OIP_FLOW_TIMEOUTS;

typedef struct DECLSPEC_ALIGN(64) OIP_FLOW_TABLE
{
    UINT64 Secret[3];
    UINT32 Buckets;
    UINT32 Capacity;
    UINT32 Timeout[2][OipFlowStates]; /* TCP, others; in units of time */
    OIP_FLOW_BUCKET Bucket[];
} OIP_FLOW_TABLE;

/* Where a flow was found, good until another one takes its place, which does no harm; or where it
 * was not. */
typedef struct OIP_FLOW
{
    OIP_FLOW_BUCKET *Bucket;
    ULONG Way;
    UINT8 Owner;
    UINT8 State;  /* OIP_FLOW_STATE without flags */
    BOOLEAN Over; /* not found, but there is one that is over */
    UINT32 Seen;
    LONG Sequences[2]; /* not found: of the two buckets that were looked at */
} OIP_FLOW;

typedef enum OIP_FLOW_RESULT
{
    OipFlowInserted,
    OipFlowEvicted, /* inserted in the place of one that was not over */
    OipFlowUpdated, /* it was there; Owner and State are new */
    OipFlowFull,
    OipFlowBusy
} OIP_FLOW_RESULT;

#define OIP_FLOW_TIME_SHIFT 17

FORCEINLINE UINT32 OipFlowTime(_In_ UINT64 Now)
{
    return (UINT32)(Now >> OIP_FLOW_TIME_SHIFT);
}

FORCEINLINE UINT32 OipFlowMilliseconds(_In_ UINT32 Units)
{
    UINT64 milliseconds = ((UINT64)Units << OIP_FLOW_TIME_SHIFT) / 10000;

    return milliseconds < MAXULONG ? (UINT32)milliseconds : MAXULONG;
}

/* Bytes of a table for so many flows, ONEIP_MIN_FLOWS .. ONEIP_MAX_FLOWS. */
SIZE_T OipFlowTableBytes(_In_ ULONG Capacity);

/* Table: zeroed, aligned to 64 bytes. Secret: unknown outside this node. */
VOID OipFlowTableInitialize(_Inout_ OIP_FLOW_TABLE *Table, _In_ ULONG Capacity,
                            _In_ const OIP_SIP_KEY *Secret, _In_ const OIP_FLOW_TIMEOUTS *Timeouts);

/* Others in force, for the flows that are there, too. */
VOID OipFlowSetTimeouts(_Inout_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_TIMEOUTS *Timeouts);

FORCEINLINE VOID OipFlowKeyIpv4(_Out_ OIP_FLOW_KEY *Key, _In_ UINT32 Client, _In_ UINT32 Cluster,
                                _In_ UINT8 Protocol, _In_ UINT32 Ports)
{
    Key->Word[0] = Client | ((UINT64)Cluster << 32);
    Key->Word[1] = 0;
    Key->Word[2] = 0;
    Key->Word[3] = 0;
    Key->Word[4] = Ports | ((UINT64)Protocol << 32) | ((UINT64)OneIpFamilyIpv4 << 40);
}

/* Ports: client's in the lower half, in network byte order, as a plain load of a header gives it.
 */
VOID OipFlowKey(_Out_ OIP_FLOW_KEY *Key, _In_ UCHAR Family, _In_ const UCHAR *Client,
                _In_ const UCHAR *Cluster, _In_ UINT8 Protocol, _In_ UINT32 Ports);

/* The hash of a key in this table, for the calls below. */
UINT64 OipFlowHash(_In_ const OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key);

/* FALSE: not known, or over. */
_Success_(return) BOOLEAN OipFlowFind(_In_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key,
                                      _In_ UINT64 Hash, _In_ UINT32 Time, _Out_ OIP_FLOW *Flow);

/* A frame of the flow came now. State: what it has become. */
FORCEINLINE VOID OipFlowTouch(_Inout_ OIP_FLOW *Flow, _In_ UINT32 Time, _In_ UINT8 State)
{
    if (Flow->Seen != Time)
    {
        Flow->Bucket->Seen[Flow->Way] = Time;
    }
    if (Flow->State != State)
    {
        UINT8 *state = &Flow->Bucket->State[Flow->Way];

        *state = (UINT8)((*state & OIP_FLOW_DATAGRAM) | State);
    }
}

/* TCP flags, of the header's 14th byte. RFC 9293, 3.1. */
#define OIP_TCP_FIN 0x01
#define OIP_TCP_SYN 0x02
#define OIP_TCP_RST 0x04
#define OIP_TCP_ACK 0x10

/* Does a TCP segment open a connection? */
FORCEINLINE BOOLEAN OipTcpOpens(_In_ UINT8 TcpFlags)
{
    return (TcpFlags & (OIP_TCP_SYN | OIP_TCP_ACK | OIP_TCP_RST)) == OIP_TCP_SYN;
}

/* What a flow becomes by a frame. TcpFlags: the header's 14th byte; 0 for other protocols. */
UINT8 OipFlowNext(_In_ UINT8 State, _In_ UINT8 TcpFlags);

/* Learns a flow, or gives one that is there another server and state. */
OIP_FLOW_RESULT OipFlowInsert(_Inout_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key,
                              _In_ UINT64 Hash, _In_ UINT8 Owner, _In_ UINT8 State,
                              _In_ UINT32 Time);

/* The same for a flow that OipFlowFind has just not found; cheaper where nothing changed since. */
OIP_FLOW_RESULT OipFlowInsertNew(_Inout_ OIP_FLOW_TABLE *Table, _In_ const OIP_FLOW_KEY *Key,
                                 _In_ UINT64 Hash, _In_ const OIP_FLOW *Missed, _In_ UINT8 Owner,
                                 _In_ UINT8 State, _In_ UINT32 Time);

/* A flow as a walk over the table finds it. */
typedef struct OIP_FLOW_ENTRY
{
    OIP_FLOW_KEY Key;
    UINT8 Owner;
    UINT8 State;
    UINT32 Idle; /* units of time */
} OIP_FLOW_ENTRY;

/* The flows of bucket Index < Table->Buckets that are not over, consistent each; how many. */
ULONG OipFlowRead(_In_ const OIP_FLOW_TABLE *Table, _In_ ULONG Index, _In_ UINT32 Time,
                  _Out_writes_(OIP_FLOW_WAYS) OIP_FLOW_ENTRY *Entries);

FORCEINLINE UINT8 OipFlowProtocol(_In_ const OIP_FLOW_KEY *Key)
{
    return (UINT8)(Key->Word[4] >> 32);
}

FORCEINLINE UINT8 OipFlowFamily(_In_ const OIP_FLOW_KEY *Key)
{
    return (UINT8)(Key->Word[4] >> 40);
}

FORCEINLINE UINT16 OipFlowClientPort(_In_ const OIP_FLOW_KEY *Key)
{
    return (UINT16)Key->Word[4];
}

FORCEINLINE UINT16 OipFlowClusterPort(_In_ const OIP_FLOW_KEY *Key)
{
    return (UINT16)(Key->Word[4] >> 16);
}

/* The addresses, where they stand in the key. */
FORCEINLINE const UCHAR *OipFlowClient(_In_ const OIP_FLOW_KEY *Key)
{
    return (const UCHAR *)Key->Word;
}

FORCEINLINE const UCHAR *OipFlowCluster(_In_ const OIP_FLOW_KEY *Key)
{
    return (const UCHAR *)Key->Word + (OipFlowFamily(Key) == OneIpFamilyIpv4 ? 4 : 16);
}
