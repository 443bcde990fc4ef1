/*
 * ONE-IP: what the files of the driver share.
 *
 * The driver is an NDIS 6 modifying lightweight filter with a control device. One cluster is
 * configured at a time; it lives on the one filter module whose adapter has the local member's
 * MAC address. On every other adapter the driver passes everything through untouched.
 *
 *      control.c ── config.c ──┐                          IOCTLs, PASSIVE_LEVEL
 *                              v
 *      cluster.c ── role.c ── OIP_CLUSTER ── event.c      timer DPC and beacons, DISPATCH_LEVEL
 *                              ^
 *      filter.c ── receive.c / send.c ── neighbor.c, forward.c      data path, DISPATCH_LEVEL
 *
 * Locks, in the order in which they are taken:
 *  1. Oip.ControlLock (fast mutex, PASSIVE): serialises configuration, attach and detach, pause
 *     and restart. Nothing that waits for the data path's end is done under a later lock.
 *  2. Cluster.RoleLock (spin lock): the role, liveness, the reserve of epoch counters, events
 *     that they raise.
 *  3. Oip.DataLock (NDIS read-write lock; readers do not share a cache line): Cluster.Config, its
 *     effective table, Filter.Running and Filter.Bound. The data path reads; whoever changes one
 *     of them writes, so that when the writer is done no frame is treated by the old state.
 *  4. leaf locks: Events.Lock.
 *
 * Nothing is called in other drivers under RoleLock; sends are gathered under DataLock and made
 * after it is released.
 */
#pragma once

#include <ntddk.h>

#include <ndis.h>

#include <ntswift/oneip.h>

#include "beacon.h"
#include "hash.h"
#include "role.h"
#include "siphash.h"
#include "table.h"

#define OIP_DRIVER_VERSION ((1u << 16) | 0u)

/* Pool tags, read backwards by tools. */
#define OIP_TAG_FILTER  'fIpO'
#define OIP_TAG_CONFIG  'cIpO'
#define OIP_TAG_PACKET  'pIpO'
#define OIP_TAG_CONTROL 'tIpO'
#define OIP_TAG_STATS   'sIpO'
#define OIP_TAG_FLOWS   'lIpO'

/* Fields of frames stand at any address. Native order: for comparing and hashing, not for counting.
 */
#pragma pack(push, 1)
typedef struct OIP_UNALIGNED16
{
    UINT16 Value;
} OIP_UNALIGNED16;
typedef struct OIP_UNALIGNED32
{
    UINT32 Value;
} OIP_UNALIGNED32;
typedef struct OIP_UNALIGNED64
{
    UINT64 Value;
} OIP_UNALIGNED64;
#pragma pack(pop)

#define OipLoad16(Address) (((const OIP_UNALIGNED16 *)(Address))->Value)
#define OipLoad32(Address) (((const OIP_UNALIGNED32 *)(Address))->Value)
#define OipLoad64(Address) (((const OIP_UNALIGNED64 *)(Address))->Value)

/* A MAC address as a number; two bytes behind it are read. */
#define OipLoadMac(Address) (OipLoad64(Address) & 0xFFFFFFFFFFFFULL)

#define OIP_MIN(a, b) ((a) < (b) ? (a) : (b))
#define OIP_MAX(a, b) ((a) > (b) ? (a) : (b))

#define OIP_RULE_NONE 0xFF /* no rule's index */
C_ASSERT(ONEIP_MAX_RULES < OIP_RULE_NONE);

typedef struct OIP_FILTER OIP_FILTER;
typedef struct OIP_FRAGMENTS OIP_FRAGMENTS;
