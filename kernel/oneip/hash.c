/*
 * Client and five-tuple hashes. The message is laid out in words here rather than in a buffer; the
 * tests hold it against OipSipHash64 over the same bytes.
 */
#include "hash.h"

static UINT64 OipHashLoad64(_In_reads_bytes_(8) const UINT8 *Bytes)
{
    UINT64 word;

    RtlCopyMemory(&word, Bytes, sizeof(word));
    return word;
}

static UINT32 OipHashLoad32(_In_reads_bytes_(4) const UINT8 *Bytes)
{
    UINT32 word;

    RtlCopyMemory(&word, Bytes, sizeof(word));
    return word;
}

UINT64 OipHashClient(_In_ const OIP_SIP_KEY *Key, _In_ UINT32 Family, _In_ const UINT8 *Address)
{
    OIP_SIP_STATE state;

    if (Family == OneIpFamilyIpv4)
    {
        return OipHashClientIpv4(Key, OipHashLoad32(Address));
    }

    OipSipStart(&state, Key);
    OipSipWord(&state, OipHashLoad64(Address));
    OipSipWord(&state, OipHashLoad64(Address + 8));
    OipSipWord(&state, 16ULL << 56);
    return OipSipFinish64(&state);
}

UINT64 OipHashNetwork(_In_ const OIP_SIP_KEY *Key, _In_ UINT32 Family, _In_ const UINT8 *Address)
{
    OIP_SIP_STATE state;

    OipSipStart(&state, Key);
    if (Family == OneIpFamilyIpv4)
    {
        OipSipWord(&state, (3ULL << 56) | (OipHashLoad32(Address) & 0xFFFFFF));
    }
    else
    {
        OipSipWord(&state, OipHashLoad64(Address));
        OipSipWord(&state, 8ULL << 56);
    }
    return OipSipFinish64(&state);
}

UINT64 OipHashFiveTuple(_In_ const OIP_SIP_KEY *Key, _In_ UINT32 Family, _In_ const UINT8 *Client,
                        _In_ const UINT8 *Cluster, _In_ UINT8 Protocol, _In_ UINT16 ClientPort,
                        _In_ UINT16 ClusterPort)
{
    /* Protocol and ports: five bytes, as they would stand in memory, below the length. */
    UINT64 tail = Protocol | ((UINT64)ClientPort << 8) | ((UINT64)ClusterPort << 24);
    OIP_SIP_STATE state;

    OipSipStart(&state, Key);
    if (Family == OneIpFamilyIpv4)
    {
        OipSipWord(&state, OipHashLoad32(Client) | ((UINT64)OipHashLoad32(Cluster) << 32));
        OipSipWord(&state, (13ULL << 56) | tail);
    }
    else
    {
        OipSipWord(&state, OipHashLoad64(Client));
        OipSipWord(&state, OipHashLoad64(Client + 8));
        OipSipWord(&state, OipHashLoad64(Cluster));
        OipSipWord(&state, OipHashLoad64(Cluster + 8));
        OipSipWord(&state, (37ULL << 56) | tail);
    }
    return OipSipFinish64(&state);
}
