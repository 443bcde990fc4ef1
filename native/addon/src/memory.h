/*
 * What JavaScript cannot do with memory that another process or a driver shares: loads and stores
 * with an order, and CRC-32C at the speed of the memory.
 */
#pragma once
#include <napi.h>

namespace nts
{

/* loadAcquire, storeRelease and crc32c, as ts/native.ts has them. */
void define_memory(Napi::Env env, Napi::Object exports);

} // namespace nts
