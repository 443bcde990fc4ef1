/*
 * What may still be under way when a driver or a pool block goes: set timers, queued or running
 * DPCs. A timer or DPC belongs to a driver if its memory or its routine lies in the driver's image.
 *
 * WDK: "Writing an Unload Routine", KeCancelTimer, KeFlushQueuedDpcs.
 */
#include "dpc.h"
#include "timerq.h"

struct search {
    const char *driver; /* or, NULL, memory */
    const char *memory;
    size_t bytes;
    const void *found, *routine;
    bool running;
};

static bool within(const struct search *search, const void *address, const void *routine)
{
    if (search->driver)
        return vf_is_owner(address, search->driver) || vf_is_owner(routine, search->driver);
    return (uintptr_t)address - (uintptr_t)search->memory < search->bytes;
}

static bool match_timer(struct timer_node *node, void *context)
{
    struct search *search = context;
    if (node->kind != TIMER_KE) /* EX_TIMERs are not in the driver's memory: extimer.c knows them */
        return false;
    PKTIMER timer = CONTAINING_RECORD((PLIST_ENTRY)node, KTIMER, TimerListEntry);
    const void *routine = timer->Dpc ? (const void *)timer->Dpc->DeferredRoutine : NULL;
    if (!within(search, timer, routine))
        return false;
    search->found = timer;
    search->routine = routine;
    return true;
}

static bool match_dpc(const void *dpc, const void *routine, bool running, void *context)
{
    struct search *search = context;
    /* A running DPC may free its own memory. */
    if (running && !search->driver)
        return false;
    if (!within(search, dpc, routine))
        return false;
    search->found = dpc;
    search->routine = routine;
    search->running = running;
    return true;
}

static void check(struct search *search, const char *format_timer, const char *format_dpc)
{
    char routine[160] = "none";
    sched_lock();
    bool timer = timerq_any(match_timer, search);
    sched_unlock();
    bool dpc = !timer && dpc_any(match_dpc, search);
    if (!timer && !dpc)
        return;
    if (search->routine)
        vf_symbol(search->routine, routine, sizeof routine);
    if (timer)
        vf_violation(VfTimerActive, "%s: timer %p, DPC routine %s", format_timer, search->found,
                     routine);
    vf_violation(VfDpcActive, "%s: DPC %p, routine %s, %s", format_dpc, search->found, routine,
                 search->running ? "running" : "queued");
}

static void check_unload(const char *driver)
{
    struct search search = {.driver = driver};
    check(&search, "a driver was unloaded with a timer that is set",
          "a driver was unloaded with a DPC under way");
}

static void check_freed(const void *memory, size_t bytes)
{
    struct search search = {.memory = memory, .bytes = bytes};
    check(&search, "pool is freed with a timer in it that is set",
          "pool is freed with a DPC in it that is queued");
}

__attribute__((constructor)) static void register_checks(void)
{
    vf_at_unload(check_unload);
    vf_at_free(check_freed);
}
