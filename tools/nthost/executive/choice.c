/*
 * The single source of choice: a chooser that an explorer sets, or a generator seeded by
 * nt_start(). Each answer goes into a hash, by which two schedules can be told apart.
 *
 * The generator preempts once in `calm` switch points, and draws `calm` anew for each run: races
 * want few switches at the right places, or very many. In real time any thread may ask, for data
 * and not for schedules, and nothing is to be replayed.
 */
#include "choice.h"
#include "thread.h"

static struct {
    uint64_t random, trace;
    unsigned calm;
    unsigned (*choose)(void *context, unsigned n);
    void *context;
} state;

/* splitmix64 */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
    uint64_t next =
        sched_det ? state.random += 0x9e3779b97f4a7c15ull
                  : __atomic_add_fetch(&state.random, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED);
    return (unsigned)((mix(next) >> 32) * n >> 32);
}

static unsigned record(unsigned choice)
{
    state.trace = (state.trace ^ choice) * 0x100000001b3ull;
    return choice;
}

unsigned sched_choose(unsigned n)
{
    if (n < 2)
        return 0;
    if (!state.choose)
        return sched_det ? record(below(n)) : below(n);
    unsigned choice = state.choose(state.context, n);
    if (choice >= n)
        nt_fatal("the chooser answered %u of %u", choice, n);
    return record(choice);
}

void sched_set_chooser(unsigned (*choose)(void *context, unsigned n), void *context)
{
    state.choose = choose;
    state.context = context;
}

uint64_t sched_trace_hash(void)
{
    return state.trace;
}

void sched_set_pace(unsigned one_in)
{
    state.calm = one_in ? one_in : 1;
}

void choice_start(uint64_t seed)
{
    static const unsigned calm[] = {1, 2, 4, 16, 64};
    state.random = seed * 0x2545f4914f6cdd1dull + 0x1234567;
    state.trace = 0;
    state.calm = calm[below(sizeof calm / sizeof calm[0])];
}

bool choice_stay(void)
{
    if (state.choose || state.calm == 1 || !below(state.calm))
        return false;
    record(0);
    return true;
}

unsigned choice_switch(unsigned fibers, unsigned slip)
{
    if (state.choose)
        return sched_choose(fibers + (slip != 0));
    if (slip && !below(slip))
        return record(fibers);
    if (fibers == 1 || (slip && choice_stay()))
        return record(0);
    return record(below(fibers));
}
