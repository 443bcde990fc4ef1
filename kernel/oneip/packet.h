/*
 * Frames: reading the headers of a received or sent NET_BUFFER, whatever its MDLs look like.
 */
#pragma once

/* The run of header bytes that is looked at in one piece: Ethernet with two tags, IPv4 with all
 * options, TCP without. What stands further back is fetched by itself. */
#define OIP_HEAD_BYTES 128

#define OIP_ETHERNET_BYTES 14
#define OIP_ETHERTYPE_IPV4 0x0800
#define OIP_ETHERTYPE_ARP  0x0806
#define OIP_ETHERTYPE_IPV6 0x86DD
#define OIP_ETHERTYPE_VLAN 0x8100 /* IEEE 802.1Q, C-tag */
#define OIP_ETHERTYPE_QINQ 0x88A8 /* S-tag */
#define OIP_VLAN_TAG_BYTES 4
#define OIP_MAX_VLAN_TAGS  2

#define OIP_PROTOCOL_ICMP   1
#define OIP_PROTOCOL_TCP    6
#define OIP_PROTOCOL_UDP    17
#define OIP_PROTOCOL_ICMPV6 58

/* Offsets within their headers. RFC 791, 8200, 826, 9293, 768. */
#define OIP_IPV4_TOTAL_LENGTH   2
#define OIP_IPV4_ID             4
#define OIP_IPV4_FRAGMENT       6
#define OIP_IPV4_PROTOCOL       9
#define OIP_IPV4_CHECKSUM       10
#define OIP_IPV4_SOURCE         12
#define OIP_IPV4_DESTINATION    16
#define OIP_IPV4_BYTES          20
#define OIP_IPV6_PAYLOAD_LENGTH 4
#define OIP_IPV6_NEXT_HEADER    6
#define OIP_IPV6_HOP_LIMIT      7
#define OIP_IPV6_SOURCE         8
#define OIP_IPV6_DESTINATION    24
#define OIP_IPV6_BYTES          40
#define OIP_TCP_SEQUENCE        4
#define OIP_TCP_DATA_OFFSET     12
#define OIP_TCP_FLAGS           13
#define OIP_TCP_CHECKSUM        16
#define OIP_TCP_BYTES           20
#define OIP_UDP_CHECKSUM        6
#define OIP_UDP_BYTES           8

/* IPv6 extension headers (RFC 8200, 4; IANA's registry). */
#define OIP_EXTENSION_HOP_BY_HOP  0
#define OIP_EXTENSION_ROUTING     43
#define OIP_EXTENSION_FRAGMENT    44
#define OIP_EXTENSION_AH          51
#define OIP_EXTENSION_DESTINATION 60
#define OIP_EXTENSION_MOBILITY    135
#define OIP_EXTENSION_HIP         139
#define OIP_EXTENSION_SHIM6       140

FORCEINLINE BOOLEAN OipIsExtension(_In_ UCHAR Protocol)
{
    switch (Protocol)
    {
    case OIP_EXTENSION_HOP_BY_HOP:
    case OIP_EXTENSION_ROUTING:
    case OIP_EXTENSION_FRAGMENT:
    case OIP_EXTENSION_AH:
    case OIP_EXTENSION_DESTINATION:
    case OIP_EXTENSION_MOBILITY:
    case OIP_EXTENSION_HIP:
    case OIP_EXTENSION_SHIM6:
        return TRUE;
    default:
        return FALSE;
    }
}

/* The length of an extension header, by its first two bytes. */
FORCEINLINE ULONG OipExtensionBytes(_In_ UCHAR Protocol, _In_reads_bytes_(2) const UCHAR *Header)
{
    switch (Protocol)
    {
    case OIP_EXTENSION_FRAGMENT:
        return 8;
    case OIP_EXTENSION_AH: /* RFC 4302, 2.2 */
        return (Header[1] + 2UL) * 4;
    default:
        return (Header[1] + 1UL) * 8;
    }
}

FORCEINLINE USHORT OipRead16(_In_reads_bytes_(2) const UCHAR *Bytes)
{
    return (USHORT)((Bytes[0] << 8) | Bytes[1]);
}

FORCEINLINE ULONG OipRead32(_In_reads_bytes_(4) const UCHAR *Bytes)
{
    return ((ULONG)OipRead16(Bytes) << 16) | OipRead16(Bytes + 2);
}

