/* What happens where there is no ring, or no room in it: staging, journal, and back. */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#define RING (1u << 20)

NT_TEST(a_full_ring_is_followed_by_the_journal_and_opened_again)
{
    struct rig rig = {0};
    struct reader reader = {0};
    UINT64 last;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    is_int(rig_status(&rig).State, ReplStateRing);
    for (unsigned round = 0; round < 3 && !tap_failing(); round++) {
        /* Past the ring and past what staging keeps in memory. */
        for (unsigned i = 0; i < 3000; i++)
            rig_bookmark(&rig, 500);
        REPL_STATUS status = rig_status(&rig);
        last = status.LastSequence;
        is_int(status.State, ReplStateJournal);
        ok(status.JournalUsed > 0 && status.StagingUsed < REPL_MIN_STAGING);
        is_int(status.FirstSequence, reader.last + 1);
        need(reader_follow(&reader, last));
        is_int(rig_status(&rig).State, ReplStateRing);
        is_int(rig_status(&rig).OpenBrackets, 0);
        is_status(rig_acknowledge(&rig, last), STATUS_SUCCESS);
        sched_run_for(50 * RIG_MS);
        is_int(rig_status(&rig).JournalUsed, 0);
    }
    ok(reader.from_journal > 1000);
    is_int(reader.lost, 0);
    is_int(reader.records, last);
    reader_die(&reader);
    rig_end(&rig);
}

/* While something is in it its size is refused; that is no failure of the journal, for which nobody
 * would wait then. */
NT_TEST(a_size_that_is_refused_is_no_failure_of_the_journal)
{
    struct rig rig = {0};
    struct rig_config config;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    for (unsigned i = 0; i < 3000; i++)
        rig_bookmark(&rig, 500);
    sched_run_for(50 * RIG_MS);
    ok(rig_status(&rig).JournalUsed > 0);
    rig_standard(&config, 1);
    config.header.JournalBytes = REPL_MIN_JOURNAL * 2;
    is_status(rig_set_config(&rig, &config), STATUS_DEVICE_BUSY);
    is_int(rig_refusal(&rig).Reason, ReplRefusalJournal);
    is_int(rig_status(&rig).JournalBytes, REPL_MIN_JOURNAL);
    is_int(rig_status(&rig).JournalStatus, STATUS_SUCCESS);
    rig_end(&rig);
}

NT_TEST(a_reader_that_comes_late_gets_all_from_the_beginning)
{
    struct rig rig = {0};
    struct reader reader = {0};

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    for (unsigned i = 0; i < 20000; i++)
        rig_bookmark(&rig, 100 + i % 50 * 2);
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    need(reader_follow(&reader, 20001));
    is_int(reader.records, 20001);
    is_int(reader.lost, 0);
    reader_die(&reader);
    rig_end(&rig);
}

NT_TEST(a_read_that_is_too_small_for_a_record_says_so)
{
    struct rig rig = {0};
    struct reader reader = {0};
    bool more;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    for (unsigned i = 0; i < 1000; i++)
        rig_bookmark(&rig, 500);
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    is_status(reader_journal(&reader, 144, &more), STATUS_SUCCESS, "the start fits");
    ok(more && reader.last == 1);
    is_status(reader_journal(&reader, 144, &more), STATUS_BUFFER_TOO_SMALL);
    is_status(reader_journal(&reader, 2048, &more), STATUS_SUCCESS);
    ok(more && reader.last == 4);
    need(reader_follow(&reader, 1001));
    reader_die(&reader);
    rig_end(&rig);
}

/* A reader dies with the ring half read, again and again; with a journal nothing is missed. */
NT_TEST(a_reader_that_dies_misses_nothing_where_there_is_a_journal)
{
    for (unsigned seed = 0; seed < 30 && !tap_failing(); seed++) {
        struct rig rig = {0};
        struct reader reader = {0};
        uint32_t random = 77 + seed;
        UINT64 last = 1;

        tap_at("seed %llu", (unsigned long long)tap_seed() + seed);
        need(rig_boot(&rig, tap_seed() + seed));
        need(rig_primary(&rig, true));
        for (unsigned life = 0; life < 6 && !tap_failing(); life++) {
            is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
            for (unsigned step = 0; step < 8; step++) {
                unsigned count;
                bool more;

                random = random * 1664525 + 1013904223;
                count = random >> 16 & 1023;
                for (unsigned i = 0; i < count; i++)
                    last = rig_bookmark(&rig, 2 + (random + i) % 250 * 2);
                switch (random >> 28 & 3) {
                case 0:
                    reader_ring(&reader);
                    break;
                case 1:
                    if (((REPL_RING_HEADER *)reader.ring)->Closed) {
                        reader_ring(&reader);
                        (void)reader_journal(&reader, 16384, &more);
                    }
                    break;
                case 2:
                    if (reader.last)
                        is_status(rig_acknowledge(&rig, reader.last), STATUS_SUCCESS);
                    break;
                default:
                    sched_run_for(random & 0xffff);
                }
            }
            reader_die(&reader);
        }
        is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
        need(reader_follow(&reader, last));
        is_int(reader.last, last);
        is_int(reader.lost, 0);
        is_int(reader.records, last);
        is_int(rig_status(&rig).OpenBrackets, 0);
        reader_die(&reader);
        rig_end(&rig);
    }
    tap_at(NULL);
}

