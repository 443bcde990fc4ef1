/* rtnetlink requests and link notifications. See netlink.h. */
#include "netlink.h"
#include <errno.h>
#include <linux/if.h>
#include <string.h>
#include <unistd.h>

void netlink_start(struct netlink_request *request, uint16_t type, uint16_t flags,
                   unsigned body_bytes)
{
    memset(request, 0, sizeof(*request));
    request->header.nlmsg_len = NLMSG_LENGTH(body_bytes);
    request->header.nlmsg_type = type;
    request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
}

void netlink_attribute(struct netlink_request *request, uint16_t type, const void *data,
                       unsigned bytes)
{
    unsigned at = NLMSG_ALIGN(request->header.nlmsg_len);
    struct rtattr *attribute = (struct rtattr *)((char *)request + at);
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(bytes);
    if (bytes)
        memcpy(RTA_DATA(attribute), data, bytes);
    request->header.nlmsg_len = at + RTA_ALIGN(attribute->rta_len);
}

struct rtattr *netlink_nest(struct netlink_request *request, uint16_t type)
{
    unsigned at = NLMSG_ALIGN(request->header.nlmsg_len);
    netlink_attribute(request, type, NULL, 0);
    return (struct rtattr *)((char *)request + at);
}

void netlink_nest_end(struct netlink_request *request, struct rtattr *nest)
{
    char *end = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);
    nest->rta_len = (unsigned short)(end - (char *)nest);
}

int netlink_transact(struct netlink_request *request)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int result = 0;
    if (sendto(fd, request, request->header.nlmsg_len, 0, (struct sockaddr *)&kernel,
               sizeof(kernel)) < 0)
        result = -errno;
    struct {
        struct nlmsghdr header;
        char body[4096];
    } answer;
    while (result == 0) {
        ssize_t bytes = recv(fd, &answer, sizeof(answer), 0);
        if (bytes < 0) {
            result = errno == EINTR ? 0 : -errno;
            continue;
        }
        if ((size_t)bytes >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
            answer.header.nlmsg_type == NLMSG_ERROR) {
            result = ((struct nlmsgerr *)NLMSG_DATA(&answer.header))->error;
            break;
        }
    }
    close(fd);
    return result;
}

int netlink_monitor(uint32_t groups)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int netlink_ask_link(int monitor, int ifindex)
{
    struct netlink_request request;
    netlink_start(&request, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
    request.header.nlmsg_flags = NLM_F_REQUEST;
    ((struct ifinfomsg *)NLMSG_DATA(&request.header))->ifi_index = ifindex;
    return send(monitor, &request, request.header.nlmsg_len, 0) < 0 ? -errno : 0;
}

static void read_link(struct nlmsghdr *message, struct netlink_link *link)
{
    struct ifinfomsg *info = NLMSG_DATA(message);
    memset(link, 0, sizeof(*link));
    link->ifindex = info->ifi_index;
    link->gone = message->nlmsg_type == RTM_DELLINK;
    link->up = info->ifi_flags & IFF_UP;
    link->carrier = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_LOWER_UP);
    unsigned left = (unsigned)IFLA_PAYLOAD(message);
    for (struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == IFLA_MTU)
            memcpy(&link->mtu, RTA_DATA(a), sizeof(link->mtu));
        if (a->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(a) == sizeof(link->mac))
            memcpy(link->mac, RTA_DATA(a), sizeof(link->mac));
    }
}

void netlink_links(int monitor, void (*each)(void *context, const struct netlink_link *link),
                   void *context)
{
    union {
        struct nlmsghdr header;
        char bytes[16384];
    } buffer;
    for (;;) {
        ssize_t bytes = recv(monitor, &buffer, sizeof(buffer), 0);
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes <= 0)
            return;
        unsigned left = (unsigned)bytes;
        for (struct nlmsghdr *m = &buffer.header; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_type != RTM_NEWLINK && m->nlmsg_type != RTM_DELLINK)
                continue;
            struct netlink_link link;
            read_link(m, &link);
            each(context, &link);
        }
    }
}
