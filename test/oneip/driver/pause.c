/* Pause, restart and detach at any moment under load: nothing is lost, sent late or leaked. */
#include "fixture.h"
#include "frames.h"

#include <stdlib.h>

static void load(struct node *node, unsigned frames)
{
    for (unsigned i = 0; i < frames; i++) {
        struct packet packet = packet_standard(ip4(10, 7, i >> 8, i & 255));
        packet.payload = 100 + sched_choose(1300);
        node_receive(node, packet_frame(&packet));
    }
}

struct pauser {
    struct node *node;
    bool paused;
};

static void pause_run(void *context)
{
    struct pauser *pauser = context;

    ndis_adapter_pause(test_edge_adapter(pauser->node->edge));
    pauser->paused = true;
}

NT_TEST(pause_waits_for_what_is_out_and_nothing_is_sent_after_it)
{
    for (unsigned i = 0; i < 20; i++) {
        struct node node;
        struct cluster cluster;
        struct pauser pauser = {&node, false};

        tap_at("seed %ju", (uintmax_t)tap_seed() + i);
        need(node_start(&node, tap_seed() + i));
        cluster_standard(&cluster, 4);
        need(NT_SUCCESS(node_configure(&node, &cluster)));
        need(node_promote(&node, ALL(4)));
        test_edge_hold_sends(node.edge, true);
        load(&node, 20);
        struct nt_thread *thread = nt_spawn("pause", pause_run, &pauser);
        sched_run_for(100 * MS);
        ok(!pauser.paused, "frames are still out");
        test_edge_hold_sends(node.edge, false);
        sched_run_for(100 * MS);
        ok(pauser.paused);
        nt_join(thread);
        struct test_frame *frame;
        while ((frame = test_edge_take_wire(node.edge)))
            free(frame);
        sched_run_for(500 * MS);
        ok(!test_edge_take_wire(node.edge), "nothing of our own leaves a paused filter");
        is_int(node_status(&node, NULL).AdapterState, OneIpAdapterPaused);
        ndis_adapter_restart(test_edge_adapter(node.edge));
        need(node_promote(&node, ALL(4)));
        load(&node, 20);
        node_stop(&node);
        if (tap_failing())
            return;
    }
}

NT_TEST(a_driver_that_unloads_under_load_leaves_nothing_behind)
{
    for (unsigned i = 0; i < 10; i++) {
        struct node node;
        struct cluster cluster;

        tap_at("seed %ju", (uintmax_t)tap_seed() + i);
        need(node_start(&node, tap_seed() + i));
        cluster_standard(&cluster, 4);
        need(NT_SUCCESS(node_configure(&node, &cluster)));
        need(node_promote(&node, ALL(4)));
        load(&node, 10 + i * 5);
        node_stop(&node); /* with the verifier's leak checks */
    }
}
