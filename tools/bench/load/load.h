/* The loads of the bench's client. Each runs for `seconds` and prints one line of JSON. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage at;
    socklen_t bytes;
};

enum { HTTP_PORT = 80, SINK_PORT = 9 };

/* ends.c */
void die(const char *what) __attribute__((noreturn));
uint64_t now(void); /* ns */
struct address parse(const char *text, uint16_t port);
/* One a line, from stdin. */
void read_sources(void);
unsigned sources(void);
/* A socket bound to the next source address in turn; nonblocking but for SOCK_RAW. */
int open_from(int type, int protocol);
/* Likewise, connecting. */
int connect_from(const struct address *target);
/* CPU time of this process so far, in ms: the line of JSON says it, since nobody can read it of a
 * process that has ended. */
double cpu_ms(void);

/* WIDTH requests under way, each on a connection of its own, or each on the same one again. */
void run_http(const struct address *target, double seconds, unsigned width, bool keep);
/* WIDTH connections that send, or receive, as much as they can. */
void run_bulk(const struct address *target, double seconds, unsigned width, bool up);
/* `rate` datagrams a second of `bytes` each. */
void run_udp(const struct address *target, double seconds, double rate, unsigned bytes);
/* One echo request after the other, each `interval_us` after the answer to the one before. */
void run_ping(const struct address *target, double seconds, unsigned interval_us);
