#include "account.h"

#include "frames.h"

#include <stdlib.h>
#include <string.h>

void account_begin(struct account *account, const ONEIP_STATS *stats)
{
    *account = (struct account){.before = *stats};
}

/* To 10.0.0.x from 100 on, or to fd00::100 and up: the cluster's addresses in these tests. */
static bool is_for_cluster(const struct test_frame *frame)
{
    static const UCHAR prefix[14] = {0xfd};

    if (frame->bytes >= 34 && frame_ether_type(frame) == 0x0800)
        return frame->data[30] == 10 && !frame->data[31] && !frame->data[32] &&
               frame->data[33] >= 100;
    return frame->bytes >= 54 && frame_ether_type(frame) == 0x86dd && frame->data[20] != 58 &&
           !memcmp(frame->data + 38, prefix, 14) && frame->data[52] == 1;
}

/* Not the first segment of what was one frame: packet_standard() begins at sequence 1000. */
static bool is_continuation(const struct test_frame *frame)
{
    bool ipv4 = frame_ether_type(frame) == 0x0800;
    const UCHAR *tcp = frame->data + (ipv4 ? 34 : 54);

    return frame->bytes >= (ipv4 ? 54u : 74u) && frame->data[ipv4 ? 23 : 20] == 6 &&
           (tcp[4] << 24 | tcp[5] << 16 | tcp[6] << 8 | tcp[7]) != 1000;
}

void account_wire(struct account *account, const struct test_frame *frame)
{
    if (!is_for_cluster(frame))
        return;
    if (is_continuation(frame))
        account->segments++;
    else
        account->wire++;
}

void account_stack(struct account *account, const struct test_frame *frame)
{
    account->stack += is_for_cluster(frame);
}

void account_take(struct account *account, struct node *node)
{
    struct test_frame *frame;

    while ((frame = test_edge_take_wire(node->edge))) {
        account_wire(account, frame);
        free(frame);
    }
    while ((frame = test_edge_take_stack(node->edge))) {
        account_stack(account, frame);
        free(frame);
    }
}

uint64_t account_drops(const struct account *account, const ONEIP_STATS *now)
{
    uint64_t drops = 0;

    for (unsigned i = 0; i < RTL_NUMBER_OF(now->Drops); i++)
        /* Of these, one is the send path's, the other follows a frame that was forwarded. */
        if (i != OneIpDropSpoofed && i != OneIpDropSendFailed)
            drops += now->Drops[i] - account->before.Drops[i];
    return drops;
}

#define SINCE(field) (now->field - account->before.field)

bool account_counters(const struct account *account, const ONEIP_STATS *now)
{
    uint64_t drops = account_drops(account, now);

    return is_int(SINCE(FramesIndicated),
                  SINCE(FramesPassed) + SINCE(FragmentsHeld) + SINCE(FramesForwarded) +
                      SINCE(FramesConsumed) + drops,
                  "passed %ju, forwarded %ju, consumed %ju, dropped %ju",
                  (uintmax_t)SINCE(FramesPassed), (uintmax_t)SINCE(FramesForwarded),
                  (uintmax_t)SINCE(FramesConsumed), (uintmax_t)drops) &&
           is_int(SINCE(Drops[OneIpDropSendFailed]), 0, "sends that failed");
}

bool account_sent(const struct account *account, const ONEIP_STATS *now)
{
    return is_int(account->wire, SINCE(FramesForwarded), "frames that left") &&
           account_counters(account, now);
}

bool account_check_passing(const struct account *account, const ONEIP_STATS *now)
{
    return account_sent(account, now) &&
           ok(account->stack >= SINCE(FramesPassed), "%ju frames came up, %ju were passed",
              (uintmax_t)account->stack, (uintmax_t)SINCE(FramesPassed));
}

bool account_check(const struct account *account, const ONEIP_STATS *now)
{
    return is_int(account->stack, SINCE(FramesPassed), "frames that came up") &&
           account_check_passing(account, now);
}
