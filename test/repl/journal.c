/*
 * The journal: its circle, its ends, and power cuts. A workload of appends, trims, flushes and
 * reopenings is cut at a byte; what is read afterwards must be a run of records that begins no
 * later than what was trimmed and ends no earlier than what was flushed, each as it was written. A
 * second workload goes on from there, so that what a cut left behind is met again.
 */
#include "tap.h"

#include <ntddk.h>

#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "journal.h"
#include "record.h"

#define SECTOR RPL_SECTOR
#define BYTES  RPL_JOURNAL_MIN_BYTES
#define MOST   4096 /* sequences */

static struct disk disk;
static RPL_JOURNAL journal;
static RPL_STORAGE io;
static UCHAR *scratch, *batch, *buffer;
static uint64_t word;
static const UINT8 journal_id[16] = "journal", stream_id[16] = "stream";

static uint64_t any(uint64_t n)
{
    word ^= word << 13, word ^= word >> 7, word ^= word << 17;
    return (word >> 11) % n;
}

static void prepare(void)
{
    if (!scratch) {
        scratch = aligned_alloc(SECTOR, RPL_JOURNAL_MAX_BATCH);
        batch = aligned_alloc(SECTOR, RPL_JOURNAL_MAX_BATCH + SECTOR);
        buffer = aligned_alloc(SECTOR, RPL_JOURNAL_MAX_BATCH);
    }
    disk_new(&disk, BYTES);
    io = (RPL_STORAGE){disk_read, disk_write, disk_flush, &disk};
}

/* What was written under each number last, which a life before may have done otherwise. */
static struct {
    uint32_t life; /* number of the life that wrote it */
    uint32_t size;
} written[MOST];

static struct {
    uint32_t life;
    UINT64 last;    /* appended with success */
    UINT64 tried;   /* or perhaps */
    UINT64 flushed; /* for sure on disk */
    UINT64 trimmed;
} now;

/* One record; the number and the life say all of it. */
static ULONG put_record(UCHAR *at, UINT64 sequence)
{
    REPL_RECORD header = {.Type = ReplRecordWrite,
                          .Sequence = sequence,
                          .Epoch = 1,
                          .Time = sequence,
                          .FileId = {1},
                          .SetId = 1,
                          .Range = written[sequence].size,
                          .DataLength = written[sequence].size};
    ULONG room = RplRecordBytes(0, written[sequence].size);

    header.Offset = written[sequence].life;
    memset(RplRecordBegin((REPL_RECORD *)at, &header, NULL), (int)(sequence * 7),
           header.DataLength);
    RplRecordEnd((REPL_RECORD *)at, room, 0, header.DataLength);
    return room;
}

static NTSTATUS append(void)
{
    UINT64 first = now.last + 1, last = first + any(4);
    ULONG bytes = 0;
    NTSTATUS status;

    if (last >= MOST)
        return STATUS_SUCCESS;
    for (UINT64 sequence = first; sequence <= last; sequence++) {
        written[sequence].life = now.life;
        written[sequence].size = (uint32_t)any(any(8) ? 300 : 6000);
        bytes += put_record(batch + sizeof(RPL_JOURNAL_BATCH) + bytes, sequence);
    }
    now.tried = last;
    status = RplJournalAppend(&journal, batch, bytes, first, last);
    if (NT_SUCCESS(status))
        now.last = last;
    else if (!disk.dead)
        now.tried = now.last;
    return status;
}

