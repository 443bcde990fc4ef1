/*
 * The cluster as the driver holds it: the configuration in force, the role, and what joins them to
 * the adapter.
 */
#pragma once

#include "filter.h"
#include "flow.h"
#include "forward.h"

/* Well above ONEIP_MAX_MEMBERS; as many as eight bits count. */
#define OIP_MAC_SLOTS 256

/* How long a member that fell silent is still sent the connections that it has. */
#define OIP_TRUST (2 * 10000000ULL)

/* So long after a takeover, a connection that nobody knows may still be claimed. */
#define OIP_CLAIM_TIME 3000000ULL

/*
 * What liveness makes of a configuration: who serves, and who did before the last change. Members
 * by index, OIP_TABLE_NONE nobody.
 */
typedef struct OIP_VIEW
{
    UINT8 Table[ONEIP_TABLE_SLOTS]; /* effective */
    UINT8 Past[ONEIP_TABLE_SLOTS];  /* of each slot the last other one that had it */
    UINT8 List[ONEIP_MAX_MEMBERS];  /* modulo */
    UINT8 PastList[ONEIP_MAX_MEMBERS];
    ULONG ListCount;
    ULONG PastListCount;
    UINT8 Single[ONEIP_MAX_RULES]; /* of rules with a single server */
    UINT8 PastSingle[ONEIP_MAX_RULES];
} OIP_VIEW;

/*
 * A configuration, built once and never changed but for the view. The data path reads it under
 * DataLock.
 */
typedef struct OIP_CONFIGURATION
{
    ONEIP_CONFIG Header;
    ONEIP_ADDRESS Addresses[ONEIP_MAX_ADDRESSES];
    ONEIP_MEMBER Members[ONEIP_MAX_MEMBERS];
    ONEIP_RULE Rules[ONEIP_MAX_RULES];
    UINT8 RuleByPort[2][65536]; /* TCP, UDP; by port in network byte order */
    ULONG Local;                /* index of the local member */
    OIP_SIP_KEY HashKey;
    OIP_SIP_KEY BeaconKey;

    /* Addresses by family, as the data path compares them. */
    ULONG Ipv4Count;
    ULONG Ipv6Count;
    UINT32 Ipv4[ONEIP_MAX_ADDRESSES]; /* as loaded from a frame */
    UINT8 Ipv6[ONEIP_MAX_ADDRESSES][16];

    /* Members by MAC: open addressing, OIP_TABLE_NONE is free. */
    UINT8 MacSlots[OIP_MAC_SLOTS];

    /* A member has one handle as long as it is a member, whatever its index (flow.h). */
    UINT8 Handle[ONEIP_MAX_MEMBERS];
    UINT8 ByHandle[256]; /* OIP_TABLE_NONE: no member's */

    /* In force: one of Views. Written under RoleLock and DataLock. */
    const OIP_VIEW *View;
    UINT64 Alive;   /* members that live, by the view */
    UINT64 Trusted; /* those, and who fell silent within OIP_TRUST: they may only be held up, and
                       whoever else gets a frame of a connection of theirs can but reset it */
    UINT64 DiedAt[ONEIP_MAX_MEMBERS]; /* RoleLock */
    ULONG Followed; /* the dispatcher: another that this node hears, or itself; OIP_TABLE_NONE */

    /* The configuration that was in force before the hash or the rules changed: its view tells who
     * served then. ControlLock and DataLock. */
    struct OIP_CONFIGURATION *Former;
    UINT8 FormerMap[ONEIP_MAX_MEMBERS];

    UINT64 BaseDigest;
    UINT8 Base[ONEIP_TABLE_SLOTS];
    UINT8 BasePast[ONEIP_TABLE_SLOTS]; /* that came with it */
    OIP_VIEW Views[2];
    OIP_TABLE_SCRATCH Scratch; /* RoleLock */
} OIP_CONFIGURATION;

typedef struct OIP_GLOBALS
{
    PDRIVER_OBJECT DriverObject;
    NDIS_HANDLE FilterDriver;
    NDIS_HANDLE DeviceHandle;
    PDEVICE_OBJECT Device;

    KMUTEX ControlLock;
    LIST_ENTRY Filters;

    KSPIN_LOCK RoleLock;
    PNDIS_RW_LOCK_EX DataLock;

    OIP_CONFIGURATION *Config; /* NULL: not configured */
    OIP_FLOW_TABLE *Flows;     /* exists while Config does; ControlLock and DataLock */
    UINT8 LastHandle;          /* given to a member; ControlLock */
    UINT32 LastDispatcher;     /* NodeId of the one last followed, 0 none; RoleLock */
    UINT64 TakeoverAt;         /* when another one followed it, 0 never; DataLock */
    OIP_FILTER *Bound;         /* the filter on the cluster's adapter, or NULL */

    OIP_ROLE Role;            /* RoleLock */
    OIP_ROLE_ACTIONS Actions; /* RoleLock: of the call in progress */
    BOOLEAN Started;          /* RoleLock: the role and its timer run */
    UINT64 ReserveWanted;     /* RoleLock: epoch counter to make durable */
    UINT64 KeyEventAt;        /* RoleLock: when a BeaconKey event was last raised */
    UINT32 AdapterState;      /* RoleLock: last one that an event told */
    PEX_TIMER Timer;

    volatile LONG AnnounceWanted; /* the data path saw another's claim */
    volatile LONG64 ConflictAt;   /* when a Conflict event was last raised */
} OIP_GLOBALS;

