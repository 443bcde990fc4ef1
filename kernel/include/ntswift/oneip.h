/*
 * The contract of the ONE-IP driver: everything that crosses its device boundary.
 *
 * This is the only declaration. The driver includes it as it stands; the TypeScript codecs
 * (userland/oneip/codec.ts) are generated from it by tools/codegen and checked to be fresh.
 *
 * Rules of the contract
 *  - All integers are little-endian and naturally aligned; every byte of padding is a named
 *    Reserved field that must be zero on input and is zero on output.
 *  - Addresses and ports are in network byte order (but the ranges of ONEIP_RULE), MAC addresses in
 *    transmission order.
 *  - Every control code is METHOD_BUFFERED. Input is validated in full before any state changes;
 *    an update is applied whole or not at all, and is in force when its IOCTL completes.
 *  - A refused IOCTL fails with an NTSTATUS; ONEIP_IOCTL_GET_REFUSAL on the same handle tells why.
 *  - Writers need FILE_WRITE_ACCESS, readers FILE_READ_ACCESS. The device opens for SYSTEM and
 *    Administrators only.
 *
 * An includer provides the fixed-width types UINT8 .. UINT64 and CTL_CODE (ntddk.h, or windows.h
 * with winioctl.h).
 */
#pragma once

#define ONEIP_CONTRACT_VERSION 2

#define ONEIP_DEVICE_NAME L"\\Device\\NtsOneIp"
#define ONEIP_LINK_NAME   L"\\DosDevices\\NtsOneIp" /* CreateFile: \\.\NtsOneIp */

/* Limits. A configuration beyond them is refused. */
#define ONEIP_MAX_MEMBERS          64
#define ONEIP_MAX_ADDRESSES        16
#define ONEIP_TABLE_SLOTS          65537 /* prime, as Maglev's large table (Eisenbud et al., NSDI 2016) */
#define ONEIP_MAX_WEIGHT           1000
#define ONEIP_MIN_BEACON_MS        1
#define ONEIP_MAX_BEACON_MS        1000
#define ONEIP_MIN_SILENCE_BEACONS  2
#define ONEIP_MAX_SILENCE_BEACONS  100
#define ONEIP_MAX_ANNOUNCE_SECONDS 3600
#define ONEIP_MAX_EVENTS           256 /* the driver remembers this many */
#define ONEIP_MAX_RULES            64
#define ONEIP_MIN_FLOWS            1024
#define ONEIP_MAX_FLOWS            16777216
#define ONEIP_DEFAULT_FLOWS        262144 /* 17 MB */
#define ONEIP_MAX_IDLE_SECONDS     604800 /* a week */
#define ONEIP_KEY_BYTES            16

/* FILE_DEVICE_NETWORK, functions 0x900 .. 0x90F */
#define ONEIP_IOCTL_GET_VERSION  CTL_CODE(0x12, 0x900, 0, 1) /* -> ONEIP_VERSION */
#define ONEIP_IOCTL_SET_CONFIG   CTL_CODE(0x12, 0x901, 0, 2) /* ONEIP_CONFIG + arrays -> */
#define ONEIP_IOCTL_CLEAR_CONFIG CTL_CODE(0x12, 0x902, 0, 2) /* -> */
#define ONEIP_IOCTL_GET_CONFIG   CTL_CODE(0x12, 0x903, 0, 1) /* -> ONEIP_CONFIG + arrays */
#define ONEIP_IOCTL_GET_STATUS   CTL_CODE(0x12, 0x904, 0, 1) /* -> ONEIP_STATUS + member array */
#define ONEIP_IOCTL_GET_STATS    CTL_CODE(0x12, 0x905, 0, 1) /* -> ONEIP_STATS */
#define ONEIP_IOCTL_WAIT_EVENT   CTL_CODE(0x12, 0x906, 0, 1) /* ONEIP_WAIT_EVENT -> ONEIP_EVENT[] */
#define ONEIP_IOCTL_SET_PRIMARY  CTL_CODE(0x12, 0x907, 0, 2) /* -> */
#define ONEIP_IOCTL_SET_VETO     CTL_CODE(0x12, 0x908, 0, 2) /* ONEIP_VETO -> */
#define ONEIP_IOCTL_LOOKUP       CTL_CODE(0x12, 0x909, 0, 1) /* ONEIP_LOOKUP -> ONEIP_LOOKUP_RESULT */
#define ONEIP_IOCTL_GET_REFUSAL  CTL_CODE(0x12, 0x90A, 0, 1) /* -> ONEIP_REFUSAL */
#define ONEIP_IOCTL_SET_DRAIN    CTL_CODE(0x12, 0x90B, 0, 2) /* ONEIP_DRAIN -> */
#define ONEIP_IOCTL_GET_FLOWS    CTL_CODE(0x12, 0x90C, 0, 1) /* ONEIP_FLOW_QUERY -> page */
#define ONEIP_IOCTL_IMPORT_FLOWS CTL_CODE(0x12, 0x90D, 0, 2) /* ONEIP_FLOW_IMPORT -> result */
#define ONEIP_IOCTL_COUNT_FLOWS  CTL_CODE(0x12, 0x90E, 0, 1) /* -> ONEIP_FLOW_COUNTS + arrays */
#define ONEIP_IOCTL_GET_RULES    CTL_CODE(0x12, 0x90F, 0, 1) /* -> ONEIP_RULE_STATUS[] */

