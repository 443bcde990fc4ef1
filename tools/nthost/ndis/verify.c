/*
 * Ownership of NET_BUFFER_LISTs. See verify.h.
 *
 * An NBL is at rest with who allocated it, or it travels: down as a send, up as a receive, and
 * back. Its track is a stack of holders. Passing it on pushes the next holder, after a checksum of
 * the descriptor was noted for the one that passes; giving it back pops. What came back must be as
 * it was passed on: a descriptor that differs was changed by who had passed it on, or below without
 * undoing it. Data that a filter has sent must not change either until its completion: the miniport
 * reads it at any time in between.
 */
#include "pool.h"
#include "verify.h"
#include "frame.h"
#include <nthost/loader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HOLDERS 12

enum travel { AtRest, Sending, Receiving };

struct holder {
    struct ndis_node *node;
    uint64_t descriptor; /* when it passed it on */
    uint64_t data;       /* likewise; only for sends */
    bool lent;           /* it has it with NDIS_RECEIVE_FLAGS_RESOURCES */
};

struct nbl_track {
    enum travel travel;
    unsigned depth;
    bool returning; /* the holder has got it back: on its way home */
    struct holder holders[MAX_HOLDERS];
    struct ndis_node *last; /* who gave it back or away last, for messages */
};

static struct nbl_track *track_of(PNET_BUFFER_LIST nbl, const struct ndis_node *who,
                                  const char *function)
{
    char text[128];
    snprintf(text, sizeof(text), "%s by %s", function, who->name);
    return block_check(nbl, PoolNbl, text)->track;
}

static const char *owner_name(const struct nbl_track *track)
{
    return track->depth ? track->holders[track->depth - 1].node->name : "who allocated it";
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x9e3779b97f4a7c15ull + (hash >> 29);
}

static uint64_t describe(PNET_BUFFER_LIST nbl)
{
    uint64_t hash = mix(1, (uint64_t)nbl->FirstNetBuffer);
    hash = mix(hash, (uint64_t)nbl->SourceHandle);
    hash = mix(hash, (uint64_t)nbl->Context);
    for (PNET_BUFFER nb = nbl->FirstNetBuffer; nb; nb = nb->Next) {
        hash = mix(hash, (uint64_t)nb);
        hash = mix(hash, (uint64_t)nb->CurrentMdl ^ nb->CurrentMdlOffset);
        hash = mix(hash, (uint64_t)nb->MdlChain ^ nb->DataOffset);
        hash = mix(hash, nb->DataLength);
        for (PMDL mdl = nb->MdlChain; mdl; mdl = mdl->Next)
            hash = mix(mix(hash, (uint64_t)mdl), (uint64_t)mdl->MappedSystemVa ^ mdl->ByteCount);
    }
    return hash;
}

static uint64_t describe_data(PNET_BUFFER_LIST nbl)
{
    uint64_t hash = 1;
    for (PNET_BUFFER nb = nbl->FirstNetBuffer; nb; nb = nb->Next) {
        ULONG left = nb->DataLength, at = nb->CurrentMdlOffset;
        for (PMDL mdl = nb->CurrentMdl; mdl && left; mdl = mdl->Next, at = 0) {
            ULONG here = mdl->ByteCount - at < left ? mdl->ByteCount - at : left;
            hash = mix(hash, sum_bytes(mdl_data(mdl) + at, here, 0));
            left -= here;
        }
    }
    return hash;
}

