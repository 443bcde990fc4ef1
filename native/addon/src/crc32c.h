/* CRC-32C, RFC 3720 appendix B.4: by the processor's instruction if it has it, else by a table. */
#pragma once
#include <cstddef>
#include <cstdint>

namespace nts
{

/* seed: 0, or what the call for the bytes before gave. */
uint32_t crc32c(uint32_t seed, const uint8_t *data, size_t bytes);

} // namespace nts
