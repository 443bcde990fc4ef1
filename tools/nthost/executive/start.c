/*
 * nt_start and nt_stop: the scheduler, then each module in its order (nthost/module.h).
 */
#include "thread.h"
#include <nthost/module.h>
#include <stdlib.h>

extern const struct nt_module __start_nt_modules[], __stop_nt_modules[];

#define MAX_MODULES 64
static const struct nt_module *ordered[MAX_MODULES];
static unsigned count;

static int by_order(const void *a, const void *b)
{
    const struct nt_module *first = *(const struct nt_module *const *)a,
                           *second = *(const struct nt_module *const *)b;
    if (first->order != second->order)
        return first->order < second->order ? -1 : 1;
    return first < second ? -1 : 1;
}

static void sort_modules(void)
{
    for (const struct nt_module *module = __start_nt_modules; module < __stop_nt_modules;
         module++) {
        if (count == MAX_MODULES)
            nt_fatal("too many modules");
        ordered[count++] = module;
    }
    qsort(ordered, count, sizeof ordered[0], by_order);
}

void nt_start(const struct nt_options *options)
{
    if (!count)
        sort_modules();
    sched_start(options);
    for (unsigned i = 0; i < count; i++)
        ordered[i]->start(options);
}

void nt_stop(void)
{
    for (unsigned i = count; i-- > 0;) {
        if (ordered[i]->stop)
            ordered[i]->stop();
    }
    sched_stop();
}
