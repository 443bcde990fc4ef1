/*
 * Objects: headers, reference counts, deferred destruction.
 *
 * The last reference may go at DISPATCH_LEVEL; destroying (a file's IRP_MJ_CLOSE, say) needs
 * PASSIVE_LEVEL and is then put off to a system worker thread, as Windows does.
 *
 * WDK: "Object Manager", ObDereferenceObject, ObDereferenceObjectDeferDelete.
 */
#include "ob.h"
#include <nthost/export.h>
#include <nthost/loader.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t objects_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ob_header *objects;  /* all of them */
static struct ob_header *deferred; /* referenced by nobody, to be destroyed */
static bool deferred_queued;
static WORK_QUEUE_ITEM deferred_item;

void ob_note_driver(char driver[32])
{
    void *frames[32];
    driver[0] = 0;
    if (!vf_enabled)
        return;
    unsigned count = image_backtrace(frames, 32);
    for (unsigned i = 0; i < count; i++) {
        const struct nt_image *image = image_of(frames[i]);
        if (image != NULL) {
            snprintf(driver, 32, "%s", image_name(image));
            return;
        }
    }
}

void *ob_create(const struct ob_type *type, size_t bytes)
{
    struct ob_header *header = calloc(1, sizeof(*header) + bytes);
    if (header == NULL)
        return NULL;
    header->type = type;
    header->references = 1;
    ob_note_driver(header->driver);
    pthread_mutex_lock(&objects_mutex);
    header->next = objects;
    header->link = &objects;
    if (objects != NULL)
        objects->link = &header->next;
    objects = header;
    pthread_mutex_unlock(&objects_mutex);
    return header + 1;
}

static void destroy(struct ob_header *header)
{
    if (header->type->destroy != NULL)
        header->type->destroy(header + 1);
    pthread_mutex_lock(&objects_mutex);
    *header->link = header->next;
    if (header->next != NULL)
        header->next->link = header->link;
    pthread_mutex_unlock(&objects_mutex);
    header->type = NULL;
    free(header);
}

static VOID NTAPI destroy_deferred(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    for (;;) {
        pthread_mutex_lock(&objects_mutex);
        struct ob_header *header = deferred;
        if (header != NULL)
            deferred = header->next_deferred;
        else
            deferred_queued = false;
        pthread_mutex_unlock(&objects_mutex);
        if (header == NULL)
            return;
        destroy(header);
    }
}

static void defer(struct ob_header *header)
{
    pthread_mutex_lock(&objects_mutex);
    bool queue = !deferred_queued;
    header->next_deferred = deferred;
    deferred = header;
    deferred_queued = true;
    pthread_mutex_unlock(&objects_mutex);
    if (queue) {
        ExInitializeWorkItem(&deferred_item, destroy_deferred, NULL);
        ExQueueWorkItem(&deferred_item, CriticalWorkQueue);
    }
}

void ob_reference(void *object)
{
    atomic_fetch_add(&ob_header_of(object)->references, 1);
}

bool ob_try_reference(void *object)
{
    _Atomic LONG *references = &ob_header_of(object)->references;
    LONG count = atomic_load(references);
    while (count > 0)
        if (atomic_compare_exchange_weak(references, &count, count + 1))
            return true;
    return false;
}

static LONG release(void *object, bool always_defer)
{
    struct ob_header *header = ob_header_of(object);
    LONG left = atomic_fetch_sub(&header->references, 1) - 1;
    if (left < 0)
        vf_violation(VfObjectLeak, "%s object %p is dereferenced once too often",
                     header->type ? header->type->name : "an", object);
    if (left != 0)
        return left;
    if (header->type->destroy != NULL && (always_defer || KeGetCurrentIrql() > PASSIVE_LEVEL))
        defer(header);
    else
        destroy(header);
    return 0;
}

void ob_dereference(void *object)
{
    release(object, false);
}

const struct ob_type *ob_type_of(const void *object)
{
    return ob_header_of((void *)(uintptr_t)object)->type;
}

ULONG ob_references(const void *object)
{
    return (ULONG)atomic_load(&ob_header_of((void *)(uintptr_t)object)->references);
}

/* For each object that is alive; the callback must not create or release any. */
void ob_for_each(void (*visit)(void *context, void *object, const struct ob_header *header),
                 void *context)
{
    pthread_mutex_lock(&objects_mutex);
    for (struct ob_header *header = objects; header != NULL; header = header->next)
        visit(context, header + 1, header);
    pthread_mutex_unlock(&objects_mutex);
}

/* Exports */

LONG_PTR NTAPI ObfReferenceObject(PVOID Object)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return atomic_fetch_add(&ob_header_of(Object)->references, 1) + 1;
}
NT_EXPORT(NTOSKRNL, ObfReferenceObject);

LONG_PTR NTAPI ObfDereferenceObject(PVOID Object)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return release(Object, false);
}
NT_EXPORT(NTOSKRNL, ObfDereferenceObject);

VOID NTAPI ObDereferenceObjectDeferDelete(PVOID Object)
{
    VF_ENTRY(DISPATCH_LEVEL);
    release(Object, true);
}
NT_EXPORT(NTOSKRNL, ObDereferenceObjectDeferDelete);

NTSTATUS NTAPI ObReferenceObjectByPointer(PVOID Object, ACCESS_MASK DesiredAccess,
                                          POBJECT_TYPE ObjectType, KPROCESSOR_MODE AccessMode)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(DesiredAccess);
    UNREFERENCED_PARAMETER(AccessMode);
    if (ObjectType != NULL && (const struct ob_type *)ObjectType != ob_type_of(Object))
        return STATUS_OBJECT_TYPE_MISMATCH;
    ob_reference(Object);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, ObReferenceObjectByPointer);
