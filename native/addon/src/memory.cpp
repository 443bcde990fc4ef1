#include "memory.h"
#include "crc32c.h"
#include <atomic>

namespace nts
{

namespace
{

/* The UINT64 at an offset of a view; it must lie in it, and on its own size in memory. */
std::atomic_ref<uint64_t> word(const Napi::CallbackInfo &info)
{
    auto view = info[0].As<Napi::Uint8Array>();
    double offset = info[1].As<Napi::Number>().DoubleValue();
    size_t bytes = view.ByteLength();
    if (!(offset >= 0) || bytes < sizeof(uint64_t) ||
        offset > static_cast<double>(bytes - sizeof(uint64_t)))
        throw Napi::RangeError::New(info.Env(), "the word is not in the memory");
    uint8_t *at = view.Data() + static_cast<size_t>(offset);
    if (reinterpret_cast<uintptr_t>(at) % sizeof(uint64_t) != 0)
        throw Napi::RangeError::New(info.Env(), "the word is not aligned");
    return std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t *>(at));
}

/* loadAcquire(view, offset) -> bigint */
Napi::Value load_acquire(const Napi::CallbackInfo &info)
{
    return Napi::BigInt::New(info.Env(), word(info).load(std::memory_order_acquire));
}

/* storeRelease(view, offset, value) */
Napi::Value store_release(const Napi::CallbackInfo &info)
{
    bool lossless;
    const uint64_t value = info[2].As<Napi::BigInt>().Uint64Value(&lossless);
    if (!lossless)
        throw Napi::RangeError::New(info.Env(), "the value is no UINT64");
    word(info).store(value, std::memory_order_release);
    return info.Env().Undefined();
}

/* crc32c(data, seed) -> number */
Napi::Value crc32c_of(const Napi::CallbackInfo &info)
{
    auto data = info[0].As<Napi::Uint8Array>();
    const uint32_t seed = info[1].As<Napi::Number>().Uint32Value();
    return Napi::Number::New(info.Env(), crc32c(seed, data.Data(), data.ByteLength()));
}

} // namespace

void define_memory(Napi::Env env, Napi::Object exports)
{
    exports.Set("loadAcquire", Napi::Function::New(env, load_acquire, "loadAcquire"));
    exports.Set("storeRelease", Napi::Function::New(env, store_release, "storeRelease"));
    exports.Set("crc32c", Napi::Function::New(env, crc32c_of, "crc32c"));
}

} // namespace nts
