/*
 * Datagrams and connections that use all of IP, each from a client address of its own.
 *
 *   lab-ip TARGET SOURCE...
 *
 * Each line on standard input is a question that every source asks in turn; for each a line
 * "SOURCE ANSWER" is printed, in the end "done". The answer is the name of the server, or "lost",
 * or "wrong" where the content was not what it should be. UDP goes to the echo at port 7 from one
 * port for each source, so that all of a source's datagrams are one flow; TCP is HTTP at port 80.
 *
 *   small            a datagram of one frame
 *   large SEED       60,000 bytes, in fragments of the path's size, in an order made of SEED
 *   twice SEED       the same, each fragment twice
 *   pair SEED        two datagrams of 60,000 bytes, their fragments mixed; both are answered
 *   options          IPv4: record route and NOPs; IPv6: hop-by-hop and destination options
 *   connect          a TCP connection whose frames have such options
 *
 * Fragments are sent by a raw socket (IP_HDRINCL), with fragments of 1,480 bytes (1,448 in IPv6):
 * what a LAN of 1,500 bytes carries. Needs the right to raw sockets.
 */
#include "checksum.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    ECHO_PORT = 7,
    HTTP_PORT = 80,
    LARGE = 60000,
    DATAGRAM = sizeof(struct udphdr) + LARGE,
    PIECE4 = 1480,
    PIECE6 = 1448,
    MAX_PIECES = 2 * (DATAGRAM / PIECE6 + 1),
    PATIENCE_MS = 2000,
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct source {
    const char *name;
    union address address;
    int s;
};

static int family, raw;
static union address target;
static uint32_t identification;

static void die(const char *what)
{
    fprintf(stderr, "lab-ip: %s: %s\n", what, strerror(errno));
    exit(1);
}

static socklen_t length(void)
{
    return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static union address parse(const char *text, uint16_t port)
{
    union address a = {0};

    a.any.sa_family = (sa_family_t)family;
    if (inet_pton(family, text, family == AF_INET ? (void *)&a.v4.sin_addr : &a.v6.sin6_addr) !=
        1) {
        fprintf(stderr, "lab-ip: %s is no address of the family\n", text);
        exit(2);
    }
    if (family == AF_INET)
        a.v4.sin_port = htons(port);
    else
        a.v6.sin6_port = htons(port);
    return a;
}

static int open_socket(int type, const union address *from)
{
    struct timeval patience = {PATIENCE_MS / 1000, PATIENCE_MS % 1000 * 1000};
    int room = 1 << 20, s = socket(family, type | SOCK_CLOEXEC, 0);

    if (s < 0 || bind(s, &from->any, length()))
        die("socket");
    if (setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) ||
        setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience))
        die("SO_RCVTIMEO");
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return s;
}

/* Answers */

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* No two datagrams of a run are alike. */
static void make_content(char *text, size_t bytes)
{
    uint32_t state = ++identification;

    for (size_t i = 0; i < bytes; i++)
        text[i] = (char)('a' + next(&state) % 26);
}

/* What the echo answers: the server's name, a space, what was sent. Several may be awaited. */
static void receive_echo(struct source *source, char *const contents[], size_t bytes, int count)
{
    static char answer[LARGE + 256];
    char server[64] = "";
    int left = count;

    while (left > 0) {
        ssize_t n = recv(source->s, answer, sizeof answer - 1, 0);
        if (n < 0) {
            printf("%s lost\n", source->name);
            return;
        }
        answer[n] = 0;
        char *space = memchr(answer, ' ', (size_t)n);
        if (!space || space - answer >= (ssize_t)sizeof server) {
            printf("%s wrong\n", source->name);
            return;
        }
        *space = 0;
        size_t got = (size_t)(answer + n - (space + 1));
        bool known = false;
        for (int i = 0; i < count; i++)
            known |= got == bytes && memcmp(space + 1, contents[i], bytes) == 0;
        if (!known)
            continue; /* a late answer to an earlier question */
        if (*server && strcmp(server, answer) != 0) {
            printf("%s %s+%s\n", source->name, server, answer);
            return;
        }
        snprintf(server, sizeof server, "%s", answer);
        left--;
    }
    printf("%s %s\n", source->name, server);
}

static void ask_small(struct source *source)
{
    char text[32], *contents[1] = {text};

    make_content(text, sizeof text);
    if (sendto(source->s, text, sizeof text, 0, &target.any, length()) < 0) {
        printf("%s lost\n", source->name);
        return;
    }
    receive_echo(source, contents, sizeof text, 1);
}

