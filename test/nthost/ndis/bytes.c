/* Frames as bytes: headers, checksums, segmentation, and what virtio headers and NDIS say of them.
 */
#include "common.h"
#include "frame.h"
#include "gso.h"
#include "vnet.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

static uint64_t state;

static unsigned any(unsigned n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((state >> 33) % n);
}

static uint16_t slow_sum(const UCHAR *data, size_t bytes)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* In memory order. */
static uint16_t swapped(uint16_t sum)
{
    return (uint16_t)(sum << 8 | sum >> 8);
}

NT_TEST(sums_add_up)
{
    state = tap_seed();
    for (unsigned round = 0; round < 2000 && !tap_failing(); round++) {
        UCHAR data[700], copy[700];
        size_t bytes = any(sizeof(data)), at = 0;
        for (size_t i = 0; i < bytes; i++)
            data[i] = (UCHAR)(any(3) ? any(256) : 0xff);
        uint16_t expected = slow_sum(data, bytes);
        uint64_t pieces = 0;
        while (at < bytes) {
            size_t here = 1 + any((unsigned)(bytes - at));
            pieces = sum_join(pieces, sum_bytes(data + at, here, 0), at);
            at += here;
        }
        /* 0 and 0xffff are one value. */
        ok(swapped(sum_fold(sum_bytes(data, bytes, 0))) % 0xffff == expected % 0xffff, "whole");
        ok(swapped(sum_fold(pieces)) % 0xffff == expected % 0xffff, "in pieces");
        ok(swapped(sum_fold(sum_copy(copy, data, bytes, 0))) % 0xffff == expected % 0xffff, "copy");
        is_mem(copy, data, bytes);
    }
}

static bool l4_sum_right(const UCHAR *frame, size_t bytes)
{
    struct frame_layers layers;
    return frame_parse(frame, bytes, bytes, &layers) && layers.l4 &&
           sum_fold(sum_bytes(frame + layers.l4, layers.l4_bytes,
                              frame_pseudo_sum(frame, &layers, layers.l4_bytes))) == 0xffff;
}

static bool ip_sum_right(const UCHAR *frame)
{
    return (frame[14] >> 4) != 4 ||
           sum_fold(sum_bytes(frame + 14, (frame[14] & 15) * 4u, 0)) == 0xffff;
}

static struct test_frame *random_frame(int ip, int protocol, ULONG payload)
{
    struct frame_spec spec = {
        .ip = ip, .protocol = protocol, .payload = payload, .number = any(60000)};
    return frame_make(&spec);
}

NT_TEST(headers_are_found)
{
    for (int i = 0; i < 4; i++) {
        int ip = i & 1 ? 6 : 4, protocol = i & 2 ? 17 : 6;
        struct test_frame *frame = random_frame(ip, protocol, 100);
        struct frame_layers layers;
        need(frame_parse(frame->data, frame->bytes, frame->bytes, &layers));
        is_int(layers.ip, ip);
        is_int(layers.protocol, protocol);
        is_int(layers.l3, 14);
        is_int(layers.l4, ip == 4 ? 34 : 54);
        is_int(layers.payload, frame->bytes - 100);
        is_int(layers.l4_bytes, frame->bytes - layers.l4);
        ok(!layers.fragment && !layers.tagged && !layers.extended);
        ok(l4_sum_right(frame->data, frame->bytes));
        /* Cut short anywhere: no more is read than there is (the sanitizer looks). */
        for (ULONG bytes = 0; bytes < frame->bytes; bytes++) {
            UCHAR *cut = malloc(bytes ? bytes : 1);
            memcpy(cut, frame->data, bytes);
            bool whole = frame_parse(cut, bytes, frame->bytes, &layers);
            ok(whole == (bytes >= layers.payload && layers.payload) || bytes < 54 || !whole,
               "%u bytes", bytes);
            frame_parse(cut, bytes, bytes, &layers);
            free(cut);
        }
        /* A tag in the frame. */
        UCHAR tagged[300];
        memcpy(tagged, frame->data, 12);
        frame_put16(tagged + 12, 0x8100);
        frame_put16(tagged + 14, 5);
        memcpy(tagged + 16, frame->data + 12, frame->bytes - 12);
        need(frame_parse(tagged, frame->bytes + 4, frame->bytes + 4, &layers));
        ok(layers.tagged && layers.l3 == 18 && layers.ip == ip);
        free(frame);
    }
}

