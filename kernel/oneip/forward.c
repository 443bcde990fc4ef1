/*
 * Forwarding.
 *
 * A received frame is never changed in place: its MDLs may be shared with whoever else sees it.
 * Three ways lead on, cheapest first:
 *
 *  - A frame that fits the adapter's MTU is copied whole into a buffer of ours, and the original
 *    goes home at once. Copying 1,500 bytes costs less than building a chain of MDLs, and it is
 *    the same whether or not the miniport needs its resources back.
 *  - A coalesced (RSC) frame where the adapter offers LSOv2: our buffer holds the headers, a
 *    partial MDL and the rest of the original's chain hold the payload. The original is kept
 *    until the send completes.
 *  - Else the frame is segmented here, each segment a copy.
 *
 * Metadata: an own NBL starts with none. A transport checksum that the receiver's hardware
 * vouched for may be missing in the bytes (coalesced frames; frames of a virtual switch), so such
 * a frame is sent with checksum offload where that is offered, else summed here. A frame that
 * nobody vouched for goes on as it is: its checksum stays end to end.
 * (WDK: "Offloading Checksum Tasks", "Offloading the Segmentation of Large TCP Packets",
 * "Overview of Receive Segment Coalescing".)
 */
#include "oneip.h"

#include "cluster.h"
#include "forward.h"
#include "stats.h"

/* Longest Ethernet, IP and TCP headers with all options. */
#define OIP_MAX_HEADERS (OIP_ETHERNET_BYTES + OIP_MAX_VLAN_TAGS * OIP_VLAN_TAG_BYTES + 60 + 60)

_Use_decl_annotations_ PNET_BUFFER_LIST OipAllocateSend(OIP_FILTER *Filter, ULONG Bytes,
                                                        UCHAR **Data)
{
    PNET_BUFFER_LIST nbl;
    PNET_BUFFER nb;
    OIP_SEND_CONTEXT *context;

    NT_ASSERT(Bytes <= Filter->BufferBytes);
    /* The pool has room for a context; the allocation reserves it. */
    nbl = NdisAllocateNetBufferList(Filter->Pool, sizeof(OIP_SEND_CONTEXT), 0);
    if (nbl == NULL)
    {
        return NULL;
    }

    nb = NET_BUFFER_LIST_FIRST_NB(nbl);
    if (NdisRetreatNetBufferDataStart(nb, Bytes, 0, NULL) != NDIS_STATUS_SUCCESS)
    {
        NdisFreeNetBufferList(nbl);
        return NULL;
    }
    *Data = NdisGetDataBuffer(nb, Bytes, NULL, 1, 0);
    if (*Data == NULL)
    {
        NdisFreeNetBufferList(nbl);
        return NULL;
    }

    nbl->SourceHandle = Filter->Handle;
    context = (OIP_SEND_CONTEXT *)NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);
    RtlZeroMemory(context, sizeof(*context));
    return nbl;
}

_Use_decl_annotations_ VOID OipFreeSend(PNET_BUFFER_LIST Nbl)
{
    OIP_SEND_CONTEXT *context = (OIP_SEND_CONTEXT *)NET_BUFFER_LIST_CONTEXT_DATA_START(Nbl);

    if (context->Partial != NULL)
    {
        /* The chain is head (the pool's), partial (ours), rest (the original's). */
        NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(Nbl))->Next = NULL;
        IoFreeMdl(context->Partial);
    }
    NdisFreeNetBufferList(Nbl);
}

_Use_decl_annotations_ ULONG OipFreeSends(PNET_BUFFER_LIST Nbls)
{
    ULONG count = 0;

    while (Nbls != NULL)
    {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(Nbls);

        OipFreeSend(Nbls);
        count++;
        Nbls = next;
    }
    return count;
}