/* Reads from After to the head; the last sequence. *First: that of the first record. */
static UINT64 read_all(UINT64 after, UINT64 *first)
{
    RPL_JOURNAL_CURSOR cursor;
    UINT64 last = 0;
    NTSTATUS status;

    is_status(RplJournalSeek(&journal, after, &cursor), STATUS_SUCCESS);
    for (;;) {
        const UCHAR *records;
        ULONG bytes, length;

        status = RplJournalRead(&journal, &cursor, buffer, RPL_JOURNAL_MAX_BATCH, &records, &bytes);
        if (status == STATUS_END_OF_FILE)
            return last;
        if (!is_status(status, STATUS_SUCCESS))
            return last;
        for (ULONG at = 0; at < bytes; at += length) {
            const REPL_RECORD *record = (const REPL_RECORD *)(records + at);
            static UCHAR expected[8192] __attribute__((aligned(8)));

            if (!is_int(RplRecordCheck(record, bytes - at, &length), RplRecordOk))
                return last;
            if (last == 0)
                *first = record->Sequence;
            else
                is_int(record->Sequence, last + 1);
            last = record->Sequence;
            if (last >= MOST || !is_int(length, put_record(expected, last)))
                return last;
            is_mem(record, expected, length, "sequence %llu", (unsigned long long)last);
        }
    }
}

static void check_contents(UINT64 least_last, UINT64 most_last)
{
    UINT64 first = 0, last = read_all(0, &first);

    if (last == 0) {
        is_int(RplJournalUsed(&journal), 0);
        ok(journal.First > now.trimmed || journal.First == journal.Last + 1);
        ok(least_last <= now.trimmed, "nothing is left of up to %llu",
           (unsigned long long)least_last);
    } else {
        is_int(journal.First, first);
        is_int(journal.Last, last);
        ok(first <= now.trimmed + 1, "begins with %llu, trimmed to %llu", (unsigned long long)first,
           (unsigned long long)now.trimmed);
        ok(last >= least_last && last <= most_last, "ends with %llu, not %llu to %llu",
           (unsigned long long)last, (unsigned long long)least_last, (unsigned long long)most_last);
    }
}

static unsigned full;

/* False: the power is gone. */
static bool work(unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        NTSTATUS status = STATUS_SUCCESS;

        switch (any(16)) {
        default:
            status = append();
            if (status == STATUS_DISK_FULL) {
                full++;
                status = STATUS_SUCCESS;
            }
            break;
        case 0:
        case 1:
            status = RplJournalFlush(&journal);
            if (NT_SUCCESS(status))
                now.flushed = now.last;
            break;
        case 2:
        case 3: {
            UINT64 to = now.trimmed + any((now.last - now.trimmed) / 2 + 2);

            status = RplJournalTrim(&journal, to);
            if (NT_SUCCESS(status) && to > now.trimmed)
                now.trimmed = to < now.last ? to : now.last;
            break;
        }
        case 5:
            if (any(6))
                break;
            status = RplJournalClose(&journal);
            if (NT_SUCCESS(status)) {
                now.flushed = now.last;
                status = RplJournalOpen(&journal, &io, BYTES, scratch);
                ok(!NT_SUCCESS(status) || journal.Clean);
            }
        }
        if (disk.dead)
            return false;
        is_status(status, STATUS_SUCCESS, "step %u", i);
    }
    return true;
}

static void begin(void)
{
    memset(&now, 0, sizeof now);
    now.life = 1;
    prepare();
    is_status(RplJournalFormat(&journal, &io, BYTES, journal_id, stream_id, scratch),
              STATUS_SUCCESS);
}

NT_TEST(journal_wraps_and_fills)
{
    unsigned laps;

    word = 88172645463325252ull + tap_seed();
    full = 0;
    begin();
    for (unsigned round = 0; round < 20 && !tap_failing(); round++) {
        work(40);
        check_contents(now.last, now.last);
    }
    laps = (unsigned)(journal.Head.Position / journal.DataBytes);
    ok(laps >= 3, "%u laps", laps);
    ok(full > 0, "never full");
    disk_free(&disk);
}