NT_TEST(garbage_is_parsed_safely)
{
    state = tap_seed();
    for (unsigned round = 0; round < 20000; round++) {
        struct test_frame *frame = random_frame(any(2) ? 4 : 6, any(2) ? 6 : 17, any(80));
        size_t bytes = any(frame->bytes + 1);
        UCHAR *copy = malloc(bytes ? bytes : 1);
        memcpy(copy, frame->data, bytes);
        for (unsigned i = any(6); i > 0 && bytes > 12; i--)
            copy[12 + any((unsigned)bytes - 12)] = (UCHAR)any(256);
        struct frame_layers layers;
        if (frame_parse(copy, bytes, bytes, &layers) && layers.l4) {
            ok(layers.payload <= bytes && layers.l4 + layers.l4_bytes <= bytes &&
               layers.l4_bytes >= (ULONG)(layers.payload - layers.l4));
        }
        free(copy);
        free(frame);
    }
}

NT_TEST(super_frames_are_segmented)
{
    state = tap_seed();
    for (unsigned round = 0; round < 500 && !tap_failing(); round++) {
        int ip = any(2) ? 4 : 6, protocol = any(2) ? 6 : 17;
        ULONG payload = 1 + any(20000), mss = 100 + any(1400);
        struct test_frame *frame = random_frame(ip, protocol, payload);
        UCHAR *d = frame->data;
        struct frame_layers layers, part;
        need(frame_parse(d, frame->bytes, frame->bytes, &layers));
        if (protocol == 6)
            d[layers.l4 + 13] = 0x89; /* CWR, PSH, FIN */
        struct iovec pieces[12];
        unsigned count = 0;
        for (ULONG at = layers.payload; at < frame->bytes; count++) {
            ULONG left = frame->bytes - at;
            ULONG here = count == 11 ? left : any(4) ? any(left + 1) : any(3);
            here = here < left ? here : left;
            pieces[count] = (struct iovec){d + at, here};
            at += here;
        }
        struct gso gso = {.head = d,
                          .layers = &layers,
                          .data = pieces,
                          .pieces = count,
                          .mss = mss,
                          .left = payload};
        unsigned segments = (payload + mss - 1) / mss, n = 0;
        is_int(gso_count(&gso), segments);
        ULONG done = 0;
        UCHAR out[2000];
        size_t bytes;
        while ((bytes = gso_next(&gso, out)) != 0) {
            need(frame_parse(out, bytes, bytes, &part) && part.payload == layers.payload);
            ULONG data = (ULONG)bytes - part.payload;
            is_int(data, n + 1 == segments ? payload - n * mss : mss);
            is_mem(out + part.payload, d + layers.payload + done, data);
            ok(l4_sum_right(out, bytes) && ip_sum_right(out), "checksums");
            if (protocol == 6) {
                is_int(frame_get32(out + part.l4 + 4), frame_get32(d + layers.l4 + 4) + n * mss);
                bool first = n == 0, last = n + 1 == segments;
                is_hex(out[part.l4 + 13], (first ? 0x80 : 0) | (last ? 0x09 : 0), "flags");
            } else {
                is_int(frame_get16(out + part.l4 + 4), 8 + data);
            }
            if (ip == 4)
                is_int(frame_get16(out + 18), (uint16_t)(frame_get16(d + 18) + n));
            done += data;
            n++;
        }
        is_int(done, payload);
        is_int(n, segments);
        free(frame);
    }
}

