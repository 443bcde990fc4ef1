#include "host_client.h"
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

namespace nts
{

namespace
{

/* A host whose backlog is full makes connect() fail at once on a Unix socket: try again for so
 * long. */
constexpr int CONNECT_RETRY_MS = 10;
constexpr int CONNECT_RETRIES = 500;

constexpr size_t READ_AHEAD = 64 * 1024;

bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK;
}

} // namespace

HostClient::HostClient(std::string path, std::shared_ptr<Mailbox> mailbox)
    : path_(std::move(path)), mailbox_(std::move(mailbox))
{
    wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (wake_ < 0 || socket_ < 0) {
        int error = errno;
        if (wake_ >= 0)
            ::close(wake_);
        if (socket_ >= 0)
            ::close(socket_);
        throw std::system_error(error, std::generic_category(), "socket");
    }
    thread_ = std::thread(&HostClient::run, this);
}

HostClient::~HostClient()
{
    close();
    thread_.join();
    ::close(socket_);
    ::close(wake_);
}

void HostClient::send(RequestId id, uint32_t op, uint32_t handle, uint32_t arg0, uint32_t arg1,
                      const uint8_t *payload, size_t bytes, int descriptor)
{
    const wire_request request = {static_cast<uint32_t>(bytes), op, id, handle, arg0, arg1, 0};
    std::vector<uint8_t> frame(sizeof request + bytes);
    memcpy(frame.data(), &request, sizeof request);
    if (bytes)
        memcpy(frame.data() + sizeof request, payload, bytes);

    std::lock_guard guard(lock_);
    if (end_.failure) {
        if (descriptor >= 0)
            ::close(descriptor);
        mailbox_->post(id, Outcome(end_));
        return;
    }
    pending_.insert(id);
    output_.push_back({std::move(frame), descriptor});
    /* What cannot be written, for whatever reason, is the thread's to deal with. */
    if (!connected_ || output_.size() > 1 || !flush() || !output_.empty())
        wake();
}

void HostClient::close()
{
    std::lock_guard guard(lock_);
    closing_ = true;
    wake();
}

void HostClient::wake()
{
    const uint64_t one = 1;
    /* Fails only where the counter is at its maximum, and then the thread is awake. */
    (void)!write(wake_, &one, sizeof one);
}

void HostClient::run()
{
    if (connect()) {
        while (pump())
            ;
    }
    shutdown(socket_, SHUT_RDWR);
}

/* False: stop, with the reason already told. */
bool HostClient::connect()
{
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path_.empty() || path_.size() >= sizeof address.sun_path) {
        fail("connect", ENAMETOOLONG, "the path of the socket is empty or too long");
        return false;
    }
    memcpy(address.sun_path, path_.data(), path_.size());
    int error = 0;
    for (int attempt = 0; attempt < CONNECT_RETRIES; attempt++) {
        error = ::connect(socket_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0
                    ? 0
                    : errno;
        if (error == 0 || !(would_block(error) || error == EINTR))
            break;
        pollfd waiting = {wake_, POLLIN, 0};
        poll(&waiting, 1, CONNECT_RETRY_MS);
        {
            std::lock_guard guard(lock_);
            if (closing_)
                break;
        }
        uint64_t count;
        (void)!read(wake_, &count, sizeof count);
    }
    if (error != 0) {
        fail("connect", error, strerror(error));
        return false;
    }
    std::lock_guard guard(lock_);
    connected_ = true;
    return true;
}

