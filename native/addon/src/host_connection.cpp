#include "host_connection.h"
#include <system_error>

namespace nts
{

Napi::Function HostConnection::define(Napi::Env env)
{
    return DefineClass(env, "HostConnection",
                       {InstanceMethod<&HostConnection::request>("request"),
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