typedef struct ONEIP_VERSION
{
    UINT32 Contract;      /* ONEIP_CONTRACT_VERSION */
    UINT32 DriverVersion; /* major << 16 | minor */
    UINT32 TableSlots;    /* ONEIP_TABLE_SLOTS */
    UINT32 MaxMembers;
    UINT32 MaxAddresses;
    UINT32 Reserved;
} ONEIP_VERSION;

/* What a client is, to the hash. */
typedef enum ONEIP_AFFINITY
{
    OneIpAffinityClient = 1, /* source address: NT-SwiFT 1998, section 3.6 */
    OneIpAffinityFiveTuple =
        2, /* addresses, protocol and ports; just addresses and protocol where there are none */
    OneIpAffinityNetwork = 3 /* the source's /24 (IPv4) or /64 (IPv6) */
} ONEIP_AFFINITY;

/* How a hash becomes a server. */
typedef enum ONEIP_DISPATCH
{
    OneIpDispatchTable = 1, /* weighted table of ONEIP_TABLE_SLOTS, moved minimally */
    OneIpDispatchModulo =
        2 /* the paper's: hash modulo the number of live members; weights are ignored */
} ONEIP_DISPATCH;

typedef enum ONEIP_FAMILY
{
    OneIpFamilyIpv4 = 4,
    OneIpFamilyIpv6 = 6
} ONEIP_FAMILY;

/* An IPv4 address uses the first four bytes, the rest is zero. */
typedef struct ONEIP_ADDRESS
{
    UINT32 Family; /* ONEIP_FAMILY */
    UINT32 Reserved;
    UINT8 Address[16];
} ONEIP_ADDRESS;

typedef struct ONEIP_MEMBER
{
    UINT32 NodeId; /* 1 .. 0xFFFFFFFE, unique */
    UINT32 Rank;   /* lower is promoted first; unique */
    UINT32 Weight; /* 0 .. ONEIP_MAX_WEIGHT; 0 serves no new client */
    UINT8 Mac[6];  /* unicast, unique */
    UINT8 Reserved[2];
    UINT8 Ipv4[4];  /* the node's own address, or zero: needed where a cluster address is IPv4 */
    UINT8 Ipv6[16]; /* the node's own address, or zero: needed where a cluster address is IPv6 */
} ONEIP_MEMBER;

typedef enum ONEIP_RULE_MODE
{
    OneIpRuleShared = 1, /* by hash, over all members */
    OneIpRuleSingle = 2, /* all by Owner; while it is down, by the live member of the best rank */
    OneIpRuleBlocked = 3 /* dropped */
} ONEIP_RULE_MODE;

/* What is served how. Ranges of one protocol do not overlap. Whatever no rule names is shared with
 * the configuration's Affinity. */
typedef struct ONEIP_RULE
{
    UINT32 Protocol;  /* 6 TCP, 17 UDP, 0 both */
    UINT16 FirstPort; /* the cluster's, host byte order, inclusive */
    UINT16 LastPort;
    UINT32 Mode;     /* ONEIP_RULE_MODE */
    UINT32 Affinity; /* ONEIP_AFFINITY where shared, else zero */
    UINT32 Owner;    /* NodeId of a member where single, else zero */
    UINT32 Reserved;
} ONEIP_RULE;

