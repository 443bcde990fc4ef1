/*
 * The real edges between two kernels: a veth pair, its far end in a namespace of its own, the TAP's
 * stack here. Every test runs with and without a filter.
 */
#include "edge_real.h"
#include "net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static const struct edge_bench_options ways[] = {
    {.pass = false},
    {.pass = true},
    {.pass = true, .verifier = true, .resources_random = true},
};

#define NET_TEST(name)                                                                             \
    static void name##_body(struct edge_bench *b);                                                 \
    NT_TEST_FORKED(name)                                                                           \
    {                                                                                              \
        const char *why = net_open();                                                              \
        if (why)                                                                                   \
            skip("%s", why);                                                                       \
        for (unsigned i = 0; i < ARRAYSIZE(ways) && !tap_failing(); i++) {                         \
            struct edge_bench b;                                                                   \
            tap_at("%s filter%s", ways[i].pass ? "a" : "no",                                       \
                   ways[i].verifier ? ", verifier, RESOURCES at random" : "");                     \
            if (edge_bench_open(&b, &ways[i]))                                                     \
                name##_body(&b);                                                                   \
            edge_bench_close(&b);                                                                  \
        }                                                                                          \
    }                                                                                              \
    static void name##_body(struct edge_bench *b)

/* Traffic */

static void fill(unsigned char *data, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)((i * 7 + seed) ^ i >> 8);
}

static int bound(int (*make)(int, int, int), int family, int type, bool peer, uint16_t port)
{
    int fd = make(family, type, 0), one = 1;
    struct sockaddr_storage at = net_address(family, peer, port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, net_address_size(family))) {
        fail("a socket: %s", strerror(errno));
        return -1;
    }
    return fd;
}

static bool connected(int fd, int family, bool peer, uint16_t port)
{
    struct sockaddr_storage to = net_address(family, peer, port);
    return ok(!connect(fd, (struct sockaddr *)&to, net_address_size(family)), "connect: %s",
              strerror(errno));
}

/* A datagram there and back. */
static void echo(int family, size_t bytes)
{
    static unsigned char out[65536], in[65536];
    int ours = bound(net_socket, family, SOCK_DGRAM, false, 5001);
    int theirs = bound(net_socket_peer, family, SOCK_DGRAM, true, 5002);
    fill(out, bytes, (unsigned)bytes);
    if (connected(ours, family, true, 5002) && connected(theirs, family, false, 5001)) {
        is_int(send(ours, out, bytes, 0), bytes);
        is_int(recv(theirs, in, sizeof(in), 0), bytes, "out, %zu bytes: %s", bytes,
               strerror(errno));
        is_mem(in, out, bytes);
        is_int(send(theirs, in, bytes, 0), bytes);
        memset(in, 0, bytes);
        is_int(recv(ours, in, sizeof(in), 0), bytes, "in, %zu bytes: %s", bytes, strerror(errno));
        is_mem(in, out, bytes);
    }
    close(ours);
    close(theirs);
}

NET_TEST(datagrams_of_all_sizes)
{
    static const size_t sizes[] = {1, 18, 63, 64, 100, 512, 1000, 1472, 1473, 3000, 20000};
    (void)b;
    for (unsigned i = 0; i < ARRAYSIZE(sizes) && !tap_failing(); i++) {
        echo(AF_INET, sizes[i]);
        echo(AF_INET6, sizes[i]);
    }
}

/* Bytes over TCP, from the peer or to it. */
#define BULK (8u << 20)

struct sender {
    int fd;
    size_t bytes;
};

