/*
 * Link state and MTU of the interface, by netlink: what a network adapter's driver would tell NDIS.
 */
#include "edge_real.h"
#include "netlink.h"
#include <poll.h>

struct link_change {
    struct edge_pair *edge;
    bool seen;
    struct netlink_link now;
};

static void note(void *context, const struct netlink_link *link)
{
    struct link_change *change = context;
    if (link->ifindex != change->edge->ifindex)
        return;
    change->seen = true;
    change->now = *link;
}

static void apply(struct link_change *change)
{
    struct edge_pair *edge = change->edge;
    bool connected = change->now.carrier && !change->now.gone;
    if (connected != edge->adapter->connected)
        ndis_lower_link(edge->adapter, connected);
    if (change->now.mtu && change->now.mtu != edge->adapter->mtu)
        ndis_lower_mtu(edge->adapter, change->now.mtu);
}

void link_thread(void *context)
{
    struct edge_pair *edge = context;
    netlink_ask_link(edge->monitor, edge->ifindex);
    while (!edge->stop) {
        struct pollfd fds[2] = {{.fd = edge->monitor, .events = POLLIN},
                                {.fd = edge->stop_event, .events = POLLIN}};
        if (poll(fds, 2, -1) <= 0 || edge->stop)
            continue;
        struct link_change change = {.edge = edge};
        netlink_links(edge->monitor, note, &change);
        if (change.seen)
            apply(&change);
    }
}
