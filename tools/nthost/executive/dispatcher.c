/*
 * Waitable objects and waits.
 *
 * WDK: "Kernel Dispatcher Objects", KeWaitForSingleObject, KeWaitForMultipleObjects,
 * KeDelayExecutionThread.
 *
 * Whoever signals an object satisfies the waits on it, in the order in which they began: it
 * consumes the object's state for the waiter (a synchronization event goes back to non-signaled, a
 * semaphore counts down, a mutex gets its owner), takes the waiter off all its objects and unparks
 * it. A wait for all objects consumes all at once or none. A waiter's blocks live on its own stack;
 * the lists that hang off the objects, which are the driver's memory, hold them only under the
 * dispatcher lock.
 *
 * Time-outs expire at ticks (SCHED_TICK), as on Windows, and are not before their time. No
 * documented routine alerts a thread or queues an APC to it here, so alertable waits end like
 * others.
 */
#include "dispatcher.h"
#include <string.h>

struct wait_block {
    LIST_ENTRY entry; /* in DISPATCHER_HEADER.WaitListHead */
    struct waiter *waiter;
    DISPATCHER_HEADER *object;
};

struct waiter {
    struct nt_thread *thread;
    WAIT_TYPE type;
    unsigned count;
    struct wait_block *blocks;
    bool satisfied;
    NTSTATUS status;
};

void dispatcher_init(DISPATCHER_HEADER *header, enum dispatcher_type type, LONG state)
{
    header->Lock = 0;
    header->Type = (UCHAR)type;
    header->SignalState = state;
    InitializeListHead(&header->WaitListHead);
}

const char *dispatcher_type_name(const DISPATCHER_HEADER *header)
{
    switch (header->Type) {
    case TYPE_EVENT_NOTIFICATION:
    case TYPE_EVENT_SYNCHRONIZATION:
        return "event";
    case TYPE_MUTANT:
        return "mutex";
    case TYPE_SEMAPHORE:
        return "semaphore";
    case TYPE_THREAD:
        return "thread";
    case TYPE_TIMER_NOTIFICATION:
    case TYPE_TIMER_SYNCHRONIZATION:
        return "timer";
    default:
        return NULL;
    }
}

_Static_assert(sizeof(DISPATCHER_HEADER) == sizeof(((struct nt_thread *)0)->header),
               "a thread begins with its dispatcher header");

void thread_init_header(struct nt_thread *thread)
{
    dispatcher_init((DISPATCHER_HEADER *)thread->header, TYPE_THREAD, 0);
    InitializeListHead((PLIST_ENTRY)thread->mutants);
}

void thread_signal_end(struct nt_thread *thread)
{
    DISPATCHER_HEADER *header = (DISPATCHER_HEADER *)thread->header;
    header->SignalState = 1;
    dispatcher_signaled(header);
}

static bool is_signaled_for(const DISPATCHER_HEADER *object, const struct nt_thread *thread)
{
    if (object->Type == TYPE_MUTANT && ((const KMUTANT *)object)->OwnerThread == (PKTHREAD)thread)
        return true;
    return object->SignalState > 0;
}

static void consume(DISPATCHER_HEADER *object, struct nt_thread *thread)
{
    switch (object->Type) {
    case TYPE_EVENT_SYNCHRONIZATION:
    case TYPE_TIMER_SYNCHRONIZATION:
        object->SignalState = 0;
        break;
    case TYPE_SEMAPHORE:
        object->SignalState--;
        break;
    case TYPE_MUTANT: {
        KMUTANT *mutant = (KMUTANT *)object;
        if (object->SignalState-- == 1) {
            mutant->OwnerThread = (PKTHREAD)thread;
            thread->critical += mutant->ApcDisable;
            InsertHeadList((PLIST_ENTRY)thread->mutants, &mutant->MutantListEntry);
        }
        break;
    }
    default:
        break; /* stays signaled */
    }
}

