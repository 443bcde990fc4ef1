/* The little of rtnetlink that the edges need: build a request, send it, wait for the answer. */
#pragma once
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct netlink_request {
    struct nlmsghdr header;
    char body[1000];
};

/* body_bytes: of the family header, which is zeroed. */
void netlink_start(struct netlink_request *request, uint16_t type, uint16_t flags,
                   unsigned body_bytes);
void netlink_attribute(struct netlink_request *request, uint16_t type, const void *data,
                       unsigned bytes);
struct rtattr *netlink_nest(struct netlink_request *request, uint16_t type);
void netlink_nest_end(struct netlink_request *request, struct rtattr *nest);
/* 0, or a negative errno. On a socket of its own. */
int netlink_transact(struct netlink_request *request);

/* A socket that hears of changes of links; -1 on failure. */
int netlink_monitor(uint32_t groups);

struct netlink_link {
    int ifindex;
    bool gone;
    bool up;      /* administratively */
    bool carrier; /* lower layer up */
    uint32_t mtu;
    uint8_t mac[6];
};
/* Calls `each` for every link message that is waiting on a monitor; does not block. */
void netlink_links(int monitor, void (*each)(void *context, const struct netlink_link *link),
                   void *context);
/* Asks for the present state of one link; the answer comes to the monitor. */
int netlink_ask_link(int monitor, int ifindex);
