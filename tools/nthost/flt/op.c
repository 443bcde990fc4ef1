/*
 * Memory of operations; see op.h.
 *
 * Operations come from slabs that are kept until the host stops, so that an instance's operations
 * can be found by looking at all memory there is (flt_op_drain), without a list that every
 * operation would have to enter and leave. Free ones are kept in one cache a processor.
 *
 * With the verifier a driver's callback data lies on pages of its own, which become inaccessible
 * when the operation has ended, until many others have.
 */
#include "explain.h"
#include "names.h"
#include "op.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_OPS       32
#define MAX_QUARANTINE 256
#define CACHE_LIMIT    32

struct slab {
    struct slab *next;
    struct flt_op ops[SLAB_OPS];
};

static struct slab *slabs;
static struct flt_op *free_ops;
static pthread_mutex_t slabs_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct cache {
    _Alignas(64) atomic_flag busy;
    struct flt_op *first;
    unsigned count;
} caches[MAX_PROCESSORS];

/* Freed callback data, oldest first, in a ring. */
static struct flt_op_data *quarantine[MAX_QUARANTINE];
static unsigned quarantine_at;

static struct cache *enter_cache(void)
{
    struct cache *cache = &caches[ndis_processor()];
    return atomic_flag_test_and_set_explicit(&cache->busy, memory_order_acquire) ? NULL : cache;
}

static void leave_cache(struct cache *cache)
{
    atomic_flag_clear_explicit(&cache->busy, memory_order_release);
}

static struct flt_op *take_slow(void)
{
    pthread_mutex_lock(&slabs_mutex);
    if (free_ops == NULL) {
        struct slab *slab = aligned_alloc(64, (sizeof(*slab) + 63) & ~(size_t)63);
        if (slab != NULL) {
            memset(slab, 0, sizeof(*slab));
            for (unsigned i = 0; i < SLAB_OPS; i++) {
                slab->ops[i].next = free_ops;
                free_ops = &slab->ops[i];
            }
            slab->next = slabs;
            slabs = slab;
        }
    }
    struct flt_op *op = free_ops;
    if (op != NULL)
        free_ops = op->next;
    pthread_mutex_unlock(&slabs_mutex);
    return op;
}

static struct flt_op *take(void)
{
    struct flt_op *op = NULL;
    struct cache *cache = enter_cache();
    if (cache != NULL) {
        op = cache->first;
        if (op != NULL) {
            cache->first = op->next;
            cache->count--;
        }
        leave_cache(cache);
    }
    return op ? op : take_slow();
}

static void give_back(struct flt_op *op)
{
    struct cache *cache = enter_cache();
    if (cache != NULL) {
        bool room = cache->count < CACHE_LIMIT;
        if (room) {
            op->next = cache->first;
            cache->first = op;
            cache->count++;
        }
        leave_cache(cache);
        if (room)
            return;
    }
    pthread_mutex_lock(&slabs_mutex);
    op->next = free_ops;
    free_ops = op;
    pthread_mutex_unlock(&slabs_mutex);
}

/* The data */

static struct flt_op_data *guarded_data(void)
{
    UCHAR *page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED
               ? NULL
               : (void *)(page + PAGE_SIZE - ((sizeof(struct flt_op_data) + 15) & ~(size_t)15));
}

static void *page_of(struct flt_op_data *data)
{
    return (void *)((uintptr_t)data & ~(uintptr_t)(PAGE_SIZE - 1));
}

void flt_op_retire_data(struct flt_op *op)
{
    struct flt_op_data *data = op->memory, *oldest;
    op->memory = NULL;
    if (data == NULL || data == &op->own)
        return;
    mprotect(page_of(data), PAGE_SIZE, PROT_NONE);
    pthread_mutex_lock(&slabs_mutex);
    oldest = quarantine[quarantine_at];
    quarantine[quarantine_at] = data;
    quarantine_at = (quarantine_at + 1) % MAX_QUARANTINE;
    pthread_mutex_unlock(&slabs_mutex);
    if (oldest != NULL)
        munmap(page_of(oldest), PAGE_SIZE);
}

bool flt_explain_address(const void *address, char *text, size_t size)
{
    bool found = false;
    if (pthread_mutex_trylock(&slabs_mutex) != 0)
        return false;
    for (unsigned i = 0; i < MAX_QUARANTINE && !found; i++) {
        found = quarantine[i] != NULL &&
                (uintptr_t)page_of(quarantine[i]) == ((uintptr_t)address & ~(uintptr_t)0xfff);
        if (found)
            snprintf(text, size,
                     "FLT_CALLBACK_DATA %p was touched at offset %td after its operation was "
                     "completed",
                     (void *)&quarantine[i]->data,
                     (const UCHAR *)address - (const UCHAR *)&quarantine[i]->data);
    }
    pthread_mutex_unlock(&slabs_mutex);
    return found;
}

