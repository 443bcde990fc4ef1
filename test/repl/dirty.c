/*
 * Dirty blocks against a model. With memory enough the model is met exactly; with little, what the
 * model says is dirty is a part of what is taken, always. Offsets are chosen at and around the
 * boundaries of the structure, and the model knows the stretches between those.
 */
#include "tap.h"

#include <nthost/sched.h>
#include <ntddk.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dirtynode.h"

#define SETS      3
#define FILES     5
#define STRETCHES 60

static RPL_DIRTY dirty;
static uint64_t point[STRETCHES + 1]; /* block numbers */

static uint64_t word;

static uint64_t any(uint64_t n)
{
    word ^= word << 13, word ^= word >> 7, word ^= word << 17;
    return word % n;
}

/* Boundaries of inline blocks, leaves and cells of each height, and what lies beside them. */
static void make_points(void)
{
    static const uint64_t edges[] = {0,          512,           1024,       1088,       2048,
                                     32768,      65536,         1u << 20,   1u << 21,   1u << 25,
                                     1u << 26,   1ull << 30,    1ull << 35, 1ull << 40, 1ull << 45,
                                     1ull << 50, RPL_BLOCKS_END};
    unsigned count = 0;

    for (unsigned i = 0; i < sizeof edges / sizeof *edges; i++)
        for (int beside = -1; beside <= 1; beside++) {
            uint64_t at = edges[i] + (uint64_t)beside;

            if (at <= RPL_BLOCKS_END && (count == 0 || at > point[count - 1]))
                point[count++] = at;
        }
    while (count <= STRETCHES) { /* some in between */
        uint64_t at = 3000 + any(500000);
        unsigned i = count++;

        for (; point[i - 1] > at; i--)
            point[i] = point[i - 1];
        point[i] = at;
        if (point[i] == point[i - 1]) {
            memmove(point + i, point + i + 1, (count - 1 - i) * sizeof *point);
            count--;
        }
    }
}

struct side {
    UINT32 set_flags[SETS];
    struct file {
        bool there;
        UINT32 flags;
        uint64_t blocks; /* a bit a stretch */
    } file[SETS][FILES];
};

static struct side model[2]; /* dirty, taken */

static void file_id(unsigned file, UINT8 *id)
{
    memset(id, 0, 16);
    id[0] = (UINT8)(file * 37 + 1);
    id[15] = (UINT8)file;
}

static uint64_t stretches(unsigned from, unsigned to)
{
    return from == to ? 0 : (~0ull >> (64 - (to - from))) << from;
}

static void kill_if_all(struct side *side, unsigned set)
{
    if (side->set_flags[set] == RPL_DIRTY_ALL)
        memset(side->file[set], 0, sizeof side->file[set]);
}

static void mark(void)
{
    unsigned set = (unsigned)any(SETS), file = (unsigned)any(FILES);
    unsigned from = (unsigned)any(STRETCHES), to = from + (unsigned)any(STRETCHES - from + 1);
    struct file *f = &model[0].file[set][file];
    uint64_t offset = point[from] * 4096, end = point[to] * 4096;
    UINT8 id[16];

    file_id(file, id);
    if (any(4) == 0)
        to = from + (to > from), end = point[to] * 4096;
    if (to > from) { /* anywhere in the first and the last block */
        offset += any(4096);
        end -= end - offset < 8192 ? 0 : any(4096);
    }
    if (any(8) == 0 && to == STRETCHES && to > from)
        end = offset + ~0ull; /* beyond all */
    RplDirtyMark(&dirty, set + 1, id, offset, end - offset);
    if (model[0].set_flags[set] & REPL_DIRTY_WHOLE)
        return;
    f->there = true;
    if (!(f->flags & REPL_DIRTY_WHOLE))
        f->blocks |= stretches(from, to);
}