/* DataLock (shared). Tag: out of band, as the frame came with it. */
static VOID OipStampForwarded(_In_ PNET_BUFFER_LIST Nbl, _In_ OIP_DECISION Decision,
                              _In_opt_ PVOID Tag)
{
    OIP_SEND_CONTEXT *context = (OIP_SEND_CONTEXT *)NET_BUFFER_LIST_CONTEXT_DATA_START(Nbl);

    context->Forwarded = TRUE;
    context->Decision = (UINT8)Decision;
    context->Generation = Oip.Config->Header.Generation;
    NET_BUFFER_LIST_INFO(Nbl, Ieee8021QNetBufferListInfo) = Tag;
}

static BOOLEAN OipOffersChecksum(_In_ const OIP_OFFLOAD *Offload, _In_ UCHAR Family,
                                 _In_ UCHAR Protocol)
{
    if (Family == OneIpFamilyIpv4)
    {
        return Protocol == OIP_PROTOCOL_TCP ? Offload->ChecksumTcp4 : Offload->ChecksumUdp4;
    }
    return Protocol == OIP_PROTOCOL_TCP ? Offload->ChecksumTcp6 : Offload->ChecksumUdp6;
}

/* Has the adapter compute the checksum of a frame of TCP or UDP. Checksum: its field. Sum: of the
 * pseudo-header, which the field then holds, not inverted. */
static VOID OipAskChecksum(_In_ PNET_BUFFER_LIST Nbl, _In_ UCHAR Family, _In_ UCHAR Protocol,
                           _In_ ULONG TransportOffset, _Out_writes_bytes_(2) UCHAR *Checksum,
                           _In_ UINT64 Sum)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;

    OipWrite16(Checksum, OipSumFold(Sum));
    info.Value = NULL;
    info.Transmit.IsIPv4 = Family == OneIpFamilyIpv4;
    info.Transmit.IsIPv6 = Family == OneIpFamilyIpv6;
    info.Transmit.TcpChecksum = Protocol == OIP_PROTOCOL_TCP;
    info.Transmit.UdpChecksum = Protocol == OIP_PROTOCOL_UDP;
    info.Transmit.TcpHeaderOffset = TransportOffset;
    NET_BUFFER_LIST_INFO(Nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
}

/* Where the checksum is in a TCP or UDP header. */
FORCEINLINE ULONG OipChecksumOffset(_In_ UCHAR Protocol)
{
    return Protocol == OIP_PROTOCOL_TCP ? OIP_TCP_CHECKSUM : OIP_UDP_CHECKSUM;
}

/*
 * Gives a segment of TransportBytes at Transport a right checksum: by the adapter, or here.
 */
static VOID OipFixTransportChecksum(_In_ const OIP_OFFLOAD *Offload, _In_ PNET_BUFFER_LIST Nbl,
                                    _In_ const OIP_FRAME *Frame,
                                    _Inout_updates_bytes_(TransportBytes) UCHAR *Transport,
                                    _In_ ULONG TransportBytes)
{
    UCHAR *checksum = Transport + OipChecksumOffset(Frame->Protocol);
    UINT64 sum = OipSumPseudoHeader(Frame->Family, Frame->Source, Frame->Destination,
                                    Frame->Protocol, TransportBytes);
    USHORT folded;

    if (OipOffersChecksum(Offload, Frame->Family, Frame->Protocol))
    {
        OipAskChecksum(Nbl, Frame->Family, Frame->Protocol, Frame->TransportOffset, checksum, sum);
        return;
    }

    OipWrite16(checksum, 0);
    folded = (USHORT)~OipSumFold(sum + OipSum(Transport, TransportBytes));
    if (folded == 0 && Frame->Protocol == OIP_PROTOCOL_UDP)
    {
        folded = 0xFFFF; /* RFC 768: zero would say that there is none */
    }
    OipWrite16(checksum, folded);
}

/* Did the receiver's hardware vouch for the transport checksum? Then the bytes may lack it. */
static BOOLEAN OipChecksumVouched(_In_ PNET_BUFFER_LIST Nbl, _In_ UCHAR Protocol)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;

    info.Value = NET_BUFFER_LIST_INFO(Nbl, TcpIpChecksumNetBufferListInfo);
    return Protocol == OIP_PROTOCOL_TCP ? info.Receive.TcpChecksumSucceeded != 0
                                        : info.Receive.UdpChecksumSucceeded != 0;
}

