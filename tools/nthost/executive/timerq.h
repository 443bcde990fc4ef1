/* The timer queue of a processor; see timerq.c. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct vp;

/* In the timer that is queued: it takes the place of KTIMER.TimerListEntry (16 bytes). */
struct timer_node {
    uint32_t index; /* in the heap, from 1; 0: not queued */
    uint16_t processor;
    uint16_t kind;  /* which expiry function */
    uint64_t order; /* of insertion, so that timers of one instant expire in order */
};
enum timer_kind { TIMER_KE = 1, TIMER_EX, TIMER_KINDS };

/* Called with the dispatcher lock held, on the processor, the node out of the queue. */
typedef void timer_expired(struct timer_node *node, uint64_t due, uint64_t now);
void timerq_register(enum timer_kind kind, timer_expired *expired);

/* All under the dispatcher lock. */
void timerq_insert(struct vp *vp, struct timer_node *node, uint64_t due);
bool timerq_remove(struct timer_node *node); /* false: it was not queued */
uint64_t timerq_due(const struct timer_node *node);
void timerq_expire(struct vp *vp, uint64_t now);
/* Calls for every queued timer of every processor, until the function returns true. */
bool timerq_any(bool (*match)(struct timer_node *node, void *context), void *context);
void timerq_reset(void);
