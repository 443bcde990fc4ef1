/*
 * The dirty-region log: a bit is on disk before what it stands for changes, also where threads
 * touch, write and clear at once, and wherever the power fails; and it does not stay for ever.
 */
#include "tap.h"

#include <nthost/sched.h>
#include <ntddk.h>

#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "regionlog.h"

#define PARTS   3
#define BYTES   (RPL_REGION_LOG_SECTORS(PARTS) * RPL_SECTOR)
#define REGIONS 40
#define MIB     1048576ull

static struct disk disk;
static RPL_STORAGE storage;
static RPL_REGION_LOG region_log;
static UCHAR *memory[2];
static uint64_t word;
static const UINT8 log_id[16] = "region log", secret[16] = "secret of a log";

static uint64_t any(uint64_t n)
{
    word ^= word << 13, word ^= word >> 7, word ^= word << 17;
    return (word >> 11) % n;
}

static void begin(void)
{
    for (unsigned i = 0; i < 2; i++)
        if (!memory[i])
            memory[i] =
                aligned_alloc(RPL_SECTOR, (RplRegionLogBytes(PARTS + 1) + 4095) / 4096 * 4096);
    disk_new(&disk, BYTES);
    storage = (RPL_STORAGE){disk_read, disk_write, disk_flush, &disk};
    is_status(RplRegionLogFormat(&region_log, &storage, PARTS, log_id, secret, memory[0]),
              STATUS_SUCCESS);
}

/* Region n: some file of a group, some place. */
static void region(unsigned n, UINT8 *id, UINT64 *offset)
{
    uint64_t low = 0x1234500ull + n / 4 * REPL_REGION_FILES;

    memset(id, 0, 16);
    memcpy(id, &low, 8);
    *offset = n % 4 * 7 * REPL_REGION_BYTES;
}

static UINT64 touch(unsigned n)
{
    UINT64 offset;
    UINT8 id[16];

    region(n, id, &offset);
    id[0] += (UINT8)any(REPL_REGION_FILES);
    return RplRegionLogTouch(&region_log, id, offset + any(3 * MIB), 1 + any(MIB));
}

static bool crashed(RPL_REGION_LOG *log, unsigned n)
{
    UINT64 offset;
    UINT8 id[16];

    region(n, id, &offset);
    id[0] += (UINT8)any(REPL_REGION_FILES);
    return RplRegionLogCrashed(log, id, offset + any(4 * MIB));
}

static unsigned crash_bits(RPL_REGION_LOG *log)
{
    RPL_REGION_COUNTS counts;
    unsigned found = 0;

    RplRegionLogCount(log, &counts);
    for (ULONG bit = 0; RplRegionLogNextCrash(log, &bit); bit++)
        found++;
    is_int(found, counts.Crash);
    return found;
}

/* Each region has changes that are not acknowledged yet, up to a sequence; 0: none. */
static struct {
    UINT64 sequence;
    UINT64 acknowledged;
    UINT64 changed[REGIONS];
    bool touched[REGIONS]; /* ever */
} model;

/* False: the power is gone. */
static bool change(unsigned n)
{
    UINT64 sequence = ++model.sequence, ticket;

    model.touched[n] = true;
    ticket = touch(n);
    if (ticket != 0) {
        if (!NT_SUCCESS(RplRegionLogSync(&region_log, any(2) == 0)))
            return false;
        ok(RplRegionLogIsDurable(&region_log, ticket));
    }
    model.changed[n] = sequence; /* from here on it may differ */
    return true;
}

static bool work(unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        switch (any(8)) {
        case 0:
            model.acknowledged += any(model.sequence - model.acknowledged + 1);
            for (unsigned n = 0; n < REGIONS; n++)
                if (model.changed[n] <= model.acknowledged)
                    model.changed[n] = 0;
            break;
        case 1:
            RplRegionLogAge(&region_log, model.acknowledged, model.sequence);
            break;
        case 2:
            if (!NT_SUCCESS(RplRegionLogSync(&region_log, TRUE)))
                return false;
            break;
        default:
            if (!change((unsigned)any(any(2) ? 5 : REGIONS)))
                return false;
        }
    }
    return true;
}

