/*
 * Frames: parsing and Internet checksums. Nothing here knows of clusters.
 *
 * The parser trusts no length: each field is read only after the bytes that hold it are known to
 * be in Head. IPv6 extension headers are not walked here; a frame that has one has no ports and
 * hashes by its addresses.
 */
#include "oneip.h"

#include "packet.h"

static VOID OipParseIpv4(_Inout_ OIP_FRAME *Frame, _In_ ULONG Offset)
{
    const UCHAR *ip = Frame->Head + Offset;
    ULONG available = Frame->HeadBytes - Offset;
    ULONG headerBytes;
    USHORT fragment;

    Frame->Family = OneIpFamilyIpv4;
    if (available < OIP_IPV4_BYTES)
    {
        Frame->Malformed = TRUE;
        return;
    }

    Frame->Source = ip + OIP_IPV4_SOURCE;
    Frame->Destination = ip + OIP_IPV4_DESTINATION;
    Frame->Protocol = ip[OIP_IPV4_PROTOCOL];
    Frame->NetworkBytes = OipRead16(ip + OIP_IPV4_TOTAL_LENGTH);
    headerBytes = (ip[0] & 0x0FU) * 4U;
    if (ip[0] >> 4 != 4 || headerBytes < OIP_IPV4_BYTES || Frame->NetworkBytes < headerBytes ||
        Frame->NetworkBytes > Frame->Length - Offset)
    {
        Frame->Malformed = TRUE;
        return;
    }

    fragment = OipRead16(ip + OIP_IPV4_FRAGMENT);
    Frame->Fragment = (fragment & 0x3FFF) != 0;
    Frame->TransportOffset = (USHORT)(Offset + headerBytes);
}

static VOID OipParseIpv6(_Inout_ OIP_FRAME *Frame, _In_ ULONG Offset)
{
    const UCHAR *ip = Frame->Head + Offset;
    ULONG available = Frame->HeadBytes - Offset;

    Frame->Family = OneIpFamilyIpv6;
    if (available < OIP_IPV6_BYTES)
    {
        Frame->Malformed = TRUE;
        return;
    }

    Frame->Source = ip + OIP_IPV6_SOURCE;
    Frame->Destination = ip + OIP_IPV6_DESTINATION;
    Frame->Protocol = ip[OIP_IPV6_NEXT_HEADER];
    Frame->NetworkBytes = OIP_IPV6_BYTES + OipRead16(ip + OIP_IPV6_PAYLOAD_LENGTH);
    if (ip[0] >> 4 != 6 || Frame->NetworkBytes > Frame->Length - Offset)
    {
        Frame->Malformed = TRUE;
        return;
    }

    Frame->TransportOffset = (USHORT)(Offset + OIP_IPV6_BYTES);
}

_Use_decl_annotations_ VOID OipParseFrame(PNET_BUFFER Nb, UCHAR *Storage, OIP_FRAME *Frame)
{
    ULONG transportBytes;

    RtlZeroMemory(Frame, sizeof(*Frame));
    Frame->Length = NET_BUFFER_DATA_LENGTH(Nb);
    if (Frame->Length < OIP_ETHERNET_BYTES)
    {
        return;
    }

    Frame->HeadBytes = OIP_MIN(Frame->Length, OIP_HEAD_BYTES);
    Frame->Head = NdisGetDataBuffer(Nb, Frame->HeadBytes, Storage, 1, 0);
    if (Frame->Head == NULL)
    {
        /* The MDL could not be mapped: low resources. The frame is left as one we cannot read. */
        Frame->HeadBytes = 0;
        return;
    }

    Frame->EtherType = OipRead16(Frame->Head + 12);
    switch (Frame->EtherType)
    {
    case OIP_ETHERTYPE_IPV4:
        OipParseIpv4(Frame, OIP_ETHERNET_BYTES);
        break;
    case OIP_ETHERTYPE_IPV6:
        OipParseIpv6(Frame, OIP_ETHERNET_BYTES);
        break;
    default:
        return;
    }

    if (Frame->Malformed || Frame->Fragment || Frame->TransportOffset > Frame->HeadBytes)
    {
        return;
    }
    transportBytes = OIP_MIN(Frame->HeadBytes - Frame->TransportOffset,
                             Frame->NetworkBytes + OIP_ETHERNET_BYTES - Frame->TransportOffset);
    Frame->HasPorts = (Frame->Protocol == OIP_PROTOCOL_TCP && transportBytes >= OIP_TCP_BYTES) ||
                      (Frame->Protocol == OIP_PROTOCOL_UDP && transportBytes >= OIP_UDP_BYTES);
}

_Use_decl_annotations_ BOOLEAN OipCopyFrame(PNET_BUFFER Nb, ULONG Bytes, UCHAR *Target)
{
    const UCHAR *data = NdisGetDataBuffer(Nb, Bytes, Target, 1, 0);

    if (data == NULL)
    {
        return FALSE;
    }
    if (data != Target)
    {
        RtlCopyMemory(Target, data, Bytes);
    }
    return TRUE;
}

/*
 * The sum is taken in native order: by RFC 1071 (B) byte order does not matter as long as the
 * result is stored as it was read. OipSumFold returns it in network order for OipWrite16.
 */
_Use_decl_annotations_ UINT64 OipSum(const UCHAR *Data, ULONG Bytes)
{
    UINT64 sum = 0;

    while (Bytes >= 4)
    {
        sum += OipLoad32(Data);
        Data += 4;
        Bytes -= 4;
    }
    if (Bytes >= 2)
    {
        sum += OipLoad16(Data);
        Data += 2;
        Bytes -= 2;
    }
    if (Bytes != 0)
    {
        sum += *Data;
    }
    return sum;
}

_Use_decl_annotations_ USHORT OipSumFold(UINT64 Sum)
{
    Sum = (Sum & 0xFFFFFFFF) + (Sum >> 32);
    Sum = (Sum & 0xFFFF) + ((Sum >> 16) & 0xFFFF) + (Sum >> 32);
    Sum = (Sum & 0xFFFF) + (Sum >> 16);
    Sum = (Sum & 0xFFFF) + (Sum >> 16);
    return RtlUshortByteSwap((USHORT)Sum);
}

_Use_decl_annotations_ UINT64 OipSumPseudoHeader(UCHAR Family, const UCHAR *Source,
                                                 const UCHAR *Destination, UCHAR Protocol,
                                                 ULONG TransportBytes)
{
    ULONG bytes = Family == OneIpFamilyIpv4 ? 4 : 16;
    UCHAR tail[8];

    OipWrite32(tail, TransportBytes);
    OipWrite32(tail + 4, Protocol);
    return OipSum(Source, bytes) + OipSum(Destination, bytes) + OipSum(tail, sizeof(tail));
}