/*
 * A whole configuration: this header, then ONEIP_ADDRESS[AddressCount], ONEIP_MEMBER[MemberCount],
 * ONEIP_RULE[RuleCount] and, where TableSlots is not zero, TableSlots bytes, each an index into the
 * members: the content of the dispatch table, which travels so that all nodes dispatch alike
 * whatever they saw before. With TableSlots zero the driver moves its present table minimally. A
 * table on input must hold every member that has a weight and none that has not, each within one
 * slot in a hundred of its share. Where PastSlots is not zero as well, PastSlots bytes follow: for
 * each slot the member that had it before, or 0xFF; a connection that its server does not know is
 * tried there. A table is padded with zeros to a multiple of 8 bytes.
 */
typedef struct ONEIP_CONFIG
{
    UINT32 Version;      /* ONEIP_CONTRACT_VERSION */
    UINT32 Size;         /* bytes of everything: header, arrays, table and its padding to 8 */
    UINT64 Generation;   /* 1 ..; must exceed the present one, or equal it with equal content */
    UINT8 ClusterId[16]; /* beacons of other clusters are ignored */
    UINT8 HashKey[16];   /* SipHash-2-4 key of the dispatch hash: the same on all nodes */
    UINT8 BeaconKey[16]; /* SipHash-2-4-128 key of the beacons, not all zero; GET_CONFIG returns
                            zeros */
    UINT32 LocalNode;    /* this machine's NodeId; its Mac selects the adapter */
    UINT32 BeaconMilliseconds; /* default 10 */
    UINT32 SilenceBeacons;     /* so many missed beacons promote the next in rank; default 3 */
    UINT32 AnnounceSeconds;    /* between periodic announcements: 1 .. 3600; default 60, below a
                                  switch's 300 s ageing */
    UINT32 Affinity;           /* ONEIP_AFFINITY */
    UINT32 Dispatch;           /* ONEIP_DISPATCH */
    UINT32 AddressCount;       /* 1 .. ONEIP_MAX_ADDRESSES */
    UINT32 MemberCount;        /* 1 .. ONEIP_MAX_MEMBERS */
    UINT32 TableSlots;         /* 0 or ONEIP_TABLE_SLOTS */
    UINT32 PastSlots;          /* 0 or, with a table, ONEIP_TABLE_SLOTS */
    UINT32 RuleCount;          /* 0 .. ONEIP_MAX_RULES */
    UINT32 FlowCapacity;       /* flows that this node can hold, ONEIP_MIN_FLOWS ..
                                  ONEIP_MAX_FLOWS; 69 bytes of non-paged pool each */
    UINT32 TcpIdleSeconds;     /* a flow is forgotten after so long without a frame, 1 ..
                                  ONEIP_MAX_IDLE_SECONDS; default 7440, RFC 5382, REQ-5 */
    UINT32 UdpIdleSeconds;     /* default 300, RFC 4787, REQ-5 */
    UINT32 OpeningSeconds;     /* TCP of which only SYNs, others of which only one datagram was
                                  seen; default 30 */
    UINT32 ClosingSeconds;     /* TCP after FIN or RST; default 60 */
} ONEIP_CONFIG;

typedef enum ONEIP_ROLE
{
    OneIpRoleNone = 0,      /* not configured, or no adapter */
    OneIpRoleListening = 1, /* has not yet heard a whole silence or a dispatcher */
    OneIpRoleBackup = 2,    /* hears a dispatcher */
    OneIpRoleDispatcher = 3
} ONEIP_ROLE;

/* Ordered lexicographically: counter, then node. The counter is on disk before use. */
typedef struct ONEIP_EPOCH
{
    UINT64 Counter;
    UINT32 NodeId;
    UINT32 Reserved;
} ONEIP_EPOCH;

typedef enum ONEIP_ADAPTER_STATE
{
    OneIpAdapterAbsent = 0, /* no bound adapter has the local member's Mac */
    OneIpAdapterPaused = 1,
    OneIpAdapterRunning = 2,
    OneIpAdapterDisconnected = 3
} ONEIP_ADAPTER_STATE;

