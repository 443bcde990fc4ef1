/* Parsing of frames down to TCP and UDP, and the Internet checksum (RFC 1071). See frame.h. */
#include "frame.h"
#include <string.h>

enum {
    PROTOCOL_HOPOPTS = 0,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    PROTOCOL_ROUTING = 43,
    PROTOCOL_FRAGMENT = 44,
    PROTOCOL_AH = 51,
    PROTOCOL_DSTOPTS = 60
};

static bool parse_l4(const uint8_t *head, size_t seen, struct frame_layers *layers, size_t at,
                     size_t ip_end)
{
    size_t header;
    if (layers->protocol == PROTOCOL_TCP) {
        if (at + 20 > seen || at + 20 > ip_end)
            return false;
        header = (size_t)(head[at + 12] >> 4) * 4;
        if (header < 20 || at + header > ip_end)
            return false;
    } else if (layers->protocol == PROTOCOL_UDP) {
        header = 8;
        if (at + header > seen || at + header > ip_end)
            return false;
    } else {
        return true;
    }
    layers->l4 = (uint16_t)at;
    layers->payload = (uint16_t)(at + header);
    layers->l4_bytes = (uint32_t)(ip_end - at);
    return true;
}

static bool parse_ipv4(const uint8_t *head, size_t seen, size_t frame_bytes,
                       struct frame_layers *layers)
{
    size_t at = layers->l3;
    if (at + 20 > seen || head[at] >> 4 != 4)
        return false;
    size_t header = (size_t)(head[at] & 15) * 4;
    size_t total = frame_get16(head + at + 2);
    /* A super-frame may be longer than 16 bits can say; then the field is what it is worth. */
    if (total == 0)
        total = frame_bytes - at;
    if (header < 20 || at + header > seen || total < header || at + total > frame_bytes)
        return false;
    layers->ip = 4;
    layers->protocol = head[at + 9];
    layers->extended = header > 20;
    layers->fragment = (frame_get16(head + at + 6) & 0x3fff) != 0;
    return layers->fragment || parse_l4(head, seen, layers, at + header, at + total);
}

static bool parse_ipv6(const uint8_t *head, size_t seen, size_t frame_bytes,
                       struct frame_layers *layers)
{
    size_t at = layers->l3;
    if (at + 40 > seen || head[at] >> 4 != 6)
        return false;
    size_t end = at + 40 + frame_get16(head + at + 4);
    if (end == at + 40 && frame_bytes > end)
        end = frame_bytes; /* a jumbo super-frame: the kernel leaves the length zero */
    if (end > frame_bytes)
        return false;
    layers->ip = 6;
    uint8_t next = head[at + 6];
    at += 40;
    for (;;) {
        layers->protocol = next;
        if (next != PROTOCOL_HOPOPTS && next != PROTOCOL_ROUTING && next != PROTOCOL_FRAGMENT &&
            next != PROTOCOL_AH && next != PROTOCOL_DSTOPTS)
            return parse_l4(head, seen, layers, at, end);
        layers->extended = true;
        if (at + 8 > seen || at + 8 > end)
            return false;
        if (next == PROTOCOL_FRAGMENT) {
            layers->protocol = head[at];
            layers->fragment = true;
            return true;
        }
        size_t bytes =
            next == PROTOCOL_AH ? (size_t)(head[at + 1] + 2) * 4 : (size_t)(head[at + 1] + 1) * 8;
        next = head[at];
        at += bytes;
        if (at > end)
            return false;
    }
}

bool frame_parse(const uint8_t *head, size_t head_bytes, size_t frame_bytes,
                 struct frame_layers *layers)
{
    memset(layers, 0, sizeof(*layers));
    size_t seen = head_bytes < frame_bytes ? head_bytes : frame_bytes;
    if (seen > FRAME_MAX_HEADERS)
        seen = FRAME_MAX_HEADERS;
    if (seen < FRAME_ETHERNET_HEADER)
        return false;
    size_t at = 12;
    uint16_t type = frame_get16(head + at);
    while (type == FRAME_ETHERTYPE_VLAN || type == FRAME_ETHERTYPE_QINQ) {
        at += FRAME_VLAN_TAG;
        if (at + 2 > seen)
            return false;
        layers->tagged = true;
        type = frame_get16(head + at);
    }
    layers->ethertype = type;
    if (type == FRAME_ETHERTYPE_IPV4 || type == FRAME_ETHERTYPE_IPV6)
        layers->l3 = (uint16_t)(at + 2);
    if (type == FRAME_ETHERTYPE_IPV4)
        return parse_ipv4(head, seen, frame_bytes, layers);
    if (type == FRAME_ETHERTYPE_IPV6)
        return parse_ipv6(head, seen, frame_bytes, layers);
    return true;
}

static inline uint64_t add_carry(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? sum + 1 : sum;
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static uint64_t sum_tail(const uint8_t *p, size_t bytes, uint64_t sum)
{
    uint64_t last = 0;
    memcpy(&last, p, bytes);
    return add_carry(sum, last);
}

uint64_t sum_bytes(const void *data, size_t bytes, uint64_t sum)
{
    const uint8_t *p = data;
    /* Four chains: an add with carry depends on the one before. */
    uint64_t a = sum, b = 0, c = 0, d = 0;
    for (; bytes >= 32; bytes -= 32, p += 32) {
        a = add_carry(a, load64(p));
        b = add_carry(b, load64(p + 8));
        c = add_carry(c, load64(p + 16));
        d = add_carry(d, load64(p + 24));
    }
    sum = add_carry(add_carry(a, b), add_carry(c, d));
    for (; bytes >= 8; bytes -= 8, p += 8)
        sum = add_carry(sum, load64(p));
    return bytes ? sum_tail(p, bytes, sum) : sum;
}

uint64_t sum_copy(void *to, const void *from, size_t bytes, uint64_t sum)
{
    memcpy(to, from, bytes);
    return sum_bytes(to, bytes, sum);
}

uint16_t sum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t sum_join(uint64_t sum, uint64_t piece, size_t offset)
{
    uint16_t folded = sum_fold(piece);
    if (offset & 1)
        folded = (uint16_t)(folded << 8 | folded >> 8);
    return add_carry(sum, folded);
}

uint64_t frame_pseudo_sum(const uint8_t *head, const struct frame_layers *layers, uint32_t l4_bytes)
{
    uint8_t tail[8] = {0};
    frame_put32(tail, l4_bytes);
    tail[7] = layers->protocol;
    uint64_t sum = layers->ip == 4 ? sum_bytes(head + layers->l3 + 12, 8, 0)
                                   : sum_bytes(head + layers->l3 + 8, 32, 0);
    return sum_bytes(tail, 8, sum);
}