_Use_decl_annotations_ BOOLEAN OipOffloadPlainReady(const OIP_FILTER *Filter, PNET_BUFFER_LIST Nbl,
                                                    UCHAR Protocol)
{
    return !OipChecksumVouched(Nbl, Protocol) ||
           OipOffersChecksum(&Filter->Offload, OneIpFamilyIpv4, Protocol);
}

_Use_decl_annotations_ VOID OipOffloadPlain(PNET_BUFFER_LIST Nbl, PNET_BUFFER_LIST Copy,
                                            UCHAR *Data)
{
    const UCHAR *ip = Data + OIP_ETHERNET_BYTES;
    UCHAR protocol = ip[OIP_IPV4_PROTOCOL];
    ULONG transport = OIP_ETHERNET_BYTES + OIP_IPV4_BYTES;
    UCHAR *checksum = Data + transport + OipChecksumOffset(protocol);

    if (!OipChecksumVouched(Nbl, protocol) ||
        (protocol == OIP_PROTOCOL_UDP && OipLoad16(checksum) == 0))
    {
        return;
    }
    OipAskChecksum(Copy, OneIpFamilyIpv4, protocol, transport, checksum,
                   OipSumPseudoHeader(
                       OneIpFamilyIpv4, ip + OIP_IPV4_SOURCE, ip + OIP_IPV4_DESTINATION, protocol,
                       OipRead16(ip + OIP_IPV4_TOTAL_LENGTH) - (ULONG)OIP_IPV4_BYTES));
}

static VOID OipAddress(_Out_writes_bytes_(12) UCHAR *Ethernet, _In_ const UCHAR *TargetMac,
                       _In_ const UCHAR *OwnMac)
{
    RtlCopyMemory(Ethernet, TargetMac, 6);
    RtlCopyMemory(Ethernet + 6, OwnMac, 6);
}

static ONEIP_DROP OipForwardCopy(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                                 _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                                 _In_ const UCHAR *TargetMac, _Inout_ OIP_SENDS *Sends)
{
    UCHAR *data;
    PNET_BUFFER_LIST copy = OipAllocateSend(Filter, Frame->Length, &data);

    if (copy == NULL)
    {
        return OneIpDropNoMemory;
    }
    if (!OipCopyFrame(Nb, Frame->Length, data))
    {
        OipFreeSend(copy);
        return OneIpDropNoMemory;
    }

    OipAddress(data, TargetMac, Filter->Mac);
    if (Frame->HasPorts && !Frame->Fragment && OipChecksumVouched(Nbl, Frame->Protocol) &&
        !(Frame->Protocol == OIP_PROTOCOL_UDP &&
          OipRead16(data + Frame->TransportOffset + OIP_UDP_CHECKSUM) == 0))
    {
        OipFixTransportChecksum(&Filter->Offload, copy, Frame, data + Frame->TransportOffset,
                                Frame->LinkBytes + Frame->NetworkBytes - Frame->TransportOffset);
    }
    OipSendsAppend(Sends, copy);
    return OneIpDropReasons;
}

/*
 * Lends the payload from the original: our buffer holds the first HeaderBytes, the rest is the
 * original's MDLs. NULL: no memory.
 */