/* A descriptor that nobody can work with. */
static void check_shape(PNET_BUFFER_LIST nbl, const struct ndis_node *who, const char *function)
{
    if (!nbl->FirstNetBuffer)
        vf_violation(VfNblMalformed, "%s by %s: NBL %p has no NET_BUFFER", function, who->name,
                     (void *)nbl);
    for (PNET_BUFFER nb = nbl->FirstNetBuffer; nb; nb = nb->Next) {
        ULONG64 room = 0, before = 0;
        bool seen = false;
        for (PMDL mdl = nb->MdlChain; mdl; mdl = mdl->Next) {
            if (mdl == nb->CurrentMdl) {
                seen = true;
                before = room;
            }
            room += mdl->ByteCount;
        }
        if (!seen || nb->CurrentMdlOffset > nb->CurrentMdl->ByteCount ||
            before + nb->CurrentMdlOffset != nb->DataOffset)
            vf_violation(VfNblMalformed,
                         "%s by %s: NET_BUFFER %p: CurrentMdl %p + %u is not where DataOffset %u "
                         "lies in its MDL chain",
                         function, who->name, (void *)nb, (void *)nb->CurrentMdl,
                         nb->CurrentMdlOffset, nb->DataOffset);
        if (nb->DataLength == 0 || nb->DataOffset + (ULONG64)nb->DataLength > room)
            vf_violation(VfNblMalformed,
                         "%s by %s: NET_BUFFER %p: %u bytes of data from %u on, its MDLs have "
                         "%llu",
                         function, who->name, (void *)nb, nb->DataLength, nb->DataOffset,
                         (unsigned long long)room);
    }
}

static void check_irql(ULONG at_dispatch, const char *function, const struct ndis_node *who)
{
    if (at_dispatch && nt_self->irql != DISPATCH)
        vf_violation(VfBadParameter, "%s by %s: the DISPATCH_LEVEL flag is set at IRQL %u",
                     function, who->name, nt_self->irql);
}

/* Counters of a module that its pause waits for. */
static void count_held(struct ndis_node *node, enum travel travel, long change)
{
    if (node->module)
        atomic_fetch_add(
            travel == Sending ? &node->module->held_sends : &node->module->held_receives, change);
}

static void count_originated(struct ndis_node *node, enum travel travel, long change)
{
    if (node->module)
        atomic_fetch_add(travel == Sending ? &node->module->originated_sends
                                           : &node->module->originated_receives,
                         change);
}

/* While a receive, or its return, is in a handler, it may be on its way through: only what stays
 * when the handler has returned is kept. */
static void receives_busy(struct ndis_node *node, long change)
{
    struct ndis_module *module = node->module;
    if (!module)
        return;
    long busy = atomic_fetch_add(&module->busy_receives, change) + change;
    if (change < 0 && module->state == ModulePaused && module->held_receives > busy)
        vf_violation(VfFilterState, "%s is paused and keeps %ld receives of underlying drivers",
                     node->name, module->held_receives - busy);
}

/* A driver learns of its pause when FilterPause is under way, and knows of the end of its restart
 * before NDIS does: only inside FilterRestart it is known to be too early. */
static bool may_originate(const struct ndis_module *module)
{
    return module->state == ModuleRunning || module->state == ModulePausing ||
           (module->state == ModuleRestarting && module->in_restart != nt_current());
}

/* `from` passes the NBL on to `to`. It is at rest and from's own, or from holds it. */
static void pass_on(PNET_BUFFER_LIST nbl, struct ndis_node *from, struct ndis_node *to,
                    enum travel travel, bool lent, const char *function)
{
    struct nbl_track *track = track_of(nbl, from, function);
    check_shape(nbl, from, function);
    if (track->travel == AtRest) {
        if (nbl->SourceHandle != (from->module ? (void *)from->module : (void *)from))
            vf_violation(VfNblNotOurs, "%s by %s: NBL %p is new, and its SourceHandle %p is not %p",
                         function, from->name, (void *)nbl, nbl->SourceHandle,
                         from->module ? (void *)from->module : (void *)from);
        if (from->module && !may_originate(from->module))
            vf_violation(VfSendWhilePaused, "%s by %s of an NBL of its own, and it is %s", function,
                         from->name, module_state_name(from->module->state));
        track->travel = travel;
        track->depth = 1;
        track->returning = false;
        track->holders[0] = (struct holder){.node = from};
        count_originated(from, travel, 1);
    } else {
        struct holder *top = &track->holders[track->depth - 1];
        if (top->node != from || track->travel != travel || track->returning)
            vf_violation(VfNblNotOurs, "%s by %s: NBL %p is %s with %s", function, from->name,
                         (void *)nbl, track->returning ? "coming home" : "on its way",
                         owner_name(track));
        if (top->lent && !lent)
            vf_violation(VfNblNotOurs,
                         "%s by %s: NBL %p was indicated with NDIS_RECEIVE_FLAGS_RESOURCES and is "
                         "passed on without it",
                         function, from->name, (void *)nbl);
        if (track->depth > 1)
            count_held(from, travel, -1);
    }
    if (track->depth == MAX_HOLDERS)
        vf_violation(VfNblMalformed, "%s: NBL %p passed through %u nodes", function, (void *)nbl,
                     track->depth);
    struct holder *giver = &track->holders[track->depth - 1];
    giver->descriptor = describe(nbl);
    giver->data = travel == Sending ? describe_data(nbl) : 0;
    track->holders[track->depth++] = (struct holder){.node = to, .lent = lent};
    count_held(to, travel, 1);
    track->last = from;
}

