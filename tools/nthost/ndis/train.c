/* Super-frames out of frames. See train.h. */
#include "train.h"
#include "vnet.h"
#include <string.h>

enum { TCP = 6 };
enum { SEQUENCE = 4, FLAGS = 13, CHECKSUM = 16 }; /* in the TCP header */
enum { ACK = 0x10, PSH = 0x08, ECE = 0x40 };      /* may be set */
enum { IPV4_LENGTH = 2, IPV4_ID = 4, IPV4_REST = 6, IPV4_CHECKSUM = 10, IPV4_ADDRESSES = 12 };
enum { IPV6_LENGTH = 4, IPV6_REST = 6 };

static bool ipv4_checksum_right(const uint8_t *ip)
{
    return sum_fold(sum_bytes(ip, 20, 0)) == 0xffff;
}

/* Of a frame with the layers of the first: the length that IP says, the sequence number. */
static uint32_t ip_bytes(const struct frame_layers *layers, const uint8_t *frame)
{
    const uint8_t *ip = frame + layers->l3;
    return layers->ip == 4 ? frame_get16(ip + IPV4_LENGTH) : 40u + frame_get16(ip + IPV6_LENGTH);
}

static uint32_t sequence(const struct frame_layers *layers, const uint8_t *frame)
{
    return frame_get32(frame + layers->l4 + SEQUENCE);
}

bool train_start(struct train *train, const uint8_t *frame, uint32_t bytes)
{
    struct frame_layers *layers = &train->layers;
    if (!frame_parse(frame, bytes, bytes, layers) || !layers->l4 || layers->protocol != TCP ||
        layers->tagged || layers->extended || layers->payload == bytes ||
        layers->l3 + ip_bytes(layers, frame) != bytes)
        return false;
    uint8_t flags = frame[layers->l4 + FLAGS];
    if ((flags & ~ECE) != ACK)
        return false;
    if (layers->ip == 4 && !ipv4_checksum_right(frame + layers->l3))
        return false;
    train->first = frame;
    train->mss = train->data = bytes - layers->payload;
    train->count = 1;
    train->pushes = train->closed = false;
    return true;
}

static bool ip_continues(const struct train *train, const uint8_t *first, const uint8_t *ip)
{
    if (train->layers.ip == 6)
        return !memcmp(ip, first, IPV6_LENGTH) && !memcmp(ip + IPV6_REST, first + IPV6_REST, 34);
    return !memcmp(ip, first, IPV4_LENGTH) &&
           frame_get16(ip + IPV4_ID) == (uint16_t)(frame_get16(first + IPV4_ID) + train->count) &&
           !memcmp(ip + IPV4_REST, first + IPV4_REST, IPV4_CHECKSUM - IPV4_REST) &&
           !memcmp(ip + IPV4_ADDRESSES, first + IPV4_ADDRESSES, 8) && ipv4_checksum_right(ip);
}

bool train_take(struct train *train, const uint8_t *frame, uint32_t bytes)
{
    const struct frame_layers *layers = &train->layers;
    const uint8_t *first = train->first;
    if (train->closed || bytes <= layers->payload)
        return false;
    uint32_t data = bytes - layers->payload;
    if (data > train->mss || layers->payload + train->data + data > TRAIN_MAX_FRAME ||
        memcmp(frame, first, layers->l3) || layers->l3 + ip_bytes(layers, frame) != bytes ||
        !ip_continues(train, first + layers->l3, frame + layers->l3))
        return false;
    const uint8_t *tcp = frame + layers->l4, *first_tcp = first + layers->l4;
    if (memcmp(tcp, first_tcp, SEQUENCE) ||
        sequence(layers, frame) != sequence(layers, first) + train->data ||
        memcmp(tcp + SEQUENCE + 4, first_tcp + SEQUENCE + 4, FLAGS - SEQUENCE - 4) ||
        (tcp[FLAGS] | PSH) != (first_tcp[FLAGS] | PSH) ||
        memcmp(tcp + FLAGS + 1, first_tcp + FLAGS + 1, CHECKSUM - FLAGS - 1) ||
        memcmp(tcp + CHECKSUM + 2, first_tcp + CHECKSUM + 2,
               (size_t)(layers->payload - layers->l4) - CHECKSUM - 2))
        return false;
    train->data += data;
    train->count++;
    /* The kernel clears the flag on all but the last. */
    train->pushes = tcp[FLAGS] & PSH;
    train->closed = train->pushes || data < train->mss;
    return true;
}

void train_headers(const struct train *train, uint8_t *head, struct virtio_net_hdr *vnet)
{
    const struct frame_layers *layers = &train->layers;
    uint32_t bytes = layers->payload + train->data;
    uint8_t *ip = head + layers->l3;
    memcpy(head, train->first, layers->payload);
    if (layers->ip == 4) {
        frame_put16(ip + IPV4_LENGTH, (uint16_t)(bytes - layers->l3));
        ip[IPV4_CHECKSUM] = ip[IPV4_CHECKSUM + 1] = 0;
        uint16_t sum = (uint16_t)~sum_fold(sum_bytes(ip, 20, 0));
        memcpy(ip + IPV4_CHECKSUM, &sum, 2);
    } else {
        frame_put16(ip + IPV6_LENGTH, (uint16_t)(bytes - layers->l3 - 40));
    }
    if (train->pushes)
        head[layers->l4 + FLAGS] |= PSH;
    uint16_t sum = sum_fold(frame_pseudo_sum(head, layers, bytes - layers->l4));
    memcpy(head + layers->l4 + CHECKSUM, &sum, 2);
    memset(vnet, 0, sizeof(*vnet));
    vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    vnet->csum_start = layers->l4;
    vnet->csum_offset = CHECKSUM;
    vnet->gso_type = layers->ip == 6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
    vnet->gso_size = (uint16_t)train->mss;
    vnet->hdr_len = layers->payload;
}
