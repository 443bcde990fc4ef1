#include "mailbox.h"

namespace nts
{

namespace
{

Napi::Value reply_of(Napi::Env env, const Outcome &outcome)
{
    if (outcome.failure)
        return env.Null();
    Napi::Object reply = Napi::Object::New(env);
    reply.Set("status", Napi::Number::New(env, outcome.status));
    reply.Set("information", Napi::Number::New(env, static_cast<double>(outcome.information)));
    reply.Set("payload",
              Napi::Buffer<uint8_t>::Copy(env, outcome.payload.data(), outcome.payload.size()));
    return reply;
}

Napi::Value failure_of(Napi::Env env, const Outcome &outcome)
{
    if (!outcome.failure)
        return env.Null();
    Napi::Object failure = Napi::Object::New(env);
    failure.Set("kind", outcome.failure);
    failure.Set("systemError", Napi::Number::New(env, outcome.system_error));
    failure.Set("detail", outcome.detail);
    return failure;
}

} // namespace

std::shared_ptr<Mailbox> Mailbox::create(Napi::Env env)
{
    auto mailbox = std::make_shared<Mailbox>();
    mailbox->env_ = env;
    /* The queue holds a reference of its own, which finalize() drops. */
    auto *self = new std::shared_ptr<Mailbox>(mailbox);
    napi_value name = Napi::String::New(env, "ntswift requests");
    napi_status status = napi_create_threadsafe_function(
        env, nullptr, nullptr, name, 0, 1, self, finalize, self, deliver, &mailbox->wakeup_);
    if (status != napi_ok) {
        delete self;
        throw Napi::Error::New(env, "no queue to the event loop can be made");
    }
    /* Requests keep the event loop alive; devices that merely are open do not. */
    napi_unref_threadsafe_function(env, mailbox->wakeup_);
    env.SetInstanceData(new std::shared_ptr<Mailbox>(mailbox));
    /* Hooks run in reverse order: this one before the queue's own. */
    env.AddCleanupHook([mailbox] { mailbox->end(); });
    return mailbox;
}

std::shared_ptr<Mailbox> Mailbox::of(Napi::Env env)
{
    return *env.GetInstanceData<std::shared_ptr<Mailbox>>();
}

void Mailbox::track(Resource *resource)
{
    resources_.insert(resource);
}

void Mailbox::untrack(Resource *resource)
{
    resources_.erase(resource);
}

RequestId Mailbox::expect(Napi::Function done)
{
    RequestId id = ++last_;
    if (callbacks_.empty())
        napi_ref_threadsafe_function(env_, wakeup_);
    callbacks_.emplace(id, Napi::Persistent(done));
    return id;
}

void Mailbox::post(RequestId id, Outcome &&outcome)
{
    std::lock_guard guard(lock_);
    if (ended_)
        return;
    letters_.push_back({id, std::move(outcome)});
    if (scheduled_)
        return;
    scheduled_ = true;
    napi_call_threadsafe_function(wakeup_, nullptr, napi_tsfn_nonblocking);
}

void Mailbox::end()
{
    for (Resource *resource : resources_)
        resource->stop();
    resources_.clear();
    {
        std::lock_guard guard(lock_);
        ended_ = true;
        letters_.clear();
    }
    callbacks_.clear();
    napi_release_threadsafe_function(wakeup_, napi_tsfn_abort);
}

void Mailbox::deliver(napi_env env, napi_value, void *context, void *)
{
    if (env)
        (*static_cast<std::shared_ptr<Mailbox> *>(context))->drain(env);
}

void Mailbox::finalize(napi_env, void *data, void *)
{
    delete static_cast<std::shared_ptr<Mailbox> *>(data);
}

void Mailbox::drain(Napi::Env env)
{
    std::vector<Letter> letters;
    {
        std::lock_guard guard(lock_);
        letters.swap(letters_);
        scheduled_ = false;
    }
    for (Letter &letter : letters) {
        Napi::HandleScope scope(env);
        auto found = callbacks_.find(letter.id);
        if (found == callbacks_.end())
            continue;
        Napi::Function done = found->second.Value();
        callbacks_.erase(found);
        if (callbacks_.empty())
            napi_unref_threadsafe_function(env, wakeup_);

        /* An environment that is being terminated refuses to run JavaScript: that is no error of
         * anybody's. What a callback throws is, as anywhere else, an uncaught exception. */
        try {
            napi_value arguments[] = {failure_of(env, letter.outcome),
                                      reply_of(env, letter.outcome)};
            napi_value result;
            if (napi_call_function(env, env.Undefined(), done, 2, arguments, &result) == napi_ok)
                continue;
        } catch (const Napi::Error &) {
            continue;
        }
        bool thrown = false;
        napi_value error;
        if (napi_is_exception_pending(env, &thrown) == napi_ok && thrown &&
            napi_get_and_clear_last_exception(env, &error) == napi_ok)
            napi_fatal_exception(env, error);
    }
}

} // namespace nts
