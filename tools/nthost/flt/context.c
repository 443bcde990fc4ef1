/*
 * Contexts: allocation, counting, and lists; see context.h.
 *
 * WDK: "About minifilter contexts", FltAllocateContext, FltReleaseContext, FltDeleteContext,
 * FLT_CONTEXT_REGISTRATION.
 */
#include "context.h"
#include "../executive/pool.h"

#define CONTEXT_MAGIC 0x78746346

static pthread_mutex_t contexts_mutex = PTHREAD_MUTEX_INITIALIZER;

static const char *type_name(FLT_CONTEXT_TYPE type)
{
    switch (type) {
    case FLT_VOLUME_CONTEXT:
        return "volume";
    case FLT_INSTANCE_CONTEXT:
        return "instance";
    case FLT_FILE_CONTEXT:
        return "file";
    case FLT_STREAM_CONTEXT:
        return "stream";
    case FLT_STREAMHANDLE_CONTEXT:
        return "stream handle";
    case FLT_TRANSACTION_CONTEXT:
        return "transaction";
    default:
        return "section";
    }
}

static struct flt_context *context_of(PFLT_CONTEXT pointer, const char *function)
{
    struct flt_context *context = (struct flt_context *)pointer - 1;
    if (vf_enabled && (pointer == NULL || context->magic != CONTEXT_MAGIC))
        vf_violation(VfFltContext, "%s: %p is no context, or it was freed", function, pointer);
    return context;
}

/* Freeing */

static void destroy(struct flt_context *context)
{
    const FLT_CONTEXT_REGISTRATION *registration = context->registration;
    PFLT_FILTER filter = context->filter;
    FLT_CONTEXT_TYPE type = context->type;
    if (registration->ContextCleanupCallback != NULL) {
        struct vf_call call =
            vf_call_begin_of("a context cleanup", registration->ContextCleanupCallback);
        registration->ContextCleanupCallback(context + 1, type);
        vf_call_end(&call);
    }
    pthread_mutex_lock(&contexts_mutex);
    RemoveEntryList(&context->of_filter);
    pthread_mutex_unlock(&contexts_mutex);
    context->magic = 0;
    if (registration->ContextFreeCallback != NULL) {
        struct vf_call call = vf_call_begin_of("a context free", registration->ContextFreeCallback);
        registration->ContextFreeCallback(context, type);
        vf_call_end(&call);
    } else {
        ExFreePool(context);
    }
    flt_release(filter);
}

static VOID NTAPI destroy_later(PVOID pointer)
{
    struct flt_context *context = pointer;
    PFLT_FILTER filter = context->filter;
    destroy(context);
    flt_drop(filter); /* it may not be gone before its cleanup was called */
}

static void last_reference(struct flt_context *context)
{
    if (vf_enabled && context->set)
        vf_violation(VfFltContext,
                     "a %s context of %s (%p) is released more often than it was referenced: it is "
                     "still set",
                     type_name(context->type), context->filter->image, (void *)(context + 1));
    if (KeGetCurrentIrql() <= APC_LEVEL) {
        destroy(context);
        return;
    }
    rundown_add(&context->filter->object.rundown, 1);
    ExInitializeWorkItem(&context->item, destroy_later, context);
    ExQueueWorkItem(&context->item, DelayedWorkQueue);
}

static void put(struct flt_context *context)
{
    long before = atomic_fetch_sub(&context->references, 1);
    if (before <= 0)
        vf_violation(VfFltContext, "a %s context of %s (%p) is released once too often",
                     type_name(context->type), context->filter->image, (void *)(context + 1));
    if (before == 1)
        last_reference(context);
}

/* Lists. The mutex is held. */

static struct flt_context *find(LIST_ENTRY *holder, PFLT_FILTER filter, PFLT_INSTANCE instance)
{
    for (LIST_ENTRY *e = holder->Flink; e != holder; e = e->Flink) {
        struct flt_context *context = CONTAINING_RECORD(e, struct flt_context, in_holder);
        if (instance ? context->instance == instance : context->filter == filter)
            return context;
    }
    return NULL;
}

static void link_to(LIST_ENTRY *holder, PFLT_INSTANCE instance, struct flt_context *context)
{
    InsertHeadList(holder, &context->in_holder);
    context->instance = instance;
    if (instance != NULL)
        InsertTailList(&instance->contexts, &context->of_instance);
    context->set = true;
    atomic_fetch_add(&context->references, 1);
}

