/* HostConnection: a connection to the driver host, as JavaScript sees it (ts/native.ts). */
#pragma once
#include "host_client.h"
#include "mailbox.h"

namespace nts
{

class HostConnection final : public Napi::ObjectWrap<HostConnection>, private Resource
{
  public:
    static Napi::Function define(Napi::Env env);
    static Napi::Object constants(Napi::Env env);

    explicit HostConnection(const Napi::CallbackInfo &info);
    ~HostConnection() override;

  private:
    Napi::Value request(const Napi::CallbackInfo &info);
    Napi::Value lend(const Napi::CallbackInfo &info);
    Napi::Value close(const Napi::CallbackInfo &info);
    void stop() override;

    std::shared_ptr<Mailbox> mailbox_;
    std::unique_ptr<HostClient> client_; /* null once stopped */
};

} // namespace nts
