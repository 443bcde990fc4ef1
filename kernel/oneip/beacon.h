/*
 * Beacons: what the drivers of a cluster tell one another, many times a second.
 *
 * A beacon is an Ethernet frame of our own EtherType with a payload of fixed size, here without
 * the Ethernet header. Integers are little-endian.
 *
 *      offset bytes
 *        0     2   version                    OIP_BEACON_VERSION
 *        2     2   bytes of payload           OIP_BEACON_BYTES
 *        4     1   kind                       OIP_BEACON_KIND
 *        5     1   flags                      OIP_BEACON_xxx
 *        6     1   members in the configuration
 *        7     1   length of the log
 *        8    16   cluster
 *       24     4   sender's node
 *       28     4   microseconds since the sender heard the dispatcher of this epoch
 *       32     8   boot nonce
 *       40     8   sequence
 *       48     8   epoch: counter
 *       56     4   epoch: node
 *       60     4   sender's beacon interval in microseconds
 *       64     8   generation of the sender's configuration
 *       72     8   digest of its dispatch table
 *       80     8   digest of its members
 *       88     8   alive, by member index
 *       96     8   vetoed, by member index
 *      104     8   draining, by member index
 *      112    64   liveness log (table.h), zero beyond its length
 *      176    16   SipHash-2-4-128 of bytes 0 .. 175 under the beacon key
 *      192
 *
 * Trust
 *   Whoever has the beacon key is a member. Everybody else can record, drop, delay and repeat
 *   frames. Decoding therefore checks, in this order: length, version, cluster (frames of other
 *   clusters are none of our business), MAC in constant time, and then the meaning of each field,
 *   so that what leaves OipBeaconDecode is consistent whatever a member with a defect sends.
 *
 * Replays
 *   A sender numbers its beacons; within one boot nonce the sequence must increase. The nonce
 *   itself increases from one load of the driver to the next (max(system time, last one used + 1),
 *   stored with the epoch counter before the first beacon), so a recording from before a restart
 *   can never pass for a restart. A receiver keeps (nonce, sequence) of each member until another
 *   beacon key is configured. A receiver that has just been loaded knows no nonces: until it has
 *   heard the sender once, a recording can make it believe in a dispatcher of the past. That delays
 *   its own promotion for as long as the recording is played, and does nothing else: to take a role
 *   away from somebody, a recording would have to be newer than what its receiver has heard.
 *
 * Any IRQL.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#include "siphash.h"
#include "table.h"

#define OIP_BEACON_ETHERTYPE 0x88B5 /* IEEE 802 local experimental EtherType 1 */
#define OIP_BEACON_VERSION   2
#define OIP_BEACON_BYTES     192

typedef enum OIP_BEACON_KIND
{
    OipBeaconDispatcher = 1, /* I dispatch with this epoch */
    OipBeaconPresence = 2,   /* I am here and do not dispatch; Epoch: whom I follow */
    OipBeaconResign = 3      /* I dispatched with this epoch and do not any more */
} OIP_BEACON_KIND;

/* Flags. */
#define OIP_BEACON_SEEKING 0x01 /* presence: hears no dispatcher; who follows one answers */
#define OIP_BEACON_LEAVING 0x02 /* presence, resign: this node goes away */
#define OIP_BEACON_VETOED  0x04 /* user mode forbids the role there */
#define OIP_BEACON_DRAINS  0x08 /* takes no new clients */
#define OIP_BEACON_FLAGS   0x0F

/* HeardAgo of a presence that follows no dispatcher. */
#define OIP_BEACON_UNHEARD 0xFFFFFFFF

/* Epoch counters stay far below the end of their range, so that "one more" always exists. */
#define OIP_EPOCH_COUNTER_MAX 0x3FFFFFFFFFFFFFFFULL

typedef struct OIP_BEACON
{
    UINT32 Sender;
    UINT8 Kind;
    UINT8 Flags;
    UINT8 MemberCount;
    UINT32 HeardAgo; /* microseconds; presence only, else zero */
    UINT32 IntervalMicroseconds;
    UINT64 Boot;
    UINT64 Sequence;
    ONEIP_EPOCH Epoch;
    UINT64 Generation;
    UINT64 TableDigest;
    UINT64 MembersDigest; /* alive, vetoed, draining and log mean something only where this
                             agrees */
    UINT64 Alive;
    UINT64 Vetoed;
    UINT64 Draining;
    OIP_LIVENESS Liveness;
} OIP_BEACON;

typedef enum OIP_BEACON_RESULT
{
    OipBeaconOk = 0,
    OipBeaconLength = 1,
    OipBeaconVersion = 2,
    OipBeaconCluster = 3, /* of another cluster: ignore, do not count as rejected */
    OipBeaconMac = 4,     /* of this cluster, with another key; *Sender is what it claims */
    OipBeaconField = 5    /* authentic nonsense */
} OIP_BEACON_RESULT;

VOID OipBeaconEncode(_In_ const OIP_BEACON *Beacon, _In_reads_bytes_(16) const UINT8 *ClusterId,
                     _In_ const OIP_SIP_KEY *Key,
                     _Out_writes_bytes_(OIP_BEACON_BYTES) UINT8 *Payload);

/* Length is that of the frame without its Ethernet header, and Payload is contiguous. (The frame is
 * above Ethernet's minimum, so nobody pads it.) Beacon is written only with OipBeaconOk; Sender is
 * zero but with OipBeaconOk, OipBeaconMac and OipBeaconField. */
OIP_BEACON_RESULT OipBeaconDecode(_In_reads_bytes_(Length) const UINT8 *Payload, _In_ ULONG Length,
                                  _In_reads_bytes_(16) const UINT8 *ClusterId,
                                  _In_ const OIP_SIP_KEY *Key, _Out_ OIP_BEACON *Beacon,
                                  _Out_ UINT32 *Sender);

/* What has been heard of one sender. All zero: nothing. */
typedef struct OIP_REPLAY
{
    UINT64 Boot;
    UINT64 Sequence;
} OIP_REPLAY;

/* TRUE, and remembered, if the beacon is newer than all before. */
BOOLEAN OipReplayAccept(_Inout_ OIP_REPLAY *Replay, _In_ UINT64 Boot, _In_ UINT64 Sequence);

/* (counter, node), lexicographically: negative, zero, positive. */
FORCEINLINE LONG OipEpochCompare(_In_ const ONEIP_EPOCH *Left, _In_ const ONEIP_EPOCH *Right)
{
    if (Left->Counter != Right->Counter)
    {
        return Left->Counter < Right->Counter ? -1 : 1;
    }
    if (Left->NodeId != Right->NodeId)
    {
        return Left->NodeId < Right->NodeId ? -1 : 1;
    }
    return 0;
}