struct flt_op *flt_op_allocate(PFLT_VOLUME volume, enum flt_op_kind kind)
{
    struct flt_op *op = take();
    if (op == NULL)
        return NULL;
    memset(op, 0, offsetof(struct flt_op, own));
    memset(&op->irp, 0, offsetof(struct flt_op, nodes) - offsetof(struct flt_op, irp));
    op->memory = vf_enabled ? guarded_data() : &op->own;
    if (op->memory == NULL) {
        give_back(op);
        return NULL;
    }
    memset(op->memory, 0, sizeof(*op->memory));
    op->memory->op = op;
    *(PFLT_IO_PARAMETER_BLOCK *)&op->memory->data.Iopb = &op->memory->iopb;
    op->holds = 1;
    op->kind = kind;
    op->volume = volume;
    return op;
}

void flt_op_hold(struct flt_op *op)
{
    atomic_fetch_add(&op->holds, 1);
}

void flt_op_release(struct flt_op *op)
{
    if (atomic_fetch_sub(&op->holds, 1) != 1)
        return;
    flt_op_retire_data(op);
    if (op->view != NULL)
        flt_view_drop(op->view);
    if (op->initiator != NULL)
        flt_release(op->initiator);
    if (op->created != NULL)
        flt_name_release(op->created);
    give_back(op);
}

struct flt_op *flt_op_of(PFLT_CALLBACK_DATA data, const char *function)
{
    struct flt_op_data *memory = CONTAINING_RECORD(data, struct flt_op_data, data);
    if (vf_enabled &&
        (data == NULL || memory->op == NULL ||
         (memory->op->memory != memory && !(data->Flags & FLTFL_CALLBACK_DATA_DRAINING_IO))))
        vf_violation(VfFltCallbackData, "%s: %p is no callback data, or that of another operation",
                     function, (void *)data);
    return memory->op;
}

/* Draining */

static void drain_node(struct flt_op *op, unsigned index, PFLT_INSTANCE instance)
{
    struct flt_node *node = &op->nodes[index];
    uintptr_t expected = FLT_STATE(instance, NodeBelow);
    if (!atomic_compare_exchange_strong(&node->state, &expected, FLT_STATE(instance, NodeDraining)))
        return;
    /* The operation cannot end without meeting this node; its data may change meanwhile. */
    struct flt_op_data copy = *op->memory;
    *(PFLT_IO_PARAMETER_BLOCK *)&copy.data.Iopb = &copy.iopb;
    copy.data.Flags |= FLTFL_CALLBACK_DATA_DRAINING_IO | FLTFL_CALLBACK_DATA_POST_OPERATION;
    copy.data.IoStatus.Status = STATUS_FLT_POST_OPERATION_CLEANUP;
    copy.data.IoStatus.Information = 0;
    copy.iopb.TargetInstance = instance;
    copy.op = op;
    FLT_RELATED_OBJECTS related = flt_related(instance, copy.iopb.TargetFileObject);
    PFLT_POST_OPERATION_CALLBACK post = instance->filter->operations[op->table].post;
    struct vf_call call = vf_call_begin_of("a draining post-operation", post);
    FLT_POSTOP_CALLBACK_STATUS status =
        post(&copy.data, &related, node->context, FLTFL_POST_OPERATION_DRAINING);
    vf_call_end(&call);
    if (vf_enabled && status != FLT_POSTOP_FINISHED_PROCESSING)
        vf_violation(VfFltStatus,
                     "a draining post-operation of %s returned %d, not "
                     "FLT_POSTOP_FINISHED_PROCESSING",
                     instance->filter->image, status);
    uintptr_t was = atomic_exchange(&node->state, FLT_STATE(NULL, NodeNone));
    if (FLT_STATE_OF(was) == NodeOvertaken)
        flt_op_release(op);
}

void flt_op_drain(PFLT_INSTANCE instance)
{
    pthread_mutex_lock(&slabs_mutex);
    struct slab *slab = slabs;
    pthread_mutex_unlock(&slabs_mutex);
    for (; slab != NULL; slab = slab->next)
        for (unsigned i = 0; i < SLAB_OPS; i++)
            for (unsigned n = 0; n < FLT_MAX_INSTANCES; n++)
                if (atomic_load(&slab->ops[i].nodes[n].state) == FLT_STATE(instance, NodeBelow))
                    drain_node(&slab->ops[i], n, instance);
}

void flt_op_start(void)
{
    quarantine_at = 0;
    for (unsigned i = 0; i < MAX_PROCESSORS; i++)
        atomic_flag_clear(&caches[i].busy);
}

void flt_op_stop(void)
{
    for (unsigned i = 0; i < MAX_QUARANTINE; i++)
        if (quarantine[i] != NULL) {
            munmap(page_of(quarantine[i]), PAGE_SIZE);
            quarantine[i] = NULL;
        }
    while (slabs != NULL) {
        struct slab *next = slabs->next;
        free(slabs);
        slabs = next;
    }
    free_ops = NULL;
    for (unsigned i = 0; i < MAX_PROCESSORS; i++) {
        caches[i].first = NULL;
        caches[i].count = 0;
    }
}
