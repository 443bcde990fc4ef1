/*
 * Which locks a thread holds, and the order in which locks are taken.
 *
 * The graph has a node for each class of locks and an edge from A to B, with the stack of the first
 * time, if B was ever acquired while A was held. An acquisition that would close a cycle is
 * reported: two threads that run the two paths at the same time would deadlock, whether or not they
 * did. The class of a lock in a pool block is the block's allocation site and the offset in it, so
 * that an inversion is found across objects of one kind; two locks of one class, nested, are told
 * apart by their addresses. Locks on stacks have no order: nobody else can hold them for long
 * enough to matter.
 */
#include "locks.h"
#include "../executive/pool.h"
#include <nthost/loader.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS     1024
#define EDGE_STACK  10
#define STACK_REACH (1u << 20)

struct edge {
    struct edge *next;
    uint32_t to;
    void *stack[EDGE_STACK];
};

struct node {
    uint64_t key;
    uint32_t hash_next;        /* index + 1 */
    uint32_t visited;          /* by the search of this number */
    uint32_t via;              /* the node from which the search came */
    const volatile void *lock; /* an example; address nodes: the lock */
    const char *kind;
    bool by_address;
    struct edge *edges;
};

static volatile uint32_t graph_lock;
static struct node *nodes;
static uint32_t node_count, node_room, search_number;
static uint32_t buckets[BUCKETS]; /* index + 1 */

void vf_locks_reset(void)
{
    for (uint32_t i = 0; i < node_count; i++) {
        for (struct edge *edge = nodes[i].edges, *next; edge; edge = next) {
            next = edge->next;
            free(edge);
        }
    }
    if (node_count)
        memset(buckets, 0, sizeof buckets);
    node_count = 0;
    graph_lock = 0;
}

static uint32_t node_of(uint64_t key, const volatile void *lock, const char *kind, bool by_address)
{
    uint32_t *bucket = &buckets[key * 0x9e3779b97f4a7c15ull >> 54];
    for (uint32_t index = *bucket; index; index = nodes[index - 1].hash_next) {
        if (nodes[index - 1].key == key)
            return index - 1;
    }
    if (node_count == node_room) {
        node_room = node_room ? 2 * node_room : 256;
        nodes = realloc(nodes, node_room * sizeof *nodes);
        if (!nodes)
            nt_fatal("no memory for the lock order graph");
    }
    nodes[node_count] = (struct node){
        .key = key, .hash_next = *bucket, .lock = lock, .kind = kind, .by_address = by_address};
    *bucket = ++node_count;
    return node_count - 1;
}

/* Is `to` reachable from `from`? Then `via` leads back. */
static bool reaches(uint32_t from, uint32_t to)
{
    uint32_t stack[512];
    unsigned depth = 0;
    search_number++;
    stack[depth++] = from;
    nodes[from].visited = search_number;
    while (depth) {
        uint32_t at = stack[--depth];
        for (const struct edge *edge = nodes[at].edges; edge; edge = edge->next) {
            if (nodes[edge->to].visited == search_number)
                continue;
            nodes[edge->to].visited = search_number;
            nodes[edge->to].via = at;
            if (edge->to == to)
                return true;
            if (depth < sizeof stack / sizeof stack[0])
                stack[depth++] = edge->to;
        }
    }
    return false;
}

static const struct edge *edge_between(uint32_t from, uint32_t to)
{
    for (const struct edge *edge = nodes[from].edges; edge; edge = edge->next) {
        if (edge->to == to)
            return edge;
    }
    return NULL;
}

static void __attribute__((noreturn)) report(uint32_t held, uint32_t wanted,
                                             const volatile void *held_lock,
                                             const volatile void *wanted_lock)
{
    char text[4096];
    size_t length = (size_t)snprintf(
        text, sizeof text,
        "%s %p is acquired while %s %p is held; elsewhere it is the other way round:",
        nodes[wanted].kind, (const void *)wanted_lock, nodes[held].kind, (const void *)held_lock);
    for (uint32_t to = held; to != wanted && length < sizeof text; to = nodes[to].via) {
        uint32_t from = nodes[to].via;
        const struct edge *edge = edge_between(from, to);
        length += (size_t)snprintf(
            text + length, sizeof text - length, "\n    %s %p under %s %p, by", nodes[to].kind,
            (const void *)nodes[to].lock, nodes[from].kind, (const void *)nodes[from].lock);
        for (unsigned i = 0; i < EDGE_STACK && edge->stack[i] && length < sizeof text; i++) {
            char symbol[128];
            vf_symbol_of_return(edge->stack[i], symbol, sizeof symbol);
            length += (size_t)snprintf(text + length, sizeof text - length, "\n        %s", symbol);
        }
    }
    vf_violation(VfLockOrder, "%s", text);
}