NT_TEST(regionlog_power_cuts)
{
    uint64_t start, total;
    unsigned torn = 0, cleared = 0;

    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    word = 88172645463325252ull + tap_seed();
    memset(&model, 0, sizeof model);
    begin();
    start = disk.written;
    work(400);
    total = disk.written;
    disk_free(&disk);
    for (unsigned cut = 0; cut < 900 && !tap_failing(); cut++) {
        enum disk_loss loss = cut % 3;
        uint64_t other = 7919 * (cut + 1);
        unsigned touched = 0, bits;

        tap_at("cut %u", cut);
        word = 88172645463325252ull + tap_seed();
        memset(&model, 0, sizeof model);
        begin();
        disk.cut = start + 1 + other * 2654435761u % (total - start - 1);
        torn += !work(400);
        disk_crash(&disk, loss, &other);
        need(is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS));
        ok(region_log.Unclean);
        for (unsigned n = 0; n < REGIONS; n++) {
            touched += model.touched[n];
            if (model.changed[n] != 0)
                ok(crashed(&region_log, n), "region %u changed and is not marked", n);
        }
        bits = crash_bits(&region_log);
        ok(bits <= touched, "%u bits for %u regions", bits, touched);
        cleared += bits < touched;
        /* Life goes on: a second crash still has the first one's regions. */
        work(30);
        disk_crash(&disk, loss, &other);
        need(is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS));
        for (unsigned n = 0; n < REGIONS; n++)
            if (model.changed[n] != 0)
                ok(crashed(&region_log, n), "region %u, second crash", n);
        ok(crash_bits(&region_log) >= bits);
        disk_free(&disk);
    }
    ok(torn > 800, "%u", torn);
    ok(cleared > 100, "%u", cleared);
    tap_at(NULL);
    nt_leave();
    nt_stop();
}

NT_TEST(regionlog_ages)
{
    RPL_REGION_COUNTS counts;

    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    memset(&model, 0, sizeof model);
    begin();
    for (unsigned n = 0; n < REGIONS; n++)
        change(n);
    RplRegionLogCount(&region_log, &counts);
    is_int(counts.Set, REGIONS, "no two of them share a bit");
    RplRegionLogAge(&region_log, 0, 40);
    for (unsigned i = 0; i < 10; i++)
        RplRegionLogAge(&region_log, 39, 40 + i);
    RplRegionLogCount(&region_log, &counts);
    is_int(counts.Set, REGIONS, "one is not acknowledged");
    RplRegionLogAge(&region_log, 40, 50);
    RplRegionLogCount(&region_log, &counts);
    is_int(counts.Set, REGIONS, "the period before counts");
    change(7);
    RplRegionLogAge(&region_log, 50, 51);
    RplRegionLogCount(&region_log, &counts);
    is_int(counts.Set, 1);
    is_status(RplRegionLogSync(&region_log, TRUE), STATUS_SUCCESS);
    uint64_t written = disk.written;
    is_status(RplRegionLogSync(&region_log, TRUE), STATUS_SUCCESS);
    is_int(disk.written, written, "nothing to write");
    is_int(touch(7), 0, "it is there");
    ok(touch(8) != 0, "it was cleared");
    is_status(RplRegionLogSync(&region_log, FALSE), STATUS_SUCCESS);
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    is_int(crash_bits(&region_log), 2);
    ok(crashed(&region_log, 7) && crashed(&region_log, 8) && !crashed(&region_log, 9));
    disk_free(&disk);
    nt_leave();
    nt_stop();
}