typedef struct ONEIP_MEMBER_STATUS
{
    UINT32 NodeId;
    UINT32 Alive;      /* 1: heard within the silence limit, or the local node */
    UINT32 SilentMs;   /* since its last authentic beacon; 0xFFFFFFFF never */
    UINT32 Slots;      /* of the table in force */
    UINT64 Generation; /* configuration generation that it announced; 0 unknown */
    UINT64 Frames;     /* sent to it by this node as dispatcher; passed up, for the local node */
    UINT64 Bytes;
    UINT32 Draining; /* 1: by its own word serves no new client */
    UINT32 Reserved;
} ONEIP_MEMBER_STATUS;

/* Followed by ONEIP_MEMBER_STATUS[MemberCount]. */
typedef struct ONEIP_STATUS
{
    UINT32 Version;
    UINT32 Role;         /* ONEIP_ROLE */
    UINT32 AdapterState; /* ONEIP_ADAPTER_STATE */
    UINT32 Vetoed;       /* 1: user mode forbids the role here */
    ONEIP_EPOCH Epoch;   /* of the dispatcher last heard, or of this node's own role */
    UINT32 Dispatcher;   /* its NodeId, 0 when none is known */
    UINT32 LocalNode;
    UINT64 Generation;        /* in force here; 0 none */
    UINT64 ClusterGeneration; /* the highest that any member announced */
    UINT64 TableDigest;       /* SipHash-2-4 of the table's content under a zero key */
    UINT64 ReservedCounter;   /* epoch counters up to this are on disk */
    UINT64 Takeovers;         /* times that this node became dispatcher since it was loaded */
    UINT64 RoleMilliseconds;  /* time in the present role */
    UINT64 EventSequence;     /* of the newest event */
    UINT32
    Behind; /* 1: some member announced a higher generation, or the same with another table */
    UINT32 MemberCount;
    UINT32 Draining; /* 1: this node serves no new client */
    UINT32 RuleCount;
} ONEIP_STATUS;

/* Why a frame that concerned the cluster was not delivered. */
typedef enum ONEIP_DROP
{
    OneIpDropNotDispatcher = 0, /* for a cluster address, reached a node that does not dispatch */
    OneIpDropNoMember = 1,      /* no live member has a weight */
    OneIpDropMalformed = 2,     /* headers cut short or contradictory */
    OneIpDropNoMemory = 3,
    OneIpDropPaused = 4,   /* to be forwarded while the filter pauses */
    OneIpDropTooLong = 5,  /* beyond the adapter's MTU and not to be segmented */
    OneIpDropNeighbor = 6, /* ARP or NDP for a cluster address, kept from the stack */
    OneIpDropSpoofed =
        7, /* ARP, NA or announcement of the cluster address by a node that does not dispatch */
    OneIpDropSendFailed = 8, /* the adapter completed a forwarded frame with a failure */
    OneIpDropBlocked = 9,    /* by a rule */
    OneIpDropFragment = 10,  /* a fragment whose datagram's first never came, or too many of them */
    OneIpDropUnknown = 11,   /* of a connection that nobody knows yet, just after a takeover: its
                                server is about to claim it */
    OneIpDropReasons = 12
} ONEIP_DROP;

/* All count from the load of the driver; 64-bit, never reset. */
typedef struct ONEIP_STATS
{
    UINT32 Version;
    UINT32 DropReasons;     /* OneIpDropReasons */
    UINT64 FramesIndicated; /* received frames that concerned the cluster: dispatch traffic,
                               neighbour traffic, beacons */
    UINT64 FramesPassed;    /* of these, passed up to this node's stack */
    UINT64 FramesForwarded; /* of these, sent on to a member */
    UINT64
    FramesConsumed; /* of these, used up by the driver itself: beacons, answered ARP and NDP */
    UINT64 BytesForwarded;
    UINT64 FramesSegmented;   /* frames made in software out of coalesced ones */
    UINT64 NeighborReplies;   /* ARP replies and solicited NAs sent for cluster addresses */
    UINT64 Announcements;     /* gratuitous ARPs and unsolicited NAs sent */
    UINT64 NeighborRewritten; /* own ARP requests and NSs whose sender was a cluster address */
    UINT64 AddressConflicts;  /* claims on a cluster address by another machine */
    UINT64 BeaconsSent;
    UINT64 BeaconsReceived; /* authentic ones */
    UINT64 BeaconsRejected; /* wrong length, MAC, version, or a replay */
    UINT64 Stalls;          /* times that this node noticed it had not been running */
    UINT64 Drops[16];       /* by ONEIP_DROP */
    UINT64 FlowHits;        /* frames of flows that were known */
    UINT64 FlowsLearned;
    UINT64 FlowsEvicted;   /* opening or closing ones, to make room */
    UINT64 FlowsUnlearned; /* for which there was no room: they go by the hash */
    UINT64 FramesRelayed;  /* of those forwarded: by this node as the former dispatcher */
    UINT64 SecondChances;  /* of those forwarded: of connections that are not known here, to
                              the former owner */
    UINT64 ClaimsSent;     /* flows that this node serves though the table says otherwise, told
                              to the dispatcher */
    UINT64 ClaimsReceived;
    UINT64 FragmentsHeld; /* now, waiting for the first fragment of their datagram; indicated but
                             neither passed, forwarded, consumed nor dropped yet */
} ONEIP_STATS;