static void order(uint32_t held, uint32_t wanted, const volatile void *held_lock,
                  const volatile void *wanted_lock)
{
    if (edge_between(held, wanted))
        return;
    if (reaches(wanted, held))
        report(held, wanted, held_lock, wanted_lock);
    struct edge *edge = calloc(1, sizeof *edge);
    if (!edge)
        return;
    edge->to = wanted;
    edge->next = nodes[held].edges;
    nodes[held].edges = edge;
    unsigned count = image_backtrace(edge->stack, EDGE_STACK);
    if (count < EDGE_STACK)
        edge->stack[count] = NULL;
}

#define NO_NODE UINT32_MAX

void vf_lock_acquired(const volatile void *lock, const char *kind, bool ordered)
{
    struct nt_thread *self = nt_self;
    char here;
    const void *start;
    uint64_t key = (uintptr_t)lock, site;
    bool by_address = true;
    uint32_t node = NO_NODE;

    if ((uintptr_t)lock - (uintptr_t)&here + STACK_REACH >= 2 * STACK_REACH) {
        if (tracked_site(lock, &start, &site)) {
            key = site * 31 + (uintptr_t)((const volatile char *)lock - (const char *)start);
            by_address = false;
        }
        word_lock(self, &graph_lock);
        node = node_of(key, lock, kind, by_address);
        for (unsigned i = 0; ordered && i < self->held_count; i++) {
            struct vf_held *held = &self->held[i];
            if (held->node == NO_NODE || held->lock == lock)
                continue;
            if (held->node != node) {
                order(held->node, node, held->lock, lock);
            } else if (!by_address) {
                uint32_t a = node_of((uintptr_t)held->lock, held->lock, held->kind, true);
                uint32_t b = node_of((uintptr_t)lock, lock, kind, true);
                order(a, b, held->lock, lock);
            }
        }
        word_unlock(self, &graph_lock);
    }
    if (self->held_count < VF_HELD_MAX)
        self->held[self->held_count++] = (struct vf_held){lock, kind, node};
}

bool vf_lock_held(const volatile void *lock)
{
    const struct nt_thread *self = nt_self;
    for (unsigned i = 0; i < self->held_count; i++) {
        if (self->held[i].lock == lock)
            return true;
    }
    return false;
}

void vf_lock_released(const volatile void *lock, const char *kind)
{
    struct nt_thread *self = nt_self;
    for (unsigned i = self->held_count; i-- > 0;) {
        if (self->held[i].lock == lock) {
            memmove(&self->held[i], &self->held[i + 1],
                    (--self->held_count - i) * sizeof self->held[0]);
            return;
        }
    }
    if (self->held_count < VF_HELD_MAX)
        vf_violation(VfSpinLockNotOwned, "%s %p is released by a thread that does not hold it",
                     kind, (const void *)lock);
}

static void forget(const void *memory, size_t bytes)
{
    struct nt_thread *self = nt_self;
    word_lock(self, &graph_lock);
    for (uint32_t i = 0; i < node_count; i++) {
        struct node *node = &nodes[i];
        if (!node->by_address || (uintptr_t)node->lock - (uintptr_t)memory >= bytes)
            continue;
        /* The node stays where it is; what it was can no longer be found, nor reached. */
        uint32_t *link = &buckets[node->key * 0x9e3779b97f4a7c15ull >> 54];
        while (*link != i + 1)
            link = &nodes[*link - 1].hash_next;
        *link = node->hash_next;
        for (struct edge *edge = node->edges, *next; edge; edge = next) {
            next = edge->next;
            free(edge);
        }
        node->edges = NULL;
        node->lock = NULL;
        node->key = UINT64_MAX - i;
        node->hash_next = 0;
        link = &buckets[node->key * 0x9e3779b97f4a7c15ull >> 54];
        node->hash_next = *link;
        *link = i + 1;
    }
    word_unlock(self, &graph_lock);
}

void vf_lock_memory_freed(const void *memory, size_t bytes)
{
    struct nt_thread *self = nt_self;
    for (unsigned i = 0; i < self->held_count; i++) {
        if ((uintptr_t)self->held[i].lock - (uintptr_t)memory < bytes)
            vf_violation(VfSpinLockHeld,
                         "memory %p is freed with a %s in it that this thread holds (%p)", memory,
                         self->held[i].kind, (const void *)self->held[i].lock);
    }
    if (node_count)
        forget(memory, bytes);
}

void vf_locks_driver_gone(const char *driver)
{
    for (uint32_t i = 0; i < node_count; i++) {
        if (nodes[i].lock && nodes[i].by_address &&
            vf_is_owner((const void *)nodes[i].lock, driver)) {
            void *base;
            size_t bytes;
            image_extent(image_of((const void *)nodes[i].lock), &base, &bytes);
            forget(base, bytes);
            return;
        }
    }
}
