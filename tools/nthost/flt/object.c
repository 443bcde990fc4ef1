/*
 * What filters, volumes and instances have in common: two ways to be referenced. One keeps the
 * object from being torn down (callbacks that run, operations that are pended, a driver's
 * FltObjectReference); the other keeps its memory, no more.
 *
 * WDK: FltObjectReference, FltObjectDereference.
 */
#include "flt.h"
#include <stdlib.h>

#define PATIENCE (-50 * 10000000ll) /* 50 s, then the verifier says what is left */

void flt_object_init(struct flt_object *object, uint32_t type)
{
    object->type = type;
    object->memory = 1;
    rundown_init(&object->rundown);
    rundown_open(&object->rundown);
}

bool flt_take(void *object)
{
    return rundown_take(&((struct flt_object *)object)->rundown, 1);
}

void flt_drop(void *object)
{
    rundown_drop(&((struct flt_object *)object)->rundown, 1);
}

void flt_hold(void *object)
{
    atomic_fetch_add(&((struct flt_object *)object)->memory, 1);
}

void flt_release(void *any)
{
    struct flt_object *object = any;
    if (atomic_fetch_sub(&object->memory, 1) != 1)
        return;
    if (object->type == FLT_TYPE_INSTANCE) {
        PFLT_INSTANCE instance = any;
        flt_release(instance->filter);
        flt_release(instance->volume);
        flt_free_name(&instance->name);
        flt_free_name(&instance->altitude);
    } else if (object->type == FLT_TYPE_FILTER) {
        PFLT_FILTER filter = any;
        flt_free_definitions(filter);
        flt_free_name(&filter->name);
        free(filter->contexts);
    } else {
        flt_free_name(&((PFLT_VOLUME)any)->name);
    }
    object->type = 0;
    free(object);
}

NTSTATUS flt_return(void *held, NTSTATUS missing, void **out)
{
    *out = NULL;
    if (held == NULL)
        return missing;
    NTSTATUS status = FltObjectReference(held);
    if (NT_SUCCESS(status))
        *out = held;
    flt_release(held);
    return status;
}

void flt_check(const void *any, uint32_t type, const char *function)
{
    const struct flt_object *object = any;
    if (object == NULL || object->type != type)
        vf_violation(VfBadParameter, "%s: %p is no %s", function, any,
                     type == FLT_TYPE_FILTER   ? "PFLT_FILTER"
                     : type == FLT_TYPE_VOLUME ? "PFLT_VOLUME"
                                               : "PFLT_INSTANCE");
}

void flt_object_close(struct flt_object *object, const char *what, const char *driver)
{
    LARGE_INTEGER patience = {.QuadPart = PATIENCE};
    struct rundown *rundown = &object->rundown;
    rundown->closed = true;
    rundown->waiting = true;
    atomic_thread_fence(memory_order_seq_cst);
    while (rundown_sum(rundown) != 0)
        if (KeWaitForSingleObject(&rundown->drained, Executive, KernelMode, FALSE,
                                  vf_enabled ? &patience : NULL) == STATUS_TIMEOUT)
            vf_violation(VfFltReferenceLeak,
                         "%s of %s cannot go: %ld reference(s) of FltObjectReference and the like, "
                         "%ld callback(s) running or pended operation(s)",
                         what, driver, (long)object->references,
                         rundown_sum(rundown) - (long)object->references);
    rundown->waiting = false;
}

NTSTATUS NTAPI FltObjectReference(PVOID FltObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_object *object = FltObject;
    if (!flt_take(object))
        return STATUS_FLT_DELETING_OBJECT;
    atomic_fetch_add(&object->references, 1);
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltObjectReference);

VOID NTAPI FltObjectDereference(PVOID FltObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_object *object = FltObject;
    if (atomic_fetch_sub(&object->references, 1) <= 0)
        vf_violation(VfFltReferenceLeak, "FltObjectDereference: %p has no reference left",
                     FltObject);
    flt_drop(object);
}
NT_EXPORT(FLTMGR, FltObjectDereference);