/* Fragments */

struct piece {
    size_t bytes;
    unsigned char packet[sizeof(struct ip6_hdr) + sizeof(struct ip6_frag) + PIECE4];
};

static uint16_t port_of(int s)
{
    union address a = {0};
    socklen_t bytes = sizeof a;

    if (getsockname(s, &a.any, &bytes))
        die("getsockname");
    return family == AF_INET ? a.v4.sin_port : a.v6.sin6_port;
}

static size_t header4(const struct source *source, unsigned char *packet, size_t offset,
                      size_t bytes, bool more)
{
    struct iphdr *ip = (struct iphdr *)packet;

    *ip = (struct iphdr){.version = 4,
                         .ihl = 5,
                         .id = htons((uint16_t)identification),
                         .frag_off = htons((uint16_t)(offset / 8 | (more ? 0x2000 : 0))),
                         .ttl = 60,
                         .protocol = IPPROTO_UDP,
                         .saddr = source->address.v4.sin_addr.s_addr,
                         .daddr = target.v4.sin_addr.s_addr};
    ip->tot_len = htons((uint16_t)(sizeof *ip + bytes));
    ip->check = fold(sum(0, ip, sizeof *ip));
    return sizeof *ip;
}

static size_t header6(const struct source *source, unsigned char *packet, size_t offset,
                      size_t bytes, bool more)
{
    struct ip6_hdr *ip = (struct ip6_hdr *)packet;
    struct ip6_frag *fragment = (struct ip6_frag *)(ip + 1);

    memset(ip, 0, sizeof *ip);
    ip->ip6_vfc = 0x60;
    ip->ip6_hlim = 60;
    ip->ip6_nxt = IPPROTO_FRAGMENT;
    ip->ip6_plen = htons((uint16_t)(sizeof *fragment + bytes));
    ip->ip6_src = source->address.v6.sin6_addr;
    ip->ip6_dst = target.v6.sin6_addr;
    *fragment = (struct ip6_frag){.ip6f_nxt = IPPROTO_UDP, .ip6f_ident = htonl(identification)};
    fragment->ip6f_offlg = htons((uint16_t)(offset | (more ? 1 : 0)));
    return sizeof *ip + sizeof *fragment;
}

/* A datagram with this content, in pieces; returns how many. */
static int cut(const struct source *source, const char *content, struct piece *pieces)
{
    static unsigned char datagram[DATAGRAM];
    struct udphdr *udp = (struct udphdr *)datagram;
    size_t room = family == AF_INET ? PIECE4 : PIECE6;
    uint32_t pseudo = IPPROTO_UDP + DATAGRAM;
    int count = 0;

    *udp = (struct udphdr){
        .source = port_of(source->s), .dest = htons(ECHO_PORT), .len = htons(DATAGRAM)};
    memcpy(udp + 1, content, LARGE);
    if (family == AF_INET) {
        pseudo = sum(pseudo, &source->address.v4.sin_addr, 4);
        pseudo = sum(pseudo, &target.v4.sin_addr, 4);
    } else {
        pseudo = sum(pseudo, &source->address.v6.sin6_addr, 16);
        pseudo = sum(pseudo, &target.v6.sin6_addr, 16);
    }
    udp->check = fold(sum(pseudo, datagram, DATAGRAM));
    if (!udp->check)
        udp->check = 0xffff;
    for (size_t at = 0; at < DATAGRAM; at += room) {
        size_t here = DATAGRAM - at < room ? DATAGRAM - at : room;
        bool more = at + here < DATAGRAM;
        struct piece *piece = &pieces[count++];
        size_t head = family == AF_INET ? header4(source, piece->packet, at, here, more)
                                        : header6(source, piece->packet, at, here, more);
        memcpy(piece->packet + head, datagram + at, here);
        piece->bytes = head + here;
    }
    return count;
}

