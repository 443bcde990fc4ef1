#include "windows_device.h"
#include <unordered_map>
#include <winternl.h>

namespace nts
{

namespace
{

constexpr uint32_t STATUS_OK = 0;
constexpr uint32_t STATUS_NO_RESOURCES = 0xc000009a;
constexpr uint32_t STATUS_HANDLE_CLOSED = 0xc0000008;

bool is_error(uint32_t status)
{
    return status >> 30 == 3;
}

bool is_warning(uint32_t status)
{
    return status >> 30 == 2;
}

HMODULE this_library()
{
    HMODULE library = nullptr;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                           GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                       reinterpret_cast<LPCWSTR>(&this_library), &library);
    return library;
}

/* Callbacks keep the library loaded until they have returned. */
PTP_CALLBACK_ENVIRON pool()
{
    static TP_CALLBACK_ENVIRON environment = [] {
        TP_CALLBACK_ENVIRON made;
        InitializeThreadpoolEnvironment(&made);
        SetThreadpoolCallbackLibrary(&made, this_library());
        return made;
    }();
    return &environment;
}

template <typename F> F ntdll(const char *name)
{
    HMODULE library = GetModuleHandleW(L"ntdll.dll");
    return library ? reinterpret_cast<F>(reinterpret_cast<void *>(GetProcAddress(library, name)))
                   : nullptr;
}

/* Win32 errors say less than the NTSTATUS behind them. The thread remembers the latter; it is
 * believed where it translates to the error at hand. What is left is NTSTATUS_FROM_WIN32. */
uint32_t status_of(DWORD error)
{
    static const auto last_status = ntdll<NTSTATUS(NTAPI *)()>("RtlGetLastNtStatus");
    static const auto to_error = ntdll<ULONG(NTAPI *)(NTSTATUS)>("RtlNtStatusToDosError");
    if (last_status && to_error) {
        NTSTATUS status = last_status();
        if (is_error(static_cast<uint32_t>(status)) && to_error(status) == error)
            return static_cast<uint32_t>(status);
    }
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
        return 0xc0000034; /* STATUS_OBJECT_NAME_NOT_FOUND */
    case ERROR_PATH_NOT_FOUND:
        return 0xc000003a; /* STATUS_OBJECT_PATH_NOT_FOUND */
    case ERROR_ACCESS_DENIED:
        return 0xc0000022; /* STATUS_ACCESS_DENIED */
    case ERROR_OPERATION_ABORTED:
        return 0xc0000120; /* STATUS_CANCELLED */
    default:
        return 0xc0070000 | (error & 0xffff);
    }
}

Outcome outcome_of(uint32_t status, uint64_t information = 0)
{
    Outcome outcome;
    outcome.status = status;
    outcome.information = information;
    return outcome;
}

} // namespace

enum class Kind { ioctl, read, write };

/* Whole pages of a driver's and of JavaScript's. */
class LentMemory
{
  public:
    explicit LentMemory(size_t bytes)
        : data_(VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE)),
          bytes_(bytes)
    {
    }
    ~LentMemory()
    {
        if (data_)
            VirtualFree(data_, 0, MEM_RELEASE);
    }
    LentMemory(const LentMemory &) = delete;
    LentMemory &operator=(const LentMemory &) = delete;

    void *data() const
    {
        return data_;
    } /* null: there is no memory */
    size_t bytes() const
    {
        return bytes_;
    }

  private:
    void *const data_;
    const size_t bytes_;
};

class WindowsDevice::Core : public std::enable_shared_from_this<WindowsDevice::Core>
{
  public:
    explicit Core(std::shared_ptr<Mailbox> mailbox) : mailbox_(std::move(mailbox)) {}

    void open(RequestId id, std::wstring path, DWORD access);
    void start(Kind kind, RequestId id, DWORD code, uint64_t offset, std::vector<uint8_t> input,
               DWORD output_bytes, std::shared_ptr<LentMemory> lent = nullptr);
    void cancel(RequestId id);
    void close(RequestId id);
    void stop();

  private:
    struct Operation {
        OVERLAPPED overlapped = {};
        std::shared_ptr<Core> core;
        Kind kind;
        RequestId id;
        std::vector<uint8_t> input;
        std::vector<uint8_t> output;
        std::shared_ptr<LentMemory> lent; /* the output, if it is not null */
        PTP_WAIT wait = nullptr;

