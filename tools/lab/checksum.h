/* The Internet checksum (RFC 1071), for the lab's programs that make packets by hand. */
#pragma once

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>

static inline uint32_t sum(uint32_t so_far, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i + 1 < bytes; i += 2)
        so_far += (uint32_t)p[i] << 8 | p[i + 1];
    if (bytes & 1)
        so_far += (uint32_t)p[bytes - 1] << 8;
    return so_far;
}

/* As it stands in a header. */
static inline uint16_t fold(uint32_t s)
{
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)~s);
}