NT_TEST(regionlog_closes)
{
    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    memset(&model, 0, sizeof model);
    begin();
    change(3);
    is_status(RplRegionLogClose(&region_log), STATUS_SUCCESS);
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    ok(!region_log.Unclean);
    is_int(crash_bits(&region_log), 0);
    is_int(touch(3), 0, "still set");
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    ok(region_log.Unclean);
    is_int(crash_bits(&region_log), 1);
    is_status(RplRegionLogClose(&region_log), STATUS_SUCCESS);
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    ok(region_log.Unclean, "nobody has synchronised it");
    RplRegionLogForgetCrash(&region_log);
    is_int(crash_bits(&region_log), 0);
    is_status(RplRegionLogClose(&region_log), STATUS_SUCCESS);
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    ok(!region_log.Unclean);
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS + 1, memory[0]), STATUS_NOT_FOUND);
    memset(disk.current, 0, 8192);
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_NOT_FOUND);
    disk_free(&disk);
    nt_leave();
    nt_stop();
}

/* One version of a part spoils: the other one; both: all of the part counts as set. */
NT_TEST(regionlog_parts_that_spoil)
{
    UINT8 id[16] = {1};
    ULONG part;

    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    memset(&model, 0, sizeof model);
    begin();
    part = RplRegionLogBit(&region_log, id, 0) / RPL_REGION_PART_BITS;
    ok(RplRegionLogTouch(&region_log, id, 0, 1) != 0);
    is_status(RplRegionLogSync(&region_log, FALSE), STATUS_SUCCESS);
    disk.current[(2 + 2 * part + region_log.Part[part].Slot) * RPL_SECTOR + 1000] ^= 4;
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    is_int(crash_bits(&region_log), 0, "the version before");
    disk.current[(2 + 2 * part + region_log.Part[part].Slot) * RPL_SECTOR] ^= 4;
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    is_int(crash_bits(&region_log), RPL_REGION_PART_BITS);
    disk_free(&disk);
    nt_leave();
    nt_stop();
}

NT_TEST(regionlog_everything)
{
    UINT8 id[16] = {1};
    UINT64 ticket;

    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    memset(&model, 0, sizeof model);
    begin();
    ticket = RplRegionLogTouch(&region_log, id, 0, ~0ull);
    ok(ticket != 0);
    is_status(RplRegionLogSync(&region_log, FALSE), STATUS_SUCCESS);
    is_int(RplRegionLogTouch(&region_log, id, 5, ~0ull), 0);
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    ok(crashed(&region_log, 0));
    for (unsigned i = 0; i < 5; i++)
        RplRegionLogAge(&region_log, 0, 0);
    is_int(RplRegionLogTouch(&region_log, id, 0, ~0ull), 0, "it does not age");
    RplRegionLogForgetCrash(&region_log);
    ok(!crashed(&region_log, 0));
    for (unsigned i = 0; i < 3; i++)
        RplRegionLogAge(&region_log, 0, 0);
    is_status(RplRegionLogSync(&region_log, TRUE), STATUS_SUCCESS);
    ok(RplRegionLogTouch(&region_log, id, 0, ~0ull) != 0, "now it is cleared");
    disk_free(&disk);
    nt_leave();
    nt_stop();
}

/* What happens while a sector is on its way to the disk. */
static void (*meanwhile)(void);

static NTSTATUS write_and_meanwhile(void *context, UINT64 offset, const void *data, ULONG bytes)
{
    NTSTATUS status = disk_write(context, offset, data, bytes);

    if (meanwhile != NULL)
        meanwhile();
    meanwhile = NULL;
    return status;
}

static void age_once(void)
{
    RplRegionLogAge(&region_log, 0, 0);
}

static UINT64 ticket_meanwhile;

static void touch_everything(void)
{
    UINT8 id[16] = {1};

    ticket_meanwhile = RplRegionLogTouch(&region_log, id, 0, ~0ull);
}

static void begin_with_meanwhile(void)
{
    begin();
    region_log.Storage.Write = write_and_meanwhile;
}