/* The status of a wait that is satisfied by the object of this index, after consuming it. */
static bool try_satisfy(struct waiter *waiter, unsigned index)
{
    if (waiter->type == WaitAny) {
        if (!is_signaled_for(waiter->blocks[index].object, waiter->thread))
            return false;
        consume(waiter->blocks[index].object, waiter->thread);
        waiter->status = STATUS_WAIT_0 + (NTSTATUS)index;
        return true;
    }
    for (unsigned i = 0; i < waiter->count; i++) {
        if (!is_signaled_for(waiter->blocks[i].object, waiter->thread))
            return false;
    }
    for (unsigned i = 0; i < waiter->count; i++)
        consume(waiter->blocks[i].object, waiter->thread);
    waiter->status = STATUS_WAIT_0;
    return true;
}

static void take_off(struct waiter *waiter)
{
    for (unsigned i = 0; i < waiter->count; i++)
        RemoveEntryList(&waiter->blocks[i].entry);
}

bool dispatcher_has_waiters(const DISPATCHER_HEADER *header)
{
    return !IsListEmpty(&header->WaitListHead);
}

void dispatcher_signaled(DISPATCHER_HEADER *header)
{
    PLIST_ENTRY entry = header->WaitListHead.Flink;
    while (header->SignalState > 0 && entry != &header->WaitListHead) {
        struct wait_block *block = CONTAINING_RECORD(entry, struct wait_block, entry);
        struct waiter *waiter = block->waiter;
        if (!try_satisfy(waiter, (unsigned)(block - waiter->blocks))) {
            entry = entry->Flink;
            continue;
        }
        take_off(waiter);
        waiter->satisfied = true;
        sched_unpark(waiter->thread);
        /* The wait may have had several blocks on this object: begin again. */
        entry = header->WaitListHead.Flink;
    }
}

uint64_t dispatcher_due(LONGLONG due)
{
    uint64_t now = sched->now();
    if (due <= 0) {
        uint64_t span = 0 - (uint64_t)due;
        return span > UINT64_MAX - 1 - now ? UINT64_MAX - 1 : now + span;
    }
    uint64_t system = sched_system_time();
    uint64_t passed = system - now; /* system time at interrupt time 0 */
    return (uint64_t)due <= passed ? 0 : (uint64_t)due - passed;
}

/* 0 deadline: do not block. */
static NTSTATUS wait_blocked(unsigned count, void *const *objects, WAIT_TYPE type,
                             uint64_t deadline, const void *caller)
{
    struct nt_thread *self = nt_self;
    struct wait_block blocks[MAXIMUM_WAIT_OBJECTS];
    struct waiter waiter = {.thread = self, .type = type, .count = count, .blocks = blocks};

    for (unsigned i = 0; i < count; i++) {
        blocks[i].waiter = &waiter;
        blocks[i].object = objects[i];
    }
    sched_lock();
    for (unsigned i = 0; i < (type == WaitAny ? count : 1); i++) {
        if (try_satisfy(&waiter, i)) {
            sched_unlock();
            return waiter.status;
        }
    }
    if (deadline <= sched->now()) {
        sched_unlock();
        return STATUS_TIMEOUT;
    }
    for (unsigned i = 0; i < count; i++)
        InsertTailList(&blocks[i].object->WaitListHead, &blocks[i].entry);
    self->wait_what = count ? dispatcher_type_name(objects[0]) : "time to pass";
    self->wait_object = count ? objects[0] : NULL;
    self->wait_caller = caller;
    while (!waiter.satisfied) {
        if (!sched_park(deadline) && !waiter.satisfied) {
            take_off(&waiter);
            waiter.status = STATUS_TIMEOUT;
            break;
        }
    }
    self->wait_what = NULL;
    sched_unlock();
    return waiter.status;
}

void dispatcher_wait(void *object, const char *what)
{
    (void)what;
    wait_blocked(1, &object, WaitAny, UINT64_MAX, __builtin_return_address(0));
}

