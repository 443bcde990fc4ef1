/* Segmentation in software. See gso.h. */
#include "gso.h"
#include <string.h>

enum { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80 };

unsigned gso_count(const struct gso *gso)
{
    return gso->left ? (gso->left + gso->mss - 1) / gso->mss : gso->index == 0;
}

size_t gso_frame_bytes(const struct gso *gso)
{
    uint32_t data = gso->left < gso->mss ? gso->left : gso->mss;
    return gso->layers->payload + data;
}

static uint64_t copy_data(struct gso *gso, uint8_t *to, uint32_t bytes)
{
    uint64_t sum = 0;
    uint32_t done = 0;
    while (done < bytes) {
        size_t here = gso->data->iov_len - gso->offset;
        if (here == 0) {
            gso->data++;
            gso->offset = 0;
            continue;
        }
        if (here > bytes - done)
            here = bytes - done;
        const uint8_t *from = (const uint8_t *)gso->data->iov_base + gso->offset;
        if (gso->partial)
            memcpy(to + done, from, here);
        else
            sum = sum_join(sum, sum_copy(to + done, from, here, 0), done);
        done += (uint32_t)here;
        gso->offset += here;
    }
    return sum;
}

static void finish_ip(const struct gso *gso, uint8_t *frame, uint32_t l4_bytes)
{
    const struct frame_layers *layers = gso->layers;
    uint8_t *ip = frame + layers->l3;
    if (layers->ip == 6) {
        frame_put16(ip + 4, (uint16_t)(layers->l4 - layers->l3 - 40 + l4_bytes));
        return;
    }
    frame_put16(ip + 2, (uint16_t)(layers->l4 - layers->l3 + l4_bytes));
    frame_put16(ip + 4, (uint16_t)(frame_get16(ip + 4) + gso->index));
    ip[10] = ip[11] = 0;
    uint16_t sum = (uint16_t)~sum_fold(sum_bytes(ip, (size_t)(ip[0] & 15) * 4, 0));
    memcpy(ip + 10, &sum, 2);
}

size_t gso_next(struct gso *gso, uint8_t *frame)
{
    if (gso_count(gso) == 0)
        return 0;
    const struct frame_layers *layers = gso->layers;
    uint32_t data = gso->left < gso->mss ? gso->left : gso->mss;
    uint32_t l4_bytes = (uint32_t)(layers->payload - layers->l4) + data;
    bool last = data == gso->left;
    memcpy(frame, gso->head, layers->payload);
    uint64_t sum = copy_data(gso, frame + layers->payload, data);

    uint8_t *l4 = frame + layers->l4;
    if (layers->protocol == 6) {
        frame_put32(l4 + 4, frame_get32(l4 + 4) + gso->index * gso->mss);
        if (!last)
            l4[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
        if (gso->index)
            l4[13] &= (uint8_t)~TCP_CWR;
    } else {
        frame_put16(l4 + 4, (uint16_t)l4_bytes);
    }
    finish_ip(gso, frame, l4_bytes);
    uint8_t *field = frame + frame_checksum_offset(layers);
    field[0] = field[1] = 0;
    size_t header = (size_t)(layers->payload - layers->l4);
    uint64_t pseudo = frame_pseudo_sum(frame, layers, l4_bytes);
    uint16_t check = sum_fold(pseudo);
    if (!gso->partial)
        check = (uint16_t)~sum_fold(sum_join(sum_bytes(l4, header, pseudo), sum, header));
    if (check == 0 && layers->protocol != 6)
        check = 0xffff; /* zero would say "no checksum" */
    memcpy(field, &check, 2);
    gso->left -= data;
    gso->index++;
    return layers->payload + data;
}
