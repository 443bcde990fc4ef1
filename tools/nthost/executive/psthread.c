/*
 * System threads, and what a thread can ask about itself.
 *
 * WDK: PsCreateSystemThread, PsTerminateSystemThread, KeGetCurrentThread, KeEnterCriticalRegion,
 * KeSetPriorityThread, "System Threads". A thread object is the host's struct nt_thread, which
 * begins with a dispatcher header: it is signaled when the thread has ended. Ending with a mutex,
 * or in a critical region, is a bug check. Priorities are remembered and reported; Linux does the
 * scheduling.
 */
#include "dispatcher.h"
#include "psnotify.h"
#include "../io/ob.h"
#include <nthost/object.h>
#include <stdio.h>
#include <unistd.h>

const struct ob_type ob_thread_type = {.name = "Thread"};
OB_EXPORT_TYPE(PsThreadType, ob_thread_type);

static void driver_thread(void *context)
{
    struct nt_thread *self = nt_self;
    PKSTART_ROUTINE routine = (PKSTART_ROUTINE)self->start_routine;
    nt_enter();
    routine(context);
}

/* Every driver thread's last words, however it ended; called in its context. */
void thread_check_end(struct nt_thread *self)
{
    if (!IsListEmpty((PLIST_ENTRY)self->mutants))
        KeBugCheckEx(0x4000008A /* THREAD_TERMINATE_HELD_MUTEX */, (ULONG_PTR)self,
                     (ULONG_PTR)CONTAINING_RECORD(self->mutants[0], KMUTANT, MutantListEntry), 0,
                     0);
    if (self->critical || self->guarded)
        KeBugCheckEx(0x00000020 /* KERNEL_APC_PENDING_DURING_EXIT */, 0, self->critical, self->irql,
                     0);
    if (self->irql != PASSIVE)
        vf_violation(VfIrqlWrongOnReturn, "a system thread ends at IRQL %u", self->irql);
    if (vf_enabled && self->held_count)
        vf_violation(VfSpinLockHeld, "a system thread ends with a %s (%p)", self->held[0].kind,
                     (const void *)self->held[0].lock);
    ps_notify_thread(self, false);
}

NTSTATUS NTAPI PsCreateSystemThread(PHANDLE ThreadHandle, ULONG DesiredAccess,
                                    POBJECT_ATTRIBUTES ObjectAttributes, HANDLE ProcessHandle,
                                    PCLIENT_ID ClientId, PKSTART_ROUTINE StartRoutine,
                                    PVOID StartContext)
{
    VF_ENTRY(PASSIVE_LEVEL);
    (void)ProcessHandle;
    const void *caller = __builtin_return_address(0);
    if (vf_fault(VfFaultThread))
        return STATUS_INSUFFICIENT_RESOURCES;
    const char *driver = vf_owner((void *)StartRoutine);
    char name[32];
    snprintf(name, sizeof name, "%.24s thread", *driver ? driver : "system");
    struct nt_thread *thread = thread_create(name);
    if (!thread)
        return STATUS_INSUFFICIENT_RESOURCES;
    thread->in_driver_thread = thread->detached = true;
    thread->start_routine = (void *)StartRoutine;
    thread->owner = vf_owner(caller)[0] ? caller : (const void *)StartRoutine;
    NTSTATUS status =
        ob_handle_open(ob_handles_for(ObjectAttributes ? ObjectAttributes->Attributes : 0), thread,
                       DesiredAccess ? DesiredAccess : THREAD_ALL_ACCESS, ThreadHandle);
    if (!NT_SUCCESS(status)) {
        thread_discard(thread);
        return status;
    }
    if (ClientId) {
        ClientId->UniqueProcess = PsGetCurrentProcessId();
        ClientId->UniqueThread = UlongToHandle(thread->unique_id);
    }
    thread->run = driver_thread;
    thread->run_context = StartContext;
    ps_notify_thread(thread, true);
    sched->spawn(thread); /* the creator's reference becomes the running thread's */
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI PsTerminateSystemThread(NTSTATUS ExitStatus)
{
    VF_ENTRY(APC_LEVEL);
    struct nt_thread *self = nt_self;
    if (!self->in_driver_thread)
        return STATUS_INVALID_PARAMETER;
    self->exit_status = ExitStatus;
    longjmp(self->exit, 1);
}

static void check_running(const char *driver)
{
    pthread_mutex_lock(&threads_lock);
    for (struct nt_thread *thread = threads; thread; thread = thread->next) {
        if (!thread->in_driver_thread || thread->ended || !vf_is_owner(thread->owner, driver))
            continue;
        char text[320];
        thread_describe(thread, text, sizeof text);
        pthread_mutex_unlock(&threads_lock);
        vf_violation(VfThreadActive, "driver %s was unloaded while its thread runs: %s", driver,
                     text);
    }
    pthread_mutex_unlock(&threads_lock);
}

struct search {
    const char *driver;
    struct nt_thread *found;
};

static void match_ended(void *context, void *object, const struct ob_header *header)
{
    struct search *search = context;
    struct nt_thread *thread = object;
    if (header->type == &ob_thread_type && thread->in_driver_thread && thread->ended &&
        vf_is_owner(thread->owner, search->driver))
        search->found = thread;
}

static void check_unload(const char *driver)
{
    struct search search = {.driver = driver};
    check_running(driver);
    /* In real time a thread is seen to have ended a moment before it lets go of itself. */
    for (unsigned ms = 0; ms < 1000; ms++) {
        search.found = NULL;
        ob_for_each(match_ended, &search);
        if (!search.found)
            return;
        if (sched_det)
            break;
        usleep(1000);
    }
    vf_violation(VfObjectLeak,
                 "driver %s was unloaded with %u reference(s) on its thread %p, which has ended",
                 driver, ob_references(search.found), (void *)search.found);
}

__attribute__((constructor)) static void register_check(void)
{
    vf_at_unload(check_unload);
}

PKTHREAD NTAPI KeGetCurrentThread(VOID)
{
    return (PKTHREAD)nt_self;
}

HANDLE NTAPI PsGetCurrentThreadId(VOID)
{
    return UlongToHandle(nt_self->unique_id);
}

HANDLE NTAPI PsGetThreadId(PETHREAD Thread)
{
    return UlongToHandle(thread_of((PKTHREAD)Thread)->unique_id);
}

BOOLEAN NTAPI PsIsSystemThread(PETHREAD Thread)
{
    return !thread_of((PKTHREAD)Thread)->process;
}

BOOLEAN NTAPI PsIsThreadTerminating(PETHREAD Thread)
{
    return thread_of((PKTHREAD)Thread)->ended;
}

KPRIORITY NTAPI KeSetPriorityThread(PKTHREAD Thread, KPRIORITY Priority)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled && (Priority <= LOW_PRIORITY || Priority > HIGH_PRIORITY))
        vf_violation(VfBadParameter, "KeSetPriorityThread: priority %d", Priority);
    return __atomic_exchange_n(&thread_of(Thread)->priority, Priority, __ATOMIC_SEQ_CST);
}