/* `from` gives the NBL back; `to` is the next one on the way home that has a handler. */
static void give_back(PNET_BUFFER_LIST nbl, struct ndis_node *from, struct ndis_node *to,
                      enum travel travel, const char *function)
{
    struct nbl_track *track = track_of(nbl, from, function);
    struct holder *top = track->depth ? &track->holders[track->depth - 1] : NULL;
    if (nbl->SourceHandle == (from->module ? (void *)from->module : (void *)from))
        vf_violation(VfNblNotOurs,
                     "%s by %s: NBL %p is its own; what it has originated ends with it", function,
                     from->name, (void *)nbl);
    if (track->travel != travel || !top)
        vf_violation(VfNblDoubleCompletion, "%s by %s: NBL %p is not %s", function, from->name,
                     (void *)nbl, travel == Sending ? "being sent" : "being received");
    if (top->node != from)
        vf_violation(track->last == from ? VfNblDoubleCompletion : VfNblNotOurs,
                     "%s by %s: NBL %p is with %s", function, from->name, (void *)nbl,
                     owner_name(track));
    if (top->lent)
        vf_violation(VfNblNotOurs,
                     "%s by %s: NBL %p was indicated with NDIS_RECEIVE_FLAGS_RESOURCES: it goes "
                     "back by returning from the call",
                     function, from->name, (void *)nbl);
    count_held(from, travel, -1);
    track->depth--;
    /* Who had a handler for one direction only is not in the way of the other. */
    while (track->depth > 1 && track->holders[track->depth - 1].node != to) {
        unsigned below = track->depth - 1;
        bool known = false;
        for (unsigned i = 0; i < below; i++)
            known |= track->holders[i].node == to;
        if (!known)
            break;
        track->depth--;
    }
    struct holder *holder = &track->holders[track->depth - 1];
    if (holder->node == to) {
        if (holder->descriptor != describe(nbl))
            vf_violation(from->module ? VfNblMalformed : VfNblTouchedAfterSend,
                         "NBL %p was changed between %s passing it on and its coming back from %s",
                         (void *)nbl, to->name, from->name);
        if (travel == Sending && !from->module && holder->data != describe_data(nbl))
            vf_violation(VfNblTouchedAfterSend,
                         "the data of NBL %p was changed after %s had sent it", (void *)nbl,
                         to->name);
    } else {
        track->holders[track->depth++] = (struct holder){.node = to};
    }
    track->returning = true;
    track->last = from;
    if (track->depth == 1) { /* home */
        count_originated(to, travel, -1);
        track->travel = AtRest;
        track->depth = 0;
        track->returning = false;
    } else {
        count_held(to, travel, 1);
    }
}

/* After `from` has called up with RESOURCES: the callee had until now to be done with it. */
static void take_back(PNET_BUFFER_LIST nbl, struct ndis_node *from, struct ndis_node *to,
                      const char *function)
{
    struct nbl_track *track = track_of(nbl, from, function);
    struct holder *top = &track->holders[track->depth - 1];
    if (track->travel != Receiving || track->depth < 2 || top->node != to || !top->lent)
        vf_violation(VfNblNotOurs,
                     "%s: NBL %p was indicated by %s with NDIS_RECEIVE_FLAGS_RESOURCES and is now "
                     "with %s",
                     function, (void *)nbl, from->name, owner_name(track));
    count_held(to, Receiving, -1);
    track->depth--;
    struct holder *holder = &track->holders[track->depth - 1];
    if (holder->descriptor != describe(nbl))
        vf_violation(VfNblMalformed,
                     "NBL %p was changed by %s during a receive with NDIS_RECEIVE_FLAGS_RESOURCES",
                     (void *)nbl, to->name);
    if (track->depth == 1) {
        count_originated(from, Receiving, -1);
        track->travel = AtRest;
        track->depth = 0;
    } else {
        count_held(from, Receiving, 1);
    }
}

