/*
 * CRC-32C against RFC 3720's examples (appendix B.4), against the polynomial's definition bit by
 * bit, and the two ways against each other at every length where they change their step.
 */
#include "tap.h"

#include <ntddk.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crc32c.h"

static uint32_t by_definition(const uint8_t *data, size_t bytes)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

static void fill(uint8_t *data, size_t bytes)
{
    uint64_t word = 88172645463325252ull;

    for (size_t i = 0; i < bytes; i++) {
        word ^= word << 13, word ^= word >> 7, word ^= word << 17;
        data[i] = (uint8_t)word;
    }
}

static void rfc_examples(uint32_t (*crc)(UINT32, const VOID *, SIZE_T))
{
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    uint8_t bytes[32];

    is_hex(crc(0, "123456789", 9), 0xE3069283, "the check value of catalogues");
    is_hex(crc(0, memset(bytes, 0, 32), 32), 0x8A9136AA);
    is_hex(crc(0, memset(bytes, 255, 32), 32), 0x62A8AB43);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    is_hex(crc(0, bytes, 32), 0x46DD794E);
    for (unsigned i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    is_hex(crc(0, bytes, 32), 0x113FDB5C);
    is_hex(crc(0, read_command, 48), 0xD9963A56);
    is_hex(crc(0, "", 0), 0);
}

NT_TEST(crc32c_rfc_3720_by_table)
{
    rfc_examples(RplCrc32cByTable);
    rfc_examples(RplCrc32c);
}

NT_TEST(crc32c_rfc_3720_by_instruction)
{
    RplCrc32cInitialize();
    rfc_examples(RplCrc32c);
}

NT_TEST(crc32c_is_the_same_by_all_ways_at_all_lengths)
{
    enum { LONGEST = 2 * 4096 + 100 };
    uint8_t *data = malloc(LONGEST + 8);
    unsigned wrong = 0;

    fill(data, LONGEST + 8);
    RplCrc32cInitialize();
    for (size_t bytes = 0; bytes <= LONGEST; bytes++) {
        const uint8_t *start = data + bytes % 8;
        uint32_t expected = RplCrc32cByTable(0, start, bytes);

        wrong += RplCrc32c(0, start, bytes) != expected;
        if (bytes % 97 == 0)
            wrong += by_definition(start, bytes) != expected;
    }
    is_int(wrong, 0);
    free(data);
}

NT_TEST(crc32c_goes_on_from_a_seed)
{
    enum { BYTES = 5000 };
    uint8_t data[BYTES];
    uint32_t all;
    unsigned wrong = 0;

    fill(data, BYTES);
    RplCrc32cInitialize();
    all = RplCrc32c(0, data, BYTES);
    for (size_t cut = 0; cut <= BYTES; cut += 13) {
        wrong += RplCrc32c(RplCrc32c(0, data, cut), data + cut, BYTES - cut) != all;
        wrong += RplCrc32cByTable(RplCrc32c(0, data, cut), data + cut, BYTES - cut) != all;
    }
    is_int(wrong, 0);
}

static double nanoseconds(uint32_t (*crc)(UINT32, const VOID *, SIZE_T), const uint8_t *data,
                          size_t bytes, unsigned rounds)
{
    struct timespec before, after;
    uint32_t sum = 0;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (unsigned i = 0; i < rounds; i++)
        sum = crc(sum, data, bytes);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    ok(sum != 0xFFFFFFFF); /* so that it is computed */
    return ((double)(after.tv_sec - before.tv_sec) * 1e9 +
            (double)(after.tv_nsec - before.tv_nsec)) /
           rounds;
}

NT_TEST(crc32c_cost)
{
    static const unsigned sizes[] = {104, 512, 1024, 4096, 65536, 1048576};
    uint8_t *data = malloc(1048576);

    fill(data, 1048576);
    RplCrc32cInitialize();
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned rounds = 8u * 1048576 / sizes[i];
        double fast = nanoseconds(RplCrc32c, data, sizes[i], 4 * rounds);
        double slow = nanoseconds(RplCrc32cByTable, data, sizes[i], rounds / 4);

        diag("%u bytes: %.0f ns, by table %.0f ns", sizes[i], fast, slow);
        if (ExIsProcessorFeaturePresent(PF_SSE4_2_INSTRUCTIONS_AVAILABLE) && sizes[i] >= 4096)
            ok(fast * 4 < slow, "%.0f ns against %.0f", fast, slow);
    }
    free(data);
}
