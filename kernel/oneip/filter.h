/*
 * Filter modules: one for each adapter that we are bound to.
 */
#pragma once

#include "oneip.h"

/* VLANs that the cluster's frames were seen on; announcements go there, too. */
#define OIP_MAX_VLANS     8
#define OIP_VLAN_IN_FRAME 0x10000 /* the tag is part of the frame, with TPID 0x8100 */

/* What the adapter takes off our hands on send, as it is configured now. */
typedef struct OIP_OFFLOAD
{
    BOOLEAN ChecksumTcp4;
    BOOLEAN ChecksumUdp4;
    BOOLEAN ChecksumTcp6;
    BOOLEAN ChecksumUdp6;
    ULONG LsoMax4; /* largest payload that LSOv2 takes, bytes; 0: none */
    ULONG LsoMin4; /* fewest segments */
    ULONG LsoMax6;
    ULONG LsoMin6;
    BOOLEAN Rsc4; /* receive segment coalescing is on */
    BOOLEAN Rsc6;
} OIP_OFFLOAD;

struct OIP_FILTER
{
    LIST_ENTRY Link; /* Oip.Filters; ControlLock */
    NDIS_HANDLE Handle;
    NDIS_HANDLE Pool;                   /* of own NBLs, each with NB, MDL and BufferBytes of data */
    PEX_RUNDOWN_REF_CACHE_AWARE Sends;  /* held by every own NBL; run down while not running */
    OIP_FRAGMENTS *Fragments;           /* fragment.h */
    volatile LONG Vlans[OIP_MAX_VLANS]; /* 802.1Q tag, without priority; 0 free; never forgotten */
    UCHAR Mac[6];
    ULONG Mtu;         /* bytes above the Ethernet header */
    ULONG BufferBytes; /* Mtu, the Ethernet header and tags */

    /* Written under RoleLock and DataLock, read under either. */
    BOOLEAN Running;
    BOOLEAN Connected;
    BOOLEAN Leaving; /* an orderly pause or power-down is announced: be quiet */
    OIP_OFFLOAD Offload;

    KSPIN_LOCK OidLock;
    PNDIS_OID_REQUEST OidClone; /* on its way down for the stack above; OidLock */

    /* An OID request of our own (oid.c): one at a time, by the work item of cluster.c. */
    NDIS_OID_REQUEST Oid;
    KEVENT OidDone;
    NDIS_STATUS OidStatus;
    KEVENT OidIdle;   /* FilterDetach waits for it */
    BOOLEAN RscAsked; /* what we asked for last: TRUE, off; ControlLock */
    BOOLEAN Rsc4Off;  /* by us, to be restored; OipRscWork's alone */
    BOOLEAN Rsc6Off;
};

FILTER_ATTACH OipFilterAttach;
FILTER_DETACH OipFilterDetach;
FILTER_RESTART OipFilterRestart;
FILTER_PAUSE OipFilterPause;
FILTER_STATUS OipFilterStatus;
FILTER_NET_PNP_EVENT OipFilterNetPnPEvent;
FILTER_OID_REQUEST OipFilterOidRequest;
FILTER_CANCEL_OID_REQUEST OipFilterCancelOidRequest;
FILTER_OID_REQUEST_COMPLETE OipFilterOidRequestComplete;
FILTER_RECEIVE_NET_BUFFER_LISTS OipReceive;
FILTER_RETURN_NET_BUFFER_LISTS OipReturn;
FILTER_SEND_NET_BUFFER_LISTS OipSend;
FILTER_SEND_NET_BUFFER_LISTS_COMPLETE OipSendComplete;

/* Asks the adapter for receive segment coalescing off, or back as it was; waits for it. One at a
 * time, PASSIVE_LEVEL, without ControlLock: a pause must be able to go on meanwhile. */
VOID OipFilterSetRsc(_Inout_ OIP_FILTER *Filter, _In_ BOOLEAN Disable);