NT_TEST(journal_power_cuts)
{
    uint64_t total;
    unsigned torn = 0;

    word = 88172645463325252ull + tap_seed();
    begin();
    uint64_t start = disk.written;
    work(150);
    total = disk.written;
    disk_free(&disk);
    for (unsigned cut = 0; cut < 1200 && !tap_failing(); cut++) {
        enum disk_loss loss = cut % 3;
        uint64_t at;

        tap_at("cut %u", cut);
        word = 88172645463325252ull + tap_seed();
        begin();
        uint64_t other = 7919 * (cut + 1);
        /* Anywhere; every second one within a superblock's first bytes or at a sector's end. */
        at = start + (other * 2654435761u) % (total - start);
        if (cut / 3 % 2)
            at = at / 512 * 512 + cut / 6 % 100;
        disk.cut = at > start ? at : start + 1;
        torn += !work(150);
        disk_crash(&disk, loss, &other);
        need(is_status(RplJournalOpen(&journal, &io, BYTES, scratch), STATUS_SUCCESS));
        ok(!journal.Clean || journal.Last == now.last, "closed, and lost something");
        check_contents(loss == DISK_KEEPS_ALL ? now.last : now.flushed, now.tried);
        now.last = now.tried = now.flushed = journal.Last;
        if (now.trimmed > now.last)
            now.trimmed = now.last;
        now.life++;
        work(1 + cut % 40);
        need(is_status(RplJournalOpen(&journal, &io, BYTES, scratch), STATUS_SUCCESS));
        check_contents(now.last, now.last);
        disk_free(&disk);
    }
    ok(torn > 1000, "%u", torn);
    tap_at(NULL);
}

/* A cut while a journal takes the place of another one. */
NT_TEST(journal_power_cuts_while_formatting)
{
    static const UINT8 other_id[16] = "other";
    unsigned old = 0, new = 0;

    for (uint64_t cut = 0; cut <= 2 * SECTOR + 2 && !tap_failing(); cut += cut < 200 ? 1 : 61) {
        for (enum disk_loss loss = 0; loss < 3; loss++) {
            RPL_JOURNAL second;
            uint64_t random = cut + 99;

            tap_at("cut %llu", (unsigned long long)cut);
            word = 88172645463325252ull + tap_seed();
            begin();
            for (unsigned i = 0; i < 5; i++)
                append();
            RplJournalFlush(&journal);
            now.flushed = now.last;
            disk.cut = disk.written + cut;
            RplJournalFormat(&second, &io, BYTES, other_id, stream_id, scratch);
            disk_crash(&disk, loss, &random);
            need(is_status(RplJournalOpen(&journal, &io, BYTES, scratch), STATUS_SUCCESS));
            if (memcmp(journal.JournalId, other_id, 16) == 0) {
                new ++;
                is_int(RplJournalUsed(&journal), 0);
                is_int(journal.First, 1);
            } else {
                old++;
                check_contents(now.last, now.last);
            }
            disk_free(&disk);
        }
    }
    ok(old > 100 && new > 10, "%u old, %u new", old, new);
    tap_at(NULL);
}

/* A batch that the disk kept though it lost the one before must not come back behind another. */
NT_TEST(journal_takes_nothing_from_another_session)
{
    UCHAR *second = malloc(SECTOR);
    UINT64 first;

    word = 1;
    begin();
    for (UINT64 sequence = 1; sequence <= 2; sequence++) {
        written[sequence].life = 1, written[sequence].size = 100;
        ULONG bytes = put_record(batch + sizeof(RPL_JOURNAL_BATCH), sequence);
        is_status(RplJournalAppend(&journal, batch, bytes, sequence, sequence), STATUS_SUCCESS);
    }
    memcpy(second, disk.current + 3 * SECTOR, SECTOR);
    memset(disk.current + 2 * SECTOR, 0, SECTOR); /* the first is lost */
    is_status(RplJournalOpen(&journal, &io, BYTES, scratch), STATUS_SUCCESS);
    is_int(RplJournalUsed(&journal), 0);
    written[1].life = 2;
    ULONG bytes = put_record(batch + sizeof(RPL_JOURNAL_BATCH), 1);
    is_status(RplJournalAppend(&journal, batch, bytes, 1, 1), STATUS_SUCCESS);
    is_mem(disk.current + 3 * SECTOR, second, SECTOR, "the second is still there");
    is_status(RplJournalOpen(&journal, &io, BYTES, scratch), STATUS_SUCCESS);
    is_int(read_all(0, &first), 1);
    free(second);
    disk_free(&disk);
}