        ~Operation()
        {
            if (wait)
                CloseThreadpoolWait(wait);
            if (overlapped.hEvent)
                CloseHandle(overlapped.hEvent);
        }
    };
    using Job = std::function<void()>;

    static void CALLBACK signalled(PTP_CALLBACK_INSTANCE, void *context, PTP_WAIT, TP_WAIT_RESULT);
    static void CALLBACK run_job(PTP_CALLBACK_INSTANCE, void *context);
    bool begin(Operation &operation, DWORD code);
    void finish(RequestId id, uint32_t status, uint64_t information);
    void submit(Job job);
    void close_handle();

    const std::shared_ptr<Mailbox> mailbox_;
    std::mutex lock_;
    std::condition_variable idle_;
    HANDLE handle_ = INVALID_HANDLE_VALUE;
    std::unordered_map<RequestId, std::unique_ptr<Operation>> operations_;
    unsigned jobs_ = 0; /* on the pool */
    bool closing_ = false;
    RequestId close_id_ = 0;
};

/* Runs a job on the pool, or here where the pool takes none. */
void WindowsDevice::Core::submit(Job job)
{
    {
        std::lock_guard guard(lock_);
        jobs_++;
    }
    auto *boxed = new Job([self = shared_from_this(), job = std::move(job)] {
        job();
        std::lock_guard guard(self->lock_);
        self->jobs_--;
        self->idle_.notify_all();
    });
    if (!TrySubmitThreadpoolCallback(run_job, boxed, pool()))
        run_job(nullptr, boxed);
}

void CALLBACK WindowsDevice::Core::run_job(PTP_CALLBACK_INSTANCE, void *context)
{
    std::unique_ptr<Job> job(static_cast<Job *>(context));
    (*job)();
}

void WindowsDevice::Core::open(RequestId id, std::wstring path, DWORD access)
{
    submit([this, id, path = std::move(path), access] {
        HANDLE handle = CreateFileW(path.c_str(), access, FILE_SHARE_READ | FILE_SHARE_WRITE,
                                    nullptr, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, nullptr);
        uint32_t status = handle == INVALID_HANDLE_VALUE ? status_of(GetLastError()) : STATUS_OK;
        {
            std::lock_guard guard(lock_);
            handle_ = handle;
        }
        mailbox_->post(id, outcome_of(status));
    });
}

void WindowsDevice::Core::start(Kind kind, RequestId id, DWORD code, uint64_t offset,
                                std::vector<uint8_t> input, DWORD output_bytes,
                                std::shared_ptr<LentMemory> lent)
{
    auto made = std::make_unique<Operation>();
    Operation &operation = *made;
    operation.core = shared_from_this();
    operation.kind = kind;
    operation.id = id;
    operation.input = std::move(input);
    operation.output.resize(output_bytes);
    operation.lent = std::move(lent);
    operation.overlapped.Offset = static_cast<DWORD>(offset);
    operation.overlapped.OffsetHigh = static_cast<DWORD>(offset >> 32);
    operation.overlapped.hEvent = CreateEventW(nullptr, TRUE, FALSE, nullptr);
    operation.wait = CreateThreadpoolWait(signalled, &operation, pool());
    if (!operation.overlapped.hEvent || !operation.wait) {
        mailbox_->post(id, outcome_of(STATUS_NO_RESOURCES));
        return;
    }
    {
        std::lock_guard guard(lock_);
        if (closing_ || handle_ == INVALID_HANDLE_VALUE) {
            mailbox_->post(id, outcome_of(STATUS_HANDLE_CLOSED));
            return;
        }
        operations_.emplace(id, std::move(made));
    }
    /* The handle stays open while an operation is registered. */
    if (begin(operation, code) || GetLastError() == ERROR_IO_PENDING) {
        SetThreadpoolWait(operation.wait, operation.overlapped.hEvent, nullptr);
        return;
    }
    /* Refused at once: the system signals nothing. A warning is in the status block, an error is
     * not. */
    const DWORD error = GetLastError();
    const auto status = static_cast<uint32_t>(operation.overlapped.Internal);
    if (is_warning(status))
        finish(id, status, operation.overlapped.InternalHigh);
    else
        finish(id, status_of(error), 0);
}

