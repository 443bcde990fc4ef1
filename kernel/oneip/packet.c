/*
 * Frames: parsing and Internet checksums. Nothing here knows of clusters.
 *
 * The parser trusts no length: each field is read only after the bytes that hold it are known to
 * be there.
 */
#include "oneip.h"

#include "packet.h"

/* A frame with more has no ports. */
#define OIP_MAX_EXTENSIONS 16

_Use_decl_annotations_ BOOLEAN OipReadAt(PNET_BUFFER Nb, ULONG Offset, ULONG Bytes, UCHAR *Target)
{
    PMDL mdl = NET_BUFFER_CURRENT_MDL(Nb);
    ULONG skip = NET_BUFFER_CURRENT_MDL_OFFSET(Nb);

    if (Offset > NET_BUFFER_DATA_LENGTH(Nb) || Bytes > NET_BUFFER_DATA_LENGTH(Nb) - Offset)
    {
        return FALSE;
    }
    skip += Offset;
    for (; mdl != NULL && Bytes != 0; mdl = mdl->Next)
    {
        ULONG count = MmGetMdlByteCount(mdl);
        const UCHAR *data;

        if (skip >= count)
        {
            skip -= count;
            continue;
        }
        data = MmGetSystemAddressForMdlSafe(mdl, LowPagePriority | MdlMappingNoExecute);
        if (data == NULL)
        {
            return FALSE;
        }
        count = OIP_MIN(count - skip, Bytes);
        RtlCopyMemory(Target, data + skip, count);
        Target += count;
        Bytes -= count;
        skip = 0;
    }
    return Bytes == 0;
}

/* Bytes at Offset, in Head or fetched into Storage. NULL: there are not so many. */
static const UCHAR *OipFetch(_In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame, _In_ ULONG Offset,
                             _In_ ULONG Bytes, _Out_writes_bytes_(Bytes) UCHAR *Storage)
{
    if (Offset + Bytes <= Frame->HeadBytes)
    {
        return Frame->Head + Offset;
    }
    return OipReadAt(Nb, Offset, Bytes, Storage) ? Storage : NULL;
}

/* The transport header, as much of it as there is. */
static VOID OipParseTransport(_In_ PNET_BUFFER Nb, _Inout_ OIP_FRAME *Frame)
{
    ULONG bytes = Frame->LinkBytes + Frame->NetworkBytes - Frame->TransportOffset;

    if (Frame->TransportOffset + OIP_TRANSPORT_BYTES <= Frame->HeadBytes)
    {
        Frame->Transport = Frame->Head + Frame->TransportOffset;
        Frame->TransportBytes = OIP_MIN(bytes, Frame->HeadBytes - Frame->TransportOffset);
    }
    else
    {
        bytes = OIP_MIN(bytes, (ULONG)OIP_TRANSPORT_BYTES);
        Frame->Transport =
            OipFetch(Nb, Frame, Frame->TransportOffset, bytes, Frame->TransportStorage);
        Frame->TransportBytes = Frame->Transport == NULL ? 0 : bytes;
    }
    Frame->HasPorts =
        (Frame->Protocol == OIP_PROTOCOL_TCP && Frame->TransportBytes >= OIP_TCP_BYTES) ||
        (Frame->Protocol == OIP_PROTOCOL_UDP && Frame->TransportBytes >= OIP_UDP_BYTES);
    /* RFC 1858: a first fragment too short for its ports has only one purpose. */
    Frame->Malformed = Frame->Fragment && !Frame->HasPorts &&
                       (Frame->Protocol == OIP_PROTOCOL_TCP || Frame->Protocol == OIP_PROTOCOL_UDP);
}

static VOID OipParseIpv4(_Inout_ OIP_FRAME *Frame)
{
    const UCHAR *ip = Frame->Head + Frame->LinkBytes;
    ULONG available = Frame->HeadBytes - Frame->LinkBytes;
    ULONG headerBytes;
    USHORT fragment;

    Frame->Family = OneIpFamilyIpv4;
    Frame->Malformed = TRUE;
    if (available < OIP_IPV4_BYTES)
    {
        return;
    }

    Frame->Source = ip + OIP_IPV4_SOURCE;
    Frame->Destination = ip + OIP_IPV4_DESTINATION;
    Frame->Protocol = ip[OIP_IPV4_PROTOCOL];
    Frame->NetworkBytes = OipRead16(ip + OIP_IPV4_TOTAL_LENGTH);
    headerBytes = (ip[0] & 0x0FU) * 4U;
    if (ip[0] >> 4 != 4 || headerBytes < OIP_IPV4_BYTES || Frame->NetworkBytes < headerBytes ||
        Frame->NetworkBytes > Frame->Length - Frame->LinkBytes)
    {
        return;
    }

    Frame->Malformed = FALSE;
    Frame->TransportOffset = Frame->LinkBytes + headerBytes;
    fragment = OipRead16(ip + OIP_IPV4_FRAGMENT);
    if ((fragment & 0x3FFF) != 0)
    {
        Frame->Fragment = TRUE;
        Frame->MoreFragments = (fragment & 0x2000) != 0;
        Frame->FragmentStart = (fragment & 0x1FFFUL) * 8;
        Frame->FragmentBytes = Frame->NetworkBytes - headerBytes;
        Frame->FragmentId = OipRead16(ip + OIP_IPV4_ID);
    }
}

