/*
 * Schedules: several programs make records at the same time, preempted at every kernel call, while
 * a reader reads, stops reading, dies and comes again. Whatever the order, every record comes once,
 * in order, or a bracket says that some do not.
 */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#define RING     (1u << 20)
#define PROGRAMS 3
#define RECORDS  1000

struct program {
    struct rig *rig;
    io_handle handle;
    struct nt_thread *thread;
    uint32_t random;
    unsigned made;
    UINT64 highest;
    bool ordered;
};

static void make_records(void *context)
{
    struct program *program = context;
    struct {
        REPL_BOOKMARK bookmark;
        WCHAR label[REPL_MAX_LABEL_BYTES / 2];
    } input = {0};

    program->ordered = true;
    for (unsigned i = 0; i < RECORDS; i++) {
        REPL_SEQUENCE sequence = {0};
        ULONG_PTR information;

        program->random = program->random * 1664525 + 1013904223;
        input.bookmark.LabelLength = 480 + (program->random >> 16) % 16 * 2;
        for (unsigned c = 0; c < input.bookmark.LabelLength / 2; c++)
            input.label[c] = (WCHAR)('a' + c % 26);
        if (!NT_SUCCESS(io_ioctl(program->rig->client, program->handle, REPL_IOCTL_BOOKMARK, &input,
                                 (ULONG)sizeof input.bookmark + input.bookmark.LabelLength,
                                 &sequence, sizeof sequence, &information)))
            continue;
        program->ordered &= sequence.Sequence > program->highest;
        program->highest = sequence.Sequence;
        program->made++;
        /* Bursts that outrun the reader, and pauses in which it catches up. */
        for (unsigned wait = program->random >> 20 & 0x1ff ? program->random >> 29 : 12000; wait;
             wait--)
            sched_point();
    }
}

/* A reader's life, or several, on a thread of its own. */
struct follower {
    struct rig *rig;
    struct reader reader;
    struct nt_thread *thread;
    uint32_t random;
    unsigned lives;
};

static void follow(void *context)
{
    struct follower *f = context;
    struct reader *reader = &f->reader;

    for (unsigned step = 0; step < 600 && !tap_failing(); step++) {
        bool more;

        f->random = f->random * 1664525 + 1013904223;
        for (unsigned i = f->random >> 26; i; i--)
            sched_point();
        switch (f->random >> 20 & 15) {
        case 0:
            reader_die(reader);
            is_status(reader_begin(reader, f->rig, RING), STATUS_PENDING);
            f->lives++;
            break;
        case 1:
            if (reader->last)
                (void)rig_acknowledge(f->rig, reader->last);
            break;
        case 2:
        case 3: /* long enough that the ring becomes full, and more */
            for (unsigned i = 0;
                 i < 4000 &&
                 !__atomic_load_n(&((REPL_RING_HEADER *)reader->ring)->Closed, __ATOMIC_ACQUIRE);
                 i++)
                sched_point();
            for (unsigned i = f->random >> 24 & 7; i; i--)
                for (unsigned j = 0; j < 500; j++)
                    sched_point();
            break;
        default:
            if (((REPL_RING_HEADER *)reader->ring)->Closed) {
                reader_ring(reader);
                (void)reader_journal(reader, 131072, &more);
            } else {
                reader_ring(reader);
            }
        }
    }
}

static unsigned from_journal, from_ring;