typedef enum ONEIP_EVENT_KIND
{
    OneIpEventRole = 1,       /* this node's role changed: Value = ONEIP_ROLE, Epoch */
    OneIpEventDispatcher = 2, /* another dispatcher is heard: Node, Epoch */
    OneIpEventMemberUp = 3,   /* Node */
    OneIpEventMemberDown = 4, /* Node; Value = milliseconds of silence */
    OneIpEventConflict = 5,   /* another machine claims a cluster address: Address, Mac */
    OneIpEventBehind =
        6, /* Node announced generation Value, above this node's, or the same with another table */
    OneIpEventConfig = 7,      /* generation Value is in force; 0: cleared */
    OneIpEventAdapter = 8,     /* Value = ONEIP_ADAPTER_STATE */
    OneIpEventBindRefused = 9, /* Value = ONEIP_BIND_REFUSAL; Mac */
    OneIpEventBeaconKey =
        10, /* Node sends beacons of this cluster with another key (at most one event a minute) */
    OneIpEventStall = 11, /* this node had not been running for Value milliseconds */
    OneIpEventDrain = 12  /* Node: Value 1, drains; 0, serves new clients again */
} ONEIP_EVENT_KIND;

/* Why the filter did not attach to an adapter. */
typedef enum ONEIP_BIND_REFUSAL
{
    OneIpBindNotEthernet = 1,
    OneIpBindWifi = 2,
    OneIpBindTeamMember = 3,
    OneIpBindVirtualSwitch = 4,
    OneIpBindNlb = 5
} ONEIP_BIND_REFUSAL;

typedef struct ONEIP_EVENT
{
    UINT64 Sequence;   /* 1 .. ; a gap means that older ones were overwritten */
    UINT64 SystemTime; /* 100 ns since 1601-01-01 UTC */
    UINT32 Kind;       /* ONEIP_EVENT_KIND */
    UINT32 Node;
    UINT64 Value;
    ONEIP_EPOCH Epoch;
    ONEIP_ADDRESS Address;
    UINT8 Mac[6];
    UINT8 Reserved[2];
} ONEIP_EVENT;

/* Inverted call: pends until an event with Sequence > After exists; returns as many as fit. */
typedef struct ONEIP_WAIT_EVENT
{
    UINT64 After;
} ONEIP_WAIT_EVENT;

typedef struct ONEIP_VETO
{
    UINT32 Veto; /* 1: never dispatcher, resign now; 0: lift */
    UINT32 Reserved;
} ONEIP_VETO;

typedef struct ONEIP_DRAIN
{
    UINT32 Drain; /* 1: this node serves no new clients, those that it has go on; 0: again */
    UINT32 Reserved;
} ONEIP_DRAIN;

/* Where would this frame go, if it opened a connection? */
typedef struct ONEIP_LOOKUP
{
    ONEIP_ADDRESS Client;
    ONEIP_ADDRESS Cluster;
    UINT32 Protocol; /* 0 .. 255; 0, 1, 58: no ports */
    UINT16 ClientPort;
    UINT16 ClusterPort;
} ONEIP_LOOKUP;

typedef struct ONEIP_LOOKUP_RESULT
{
    UINT32 NodeId; /* 0: no live member has a weight, or blocked */
    UINT32 Slot;   /* of the table; 0xFFFFFFFF with modulo, single and blocked */
    UINT32 Rule;   /* index; 0xFFFFFFFF: none names it */
    UINT32 Flow;   /* NodeId of the flow that this node knows with these ports; 0: none */
} ONEIP_LOOKUP_RESULT;