static VOID OipParseFragmentHeader(_In_reads_bytes_(8) const UCHAR *Header, _In_ ULONG PayloadBytes,
                                   _Inout_ OIP_FRAME *Frame)
{
    USHORT fragment = OipRead16(Header + 2);

    /* RFC 6946: one that is alone is no fragment. */
    if ((fragment & 0xFFF9) != 0)
    {
        Frame->Fragment = TRUE;
        Frame->MoreFragments = (fragment & 1) != 0;
        Frame->FragmentStart = fragment & 0xFFF8UL;
        Frame->FragmentBytes = PayloadBytes;
        Frame->FragmentId = OipRead32(Header + 4);
    }
}

/* Walks to the transport header, or to where a later fragment's data begins. */
static VOID OipParseExtensions(_In_ PNET_BUFFER Nb, _Inout_ OIP_FRAME *Frame)
{
    ULONG end = Frame->LinkBytes + Frame->NetworkBytes;

    for (ULONG count = 0; count < OIP_MAX_EXTENSIONS; count++)
    {
        UCHAR storage[8];
        const UCHAR *header;
        ULONG bytes;

        if (!OipIsExtension(Frame->Protocol))
        {
            return;
        }
        header = end - Frame->TransportOffset < sizeof(storage)
                     ? NULL
                     : OipFetch(Nb, Frame, Frame->TransportOffset, sizeof(storage), storage);
        if (header == NULL)
        {
            Frame->Malformed = TRUE;
            return;
        }
        bytes = OipExtensionBytes(Frame->Protocol, header);
        if (bytes > end - Frame->TransportOffset)
        {
            Frame->Malformed = TRUE;
            return;
        }
        if (Frame->Protocol == OIP_EXTENSION_FRAGMENT)
        {
            OipParseFragmentHeader(header, end - Frame->TransportOffset - 8, Frame);
        }
        Frame->Protocol = header[0];
        Frame->TransportOffset += bytes;
        if (!OipIsFirst(Frame))
        {
            return;
        }
    }
}

static VOID OipParseIpv6(_In_ PNET_BUFFER Nb, _Inout_ OIP_FRAME *Frame)
{
    const UCHAR *ip = Frame->Head + Frame->LinkBytes;
    ULONG available = Frame->HeadBytes - Frame->LinkBytes;

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
    if (ip[0] >> 4 != 6 || Frame->NetworkBytes > Frame->Length - Frame->LinkBytes)
    {
        Frame->Malformed = TRUE;
        return;
    }

    Frame->TransportOffset = Frame->LinkBytes + (ULONG)OIP_IPV6_BYTES;
    OipParseExtensions(Nb, Frame);
}

/* Ethernet header and tags. FALSE: shorter than that. */
static BOOLEAN OipParseLink(_Inout_ OIP_FRAME *Frame)
{
    Frame->LinkBytes = OIP_ETHERNET_BYTES;
    Frame->EtherType = OipRead16(Frame->Head + 12);
    for (ULONG tags = 0; tags < OIP_MAX_VLAN_TAGS; tags++)
    {
        if (Frame->EtherType != OIP_ETHERTYPE_VLAN && Frame->EtherType != OIP_ETHERTYPE_QINQ)
        {
            break;
        }
        if (Frame->HeadBytes < Frame->LinkBytes + (ULONG)OIP_VLAN_TAG_BYTES)
        {
            return FALSE;
        }
        Frame->LinkBytes += OIP_VLAN_TAG_BYTES;
        Frame->EtherType = OipRead16(Frame->Head + Frame->LinkBytes - 2);
    }
    return TRUE;
}

_Use_decl_annotations_ VOID OipParseFrame(PNET_BUFFER Nb, UCHAR *Storage, OIP_FRAME *Frame)
{
    RtlZeroMemory(Frame, FIELD_OFFSET(OIP_FRAME, TransportStorage));
    Frame->Length = NET_BUFFER_DATA_LENGTH(Nb);
    if (Frame->Length < OIP_ETHERNET_BYTES)
    {
        return;
    }

    Frame->HeadBytes = OIP_MIN(Frame->Length, OIP_HEAD_BYTES);
    Frame->Head = NdisGetDataBuffer(Nb, Frame->HeadBytes, Storage, 1, 0);
    if (Frame->Head == NULL)
    {
        /* The MDL could not be mapped: low resources. */
        Frame->HeadBytes = 0;
        Frame->Unreadable = TRUE;
        return;
    }

    if (!OipParseLink(Frame))
    {
        Frame->EtherType = 0;
        return;
    }
    switch (Frame->EtherType)
    {
    case OIP_ETHERTYPE_IPV4:
        OipParseIpv4(Frame);
        break;
    case OIP_ETHERTYPE_IPV6:
        OipParseIpv6(Nb, Frame);
        break;
    default:
        return;
    }
    if (!Frame->Malformed && OipIsFirst(Frame))
    {
        OipParseTransport(Nb, Frame);
    }
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