static PNET_BUFFER_LIST OipCloneBehindHeaders(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                                              _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                                              _In_ ULONG HeaderBytes, _Out_ UCHAR **Data)
{
    PNET_BUFFER_LIST clone;
    PNET_BUFFER nb;
    OIP_SEND_CONTEXT *context;
    PMDL mdl = NET_BUFFER_CURRENT_MDL(Nb);
    ULONG offset = NET_BUFFER_CURRENT_MDL_OFFSET(Nb) + HeaderBytes;
    ULONG bytes;
    PVOID address;

    while (mdl != NULL && offset >= MmGetMdlByteCount(mdl))
    {
        offset -= MmGetMdlByteCount(mdl);
        mdl = mdl->Next;
    }
    if (mdl == NULL)
    {
        return NULL;
    }

    clone = OipAllocateSend(Filter, HeaderBytes, Data);
    if (clone == NULL)
    {
        return NULL;
    }
    nb = NET_BUFFER_LIST_FIRST_NB(clone);
    context = (OIP_SEND_CONTEXT *)NET_BUFFER_LIST_CONTEXT_DATA_START(clone);
    bytes = MmGetMdlByteCount(mdl) - offset;
    address = (UCHAR *)MmGetMdlVirtualAddress(mdl) + offset;
    context->Partial = IoAllocateMdl(address, bytes, FALSE, FALSE, NULL);
    if (context->Partial == NULL || !OipCopyFrame(Nb, HeaderBytes, *Data))
    {
        OipFreeSend(clone);
        return NULL;
    }

    IoBuildPartialMdl(mdl, context->Partial, address, bytes);
    context->Partial->Next = mdl->Next;
    context->Original = Nbl;
    NET_BUFFER_FIRST_MDL(nb)->Next = context->Partial;
    NET_BUFFER_DATA_LENGTH(nb) = Frame->Length;
    return clone;
}

/* Sizes of a TCP frame that is to be cut up. FALSE: it cannot be. */
static BOOLEAN OipSegmentSizes(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                               _In_ const OIP_FRAME *Frame,
                               _In_reads_bytes_(HeadBytes) const UCHAR *Head, _In_ ULONG HeadBytes,
                               _Out_ ULONG *HeaderBytes, _Out_ ULONG *Mss)
{
    ULONG headers;
    ULONG room;
    ULONG payload;
    ULONG segments = NET_BUFFER_LIST_COALESCED_SEG_COUNT(Nbl);

    /* Nothing coalesces frames with extension headers (WDK: "Rules for Coalescing TCP/IP
     * Segments"); a fragment is no segment. */
    if (!Frame->HasPorts || Frame->Fragment || Frame->Protocol != OIP_PROTOCOL_TCP ||
        (Frame->Family == OneIpFamilyIpv6 &&
         Frame->TransportOffset != Frame->LinkBytes + (ULONG)OIP_IPV6_BYTES))
    {
        return FALSE;
    }
    headers =
        Frame->TransportOffset + (Head[Frame->TransportOffset + OIP_TCP_DATA_OFFSET] >> 4) * 4UL;
    if (headers < Frame->TransportOffset + (ULONG)OIP_TCP_BYTES || headers > HeadBytes ||
        headers >= Frame->LinkBytes + Frame->NetworkBytes ||
        headers >= Frame->LinkBytes + Filter->Mtu)
    {
        return FALSE;
    }

    room = Frame->LinkBytes + Filter->Mtu - headers;
    payload = Frame->LinkBytes + Frame->NetworkBytes - headers;
    *HeaderBytes = headers;
    *Mss = segments > 1 ? OIP_MIN(room, (payload + segments - 1) / segments) : room;
    return TRUE;
}

/* One segment's own headers: RFC 9293 and 3168 (CWR goes with the first, FIN and PSH the last). */
static VOID OipFixSegmentHeaders(_In_ const OIP_FRAME *Frame, _Inout_ UCHAR *Data,
                                 _In_ ULONG HeaderBytes, _In_ ULONG Offset, _In_ ULONG Bytes,
                                 _In_ ULONG Index, _In_ BOOLEAN Last)
{
    UCHAR *ip = Data + Frame->LinkBytes;
    UCHAR *tcp = Data + Frame->TransportOffset;

    if (Frame->Family == OneIpFamilyIpv4)
    {
        ULONG ipBytes = Frame->TransportOffset - Frame->LinkBytes;

        OipWrite16(ip + OIP_IPV4_TOTAL_LENGTH, HeaderBytes - Frame->LinkBytes + Bytes);
        OipWrite16(ip + OIP_IPV4_ID, OipRead16(ip + OIP_IPV4_ID) + Index);
        OipWrite16(ip + OIP_IPV4_CHECKSUM, 0);
        OipWrite16(ip + OIP_IPV4_CHECKSUM, (USHORT)~OipSumFold(OipSum(ip, ipBytes)));
    }
    else
    {
        OipWrite16(ip + OIP_IPV6_PAYLOAD_LENGTH,
                   HeaderBytes - Frame->LinkBytes - OIP_IPV6_BYTES + Bytes);
    }

    OipWrite32(tcp + OIP_TCP_SEQUENCE, OipRead32(tcp + OIP_TCP_SEQUENCE) + Offset);
    if (Index != 0)
    {
        tcp[OIP_TCP_FLAGS] &= (UCHAR)~0x80;
    }
    if (!Last)
    {
        tcp[OIP_TCP_FLAGS] &= (UCHAR)~0x09;
    }
}

