/*
 * Timers of the executive (EX_TIMER).
 *
 * WDK: ExAllocateTimer, ExSetTimer, ExCancelTimer, ExDeleteTimer, "ExXxxTimer Routines and EX_TIMER
 * Objects", "High-Resolution Timers". Only EX_TIMER_HIGH_RESOLUTION timers expire at their exact
 * due time; all others at clock ticks. No-wake timers expire like others: this machine never
 * sleeps.
 *
 * The callback is a DPC of the timer's own, bound to a processor while it runs, so that it never
 * runs twice at a time. A timer dies when it was deleted, is not set, and its callback is neither
 * queued nor running: `busy` counts the latter. Whoever makes the last of these true (ExDeleteTimer
 * or the DPC) wakes the waiting ExDeleteTimer or calls the delete callback, and frees it. Under the
 * dispatcher lock.
 */
#include "dpc.h"
#include "timerq.h"
#include <stdlib.h>

struct _EX_TIMER {
    DISPATCHER_HEADER header;
    struct timer_node node;
    KDPC dpc;
    PEXT_CALLBACK callback;
    PVOID context;
    uint64_t due, period; /* 100 ns; nominal */
    bool high_resolution;
    bool deleted;             /* no more ExSetTimer */
    bool last_shot;           /* deleted without cancelling: dies when it has expired */
    unsigned busy;            /* callback queued (1) and running (1) */
    struct nt_thread *runner; /* whose stack the callback is on */
    KEVENT *waiter;           /* ExDeleteTimer with Wait */
    EXT_DELETE_PARAMETERS parameters;
    const void *owner;
    LIST_ENTRY entry; /* of all */
};

static LIST_ENTRY timers = {&timers, &timers};

static void insert(PEX_TIMER timer)
{
    struct vp *vp = timer->busy ? &vps[timer->node.processor] : nt_self->vp;
    dpc_set_processor(&timer->dpc, vp->number);
    timerq_insert(vp, &timer->node,
                  timer->high_resolution ? timer->due : sched_tick_ceil(timer->due));
}

/* It is deleted, not set and not busy: true. The caller calls finish() without the lock. */
static bool is_dead(PEX_TIMER timer)
{
    return timer->deleted && !timer->busy && !timer->node.index;
}

static void finish(PEX_TIMER timer)
{
    EXT_DELETE_PARAMETERS parameters = timer->parameters;
    KEVENT *waiter = timer->waiter;
    sched_lock();
    RemoveEntryList(&timer->entry);
    sched_unlock();
    free(timer);
    if (parameters.DeleteCallback)
        parameters.DeleteCallback(parameters.DeleteContext);
    if (waiter)
        KeSetEvent(waiter, 0, FALSE);
}

static VOID NTAPI run_callback(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    (void)dpc;
    (void)argument1;
    (void)argument2;
    PEX_TIMER timer = context;
    sched_lock();
    timer->runner = nt_self;
    sched_unlock();
    if (timer->callback) {
        struct vf_call call = vf_call_begin_of("an ExTimerCallback", timer->callback);
        timer->callback(timer, timer->context);
        vf_call_end(&call);
    }
    sched_lock();
    timer->runner = NULL;
    timer->busy--;
    bool dead = is_dead(timer);
    sched_unlock();
    if (dead)
        finish(timer);
}

static void fire(PEX_TIMER timer, uint64_t now)
{
    if (timer->last_shot) {
        timer->last_shot = false;
        timer->period = 0;
        timer->deleted = true;
    }
    if (timer->period) {
        timer->due += timer->period;
        if (timer->due <= now)
            timer->due += (now - timer->due) / timer->period * timer->period + timer->period;
        insert(timer);
    }
    timer->header.SignalState = 1;
    dispatcher_signaled(&timer->header);
    /* Without a callback there is still the end of a deleted timer to be seen to. */
    if ((timer->callback || timer->deleted) && dpc_queue(&timer->dpc, NULL, NULL))
        timer->busy++;
}

static void expired(struct timer_node *node, uint64_t due, uint64_t now)
{
    (void)due;
    fire(CONTAINING_RECORD(node, struct _EX_TIMER, node), now);
}

PEX_TIMER NTAPI ExAllocateTimer(PEXT_CALLBACK Callback, PVOID CallbackContext, ULONG Attributes)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultPool))
        return NULL;
    if (Attributes & ~(EX_TIMER_HIGH_RESOLUTION | EX_TIMER_NO_WAKE | EX_TIMER_NOTIFICATION) ||
        (Attributes & EX_TIMER_HIGH_RESOLUTION && Attributes & EX_TIMER_NO_WAKE)) {
        if (vf_enabled)
            vf_violation(VfBadParameter,
                         "ExAllocateTimer: attributes 0x%x; a timer is of high resolution or "
                         "no-wake, not both",
                         Attributes);
        return NULL;
    }
    PEX_TIMER timer = calloc(1, sizeof *timer);
    if (!timer)
        return NULL;
    dispatcher_init(&timer->header,
                    Attributes & EX_TIMER_NOTIFICATION ? TYPE_TIMER_NOTIFICATION
                                                       : TYPE_TIMER_SYNCHRONIZATION,
                    0);
    timer->node.kind = TIMER_EX;
    timer->callback = Callback;
    timer->context = CallbackContext;
    timer->high_resolution = (Attributes & EX_TIMER_HIGH_RESOLUTION) != 0;
    timer->owner = __builtin_return_address(0);
    KeInitializeDpc(&timer->dpc, run_callback, timer);
    sched_lock();
    InsertTailList(&timers, &timer->entry);
    sched_unlock();
    return timer;
}

