/*
 * Fault injection: fail every fallible call of a driver once, by the stack that leads to it.
 *
 * A sweep repeats one scenario. In each round the first call whose stack (the driver's frames, the
 * export and the kind) has not failed before fails; all others succeed. When a round ends without a
 * failure, every stack that the scenario reaches was tried. Calls without a driver on the stack are
 * the host's own and never fail.
 */
#include "../executive/thread.h"
#include <nthost/loader.h>
#include <nthost/verifier.h>
#include <stdlib.h>
#include <string.h>

bool vf_faults_armed;

static volatile uint32_t lock;
static uint64_t *failed; /* stack hashes */
static size_t failed_count, failed_room;
static bool failed_now; /* in this round */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static uint64_t stack_hash(enum vf_fault_kind kind, const char *function)
{
    void *frames[32];
    unsigned count = image_backtrace(frames, 32), drivers = 0;
    uint64_t hash = mix(kind + 1, (uintptr_t)function);
    for (unsigned i = 0; i < count; i++) {
        const struct nt_image *image = image_of(frames[i]);
        if (!image)
            continue;
        /* By name and offset: the next round may load the image elsewhere. */
        void *base;
        size_t bytes;
        image_extent(image, &base, &bytes);
        for (const char *name = image_name(image); *name; name++)
            hash = mix(hash, (unsigned char)*name);
        hash = mix(hash, (uintptr_t)frames[i] - (uintptr_t)base);
        drivers++;
    }
    return drivers ? hash : 0;
}

bool vf_fault_slow(enum vf_fault_kind kind, const char *function)
{
    struct nt_thread *self = nt_self;
    uint64_t hash = self == &nt_nobody ? 0 : stack_hash(kind, function);
    if (!hash)
        return false;
    word_lock(self, &lock);
    bool fail = !failed_now;
    for (size_t i = 0; i < failed_count && fail; i++)
        fail = failed[i] != hash;
    if (fail) {
        if (failed_count == failed_room) {
            failed_room = failed_room ? 2 * failed_room : 64;
            failed = realloc(failed, failed_room * sizeof *failed);
            if (!failed)
                nt_fatal("no memory for fault injection");
        }
        failed[failed_count++] = hash;
        failed_now = true;
    }
    word_unlock(self, &lock);
    return fail;
}

void vf_fault_sweep_begin(void)
{
    failed_count = 0;
    failed_now = false;
    vf_faults_armed = false;
}

void vf_fault_round_begin(void)
{
    failed_now = false;
    vf_faults_armed = true;
}

bool vf_fault_round_end(void)
{
    vf_faults_armed = false;
    return failed_now;
}

size_t vf_fault_stacks(void)
{
    return failed_count;
}