/* A bit that is cleared while it is written is on disk, but not to stay. */
NT_TEST(regionlog_clears_while_it_writes)
{
    UINT8 id[16] = {0, 1};
    unsigned part, other = 1;

    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    begin_with_meanwhile();
    part = RplRegionLogBit(&region_log, id, 0) / RPL_REGION_PART_BITS;
    while (RplRegionLogBit(&region_log, id, other * REPL_REGION_BYTES) / RPL_REGION_PART_BITS !=
           part)
        other++;
    ok(RplRegionLogTouch(&region_log, id, 0, 1) != 0);
    is_status(RplRegionLogSync(&region_log, FALSE), STATUS_SUCCESS);
    age_once();
    age_once();
    ok(RplRegionLogTouch(&region_log, id, other * REPL_REGION_BYTES, 1) != 0);
    meanwhile = age_once;
    is_status(RplRegionLogSync(&region_log, FALSE), STATUS_SUCCESS);
    ok(meanwhile == NULL);
    ok(RplRegionLogTouch(&region_log, id, 0, 1) != 0, "it is no longer to be relied on");
    is_status(RplRegionLogSync(&region_log, TRUE), STATUS_SUCCESS);
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    ok(RplRegionLogCrashed(&region_log, id, 0));
    disk_free(&disk);
    nt_leave();
    nt_stop();
}

/* Likewise the mark of everything, touched while its clearing is under way. */
NT_TEST(regionlog_clears_everything_while_it_is_touched)
{
    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    begin_with_meanwhile();
    touch_everything();
    ok(ticket_meanwhile != 0);
    is_status(RplRegionLogSync(&region_log, FALSE), STATUS_SUCCESS);
    for (unsigned i = 0; i < 3; i++)
        age_once();
    meanwhile = touch_everything;
    is_status(RplRegionLogSync(&region_log, TRUE), STATUS_SUCCESS);
    ok(meanwhile == NULL);
    ok(!RplRegionLogIsDurable(&region_log, ticket_meanwhile) && ticket_meanwhile != 0);
    is_status(RplRegionLogSync(&region_log, FALSE), STATUS_SUCCESS);
    ok(RplRegionLogIsDurable(&region_log, ticket_meanwhile));
    is_status(RplRegionLogOpen(&region_log, &storage, PARTS, memory[0]), STATUS_SUCCESS);
    ok(crashed(&region_log, 0));
    disk_free(&disk);
    nt_leave();
    nt_stop();
}

/* Threads: touchers, one that writes, one that clears. Before a toucher goes on, a copy of the disk
 * is opened as after a crash. */
static struct {
    volatile LONG64 last;
    volatile LONG64 doing[3]; /* sequences that are not acknowledged; 0: none */
    volatile LONG running;
    KEVENT wanted;
    unsigned proofs, waits;
} race;

static NTSTATUS slow_write(void *context, UINT64 offset, const void *data, ULONG bytes)
{
    NTSTATUS status;

    sched_point();
    status = disk_write(context, offset, data, bytes);
    sched_point();
    return status;
}

static NTSTATUS slow_flush(void *context)
{
    sched_point();
    return disk_flush(context);
}

static void prove(unsigned n, bool only_flushed)
{
    struct disk copy = disk;
    RPL_STORAGE copied = {disk_read, disk_write, disk_flush, &copy};
    RPL_REGION_LOG log;

    copy.writes = NULL;
    copy.last = &copy.writes;
    copy.current = malloc(BYTES);
    copy.flushed = malloc(BYTES);
    memcpy(copy.current, only_flushed ? disk.flushed : disk.current, BYTES);
    is_status(RplRegionLogOpen(&log, &copied, PARTS, memory[1]), STATUS_SUCCESS);
    ok(crashed(&log, n), "region %u", n);
    race.proofs++;
    disk_free(&copy);
}

