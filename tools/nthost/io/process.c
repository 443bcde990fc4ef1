/*
 * Processes and who wants to hear of them; see process.h.
 *
 * Notifications are called at PASSIVE_LEVEL in the context of the process that the host makes for a
 * client: on creation before its first request, on exit after its handles are closed. A driver may
 * refuse a process by its CreationStatus.
 *
 * WDK: PsSetCreateProcessNotifyRoutineEx, PsLookupProcessByProcessId, IoGetCurrentProcess.
 */
#include "process.h"
#include "ob.h"
#include <nthost/export.h>
#include <nthost/loader.h>
#include <nthost/sched.h>
#include <nthost/utf.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../executive/thread.h"

#define MAX_NOTIFY        64
#define SYSTEM_PROCESS_ID 4

struct notify {
    void *routine; /* NULL: free */
    bool extended;
};

struct _EPROCESS *system_process;
static struct _EPROCESS *processes;
static struct notify notifies[MAX_NOTIFY];
static pthread_mutex_t process_mutex = PTHREAD_MUTEX_INITIALIZER;

static void process_destroy(void *object)
{
    ob_handles_destroy(((struct _EPROCESS *)object)->handles);
}

const struct ob_type ob_process_type = {.name = "Process", .destroy = process_destroy};
OB_EXPORT_TYPE(PsProcessType, ob_process_type);

static struct _EPROCESS *find(uint32_t id)
{
    struct _EPROCESS *process = processes;
    while (process != NULL && process->id != id)
        process = process->next;
    return process;
}

static struct _EPROCESS *make(uint32_t id, const char *image, enum io_token token)
{
    LARGE_INTEGER now;
    struct _EPROCESS *process = ob_create(&ob_process_type, sizeof(*process));
    if (process == NULL)
        return NULL;
    process->handles = ob_handles_create();
    if (process->handles == NULL)
        abort();
    KeInitializeEvent((PKEVENT)&process->header, NotificationEvent, FALSE);
    KeQuerySystemTimePrecise(&now);
    process->create_time = now.QuadPart;
    process->token = token;
    process->parent_id = SYSTEM_PROCESS_ID;
    snprintf(process->image, sizeof(process->image), "%s", image);
    pthread_mutex_lock(&process_mutex);
    process->id = id;
    process->next = processes;
    processes = process;
    pthread_mutex_unlock(&process_mutex);
    return process;
}

/* The driver that a routine belongs to may be unloaded only after it has unregistered. */
static NTSTATUS tell(struct _EPROCESS *process, bool created)
{
    struct notify now[MAX_NOTIFY];
    unsigned chars = 0;
    WCHAR *name = utf16_from_utf8(process->image, strlen(process->image), &chars);
    UNICODE_STRING image = {(USHORT)(chars * sizeof(WCHAR)), (USHORT)(chars * sizeof(WCHAR)), name};
    PS_CREATE_NOTIFY_INFO info = {.Size = sizeof(info),
                                  .ParentProcessId = UlongToHandle(process->parent_id),
                                  .ImageFileName = name ? &image : NULL,
                                  .CreationStatus = STATUS_SUCCESS};
    pthread_mutex_lock(&process_mutex);
    memcpy(now, notifies, sizeof(now));
    pthread_mutex_unlock(&process_mutex);
    for (unsigned i = 0; i < MAX_NOTIFY; i++) {
        if (now[i].routine == NULL)
            continue;
        struct vf_call call = vf_call_begin("CreateProcessNotifyRoutine");
        if (now[i].extended)
            ((PCREATE_PROCESS_NOTIFY_ROUTINE_EX)now[i].routine)(process, UlongToHandle(process->id),
                                                                created ? &info : NULL);
        else
            ((PCREATE_PROCESS_NOTIFY_ROUTINE)now[i].routine)(UlongToHandle(process->parent_id),
                                                             UlongToHandle(process->id), created);
        vf_call_end(&call);
    }
    free(name);
    return info.CreationStatus;
}

struct _EPROCESS *process_create(uint32_t id, const char *image, enum io_token token)
{
    struct _EPROCESS *process = make(id, image, token);
    if (process == NULL)
        return NULL;
    if (!NT_SUCCESS(tell(process, true))) {
        process_exit(process);
        return NULL;
    }
    return process;
}

void process_exit(struct _EPROCESS *process)
{
    struct _EPROCESS **link = &processes;
    tell(process, false);
    pthread_mutex_lock(&process_mutex);
    while (*link != process)
        link = &(*link)->next;
    *link = process->next;
    pthread_mutex_unlock(&process_mutex);
    KeSetEvent((PKEVENT)&process->header, IO_NO_INCREMENT, FALSE);
    ob_dereference(process);
}