static ONEIP_DROP OipForwardSegments(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER Nb,
                                     _In_ const OIP_FRAME *Frame, _In_ const UCHAR *TargetMac,
                                     _In_ ULONG HeaderBytes, _In_ ULONG Mss,
                                     _Inout_ OIP_SENDS *Sends)
{
    ULONG payload = Frame->LinkBytes + Frame->NetworkBytes - HeaderBytes;
    ULONG segments = (payload + Mss - 1) / Mss;
    PNET_BUFFER_LIST *last = Sends->Last;
    ULONG count = Sends->Count;
    ULONG index = 0;

    if (!OipSendsReserve(Filter, segments, Sends))
    {
        return OneIpDropPaused;
    }
    for (ULONG offset = 0; offset < payload; offset += Mss, index++)
    {
        ULONG bytes = OIP_MIN(Mss, payload - offset);
        ULONG copiedHeaders = 0;
        ULONG copiedPayload = 0;
        UCHAR *data;
        PNET_BUFFER_LIST segment = OipAllocateSend(Filter, HeaderBytes + bytes, &data);

        if (segment == NULL)
        {
            break;
        }
        if (NdisCopyFromNetBufferToNetBuffer(NET_BUFFER_LIST_FIRST_NB(segment), 0, HeaderBytes, Nb,
                                             0, &copiedHeaders) != NDIS_STATUS_SUCCESS ||
            NdisCopyFromNetBufferToNetBuffer(NET_BUFFER_LIST_FIRST_NB(segment), HeaderBytes, bytes,
                                             Nb, HeaderBytes + offset,
                                             &copiedPayload) != NDIS_STATUS_SUCCESS ||
            copiedHeaders != HeaderBytes || copiedPayload != bytes)
        {
            OipFreeSend(segment);
            break;
        }

        OipAddress(data, TargetMac, Filter->Mac);
        OipFixSegmentHeaders(Frame, data, HeaderBytes, offset, bytes, index,
                             offset + bytes == payload);
        OipFixTransportChecksum(&Filter->Offload, segment, Frame, data + Frame->TransportOffset,
                                HeaderBytes - Frame->TransportOffset + bytes);
        OipSendsAppend(Sends, segment);
    }

    if (index < segments)
    {
        /* All or nothing: half a super-frame would only make TCP guess. */
        (VOID) OipFreeSends(*last);
        *last = NULL;
        Sends->Last = last;
        Sends->Count = count;
        return OneIpDropNoMemory;
    }

    OipCount(FramesSegmented, segments);
    return OneIpDropReasons;
}