static void ask_large(struct source *source, uint32_t seed, int datagrams, int copies)
{
    static struct piece pieces[MAX_PIECES];
    static char content[2][LARGE];
    char *contents[2] = {content[0], content[1]};
    int order[2 * MAX_PIECES], count = 0, all = 0;
    union address to = target;

    for (int i = 0; i < datagrams; i++) {
        make_content(content[i], LARGE);
        count += cut(source, content[i], pieces + count);
    }
    for (int copy = 0; copy < copies; copy++)
        for (int i = 0; i < count; i++)
            order[all++] = i;
    for (int i = all - 1; i > 0; i--) {
        int j = (int)(next(&seed) % (uint32_t)(i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    /* A raw socket has no ports; IPv6 refuses one. */
    if (family == AF_INET6)
        to.v6.sin6_port = 0;
    for (int i = 0; i < all; i++) {
        const struct piece *piece = &pieces[order[i]];
        if (sendto(raw, piece->packet, piece->bytes, 0, &to.any, length()) < 0)
            die("a fragment");
    }
    receive_echo(source, contents, LARGE, datagrams);
}

/* Options */

static void set_options(int s, bool on)
{
    /* NOP, NOP, record route with room for three addresses, end of list. */
    static const unsigned char v4[] = {1, 1, 7, 15, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    /* 24 bytes: an experimental option (RFC 4727), to be skipped by who does not know it. Linux
     * drops frames with more than seven bytes of padding. */
    static const unsigned char v6[24] = {0, 2, 0x1e, 20};

    if (family == AF_INET) {
        if (setsockopt(s, IPPROTO_IP, IP_OPTIONS, v4, on ? sizeof v4 : 0))
            die("IP_OPTIONS");
    } else if (setsockopt(s, IPPROTO_IPV6, IPV6_HOPOPTS, v6, on ? sizeof v6 : 0) ||
               setsockopt(s, IPPROTO_IPV6, IPV6_DSTOPTS, v6, on ? sizeof v6 : 0)) {
        die("IPV6_HOPOPTS, IPV6_DSTOPTS");
    }
}

static void ask_options(struct source *source)
{
    set_options(source->s, true);
    ask_small(source);
    set_options(source->s, false);
}

static void ask_connect(struct source *source)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: cluster\r\nConnection: close\r\n\r\n";
    char answer[4096], server[64] = "lost";
    size_t bytes = 0;
    ssize_t n = 0;
    union address to = target;
    int s = open_socket(SOCK_STREAM, &source->address);

    if (family == AF_INET)
        to.v4.sin_port = htons(HTTP_PORT);
    else
        to.v6.sin6_port = htons(HTTP_PORT);
    set_options(s, true);
    if (connect(s, &to.any, length()) == 0 && write(s, request, sizeof request - 1) > 0) {
        while (bytes < sizeof answer - 1 &&
               (n = read(s, answer + bytes, sizeof answer - 1 - bytes)) > 0)
            bytes += (size_t)n;
        answer[bytes] = 0;
        const char *name = strstr(answer, "\"server\":\"");
        if (n == 0)
            snprintf(server, sizeof server, "wrong");
        if (n == 0 && name)
            sscanf(name + 10, "%63[^\"]", server);
    }
    close(s);
    printf("%s %s\n", source->name, server);
}

static void ask(struct source *source, const char *question, uint32_t seed)
{
    if (strcmp(question, "small") == 0)
        ask_small(source);
    else if (strcmp(question, "large") == 0)
        ask_large(source, seed, 1, 1);
    else if (strcmp(question, "twice") == 0)
        ask_large(source, seed, 1, 2);
    else if (strcmp(question, "pair") == 0)
        ask_large(source, seed, 2, 1);
    else if (strcmp(question, "options") == 0)
        ask_options(source);
    else if (strcmp(question, "connect") == 0)
        ask_connect(source);
    else {
        fprintf(stderr, "lab-ip: unknown: %s\n", question);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    char line[64], question[16];

    if (argc < 3) {
        fprintf(stderr, "usage: lab-ip TARGET SOURCE...\n");
        return 2;
    }
    family = strchr(argv[1], ':') ? AF_INET6 : AF_INET;
    target = parse(argv[1], ECHO_PORT);
    raw = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (raw < 0)
        die("raw socket");
    int count = argc - 2;
    struct source *sources = calloc((size_t)count, sizeof *sources);
    if (!sources)
        die("memory");
    for (int i = 0; i < count; i++) {
        sources[i].name = argv[2 + i];
        sources[i].address = parse(argv[2 + i], 0);
        sources[i].s = open_socket(SOCK_DGRAM, &sources[i].address);
        /* Binds it: fragments come from the same port as whole datagrams. */
        if (port_of(sources[i].s) == 0)
            die("no port");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        unsigned seed = 0;
        if (sscanf(line, "%15s %u", question, &seed) < 1)
            continue;
        for (int i = 0; i < count; i++)
            ask(&sources[i], question, seed + (uint32_t)i);
        printf("done\n");
    }
    return 0;
}
