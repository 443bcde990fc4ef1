/* The module: what ts/native.ts declares. */
#include "mailbox.h"
#include "memory.h"
#include "records.h"
#ifdef _WIN32
#include "windows_device.h"
#else
#include "files.h"
#include "host_connection.h"
#endif

static Napi::Object initialize(Napi::Env env, Napi::Object exports)
{
    nts::Mailbox::create(env);
    exports.Set("records", nts::records_module(env));
    nts::define_memory(env, exports);
#ifdef _WIN32
    exports.Set("kind", "windows");
    exports.Set("WindowsDevice", nts::WindowsDevice::define(env));
#else
    exports.Set("kind", "host");
    exports.Set("HostConnection", nts::HostConnection::define(env));
    exports.Set("files", nts::files_module(env));
    exports.Set("wire", nts::HostConnection::constants(env));
#endif
    return exports;
}

NODE_API_MODULE(ntswift, initialize)
