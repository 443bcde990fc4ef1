#include "host_connection.h"
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace nts
{

Napi::Function HostConnection::define(Napi::Env env)
{
    return DefineClass(env, "HostConnection",
                       {InstanceMethod<&HostConnection::request>("request"),
                        InstanceMethod<&HostConnection::lend>("lend"),
                        InstanceMethod<&HostConnection::close>("close")});
}

/* The protocol's numbers, out of its one declaration. */
Napi::Object HostConnection::constants(Napi::Env env)
{
    Napi::Object wire = Napi::Object::New(env);
    auto set = [&](const char *name, uint32_t value) {
        wire.Set(name, Napi::Number::New(env, value));
    };
    set("magic", WIRE_MAGIC);
    set("version", WIRE_VERSION);
    set("maxPayload", WIRE_MAX_PAYLOAD);
    set("maxLent", WIRE_MAX_LENT);
    set("hello", WIRE_HELLO);
    set("open", WIRE_OPEN);
    set("close", WIRE_CLOSE);
    set("ioctl", WIRE_IOCTL);
    set("cancel", WIRE_CANCEL);
    set("read", WIRE_READ);
    set("write", WIRE_WRITE);
    set("install", WIRE_INSTALL);
    set("uninstall", WIRE_UNINSTALL);
    set("start", WIRE_START);
    set("stop", WIRE_STOP);
    set("list", WIRE_LIST);
    set("check", WIRE_CHECK);
    set("adapters", WIRE_ADAPTERS);
    return wire;
}

/* new HostConnection(path) */
HostConnection::HostConnection(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<HostConnection>(info), mailbox_(Mailbox::of(info.Env()))
{
    try {
        client_ = std::make_unique<HostClient>(info[0].As<Napi::String>().Utf8Value(), mailbox_);
    } catch (const std::system_error &error) {
        throw Napi::Error::New(info.Env(), error.what());
    }
    mailbox_->track(this);
}

HostConnection::~HostConnection()
{
    mailbox_->untrack(this);
}

/* request(op, handle, arg0, arg1, payload | null, done) -> tag */
Napi::Value HostConnection::request(const Napi::CallbackInfo &info)
{
    auto number = [&](size_t i) { return info[i].As<Napi::Number>().Uint32Value(); };
    const uint8_t *payload = nullptr;
    size_t bytes = 0;
    if (info[4].IsTypedArray()) {
        auto array = info[4].As<Napi::Uint8Array>();
        payload = array.Data();
        bytes = array.ByteLength();
    }
    if (bytes > WIRE_MAX_PAYLOAD)
        throw Napi::RangeError::New(info.Env(), "the input is longer than the host takes");
    RequestId id = mailbox_->expect(info[5].As<Napi::Function>());
    if (client_)
        client_->send(id, number(0), number(1), number(2), number(3), payload, bytes);
    return Napi::Number::New(info.Env(), static_cast<double>(id));
}

namespace
{

/* Memory that the host takes: a memfd that cannot shrink. Throws with errno. */
int make_memory(size_t bytes)
{
    int fd = memfd_create("ntswift lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    int error = errno;
    if (fd >= 0)
        ::close(fd);
    throw std::system_error(error, std::generic_category(), "memory to lend");
}

void *map_memory(int fd, size_t bytes)
{
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED)
        return memory;
    int error = errno;
    ::close(fd);
    throw std::system_error(error, std::generic_category(), "memory to lend");
}

} // namespace

/* lend(handle, code, bytes, payload | null, done) -> {request, memory}. Our mapping lives as long
 * as its ArrayBuffer; the host's is the host's own. */
Napi::Value HostConnection::lend(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    const size_t bytes = info[2].As<Napi::Number>().Uint32Value();
    const uint8_t *payload = nullptr;
    size_t payload_bytes = 0;
    if (info[3].IsTypedArray()) {
        auto array = info[3].As<Napi::Uint8Array>();
        payload = array.Data();
        payload_bytes = array.ByteLength();
    }
    if (payload_bytes > WIRE_MAX_PAYLOAD)
        throw Napi::RangeError::New(env, "the input is longer than the host takes");
    int descriptor = -1;
    void *memory = nullptr;
    try {
        descriptor = make_memory(bytes);
        memory = map_memory(descriptor, bytes);
    } catch (const std::system_error &error) {
        throw Napi::Error::New(env, error.what());
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("memory", Napi::ArrayBuffer::New(env, memory, bytes, [bytes](Napi::Env, void *data) {
                   munmap(data, bytes);
               }));
    RequestId id = mailbox_->expect(info[4].As<Napi::Function>());
    if (client_)
        client_->send(id, WIRE_LEND, info[0].As<Napi::Number>().Uint32Value(),
                      info[1].As<Napi::Number>().Uint32Value(), static_cast<uint32_t>(bytes),
                      payload, payload_bytes, descriptor);
    else
        ::close(descriptor);
    result.Set("request", Napi::Number::New(env, static_cast<double>(id)));
    return result;
}

Napi::Value HostConnection::close(const Napi::CallbackInfo &info)
{
    if (client_)
        client_->close();
    return info.Env().Undefined();
}

void HostConnection::stop()
{
    client_.reset();
}

} // namespace nts