static void mark_as(void)
{
    unsigned set = (unsigned)any(SETS), file = (unsigned)any(FILES);
    UINT32 flags = 1 + (UINT32)any(3);
    struct file *f = &model[0].file[set][file];
    UINT8 id[16];

    file_id(file, id);
    if (any(30) == 0) {
        RplDirtyMarkAs(&dirty, set + 1, NULL, flags);
        model[0].set_flags[set] |= flags;
        kill_if_all(&model[0], set);
        return;
    }
    RplDirtyMarkAs(&dirty, set + 1, id, flags);
    if (!(flags & ~model[0].set_flags[set]))
        return;
    f->there = true;
    f->flags |= flags;
    if (flags & REPL_DIRTY_WHOLE)
        f->blocks = 0;
}

static void unite(struct file *into, const struct file *from)
{
    into->there = true;
    into->flags |= from->flags;
    into->blocks = into->flags & REPL_DIRTY_WHOLE ? 0 : into->blocks | from->blocks;
}

/* The stretches that the ranges are; they must be merged, in order, and end at our points. */
static uint64_t stretches_of(const REPL_DIRTY_RANGE *ranges, unsigned count)
{
    uint64_t blocks = 0, last = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t from = ranges[i].Offset / 4096, to = from + ranges[i].Length / 4096;
        unsigned a = 0, b = 0;

        ok(ranges[i].Offset % 4096 == 0 && ranges[i].Length % 4096 == 0 && ranges[i].Length != 0);
        ok(i == 0 || from > last, "range %u at %llu after %llu", i, (unsigned long long)from,
           (unsigned long long)last);
        while (a < STRETCHES && point[a] != from)
            a++;
        while (b < STRETCHES && point[b] != to)
            b++;
        ok(point[a] == from && point[b] == to, "range %u", i);
        blocks |= stretches(a, b);
        last = to;
    }
    return blocks;
}

/* The lowest runs of the set. */
static uint64_t lowest(uint64_t blocks, unsigned runs)
{
    uint64_t taken = 0;
    bool inside = false;

    for (unsigned i = 0; i < 64; i++) {
        bool is = blocks >> i & 1;

        if (is && !inside && runs-- == 0)
            break;
        inside = is;
        taken |= blocks & 1ull << i;
    }
    return taken;
}

static bool take(bool exact)
{
    REPL_DIRTY_RANGE ranges[40];
    unsigned capacity = any(3) ? 40 : 1 + (unsigned)any(3);
    REPL_DIRTY_FILE item;
    UINT8 id[16];

    if (!RplDirtyTake(&dirty, &item, ranges, capacity))
        return false;
    ok(item.RangeCount <= capacity && item.Reserved == 0 && item.SetId <= SETS);
    for (unsigned set = 0; set < SETS; set++) {
        bool whole = true;

        if (item.SetId != 0 && item.SetId != set + 1)
            continue;
        for (unsigned i = 0; i < 16; i++)
            whole = whole && item.FileId[i] == 0;
        if (whole) {
            if (exact)
                is_int(item.Flags, model[0].set_flags[set]);
            model[0].set_flags[set] &= ~item.Flags;
            model[1].set_flags[set] |= item.Flags;
            for (unsigned file = 0; !exact && file < FILES; file++) {
                struct file *f = &model[0].file[set][file];

                if (item.Flags == RPL_DIRTY_ALL && f->there) {
                    unite(&model[1].file[set][file], f);
                    memset(f, 0, sizeof *f);
                }
            }
            if (exact)
                kill_if_all(&model[1], set);
            continue;
        }
        for (unsigned file = 0; file < FILES; file++) {
            struct file *f = &model[0].file[set][file], part = *f;

            file_id(file, id);
            if (memcmp(id, item.FileId, 16) != 0)
                continue;
            if (exact) {
                ok(f->there);
                is_int(item.Flags, f->flags);
                is_hex(stretches_of(ranges, item.RangeCount), lowest(f->blocks, capacity));
            }
            if (!(item.Flags & REPL_DIRTY_WHOLE))
                part.blocks &= stretches_of(ranges, item.RangeCount);
            part.flags &= item.Flags;
            f->blocks &= ~part.blocks;
            f->flags &= f->blocks ? ~0u : ~item.Flags;
            f->there = f->blocks != 0 || f->flags != 0;
            if (!exact || model[1].set_flags[set] != RPL_DIRTY_ALL)
                unite(&model[1].file[set][file], &part);
        }
    }
    return true;
}