typedef enum ONEIP_FLOW_STATE
{
    OneIpFlowOpening = 1,     /* TCP: only SYNs seen; others: one datagram */
    OneIpFlowEstablished = 2, /* more */
    OneIpFlowClosing = 3      /* TCP: FIN or RST seen, from the client */
} ONEIP_FLOW_STATE;

typedef struct ONEIP_FLOW
{
    UINT8 Client[16]; /* IPv4 uses the first four bytes */
    UINT8 Cluster[16];
    UINT16 ClientPort;
    UINT16 ClusterPort;
    UINT32 Family;   /* ONEIP_FAMILY */
    UINT32 Protocol; /* 6, 17 */
    UINT32 State;    /* ONEIP_FLOW_STATE */
    UINT32 NodeId;   /* who serves it */
    UINT32 IdleMs;   /* since its last frame */
} ONEIP_FLOW;

/* Flows of this node's table that match all that is not zero. As dispatcher a node knows the flows
 * of all, else its own and what was claimed or imported while it was. */
typedef struct ONEIP_FLOW_QUERY
{
    UINT64 Cursor; /* 0, or that of the page before */
    ONEIP_ADDRESS Client;
    ONEIP_ADDRESS Cluster;
    UINT32 ClientPrefix; /* bits of Client that count; 0 where its Family is 0 */
    UINT32 Protocol;
    UINT16 ClientPort; /* network byte order */
    UINT16 ClusterPort;
    UINT32 NodeId;
    UINT32 State; /* ONEIP_FLOW_STATE */
    UINT32 Reserved;
} ONEIP_FLOW_QUERY;

/* Followed by ONEIP_FLOW[Count]. A page may be empty and not be the last. What changes while pages
 * are read may be missing or come twice. */
typedef struct ONEIP_FLOW_PAGE
{
    UINT64 Cursor; /* for the next page; 0: this was the last */
    UINT32 Count;
    UINT32 Reserved;
} ONEIP_FLOW_PAGE;

/* Followed by ONEIP_FLOW[Count]. Flows whose server is no member are left out; a flow that is known
 * is served by whom the import says. */
typedef struct ONEIP_FLOW_IMPORT
{
    UINT32 Version; /* ONEIP_CONTRACT_VERSION */
    UINT32 Count;
} ONEIP_FLOW_IMPORT;

typedef struct ONEIP_FLOW_IMPORTED
{
    UINT32 Imported;
    UINT32 Unknown; /* served by no member */
    UINT32 NoRoom;
    UINT32 Reserved;
} ONEIP_FLOW_IMPORTED;

typedef struct ONEIP_FLOW_COUNT
{
    UINT64 Opening;
    UINT64 Established;
    UINT64 Closing;
} ONEIP_FLOW_COUNT;

/* Followed by ONEIP_FLOW_COUNT[MemberCount], by server, and ONEIP_FLOW_COUNT[RuleCount + 1], by
 * rule, what no rule names last. */
typedef struct ONEIP_FLOW_COUNTS
{
    UINT32 MemberCount;
    UINT32 RuleCount;
    UINT64 Capacity; /* FlowCapacity; up to a quarter more may find room */
    UINT64 Bytes;    /* of memory */
    ONEIP_FLOW_COUNT All;
} ONEIP_FLOW_COUNTS;

/* One for each rule, and one for what no rule names. All count from when the rule came into force
 * (a configuration with the same rule at any place keeps its counters). */
typedef struct ONEIP_RULE_STATUS
{
    ONEIP_RULE Rule; /* all zero but Affinity for the last */
    UINT32 NodeId;   /* single: who serves now, 0 nobody */
    UINT32 Reserved;
    UINT64 Frames; /* dispatched by this node */
    UINT64 Bytes;
    UINT64 Flows; /* learned */
    UINT64 Dropped;
} ONEIP_RULE_STATUS;