/* The reference of the link becomes the caller's. */
static void unlink_it(struct flt_context *context)
{
    RemoveEntryList(&context->in_holder);
    if (context->instance != NULL)
        RemoveEntryList(&context->of_instance);
    context->instance = NULL;
    context->set = false;
}

NTSTATUS flt_context_set(LIST_ENTRY *holder, PFLT_FILTER filter, PFLT_INSTANCE instance,
                         FLT_SET_CONTEXT_OPERATION operation, FLT_CONTEXT_TYPE type,
                         PFLT_CONTEXT fresh, PFLT_CONTEXT *old)
{
    struct flt_context *context = context_of(fresh, "FltSet...Context"), *there;
    NTSTATUS status = STATUS_SUCCESS;
    if (old != NULL)
        *old = NULL;
    if (context->type != type)
        return STATUS_INVALID_PARAMETER;
    pthread_mutex_lock(&contexts_mutex);
    there = find(holder, filter, instance);
    if (instance != NULL && instance->torn_down) {
        status = STATUS_FLT_DELETING_OBJECT;
        there = NULL;
    } else if (context->set) {
        status = STATUS_FLT_CONTEXT_ALREADY_LINKED;
        there = NULL;
    } else if (there != NULL && operation == FLT_SET_CONTEXT_KEEP_IF_EXISTS) {
        status = STATUS_FLT_CONTEXT_ALREADY_DEFINED;
        if (old != NULL)
            atomic_fetch_add(&there->references, 1);
    } else {
        if (there != NULL)
            unlink_it(there);
        link_to(holder, instance, context);
    }
    pthread_mutex_unlock(&contexts_mutex);
    if (there != NULL && old != NULL)
        *old = there + 1;
    else if (there != NULL && NT_SUCCESS(status))
        put(there);
    return status;
}

NTSTATUS flt_context_get(LIST_ENTRY *holder, PFLT_FILTER filter, PFLT_INSTANCE instance,
                         PFLT_CONTEXT *out)
{
    pthread_mutex_lock(&contexts_mutex);
    struct flt_context *context = find(holder, filter, instance);
    if (context != NULL)
        atomic_fetch_add(&context->references, 1);
    pthread_mutex_unlock(&contexts_mutex);
    *out = context ? context + 1 : NULL;
    return context ? STATUS_SUCCESS : STATUS_NOT_FOUND;
}

NTSTATUS flt_context_delete(LIST_ENTRY *holder, PFLT_FILTER filter, PFLT_INSTANCE instance,
                            PFLT_CONTEXT *old)
{
    pthread_mutex_lock(&contexts_mutex);
    struct flt_context *context = find(holder, filter, instance);
    if (context != NULL)
        unlink_it(context);
    pthread_mutex_unlock(&contexts_mutex);
    if (old != NULL)
        *old = context ? context + 1 : NULL;
    else if (context != NULL)
        put(context);
    return context ? STATUS_SUCCESS : STATUS_NOT_FOUND;
}

/* Takes out the first that matches; all of them, one after the other. */
static void delete_all(LIST_ENTRY *list, size_t offset, PFLT_FILTER filter)
{
    for (;;) {
        struct flt_context *found = NULL;
        pthread_mutex_lock(&contexts_mutex);
        for (LIST_ENTRY *e = list->Flink; e != list && found == NULL; e = e->Flink) {
            struct flt_context *context = (void *)((UCHAR *)e - offset);
            if (filter == NULL || context->filter == filter)
                found = context;
        }
        if (found != NULL)
            unlink_it(found);
        pthread_mutex_unlock(&contexts_mutex);
        if (found == NULL)
            return;
        put(found);
    }
}

void flt_contexts_delete_list(LIST_ENTRY *holder)
{
    delete_all(holder, offsetof(struct flt_context, in_holder), NULL);
}

void flt_contexts_delete_instance(PFLT_INSTANCE instance)
{
    pthread_mutex_lock(&contexts_mutex);
    instance->torn_down = true;
    pthread_mutex_unlock(&contexts_mutex);
    delete_all(&instance->contexts, offsetof(struct flt_context, of_instance), NULL);
}

void flt_contexts_delete_volume(PFLT_VOLUME volume)
{
    flt_contexts_delete_list(&volume->contexts);
}

