/*
 * The codec of beacons and the replay window. See beacon.h for the layout and for what is trusted.
 */
#include "beacon.h"

/* The payload as it is on the wire: packed by nature, since every field lies on its own size. */
typedef struct OIP_BEACON_WIRE
{
    UINT16 Version;
    UINT16 Bytes;
    UINT8 Kind;
    UINT8 Flags;
    UINT8 MemberCount;
    UINT8 LogLength;
    UINT8 ClusterId[16];
    UINT32 Sender;
    UINT32 HeardAgo;
    UINT64 Boot;
    UINT64 Sequence;
    UINT64 EpochCounter;
    UINT32 EpochNode;
    UINT32 IntervalMicroseconds;
    UINT64 Generation;
    UINT64 TableDigest;
    UINT64 MembersDigest;
    UINT64 Alive;
    UINT64 Vetoed;
    UINT64 Draining;
    UINT8 Log[OIP_LIVENESS_LOG];
    UINT8 Mac[OIP_SIP_MAC_BYTES];
} OIP_BEACON_WIRE;

C_ASSERT(sizeof(OIP_BEACON_WIRE) == OIP_BEACON_BYTES);
C_ASSERT(FIELD_OFFSET(OIP_BEACON_WIRE, ClusterId) == 8);
C_ASSERT(FIELD_OFFSET(OIP_BEACON_WIRE, Boot) == 32);
C_ASSERT(FIELD_OFFSET(OIP_BEACON_WIRE, EpochNode) == 56);
C_ASSERT(FIELD_OFFSET(OIP_BEACON_WIRE, Generation) == 64);
C_ASSERT(FIELD_OFFSET(OIP_BEACON_WIRE, Log) == 112);
C_ASSERT(FIELD_OFFSET(OIP_BEACON_WIRE, Mac) == OIP_BEACON_BYTES - OIP_SIP_MAC_BYTES);

VOID OipBeaconEncode(_In_ const OIP_BEACON *Beacon, _In_reads_bytes_(16) const UINT8 *ClusterId,
                     _In_ const OIP_SIP_KEY *Key,
                     _Out_writes_bytes_(OIP_BEACON_BYTES) UINT8 *Payload)
{
    OIP_BEACON_WIRE wire;

    RtlZeroMemory(&wire, sizeof(wire));
    wire.Version = OIP_BEACON_VERSION;
    wire.Bytes = OIP_BEACON_BYTES;
    wire.Kind = Beacon->Kind;
    wire.Flags = Beacon->Flags;
    wire.MemberCount = Beacon->MemberCount;
    wire.LogLength = Beacon->Liveness.Length;
    RtlCopyMemory(wire.ClusterId, ClusterId, sizeof(wire.ClusterId));
    wire.Sender = Beacon->Sender;
    wire.HeardAgo = Beacon->HeardAgo;
    wire.Boot = Beacon->Boot;
    wire.Sequence = Beacon->Sequence;
    wire.EpochCounter = Beacon->Epoch.Counter;
    wire.EpochNode = Beacon->Epoch.NodeId;
    wire.IntervalMicroseconds = Beacon->IntervalMicroseconds;
    wire.Generation = Beacon->Generation;
    wire.TableDigest = Beacon->TableDigest;
    wire.MembersDigest = Beacon->MembersDigest;
    wire.Alive = Beacon->Alive;
    wire.Vetoed = Beacon->Vetoed;
    wire.Draining = Beacon->Draining;
    RtlCopyMemory(wire.Log, Beacon->Liveness.Log, Beacon->Liveness.Length);
    OipSipHash128(Key, &wire, FIELD_OFFSET(OIP_BEACON_WIRE, Mac), wire.Mac);
    RtlCopyMemory(Payload, &wire, sizeof(wire));
}

static BOOLEAN OipBeaconNodeId(_In_ UINT32 NodeId)
{
    return NodeId != 0 && NodeId != 0xFFFFFFFF;
}

/* The epoch that a kind may carry: its sender's own, or with a presence anybody's or none. */
static BOOLEAN OipBeaconEpochValid(_In_ const OIP_BEACON_WIRE *Wire)
{
    if (Wire->EpochCounter > OIP_EPOCH_COUNTER_MAX)
    {
        return FALSE;
    }
    if (Wire->Kind != OipBeaconPresence)
    {
        return Wire->EpochCounter != 0 && Wire->EpochNode == Wire->Sender && Wire->HeardAgo == 0;
    }
    if (Wire->EpochCounter == 0)
    {
        return Wire->EpochNode == 0 && Wire->HeardAgo == OIP_BEACON_UNHEARD;
    }
    return OipBeaconNodeId(Wire->EpochNode);
}

