/*
 * The cluster as the driver holds it: the configuration in force, the role, and what joins them to
 * the adapter.
 */
#pragma once

#include "filter.h"
#include "forward.h"

/* A power of two well above ONEIP_MAX_MEMBERS. */
#define OIP_MAC_SLOTS 256

/*
 * A configuration, built once and never changed but for the effective table. The data path reads
 * it under DataLock.
 */
typedef struct OIP_CONFIGURATION
{
    ONEIP_CONFIG Header;
    ONEIP_ADDRESS Addresses[ONEIP_MAX_ADDRESSES];
    ONEIP_MEMBER Members[ONEIP_MAX_MEMBERS];
    ULONG Local; /* index of the local member */
    OIP_SIP_KEY HashKey;
    OIP_SIP_KEY BeaconKey;

    /* Addresses by family, as the data path compares them. */
    ULONG Ipv4Count;
    ULONG Ipv6Count;
    UINT32 Ipv4[ONEIP_MAX_ADDRESSES]; /* as loaded from a frame */
    UINT8 Ipv6[ONEIP_MAX_ADDRESSES][16];

    /* Members by MAC: open addressing, OIP_TABLE_NONE is free. */
    UINT8 MacSlots[OIP_MAC_SLOTS];

    /* In force: one of Tables; for modulo, List. Written under RoleLock and DataLock. */
    const UINT8 *Effective;
    UINT8 List[ONEIP_MAX_MEMBERS];
    ULONG ListCount;

    UINT64 BaseDigest;
    UINT8 Base[ONEIP_TABLE_SLOTS];
    UINT8 Tables[2][ONEIP_TABLE_SLOTS];
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
VOID OipClusterStatus(_Out_ ONEIP_STATUS *Status,
                      _Out_writes_(ONEIP_MAX_MEMBERS) ONEIP_MEMBER_STATUS *Members);

/* Interrupt time in 100 ns. Any IRQL. */
FORCEINLINE UINT64 OipNow(VOID)
{
    ULONG64 qpc;

    return KeQueryInterruptTimePrecise(&qpc);
}

/* Index of the member with this MAC, OIP_TABLE_NONE if there is none. */
FORCEINLINE ULONG OipMacSlot(_In_reads_(6) const UCHAR *Mac)
{
    return (Mac[5] ^ (Mac[4] * 37U)) & (OIP_MAC_SLOTS - 1);
}

FORCEINLINE ULONG OipMemberByMac(_In_ const OIP_CONFIGURATION *Config,
                                 _In_reads_(6) const UCHAR *Mac)
{
    for (ULONG slot = OipMacSlot(Mac);; slot = (slot + 1) & (OIP_MAC_SLOTS - 1))
    {
        ULONG member = Config->MacSlots[slot];

        if (member == OIP_TABLE_NONE || RtlEqualMemory(Config->Members[member].Mac, Mac, 6))
        {
            return member;
        }
    }
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

/*
 * The member that serves a client, OIP_TABLE_NONE if no live one has a weight. Ports in network
 * order, zero where there are none. *Slot: of the table, MAXULONG with modulo. DataLock (shared).
 */
ULONG OipChooseMember(_In_ const OIP_CONFIGURATION *Config, _In_ UCHAR Family,
                      _In_ const UCHAR *Client, _In_ const UCHAR *Cluster, _In_ UCHAR Protocol,
                      _In_ USHORT ClientPort, _In_ USHORT ClusterPort, _Out_ ULONG *Slot);
