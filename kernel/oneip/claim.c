/*
 * Claims on the wire: see claim.h.
 */
#include "claim.h"

static VOID OipPut(_Out_writes_bytes_(Bytes) UINT8 *To, _In_ UINT64 Value, _In_ ULONG Bytes)
{
    RtlCopyMemory(To, &Value, Bytes);
}

static UINT64 OipGet(_In_reads_bytes_(Bytes) const UINT8 *From, _In_ ULONG Bytes)
{
    UINT64 value = 0;

    RtlCopyMemory(&value, From, Bytes);
    return value;
}

VOID OipClaimEncode(_In_ const OIP_CLAIM *Claim, _In_reads_(Claim->Count) const OIP_FLOW_KEY *Flows,
                    _In_reads_bytes_(16) const UINT8 *ClusterId, _In_ const OIP_SIP_KEY *Key,
                    _Out_ UINT8 *Payload)
{
    ULONG bytes = OIP_CLAIM_BYTES(Claim->Count);

    RtlZeroMemory(Payload, OIP_CLAIM_HEADER_BYTES);
    OipPut(Payload, OIP_BEACON_VERSION, 2);
    OipPut(Payload + 2, bytes, 2);
    Payload[4] = OIP_CLAIM_KIND;
    Payload[5] = (UINT8)Claim->Count;
    RtlCopyMemory(Payload + 8, ClusterId, 16);
    OipPut(Payload + 24, Claim->Sender, 4);
    OipPut(Payload + 32, Claim->Boot, 8);
    OipPut(Payload + 40, Claim->Sequence, 8);
    RtlCopyMemory(Payload + OIP_CLAIM_HEADER_BYTES, Flows, Claim->Count * sizeof(*Flows));
    OipSipHash128(Key, Payload, bytes - OIP_SIP_MAC_BYTES, Payload + bytes - OIP_SIP_MAC_BYTES);
}

BOOLEAN OipFlowKeyValid(_In_ const OIP_FLOW_KEY *Key)
{
    UINT8 protocol = OipFlowProtocol(Key);
    UINT8 family = OipFlowFamily(Key);

    return Key->Word[4] >> 48 == 0 && (protocol == 6 || protocol == 17) &&
           (family == OneIpFamilyIpv6 ||
            (family == OneIpFamilyIpv4 && (Key->Word[1] | Key->Word[2] | Key->Word[3]) == 0));
}

OIP_BEACON_RESULT OipClaimDecode(_In_reads_bytes_(Length) const UINT8 *Payload, _In_ ULONG Length,
                                 _In_reads_bytes_(16) const UINT8 *ClusterId,
                                 _In_ const OIP_SIP_KEY *Key, _Out_ OIP_CLAIM *Claim,
                                 _Outptr_ const UINT8 **Flows)
{
    UINT8 mac[OIP_SIP_MAC_BYTES];
    ULONG count;

    RtlZeroMemory(Claim, sizeof(*Claim));
    *Flows = NULL;
    if (Length < OIP_CLAIM_BYTES(1) || Length > OIP_CLAIM_MAX_BYTES)
    {
        return OipBeaconLength;
    }
    if (OipGet(Payload, 2) != OIP_BEACON_VERSION)
    {
        return OipBeaconVersion;
    }
    count = Payload[5];
    if (count == 0 || OipGet(Payload + 2, 2) != Length || Length != OIP_CLAIM_BYTES(count))
    {
        return OipBeaconLength;
    }
    if (!RtlEqualMemory(Payload + 8, ClusterId, 16))
    {
        return OipBeaconCluster;
    }
    OipSipHash128(Key, Payload, Length - OIP_SIP_MAC_BYTES, mac);
    if (!OipSipEqual(mac, Payload + Length - OIP_SIP_MAC_BYTES, OIP_SIP_MAC_BYTES))
    {
        return OipBeaconMac;
    }
    if (Payload[4] != OIP_CLAIM_KIND || OipGet(Payload + 6, 2) != 0 || OipGet(Payload + 28, 4) != 0)
    {
        return OipBeaconField;
    }
    *Flows = Payload + OIP_CLAIM_HEADER_BYTES;
    for (ULONG i = 0; i < count; i++)
    {
        OIP_FLOW_KEY key;

        RtlCopyMemory(&key, *Flows + i * sizeof(key), sizeof(key));
        if (!OipFlowKeyValid(&key))
        {
            return OipBeaconField;
        }
    }
    Claim->Sender = (UINT32)OipGet(Payload + 24, 4);
    Claim->Boot = OipGet(Payload + 32, 8);
    Claim->Sequence = OipGet(Payload + 40, 8);
    Claim->Count = count;
    return OipBeaconOk;
}