void flt_contexts_delete_filter(PFLT_FILTER filter)
{
    flt_gate_enter();
    for (LIST_ENTRY *e = flt_volumes.Flink; e != &flt_volumes; e = e->Flink)
        delete_all(&CONTAINING_RECORD(e, struct _FLT_VOLUME, link)->contexts,
                   offsetof(struct flt_context, in_holder), filter);
    flt_gate_leave();
}

void flt_contexts_check(PFLT_FILTER filter)
{
    if (IsListEmpty(&filter->all_contexts))
        return;
    struct flt_context *context =
        CONTAINING_RECORD(filter->all_contexts.Flink, struct flt_context, of_filter);
    vf_violation(VfFltContext, "a %s context (%p) of %s has %ld reference(s) left",
                 type_name(context->type), (void *)(context + 1), filter->image,
                 (long)context->references);
}

/* Exports */

static const FLT_CONTEXT_REGISTRATION *registration_of(PFLT_FILTER filter, FLT_CONTEXT_TYPE type,
                                                       SIZE_T bytes)
{
    const FLT_CONTEXT_REGISTRATION *variable = NULL, *larger = NULL;
    for (unsigned i = 0; i < filter->context_count; i++) {
        const FLT_CONTEXT_REGISTRATION *c = &filter->contexts[i];
        if (c->ContextType != type)
            continue;
        if (c->Size == bytes)
            return c;
        if (c->Size == FLT_VARIABLE_SIZED_CONTEXTS)
            variable = c;
        else if (c->Flags & FLTFL_CONTEXT_REGISTRATION_NO_EXACT_SIZE_MATCH && c->Size >= bytes)
            larger = c;
    }
    return larger ? larger : variable;
}

NTSTATUS NTAPI FltAllocateContext(PFLT_FILTER Filter, FLT_CONTEXT_TYPE ContextType,
                                  SIZE_T ContextSize, POOL_TYPE PoolType,
                                  PFLT_CONTEXT *ReturnedContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    const FLT_CONTEXT_REGISTRATION *registration =
        registration_of(Filter, ContextType, ContextSize);
    *ReturnedContext = NULL;
    if (registration == NULL) {
        if (vf_enabled)
            vf_violation(VfFltContext,
                         "FltAllocateContext: %s has registered no %s context of %llu bytes",
                         Filter->image, type_name(ContextType), (unsigned long long)ContextSize);
        return STATUS_FLT_CONTEXT_ALLOCATION_NOT_FOUND;
    }
    if (vf_enabled && ContextType == FLT_VOLUME_CONTEXT && PoolType & 1)
        vf_violation(VfFltContext, "FltAllocateContext: volume contexts are in nonpaged pool");
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    size_t whole = sizeof(struct flt_context) + ContextSize;
    struct flt_context *context =
        registration->ContextAllocateCallback
            ? registration->ContextAllocateCallback(PoolType, whole, ContextType)
            : pool_allocate_for(pool_flags_of_type(PoolType) | POOL_FLAG_UNINITIALIZED, whole,
                                registration->PoolTag, __builtin_return_address(0));
    if (context == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *context = (struct flt_context){.references = 1,
                                    .filter = Filter,
                                    .registration = registration,
                                    .bytes = ContextSize,
                                    .magic = CONTEXT_MAGIC,
                                    .type = ContextType,
                                    .paged = PoolType & 1};
    flt_hold(Filter);
    pthread_mutex_lock(&contexts_mutex);
    InsertTailList(&Filter->all_contexts, &context->of_filter);
    pthread_mutex_unlock(&contexts_mutex);
    *ReturnedContext = context + 1;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltAllocateContext);

VOID NTAPI FltReferenceContext(PFLT_CONTEXT Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    atomic_fetch_add(&context_of(Context, __func__)->references, 1);
}
NT_EXPORT(FLTMGR, FltReferenceContext);

VOID NTAPI FltReleaseContext(PFLT_CONTEXT Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    put(context_of(Context, __func__));
}
NT_EXPORT(FLTMGR, FltReleaseContext);

VOID NTAPI FltDeleteContext(PFLT_CONTEXT Context)
{
    VF_ENTRY(APC_LEVEL);
    struct flt_context *context = context_of(Context, __func__);
    pthread_mutex_lock(&contexts_mutex);
    bool was_set = context->set;
    if (was_set)
        unlink_it(context);
    pthread_mutex_unlock(&contexts_mutex);
    if (was_set)
        put(context);
}
NT_EXPORT(FLTMGR, FltDeleteContext);