static ONEIP_DROP OipForwardLarge(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                                  _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                                  _In_ const UCHAR *TargetMac, _In_ BOOLEAN Resources,
                                  _Inout_ OIP_SENDS *Sends, _Out_ BOOLEAN *Kept)
{
    BOOLEAN ipv4 = Frame->Family == OneIpFamilyIpv4;
    ULONG lsoMax = ipv4 ? Filter->Offload.LsoMax4 : Filter->Offload.LsoMax6;
    ULONG lsoMin = ipv4 ? Filter->Offload.LsoMin4 : Filter->Offload.LsoMin6;
    UCHAR storage[OIP_MAX_HEADERS];
    ULONG headBytes = OIP_MIN(Frame->Length, (ULONG)OIP_MAX_HEADERS);
    ULONG headerBytes;
    ULONG mss;
    ULONG payload;
    UCHAR *data;
    NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO lso;
    PNET_BUFFER_LIST clone;
    const UCHAR *head = NdisGetDataBuffer(Nb, headBytes, storage, 1, 0);

    if (head == NULL)
    {
        return OneIpDropNoMemory;
    }
    if (!OipSegmentSizes(Filter, Nbl, Frame, head, headBytes, &headerBytes, &mss))
    {
        return OneIpDropTooLong;
    }

    payload = Frame->LinkBytes + Frame->NetworkBytes - headerBytes;
    if (Resources || NET_BUFFER_NEXT_NB(Nb) != NULL || NET_BUFFER_LIST_FIRST_NB(Nbl) != Nb ||
        Frame->Length != Frame->LinkBytes + Frame->NetworkBytes || payload > lsoMax ||
        (payload + mss - 1) / mss < lsoMin ||
        !OipOffersChecksum(&Filter->Offload, Frame->Family, Frame->Protocol))
    {
        return OipForwardSegments(Filter, Nb, Frame, TargetMac, headerBytes, mss, Sends);
    }

    clone = OipCloneBehindHeaders(Filter, Nbl, Nb, Frame, headerBytes, &data);
    if (clone == NULL)
    {
        return OneIpDropNoMemory;
    }
    OipAddress(data, TargetMac, Filter->Mac);
    /* LSOv2 wants the pseudo-header's sum without the length, which differs from segment to
     * segment. */
    OipWrite16(data + Frame->TransportOffset + OIP_TCP_CHECKSUM,
               OipSumFold(OipSumPseudoHeader(Frame->Family, Frame->Source, Frame->Destination,
                                             Frame->Protocol, 0)));
    lso.Value = NULL;
    lso.LsoV2Transmit.Type = NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE;
    lso.LsoV2Transmit.MSS = mss;
    lso.LsoV2Transmit.TcpHeaderOffset = Frame->TransportOffset;
    lso.LsoV2Transmit.IPVersion =
        ipv4 ? NDIS_TCP_LARGE_SEND_OFFLOAD_IPv4 : NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6;
    NET_BUFFER_LIST_INFO(clone, TcpLargeSendNetBufferListInfo) = lso.Value;
    OipSendsAppend(Sends, clone);
    *Kept = TRUE;
    return OneIpDropReasons;
}