static void run(uint64_t seed, bool journal, unsigned *lost)
{
    struct program programs[PROGRAMS];
    struct rig rig = {0};
    struct follower f = {.rig = &rig, .random = (uint32_t)seed * 2654435761u};
    unsigned made = 0;

    if (!rig_boot(&rig, seed) || !rig_primary(&rig, journal))
        return;
    for (unsigned i = 0; i < PROGRAMS; i++) {
        programs[i] = (struct program){.rig = &rig, .random = (uint32_t)seed + i};
        is_status(io_open(rig.client, "\\\\.\\NtsRepl", GENERIC_READ | GENERIC_WRITE,
                          &programs[i].handle),
                  STATUS_SUCCESS);
    }
    is_status(reader_begin(&f.reader, &rig, RING), STATUS_PENDING);
    f.reader.among_threads = true;
    f.thread = nt_spawn("reader", follow, &f);
    for (unsigned i = 0; i < PROGRAMS; i++)
        programs[i].thread = nt_spawn("program", make_records, &programs[i]);
    for (unsigned i = 0; i < PROGRAMS; i++) {
        nt_join(programs[i].thread);
        ok(programs[i].ordered, "a program's own records have growing numbers");
        made += programs[i].made;
    }
    nt_join(f.thread);
    f.reader.among_threads = false;
    if (!tap_failing())
        reader_follow(&f.reader, rig_status(&rig).LastSequence);
    if (journal) {
        is_int(made, PROGRAMS * RECORDS, "none was refused");
        is_int(f.reader.lost, 0);
        is_int(f.reader.records, made + 1, "in %u lives", f.lives);
        from_journal += (unsigned)f.reader.from_journal;
        from_ring += made - (unsigned)f.reader.from_journal;
    }
    *lost += (unsigned)f.reader.lost;
    reader_die(&f.reader);
    rig_end(&rig);
}

/* One read that nobody asks again for, and one record. */
struct asking {
    struct reader *reader;
    struct rig_call call;
    UINT8 output[4096];
};

static void ask(void *context)
{
    struct asking *asking = context;
    const REPL_READ read = {.After = asking->reader->last};

    for (unsigned i = sched_choose(40); i; i--)
        sched_point();
    rig_start(asking->reader->rig, asking->reader->handle, &asking->call, REPL_IOCTL_READ_JOURNAL,
              &read, sizeof read, asking->output, sizeof asking->output);
}

static void make_one(void *context)
{
    struct reader *reader = context;

    for (unsigned i = sched_choose(200); i; i--)
        sched_point();
    ok(rig_bookmark(reader->rig, 8) != 0);
}

NT_TEST(a_read_is_answered_whatever_comes_meanwhile)
{
    for (unsigned i = 0; i < 60 && !tap_failing(); i++) {
        struct rig rig = {0};
        struct reader reader = {0};
        struct asking asking = {.reader = &reader};
        struct nt_thread *reads, *makes;

        tap_at("seed %llu", (unsigned long long)tap_seed() + i);
        need(rig_boot(&rig, tap_seed() + i));
        need(rig_primary(&rig, true));
        for (unsigned records = 0; records < 400; records++) /* more than it is greeted with */
            rig_bookmark(&rig, 500);
        is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
        for (bool more = true; more && !tap_failing() && reader.last < 401;)
            (void)reader_journal(&reader, 65536, &more);
        is_int(reader.last, 401);
        makes = nt_spawn("program", make_one, &reader);
        reads = nt_spawn("reader", ask, &asking);
        nt_join(makes);
        nt_join(reads);
        ok(rig_wait(&asking.call), "it is answered");
        reader_die(&reader);
        rig_end(&rig);
    }
    tap_at(NULL);
}

NT_TEST(every_record_comes_once_and_in_order_whatever_the_schedule)
{
    unsigned lost = 0;

    from_journal = 0;
    for (unsigned i = 0; i < 30 && !tap_failing(); i++) {
        tap_at("seed %llu", (unsigned long long)tap_seed() + i);
        run(tap_seed() + i, true, &lost);
    }
    tap_at(NULL);
    diag("%u records came from the journal, %u from the ring", from_journal, from_ring);
    ok(from_journal > 1000 && from_ring > 1000);
}

NT_TEST(what_is_lost_without_a_journal_is_said_whatever_the_schedule)
{
    unsigned lost = 0;

    for (unsigned i = 0; i < 15 && !tap_failing(); i++) {
        tap_at("seed %llu", (unsigned long long)tap_seed() + i);
        run(tap_seed() + i, false, &lost);
    }
    tap_at(NULL);
    ok(lost > 0, "some schedule loses something");
}
