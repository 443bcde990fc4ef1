/*
 * The tc ingress drop, by netlink: clsact and a cls_bpf filter in direct-action mode whose whole
 * program is "return TC_ACT_SHOT". cls_bpf needs no action module, and is where neither matchall
 * nor flower is.
 */
#include "ingress.h"
#include "netlink.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <stdio.h>
#include <string.h>

#define FILTER_PRIORITY 49151u /* late, so that counters and samplers of others come first */
#define FILTER_HANDLE   1u
#define FILTER_NAME     "nthost: tapped"

static void start(struct netlink_request *request, int ifindex, uint16_t type, uint16_t flags,
                  uint32_t parent, uint32_t handle, uint32_t info)
{
    netlink_start(request, type, flags, sizeof(struct tcmsg));
    struct tcmsg *tc = NLMSG_DATA(&request->header);
    tc->tcm_family = AF_UNSPEC;
    tc->tcm_ifindex = ifindex;
    tc->tcm_parent = parent;
    tc->tcm_handle = handle;
    tc->tcm_info = info;
}

#define INGRESS     TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)
#define FILTER_INFO TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL))

bool ingress_block(int ifindex, char *error, size_t error_size)
{
    struct netlink_request request;
    start(&request, ifindex, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, TC_H_CLSACT,
          TC_H_MAKE(TC_H_CLSACT, 0), 0);
    netlink_attribute(&request, TCA_KIND, "clsact", sizeof("clsact"));
    int result = netlink_transact(&request);
    if (result < 0 && result != -EEXIST) {
        snprintf(error, error_size, "tc: clsact on interface %d: %s", ifindex, strerror(-result));
        return false;
    }

    static const struct sock_filter shot = {.code = BPF_RET | BPF_K, .k = TC_ACT_SHOT};
    start(&request, ifindex, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_REPLACE, INGRESS, FILTER_HANDLE,
          FILTER_INFO);
    netlink_attribute(&request, TCA_KIND, "bpf", sizeof("bpf"));
    struct rtattr *options = netlink_nest(&request, TCA_OPTIONS);
    uint16_t count = 1;
    uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
    netlink_attribute(&request, TCA_BPF_OPS_LEN, &count, sizeof(count));
    netlink_attribute(&request, TCA_BPF_OPS, &shot, sizeof(shot));
    netlink_attribute(&request, TCA_BPF_NAME, FILTER_NAME, sizeof(FILTER_NAME));
    netlink_attribute(&request, TCA_BPF_FLAGS, &flags, sizeof(flags));
    netlink_nest_end(&request, options);
    result = netlink_transact(&request);
    if (result < 0) {
        snprintf(error, error_size, "tc: ingress filter on interface %d: %s (is cls_bpf there?)",
                 ifindex, strerror(-result));
        return false;
    }
    return true;
}

void ingress_unblock(int ifindex)
{
    struct netlink_request request;
    start(&request, ifindex, RTM_DELTFILTER, 0, INGRESS, FILTER_HANDLE, FILTER_INFO);
    netlink_attribute(&request, TCA_KIND, "bpf", sizeof("bpf"));
    netlink_transact(&request);
}