static void *send_all(void *context)
{
    struct sender *s = context;
    static unsigned char data[1 << 16];
    fill(data, sizeof(data), 1);
    for (size_t sent = 0; sent < s->bytes;) {
        size_t at = sent % sizeof(data);
        size_t now = s->bytes - sent < sizeof(data) - at ? s->bytes - sent : sizeof(data) - at;
        ssize_t n = send(s->fd, data + at, now, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    shutdown(s->fd, SHUT_WR);
    return NULL;
}

static void bulk(int family, bool from_peer)
{
    static unsigned char in[1 << 18], expected[1 << 16];
    int listener = from_peer ? bound(net_socket, family, SOCK_STREAM, false, 5003)
                             : bound(net_socket_peer, family, SOCK_STREAM, true, 5003);
    int client =
        from_peer ? net_socket_peer(family, SOCK_STREAM, 0) : net_socket(family, SOCK_STREAM, 0);
    fill(expected, sizeof(expected), 1);
    if (listener >= 0 && client >= 0 && !listen(listener, 1) &&
        connected(client, family, !from_peer, 5003)) {
        int server = accept(listener, NULL, NULL);
        struct sender sender = {client, BULK};
        pthread_t thread;
        pthread_create(&thread, NULL, send_all, &sender);
        size_t got = 0;
        ssize_t n;
        bool right = true;
        while ((n = recv(server, in, sizeof(in), 0)) > 0)
            for (ssize_t i = 0; i < n; i++, got++)
                right &= in[i] == expected[got % sizeof(expected)];
        is_int(got, BULK, "IPv%d %s", family == AF_INET ? 4 : 6, from_peer ? "in" : "out");
        ok(right, "the bytes are those that were sent");
        pthread_join(thread, NULL);
        close(server);
    }
    close(client);
    close(listener);
}

/* What a sniffer has seen. */
struct seen {
    unsigned frames, super, longest, partial, tagged;
};

static struct seen sniffed(int fd)
{
    static unsigned char frame[1 << 17];
    struct seen seen = {0};
    ssize_t n;
    while ((n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0) {
        const struct virtio_net_hdr *header = (const struct virtio_net_hdr *)frame;
        unsigned bytes = (unsigned)n - (unsigned)sizeof(struct virtio_net_hdr);
        seen.frames++;
        seen.super += header->gso_type != VIRTIO_NET_HDR_GSO_NONE;
        seen.partial += (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
        seen.longest = bytes > seen.longest ? bytes : seen.longest;
    }
    return seen;
}

NET_TEST(streams_both_ways)
{
    (void)b;
    for (int i = 0; i < 4 && !tap_failing(); i++)
        bulk(i & 1 ? AF_INET6 : AF_INET, i & 2);
}

NET_TEST(super_frames_pass_whole)
{
    (void)b;
    int tap = net_sniffer("net0"), peer = net_sniffer_peer("peer0");
    bulk(AF_INET, true);
    struct seen in = sniffed(tap);
    ok(in.super > 0 && in.longest > 1514, "received: %u frames, %u super-frames, longest %u",
       in.frames, in.super, in.longest);
    sniffed(peer);
    bulk(AF_INET, false);
    struct seen out = sniffed(peer);
    ok(out.super > 0 && out.longest > 1514, "sent: %u frames, %u super-frames, longest %u",
       out.frames, out.super, out.longest);
    ok(out.partial > 0, "checksums are left to the interface");
    close(tap);
    close(peer);
}

static NDIS_STATUS set_offloads(struct edge_bench *b, UCHAR rsc, UCHAR lso, UCHAR checksum)
{
    NDIS_OFFLOAD_PARAMETERS p = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NDIS_OFFLOAD_PARAMETERS_REVISION_5,
                   NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_5},
        .IPv4Checksum = checksum,
        .TCPIPv4Checksum = checksum,
        .UDPIPv4Checksum = checksum,
        .TCPIPv6Checksum = checksum,
        .UDPIPv6Checksum = checksum,
        .LsoV2IPv4 = lso,
        .LsoV2IPv6 = lso,
        .RscIPv4 = rsc,
        .RscIPv6 = rsc,
    };
    b->bench.adapter = b->edge->adapter;
    return oid_set(&b->bench, OID_TCP_OFFLOAD_PARAMETERS, &p, sizeof(p));
}

NET_TEST(without_coalescing_frames_are_segmented)
{
    is_status(set_offloads(b, NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED,
                           NDIS_OFFLOAD_PARAMETERS_NO_CHANGE, NDIS_OFFLOAD_PARAMETERS_NO_CHANGE),
              NDIS_STATUS_SUCCESS);
    int tap = net_sniffer("net0");
    for (int i = 0; i < 2; i++) {
        bulk(i ? AF_INET6 : AF_INET, true);
        struct seen in = sniffed(tap);
        ok(in.frames > 0 && in.longest <= 1514, "%u frames, longest %u", in.frames, in.longest);
        /* What the TAP's stack sends while it acknowledges may be partial, data is not. */
    }
    is_status(set_offloads(b, NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED,
                           NDIS_OFFLOAD_PARAMETERS_NO_CHANGE, NDIS_OFFLOAD_PARAMETERS_NO_CHANGE),
              NDIS_STATUS_SUCCESS);
    sniffed(tap);
    bulk(AF_INET, true);
    ok(sniffed(tap).super > 0, "on again");
    close(tap);
}

NET_TEST(without_send_offloads_the_stack_does_it)
{
    is_status(set_offloads(b, NDIS_OFFLOAD_PARAMETERS_NO_CHANGE,
                           NDIS_OFFLOAD_PARAMETERS_LSOV2_DISABLED,
                           NDIS_OFFLOAD_PARAMETERS_TX_RX_DISABLED),
              NDIS_STATUS_SUCCESS);
    int peer = net_sniffer_peer("peer0");
    for (int i = 0; i < 2; i++) {
        bulk(i ? AF_INET6 : AF_INET, false);
        int family = i ? AF_INET6 : AF_INET;
        struct seen out = sniffed(peer);
        ok(out.frames > 0 && out.longest <= 1514, "IPv%d: %u frames, longest %u",
           family == AF_INET ? 4 : 6, out.frames, out.longest);
    }
    is_status(set_offloads(b, NDIS_OFFLOAD_PARAMETERS_NO_CHANGE,
                           NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED,
                           NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED),
              NDIS_STATUS_SUCCESS);
    bulk(AF_INET, false);
    ok(sniffed(peer).super > 0, "on again");
    close(peer);
}

NET_TEST(super_datagrams_arrive_as_datagrams)
{
    (void)b;
    static unsigned char out[20 * 1000], in[65536];
    int tap = net_sniffer("net0");
    for (int i = 0; i < 2; i++) {
        int family = i ? AF_INET6 : AF_INET, segment = 1000;
        int ours = bound(net_socket, family, SOCK_DGRAM, false, 5004);
        int theirs = bound(net_socket_peer, family, SOCK_DGRAM, true, 5005);
        fill(out, sizeof(out), 3);
        if (connected(theirs, family, false, 5004) &&
            ok(!setsockopt(theirs, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)),
               "UDP_SEGMENT")) {
            sniffed(tap);
            is_int(send(theirs, out, sizeof(out) - 300, 0), sizeof(out) - 300);
            for (unsigned n = 0; n < 20; n++) {
                is_int(recv(ours, in, sizeof(in), 0), n < 19 ? 1000 : 700, "datagram %u", n);
                is_mem(in, out + n * 1000, n < 19 ? 1000 : 700);
            }
            struct seen seen = sniffed(tap);
            ok(seen.super == 0 && seen.longest <= 1514, "as frames of their own, longest %u",
               seen.longest);
        }
        close(ours);
        close(theirs);
    }
    close(tap);
}

/* The tag of a frame that a sniffer has seen with our EtherType, in the frame or beside it; -1:
 * none. */
static int tag_of(int fd)
{
    static unsigned char data[2048];
    char control[128];
    struct iovec iov = {data, sizeof(data)};
    for (;;) {
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &message, 0);
        if (n < 0)
            return -1;
        const unsigned char *d = data + sizeof(struct virtio_net_hdr);
        if (d[12] == 0x81 && d[13] == 0 && d[16] == 0x88 && d[17] == 0xb5)
            return d[14] << 8 | d[15];
        const struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        const struct tpacket_auxdata *aux = c ? (const struct tpacket_auxdata *)CMSG_DATA(c) : NULL;
        if (d[12] == 0x88 && d[13] == 0xb5)
            return aux && aux->tp_status & TP_STATUS_VLAN_VALID ? aux->tp_vlan_tci : -1;
    }
}