#define FOR_EACH_NBL(nbl, first)                                                                   \
    for (PNET_BUFFER_LIST nbl = (first); nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))

static void send_from(struct ndis_node *from, const struct link_send *link, PNET_BUFFER_LIST nbls,
                      NDIS_PORT_NUMBER port, ULONG flags, const char *function)
{
    check_irql(flags & NDIS_SEND_FLAGS_DISPATCH_LEVEL, function, from);
    FOR_EACH_NBL(nbl, nbls)
    {
        pass_on(nbl, from, link->node, Sending, false, function);
        const struct ndis_module *origin = track_of(nbl, from, function)->holders[0].node->module;
        if (origin && !link->node->module)
            verify_offload(origin, nbl);
    }
    struct vf_call call = vf_call_begin_of("FilterSendNetBufferLists", link->call);
    link->call(link->context, nbls, port, flags);
    vf_call_end(&call);
}

static void complete_from(struct ndis_node *from, const struct link_send_complete *link,
                          PNET_BUFFER_LIST nbls, ULONG flags, const char *function)
{
    check_irql(flags & NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, function, from);
    FOR_EACH_NBL(nbl, nbls) give_back(nbl, from, link->node, Sending, function);
    struct vf_call call = vf_call_begin_of("FilterSendNetBufferListsComplete", link->call);
    link->call(link->context, nbls, flags);
    vf_call_end(&call);
}

static void return_from(struct ndis_node *from, const struct link_return *link,
                        PNET_BUFFER_LIST nbls, ULONG flags, const char *function)
{
    check_irql(flags & NDIS_RETURN_FLAGS_DISPATCH_LEVEL, function, from);
    long count = 0;
    FOR_EACH_NBL(nbl, nbls)
    {
        receives_busy(link->node, 1);
        count++;
        give_back(nbl, from, link->node, Receiving, function);
    }
    struct vf_call call = vf_call_begin_of("FilterReturnNetBufferLists", link->call);
    link->call(link->context, nbls, flags);
    vf_call_end(&call);
    receives_busy(link->node, -count);
}

static void receive_from(struct ndis_node *from, const struct link_receive *link,
                         PNET_BUFFER_LIST nbls, NDIS_PORT_NUMBER port, ULONG count, ULONG flags,
                         const char *function)
{
    check_irql(flags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, function, from);
    bool lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES;
    ULONG counted = 0;
    receives_busy(link->node, count);
    FOR_EACH_NBL(nbl, nbls)
    {
        pass_on(nbl, from, link->node, Receiving, lent, function);
        counted++;
    }
    if (counted != count)
        vf_violation(VfNblMalformed, "%s by %s: NumberOfNetBufferLists is %u, the chain has %u",
                     function, from->name, count, counted);
    PNET_BUFFER_LIST *chain = lent ? malloc((counted + 1) * sizeof(*chain)) : NULL;
    if (lent) {
        ULONG i = 0;
        FOR_EACH_NBL(nbl, nbls) chain[i++] = nbl;
    }
    struct vf_call call = vf_call_begin_of("FilterReceiveNetBufferLists", link->call);
    link->call(link->context, nbls, port, count, flags);
    vf_call_end(&call);
    for (ULONG i = 0; lent && i < counted; i++) {
        take_back(chain[i], from, link->node, function);
        if (NET_BUFFER_LIST_NEXT_NBL(chain[i]) != (i + 1 < counted ? chain[i + 1] : NULL))
            vf_violation(VfNblMalformed,
                         "%s: the chain that %s was lent with NDIS_RECEIVE_FLAGS_RESOURCES was not "
                         "restored",
                         function, link->node->name);
    }
    receives_busy(link->node, -(long)count);
    free(chain);
}

