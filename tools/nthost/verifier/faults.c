/*
 * Fault injection: fail every fallible call of a driver once, by the stack that leads to it.
 *
 * A sweep repeats one scenario. In each round the first call whose stack (the driver's frames, the
 * export and the kind) has not failed before fails; all others succeed. When a round ends without a
 * failure, every stack that the scenario reaches was tried. Only calls that a driver makes itself
 * fail, unless the sweep is deep.
 *
 * A frame is an image's name and an offset from its base, so stacks are the same in the next round
 * and in the next process, wherever the image is loaded.
 */
#include "../executive/thread.h"
#include <nthost/loader.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAMES 32

struct frame {
    char image[24];
    size_t offset;
    char symbol[64]; /* as it was called when it failed: images come and go */
};

struct stack {
    uint64_t hash;
    const char *function;
    unsigned count;
    struct frame frames[12]; /* the innermost, for people */
};

bool vf_faults_armed;

static volatile uint32_t lock;
static struct stack *stacks;
static size_t count, room;
static bool failed_now; /* in this round */
static bool deep;
static unsigned skip;

/* How often each stack that has not failed yet came by in this round. */
static struct seen {
    uint64_t hash;
    unsigned times;
} *seen;
static size_t seen_count, seen_room;

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = mix(hash, (unsigned char)*text);
    return hash;
}

static size_t offset_in(const struct nt_image *image, const void *address)
{
    void *base;
    size_t bytes;
    image_extent(image, &base, &bytes);
    return (uintptr_t)address - (uintptr_t)base;
}

static uint64_t stack_hash(enum vf_fault_kind kind, const char *function, void *const *frames,
                           unsigned frame_count)
{
    uint64_t hash = mix_text(mix(0, kind + 1u), function);
    for (unsigned i = 0; i < frame_count; i++) {
        const struct nt_image *image = image_of(frames[i]);
        if (image)
            hash = mix(mix_text(hash, image_name(image)), offset_in(image, frames[i]));
    }
    return hash;
}

/* Has this stack come by so often in this round that it is to fail now? */
static bool is_due(uint64_t hash)
{
    size_t i = 0;
    while (i < seen_count && seen[i].hash != hash)
        i++;
    if (i == seen_count) {
        if (seen_count == seen_room) {
            seen_room = seen_room ? 2 * seen_room : 64;
            seen = realloc(seen, seen_room * sizeof *seen);
            if (!seen)
                nt_fatal("no memory for fault injection");
        }
        seen[seen_count++] = (struct seen){hash, 0};
    }
    return seen[i].times++ == skip;
}

static void remember(uint64_t hash, const char *function, void *const *frames, unsigned frame_count)
{
    if (count == room) {
        room = room ? 2 * room : 64;
        stacks = realloc(stacks, room * sizeof *stacks);
        if (!stacks)
            nt_fatal("no memory for fault injection");
    }
    struct stack *stack = &stacks[count++];
    memset(stack, 0, sizeof *stack);
    stack->hash = hash;
    stack->function = function;
    for (unsigned i = 0; i < frame_count; i++) {
        const struct nt_image *image = image_of(frames[i]);
        if (!image || stack->count == sizeof stack->frames / sizeof stack->frames[0])
            continue;
        struct frame *frame = &stack->frames[stack->count++];
        snprintf(frame->image, sizeof frame->image, "%s", image_name(image));
        frame->offset = offset_in(image, frames[i]);
        vf_symbol_of_return(frames[i], frame->symbol, sizeof frame->symbol);
    }
}

bool __attribute__((ms_abi)) vf_fault_slow(enum vf_fault_kind kind, const char *function,
                                           const void *caller)
{
    struct nt_thread *self = nt_self;
    void *frames[MAX_FRAMES];
    if (self == &nt_nobody || (!deep && !image_of(caller)))
        return false;
    unsigned frame_count = image_backtrace(frames, MAX_FRAMES), drivers = 0;
    uint64_t hash = stack_hash(kind, function, frames, frame_count);
    for (unsigned i = 0; i < frame_count; i++)
        drivers += image_of(frames[i]) != NULL;
    if (!drivers)
        return false;
    word_lock(self, &lock);
    bool fail = !failed_now;
    for (size_t i = 0; i < count && fail; i++)
        fail = stacks[i].hash != hash;
    if (fail && is_due(hash)) {
        remember(hash, function, frames, frame_count);
        failed_now = true;
    } else {
        fail = false;
    }
    word_unlock(self, &lock);
    return fail;
}

void vf_fault_sweep_begin(bool with_host)
{
    deep = with_host;
    skip = 0;
    count = 0;
    failed_now = false;
    vf_faults_armed = false;
}

void vf_fault_skip(unsigned times)
{
    skip = times;
}

void vf_fault_round_begin(void)
{
    seen_count = 0;
    failed_now = false;
    vf_faults_armed = true;
}

bool vf_fault_round_end(void)
{
    vf_faults_armed = false;
    return failed_now;
}

bool vf_fault_struck(void)
{
    return failed_now;
}

size_t vf_fault_stacks(void)
{
    return count;
}

bool vf_fault_describe(size_t index, char *text, size_t size)
{
    if (index >= count)
        return false;
    const struct stack *stack = &stacks[index];
    size_t length = (size_t)snprintf(text, size, "%s", stack->function);
    for (unsigned i = 0; i < stack->count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, " < %s", stack->frames[i].symbol);
    return true;
}

void vf_fault_count(const char *function, size_t *stack_count, size_t *calls)
{
    *stack_count = *calls = 0;
    for (size_t i = 0; i < count; i++) {
        bool first = true;
        if (strcmp(stacks[i].function, function))
            continue;
        for (size_t k = 0; k < i && first; k++)
            first = strcmp(stacks[k].function, function) ||
                    strcmp(stacks[k].frames[0].image, stacks[i].frames[0].image) ||
                    stacks[k].frames[0].offset != stacks[i].frames[0].offset;
        ++*stack_count;
        *calls += first;
    }
}

/* For a report: what failed last, while the round lasts. */
bool vf_fault_last(char *text, size_t size)
{
    return vf_faults_armed && failed_now && vf_fault_describe(count - 1, text, size);
}