bool WindowsDevice::Core::begin(Operation &operation, DWORD code)
{
    auto &[overlapped, core, kind, id, input, output, lent, wait] = operation;
    const auto input_bytes = static_cast<DWORD>(input.size());
    if (lent)
        return DeviceIoControl(handle_, code, input.data(), input_bytes, lent->data(),
                               static_cast<DWORD>(lent->bytes()), nullptr, &overlapped);
    const auto output_bytes = static_cast<DWORD>(output.size());
    switch (kind) {
    case Kind::ioctl:
        return DeviceIoControl(handle_, code, input.data(), input_bytes, output.data(),
                               output_bytes, nullptr, &overlapped);
    case Kind::read:
        return ReadFile(handle_, output.data(), output_bytes, nullptr, &overlapped);
    case Kind::write:
        return WriteFile(handle_, input.data(), input_bytes, nullptr, &overlapped);
    }
    SetLastError(ERROR_INVALID_FUNCTION);
    return false;
}

void CALLBACK WindowsDevice::Core::signalled(PTP_CALLBACK_INSTANCE, void *context, PTP_WAIT,
                                             TP_WAIT_RESULT)
{
    auto *operation = static_cast<Operation *>(context);
    std::shared_ptr<Core> core = operation->core;
    core->finish(operation->id, static_cast<uint32_t>(operation->overlapped.Internal),
                 operation->overlapped.InternalHigh);
}

void WindowsDevice::Core::finish(RequestId id, uint32_t status, uint64_t information)
{
    bool last = false;
    std::unique_ptr<Operation> done;
    {
        std::lock_guard guard(lock_);
        auto found = operations_.find(id);
        done = std::move(found->second);
        operations_.erase(found);
        last = closing_ && close_id_ && operations_.empty();
    }
    Outcome outcome = outcome_of(status, information);
    if (!is_error(status) && done->kind != Kind::write) {
        done->output.resize(std::min<size_t>(done->output.size(), information));
        outcome.payload = std::move(done->output);
    }
    mailbox_->post(id, std::move(outcome));
    done.reset();
    if (last)
        submit([this] { close_handle(); });
    std::lock_guard guard(lock_);
    idle_.notify_all();
}

void WindowsDevice::Core::cancel(RequestId id)
{
    std::lock_guard guard(lock_);
    auto found = operations_.find(id);
    if (found != operations_.end())
        CancelIoEx(handle_, &found->second->overlapped);
}

void WindowsDevice::Core::close(RequestId id)
{
    bool idle;
    {
        std::lock_guard guard(lock_);
        closing_ = true;
        close_id_ = id;
        idle = operations_.empty();
        if (!idle)
            CancelIoEx(handle_, nullptr);
    }
    if (idle)
        submit([this] { close_handle(); });
}