static void toucher(void *context)
{
    unsigned mine = (unsigned)(uintptr_t)context;

    nt_enter();
    for (unsigned i = 0; i < 15; i++) {
        unsigned n = (unsigned)any(6);
        UINT64 ticket;

        /* Not 0 while it is not known yet. */
        WriteNoFence64(&race.doing[mine], ReadNoFence64(&race.last) + 1);
        WriteNoFence64(&race.doing[mine], InterlockedIncrement64(&race.last));
        ticket = touch(n);
        while (ticket != 0 && !RplRegionLogIsDurable(&region_log, ticket)) {
            LARGE_INTEGER soon = {.QuadPart = -10000};

            race.waits++;
            KeSetEvent(&race.wanted, IO_NO_INCREMENT, FALSE);
            KeDelayExecutionThread(KernelMode, FALSE, &soon);
        }
        prove(n, (i + mine) % 2);
        WriteNoFence64(&race.doing[mine], 0);
    }
    InterlockedDecrement(&race.running);
    KeSetEvent(&race.wanted, IO_NO_INCREMENT, FALSE);
    nt_leave();
}

static void writer(void *context)
{
    (void)context;
    nt_enter();
    while (ReadNoFence(&race.running) != 0) {
        LARGE_INTEGER later = {.QuadPart = -300000};
        bool wanted = KeWaitForSingleObject(&race.wanted, Executive, KernelMode, FALSE, &later) ==
                      STATUS_SUCCESS;

        is_status(RplRegionLogSync(&region_log, !wanted || any(2)), STATUS_SUCCESS);
    }
    nt_leave();
}

static void ager(void *context)
{
    (void)context;
    nt_enter();
    while (ReadNoFence(&race.running) != 0) {
        LARGE_INTEGER later = {.QuadPart = -(LONGLONG)any(400000) - 1};
        UINT64 last = (UINT64)ReadNoFence64(&race.last), acknowledged = last;

        for (unsigned i = 0; i < 3; i++) {
            UINT64 doing = (UINT64)ReadNoFence64(&race.doing[i]);

            if (doing != 0 && doing <= acknowledged)
                acknowledged = doing - 1;
        }
        RplRegionLogAge(&region_log, acknowledged, last);
        KeDelayExecutionThread(KernelMode, FALSE, &later);
    }
    nt_leave();
}

NT_TEST(regionlog_races)
{
    race.proofs = race.waits = 0;
    for (unsigned i = 0; i < 60 && !tap_failing(); i++) {
        struct nt_thread *threads[5];

        tap_at("seed %lu", tap_seed() + i);
        word = 88172645463325252ull + tap_seed() + i;
        tap_start(NT_DETERMINISTIC, tap_seed() + i);
        nt_enter();
        begin();
        region_log.Storage.Write = slow_write;
        region_log.Storage.Flush = slow_flush;
        KeInitializeEvent(&race.wanted, SynchronizationEvent, FALSE);
        race.running = 3;
        race.last = 0;
        nt_leave();
        for (unsigned t = 0; t < 3; t++)
            threads[t] = nt_spawn("toucher", toucher, (void *)(uintptr_t)t);
        threads[3] = nt_spawn("writer", writer, NULL);
        threads[4] = nt_spawn("ager", ager, NULL);
        for (unsigned t = 0; t < 5; t++)
            nt_join(threads[t]);
        disk_free(&disk);
        nt_stop();
    }
    ok(race.proofs > 2000, "%u", race.proofs);
    ok(race.waits > 100, "%u", race.waits);
    tap_at(NULL);
}

NT_TEST(regionlog_hash_spreads)
{
    enum { COUNT = 20000 };
    RPL_REGION_COUNTS counts;

    tap_start(NT_DETERMINISTIC, 1);
    nt_enter();
    begin();
    for (unsigned n = 0; n < COUNT; n++) {
        UINT8 id[16] = {0, (UINT8)n, (UINT8)(n >> 8), 1};

        RplRegionLogTouch(&region_log, id, (UINT64)(n % 100) * REPL_REGION_BYTES, 1);
    }
    RplRegionLogCount(&region_log, &counts);
    /* Balls in bins: bits * (1 - exp(-n / bits)) = 18,093, with a deviation of some 40. */
    ok(counts.Set > 17850 && counts.Set < 18350, "%u", counts.Set);
    disk_free(&disk);
    nt_leave();
    nt_stop();
}
