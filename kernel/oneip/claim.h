/*
 * Claims: a server tells the dispatcher which flows it serves though the table gives them to
 * somebody else. So a dispatcher that was just promoted, without any flows, knows all exceptions
 * within milliseconds, and whoever it is that a table change took a slot from keeps its
 * connections. Until a claim arrives the second chance does (steer.h).
 *
 * A claim is an Ethernet frame of the beacons' EtherType, little-endian:
 *
 *      offset bytes
 *        0     2   version               OIP_BEACON_VERSION
 *        2     2   bytes of payload
 *        4     1   kind                  OIP_CLAIM_KIND
 *        5     1   flows                 1 .. OIP_CLAIM_FLOWS
 *        6     2   zero
 *        8    16   cluster
 *       24     4   sender's node
 *       28     4   zero
 *       32     8   boot nonce
 *       40     8   sequence, of claims
 *       48    40 * flows                 OIP_FLOW_KEY
 *             16   SipHash-2-4-128 of everything before, under the beacon key
 *
 * Trust and replays are as with beacons (beacon.h). A claim may be lost: whoever is asked out of
 * turn for a flow claims it again.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#include "beacon.h"
#include "flow.h"

#define OIP_CLAIM_KIND  4 /* behind OIP_BEACON_KIND */
#define OIP_CLAIM_FLOWS 28

#define OIP_CLAIM_HEADER_BYTES 48
#define OIP_CLAIM_BYTES(Flows)                                                                     \
    (OIP_CLAIM_HEADER_BYTES + (ULONG)(Flows) * (ULONG)sizeof(OIP_FLOW_KEY) + OIP_SIP_MAC_BYTES)
#define OIP_CLAIM_MAX_BYTES OIP_CLAIM_BYTES(OIP_CLAIM_FLOWS)

typedef struct OIP_CLAIM
{
    UINT32 Sender;
    UINT64 Boot;
    UINT64 Sequence;
    ULONG Count;
} OIP_CLAIM;

/* Writes OIP_CLAIM_BYTES(Claim->Count) bytes. Any IRQL. */
VOID OipClaimEncode(_In_ const OIP_CLAIM *Claim, _In_reads_(Claim->Count) const OIP_FLOW_KEY *Flows,
                    _In_reads_bytes_(16) const UINT8 *ClusterId, _In_ const OIP_SIP_KEY *Key,
                    _Out_ UINT8 *Payload);

/*
 * Length: of the frame without its Ethernet header. *Flows points into Payload, Claim->Count of
 * them, which stand at any address. The checks of OipBeaconDecode, in its order.
 */
OIP_BEACON_RESULT OipClaimDecode(_In_reads_bytes_(Length) const UINT8 *Payload, _In_ ULONG Length,
                                 _In_reads_bytes_(16) const UINT8 *ClusterId,
                                 _In_ const OIP_SIP_KEY *Key, _Out_ OIP_CLAIM *Claim,
                                 _Outptr_ const UINT8 **Flows);

/* Could the bytes be a key that a driver made? */
BOOLEAN OipFlowKeyValid(_In_ const OIP_FLOW_KEY *Key);
