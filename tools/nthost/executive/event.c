/*
 * Events.
 *
 * WDK: KeInitializeEvent, KeSetEvent, KeResetEvent, KeClearEvent, KeReadStateEvent, KePulseEvent,
 * "Event Objects". A notification event stays signaled until it is reset; a synchronization event
 * releases one wait and goes back. Priority increments have no meaning here. KeSetEvent with Wait
 * TRUE promises a wait as the caller's next call; it needs no special care where the dispatcher
 * lock is not kept between the two.
 */
#include "dispatcher.h"

VOID NTAPI KeInitializeEvent(PRKEVENT Event, EVENT_TYPE Type, BOOLEAN State)
{
    dispatcher_init(&Event->Header,
                    Type == SynchronizationEvent ? TYPE_EVENT_SYNCHRONIZATION
                                                 : TYPE_EVENT_NOTIFICATION,
                    State ? 1 : 0);
    Event->Header.Size = sizeof *Event / sizeof(ULONG);
}

/* Under the dispatcher lock. */
static void check_event(PRKEVENT event, const char *function)
{
    if (vf_enabled &&
        (event->Header.Type > TYPE_EVENT_SYNCHRONIZATION || !event->Header.WaitListHead.Flink))
        vf_violation(VfBadParameter, "%s: %p is no event (type %u): not initialized, or freed",
                     function, (void *)event, event->Header.Type);
}

LONG NTAPI KeSetEvent(PRKEVENT Event, KPRIORITY Increment, BOOLEAN Wait)
{
    (void)Increment;
    VF_ENTRY(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    sched_lock();
    check_event(Event, __func__);
    LONG before = Event->Header.SignalState;
    Event->Header.SignalState = 1;
    if (!before)
        dispatcher_signaled(&Event->Header);
    sched_unlock();
    thread_point(nt_self);
    return before;
}

LONG NTAPI KeResetEvent(PRKEVENT Event)
{
    VF_ENTRY(DISPATCH_LEVEL);
    sched_lock();
    check_event(Event, __func__);
    LONG before = Event->Header.SignalState;
    Event->Header.SignalState = 0;
    sched_unlock();
    return before;
}

VOID NTAPI KeClearEvent(PRKEVENT Event)
{
    VF_ENTRY(DISPATCH_LEVEL);
    sched_lock();
    check_event(Event, __func__);
    Event->Header.SignalState = 0;
    sched_unlock();
}

LONG NTAPI KePulseEvent(PRKEVENT Event, KPRIORITY Increment, BOOLEAN Wait)
{
    (void)Increment;
    VF_ENTRY(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    sched_lock();
    check_event(Event, __func__);
    LONG before = Event->Header.SignalState;
    Event->Header.SignalState = 1;
    dispatcher_signaled(&Event->Header);
    Event->Header.SignalState = 0;
    sched_unlock();
    return before;
}

LONG NTAPI KeReadStateEvent(PRKEVENT Event)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return Event->Header.SignalState;
}

NT_EXPORT(NTOSKRNL, KeInitializeEvent);
NT_EXPORT(NTOSKRNL, KeSetEvent);
NT_EXPORT(NTOSKRNL, KeResetEvent);
NT_EXPORT(NTOSKRNL, KeClearEvent);
NT_EXPORT(NTOSKRNL, KePulseEvent);
NT_EXPORT(NTOSKRNL, KeReadStateEvent);
