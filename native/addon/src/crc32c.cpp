#include "crc32c.h"
#include <array>
#include <cstring>
#include <nmmintrin.h>
#ifdef _MSC_VER
#include <intrin.h>
#define WITH_CRC32
#else
#define WITH_CRC32 __attribute__((target("sse4.2")))
#endif

namespace nts
{

namespace
{

constexpr uint32_t POLYNOMIAL = 0x82f63b78; /* reflected */

/* Bytes of each of three streams: the instruction takes three cycles, and one can begin in each. */
constexpr size_t STREAM = 1360;

using ByteTable = std::array<uint32_t, 256>;

constexpr ByteTable make_bytes()
{
    ByteTable table{};
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[i] = crc;
    }
    return table;
}

constexpr ByteTable BYTES = make_bytes();

/* What a stream of zeros does to each byte of the register; it is linear. */
std::array<ByteTable, 4> make_shift()
{
    std::array<uint32_t, 32> bits{};
    std::array<ByteTable, 4> table{};
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t crc = 1u << bit;
        for (size_t i = 0; i < STREAM; i++)
            crc = BYTES[crc & 0xff] ^ crc >> 8;
        bits[bit] = crc;
    }
    for (unsigned byte = 0; byte < 4; byte++)
        for (unsigned value = 0; value < 256; value++)
            for (unsigned bit = 0; bit < 8; bit++)
                table[byte][value] ^= value >> bit & 1 ? bits[8 * byte + bit] : 0;
    return table;
}

bool has_instruction()
{
#ifdef _MSC_VER
    int registers[4];
    __cpuid(registers, 1);
    return registers[2] >> 20 & 1;
#else
    return __builtin_cpu_supports("sse4.2");
#endif
}

uint32_t by_table(uint32_t crc, const uint8_t *data, size_t bytes)
{
    for (; bytes > 0; bytes--)
        crc = BYTES[(crc ^ *data++) & 0xff] ^ crc >> 8;
    return crc;
}

WITH_CRC32 uint64_t step(uint64_t crc, const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return _mm_crc32_u64(crc, word);
}

uint32_t shift(uint32_t crc)
{
    static const std::array<ByteTable, 4> table = make_shift();
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
           table[3][crc >> 24];
}

WITH_CRC32 uint32_t by_instruction(uint32_t start, const uint8_t *data, size_t bytes)
{
    uint64_t crc = start;
    for (; bytes >= 3 * STREAM; bytes -= 3 * STREAM, data += 3 * STREAM) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < STREAM; i += 8) {
            crc = step(crc, data + i);
            second = step(second, data + STREAM + i);
            third = step(third, data + 2 * STREAM + i);
        }
        crc = shift(static_cast<uint32_t>(crc)) ^ second;
        crc = shift(static_cast<uint32_t>(crc)) ^ third;
    }
    for (; bytes >= 8; bytes -= 8, data += 8)
        crc = step(crc, data);
    for (; bytes > 0; bytes--)
        crc = _mm_crc32_u8(static_cast<uint32_t>(crc), *data++);
    return static_cast<uint32_t>(crc);
}

} // namespace

uint32_t crc32c(uint32_t seed, const uint8_t *data, size_t bytes)
{
    static const bool instruction = has_instruction();
    return ~(instruction ? by_instruction(~seed, data, bytes) : by_table(~seed, data, bytes));
}

} // namespace nts