static void send_tagged(int fd, int tag)
{
    struct {
        struct virtio_net_hdr header;
        unsigned char frame[64];
    } __attribute__((packed)) out = {0};
    memset(out.frame, 0xff, 6);
    out.frame[6] = 2;
    out.frame[12] = 0x81;
    out.frame[14] = (unsigned char)(tag >> 8);
    out.frame[15] = (unsigned char)tag;
    out.frame[16] = 0x88;
    out.frame[17] = 0xb5;
    is_int(send(fd, &out, sizeof(out), 0), sizeof(out));
}

NET_TEST(vlan_tags_survive)
{
    (void)b;
    int tap = net_sniffer("net0"), peer = net_sniffer_peer("peer0"), one = 1;
    for (int i = 0; i < 2; i++) {
        setsockopt(i ? tap : peer, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one));
        setsockopt(i ? tap : peer, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
    }
    for (int i = 0; i < 3; i++) {
        int tag = i == 0 ? 5 : i == 1 ? 0x6fff : 7 << 13;
        send_tagged(peer, tag);
        is_hex(tag_of(tap), tag, "received");
        send_tagged(tap, tag);
        is_hex(tag_of(peer), tag, "sent");
    }
    close(tap);
    close(peer);
}

static char *adapters(void)
{
    char *text = NULL;
    size_t size;
    FILE *json = open_memstream(&text, &size);
    ndis_adapters_json(json);
    fclose(json);
    return text;
}