struct _EPROCESS *process_current(void)
{
    struct nt_thread *thread = nt_current();
    return thread != NULL && thread->process != NULL ? thread->process : system_process;
}

struct _EPROCESS *process_switch(struct _EPROCESS *process)
{
    struct nt_thread *thread = nt_current();
    struct _EPROCESS *old = thread->process;
    thread->process = process;
    return old;
}

static void check_unload(const char *driver)
{
    pthread_mutex_lock(&process_mutex);
    for (unsigned i = 0; i < MAX_NOTIFY; i++)
        if (notifies[i].routine != NULL && vf_is_owner(notifies[i].routine, driver))
            vf_violation(VfObjectLeak, "process notify routine %p is still registered",
                         notifies[i].routine);
    pthread_mutex_unlock(&process_mutex);
}

void process_start(void)
{
    static bool registered;
    if (!registered)
        vf_at_unload(check_unload);
    registered = true;
    memset(notifies, 0, sizeof(notifies));
    ob_kernel_handles = ob_handles_create();
    system_process = make(SYSTEM_PROCESS_ID, "System", IO_TOKEN_SYSTEM);
    if (ob_kernel_handles == NULL || system_process == NULL)
        abort();
}

void process_stop(void)
{
    struct _EPROCESS *system = system_process;
    ob_handles_destroy(ob_kernel_handles);
    ob_kernel_handles = NULL;
    processes = NULL;
    ob_dereference(system);
    system_process = NULL;
}

/* Exports */

PEPROCESS NTAPI IoGetCurrentProcess(VOID)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return process_current();
}
NT_EXPORT(NTOSKRNL, IoGetCurrentProcess);

HANDLE NTAPI PsGetCurrentProcessId(VOID)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return UlongToHandle(process_current()->id);
}
NT_EXPORT(NTOSKRNL, PsGetCurrentProcessId);

HANDLE NTAPI PsGetProcessId(PEPROCESS Process)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return UlongToHandle(Process->id);
}
NT_EXPORT(NTOSKRNL, PsGetProcessId);

LONGLONG NTAPI PsGetProcessCreateTimeQuadPart(PEPROCESS Process)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return Process->create_time;
}
NT_EXPORT(NTOSKRNL, PsGetProcessCreateTimeQuadPart);

NTSTATUS NTAPI PsLookupProcessByProcessId(HANDLE ProcessId, PEPROCESS *Process)
{
    VF_ENTRY(APC_LEVEL);
    pthread_mutex_lock(&process_mutex);
    struct _EPROCESS *process = find(HandleToULong(ProcessId));
    if (process != NULL && !ob_try_reference(process))
        process = NULL;
    pthread_mutex_unlock(&process_mutex);
    *Process = process;
    return process ? STATUS_SUCCESS : STATUS_INVALID_CID;
}
NT_EXPORT(NTOSKRNL, PsLookupProcessByProcessId);

static NTSTATUS set_notify(void *routine, bool extended, BOOLEAN remove)
{
    NTSTATUS status = remove ? STATUS_PROCEDURE_NOT_FOUND : STATUS_INVALID_PARAMETER;
    pthread_mutex_lock(&process_mutex);
    for (unsigned i = 0; i < MAX_NOTIFY; i++) {
        bool same = notifies[i].routine == routine && notifies[i].extended == extended;
        if (remove ? same : notifies[i].routine == NULL) {
            notifies[i] = (struct notify){remove ? NULL : routine, extended};
            status = STATUS_SUCCESS;
            break;
        }
    }
    pthread_mutex_unlock(&process_mutex);
    return status;
}

NTSTATUS NTAPI PsSetCreateProcessNotifyRoutine(PCREATE_PROCESS_NOTIFY_ROUTINE NotifyRoutine,
                                               BOOLEAN Remove)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (!Remove && vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    return set_notify((void *)NotifyRoutine, false, Remove);
}
NT_EXPORT(NTOSKRNL, PsSetCreateProcessNotifyRoutine);

NTSTATUS NTAPI PsSetCreateProcessNotifyRoutineEx(PCREATE_PROCESS_NOTIFY_ROUTINE_EX NotifyRoutine,
                                                 BOOLEAN Remove)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (!Remove && vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    return set_notify((void *)NotifyRoutine, true, Remove);
}
NT_EXPORT(NTOSKRNL, PsSetCreateProcessNotifyRoutineEx);
