/*
 * A network to try the real edges in: a network namespace of the test's own with one end of a veth
 * pair, "wire0", and another with the other end, "peer0". For forked tests: the process stays
 * there.
 */
#pragma once
#include "common.h"
#include <netinet/in.h>

/* NULL, or why not (no root, no namespaces). Everything goes with the process. */
const char *net_open(void);
/* Runs a command ("ip link set wire0 up") in our namespace, or in the peer's; its exit code. */
int net_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
int net_run_peer(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A socket in our namespace or the peer's; its time-outs are 2 s. -1: failed. */
int net_socket(int family, int type, int protocol);
int net_socket_peer(int family, int type, int protocol);
/* A packet socket that sees what an interface receives or sends, virtio header first. */
int net_sniffer(const char *interface);
int net_sniffer_peer(const char *interface);
/* Interface numbers. */
unsigned net_mtu(const char *interface);
bool net_running(const char *interface);

/* The host with the edges on wire0 and net0; both ends have addresses 10.77.0.1, .2 and fd77::1,
 * ::2. */
struct edge_bench {
    struct edge_pair *edge;
    struct bench bench; /* drivers and client; no test edge */
};
struct edge_bench_options {
    bool pass, verifier, resources_random;
};
bool edge_bench_open(struct edge_bench *b, const struct edge_bench_options *options);
void edge_bench_close(struct edge_bench *b);
/* Waits until it is so, 3 s at most. */
#define eventually(condition)                                                                      \
    ({                                                                                             \
        bool is_ = false;                                                                          \
        for (unsigned try_ = 0; try_ < 300 && !(is_ = (condition)); try_++)                        \
            usleep(10000);                                                                         \
        ok(is_, "%s", #condition);                                                                 \
    })
struct sockaddr_storage net_address(int family, bool peer, uint16_t port);
socklen_t net_address_size(int family);
