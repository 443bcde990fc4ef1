#include "edge.h"

#include <string.h>
#include <time.h>

#include <nthost/loader.h>
#include <nthost/sched.h>

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* From NDIS into the edge, and back. */
static void enter_edge(struct plain_edge *edge)
{
    uint64_t t = now();
    edge->inside += t - edge->own_since;
}

static void leave_edge(struct plain_edge *edge)
{
    edge->own_since = now();
}

/* Which driver called? */
static void note_image(struct plain_edge *edge)
{
    void *frames[16];

    if (edge->image)
        return;
    unsigned count = image_backtrace(frames, 16);
    for (unsigned i = 0; i < count && !edge->image; i++)
        if (image_of(frames[i]))
            edge->image = frames[i];
}

static void lower_send(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct plain_edge *edge = context;

    enter_edge(edge);
    note_image(edge);
    for (PNET_BUFFER_LIST nbl = nbls; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
        for (PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb; nb = NET_BUFFER_NEXT_NB(nb))
            edge->sent++;
        NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
    }
    leave_edge(edge);
    ndis_lower_send_complete(
        edge->adapter, nbls,
        flags & NDIS_SEND_FLAGS_DISPATCH_LEVEL ? NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL : 0);
}

static void lower_return(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct plain_edge *edge = context;

    (void)flags;
    enter_edge(edge);
    for (; nbls; nbls = NET_BUFFER_LIST_NEXT_NBL(nbls))
        edge->out--;
    leave_edge(edge);
}

/* It indicates only when it is told to, never while the adapter pauses. */
static void lower_pause(void *context)
{
    (void)context;
}

static const struct ndis_lower_ops lower = {
    .send = lower_send,
    .return_nbls = lower_return,
    .pause = lower_pause,
    .restart = lower_pause,
};

static void upper_receive(void *context, PNET_BUFFER_LIST nbls, ULONG count, ULONG flags)
{
    struct plain_edge *edge = context;

    enter_edge(edge);
    note_image(edge);
    edge->received += count;
    leave_edge(edge);
    if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
        ndis_upper_return(
            edge->adapter, nbls,
            flags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL ? NDIS_RETURN_FLAGS_DISPATCH_LEVEL : 0);
}

/* The stack sends nothing. */
static void upper_send_complete(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    (void)context, (void)nbls, (void)flags;
}

static const struct ndis_upper_ops upper = {
    .receive = upper_receive,
    .send_complete = upper_send_complete,
};

bool plain_edge_indicate(struct plain_edge *edge, const struct test_frame *const *frames,
                         unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        PNET_BUFFER_LIST nbl = edge->slots[i].nbl;

        memcpy(edge->slots[i].data, frames[i]->data, frames[i]->bytes);
        NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(nbl)) = frames[i]->bytes;
        NET_BUFFER_LIST_NEXT_NBL(nbl) = i + 1 < count ? edge->slots[i + 1].nbl : NULL;
    }
    edge->out = count;
    nt_enter_dispatch(0);
    leave_edge(edge);
    ndis_lower_indicate(edge->adapter, edge->slots[0].nbl, count,
                        NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
    enter_edge(edge);
    nt_leave_dispatch();
    return edge->out == 0;
}

bool plain_edge_create(struct plain_edge *edge, const struct ndis_adapter_config *config)
{
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
        .PoolTag = 'hcnB'};

    memset(edge, 0, sizeof *edge);
    edge->pool = NdisAllocateNetBufferListPool(NULL, &parameters);
    if (!edge->pool)
        return false;
    edge->adapter = ndis_adapter_create(config, &lower, edge, &upper, edge);
    for (unsigned i = 0; i < PLAIN_BATCH; i++) {
        PMDL mdl = IoAllocateMdl(edge->slots[i].data, PLAIN_FRAME, FALSE, FALSE, NULL);
        if (!mdl)
            return false;
        MmBuildMdlForNonPagedPool(mdl);
        edge->slots[i].mdl = mdl;
        edge->slots[i].nbl = NdisAllocateNetBufferAndNetBufferList(edge->pool, 0, 0, mdl, 0, 0);
        if (!edge->slots[i].nbl)
            return false;
        edge->slots[i].nbl->SourceHandle = ndis_lower_handle(edge->adapter);
    }
    return true;
}

void plain_edge_destroy(struct plain_edge *edge)
{
    ndis_adapter_destroy(edge->adapter);
    for (unsigned i = 0; i < PLAIN_BATCH; i++) {
        NdisFreeNetBufferList(edge->slots[i].nbl);
        IoFreeMdl(edge->slots[i].mdl);
    }
    NdisFreeNetBufferListPool(edge->pool);
}