void verify_send(struct ndis_module *module, PNET_BUFFER_LIST nbls, NDIS_PORT_NUMBER port,
                 ULONG flags)
{
    send_from(&module->node, &module->links.send, nbls, port, flags, "NdisFSendNetBufferLists");
}

void verify_send_complete(struct ndis_module *module, PNET_BUFFER_LIST nbls, ULONG flags)
{
    complete_from(&module->node, &module->links.send_complete, nbls, flags,
                  "NdisFSendNetBufferListsComplete");
}

void verify_receive(struct ndis_module *module, PNET_BUFFER_LIST nbls, NDIS_PORT_NUMBER port,
                    ULONG count, ULONG flags)
{
    receive_from(&module->node, &module->links.receive, nbls, port, count, flags,
                 "NdisFIndicateReceiveNetBufferLists");
}

void verify_return(struct ndis_module *module, PNET_BUFFER_LIST nbls, ULONG flags)
{
    return_from(&module->node, &module->links.give_back, nbls, flags, "NdisFReturnNetBufferLists");
}

void verify_upper_send(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG flags)
{
    send_from(&adapter->upper_node, &adapter->upper.send, nbls, NDIS_DEFAULT_PORT_NUMBER, flags,
              "NdisSendNetBufferLists");
}

void verify_upper_return(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG flags)
{
    return_from(&adapter->upper_node, &adapter->upper.give_back, nbls, flags,
                "NdisReturnNetBufferLists");
}

void verify_lower_send_complete(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG flags)
{
    complete_from(&adapter->lower_node, &adapter->lower.send_complete, nbls, flags,
                  "NdisMSendNetBufferListsComplete");
}

void verify_lower_indicate(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG count,
                           ULONG flags)
{
    receive_from(&adapter->lower_node, &adapter->lower.receive, nbls, NDIS_DEFAULT_PORT_NUMBER,
                 count, flags, "NdisMIndicateReceiveNetBufferLists");
}

void verify_paused(struct ndis_module *module)
{
    if (!vf_enabled)
        return;
    const struct {
        long count;
        const char *what;
    } rules[] = {
        {module->originated_sends, "sends of its own are not complete"},
        {module->originated_receives, "receive indications of its own have not been returned"},
        {module->held_sends, "sends of overlying drivers are still with it"},
        {module->held_receives - module->busy_receives,
         "receives of underlying drivers are still with it"},
    };
    for (unsigned i = 0; i < ARRAYSIZE(rules); i++)
        if (rules[i].count > 0)
            vf_violation(VfFilterState, "the pause of %s is complete and %ld %s", module->node.name,
                         rules[i].count, rules[i].what);
}

/* Blocks: allocations of their own, kept back for a while after they are freed. */

#define QUARANTINE 512
#define FRESH_BYTE 0xa5
#define DEAD_BYTE  0xdb

static struct nb_block *quarantine[QUARANTINE];
static unsigned quarantine_at;
static KSPIN_LOCK blocks_lock;

struct nb_block *verify_block_get(struct nb_pool *pool, void *caller)
{
    struct nb_block *block = aligned_alloc(64, pool->block_bytes);
    struct nbl_track *track = calloc(1, sizeof(*track));
    if (!block || !track) {
        free(block);
        free(track);
        return NULL;
    }
    memset(block, FRESH_BYTE, pool->block_bytes);
    memset(block, 0, sizeof(*block));
    block->pool = pool;
    block->track = track;
    block->caller = caller;
    KIRQL irql;
    KeAcquireSpinLock(&blocks_lock, &irql);
    block->all_next = pool->live;
    block->all_link = &pool->live;
    if (pool->live)
        pool->live->all_link = &block->all_next;
    pool->live = block;
    KeReleaseSpinLock(&blocks_lock, irql);
    return block;
}