extern OIP_GLOBALS Oip;

/* DriverEntry's and DriverUnload's parts; PASSIVE_LEVEL. */
NTSTATUS OipClusterCreate(VOID);
VOID OipClusterDestroy(VOID);

VOID OipControlLock(VOID);
VOID OipControlUnlock(VOID);

/*
 * Puts Config in force, or none (NULL), in place of the present one, which is freed. ControlLock.
 * ResetReplay: the cluster or its beacon key is another.
 */
VOID OipClusterConfigure(_In_opt_ OIP_CONFIGURATION *Config, _In_ BOOLEAN ResetReplay);

/*
 * A filter module came, went or changed. These set the field under the locks that guard it, find
 * the cluster's adapter anew and start or stop the role accordingly.
 */
VOID OipClusterAttach(_In_ OIP_FILTER *Filter); /* ControlLock */
VOID OipClusterDetach(_In_ OIP_FILTER *Filter); /* ControlLock; Filter is paused */
VOID OipClusterRunning(_In_ OIP_FILTER *Filter, _In_ BOOLEAN Running); /* IRQL <= DISPATCH_LEVEL */
VOID OipClusterConnected(_In_ OIP_FILTER *Filter, _In_ BOOLEAN Connected);
VOID OipClusterLeaving(_In_ OIP_FILTER *Filter, _In_ BOOLEAN Leaving);
VOID OipClusterOffload(_In_ OIP_FILTER *Filter, _In_ const OIP_OFFLOAD *Offload);

/* A frame of our EtherType, without its Ethernet header. DISPATCH_LEVEL, no locks held. */
VOID OipClusterBeacon(_In_ OIP_FILTER *Filter,
                      _In_reads_bytes_(OIP_BEACON_BYTES) const UCHAR *Payload,
                      _In_ const UCHAR *SourceMac);

/* Control, PASSIVE_LEVEL, ControlLock. */
ONEIP_REASON OipClusterSetPrimary(VOID);
VOID OipClusterSetVeto(_In_ BOOLEAN Veto);
VOID OipClusterSetDrain(_In_ BOOLEAN Drain);
VOID OipClusterStatus(_Out_ ONEIP_STATUS *Status,
                      _Out_writes_(ONEIP_MAX_MEMBERS) ONEIP_MEMBER_STATUS *Members);

/* Interrupt time in 100 ns. Any IRQL. */
FORCEINLINE UINT64 OipNow(VOID)
{
    ULONG64 qpc;

    return KeQueryInterruptTimePrecise(&qpc);
}

/* Where the search for a MAC begins. A product's upper bits: neighbouring addresses, as machines
 * bought together have them, fill no run. */
FORCEINLINE ULONG OipMacSlot(_In_ UINT64 Mac)
{
    return (ULONG)((Mac * 0x9E3779B97F4A7C15ULL) >> 56);
}

/* Index of the member with this MAC (two bytes behind it are read), OIP_TABLE_NONE if there is
 * none. */
FORCEINLINE ULONG OipMemberByMac(_In_ const OIP_CONFIGURATION *Config,
                                 _In_reads_(8) const UCHAR *Mac)
{
    UINT64 wanted = OipLoadMac(Mac);

    for (ULONG slot = OipMacSlot(wanted);; slot = (slot + 1) & (OIP_MAC_SLOTS - 1))
    {
        ULONG member = Config->MacSlots[slot];

        if (member == OIP_TABLE_NONE || OipLoadMac(Config->Members[member].Mac) == wanted)
        {
            return member;
        }
    }
}

FORCEINLINE ULONG OipMemberByNode(_In_ const OIP_CONFIGURATION *Config, _In_ UINT32 NodeId)
{
    for (ULONG i = 0; i < Config->Header.MemberCount; i++)
    {
        if (Config->Members[i].NodeId == NodeId)
        {
            return i;
        }
    }
    return OIP_TABLE_NONE;
}

/* Is it a cluster address? Its bytes may be unaligned. */
FORCEINLINE BOOLEAN OipIsClusterIpv4(_In_ const OIP_CONFIGURATION *Config,
                                     _In_reads_(4) const UCHAR *Address)
{
    UINT32 wanted = OipLoad32(Address);

    for (ULONG i = 0; i < Config->Ipv4Count; i++)
    {
        if (Config->Ipv4[i] == wanted)
        {
            return TRUE;
        }
    }
    return FALSE;
}

FORCEINLINE BOOLEAN OipIsClusterIpv6(_In_ const OIP_CONFIGURATION *Config,
                                     _In_reads_(16) const UCHAR *Address)
{
    for (ULONG i = 0; i < Config->Ipv6Count; i++)
    {
        if (RtlEqualMemory(Config->Ipv6[i], Address, 16))
        {
            return TRUE;
        }
    }
    return FALSE;
}
