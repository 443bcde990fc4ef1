/*
 * The timer queue of a virtual processor: a binary heap by due time, then order of insertion.
 *
 * A queued timer carries its place in the heap in 16 bytes of its own (KTIMER.TimerListEntry), so
 * that cancelling is O(log n) and nothing is allocated per timer but the heap's array. Due times
 * are kept beside the node pointers, not read through them: a driver that frees a queued timer
 * corrupts its own memory, not the queue's order.
 *
 * Everything here runs under the dispatcher lock. vp->next_due is what the processor's thread
 * sleeps until; whoever makes it earlier kicks the thread.
 */
#include "timerq.h"
#include "thread.h"
#include <stdlib.h>

struct entry {
    uint64_t due, order;
    struct timer_node *node;
};

static timer_expired *expiry[TIMER_KINDS];
static uint64_t next_order;

void timerq_register(enum timer_kind kind, timer_expired *expired)
{
    expiry[kind] = expired;
}

static struct entry *entries(const struct vp *vp)
{
    return (struct entry *)vp->heap;
}

static bool earlier(const struct entry *a, const struct entry *b)
{
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void place(struct vp *vp, unsigned index, struct entry entry)
{
    entries(vp)[index] = entry;
    entry.node->index = index + 1;
}

static void sift_up(struct vp *vp, unsigned index, struct entry entry)
{
    while (index > 0) {
        unsigned parent = (index - 1) / 2;
        if (!earlier(&entry, &entries(vp)[parent]))
            break;
        place(vp, index, entries(vp)[parent]);
        index = parent;
    }
    place(vp, index, entry);
}

static void sift_down(struct vp *vp, unsigned index, struct entry entry)
{
    for (;;) {
        unsigned child = 2 * index + 1;
        if (child >= vp->heap_count)
            break;
        if (child + 1 < vp->heap_count && earlier(&entries(vp)[child + 1], &entries(vp)[child]))
            child++;
        if (!earlier(&entries(vp)[child], &entry))
            break;
        place(vp, index, entries(vp)[child]);
        index = child;
    }
    place(vp, index, entry);
}

static void publish_next(struct vp *vp)
{
    uint64_t due = vp->heap_count ? entries(vp)[0].due : UINT64_MAX;
    __atomic_store_n(&vp->next_due, due, __ATOMIC_RELEASE);
}

void timerq_insert(struct vp *vp, struct timer_node *node, uint64_t due)
{
    if (vp->heap_count == vp->heap_room) {
        unsigned room = vp->heap_room ? 2 * vp->heap_room : 32;
        void *heap = realloc(vp->heap, room * sizeof(struct entry));
        if (!heap)
            nt_fatal("out of memory for timers");
        vp->heap = heap;
        vp->heap_room = room;
    }
    node->processor = (uint16_t)vp->number;
    node->order = ++next_order;
    sift_up(vp, vp->heap_count++, (struct entry){due, node->order, node});
    if (due < vp->next_due) {
        publish_next(vp);
        sched->kick(vp);
    }
}

static void remove_at(struct vp *vp, unsigned index)
{
    entries(vp)[index].node->index = 0;
    struct entry last = entries(vp)[--vp->heap_count];
    if (index == vp->heap_count)
        return;
    if (index > 0 && earlier(&last, &entries(vp)[(index - 1) / 2]))
        sift_up(vp, index, last);
    else
        sift_down(vp, index, last);
}

bool timerq_remove(struct timer_node *node)
{
    if (!node->index)
        return false;
    struct vp *vp = &vps[node->processor];
    remove_at(vp, node->index - 1);
    publish_next(vp);
    return true;
}

uint64_t timerq_due(const struct timer_node *node)
{
    return node->index ? entries(&vps[node->processor])[node->index - 1].due : UINT64_MAX;
}

void timerq_expire(struct vp *vp, uint64_t now)
{
    while (vp->heap_count && entries(vp)[0].due <= now) {
        struct entry first = entries(vp)[0];
        remove_at(vp, 0);
        publish_next(vp);
        expiry[first.node->kind](first.node, first.due, now);
    }
}

bool timerq_any(bool (*match)(struct timer_node *node, void *context), void *context)
{
    for (unsigned i = 0; i < vp_count; i++) {
        for (unsigned j = 0; j < vps[i].heap_count; j++) {
            if (match(entries(&vps[i])[j].node, context))
                return true;
        }
    }
    return false;
}

void timerq_reset(void)
{
    for (unsigned i = 0; i < MAX_PROCESSORS; i++) {
        free(vps[i].heap);
        vps[i].heap = NULL;
        vps[i].heap_count = vps[i].heap_room = 0;
        vps[i].next_due = UINT64_MAX;
    }
    next_order = 0;
}
