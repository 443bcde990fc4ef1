#include "frames.h"

#include <stdlib.h>
#include <string.h>

static void put16(UCHAR *at, unsigned value)
{
    at[0] = (UCHAR)(value >> 8);
    at[1] = (UCHAR)value;
}

static void put32(UCHAR *at, unsigned value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static unsigned get16(const UCHAR *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

struct address ip4(unsigned a, unsigned b, unsigned c, unsigned d)
{
    return (struct address){4, {(UCHAR)a, (UCHAR)b, (UCHAR)c, (UCHAR)d}};
}

struct address ip6(unsigned low)
{
    struct address address = {6, {0xfd}};
    put32(address.bytes + 12, low);
    return address;
}

/* RFC 1071, straight from its definition. */
static unsigned sum16(const UCHAR *data, unsigned bytes, unsigned sum)
{
    for (unsigned i = 0; i < bytes; i++)
        sum += (unsigned)data[i] << (i % 2 ? 0 : 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static unsigned transport_sum(const struct address *source, const struct address *target,
                              unsigned protocol, const UCHAR *data, unsigned bytes)
{
    unsigned length = source->family == 4 ? 4 : 16;
    unsigned sum = sum16(source->bytes, length, protocol + (bytes >> 16) + (bytes & 0xffff));
    sum = sum16(target->bytes, length, sum);
    return sum16(data, bytes, sum);
}

static unsigned checksum_offset(unsigned protocol)
{
    return protocol == 6 ? 16 : protocol == 17 ? 6 : 2;
}

struct packet packet_standard(struct address client)
{
    return (struct packet){
        .target_mac = {2, 0, 0, 0, 0, 1},
        .source_mac = {2, 0, 0, 0, 1, 1},
        .source = client,
        .target = client.family == 4 ? ip4(10, 0, 0, 100) : ip6(0x100),
        .protocol = 6,
        .source_port = 40000,
        .target_port = 80,
        .payload = 10,
        .tcp_flags = 0x18,
        .sequence = 1000,
    };
}

static struct test_frame *frame_new(unsigned bytes)
{
    struct test_frame *frame = calloc(1, sizeof *frame + bytes);
    frame->bytes = bytes;
    return frame;
}

static unsigned ip_header(UCHAR *data, const struct address *source, const struct address *target,
                          unsigned protocol, unsigned payload, unsigned hop_limit)
{
    if (source->family == 4) {
        put16(data + 12, 0x0800);
        UCHAR *ip = data + 14;
        ip[0] = 0x45;
        put16(ip + 2, 20 + payload);
        put16(ip + 4, 0x1234);
        put16(ip + 6, 0x4000);
        ip[8] = (UCHAR)hop_limit;
        ip[9] = (UCHAR)protocol;
        memcpy(ip + 12, source->bytes, 4);
        memcpy(ip + 16, target->bytes, 4);
        put16(ip + 10, ~sum16(ip, 20, 0) & 0xffff);
        return 34;
    }
    put16(data + 12, 0x86dd);
    UCHAR *ip = data + 14;
    ip[0] = 0x60;
    put16(ip + 4, payload);
    ip[6] = (UCHAR)protocol;
    ip[7] = (UCHAR)hop_limit;
    memcpy(ip + 8, source->bytes, 16);
    memcpy(ip + 24, target->bytes, 16);
    return 54;
}

struct test_frame *packet_frame(const struct packet *packet)
{
    unsigned header = packet->protocol == 6 ? 20 + packet->tcp_options : 8;
    unsigned ip_bytes = packet->source.family == 4 ? 20 : 40;
    struct test_frame *frame = frame_new(14 + ip_bytes + header + packet->payload);
    UCHAR *data = frame->data;

    memcpy(data, packet->target_mac, 6);
    memcpy(data + 6, packet->source_mac, 6);
    UCHAR *transport = data + ip_header(data, &packet->source, &packet->target, packet->protocol,
                                        header + packet->payload, 64);
    for (unsigned i = 0; i < packet->payload; i++)
        transport[header + i] = (UCHAR)(i * 7 + i / 251);
    switch (packet->protocol) {
    case 6:
        put16(transport, packet->source_port);
        put16(transport + 2, packet->target_port);
        put32(transport + 4, packet->sequence);
        transport[12] = (UCHAR)(header / 4 << 4);
        transport[13] = (UCHAR)packet->tcp_flags;
        put16(transport + 14, 0xffff);
        memset(transport + 20, 1, packet->tcp_options);
        break;
    case 17:
        put16(transport, packet->source_port);
        put16(transport + 2, packet->target_port);
        put16(transport + 4, header + packet->payload);
        break;
    default:
        transport[0] = packet->protocol == 1 ? 8 : 128; /* echo request */
        put16(transport + 4, packet->source_port);
        break;
    }
    unsigned bytes = header + packet->payload;
    unsigned sum = packet->protocol == 1 ? sum16(transport, bytes, 0)
                                         : transport_sum(&packet->source, &packet->target,
                                                         packet->protocol, transport, bytes);
    put16(transport + checksum_offset(packet->protocol), ~sum & 0xffff);
    return frame;
}

unsigned frame_ether_type(const struct test_frame *frame)
{
    return get16(frame->data + 12);
}

struct address frame_source(const struct test_frame *frame)
{
    struct address address = {frame_ether_type(frame) == 0x0800 ? 4 : 6, {0}};
    if (address.family == 4)
        memcpy(address.bytes, frame->data + 26, 4);
    else
        memcpy(address.bytes, frame->data + 22, 16);
    return address;
}

bool frame_checksums_right(const struct test_frame *frame)
{
    const UCHAR *ip = frame->data + 14;
    struct address source = frame_source(frame);
    struct address target = source;
    unsigned protocol, bytes;
    const UCHAR *transport;

    if (source.family == 4) {
        if (sum16(ip, 20, 0) != 0xffff)
            return false;
        memcpy(target.bytes, ip + 16, 4);
        protocol = ip[9];
        transport = ip + 20;
        bytes = get16(ip + 2) - 20;
    } else {
        memcpy(target.bytes, ip + 24, 16);
        protocol = ip[6];
        transport = ip + 40;
        bytes = get16(ip + 4);
    }
    if (protocol == 1)
        return sum16(transport, bytes, 0) == 0xffff;
    return transport_sum(&source, &target, protocol, transport, bytes) == 0xffff;
}

struct test_frame *arp_frame(const UCHAR target_mac[6], const UCHAR source_mac[6],
                             unsigned operation, const UCHAR sender_mac[6], struct address sender,
                             const UCHAR arp_target_mac[6], struct address target)
{
    struct test_frame *frame = frame_new(60); /* padded, as it arrives */
    UCHAR *data = frame->data;

    memcpy(data, target_mac, 6);
    memcpy(data + 6, source_mac, 6);
    put16(data + 12, 0x0806);
    put16(data + 14, 1);
    put16(data + 16, 0x0800);
    data[18] = 6;
    data[19] = 4;
    put16(data + 20, operation);
    memcpy(data + 22, sender_mac, 6);
    memcpy(data + 28, sender.bytes, 4);
    memcpy(data + 32, arp_target_mac, 6);
    memcpy(data + 38, target.bytes, 4);
    return frame;
}

struct test_frame *nd_frame(const UCHAR target_mac[6], const UCHAR source_mac[6], unsigned type,
                            struct address source, struct address destination,
                            const struct address *nd_target, unsigned flags, const UCHAR *link)
{
    unsigned body = 8 + (nd_target ? 16 : 0) + (link ? 8 : 0);
    struct test_frame *frame = frame_new(54 + body);
    UCHAR *data = frame->data;

    memcpy(data, target_mac, 6);
    memcpy(data + 6, source_mac, 6);
    ip_header(data, &source, &destination, 58, body, 255);
    UCHAR *icmp = data + 54;
    icmp[0] = (UCHAR)type;
    icmp[4] = (UCHAR)flags;
    UCHAR *option = icmp + 8;
    if (nd_target) {
        memcpy(option, nd_target->bytes, 16);
        option += 16;
    }
    if (link) {
        option[0] = type == 136 ? 2 : 1;
        option[1] = 1;
        memcpy(option + 2, link, 6);
    }
    put16(icmp + 2, ~transport_sum(&source, &destination, 58, icmp, body) & 0xffff);
    return frame;
}

void frame_fix_ipv4(UCHAR *ip)
{
    put16(ip + 10, 0);
    put16(ip + 10, ~sum16(ip, (ip[0] & 15) * 4u, 0) & 0xffff);
}

struct test_frame *packet_fragment(const struct packet *packet, unsigned id, unsigned index)
{
    struct test_frame *whole = packet_frame(packet), *part;
    unsigned ip_bytes = packet->source.family == 4 ? 20 : 40;
    unsigned payload = whole->bytes - 14 - ip_bytes;
    unsigned start = index * 1400, count = payload - start < 1400 ? payload - start : 1400;
    bool more = start + count < payload;
    unsigned header = ip_bytes == 20 ? 0 : 8;

    if (start >= payload) {
        free(whole);
        return NULL;
    }
    part = calloc(1, sizeof *part + 14 + ip_bytes + header + count);
    part->bytes = 14 + ip_bytes + header + count;
    memcpy(part->data, whole->data, 14 + ip_bytes);
    memcpy(part->data + 14 + ip_bytes + header, whole->data + 14 + ip_bytes + start, count);
    UCHAR *ip = part->data + 14;
    if (ip_bytes == 20) {
        put16(ip + 2, 20 + count);
        put16(ip + 4, id);
        put16(ip + 6, start / 8 | (more ? 0x2000 : 0));
        frame_fix_ipv4(ip);
    } else {
        put16(ip + 4, 8 + count);
        ip[6] = 44;
        ip[40] = 17;
        put16(ip + 42, start | more);
        put16(ip + 46, id);
    }
    free(whole);
    return part;
}
