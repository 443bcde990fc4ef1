/*
 * Timers (KTIMER).
 *
 * WDK: KeSetTimerEx, KeSetCoalescableTimer, KeCancelTimer, KeReadStateTimer, "Timer Objects and
 * DPCs", "Timer Accuracy". A timer expires at the first clock tick (SCHED_TICK of interrupt time)
 * at or after its due time, never before; a periodic one keeps its nominal times, so that it does
 * not drift, and skips the periods that a stalled machine missed. A coalescable timer is allowed to
 * be late by its tolerance; ticks make it late enough. An absolute due time that has passed expires
 * at once.
 *
 * Everything about a queued timer is under the dispatcher lock. KTIMER.TimerListEntry is the place
 * in the processor's queue (timerq.c), DueTime the nominal time.
 */
#include "dpc.h"
#include "timerq.h"

_Static_assert(sizeof(struct timer_node) == sizeof(LIST_ENTRY),
               "a node takes the place of the list entry");

static struct timer_node *node_of(PKTIMER timer)
{
    return (struct timer_node *)&timer->TimerListEntry;
}

static PKTIMER timer_of(struct timer_node *node)
{
    return CONTAINING_RECORD((PLIST_ENTRY)node, KTIMER, TimerListEntry);
}

static void insert(PKTIMER timer)
{
    struct vp *vp = nt_self->vp;
    if (timer->Dpc && timer->Dpc->Number >= 0x500)
        vp = &vps[(timer->Dpc->Number - 0x500) % vp_count];
    timer->Processor = (USHORT)vp->number;
    timer->Header.Inserted = 1;
    timerq_insert(vp, node_of(timer), sched_tick_ceil(timer->DueTime.QuadPart));
}

static bool remove(PKTIMER timer)
{
    timer->Header.Inserted = 0;
    return timerq_remove(node_of(timer));
}

/* Signals and queues the DPC; inserts again if it is periodic. */
static void fire(PKTIMER timer, uint64_t now)
{
    PKDPC dpc = timer->Dpc;
    timer->Header.Inserted = 0;
    if (timer->Period) {
        uint64_t period = timer->Period * 10000ull, due = timer->DueTime.QuadPart + period;
        if (due <= now)
            due += (now - due) / period * period + period;
        timer->DueTime.QuadPart = due;
        insert(timer);
    }
    timer->Header.SignalState = 1;
    dispatcher_signaled(&timer->Header);
    if (dpc)
        dpc_queue(dpc, NULL, NULL);
}

static void expired(struct timer_node *node, uint64_t due, uint64_t now)
{
    (void)due;
    fire(timer_of(node), now);
}

__attribute__((constructor)) static void register_kind(void)
{
    timerq_register(TIMER_KE, expired);
}

VOID NTAPI KeInitializeTimerEx(PKTIMER Timer, TIMER_TYPE Type)
{
    dispatcher_init(
        &Timer->Header,
        Type == SynchronizationTimer ? TYPE_TIMER_SYNCHRONIZATION : TYPE_TIMER_NOTIFICATION, 0);
    Timer->DueTime.QuadPart = 0;
    *node_of(Timer) = (struct timer_node){.kind = TIMER_KE};
    Timer->Dpc = NULL;
    Timer->Processor = 0;
    Timer->TimerType = 0;
    Timer->Period = 0;
}

VOID NTAPI KeInitializeTimer(PKTIMER Timer)
{
    KeInitializeTimerEx(Timer, NotificationTimer);
}

static void check_timer(PKTIMER timer, const char *function)
{
    if (vf_enabled && ((timer->Header.Type != TYPE_TIMER_NOTIFICATION &&
                        timer->Header.Type != TYPE_TIMER_SYNCHRONIZATION) ||
                       node_of(timer)->kind != TIMER_KE))
        vf_violation(VfBadParameter, "%s: %p is no timer (type %u): not initialized, or freed",
                     function, (void *)timer, timer->Header.Type);
}

BOOLEAN NTAPI KeSetCoalescableTimer(PKTIMER Timer, LARGE_INTEGER DueTime, ULONG Period,
                                    ULONG TolerableDelay, PKDPC Dpc)
{
    (void)TolerableDelay;
    VF_ENTRY(DISPATCH_LEVEL);
    check_timer(Timer, __func__);
    struct nt_thread *self = nt_self;
    /* Raised, so that a DPC for this processor runs on the way out rather than after a switch. */
    uint8_t old = self->irql;
    if (old < DISPATCH)
        irql_raise(self, DISPATCH);
    sched_lock();
    bool was_set = remove(Timer);
    uint64_t now = sched->now(), due = dispatcher_due(DueTime.QuadPart);
    Timer->Header.SignalState = 0;
    Timer->Dpc = Dpc;
    Timer->Period = Period;
    Timer->DueTime.QuadPart = due;
    if (due <= now)
        fire(Timer, now);
    else
        insert(Timer);
    sched_unlock();
    if (old < DISPATCH)
        irql_lower(self, old);
    return was_set;
}

BOOLEAN NTAPI KeSetTimerEx(PKTIMER Timer, LARGE_INTEGER DueTime, LONG Period, PKDPC Dpc)
{
    return KeSetCoalescableTimer(Timer, DueTime, (ULONG)Period, 0, Dpc);
}

BOOLEAN NTAPI KeSetTimer(PKTIMER Timer, LARGE_INTEGER DueTime, PKDPC Dpc)
{
    return KeSetCoalescableTimer(Timer, DueTime, 0, 0, Dpc);
}

BOOLEAN NTAPI KeCancelTimer(PKTIMER Timer)
{
    VF_ENTRY(DISPATCH_LEVEL);
    check_timer(Timer, __func__);
    sched_lock();
    bool was_set = remove(Timer);
    Timer->Period = 0;
    sched_unlock();
    return was_set;
}

BOOLEAN NTAPI KeReadStateTimer(PKTIMER Timer)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return Timer->Header.SignalState != 0;
}

NT_EXPORT(NTOSKRNL, KeInitializeTimer);
NT_EXPORT(NTOSKRNL, KeInitializeTimerEx);
NT_EXPORT(NTOSKRNL, KeSetTimer);
NT_EXPORT(NTOSKRNL, KeSetTimerEx);
NT_EXPORT(NTOSKRNL, KeSetCoalescableTimer);
NT_EXPORT(NTOSKRNL, KeCancelTimer);
NT_EXPORT(NTOSKRNL, KeReadStateTimer);