static void restore(bool exact)
{
    RplDirtyRestore(&dirty);
    for (unsigned set = 0; set < SETS; set++) {
        model[0].set_flags[set] |= model[1].set_flags[set];
        for (unsigned file = 0; file < FILES; file++)
            if (model[1].file[set][file].there)
                unite(&model[0].file[set][file], &model[1].file[set][file]);
        if (exact)
            kill_if_all(&model[0], set);
    }
    memset(&model[1], 0, sizeof model[1]);
}

static void check_counts(bool taken)
{
    RPL_DIRTY_COUNTS counts;
    uint64_t blocks = 0;
    unsigned files = 0, sets = 0;

    RplDirtyCount(&dirty, taken, &counts);
    for (unsigned side = 0; side <= taken; side++)
        for (unsigned set = 0; set < SETS; set++) {
            sets += model[side].set_flags[set] != 0;
            for (unsigned file = 0; file < FILES; file++) {
                files += model[side].file[set][file].there;
                for (unsigned i = 0; i < STRETCHES; i++)
                    if (model[side].file[set][file].blocks >> i & 1)
                        blocks += point[i + 1] - point[i];
            }
        }
    is_int(counts.Bytes, blocks * 4096); /* which may overflow here, by the same */
    is_int(counts.Files, files);
    is_int(counts.Sets, sets);
}

static void workload(bool exact, unsigned steps)
{
    for (unsigned step = 0; step < steps && !tap_failing(); step++) {
        switch (any(20)) {
        default:
            mark();
            break;
        case 0:
        case 1:
            mark_as();
            break;
        case 2:
        case 3:
        case 4:
            take(exact);
            break;
        case 5:
            if (any(5) == 0) {
                RplDirtyForget(&dirty);
                memset(&model[1], 0, sizeof model[1]);
            }
            break;
        case 6:
            if (any(5) == 0)
                restore(exact);
        }
        if (exact)
            check_counts(any(2));
    }
    while (!tap_failing() && take(exact))
        ;
    /* The model may still say that a name is dirty that a set's names include. */
    for (unsigned set = 0; set < SETS; set++)
        for (unsigned file = 0; file < FILES; file++) {
            struct file *f = &model[0].file[set][file];

            is_hex(f->blocks, 0, "set %u, file %u", set, file);
            is_hex(f->flags & REPL_DIRTY_WHOLE, 0);
        }
    RplDirtyForget(&dirty);
    is_int(dirty.Cells.Used, 0);
    is_int(dirty.Cells.TreeUsed, 0);
}

static void run(bool exact, size_t bytes, unsigned rounds, unsigned steps)
{
    void *memory = malloc(bytes);

    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    word = 88172645463325252ull + tap_seed();
    for (unsigned round = 0; round < rounds && !tap_failing(); round++) {
        tap_at("round %u", round);
        memset(model, 0, sizeof model);
        make_points();
        memset(memory, 0xEE, bytes);
        RplDirtyInitialize(&dirty, memory, bytes);
        workload(exact, steps);
    }
    tap_at(NULL);
    nt_leave();
    nt_stop();
    free(memory);
}

NT_TEST(dirty_is_exact_while_there_is_memory)
{
    run(true, 4u << 20, 150, 400);
}

