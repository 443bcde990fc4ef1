/*
 * The fast path: what most frames are, decided and sent on in one go.
 */
#pragma once

#include "forward.h"
#include "steer.h"

typedef enum OIP_FAST
{
    OipFastNo,   /* not such a frame, nothing was done: the general path */
    OipFastPass, /* this node serves it */
    OipFastSent  /* a copy is in Sends */
} OIP_FAST;

/*
 * A client's frame at the acting dispatcher, of TCP or UDP over IPv4 without options, whole, in one
 * piece of mapped memory, within the MTU, without 802.1Q tags; of a flow that is known or
 * that it opens. Everything else, and everything that goes wrong, is the general path's. DataLock
 * (shared), DISPATCH_LEVEL.
 */
OIP_FAST OipFastReceive(_Inout_ OIP_STEERING *Steering, _In_ OIP_FILTER *Filter,
                        _In_ PNET_BUFFER_LIST Nbl, _In_ PNET_BUFFER Nb, _Inout_ OIP_SENDS *Sends);

/* Adds a batch's counts to those of the processor. */
VOID OipFastCount(_In_ const OIP_STEERING *Steering);