_Use_decl_annotations_ ONEIP_DROP OipForward(OIP_FILTER *Filter, PNET_BUFFER_LIST Nbl,
                                             PNET_BUFFER Nb, const OIP_FRAME *Frame,
                                             const UCHAR *TargetMac, OIP_DECISION Decision,
                                             BOOLEAN Resources, OIP_SENDS *Sends, BOOLEAN *Kept)
{
    PNET_BUFFER_LIST *last = Sends->Last;
    ONEIP_DROP drop;

    *Kept = FALSE;
    if (!OipSendsReserve(Filter, 1, Sends))
    {
        return OneIpDropPaused;
    }
    if (Frame->Length <= Filter->Mtu + Frame->LinkBytes)
    {
        drop = OipForwardCopy(Filter, Nbl, Nb, Frame, TargetMac, Sends);
    }
    else
    {
        drop = OipForwardLarge(Filter, Nbl, Nb, Frame, TargetMac, Resources, Sends, Kept);
    }

    for (PNET_BUFFER_LIST nbl = *last; nbl != NULL; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
    {
        OipStampForwarded(nbl, Decision, NET_BUFFER_LIST_INFO(Nbl, Ieee8021QNetBufferListInfo));
    }
    return drop;
}

_Use_decl_annotations_ VOID OipForwardHeld(OIP_FILTER *Filter, PNET_BUFFER_LIST Nbl,
                                           const UCHAR *TargetMac, OIP_SENDS *Sends)
{
    OipAddress(OipSendData(NET_BUFFER_LIST_FIRST_NB(Nbl)), TargetMac, Filter->Mac);
    OipStampForwarded(Nbl, OipByFlow, NET_BUFFER_LIST_INFO(Nbl, Ieee8021QNetBufferListInfo));
    Sends->Credit++;
    OipSendsAppend(Sends, Nbl);
}

_Use_decl_annotations_ VOID OipSplitOwn(const OIP_FILTER *Filter, PNET_BUFFER_LIST *Nbls,
                                        PNET_BUFFER_LIST *Own)
{
    PNET_BUFFER_LIST *ownLast = Own;
    PNET_BUFFER_LIST *othersLast = Nbls;

    for (PNET_BUFFER_LIST nbl = *Nbls; nbl != NULL; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
    {
        PNET_BUFFER_LIST **last = nbl->SourceHandle == Filter->Handle ? &ownLast : &othersLast;

        **last = nbl;
        *last = &NET_BUFFER_LIST_NEXT_NBL(nbl);
    }
    *ownLast = NULL;
    *othersLast = NULL;
}

/* References are taken by so many at a time, which spares the data path an interlocked operation
 * a frame. */
#define OIP_CREDIT_QUANTUM 64

_Use_decl_annotations_ BOOLEAN OipSendsReserve(OIP_FILTER *Filter, ULONG Count, OIP_SENDS *Sends)
{
    ULONG more;

    if (Sends->Credit - Sends->Count >= Count)
    {
        return TRUE;
    }
    more = OIP_MAX(Count, OIP_CREDIT_QUANTUM);
    if (!ExAcquireRundownProtectionCacheAwareEx(Filter->Sends, more))
    {
        return FALSE;
    }
    Sends->Credit += more;
    return TRUE;
}

_Use_decl_annotations_ VOID OipSubmit(OIP_FILTER *Filter, OIP_SENDS *Sends)
{
    /* What is sent may complete at once and drop its references; the surplus is ours till then. */
    ULONG surplus = Sends->Credit - Sends->Count;

    if (Sends->First != NULL)
    {
        NdisFSendNetBufferLists(Filter->Handle, Sends->First, NDIS_DEFAULT_PORT_NUMBER,
                                NDIS_SEND_FLAGS_DISPATCH_LEVEL);
    }
    if (surplus != 0)
    {
        ExReleaseRundownProtectionCacheAwareEx(Filter->Sends, surplus);
    }
}

_Use_decl_annotations_ VOID OipSendsCompleted(OIP_FILTER *Filter, PNET_BUFFER_LIST Nbls,
                                              ULONG Flags)
{
    BOOLEAN dispatch = NDIS_TEST_SEND_COMPLETE_AT_DISPATCH_LEVEL(Flags);
    PNET_BUFFER_LIST originals = NULL;
    ULONG count = 0;
    ULONG failed = 0;

    while (Nbls != NULL)
    {
        OIP_SEND_CONTEXT *context = (OIP_SEND_CONTEXT *)NET_BUFFER_LIST_CONTEXT_DATA_START(Nbls);
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(Nbls);

        if (context->Original != NULL)
        {
            NET_BUFFER_LIST_NEXT_NBL(context->Original) = originals;
            originals = context->Original;
        }
        if (context->Forwarded && NET_BUFFER_LIST_STATUS(Nbls) != NDIS_STATUS_SUCCESS)
        {
            failed++;
        }
        OipFreeSend(Nbls);
        count++;
        Nbls = next;
    }

    if (originals != NULL)
    {
        NdisFReturnNetBufferLists(Filter->Handle, originals,
                                  dispatch ? NDIS_RETURN_FLAGS_DISPATCH_LEVEL : 0);
    }
    if (failed != 0)
    {
        OipCountDropAnyIrql(OneIpDropSendFailed, failed);
    }
    ExReleaseRundownProtectionCacheAwareEx(Filter->Sends, count);
}