static void make_partial(struct test_frame *frame, struct frame_layers *layers)
{
    frame_parse(frame->data, frame->bytes, frame->bytes, layers);
    uint16_t sum = sum_fold(frame_pseudo_sum(frame->data, layers, layers->l4_bytes));
    memcpy(frame->data + frame_checksum_offset(layers), &sum, 2);
}

/* What the kernel does with NEEDS_CSUM. */
static void complete(UCHAR *frame, size_t bytes, const struct virtio_net_hdr *vnet)
{
    uint16_t sum =
        (uint16_t)~sum_fold(sum_bytes(frame + vnet->csum_start, bytes - vnet->csum_start, 0));
    memcpy(frame + vnet->csum_start + vnet->csum_offset, &sum, 2);
}

/* NBLs without anything but out-of-band data. */
static NET_BUFFER_LIST nbl;

static void clear(void)
{
    memset(&nbl, 0, sizeof(nbl));
}

NT_TEST(partial_checksums_stay_right)
{
    state = tap_seed();
    for (int i = 0; i < 4; i++) {
        int ip = i & 1 ? 6 : 4, protocol = i & 2 ? 17 : 6;
        struct test_frame *frame = random_frame(ip, protocol, 100);
        struct frame_layers layers;
        make_partial(frame, &layers);
        struct virtio_net_hdr in = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                    .csum_start = layers.l4,
                                    .csum_offset =
                                        (uint16_t)(frame_checksum_offset(&layers) - layers.l4)};
        NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;
        info.Value = (PVOID)(ULONG_PTR)vnet_receive_checksum(&in, frame->data, frame->bytes);
        is_int(info.Receive.TcpChecksumSucceeded, protocol == 6);
        is_int(info.Receive.UdpChecksumSucceeded, protocol == 17);
        is_int(info.Receive.TcpChecksumValueInvalid, protocol == 6, "the field holds no checksum");
        is_int(info.Receive.IpChecksumSucceeded, ip == 4);
        ok(!info.Receive.TcpChecksumFailed && !info.Receive.UdpChecksumFailed);

        /* Up to the TAP: to be completed there. */
        struct virtio_net_hdr up;
        clear();
        NET_BUFFER_LIST_INFO(&nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
        vnet_from_receive(&nbl, frame->data, frame->bytes, frame->bytes, 0, &up);
        is_int(up.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        is_int(up.csum_start, in.csum_start);
        is_int(up.csum_offset, in.csum_offset);

        /* Forwarded by a filter: it asks for the checksum, as WDK wants it. */
        clear();
        info.Value = NULL;
        info.Transmit.IsIPv4 = ip == 4;
        info.Transmit.IsIPv6 = ip == 6;
        info.Transmit.TcpChecksum = protocol == 6;
        info.Transmit.UdpChecksum = protocol == 17;
        info.Transmit.TcpHeaderOffset = layers.l4;
        NET_BUFFER_LIST_INFO(&nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
        struct vnet_out out;
        ok(vnet_from_send(&nbl, frame->data, frame->bytes, frame->bytes, false, &out));
        ok(!out.copy_wanted);
        is_int(out.header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        complete(frame->data, frame->bytes, &out.header);
        ok(l4_sum_right(frame->data, frame->bytes), "on the wire");

        /* A frame that somebody has checked. */
        struct virtio_net_hdr valid = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
        info.Value = (PVOID)(ULONG_PTR)vnet_receive_checksum(&valid, frame->data, frame->bytes);
        ok(info.Receive.TcpChecksumSucceeded + info.Receive.UdpChecksumSucceeded == 1);
        is_int(info.Receive.TcpChecksumValueInvalid, 0);
        clear();
        NET_BUFFER_LIST_INFO(&nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
        vnet_from_receive(&nbl, frame->data, frame->bytes, frame->bytes, 0, &up);
        is_int(up.flags, VIRTIO_NET_HDR_F_DATA_VALID);

        /* Nothing is known: nothing is said. */
        struct virtio_net_hdr none = {0};
        is_int(vnet_receive_checksum(&none, frame->data, frame->bytes), 0);
        clear();
        vnet_from_receive(&nbl, frame->data, frame->bytes, frame->bytes, 0, &up);
        is_int(up.flags, 0);
        free(frame);
    }
}

NT_TEST(large_sends_change_their_form)
{
    state = tap_seed();
    for (int ip = 4; ip <= 6; ip += 2) {
        struct test_frame *frame = random_frame(ip, 6, 5000);
        struct frame_layers layers;
        make_partial(frame, &layers);
        struct virtio_net_hdr in = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                    .gso_type = ip == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                                        : VIRTIO_NET_HDR_GSO_TCPV6,
                                    .gso_size = 1400,
                                    .hdr_len = layers.payload,
                                    .csum_start = layers.l4,
                                    .csum_offset = 16};
        clear();
        need(vnet_to_send(&in, frame->data, frame->bytes, frame->bytes, &nbl));
        NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO lso;
        lso.Value = NET_BUFFER_LIST_INFO(&nbl, TcpLargeSendNetBufferListInfo);
        is_int(lso.LsoV2Transmit.MSS, 1400);
        is_int(lso.LsoV2Transmit.TcpHeaderOffset, layers.l4);
        is_int(lso.LsoV2Transmit.IPVersion,
               ip == 6 ? NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6 : NDIS_TCP_LARGE_SEND_OFFLOAD_IPv4);
        uint16_t field, zero = sum_fold(frame_pseudo_sum(frame->data, &layers, 0));
        memcpy(&field, frame->data + layers.l4 + 16, 2);
        is_hex(field, zero, "the pseudo header's sum has length 0, as WDK wants it");

        struct vnet_out out;
        ok(vnet_from_send(&nbl, frame->data, frame->bytes, frame->bytes, false, &out));
        ok(out.copy_wanted, "the head is not ours to write");
        UCHAR *copy = malloc(frame->bytes);
        memcpy(copy, frame->data, frame->bytes);
        ok(vnet_from_send(&nbl, copy, frame->bytes, frame->bytes, true, &out));
        is_int(out.header.gso_type, in.gso_type);
        is_int(out.header.gso_size, 1400);
        is_int(out.header.hdr_len, layers.payload);
        complete(copy, frame->bytes, &out.header);
        ok(l4_sum_right(copy, frame->bytes) && ip_sum_right(copy));
        free(copy);
        free(frame);
    }
    /* UDP super-frames and contradictions are refused. */
    struct test_frame *frame = random_frame(4, 17, 5000);
    struct frame_layers layers;
    make_partial(frame, &layers);
    struct virtio_net_hdr in = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
                                .gso_size = 1400,
                                .csum_start = layers.l4,
                                .csum_offset = 6};
    clear();
    ok(!vnet_to_send(&in, frame->data, frame->bytes, frame->bytes, &nbl));
    in.gso_type = VIRTIO_NET_HDR_GSO_NONE;
    in.csum_start = 20;
    ok(!vnet_to_send(&in, frame->data, frame->bytes, frame->bytes, &nbl));
    free(frame);
}

NT_TEST(coalesced_receives_become_super_frames_again)
{
    state = tap_seed();
    struct test_frame *frame = random_frame(4, 6, 5000);
    struct frame_layers layers;
    make_partial(frame, &layers);
    struct virtio_net_hdr up;
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {.Value = NULL};
    info.Receive.TcpChecksumSucceeded = 1;
    clear();
    NET_BUFFER_LIST_INFO(&nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
    NET_BUFFER_LIST_COALESCED_SEG_COUNT(&nbl) = 4;
    vnet_from_receive(&nbl, frame->data, frame->bytes, frame->bytes, 1448, &up);
    is_int(up.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    is_int(up.gso_size, 1448, "as it came");
    vnet_from_receive(&nbl, frame->data, frame->bytes, frame->bytes, 0, &up);
    is_int(up.gso_size, 1250, "out of the count");
    free(frame);
}