KPRIORITY NTAPI KeQueryPriorityThread(PKTHREAD Thread)
{
    return thread_of(Thread)->priority;
}

LONG NTAPI KeSetBasePriorityThread(PKTHREAD Thread, LONG Increment)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct nt_thread *thread = thread_of(Thread);
    LONG before = thread->base_increment;
    thread->base_increment = Increment;
    thread->priority = 8 + Increment;
    return before;
}

/* Regions */

VOID NTAPI KeEnterCriticalRegion(VOID)
{
    VF_ENTRY(APC_LEVEL);
    nt_self->critical++;
}

VOID NTAPI KeLeaveCriticalRegion(VOID)
{
    VF_ENTRY(APC_LEVEL);
    if (!nt_self->critical)
        vf_violation(VfBadParameter, "KeLeaveCriticalRegion outside a critical region");
    nt_self->critical--;
}

VOID NTAPI KeEnterGuardedRegion(VOID)
{
    VF_ENTRY(APC_LEVEL);
    nt_self->guarded++;
}

VOID NTAPI KeLeaveGuardedRegion(VOID)
{
    VF_ENTRY(APC_LEVEL);
    if (!nt_self->guarded)
        vf_violation(VfBadParameter, "KeLeaveGuardedRegion outside a guarded region");
    nt_self->guarded--;
}

BOOLEAN NTAPI KeAreApcsDisabled(VOID)
{
    struct nt_thread *self = nt_self;
    return self->critical || self->guarded || self->irql >= APC;
}

BOOLEAN NTAPI KeAreAllApcsDisabled(VOID)
{
    struct nt_thread *self = nt_self;
    return self->guarded || self->irql >= APC;
}

LOGICAL NTAPI KeShouldYieldProcessor(VOID)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return FALSE;
}

/* Stacks here are large enough for what a driver may use (12 KB) many times over. */
NTSTATUS NTAPI KeExpandKernelStackAndCallout(PEXPAND_STACK_CALLOUT Callout, PVOID Parameter,
                                             SIZE_T Size)
{
    VF_ENTRY(APC_LEVEL);
    if (Size > 64 * 1024)
        return STATUS_INVALID_PARAMETER_3;
    if (vf_fault(VfFaultPool))
        return STATUS_NO_MEMORY;
    Callout(Parameter);
    return STATUS_SUCCESS;
}

NT_EXPORT(NTOSKRNL, PsCreateSystemThread);
NT_EXPORT(NTOSKRNL, PsTerminateSystemThread);
NT_EXPORT(NTOSKRNL, KeGetCurrentThread);
NT_EXPORT(NTOSKRNL, PsGetCurrentThreadId);
NT_EXPORT(NTOSKRNL, PsGetThreadId);
NT_EXPORT(NTOSKRNL, PsIsSystemThread);
NT_EXPORT(NTOSKRNL, PsIsThreadTerminating);
NT_EXPORT(NTOSKRNL, KeSetPriorityThread);
NT_EXPORT(NTOSKRNL, KeQueryPriorityThread);
NT_EXPORT(NTOSKRNL, KeSetBasePriorityThread);
NT_EXPORT(NTOSKRNL, KeEnterCriticalRegion);
NT_EXPORT(NTOSKRNL, KeLeaveCriticalRegion);
NT_EXPORT(NTOSKRNL, KeEnterGuardedRegion);
NT_EXPORT(NTOSKRNL, KeLeaveGuardedRegion);
NT_EXPORT(NTOSKRNL, KeAreApcsDisabled);
NT_EXPORT(NTOSKRNL, KeAreAllApcsDisabled);
NT_EXPORT(NTOSKRNL, KeShouldYieldProcessor);
NT_EXPORT(NTOSKRNL, KeExpandKernelStackAndCallout);
