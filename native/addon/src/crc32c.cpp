#include "crc32c.h"
#include <array>
#include <cstring>

#if defined(__x86_64__) || defined(_M_X64)
#define NTS_CRC_INSTRUCTION 1
#include <nmmintrin.h>
#ifdef _MSC_VER
#include <intrin.h>
#endif
#endif

namespace nts
{

namespace
{

constexpr uint32_t polynomial = 0x82F63B78; /* 0x1EDC6F41, bits reversed */

constexpr std::array<uint32_t, 256> make_table()
{
    std::array<uint32_t, 256> table{};
    for (uint32_t value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? polynomial : 0);
        table[value] = crc;
    }
    return table;
}

constexpr std::array<uint32_t, 256> table = make_table();

uint32_t by_table(uint32_t crc, const uint8_t *next, size_t bytes)
{
    for (; bytes > 0; bytes--)
        crc = table[(crc ^ *next++) & 0xff] ^ crc >> 8;
    return crc;
}

#ifdef NTS_CRC_INSTRUCTION

bool has_instruction()
{
#ifdef _MSC_VER
    int registers[4];
    __cpuid(registers, 1);
    return (registers[2] & 1 << 20) != 0;
#else
    return __builtin_cpu_supports("sse4.2");
#endif
}

#ifndef _MSC_VER
__attribute__((target("sse4.2")))
#endif
uint32_t
by_instruction(uint32_t crc, const uint8_t *next, size_t bytes)
{
    uint64_t wide = crc;
    for (; bytes >= 8; bytes -= 8, next += 8) {
        uint64_t word;
        std::memcpy(&word, next, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = static_cast<uint32_t>(wide);
    for (; bytes > 0; bytes--)
        crc = _mm_crc32_u8(crc, *next++);
    return crc;
}

#endif

} // namespace

uint32_t crc32c(uint32_t seed, const void *data, size_t bytes)
{
    const auto *next = static_cast<const uint8_t *>(data);
#ifdef NTS_CRC_INSTRUCTION
    static const bool instruction = has_instruction();
    if (instruction)
        return ~by_instruction(~seed, next, bytes);
#endif
    return ~by_table(~seed, next, bytes);
}

} // namespace nts
