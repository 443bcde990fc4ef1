/*
 * Replies on their way from I/O threads to JavaScript.
 *
 * A request is a number here and a JavaScript callback there. expect() keeps the callback and keeps
 * the event loop alive, post() may be called on any thread, and the callback runs on the thread of
 * its environment, once: done(failure | null, reply | null).
 *
 * An environment can end (process exit, a Worker's end) while requests are in flight. Its resources
 * stop first, which joins their threads; from then on post() discards. Node closes the library of a
 * Worker's addon after that, so that no thread may be left in it.
 *
 * Invariants: callbacks_ and resources_ are touched on the JavaScript thread only; letters_,
 * scheduled_ and ended_ under lock_.
 */
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <napi.h>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace nts
{

using RequestId = uint64_t;

/* What a request comes to. With `failure` there is no reply: the transport is broken. */
struct Outcome {
    uint32_t status = 0; /* NTSTATUS */
    uint64_t information = 0;
    std::vector<uint8_t> payload;
    const char *failure = nullptr; /* "connect", "gone", "protocol", or null; static storage */
    int system_error = 0;          /* errno behind a failure, or 0 */
    std::string detail;
};

/* Something with threads of its own, which must stop before its environment goes. */
class Resource
{
  public:
    virtual ~Resource() = default;
    virtual void stop() = 0; /* idempotent; when it returns no thread of it runs */
};

class Mailbox
{
  public:
    /* One for each environment: the main thread, or a Worker. */
    static std::shared_ptr<Mailbox> create(Napi::Env env);
    static std::shared_ptr<Mailbox> of(Napi::Env env);

    RequestId expect(Napi::Function done);
    void post(RequestId id, Outcome &&outcome);

    void track(Resource *resource);
    void untrack(Resource *resource);

  private:
    struct Letter {
        RequestId id;
        Outcome outcome;
    };
    static void deliver(napi_env env, napi_value function, void *context, void *data);
    static void finalize(napi_env env, void *data, void *hint);
    void drain(Napi::Env env);
    void end();

    Napi::Env env_{nullptr};
    napi_threadsafe_function wakeup_ = nullptr;
    std::unordered_map<RequestId, Napi::FunctionReference> callbacks_;
    std::unordered_set<Resource *> resources_;
    RequestId last_ = 0;

    std::mutex lock_;
    std::vector<Letter> letters_;
    bool scheduled_ = false;
    bool ended_ = false;
};

} // namespace nts