/* So little that files become whole, and sets, in turn. */
NT_TEST(dirty_forgets_nothing_when_memory_is_short)
{
    for (size_t bytes = 1024 + 20 * sizeof(RPL_CELL); bytes < 64 * 1024; bytes += 4000)
        run(false, bytes, 30, 400);
}

NT_TEST(dirty_degrades_step_by_step)
{
    void *memory = malloc(RPL_DIRTY_MIN_BYTES);
    REPL_DIRTY_RANGE ranges[4];
    REPL_DIRTY_FILE item;
    UINT8 id[16] = {1};

    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    RplDirtyInitialize(&dirty, memory, RPL_DIRTY_MIN_BYTES);
    /* Every other gigabyte of one file a block: its tree gets too large. */
    for (uint64_t i = 0; i < 400; i++)
        RplDirtyMark(&dirty, 1, id, i << 31, 1);
    ok(dirty.Cells.TreeUsed == 0, "%u", dirty.Cells.TreeUsed);
    ok(RplDirtyTake(&dirty, &item, ranges, 4));
    is_int(item.Flags, REPL_DIRTY_WHOLE);
    is_int(item.RangeCount, 0);
    is_mem(item.FileId, id, 16);
    ok(!RplDirtyTake(&dirty, &item, ranges, 4));
    RplDirtyForget(&dirty);

    /* More files than there are cells: the set. Another set has its files as before. */
    id[0] = 200;
    RplDirtyMark(&dirty, 2, id, 0, 1);
    for (unsigned i = 0; i < 1000; i++) {
        id[1] = (UINT8)i, id[2] = (UINT8)(i >> 8);
        RplDirtyMark(&dirty, 1, id, 8192, 4096);
    }
    ok(RplDirtyTake(&dirty, &item, ranges, 4));
    is_int(item.SetId, 1);
    is_int(item.Flags, RPL_DIRTY_ALL);
    ok(RplDirtyTake(&dirty, &item, ranges, 4));
    is_int(item.SetId, 2);
    is_int(item.RangeCount, 1);
    is_int(ranges[0].Offset, 0);
    is_int(ranges[0].Length, 4096);
    ok(!RplDirtyTake(&dirty, &item, ranges, 4));

    /* More sets than there are entries: everything. */
    RplDirtyClear(&dirty);
    for (unsigned set = 1; set <= RPL_DIRTY_SETS; set++)
        RplDirtyMark(&dirty, set, id, 0, 1);
    ok(RplDirtyTake(&dirty, &item, ranges, 4));
    is_int(item.SetId, 0);
    is_int(item.Flags, RPL_DIRTY_ALL);
    nt_leave();
    nt_stop();
    free(memory);
}

NT_TEST(dirty_cost)
{
    enum { BYTES = 16 << 20 };
    void *memory = malloc(BYTES);
    struct timespec before, after;
    UINT8 id[16] = {9};

    tap_start(NT_REALTIME, 1);
    nt_enter();
    RplDirtyInitialize(&dirty, memory, BYTES);
    word = 12345;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (unsigned i = 0; i < 10000; i++)
        RplDirtyMark(&dirty, 1, id, any(100ull << 30), 4096);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    diag("10000 blocks all over 100 GB: %u cells, %zu kB, %.0f ns each", dirty.Cells.Used,
         dirty.Cells.Used * sizeof(RPL_CELL) / 1024,
         ((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) /
             10000);
    ok(dirty.Cells.Used * sizeof(RPL_CELL) < 3 << 20);
    RplDirtyClear(&dirty);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (uint64_t i = 0; i < 1000000; i++)
        RplDirtyMark(&dirty, 1, id, i * 4096, 4096);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    diag("4 GB from the beginning to the end: %u cells at last, %.0f ns for each block",
         dirty.Cells.Used,
         ((double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec)) /
             1000000);
    ok(dirty.Cells.Used < 100, "%u", dirty.Cells.Used);
    nt_leave();
    nt_stop();
    free(memory);
}
