/*
 * The fault sweep of the callbacks: what programs do, again and again, each time with the next call
 * stack of the driver failing once, until none is left. Whatever fails, the program's operation
 * succeeds, or says that memory is short and succeeds when tried again, nobody waits for his bound,
 * and the stream misses nothing: what could not be recorded is dirty, and once that is synchronised
 * the model equals the folder.
 */
#include "programs.h"
#include "resync.h"

#include <nthost/verifier.h>

#include <stdio.h>
#include <stdlib.h>

/* A step on a thread of its own, while the service goes on. */
struct running {
    struct node *node;
    const struct program_step *step;
    NTSTATUS status;
    bool done;
};

static void run_step(void *context)
{
    struct running *running = context;

    nt_enter();
    running->status = running->step->run(running->node);
    nt_leave();
    __atomic_store_n(&running->done, true, __ATOMIC_RELEASE);
}

static bool step_ends(struct running *running)
{
    struct node *node = running->node;

    for (unsigned i = 0; i < 5000 && !__atomic_load_n(&running->done, __ATOMIC_ACQUIRE); i++) {
        NTSTATUS status;

        sched_run_for(10000);
        if (!node_follow(node))
            return false;
        if (node_status(node).OpenBrackets)
            (void)node_resync(node, &status);
        (void)node_acknowledge(node);
    }
    REPL_STATUS state = node_status(node);
    return ok(running->done, "%s ends: state %u, %llu of %llu, %llu acknowledged, %u brackets",
              running->step->name, state.State, (unsigned long long)model_sequence(node->model),
              (unsigned long long)state.LastSequence, (unsigned long long)state.Acknowledged,
              state.OpenBrackets);
}

/* True: it went on after what failed, if anything did. */
static bool play(struct node *node, const struct program_step *step)
{
    struct running running = {.node = node, .step = step};
    struct nt_thread *thread = nt_spawn(step->name, run_step, &running);
    char why[512];

    if (!step_ends(&running))
        return false;
    nt_join(thread);
    nt_enter();
    fs_cache_drain(node->volume);
    nt_leave();
    REPL_STATUS state = node_status(node);
    return is_status(running.status, STATUS_SUCCESS, "%s", step->name) &&
           is_int(state.LongestBlock >= 10000000, 0, "%s: nobody waits for his bound",
                  step->name) &&
           node_settle(node) &&
           ok(model_compare(node->model, NODE_SET, node->folder, why, sizeof why), "%s: %s",
              step->name, why);
}

/* True: something failed. */
static bool round_of(UINT32 mode, bool faults)
{
    const struct node_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = tap_seed(), .mode = mode};
    char failed[1024];
    struct node node;
    bool more = false;

    if (node_start(&node, &options)) {
        if (faults)
            vf_fault_round_begin();
        for (unsigned i = 0; i < program_step_count && play(&node, &program_steps[i]); i++)
            ;
        if (tap_failing() && vf_fault_last(failed, sizeof failed))
            diag("%s had failed", failed);
        more = vf_fault_round_end();
    }
    node_stop(&node);
    return more && !tap_failing();
}

NT_TEST(every_step_succeeds_where_nothing_fails)
{
    vf_fault_sweep_begin(false);
    ok(!round_of(ReplModeAsync, false));
    ok(!round_of(ReplModeDurable, false));
}

/* --skip=N: at the call after so many that succeeded, where there are as many. */
static void sweep(UINT32 mode, size_t least)
{
    const char *skip = tap_option("skip");
    unsigned rounds = 0;
    bool more = true;

    vf_fault_sweep_begin(false);
    vf_fault_skip(skip ? (unsigned)atoi(skip) : 0);
    while (more && !tap_failing()) {
        tap_at("round %u", rounds);
        more = round_of(mode, true);
        rounds++;
    }
    tap_at(NULL);
    diag("%zu call stacks failed once each, in %u rounds", vf_fault_stacks(), rounds);
    ok(vf_fault_stacks() > least, "%zu stacks", vf_fault_stacks());
}

NT_TEST(nothing_is_missed_whatever_call_of_a_callback_fails)
{
    sweep(ReplModeAsync, 100);
}

NT_TEST(nor_in_durable_mode)
{
    sweep(ReplModeDurable, 100);
}