static bool json_has(const char *expected)
{
    char *text = adapters();
    bool has = strstr(text, expected) != NULL;
    free(text);
    return has;
}

NET_TEST(the_link_follows)
{
    (void)b;
    eventually(net_running("net0"));
    ok(json_has("\"link\":true"));
    net_run_peer("ip link set peer0 down");
    eventually(!net_running("net0"));
    eventually(json_has("\"link\":false"));
    net_run_peer("ip link set peer0 up");
    eventually(net_running("net0"));
    eventually(json_has("\"link\":true"));
    net_run_peer("ip addr add fd77::2/64 dev peer0 nodad"); /* lost when it went down */
    echo(AF_INET, 100);
}

NET_TEST(the_mtu_follows)
{
    (void)b;
    is_int(net_mtu("net0"), 1500);
    net_run("ip link set wire0 mtu 1400");
    net_run_peer("ip link set peer0 mtu 1400");
    eventually(net_mtu("net0") == 1400);
    eventually(json_has("\"mtu\":1400"));
    echo(AF_INET, 1200);
    echo(AF_INET, 4000);
    net_run("ip link set wire0 mtu 1500");
    net_run_peer("ip link set peer0 mtu 1500");
    eventually(net_mtu("net0") == 1500);
    echo(AF_INET, 1472);
}

