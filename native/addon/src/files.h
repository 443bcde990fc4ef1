/* The file calls of Linux that Node lacks; NativeFiles of ts/native.ts says what each does. */
#pragma once
#include <napi.h>

namespace nts
{

Napi::Object files_module(Napi::Env env);

} // namespace nts