static void release_block(struct nb_block *block, bool check)
{
    const unsigned char *bytes = (const unsigned char *)(block + 1);
    for (size_t i = 0; check && i < block->spare - sizeof(*block); i++)
        if (bytes[i] != DEAD_BYTE)
            vf_violation(VfNblTouchedAfterSend,
                         "a NET_BUFFER_LIST or NET_BUFFER at %p was written to at offset %zu after "
                         "it was freed; it had been allocated by %s at %p",
                         (void *)(block + 1), i, vf_owner(block->caller), block->caller);
    free(block);
}

/* A driver that has not reserved its context (ContextSize of the allocation) writes behind it. */
static void check_context_guard(const struct nb_block *block)
{
    const struct nb_pool *pool = block->pool;
    const unsigned char *guard = (const unsigned char *)block + pool->data_at - CONTEXT_GUARD;
    for (unsigned i = 0; pool->context_bytes && i < CONTEXT_GUARD; i++)
        if (guard[i] != FRESH_BYTE)
            vf_violation(VfNblMalformed,
                         "byte %u behind the %u bytes of context space of NET_BUFFER_LIST %p was "
                         "written",
                         i, pool->context_bytes, (const void *)(block + 1));
}

void verify_block_put(struct nb_block *block)
{
    struct nb_pool *pool = block->pool;
    KIRQL irql;
    check_context_guard(block);
    KeAcquireSpinLock(&blocks_lock, &irql);
    *block->all_link = block->all_next;
    if (block->all_next)
        block->all_next->all_link = block->all_link;
    free(block->track);
    block->track = NULL;
    block->spare = pool->block_bytes;
    memset(block + 1, DEAD_BYTE, pool->block_bytes - sizeof(*block));
    unsigned at = quarantine_at++ % QUARANTINE;
    struct nb_block *old = quarantine[at];
    quarantine[at] = block;
    KeReleaseSpinLock(&blocks_lock, irql);
    if (old)
        release_block(old, true);
}

/* What the driver has freed and then written to, while its name is still known. */
void verify_blocks_unloaded(const char *driver)
{
    KIRQL irql;
    KeAcquireSpinLock(&blocks_lock, &irql);
    for (unsigned i = 0; i < QUARANTINE; i++) {
        struct nb_block *block = quarantine[i];
        if (!block || !vf_is_owner(block->caller, driver))
            continue;
        quarantine[i] = NULL;
        release_block(block, true);
    }
    KeReleaseSpinLock(&blocks_lock, irql);
}

void verify_nbl_free(PNET_BUFFER_LIST nbl, const char *function)
{
    struct nbl_track *track = block_check(nbl, PoolNbl, function)->track;
    if (track->travel != AtRest)
        vf_violation(VfNblNotOurs, "%s: NBL %p is not at rest: it is with %s", function,
                     (void *)nbl, owner_name(track));
    struct nb_pool *pool = nbl->NdisPoolHandle;
    if (pool != block_of(nbl)->pool)
        vf_violation(VfNblMalformed, "%s: NBL %p: NdisPoolHandle was changed", function,
                     (void *)nbl);
}

void verify_pool_leaks(struct nb_pool *pool, const char *driver)
{
    if (!pool->live)
        return;
    unsigned count = 0;
    for (struct nb_block *block = pool->live; block; block = block->all_next)
        count++;
    vf_violation(VfNblLeak, "%u %s(s) of a pool of %s were not freed; one is %p, allocated at %p",
                 count, pool->kind == PoolNbl ? "NET_BUFFER_LIST" : "NET_BUFFER", driver,
                 (void *)(pool->live + 1), pool->live->caller);
}

void verify_pool_free(struct nb_pool *pool)
{
    if (vf_enabled && pool->live)
        verify_pool_leaks(pool, *vf_owner(pool->live->caller) ? vf_owner(pool->live->caller)
                                                              : "the host");
}

void verify_blocks_stop(void)
{
    for (unsigned i = 0; i < QUARANTINE; i++) {
        if (quarantine[i])
            release_block(quarantine[i], vf_enabled);
        quarantine[i] = NULL;
    }
    quarantine_at = 0;
    KeInitializeSpinLock(&blocks_lock);
}