NT_TEST(journal_seeks)
{
    UINT64 first = 0;

    word = 5;
    begin();
    while (NT_SUCCESS(append()))
        ;
    for (UINT64 after = 0; after <= now.last; after++) {
        UINT64 last = read_all(after, &first);

        if (after == now.last) {
            is_int(last, 0);
        } else {
            is_int(last, now.last);
            ok(first <= after + 1 && after + 1 - first < 4, "%llu after %llu",
               (unsigned long long)first, (unsigned long long)after);
        }
    }
    disk_free(&disk);
}

NT_TEST(journal_refuses)
{
    RPL_JOURNAL_CURSOR cursor = {0, 1};
    const UCHAR *records;
    ULONG bytes;

    word = 5;
    begin();
    is_status(RplJournalFormat(&journal, &io, BYTES - SECTOR, journal_id, stream_id, scratch),
              STATUS_INVALID_PARAMETER);
    is_status(RplJournalOpen(&journal, &io, BYTES - SECTOR, scratch), STATUS_NOT_FOUND);
    is_status(RplJournalOpen(&journal, &io, BYTES, scratch), STATUS_SUCCESS);
    is_status(RplJournalAppend(&journal, batch, 0, 1, 1), STATUS_INVALID_PARAMETER);
    is_status(RplJournalAppend(&journal, batch, 12, 1, 1), STATUS_INVALID_PARAMETER);
    is_status(RplJournalAppend(&journal, batch, 16, 0, 1), STATUS_INVALID_PARAMETER);
    is_status(RplJournalAppend(&journal, batch, 16, 2, 1), STATUS_INVALID_PARAMETER);
    is_status(RplJournalAppend(&journal, batch, RPL_JOURNAL_MAX_BATCH, 1, 1),
              STATUS_INVALID_PARAMETER);
    is_status(RplJournalRead(&journal, &cursor, buffer, SECTOR, &records, &bytes),
              STATUS_END_OF_FILE);
    written[1].size = 5000, written[1].life = 1;
    bytes = put_record(batch + sizeof(RPL_JOURNAL_BATCH), 1);
    is_status(RplJournalAppend(&journal, batch, bytes, 1, 1), STATUS_SUCCESS);
    is_status(RplJournalAppend(&journal, batch, bytes, 1, 1), STATUS_INVALID_PARAMETER, "again");
    is_status(RplJournalRead(&journal, &cursor, buffer, SECTOR, &records, &bytes),
              STATUS_BUFFER_TOO_SMALL);
    is_int(bytes, 2 * SECTOR);
    disk.current[3 * SECTOR + 17] ^= 1;
    is_status(RplJournalRead(&journal, &cursor, buffer, 2 * SECTOR, &records, &bytes),
              STATUS_DATA_ERROR);
    disk.current[3 * SECTOR + 17] ^= 1;
    disk.current[2 * SECTOR + 40] ^= 2; /* the session, which is 2 */
    is_status(RplJournalRead(&journal, &cursor, buffer, 2 * SECTOR, &records, &bytes),
              STATUS_DATA_ERROR);
    disk.current[2 * SECTOR + 40] ^= 2;
    is_status(RplJournalRead(&journal, &cursor, buffer, 2 * SECTOR, &records, &bytes),
              STATUS_SUCCESS);
    is_status(RplJournalTrim(&journal, 1), STATUS_SUCCESS);
    cursor = (RPL_JOURNAL_CURSOR){0, 1};
    written[2].size = 10, written[2].life = 1;
    bytes = put_record(batch + sizeof(RPL_JOURNAL_BATCH), 2);
    is_status(RplJournalAppend(&journal, batch, bytes, 2, 2), STATUS_SUCCESS);
    is_status(RplJournalRead(&journal, &cursor, buffer, SECTOR, &records, &bytes),
              STATUS_NOT_FOUND);
    memset(disk.current, 0, 2 * SECTOR);
    is_status(RplJournalOpen(&journal, &io, BYTES, scratch), STATUS_NOT_FOUND);
    disk_free(&disk);
}