/* Answers to one echo request. */
static unsigned answers(void)
{
    unsigned count = 0;
    int fd = net_socket_peer(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    struct sockaddr_storage to = net_address(AF_INET, false, 0);
    unsigned char request[16] = {8, 0, 0, 0, 0x12, 0x34, 0, 1}, reply[256];
    unsigned sum = 0x0800 + 0x1234 + 1;
    request[2] = (unsigned char)(~sum >> 8);
    request[3] = (unsigned char)~sum;
    sendto(fd, request, sizeof(request), 0, (struct sockaddr *)&to, net_address_size(AF_INET));
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (poll(&ready, 1, 300) == 1)
        if (recv(fd, reply, sizeof(reply), 0) > 28 && reply[20] == 0)
            count++;
    close(fd);
    return count;
}

NET_TEST(only_the_tap_answers)
{
    (void)b;
    is_int(net_run_peer("ping -c 1 -W 2 10.77.0.1"), 0);
    is_int(answers(), 1, "one reply: the interface's own stack is silent");
    is_int(net_run("tc filter show dev wire0 ingress | grep -q bpf"), 0);
}

NT_TEST_FORKED(the_interface_is_left_as_it_was)
{
    const char *why = net_open();
    if (why)
        skip("%s", why);
    int before = net_run("test $(cat /proc/sys/net/ipv6/conf/wire0/disable_ipv6) = 0");
    for (int i = 0; i < 3; i++) {
        struct edge_bench b;
        const struct edge_bench_options options = {.pass = true};
        ok(edge_bench_open(&b, &options));
        echo(AF_INET, 100);
        edge_bench_close(&b);
        is_int(net_run("tc filter show dev wire0 ingress | grep -q ."), 1, "no filter is left");
        is_int(net_run("test $(cat /proc/sys/net/ipv6/conf/wire0/disable_ipv6) = 0"), before);
        is_int(net_run("ip link show net0"), 1, "the TAP is gone");
    }
}

NET_TEST(counters_count)
{
    struct ndis_adapter *adapter = b->edge->adapter;
    struct adapter_counters before, after;
    echo(AF_INET, 100); /* addresses are known afterwards */
    usleep(20000);
    miniport_sum(adapter, &before);
    for (int i = 0; i < 50; i++)
        echo(AF_INET, 100);
    miniport_sum(adapter, &after);
    /* The stack has a few of its own. */
    ok(after.in_frames - before.in_frames >= 50 && after.in_frames - before.in_frames < 100);
    ok(after.out_frames - before.out_frames >= 50 && after.out_frames - before.out_frames < 100);
    ok(after.in_bytes - before.in_bytes >= 50 * 142);
    ok(json_has("\"receivedFrames\":"));
}

/* Everything at once, while the driver comes and goes. */
NT_TEST_FORKED(drivers_change_under_traffic)
{
    const char *why = net_open();
    if (why)
        skip("%s", why);
    struct edge_bench b;
    const struct edge_bench_options options = {
        .pass = true, .verifier = true, .resources_random = true};
    if (edge_bench_open(&b, &options)) {
        int listener = bound(net_socket, AF_INET, SOCK_STREAM, false, 5006);
        int client = net_socket_peer(AF_INET, SOCK_STREAM, 0);
        listen(listener, 1);
        if (connected(client, AF_INET, false, 5006)) {
            int server = accept(listener, NULL, NULL);
            struct sender sender = {client, 1u << 30};
            static unsigned char in[1 << 18];
            pthread_t thread;
            pthread_create(&thread, NULL, send_all, &sender);
            size_t got = 0;
            ssize_t n;
            for (unsigned round = 0; round < 6 && !tap_failing(); round++) {
                bench_unload_pass(&b.bench);
                for (size_t end = got + (1 << 20); got < end; got += (size_t)n)
                    if ((n = recv(server, in, sizeof(in), 0)) <= 0)
                        break;
                ok(n > 0, "without the driver: %s", strerror(errno));
                bench_load_pass(&b.bench);
                for (size_t end = got + (1 << 20); got < end; got += (size_t)n)
                    if ((n = recv(server, in, sizeof(in), 0)) <= 0)
                        break;
                ok(n > 0, "with the driver: %s", strerror(errno));
            }
            close(server);
            close(client);
            pthread_join(thread, NULL);
        }
        close(listener);
    }
    edge_bench_close(&b);
}
