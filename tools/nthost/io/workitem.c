/*
 * Work items of a device: they run in a system thread, and keep the device object, and so its
 * driver, until they have.
 *
 * WDK: "System Worker Threads", IoAllocateWorkItem, IoQueueWorkItem, IoUninitializeWorkItem.
 */
#include "irp.h"
#include <nthost/export.h>
#include <nthost/loader.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ITEM_TAG 'iWoI'
#define MAGIC    0x4d455449u

struct _IO_WORKITEM {
    WORK_QUEUE_ITEM item;
    ULONG magic;
    _Atomic ULONG queued;
    PVOID object;
    PIO_WORKITEM_ROUTINE routine;
    PIO_WORKITEM_ROUTINE_EX routine_ex;
    PVOID context;
    struct _IO_WORKITEM *next, **link; /* of all that are queued; for the verifier */
};

static struct _IO_WORKITEM *active;
static pthread_mutex_t active_mutex = PTHREAD_MUTEX_INITIALIZER;

static void note_queued(struct _IO_WORKITEM *item)
{
    pthread_mutex_lock(&active_mutex);
    item->next = active;
    item->link = &active;
    if (active != NULL)
        active->link = &item->next;
    active = item;
    pthread_mutex_unlock(&active_mutex);
}

static void note_running(struct _IO_WORKITEM *item)
{
    pthread_mutex_lock(&active_mutex);
    *item->link = item->next;
    if (item->next != NULL)
        item->next->link = item->link;
    pthread_mutex_unlock(&active_mutex);
}

/* From the start of its routine on, the item may be queued again or freed. */
static VOID NTAPI run(PVOID parameter)
{
    struct _IO_WORKITEM *item = parameter;
    PVOID object = item->object, context = item->context;
    PIO_WORKITEM_ROUTINE routine = item->routine;
    PIO_WORKITEM_ROUTINE_EX routine_ex = item->routine_ex;
    note_running(item);
    atomic_store(&item->queued, 0);
    struct vf_call call = vf_call_begin("a work item");
    if (routine_ex != NULL)
        routine_ex(object, context, item);
    else
        routine(object, context);
    vf_call_end(&call);
    ob_dereference(object);
}

static void queue(struct _IO_WORKITEM *item, WORK_QUEUE_TYPE type, PVOID context)
{
    if (vf_enabled && item->magic != MAGIC)
        vf_violation(VfBadParameter, "IoQueueWorkItem: %p is not a work item", (void *)item);
    if (atomic_exchange(&item->queued, 1) != 0) {
        if (vf_enabled)
            vf_violation(VfWorkItemActive, "IoQueueWorkItem: work item %p is queued already",
                         (void *)item);
        return;
    }
    item->context = context;
    ob_reference(item->object);
    note_queued(item);
    ExInitializeWorkItem(&item->item, run, item);
    ExQueueWorkItem(&item->item, type);
}

static void initialize(struct _IO_WORKITEM *item, PVOID object)
{
    memset(item, 0, sizeof(*item));
    item->magic = MAGIC;
    item->object = object;
}

static void check_unload(const char *driver)
{
    pthread_mutex_lock(&active_mutex);
    for (const struct _IO_WORKITEM *item = active; item != NULL; item = item->next) {
        const void *routine = item->routine_ex ? (void *)item->routine_ex : (void *)item->routine;
        if (vf_is_owner(routine, driver))
            vf_violation(VfWorkItemActive, "work item %p is still queued", (const void *)item);
    }
    pthread_mutex_unlock(&active_mutex);
}

void workitem_start(void)
{
    static bool registered;
    if (!registered)
        vf_at_unload(check_unload);
    registered = true;
}

PIO_WORKITEM NTAPI IoAllocateWorkItem(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultIo))
        return NULL;
    struct _IO_WORKITEM *item =
        ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(struct _IO_WORKITEM), ITEM_TAG);
    if (item != NULL)
        initialize(item, DeviceObject);
    return item;
}
NT_EXPORT(NTOSKRNL, IoAllocateWorkItem);

static void retire(struct _IO_WORKITEM *item)
{
    if (vf_enabled && item->magic != MAGIC)
        vf_violation(VfBadParameter, "work item %p is freed, but is none", (void *)item);
    if (vf_enabled && atomic_load(&item->queued))
        vf_violation(VfWorkItemActive, "work item %p is freed while it is queued", (void *)item);
    item->magic = 0;
}

VOID NTAPI IoFreeWorkItem(PIO_WORKITEM IoWorkItem)
{
    VF_ENTRY(DISPATCH_LEVEL);
    retire(IoWorkItem);
    ExFreePoolWithTag(IoWorkItem, ITEM_TAG);
}
NT_EXPORT(NTOSKRNL, IoFreeWorkItem);

ULONG NTAPI IoSizeofWorkItem(VOID)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return sizeof(struct _IO_WORKITEM);
}
NT_EXPORT(NTOSKRNL, IoSizeofWorkItem);

VOID NTAPI IoInitializeWorkItem(PVOID IoObject, PIO_WORKITEM IoWorkItem)
{
    VF_ENTRY(DISPATCH_LEVEL);
    initialize(IoWorkItem, IoObject);
}
NT_EXPORT(NTOSKRNL, IoInitializeWorkItem);

VOID NTAPI IoUninitializeWorkItem(PIO_WORKITEM IoWorkItem)
{
    VF_ENTRY(DISPATCH_LEVEL);
    retire(IoWorkItem);
}
NT_EXPORT(NTOSKRNL, IoUninitializeWorkItem);

VOID NTAPI IoQueueWorkItem(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE WorkerRoutine,
                           WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    IoWorkItem->routine = WorkerRoutine;
    IoWorkItem->routine_ex = NULL;
    queue(IoWorkItem, QueueType, Context);
}
NT_EXPORT(NTOSKRNL, IoQueueWorkItem);

VOID NTAPI IoQueueWorkItemEx(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE_EX WorkerRoutine,
                             WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    IoWorkItem->routine = NULL;
    IoWorkItem->routine_ex = WorkerRoutine;
    queue(IoWorkItem, QueueType, Context);
}
NT_EXPORT(NTOSKRNL, IoQueueWorkItemEx);
