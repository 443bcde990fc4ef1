/*
 * A client of the driver host: the wire protocol (nthost/wire.h) over a Unix stream socket.
 *
 * One thread a connection connects, writes and reads. send() is called on the JavaScript thread and
 * never blocks: it writes what the socket takes at once and leaves the rest to the thread. Replies
 * come in any order and are posted to the mailbox; when the connection ends, every request in
 * flight fails.
 *
 * Invariants: all below lock_ is guarded by it. A request is in pending_ from send() until its
 * reply or failure is posted, exactly once.
 */
#pragma once
#include "mailbox.h"
#include <deque>
#include <nthost/wire.h>
#include <string>
#include <thread>
#include <unordered_set>

namespace nts
{

class HostClient
{
  public:
    HostClient(std::string path, std::shared_ptr<Mailbox> mailbox);
    ~HostClient();
    HostClient(const HostClient &) = delete;
    HostClient &operator=(const HostClient &) = delete;

    /* The tag of the request is its id. descriptor: sent along with it and closed, also where it
     * cannot be sent any more; -1: none. */
    void send(RequestId id, uint32_t op, uint32_t handle, uint32_t arg0, uint32_t arg1,
              const uint8_t *payload, size_t bytes, int descriptor = -1);
    /* Ends the connection, as the end of a process does: requests in flight fail as "gone". */
    void close();

  private:
    struct Frame {
        std::vector<uint8_t> bytes;
        int descriptor; /* goes with the first byte; -1: none, or gone */
    };

    void run();
    bool connect();
    bool pump();
    enum class Received { nothing, something, end };
    Received receive();
    bool dispatch();
    bool flush();
    ssize_t send_some(Frame &frame);
    void wake();
    void fail(const char *kind, int system_error, std::string detail);

    const std::string path_;
    const std::shared_ptr<Mailbox> mailbox_;
    int wake_ = -1;
    int socket_ = -1;
    std::vector<uint8_t> input_; /* the thread's own */
    size_t filled_ = 0;

    std::mutex lock_;
    bool connected_ = false;
    bool closing_ = false;
    std::deque<Frame> output_;
    size_t written_ = 0; /* of output_.front() */
    std::unordered_set<RequestId> pending_;
    Outcome end_; /* why the connection ended; end_.failure is null while it lives */

    std::thread thread_; /* last: it starts when all the rest exists */
};

} // namespace nts
