/*
 * Threads of others: who wants to hear of their creation and end, and finding them by id.
 *
 * WDK: PsSetCreateThreadNotifyRoutine, PsRemoveCreateThreadNotifyRoutine, PsLookupThreadByThreadId,
 * PsGetThreadProcessId. Routines are told of system threads that drivers create: in the creator's
 * context before the thread runs, in the thread's own when it has ended.
 */
#include "dispatcher.h"
#include "psnotify.h"
#include "../io/process.h"
#include <nthost/object.h>

#define MAX_ROUTINES 64 /* as on Windows */

static PCREATE_THREAD_NOTIFY_ROUTINE routines[MAX_ROUTINES]; /* under the dispatcher lock */

void ps_notify_thread(struct nt_thread *thread, bool created)
{
    for (unsigned i = 0; i < MAX_ROUTINES; i++) {
        PCREATE_THREAD_NOTIFY_ROUTINE routine = SHARED_READ(routines[i]);
        if (!routine)
            continue;
        struct vf_call call = vf_call_begin_of("a thread notify routine", routine);
        routine(UlongToHandle(thread->process ? ((struct _EPROCESS *)thread->process)->id
                                              : system_process->id),
                UlongToHandle(thread->unique_id), created);
        vf_call_end(&call);
    }
}

static NTSTATUS change(PCREATE_THREAD_NOTIFY_ROUTINE from, PCREATE_THREAD_NOTIFY_ROUTINE to,
                       NTSTATUS failure)
{
    NTSTATUS status = failure;
    sched_lock();
    for (unsigned i = 0; i < MAX_ROUTINES && !NT_SUCCESS(status); i++) {
        if (routines[i] == from) {
            __atomic_store_n(&routines[i], to, __ATOMIC_RELEASE);
            status = STATUS_SUCCESS;
        }
    }
    sched_unlock();
    return status;
}

NTSTATUS NTAPI PsSetCreateThreadNotifyRoutine(PCREATE_THREAD_NOTIFY_ROUTINE NotifyRoutine)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    return change(NULL, NotifyRoutine, STATUS_INSUFFICIENT_RESOURCES);
}

NTSTATUS NTAPI PsRemoveCreateThreadNotifyRoutine(PCREATE_THREAD_NOTIFY_ROUTINE NotifyRoutine)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return change(NotifyRoutine, NULL, STATUS_PROCEDURE_NOT_FOUND);
}

NTSTATUS NTAPI PsLookupThreadByThreadId(HANDLE ThreadId, PETHREAD *Thread)
{
    VF_ENTRY(APC_LEVEL);
    NTSTATUS status = STATUS_INVALID_CID;
    pthread_mutex_lock(&threads_lock);
    for (struct nt_thread *thread = threads; thread; thread = thread->next) {
        if (thread->unique_id == HandleToULong(ThreadId) && ob_try_reference(thread)) {
            *Thread = (PETHREAD)thread;
            status = STATUS_SUCCESS;
            break;
        }
    }
    pthread_mutex_unlock(&threads_lock);
    return status;
}

PEPROCESS NTAPI PsGetThreadProcess(PETHREAD Thread)
{
    struct nt_thread *thread = thread_of((PKTHREAD)Thread);
    return thread->process ? thread->process : system_process;
}

HANDLE NTAPI PsGetThreadProcessId(PETHREAD Thread)
{
    return UlongToHandle(PsGetThreadProcess(Thread)->id);
}

/* Requests of clients are carried out in their process's context. */
KPROCESSOR_MODE NTAPI ExGetPreviousMode(VOID)
{
    struct nt_thread *self = nt_self;
    return self->process && self->process != system_process ? UserMode : KernelMode;
}

static void check_unload(const char *driver)
{
    for (unsigned i = 0; i < MAX_ROUTINES; i++) {
        if (vf_is_owner((void *)routines[i], driver))
            vf_violation(VfObjectLeak,
                         "driver %s was unloaded with a thread notify routine registered (%p)",
                         driver, (void *)routines[i]);
    }
}

__attribute__((constructor)) static void register_check(void)
{
    vf_at_unload(check_unload);
}

NT_EXPORT(NTOSKRNL, PsSetCreateThreadNotifyRoutine);
NT_EXPORT(NTOSKRNL, PsRemoveCreateThreadNotifyRoutine);
NT_EXPORT(NTOSKRNL, PsLookupThreadByThreadId);
NT_EXPORT(NTOSKRNL, PsGetThreadProcess);
NT_EXPORT(NTOSKRNL, PsGetThreadProcessId);
NT_EXPORT(NTOSKRNL, ExGetPreviousMode);
