/*
 * ARP and NDP for the cluster's addresses.
 */
#pragma once

#include "cluster.h"
#include "packet.h"

/* What becomes of a frame. */
typedef enum OIP_VERDICT
{
    OipVerdictPass,    /* not of the cluster, or not to be touched: on its way */
    OipVerdictConsume, /* used up: answered, or replaced by one of ours */
    OipVerdictDrop     /* with the ONEIP_DROP that goes with it */
} OIP_VERDICT;

/*
 * A received ARP frame, or IPv6 frame. Answers, with its 802.1Q tags, go to Sends. Acting: this
 * node dispatches now. *Drop is set with OipVerdictDrop. DataLock (shared), DISPATCH_LEVEL.
 */
OIP_VERDICT OipNeighborReceive(_In_ OIP_FILTER *Filter, _In_ const OIP_CONFIGURATION *Config,
                               _In_ PNET_BUFFER_LIST Nbl, _In_ const OIP_FRAME *Frame,
                               _In_ BOOLEAN Acting, _Inout_ OIP_SENDS *Sends,
                               _Out_ ONEIP_DROP *Drop);

/*
 * What the node's own stack wants to send. With OipVerdictConsume, the frame is to be sent with
 * another sender address: OipNeighborRewrite does that to a copy.
 */
OIP_VERDICT OipNeighborSend(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_FRAME *Frame,
                            _Out_ ONEIP_DROP *Drop);

/* Data: a copy of the whole frame, for which OipNeighborSend said OipVerdictConsume. */
VOID OipNeighborRewrite(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_FRAME *Frame,
                        _Inout_ UCHAR *Data);

/* Remembers the VLAN of a frame for a cluster address, if it is on one. IRQL <= DISPATCH_LEVEL. */
VOID OipNeighborVlan(_Inout_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                     _In_ const OIP_FRAME *Frame);

/* Appends a gratuitous ARP or an unsolicited NA for each cluster address and known VLAN. Returns
 * how many. RoleLock or DataLock; IRQL <= DISPATCH_LEVEL. */
ULONG OipNeighborAnnounce(_In_ OIP_FILTER *Filter, _In_ const OIP_CONFIGURATION *Config,
                          _Inout_ OIP_SENDS *Sends);
