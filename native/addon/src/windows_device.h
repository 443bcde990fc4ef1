/*
 * WindowsDevice: CreateFile, overlapped DeviceIoControl, ReadFile and WriteFile, CancelIoEx and
 * CloseHandle, as JavaScript sees them (ts/native.ts).
 *
 * Opening and closing run driver code (IRP_MJ_CREATE, IRP_MJ_CLEANUP) that may take its time, hence
 * on the thread pool. A request is started on the JavaScript thread; the pool waits for its event.
 *
 * Invariants: operations_ and closing_ are guarded by lock_. An Operation is in operations_ from
 * its start until its outcome is posted; its buffers are the driver's until then, and memory that
 * it lends lives as long as the operation and JavaScript's ArrayBuffer. The handle is closed when
 * close was asked for and no operation is left, by whoever notices that, once.
 */
#pragma once
#include "mailbox.h"
#include <condition_variable>
#include <functional>
#include <utility>
#include <windows.h>

namespace nts
{

class WindowsDevice final : public Napi::ObjectWrap<WindowsDevice>, private Resource
{
  public:
    static Napi::Function define(Napi::Env env);

    explicit WindowsDevice(const Napi::CallbackInfo &info);
    ~WindowsDevice() override;

  private:
    /* What outlives the JavaScript object while the pool works for it. */
    class Core;

    Napi::Value open(const Napi::CallbackInfo &info);
    Napi::Value ioctl(const Napi::CallbackInfo &info);
    Napi::Value lend(const Napi::CallbackInfo &info);
    Napi::Value read(const Napi::CallbackInfo &info);
    Napi::Value write(const Napi::CallbackInfo &info);
    Napi::Value cancel(const Napi::CallbackInfo &info);
    Napi::Value close(const Napi::CallbackInfo &info);
    void stop() override;

    std::shared_ptr<Mailbox> mailbox_;
    std::shared_ptr<Core> core_;
};

} // namespace nts
