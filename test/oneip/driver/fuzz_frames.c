/*
 * Frames and beacons of any content, from the wire and from the stack, at a dispatcher and at a
 * backup. Nothing may crash or leak; every frame is accounted for; nothing of the configuration
 * changes.
 *
 * Input: records of {kind, length (2 bytes), bytes}. Kinds: 0 from the wire, 1 from the stack,
 * 2 time passes, 3 a beacon that is given a right MAC, so that what lies behind it is reached,
 * 4 headers of a frame for the cluster, to which the bytes are the rest.
 */
#include "fixture.h"
#include "frames.h"

#include <stdlib.h>
#include <string.h>

static struct node node;

static struct test_frame *frame_of(const uint8_t *data, size_t bytes, size_t least)
{
    size_t length = bytes < least ? least : bytes;
    struct test_frame *frame = calloc(1, sizeof *frame + length);

    frame->bytes = (ULONG)length;
    memcpy(frame->data, data, bytes);
    return frame;
}

static void sign(struct test_frame *frame)
{
    OIP_SIP_KEY key;

    OipSipKey(&key, node.cluster.header.BeaconKey);
    memcpy(frame->data, node.cluster.members[0].Mac, 6);
    frame->data[12] = OIP_BEACON_ETHERTYPE >> 8;
    frame->data[13] = OIP_BEACON_ETHERTYPE & 0xff;
    memcpy(frame->data + 14 + 8, node.cluster.header.ClusterId, 16);
    OipSipHash128(&key, frame->data + 14, OIP_BEACON_BYTES - 16,
                  frame->data + 14 + OIP_BEACON_BYTES - 16);
}

static struct test_frame *for_cluster(const uint8_t *data, size_t bytes)
{
    struct packet packet = packet_standard(bytes && data[0] & 1 ? ip4(10, 9, 0, 1) : ip6(0x99));
    packet.protocol = bytes > 1 && data[1] & 1 ? 17 : 6;
    packet.payload = 0;
    struct test_frame *head = packet_frame(&packet);
    struct test_frame *frame = calloc(1, sizeof *frame + head->bytes + bytes);

    frame->bytes = head->bytes + (ULONG)bytes;
    memcpy(frame->data, head->data, head->bytes);
    memcpy(frame->data + head->bytes, data, bytes);
    /* and overwrite some of the headers */
    for (size_t i = 2; i + 1 < bytes && i < 10; i += 2)
        frame->data[data[i] % head->bytes] = data[i + 1];
    free(head);
    return frame;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct cluster cluster;

    (void)argc, (void)argv;
    cluster_standard(&cluster, 4);
    if (!node_start(&node, 1) || !NT_SUCCESS(node_configure(&node, &cluster)) ||
        !node_promote(&node, 15))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size >= 3) {
        unsigned kind = data[0] % 5;
        size_t length = (size_t)data[1] << 8 | data[2];

        data += 3;
        size -= 3;
        length = length > size ? size : length;
        switch (kind) {
        case 0:
            node_receive(&node, frame_of(data, length, 14));
            break;
        case 1:
            node_send(&node, frame_of(data, length, 14));
            break;
        case 2:
            /* Enough for beacons to be missed, over a few of these; little enough to be quick. */
            node_run(&node, (length % 21) * MS, length % 16);
            break;
        case 3: {
            struct test_frame *frame = frame_of(data, length, 14 + OIP_BEACON_BYTES);
            sign(frame);
            node_receive(&node, frame);
            break;
        }
        case 4:
            node_receive(&node, for_cluster(data, length));
            break;
        }
        node_drain(&node);
        data += length;
        size -= length;
    }

    ONEIP_STATS stats = node_stats(&node);
    UINT64 drops = 0;
    for (unsigned i = 0; i < 16; i++)
        if (i != OneIpDropSpoofed && i != OneIpDropSendFailed)
            drops += stats.Drops[i];
    ok(stats.FramesIndicated <= stats.FramesPassed + stats.FramesForwarded + stats.FramesConsumed +
                                    drops + stats.FragmentsHeld);
    /* The status counts the table's slots, each with a callback of the coverage: not always. */
    static unsigned inputs;
    if (inputs++ % 64 == 0)
        is_int(node_status(&node, NULL).Generation, 1);
    /* At least once, so that no thread is left in the middle of freeing what came home. */
    for (unsigned i = 0; i == 0 || (i < 100 && test_edge_outstanding(node.edge)); i++)
        sched_run_for(1 * MS);
    is_int(test_edge_outstanding(node.edge), 0);
    return 0;
}
