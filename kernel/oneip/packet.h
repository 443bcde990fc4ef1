/*
 * Frames: reading the headers of a received or sent NET_BUFFER, whatever its MDLs look like.
 */
#pragma once

/* Longest run of header bytes that we look at: Ethernet, IPv4 with all options, TCP without. */
#define OIP_HEAD_BYTES 128

#define OIP_ETHERNET_BYTES 14
#define OIP_ETHERTYPE_IPV4 0x0800
#define OIP_ETHERTYPE_ARP  0x0806
#define OIP_ETHERTYPE_IPV6 0x86DD

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

/* The start of a frame, and what its headers say. Offsets are from the first byte of the frame. */
typedef struct OIP_FRAME
{
    const UCHAR
        *Head; /* HeadBytes contiguous bytes, in the frame itself or in the caller's storage */
    ULONG HeadBytes; /* min(Length, OIP_HEAD_BYTES) */
    ULONG Length;    /* of the frame, without FCS */
    USHORT EtherType;
    UCHAR Family;           /* ONEIP_FAMILY, or 0: neither IPv4 nor IPv6 */
    UCHAR Protocol;         /* IPv4 protocol or first IPv6 next header */
    BOOLEAN Malformed;      /* the IP headers are cut short or contradict the frame's length */
    BOOLEAN Fragment;       /* part of a fragmented datagram */
    BOOLEAN HasPorts;       /* TransportOffset is that of a TCP or UDP header within Head */
    USHORT TransportOffset; /* 0 where Malformed or no IP */
    ULONG NetworkBytes;     /* IP header and payload by their own length field */
    const UCHAR *Source;    /* IP addresses, NULL where Head ends before them */
    const UCHAR *Destination;
} OIP_FRAME;

/*
 * Reads the headers of Nb. Storage receives them where the MDLs split them. Never fails: what
 * cannot be read is marked so. Any IRQL <= DISPATCH_LEVEL; the frame must be mapped.
 */
VOID OipParseFrame(_In_ PNET_BUFFER Nb, _Out_writes_bytes_(OIP_HEAD_BYTES) UCHAR *Storage,
                   _Out_ OIP_FRAME *Frame);

/* Copies a whole frame into contiguous memory. FALSE if it is shorter than Bytes or unmapped. */
_Must_inspect_result_ BOOLEAN OipCopyFrame(_In_ PNET_BUFFER Nb, _In_ ULONG Bytes,
                                           _Out_writes_bytes_(Bytes) UCHAR *Target);

/* One's complement sums (RFC 1071). Partial sums add up; OipSumFinish folds and inverts. */
UINT64 OipSum(_In_reads_bytes_(Bytes) const UCHAR *Data, _In_ ULONG Bytes);
USHORT OipSumFold(_In_ UINT64 Sum);
UINT64 OipSumPseudoHeader(_In_ UCHAR Family, _In_ const UCHAR *Source,
                          _In_ const UCHAR *Destination, _In_ UCHAR Protocol,
                          _In_ ULONG TransportBytes);
