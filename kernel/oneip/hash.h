/*
 * From a client to a hash: what of a frame counts as "the client", and the keyed hash over it.
 *
 *      affinity     message (SipHash-2-4 under the configuration's HashKey)           bytes
 *      client       source address                                                    4 or 16
 *      network      its first 24 or 64 bits                                           3 or 8
 *      five-tuple   client address, cluster address, protocol, client port, cluster port
 *                                                                                     13 or 37
 *
 * The lengths are all different and SipHash takes the length in, so no two kinds of message can
 * collide but by chance. Addresses and ports go in as they stand in the frame. Where a datagram has
 * no ports, both are zero. NT-SwiFT 1998, section 3.6, hashes the client's address; the key is
 * ours, so that nobody outside can choose addresses that all fall on one server.
 *
 * All functions: any IRQL, no state.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#include "siphash.h"

/* Length of an address of this family. */
FORCEINLINE ULONG OipAddressBytes(_In_ UINT32 Family)
{
    return Family == OneIpFamilyIpv4 ? 4U : 16U;
}

/* Affinity by client, IPv4. Address: the four bytes read as one little-endian word, which on x64 is
 * a plain load. One word of message, so six rounds in all. */
FORCEINLINE UINT64 OipHashClientIpv4(_In_ const OIP_SIP_KEY *Key, _In_ UINT32 Address)
{
    OIP_SIP_STATE state;

    OipSipStart(&state, Key);
    OipSipWord(&state, (4ULL << 56) | Address);
    return OipSipFinish64(&state);
}

/* Affinity by client. Address: 4 or 16 bytes. */
UINT64 OipHashClient(_In_ const OIP_SIP_KEY *Key, _In_ UINT32 Family, _In_ const UINT8 *Address);

/* Affinity by network: /24 or /64 of a source address of 4 or 16 bytes. */
UINT64 OipHashNetwork(_In_ const OIP_SIP_KEY *Key, _In_ UINT32 Family, _In_ const UINT8 *Address);

/* Affinity by five-tuple. Ports are in network byte order, as loaded from the frame; both zero
 * where there are none. */
UINT64 OipHashFiveTuple(_In_ const OIP_SIP_KEY *Key, _In_ UINT32 Family, _In_ const UINT8 *Client,
                        _In_ const UINT8 *Cluster, _In_ UINT8 Protocol, _In_ UINT16 ClientPort,
                        _In_ UINT16 ClusterPort);

/* The slot of a hash: its upper half scaled to the table, without a division. */
FORCEINLINE ULONG OipHashSlot(_In_ UINT64 Hash)
{
    return (ULONG)(((Hash >> 32) * ONEIP_TABLE_SLOTS) >> 32);
}

/* The paper's: which of Count live members, 0 .. Count - 1. Count is not zero. */
FORCEINLINE ULONG OipHashModulo(_In_ UINT64 Hash, _In_ ULONG Count)
{
    return (ULONG)(Hash % Count);
}
