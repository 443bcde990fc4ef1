/*
 * Where a frame for a cluster address goes: by its flow if it is known, else by the configuration
 * (dispatch.h), with a second chance for connections that nobody here knows.
 *
 * As dispatcher a node learns the flow of every frame that opens one (a SYN, a datagram), and
 * sends what belongs to a known flow to its server, whatever the table says now. As server it
 * learns the flows that others dispatch to it. So when a dispatcher without flows, just promoted,
 * sends by the table alone what belongs to a connection of somebody else, the server that gets it
 * notices that it does not know it, and passes it on once to who had the slot before. It does so
 * only for frames of the dispatcher that it follows, so a frame that was passed on is not passed on
 * again; the owner of the connection knows by the sender that it was asked out of turn, and
 * claims the flow (claim.h).
 */
#pragma once

#include "dispatch.h"
#include "forward.h"
#include "stats.h"

/* What the fast path (fast.h) counts for a batch. */
typedef struct OIP_FAST_COUNTERS
{
    UINT64 Frames; /* forwarded or passed */
    UINT64 Bytes;
    UINT64 Forwarded;
    UINT64 BytesForwarded;
    UINT64 Ruled; /* that a rule names */
    UINT64 BytesRuled;
    UINT64 Hits;
} OIP_FAST_COUNTERS;

/* What a batch knows of itself. DataLock (shared) is held while it is used. */
typedef struct OIP_STEERING
{
    const OIP_CONFIGURATION *Config;
    OIP_FLOW_TABLE *Flows;
    OIP_COUNTERS *Counters;
    UINT32 Time;   /* flow.h */
    BOOLEAN Early; /* a takeover was so short ago that claims may still come */
    OIP_FAST_COUNTERS Fast;
} OIP_STEERING;

/* The subject of a frame, with what stands in no frame as it is needed. */
typedef struct OIP_QUESTION
{
    OIP_SUBJECT Subject;
    UCHAR TcpFlags; /* 0 where not TCP */
    BOOLEAN Opens;  /* begins a flow if there is none */
    BOOLEAN Error;  /* an ICMP error about a packet of the flow */
    UCHAR Quoted[2][16];
    OIP_DECISION Decision; /* the answer's */
} OIP_QUESTION;

/* Frame: IP, not malformed, the first fragment if any. */
VOID OipAsk(_In_ const OIP_CONFIGURATION *Config, _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
            _Out_ OIP_QUESTION *Question);

/*
 * A client's frame at the dispatcher. Returns the member, or OIP_TABLE_NONE and *Drop. *Rule: for
 * the counters.
 */
ULONG OipSteerClient(_In_ const OIP_STEERING *Steering, _Inout_ OIP_QUESTION *Question,
                     _Out_ ULONG *Rule, _Out_ ONEIP_DROP *Drop);

/*
 * A frame that member Sender passed to this node. Returns the local member, or another one that
 * it is passed on to, or OIP_TABLE_NONE and *Drop. *Claim: the flow is this node's and the
 * dispatcher should be told.
 */
ULONG OipSteerServer(_In_ const OIP_STEERING *Steering, _Inout_ OIP_QUESTION *Question,
                     _In_ ULONG Sender, _Out_ BOOLEAN *Claim, _Out_ ONEIP_DROP *Drop);