/* Waits for something to do and does it. False: the connection has ended, with the reason told. */
bool HostClient::pump()
{
    pollfd waiting[] = {{socket_, POLLIN, 0}, {wake_, POLLIN, 0}};
    {
        std::lock_guard guard(lock_);
        if (!output_.empty())
            waiting[0].events |= POLLOUT;
    }
    if (poll(waiting, 2, -1) < 0 && errno != EINTR) {
        fail("gone", errno, strerror(errno));
        return false;
    }
    if (waiting[1].revents) {
        uint64_t count;
        (void)!read(wake_, &count, sizeof count);
    }
    int error = 0;
    bool closing;
    {
        std::lock_guard guard(lock_);
        closing = closing_;
        if (!closing && !output_.empty() && !flush())
            error = errno;
    }
    if (closing) {
        fail("gone", 0, "the connection was closed");
        return false;
    }
    if (error) {
        /* What the host said before it went may still be there to be read. */
        while (receive() == Received::something)
            ;
        fail("gone", error, strerror(error));
        return false;
    }
    return !waiting[0].revents || receive() != Received::end;
}

/* What is left of a frame, as far as the socket takes it, the descriptor with the first byte. */
ssize_t HostClient::send_some(Frame &frame)
{
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part = {frame.bytes.data() + written_, frame.bytes.size() - written_};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (frame.descriptor >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &frame.descriptor, sizeof(int));
    }
    ssize_t sent = sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0 && frame.descriptor >= 0) {
        ::close(frame.descriptor);
        frame.descriptor = -1;
    }
    return sent;
}

/* Under lock_. Writes until the socket is full. False: errno tells. */
bool HostClient::flush()
{
    while (!output_.empty()) {
        Frame &frame = output_.front();
        ssize_t sent = send_some(frame);
        if (sent < 0) {
            if (errno == EINTR)
                continue;
            return would_block(errno);
        }
        written_ += static_cast<size_t>(sent);
        if (written_ == frame.bytes.size()) {
            output_.pop_front();
            written_ = 0;
        }
    }
    return true;
}

/* Reads once, without waiting. At the end of the connection the reason has been told. */
HostClient::Received HostClient::receive()
{
    if (input_.size() < filled_ + READ_AHEAD)
        input_.resize(filled_ + READ_AHEAD);
    ssize_t got = recv(socket_, input_.data() + filled_, input_.size() - filled_, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR)
        return Received::something;
    if (got < 0 && would_block(errno))
        return Received::nothing;
    if (got <= 0) {
        fail("gone", got < 0 ? errno : 0,
             got < 0 ? strerror(errno) : "the host closed the connection");
        return Received::end;
    }
    filled_ += static_cast<size_t>(got);
    return dispatch() ? Received::something : Received::end;
}

/* Posts the whole replies of input_. False: they are not what the protocol says, and that has been
 * told. */
bool HostClient::dispatch()
{
    size_t at = 0;
    while (filled_ - at >= sizeof(wire_reply)) {
        wire_reply reply;
        memcpy(&reply, input_.data() + at, sizeof reply);
        if (reply.bytes > WIRE_MAX_PAYLOAD) {
            fail("protocol", 0, "a reply is longer than any may be");
            return false;
        }
        if (filled_ - at < sizeof reply + reply.bytes)
            break;
        const uint8_t *payload = input_.data() + at + sizeof reply;
        Outcome outcome;
        outcome.status = reply.status;
        outcome.information = reply.info;
        outcome.payload.assign(payload, payload + reply.bytes);
        at += sizeof reply + reply.bytes;

        bool expected;
        {
            std::lock_guard guard(lock_);
            expected = pending_.erase(reply.tag) == 1;
            if (expected)
                mailbox_->post(reply.tag, std::move(outcome));
        }
        if (!expected) {
            fail("protocol", 0, "a reply to something that was not asked");
            return false;
        }
    }
    memmove(input_.data(), input_.data() + at, filled_ - at);
    filled_ -= at;
    return true;
}

void HostClient::fail(const char *kind, int system_error, std::string detail)
{
    std::lock_guard guard(lock_);
    if (end_.failure)
        return;
    end_.failure = kind;
    end_.system_error = system_error;
    end_.detail = std::move(detail);
    for (RequestId id : pending_)
        mailbox_->post(id, Outcome(end_));
    pending_.clear();
    for (const Frame &frame : output_)
        if (frame.descriptor >= 0)
            ::close(frame.descriptor);
    output_.clear();
    written_ = 0;
}

} // namespace nts