typedef enum ONEIP_REASON
{
    OneIpReasonNone = 0,
    OneIpReasonInputTooShort = 1,
    OneIpReasonOutputTooShort = 2,
    OneIpReasonVersion = 3,
    OneIpReasonSize = 4,       /* Size or counts contradict the input's length */
    OneIpReasonReserved = 5,   /* a Reserved field is not zero */
    OneIpReasonGeneration = 6, /* not above the present one */
    OneIpReasonBeaconKey = 7,  /* all zero */
    OneIpReasonBeaconInterval = 8,
    OneIpReasonSilence = 9,
    OneIpReasonAnnounce = 10,
    OneIpReasonAffinity = 11,
    OneIpReasonDispatch = 12,
    OneIpReasonAddressCount = 13,
    OneIpReasonAddress = 14,      /* Index: family unknown, or not a unicast address */
    OneIpReasonAddressTwice = 15, /* Index */
    OneIpReasonMemberCount = 16,
    OneIpReasonNodeId = 17,        /* Index: zero, reserved or twice */
    OneIpReasonRank = 18,          /* Index: twice */
    OneIpReasonWeight = 19,        /* Index */
    OneIpReasonMac = 20,           /* Index: multicast, zero or twice */
    OneIpReasonMemberAddress = 21, /* Index: missing, not unicast, twice, or a cluster address */
    OneIpReasonLocalNode = 22,     /* not among the members */
    OneIpReasonNoWeight = 23,      /* no member has a weight */
    OneIpReasonTable =
        24, /* Index: slot that holds no weighted member; or the member beyond its share */
    OneIpReasonNotConfigured = 25,
    OneIpReasonVetoed = 26,
    OneIpReasonNoAdapter = 27,       /* absent, paused or disconnected */
    OneIpReasonEpochNotDurable = 28, /* the epoch's counter could not be written */
    OneIpReasonTooManyWaiters = 29,
    OneIpReasonValue = 30, /* a field of a small request is out of range */
    OneIpReasonUnknownIoctl = 31,
    OneIpReasonNoMemory = 32,
    OneIpReasonRuleCount = 33,
    OneIpReasonRule = 34,        /* Index: protocol, ports, mode or affinity */
    OneIpReasonRuleOwner = 35,   /* Index: no member, or named where the mode is not single */
    OneIpReasonRuleOverlap = 36, /* Index: overlaps an earlier one */
    OneIpReasonFlowCapacity = 37,
    OneIpReasonIdle = 38,      /* one of the four timeouts */
    OneIpReasonPastTable = 39, /* Index: slot that holds no member, or a past without a table */
    OneIpReasonFlow = 40       /* Index: of the flow at fault */
} ONEIP_REASON;

/* The last refusal on this handle. */
typedef struct ONEIP_REFUSAL
{
    UINT32 Ioctl;  /* control code; 0: nothing was refused yet */
    UINT32 Status; /* NTSTATUS */
    UINT32 Reason; /* ONEIP_REASON */
    UINT32 Index;  /* of the address, member, rule, flow or slot at fault, else 0 */
} ONEIP_REFUSAL;

#define ONEIP_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
ONEIP_ASSERT_SIZE(ONEIP_VERSION, 24);
ONEIP_ASSERT_SIZE(ONEIP_ADDRESS, 24);
ONEIP_ASSERT_SIZE(ONEIP_MEMBER, 40);
ONEIP_ASSERT_SIZE(ONEIP_RULE, 24);
ONEIP_ASSERT_SIZE(ONEIP_CONFIG, 128);
ONEIP_ASSERT_SIZE(ONEIP_EPOCH, 16);
ONEIP_ASSERT_SIZE(ONEIP_MEMBER_STATUS, 48);
ONEIP_ASSERT_SIZE(ONEIP_STATUS, 112);
ONEIP_ASSERT_SIZE(ONEIP_STATS, 320);
ONEIP_ASSERT_SIZE(ONEIP_EVENT, 80);
ONEIP_ASSERT_SIZE(ONEIP_LOOKUP, 56);
ONEIP_ASSERT_SIZE(ONEIP_LOOKUP_RESULT, 16);
ONEIP_ASSERT_SIZE(ONEIP_FLOW, 56);
ONEIP_ASSERT_SIZE(ONEIP_FLOW_QUERY, 80);
ONEIP_ASSERT_SIZE(ONEIP_FLOW_PAGE, 16);
ONEIP_ASSERT_SIZE(ONEIP_FLOW_IMPORT, 8);
ONEIP_ASSERT_SIZE(ONEIP_FLOW_COUNT, 24);
ONEIP_ASSERT_SIZE(ONEIP_FLOW_COUNTS, 48);
ONEIP_ASSERT_SIZE(ONEIP_RULE_STATUS, 64);
ONEIP_ASSERT_SIZE(ONEIP_REFUSAL, 16);
