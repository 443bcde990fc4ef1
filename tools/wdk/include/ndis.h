/*
 * NDIS 6 drivers. The parts are in ndis/.
 */
#pragma once

#include <ntddk.h>
#include <ntddndis.h>

typedef UNICODE_STRING NDIS_STRING, *PNDIS_STRING;

#define ETH_LENGTH_OF_ADDRESS 6
#define ETH_IS_MULTICAST(a)   ((BOOLEAN)(((PUCHAR)(a))[0] & 1))
#define ETH_IS_BROADCAST(a)                                                                        \
    ((((PUCHAR)(a))[0] & ((PUCHAR)(a))[1] & ((PUCHAR)(a))[2] & ((PUCHAR)(a))[3] &                  \
      ((PUCHAR)(a))[4] & ((PUCHAR)(a))[5]) == 0xff)

#include <ndis/nbl.h>
#include <ndis/oidreq.h>
#include <ndis/filter.h>
#include <ndis/misc.h>