void WindowsDevice::Core::close_handle()
{
    HANDLE handle;
    RequestId id;
    {
        std::lock_guard guard(lock_);
        handle = std::exchange(handle_, INVALID_HANDLE_VALUE);
        id = close_id_;
    }
    if (handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
    if (id)
        mailbox_->post(id, outcome_of(STATUS_OK));
}

/* As a process ends: it waits until the drivers have given back every request. */
void WindowsDevice::Core::stop()
{
    std::unique_lock guard(lock_);
    closing_ = true;
    if (!operations_.empty())
        CancelIoEx(handle_, nullptr);
    idle_.wait(guard, [this] { return operations_.empty() && jobs_ == 0; });
    if (handle_ != INVALID_HANDLE_VALUE)
        CloseHandle(std::exchange(handle_, INVALID_HANDLE_VALUE));
}

// What JavaScript calls

Napi::Function WindowsDevice::define(Napi::Env env)
{
    return DefineClass(env, "WindowsDevice",
                       {InstanceMethod<&WindowsDevice::open>("open"),
                        InstanceMethod<&WindowsDevice::ioctl>("ioctl"),
                        InstanceMethod<&WindowsDevice::lend>("lend"),
                        InstanceMethod<&WindowsDevice::read>("read"),
                        InstanceMethod<&WindowsDevice::write>("write"),
                        InstanceMethod<&WindowsDevice::cancel>("cancel"),
                        InstanceMethod<&WindowsDevice::close>("close")});
}

WindowsDevice::WindowsDevice(const Napi::CallbackInfo &info)
    : Napi::ObjectWrap<WindowsDevice>(info), mailbox_(Mailbox::of(info.Env())),
      core_(std::make_shared<Core>(mailbox_))
{
    mailbox_->track(this);
}

WindowsDevice::~WindowsDevice()
{
    core_->stop();
    mailbox_->untrack(this);
}

void WindowsDevice::stop()
{
    core_->stop();
}

static std::vector<uint8_t> copy_bytes(const Napi::Value &value)
{
    if (!value.IsTypedArray())
        return {};
    auto array = value.As<Napi::Uint8Array>();
    return {array.Data(), array.Data() + array.ByteLength()};
}

static uint64_t offset_of(const Napi::Value &value)
{
    bool lossless;
    return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

/* open(path, access, done) */
Napi::Value WindowsDevice::open(const Napi::CallbackInfo &info)
{
    const std::u16string path = info[0].As<Napi::String>().Utf16Value();
    RequestId id = mailbox_->expect(info[2].As<Napi::Function>());
    core_->open(id, std::wstring(path.begin(), path.end()),
                info[1].As<Napi::Number>().Uint32Value());
    return info.Env().Undefined();
}

/* ioctl(code, input | null, outputBytes, done) -> request */
Napi::Value WindowsDevice::ioctl(const Napi::CallbackInfo &info)
{
    RequestId id = mailbox_->expect(info[3].As<Napi::Function>());
    core_->start(Kind::ioctl, id, info[0].As<Napi::Number>().Uint32Value(), 0, copy_bytes(info[1]),
                 info[2].As<Napi::Number>().Uint32Value());
    return Napi::Number::New(info.Env(), static_cast<double>(id));
}

/* lend(code, input | null, bytes, done) -> {request, memory} */
Napi::Value WindowsDevice::lend(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    auto lent = std::make_shared<LentMemory>(info[2].As<Napi::Number>().Uint32Value());
    if (!lent->data())
        throw Napi::Error::New(env, "no memory to lend");
    Napi::Object result = Napi::Object::New(env);
    result.Set("memory",
               Napi::ArrayBuffer::New(env, lent->data(), lent->bytes(),
                                      [lent](Napi::Env, void *) mutable { lent.reset(); }));
    RequestId id = mailbox_->expect(info[3].As<Napi::Function>());
    core_->start(Kind::ioctl, id, info[0].As<Napi::Number>().Uint32Value(), 0, copy_bytes(info[1]),
                 0, std::move(lent));
    result.Set("request", Napi::Number::New(env, static_cast<double>(id)));
    return result;
}

/* read(offset, bytes, done) -> request */
Napi::Value WindowsDevice::read(const Napi::CallbackInfo &info)
{
    RequestId id = mailbox_->expect(info[2].As<Napi::Function>());
    core_->start(Kind::read, id, 0, offset_of(info[0]), {},
                 info[1].As<Napi::Number>().Uint32Value());
    return Napi::Number::New(info.Env(), static_cast<double>(id));
}

/* write(offset, data, done) -> request */
Napi::Value WindowsDevice::write(const Napi::CallbackInfo &info)
{
    RequestId id = mailbox_->expect(info[2].As<Napi::Function>());
    core_->start(Kind::write, id, 0, offset_of(info[0]), copy_bytes(info[1]), 0);
    return Napi::Number::New(info.Env(), static_cast<double>(id));
}

/* cancel(request) */
Napi::Value WindowsDevice::cancel(const Napi::CallbackInfo &info)
{
    core_->cancel(static_cast<RequestId>(info[0].As<Napi::Number>().Int64Value()));
    return info.Env().Undefined();
}

/* close(done) */
Napi::Value WindowsDevice::close(const Napi::CallbackInfo &info)
{
    core_->close(mailbox_->expect(info[0].As<Napi::Function>()));
    return info.Env().Undefined();
}

} // namespace nts
