/*
 * At which priority frames are moved. See edge_real.h.
 *
 * A real-time thread runs the moment a frame wakes it, and preempts whoever was about to send the
 * next one: each frame then costs a wake-up and two switches, which is half of all that a small
 * frame costs. A thread of the fair class lets the sender go on for as long as it has to, and finds
 * several frames when its turn comes. So a thread is real-time while frames are few, which is when
 * each counts, and of the fair class while they are many. (NDIS does a similar thing: "Receive Side
 * Throttle in NDIS 6.20" moves a storm of receives out of DPCs.) Its nice value is that of the
 * process: with a better one it would preempt again.
 *
 * But among busy processes a turn may come late, and a heartbeat among the frames may then be
 * missed. So the receiving thread is real-time again for a window as soon as it is behind: when a
 * batch was full, or when the guard, a real-time thread that looks every few milliseconds while the
 * other is of the fair class, finds frames waiting and none received since it looked last.
 *
 * Frames are counted against the coarse clock, which costs no more than a load.
 */
#include "edge_real.h"
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_MS      12
#define GUARD_MS       3
#define MANY_A_SECOND  6000
#define FEW_A_SECOND   3000
#define FIFO_PRIORITY  1
#define GUARD_PRIORITY 2

static uint64_t coarse_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Each where it is permitted. */
static void set_class(pthread_t thread, int priority)
{
    struct sched_param parameters = {.sched_priority = priority};
    pthread_setschedparam(thread, priority ? SCHED_FIFO : SCHED_OTHER, &parameters);
}

void edge_pace_start(struct edge_pace *pace, int guard)
{
    pace->thread = pthread_self();
    pace->guard = guard;
    pace->since = coarse_ms();
    pace->frames = 0;
    set_class(pace->thread, FIFO_PRIORITY);
}

void edge_pace_frames(struct edge_pace *pace, unsigned frames, bool behind)
{
    atomic_store_explicit(&pace->batches, pace->batches + 1, memory_order_relaxed);
    pace->frames += frames;
    bool was = atomic_load_explicit(&pace->fair, memory_order_relaxed);
    uint64_t now = coarse_ms(), span = now - pace->since;
    if (span < WINDOW_MS && !(was && behind))
        return;
    uint64_t rate = pace->frames * 1000ull / (span ? span : 1);
    bool fair = !behind && rate > (was ? FEW_A_SECOND : MANY_A_SECOND);
    pace->since = now;
    pace->frames = 0;
    pace->fair = fair;
    /* Also if it was so before: the guard may be about to do the opposite. */
    if (fair || was)
        set_class(pace->thread, fair ? 0 : FIFO_PRIORITY);
    uint64_t one = 1;
    if (fair && !was && pace->guard >= 0 && write(pace->guard, &one, sizeof(one)) < 0)
        return; /* the guard has been told often enough */
}

static bool readable(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 0) > 0 && (look.revents & POLLIN);
}

void edge_guard_thread(void *context)
{
    struct edge_pair *edge = context;
    struct edge_pace *pace = &edge->receive_pace;
    set_class(pthread_self(), GUARD_PRIORITY);
    unsigned seen = pace->batches;
    while (!edge->stop) {
        bool watching = pace->fair;
        struct pollfd wait[2] = {{.fd = edge->stop_event, .events = POLLIN},
                                 {.fd = edge->guard_event, .events = POLLIN}};
        uint64_t told;
        if (poll(wait, 2, watching ? GUARD_MS : -1) > 0 && (wait[1].revents & POLLIN) &&
            read(edge->guard_event, &told, sizeof(told)) < 0)
            continue;
        unsigned batches = pace->batches;
        if (watching && batches == seen && readable(edge->rx) &&
            atomic_exchange(&pace->fair, false))
            set_class(pace->thread, FIFO_PRIORITY);
        seen = batches;
    }
}