FORCEINLINE VOID OipWrite16(_Out_writes_bytes_(2) UCHAR *Bytes, _In_ ULONG Value)
{
    Bytes[0] = (UCHAR)(Value >> 8);
    Bytes[1] = (UCHAR)Value;
}

FORCEINLINE VOID OipWrite32(_Out_writes_bytes_(4) UCHAR *Bytes, _In_ ULONG Value)
{
    OipWrite16(Bytes, Value >> 16);
    OipWrite16(Bytes + 2, Value);
}

/* As much of a transport header as is looked at. */
#define OIP_TRANSPORT_BYTES OIP_TCP_BYTES

/* A frame, as far as its headers tell. Offsets are from its first byte. */
typedef struct OIP_FRAME
{
    const UCHAR
        *Head; /* HeadBytes contiguous bytes, in the frame itself or in the caller's storage */
    ULONG HeadBytes;    /* min(Length, OIP_HEAD_BYTES) */
    ULONG Length;       /* of the frame, without FCS */
    USHORT EtherType;   /* behind the tags */
    USHORT LinkBytes;   /* Ethernet header and tags: offset of what follows */
    UCHAR Family;       /* ONEIP_FAMILY, or 0: neither IPv4 nor IPv6 */
    UCHAR Protocol;     /* above IP and its extension headers */
    BOOLEAN Unreadable; /* its memory could not be mapped: nothing else is known */
    BOOLEAN Malformed;  /* the IP headers are cut short or contradict the frame's length */
    BOOLEAN Fragment;   /* part of a fragmented datagram */
    BOOLEAN MoreFragments;
    BOOLEAN HasPorts;    /* Transport is a TCP or UDP header */
    ULONG FragmentStart; /* where in the datagram's payload it belongs, bytes */
    ULONG FragmentBytes;
    UINT32 FragmentId;
    ULONG TransportOffset; /* of what follows the IP headers; 0 where Malformed or no IP */
    ULONG NetworkBytes;    /* IP header and payload by their own length field */
    const UCHAR *Source;   /* IP addresses, NULL where Head ends before them */
    const UCHAR *Destination;
    const UCHAR *Transport; /* TransportBytes of it; NULL behind a fragment's beginning */
    ULONG TransportBytes;   /* at most OIP_TRANSPORT_BYTES are promised */
    UCHAR TransportStorage[OIP_TRANSPORT_BYTES];
} OIP_FRAME;

/* Is it the first fragment of its datagram, or no fragment? */
FORCEINLINE BOOLEAN OipIsFirst(_In_ const OIP_FRAME *Frame)
{
    return !Frame->Fragment || Frame->FragmentStart == 0;
}

/*
 * Reads the headers of Nb. Storage receives them where the MDLs split them. Never fails: what
 * cannot be read is marked so. Any IRQL <= DISPATCH_LEVEL; the frame must be mapped.
 */
VOID OipParseFrame(_In_ PNET_BUFFER Nb, _Out_writes_bytes_(OIP_HEAD_BYTES) UCHAR *Storage,
                   _Out_ OIP_FRAME *Frame);

/* Copies Bytes that begin at Offset. FALSE: the frame ends before, or is unmapped. */
_Must_inspect_result_ BOOLEAN OipReadAt(_In_ PNET_BUFFER Nb, _In_ ULONG Offset, _In_ ULONG Bytes,
                                        _Out_writes_bytes_(Bytes) UCHAR *Target);

/* Copies a whole frame into contiguous memory. FALSE if it is shorter than Bytes or unmapped. */
_Must_inspect_result_ BOOLEAN OipCopyFrame(_In_ PNET_BUFFER Nb, _In_ ULONG Bytes,
                                           _Out_writes_bytes_(Bytes) UCHAR *Target);

/* One's complement sums (RFC 1071). Partial sums add up; OipSumFinish folds and inverts. */
UINT64 OipSum(_In_reads_bytes_(Bytes) const UCHAR *Data, _In_ ULONG Bytes);
USHORT OipSumFold(_In_ UINT64 Sum);
UINT64 OipSumPseudoHeader(_In_ UCHAR Family, _In_ const UCHAR *Source,
                          _In_ const UCHAR *Destination, _In_ UCHAR Protocol,
                          _In_ ULONG TransportBytes);
