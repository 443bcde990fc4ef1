#include "net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int own_ns = -1, peer_ns = -1;

static int run(int ns, const char *format, va_list arguments)
{
    char command[512];
    vsnprintf(command, sizeof(command), format, arguments);
    pid_t pid = fork();
    if (pid == 0) {
        if (ns >= 0 && setns(ns, CLONE_NEWNET))
            _exit(126);
        if (freopen("/dev/null", "w", stderr) == NULL || freopen("/dev/null", "w", stdout) == NULL)
            _exit(126);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int net_run(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int code = run(own_ns, format, arguments);
    va_end(arguments);
    return code;
}

int net_run_peer(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int code = run(peer_ns, format, arguments);
    va_end(arguments);
    return code;
}

const char *net_open(void)
{
    if (geteuid() != 0)
        return "needs root, for network namespaces";
    if (unshare(CLONE_NEWNET))
        return "cannot make a network namespace";
    peer_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWNET))
        return "cannot make a network namespace";
    own_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int inherited = dup(peer_ns); /* for ip */
    fcntl(inherited, F_SETFD, 0);
    bool made =
        !net_run("ip link add wire0 type veth peer name peer0 netns /proc/self/fd/%d", inherited) &&
        !net_run("ip link set lo up") && !net_run("ip link set wire0 up") &&
        !net_run_peer("ip link set lo up") && !net_run_peer("ip link set peer0 up") &&
        !net_run_peer("ip addr add 10.77.0.2/24 dev peer0") &&
        !net_run_peer("ip addr add fd77::2/64 dev peer0 nodad");
    close(inherited);
    return made ? NULL : "cannot make a veth pair (ip)";
}

static int configure(int fd)
{
    struct timeval limit = {.tv_sec = 2};
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    }
    return fd;
}

int net_socket(int family, int type, int protocol)
{
    return configure(socket(family, type | SOCK_CLOEXEC, protocol));
}

int net_socket_peer(int family, int type, int protocol)
{
    if (setns(peer_ns, CLONE_NEWNET))
        return -1;
    int fd = net_socket(family, type, protocol);
    if (setns(own_ns, CLONE_NEWNET))
        abort();
    return fd;
}

static int sniff(int fd, const char *interface)
{
    struct ifreq request = {0};
    struct sockaddr_ll where = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int one = 1, room = 8 << 20;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    if (fd < 0 || ioctl(fd, SIOCGIFINDEX, &request) ||
        setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
    where.sll_ifindex = request.ifr_ifindex;
    return bind(fd, (struct sockaddr *)&where, sizeof(where)) ? -1 : fd;
}

int net_sniffer(const char *interface)
{
    return sniff(net_socket(AF_PACKET, SOCK_RAW, 0), interface);
}

int net_sniffer_peer(const char *interface)
{
    return sniff(net_socket_peer(AF_PACKET, SOCK_RAW, 0), interface);
}

static struct ifreq ask(const char *interface, unsigned long what)
{
    struct ifreq request = {0};
    int fd = net_socket(AF_INET, SOCK_DGRAM, 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    if (ioctl(fd, what, &request))
        memset(&request.ifr_ifru, 0, sizeof(request.ifr_ifru));
    close(fd);
    return request;
}

unsigned net_mtu(const char *interface)
{
    return (unsigned)ask(interface, SIOCGIFMTU).ifr_mtu;
}

bool net_running(const char *interface)
{
    return ask(interface, SIOCGIFFLAGS).ifr_flags & IFF_RUNNING;
}

struct sockaddr_storage net_address(int family, bool peer, uint16_t port)
{
    struct sockaddr_storage storage = {.ss_family = (sa_family_t)family};
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&storage;
        in->sin_port = htons(port);
        in->sin_addr.s_addr = htonl(0x0a4d0001u + peer);
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
        in6->sin6_port = htons(port);
        inet_pton(AF_INET6, peer ? "fd77::2" : "fd77::1", &in6->sin6_addr);
    }
    return storage;
}

socklen_t net_address_size(int family)
{
    return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

bool edge_bench_open(struct edge_bench *b, const struct edge_bench_options *options)
{
    char error[512] = "";
    const struct nt_options host = {
        .scheduler = NT_REALTIME, .processors = 2, .verifier = options->verifier};
    const struct edge_options edge = {
        .nic = "wire0", .tap = "net0", .resources_random = options->resources_random};
    memset(b, 0, sizeof(*b));
    nt_start(&host);
    bench_install_pass();
    b->bench.client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4242);
    b->edge = edge_open(&edge, error, sizeof(error));
    if (!ok(b->edge != NULL, "%s", error))
        return false;
    return (!options->pass || bench_load_pass(&b->bench)) &&
           is_int(net_run("ip addr add 10.77.0.1/24 dev net0"), 0) &&
           is_int(net_run("ip addr add fd77::1/64 dev net0 nodad"), 0) &&
           is_int(net_run("ip link set net0 up"), 0);
}

void edge_bench_close(struct edge_bench *b)
{
    bench_unload_pass(&b->bench);
    if (b->edge)
        edge_close(b->edge);
    io_client_destroy(b->bench.client);
    nt_stop();
}