NTSTATUS dispatcher_wait_any(unsigned count, void *const *objects, WAIT_TYPE type,
                             PLARGE_INTEGER timeout, const void *caller, const char *function)
{
    struct nt_thread *self = nt_self;
    bool may_block = !timeout || timeout->QuadPart != 0;
    if (self->irql > DISPATCH || (may_block && self->irql >= DISPATCH))
        vf_violation(VfWaitAtDispatch,
                     "%s at IRQL %u%s: only a wait with a time-out of 0 is allowed at "
                     "DISPATCH_LEVEL",
                     function, self->irql, timeout ? "" : ", without a time-out");
    if (vf_enabled) {
        for (unsigned i = 0; i < count; i++) {
            if (!objects[i] || !dispatcher_type_name(objects[i]))
                vf_violation(VfBadParameter,
                             "%s: object %p is no waitable object (type %u): not "
                             "initialized, or freed",
                             function, objects[i],
                             objects[i] ? ((DISPATCHER_HEADER *)objects[i])->Type : 0);
        }
    }
    uint64_t deadline = 0;
    if (!timeout)
        deadline = UINT64_MAX;
    else if (may_block)
        deadline = sched_tick_ceil(dispatcher_due(timeout->QuadPart));
    NTSTATUS status = wait_blocked(count, objects, type, deadline, caller);
    if (vf_enabled && status >= 0 && status < MAXIMUM_WAIT_OBJECTS) {
        for (unsigned i = 0; i < count; i++) {
            if (((DISPATCHER_HEADER *)objects[i])->Type == TYPE_MUTANT &&
                (type == WaitAll || (unsigned)status == i) && !vf_lock_held(objects[i]))
                vf_lock_acquired(objects[i], "mutex", may_block);
        }
    }
    return status;
}

NTSTATUS NTAPI KeWaitForSingleObject(PVOID Object, KWAIT_REASON WaitReason,
                                     KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
                                     PLARGE_INTEGER Timeout)
{
    (void)WaitReason;
    (void)WaitMode;
    (void)Alertable;
    VF_ENTRY(DISPATCH_LEVEL);
    return dispatcher_wait_any(1, &Object, WaitAny, Timeout, __builtin_return_address(0), __func__);
}

NTSTATUS NTAPI KeWaitForMultipleObjects(ULONG Count, PVOID Object[], WAIT_TYPE WaitType,
                                        KWAIT_REASON WaitReason, KPROCESSOR_MODE WaitMode,
                                        BOOLEAN Alertable, PLARGE_INTEGER Timeout,
                                        PKWAIT_BLOCK WaitBlockArray)
{
    (void)WaitReason;
    (void)WaitMode;
    (void)Alertable;
    VF_ENTRY(DISPATCH_LEVEL);
    if (!Count || Count > MAXIMUM_WAIT_OBJECTS || (Count > THREAD_WAIT_OBJECTS && !WaitBlockArray))
        KeBugCheckEx(0x0000000C /* MAXIMUM_WAIT_OBJECTS_EXCEEDED */, Count, 0, 0, 0);
    return dispatcher_wait_any(Count, Object, WaitType, Timeout, __builtin_return_address(0),
                               __func__);
}

NTSTATUS NTAPI KeDelayExecutionThread(KPROCESSOR_MODE WaitMode, BOOLEAN Alertable,
                                      PLARGE_INTEGER Interval)
{
    (void)WaitMode;
    (void)Alertable;
    VF_ENTRY(APC_LEVEL);
    struct nt_thread *self = nt_self;
    if (self->irql >= DISPATCH)
        vf_violation(VfWaitAtDispatch, "KeDelayExecutionThread at IRQL %u", self->irql);
    if (!Interval->QuadPart) {
        /* Gives up the rest of its time. */
        if (self->depth) {
            sched->drop_slot(self);
            sched->take_slot(self);
        }
        return STATUS_SUCCESS;
    }
    wait_blocked(0, NULL, WaitAny, sched_tick_ceil(dispatcher_due(Interval->QuadPart)),
                 __builtin_return_address(0));
    return STATUS_SUCCESS;
}

NT_EXPORT(NTOSKRNL, KeWaitForSingleObject);
NT_EXPORT(NTOSKRNL, KeWaitForMultipleObjects);
NT_EXPORT(NTOSKRNL, KeDelayExecutionThread);