static NTSTATUS take_dirty(struct rig *rig, REPL_DIRTY_FILE *file)
{
    struct {
        REPL_DIRTY_FILE file;
        REPL_DIRTY_RANGE ranges[4];
    } output = {0};
    NTSTATUS status = rig_ioctl(rig, REPL_IOCTL_TAKE_DIRTY, NULL, 0, &output, sizeof output, NULL);

    *file = output.file;
    return status;
}

/* Without a journal, what the reader had not read is lost with it: a bracket says so, and what may
 * have changed is to be taken before it can close. */
NT_TEST(what_is_lost_opens_a_bracket_and_is_dirty_until_it_closes)
{
    struct rig rig = {0};
    struct reader reader = {0};
    REPL_DIRTY_FILE file;
    UINT64 bracket;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, false));
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    need(reader_follow(&reader, 1));
    is_status(take_dirty(&rig, &file), STATUS_NO_MORE_ENTRIES);
    is_int(rig_bookmark(&rig, 8), 2);
    reader_die(&reader);
    is_int(rig_status(&rig).State, ReplStateDirty);
    is_int(rig_bookmark(&rig, 8), 0, "nothing is recorded now");
    is_int(rig_refusal(&rig).Reason, ReplRefusalRing);
    is_status(take_dirty(&rig, &file), STATUS_RETRY);
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    need(reader_follow(&reader, 3));
    is_int(reader.lost, 1);
    is_int(reader.last, 3);
    is_int(reader.type, ReplRecordLost);
    bracket = reader.bracket;
    is_int(bracket, 3);
    REPL_STATUS status = rig_status(&rig);
    is_int(status.State, ReplStateRing);
    is_int(status.OpenBrackets, 1);
    is_status(rig_close_bracket(&rig, bracket), STATUS_DEVICE_BUSY, "what is dirty comes first");
    is_status(take_dirty(&rig, &file), STATUS_SUCCESS);
    is_int(file.SetId, 0);
    is_int(file.Flags, REPL_DIRTY_REGION | REPL_DIRTY_NAMES);
    is_status(take_dirty(&rig, &file), STATUS_NO_MORE_ENTRIES);
    /* The reader dies: it comes again. */
    reader_die(&reader);
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    need(reader_follow(&reader, 3));
    is_status(take_dirty(&rig, &file), STATUS_SUCCESS);
    is_status(take_dirty(&rig, &file), STATUS_NO_MORE_ENTRIES);
    is_status(rig_close_bracket(&rig, bracket), STATUS_SUCCESS);
    is_int(rig_status(&rig).OpenBrackets, 0);
    need(reader_follow(&reader, 4));
    reader_die(&reader);
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    need(reader_follow(&reader, 4));
    is_status(take_dirty(&rig, &file), STATUS_NO_MORE_ENTRIES, "forgotten");
    reader_die(&reader);
    rig_end(&rig);
}

NT_TEST(a_reader_that_missed_what_is_gone_is_told)
{
    struct rig rig = {0};
    struct reader reader = {0}, stale = {0};

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    for (unsigned i = 0; i < 100; i++)
        rig_bookmark(&rig, 8);
    need(reader_follow(&reader, 101));
    reader_die(&reader);
    stale.last = 50;
    is_status(reader_begin(&stale, &rig, RING), STATUS_PENDING);
    need(reader_follow(&stale, 102));
    is_int(stale.lost, 1);
    is_int(stale.last, 102);
    is_int(rig_status(&rig).OpenBrackets, 1);
    reader_die(&stale);
    rig_end(&rig);
}
