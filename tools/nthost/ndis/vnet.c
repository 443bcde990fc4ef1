/* virtio_net_hdr and NDIS out-of-band data. See vnet.h. */
#include "vnet.h"
#include <string.h>

enum { TCP = 6, UDP = 17 };

static uint8_t gso_kind(const struct virtio_net_hdr *vnet)
{
    return vnet->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
}

ULONG vnet_receive_checksum(const struct virtio_net_hdr *vnet, const uint8_t *head,
                            size_t head_bytes)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {.Value = NULL};
    bool partial = vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    if (!partial && !(vnet->flags & VIRTIO_NET_HDR_F_DATA_VALID))
        return 0;
    struct frame_layers layers;
    if (!frame_parse(head, head_bytes, SIZE_MAX / 2, &layers) || !layers.l4)
        return 0;
    if (layers.protocol == TCP) {
        info.Receive.TcpChecksumSucceeded = 1;
        info.Receive.TcpChecksumValueInvalid = partial;
    } else {
        info.Receive.UdpChecksumSucceeded = 1;
    }
    info.Receive.IpChecksumSucceeded = layers.ip == 4;
    return (ULONG)(ULONG_PTR)info.Value;
}

bool vnet_to_send(const struct virtio_net_hdr *vnet, uint8_t *head, size_t head_bytes,
                  size_t frame_bytes, PNET_BUFFER_LIST nbl)
{
    if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
        return gso_kind(vnet) == VIRTIO_NET_HDR_GSO_NONE;
    struct frame_layers layers;
    if (!frame_parse(head, head_bytes, frame_bytes, &layers) || layers.l4 != vnet->csum_start)
        return false;
    if (gso_kind(vnet) != VIRTIO_NET_HDR_GSO_NONE) {
        if (layers.protocol != TCP || !vnet->gso_size)
            return false;
        NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO lso = {.Value = NULL};
        lso.LsoV2Transmit.MSS = vnet->gso_size;
        lso.LsoV2Transmit.TcpHeaderOffset = layers.l4;
        lso.LsoV2Transmit.Type = NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE;
        lso.LsoV2Transmit.IPVersion =
            layers.ip == 6 ? NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6 : NDIS_TCP_LARGE_SEND_OFFLOAD_IPv4;
        NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo) = lso.Value;
        uint16_t sum = sum_fold(frame_pseudo_sum(head, &layers, 0));
        memcpy(head + frame_checksum_offset(&layers), &sum, 2);
        return true;
    }
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {.Value = NULL};
    info.Transmit.IsIPv4 = layers.ip == 4;
    info.Transmit.IsIPv6 = layers.ip == 6;
    info.Transmit.TcpChecksum = layers.protocol == TCP;
    info.Transmit.UdpChecksum = layers.protocol == UDP;
    info.Transmit.TcpHeaderOffset = layers.l4;
    NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
    return true;
}

static void set_partial(struct virtio_net_hdr *vnet, const struct frame_layers *layers)
{
    vnet->flags |= VIRTIO_NET_HDR_F_NEEDS_CSUM;
    vnet->csum_start = layers->l4;
    vnet->csum_offset = (uint16_t)(frame_checksum_offset(layers) - layers->l4);
}

static void set_gso(struct virtio_net_hdr *vnet, const struct frame_layers *layers, uint16_t size)
{
    vnet->gso_type = layers->ip == 6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
    vnet->gso_size = size;
    vnet->hdr_len = layers->payload;
}

static void write_ip_checksum(uint8_t *head, const struct frame_layers *layers)
{
    uint8_t *ip = head + layers->l3;
    ip[10] = ip[11] = 0;
    uint16_t sum = (uint16_t)~sum_fold(sum_bytes(ip, (size_t)(ip[0] & 15) * 4, 0));
    memcpy(ip + 10, &sum, 2);
}

bool vnet_from_send(PNET_BUFFER_LIST nbl, uint8_t *head, size_t head_bytes, size_t frame_bytes,
                    bool copied, struct vnet_out *out)
{
    memset(out, 0, sizeof(*out));
    NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO lso;
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;
    lso.Value = NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo);
    info.Value = NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo);
    if (!lso.Value && !(info.Transmit.IsIPv4 | info.Transmit.IsIPv6))
        return true;
    struct frame_layers layers;
    if (!frame_parse(head, head_bytes, frame_bytes, &layers) || !layers.l3)
        return false;
    out->head_bytes = layers.payload ? layers.payload : (uint16_t)(layers.l3 + 20);
    out->copy_wanted = !copied && (lso.Value || info.Transmit.IpHeaderChecksum);
    if (out->copy_wanted)
        return true;
    if (lso.Value) {
        if (!layers.l4 || layers.protocol != TCP || !lso.LsoV2Transmit.MSS)
            return false;
        set_gso(&out->header, &layers, (uint16_t)lso.LsoV2Transmit.MSS);
        set_partial(&out->header, &layers);
        uint32_t l4_bytes = (uint32_t)(frame_bytes - layers.l4);
        uint16_t sum = sum_fold(frame_pseudo_sum(head, &layers, l4_bytes));
        memcpy(head + frame_checksum_offset(&layers), &sum, 2);
        if (layers.ip == 4) {
            frame_put16(head + layers.l3 + 2, (uint16_t)(frame_bytes - layers.l3));
            write_ip_checksum(head, &layers);
        } else {
            frame_put16(head + layers.l3 + 4, (uint16_t)(frame_bytes - layers.l3 - 40));
        }
        return true;
    }
    if (info.Transmit.TcpChecksum || info.Transmit.UdpChecksum) {
        if (!layers.l4)
            return false;
        set_partial(&out->header, &layers);
    }
    if (info.Transmit.IpHeaderChecksum && layers.ip == 4)
        write_ip_checksum(head, &layers);
    return true;
}

void vnet_from_receive(PNET_BUFFER_LIST nbl, const uint8_t *head, size_t head_bytes,
                       size_t frame_bytes, uint16_t gso_size, struct virtio_net_hdr *vnet)
{
    memset(vnet, 0, sizeof(*vnet));
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;
    info.Value = NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo);
    unsigned segments = NET_BUFFER_LIST_COALESCED_SEG_COUNT(nbl);
    if (!info.Receive.TcpChecksumSucceeded && !info.Receive.UdpChecksumSucceeded && segments < 2)
        return;
    struct frame_layers layers;
    if (!frame_parse(head, head_bytes, frame_bytes, &layers) || !layers.l4)
        return;
    uint16_t field, sum = sum_fold(frame_pseudo_sum(head, &layers, layers.l4_bytes));
    memcpy(&field, head + frame_checksum_offset(&layers), 2);
    if (field == sum)
        set_partial(vnet, &layers);
    else
        vnet->flags = VIRTIO_NET_HDR_F_DATA_VALID;
    if (segments > 1 && layers.protocol == TCP) {
        size_t data = frame_bytes - layers.payload;
        set_gso(vnet, &layers, gso_size ? gso_size : (uint16_t)((data + segments - 1) / segments));
    }
}
