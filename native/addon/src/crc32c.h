/* CRC-32C (RFC 3720, appendix B.4) of bytes, going on from the CRC of what came before them. */
#pragma once
#include <cstddef>
#include <cstdint>

namespace nts
{

/* seed: 0 for the first bytes. By the processor's instruction where it has one. */
uint32_t crc32c(uint32_t seed, const void *data, size_t bytes);

} // namespace nts