static BOOLEAN OipBeaconFieldsValid(_In_ const OIP_BEACON_WIRE *Wire)
{
    OIP_LIVENESS liveness;
    ULONG i;

    if (Wire->Kind < OipBeaconDispatcher || Wire->Kind > OipBeaconResign ||
        (Wire->Flags & ~OIP_BEACON_FLAGS) != 0)
    {
        return FALSE;
    }
    if ((Wire->Flags & OIP_BEACON_SEEKING) != 0 && Wire->Kind != OipBeaconPresence)
    {
        return FALSE;
    }
    if ((Wire->Flags & (OIP_BEACON_LEAVING | OIP_BEACON_VETOED)) != 0 &&
        Wire->Kind == OipBeaconDispatcher)
    {
        return FALSE; /* R12 in role.h */
    }
    if (!OipBeaconNodeId(Wire->Sender) || !OipBeaconEpochValid(Wire) || Wire->Sequence == 0 ||
        Wire->Boot == 0 || Wire->Generation == 0 || Wire->IntervalMicroseconds == 0 ||
        Wire->IntervalMicroseconds > ONEIP_MAX_BEACON_MS * 1000)
    {
        return FALSE;
    }
    if (Wire->MemberCount == 0 || Wire->MemberCount > ONEIP_MAX_MEMBERS ||
        Wire->LogLength > OIP_LIVENESS_LOG)
    {
        return FALSE;
    }

    liveness.Length = Wire->LogLength;
    RtlCopyMemory(liveness.Log, Wire->Log, sizeof(liveness.Log));
    if (!OipLivenessValid(&liveness, Wire->MemberCount) ||
        OipLivenessAlive(&liveness, Wire->MemberCount) != Wire->Alive ||
        ((Wire->Vetoed | Wire->Draining) & ~OipMemberSet(Wire->MemberCount)) != 0)
    {
        return FALSE;
    }
    for (i = Wire->LogLength; i < OIP_LIVENESS_LOG; i += 1)
    {
        if (Wire->Log[i] != 0)
        {
            return FALSE;
        }
    }
    return TRUE;
}

OIP_BEACON_RESULT OipBeaconDecode(_In_reads_bytes_(Length) const UINT8 *Payload, _In_ ULONG Length,
                                  _In_reads_bytes_(16) const UINT8 *ClusterId,
                                  _In_ const OIP_SIP_KEY *Key, _Out_ OIP_BEACON *Beacon,
                                  _Out_ UINT32 *Sender)
{
    OIP_BEACON_WIRE wire;
    UINT8 mac[OIP_SIP_MAC_BYTES];

    *Sender = 0;
    if (Length != OIP_BEACON_BYTES)
    {
        return OipBeaconLength;
    }
    RtlCopyMemory(&wire, Payload, sizeof(wire));
    if (wire.Version != OIP_BEACON_VERSION || wire.Bytes != OIP_BEACON_BYTES)
    {
        return OipBeaconVersion;
    }
    if (!RtlEqualMemory(wire.ClusterId, ClusterId, sizeof(wire.ClusterId)))
    {
        return OipBeaconCluster;
    }
    *Sender = wire.Sender;
    OipSipHash128(Key, &wire, FIELD_OFFSET(OIP_BEACON_WIRE, Mac), mac);
    if (!OipSipEqual(mac, wire.Mac, sizeof(mac)))
    {
        return OipBeaconMac;
    }
    if (!OipBeaconFieldsValid(&wire))
    {
        return OipBeaconField;
    }

    RtlZeroMemory(Beacon, sizeof(*Beacon));
    Beacon->Sender = wire.Sender;
    Beacon->Kind = wire.Kind;
    Beacon->Flags = wire.Flags;
    Beacon->MemberCount = wire.MemberCount;
    Beacon->HeardAgo = wire.HeardAgo;
    Beacon->IntervalMicroseconds = wire.IntervalMicroseconds;
    Beacon->Boot = wire.Boot;
    Beacon->Sequence = wire.Sequence;
    Beacon->Epoch.Counter = wire.EpochCounter;
    Beacon->Epoch.NodeId = wire.EpochNode;
    Beacon->Generation = wire.Generation;
    Beacon->TableDigest = wire.TableDigest;
    Beacon->MembersDigest = wire.MembersDigest;
    Beacon->Alive = wire.Alive;
    Beacon->Vetoed = wire.Vetoed;
    Beacon->Draining = wire.Draining;
    Beacon->Liveness.Length = wire.LogLength;
    RtlCopyMemory(Beacon->Liveness.Log, wire.Log, sizeof(wire.Log));
    return OipBeaconOk;
}

BOOLEAN OipReplayAccept(_Inout_ OIP_REPLAY *Replay, _In_ UINT64 Boot, _In_ UINT64 Sequence)
{
    if (Boot < Replay->Boot || (Boot == Replay->Boot && Sequence <= Replay->Sequence))
    {
        return FALSE;
    }
    Replay->Boot = Boot;
    Replay->Sequence = Sequence;
    return TRUE;
}
