/*
 * Records of the REPL driver (kernel/include/ntswift/repl.h) in a buffer: checksums and frames of
 * many at once. What a record means is checked in userland/repl/record.ts.
 */
#pragma once
#include <napi.h>

namespace nts
{

/* { crc32c(bytes, seed), scan(bytes, table), stride } of ts/native.ts. */
Napi::Object records_module(Napi::Env env);

} // namespace nts