BOOLEAN NTAPI ExSetTimer(PEX_TIMER Timer, LONGLONG DueTime, LONGLONG Period,
                         PEXT_SET_PARAMETERS Parameters)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled &&
        (Period < 0 || Period > MAXLONG * 10000ll || (Timer->high_resolution && DueTime > 0) ||
         (Parameters && (Parameters->Version || Parameters->Reserved))))
        vf_violation(
            VfBadParameter,
            "ExSetTimer: due time %lld, period %lld: periods are 0 .. MAXLONG ms, high-resolution "
            "timers take relative times only, parameters are initialized by "
            "ExInitializeSetTimerParameters",
            (long long)DueTime, (long long)Period);
    struct nt_thread *self = nt_self;
    uint8_t old = self->irql;
    if (old < DISPATCH)
        irql_raise(self, DISPATCH);
    sched_lock();
    bool was_set = false;
    if (!Timer->deleted && !Timer->last_shot) {
        was_set = timerq_remove(&Timer->node);
        uint64_t now = sched->now();
        Timer->header.SignalState = 0;
        Timer->due = dispatcher_due(DueTime);
        Timer->period = (uint64_t)Period;
        if (Timer->due <= now)
            fire(Timer, now);
        else
            insert(Timer);
    }
    sched_unlock();
    if (old < DISPATCH)
        irql_lower(self, old);
    return was_set;
}

BOOLEAN NTAPI ExCancelTimer(PEX_TIMER Timer, PVOID Parameters)
{
    (void)Parameters;
    VF_ENTRY(DISPATCH_LEVEL);
    sched_lock();
    bool was_set = false;
    if (!Timer->deleted && !Timer->last_shot) {
        was_set = timerq_remove(&Timer->node);
        Timer->period = 0;
    }
    sched_unlock();
    return was_set;
}

BOOLEAN NTAPI ExDeleteTimer(PEX_TIMER Timer, BOOLEAN Cancel, BOOLEAN Wait,
                            PEXT_DELETE_PARAMETERS Parameters)
{
    VF_ENTRY(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    KEVENT done;
    if (vf_enabled && Wait && !Cancel)
        vf_violation(VfBadParameter, "ExDeleteTimer: Wait needs Cancel");
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    sched_lock();
    if (Timer->deleted || Timer->last_shot) {
        sched_unlock();
        vf_violation(VfBadParameter, "ExDeleteTimer: timer %p is deleted already", (void *)Timer);
    }
    if (Wait && Timer->runner == nt_self) {
        sched_unlock();
        vf_violation(VfDeadlock, "ExDeleteTimer: waits for the callback that calls it");
    }
    bool was_set = false;
    if (Parameters)
        Timer->parameters = *Parameters;
    if (Wait)
        Timer->waiter = &done;
    if (Cancel) {
        was_set = timerq_remove(&Timer->node);
        Timer->period = 0;
        Timer->deleted = true;
    } else if (Timer->node.index) {
        Timer->last_shot = true;
    } else {
        Timer->deleted = true;
    }
    bool dead = is_dead(Timer);
    sched_unlock();
    if (dead)
        finish(Timer);
    if (Wait)
        dispatcher_wait(&done, "ExDeleteTimer");
    return was_set;
}

/* A driver's timers that it did not delete. */
static void check_unload(const char *driver)
{
    sched_lock();
    for (PLIST_ENTRY entry = timers.Flink; entry != &timers; entry = entry->Flink) {
        PEX_TIMER timer = CONTAINING_RECORD(entry, struct _EX_TIMER, entry);
        if (vf_is_owner(timer->owner, driver)) {
            sched_unlock();
            vf_violation(VfTimerActive,
                         "driver %s was unloaded with an EX_TIMER (%p) that it did not delete%s",
                         driver, (void *)timer, timer->node.index ? "; it is set" : "");
        }
    }
    sched_unlock();
}

__attribute__((constructor)) static void register_kind(void)
{
    timerq_register(TIMER_EX, expired);
    vf_at_unload(check_unload);
}

NT_EXPORT(NTOSKRNL, ExAllocateTimer);
NT_EXPORT(NTOSKRNL, ExSetTimer);
NT_EXPORT(NTOSKRNL, ExCancelTimer);
NT_EXPORT(NTOSKRNL, ExDeleteTimer);
