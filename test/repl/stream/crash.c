/* Restarts: after a halt that was in order, after a crash at any moment, and what the numbers do.
 */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#define RING (1u << 20)

NT_TEST(a_halt_with_nothing_left_to_do_is_clean)
{
    struct rig rig = {0};
    struct reader reader = {0};

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    is_int(rig_bookmark(&rig, 8), 2);
    need(reader_follow(&reader, 2));
    is_status(rig_acknowledge(&rig, 2), STATUS_SUCCESS);
    reader_die(&reader);
    rig_halt(&rig);
    need(rig_boot(&rig, tap_seed()));
    REPL_STATUS status = rig_status(&rig);
    is_int(status.UncleanStart, 0);
    is_int(status.LastSequence, 3, "the start, next to the last");
    is_int(status.OpenBrackets, 0);
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    need(reader_follow(&reader, 3));
    is_int(reader.starts, 2);
    is_int(reader.lost, 0);
    is_int(reader.bracket, 0);
    reader_die(&reader);
    rig_end(&rig);
}

NT_TEST(a_halt_with_something_left_opens_a_bracket)
{
    struct rig rig = {0};
    struct reader reader = {0};

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    is_int(rig_bookmark(&rig, 8), 2);
    need(reader_follow(&reader, 2));
    is_status(rig_acknowledge(&rig, 1), STATUS_SUCCESS);
    reader_die(&reader);
    rig_halt(&rig);
    need(rig_boot(&rig, tap_seed()));
    REPL_STATUS status = rig_status(&rig);
    is_int(status.UncleanStart, 1);
    is_int(status.OpenBrackets, 1);
    ok(status.LastSequence > 3);
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    need(reader_follow(&reader, status.LastSequence));
    is_int(reader.starts, 2);
    is_int(reader.bracket, status.LastSequence);
    /* What the dirty-region log knows is to be asked for, before the bracket can close. */
    const REPL_REGION_QUERY query = {.FileId = {1}, .Size = 100ull << 20};
    struct {
        REPL_DIRTY_FILE file;
        REPL_DIRTY_RANGE ranges[4];
    } output = {0};
    is_status(rig_close_bracket(&rig, reader.bracket), STATUS_DEVICE_BUSY);
    is_status(rig_ioctl(&rig, REPL_IOCTL_TAKE_DIRTY, NULL, 0, &output, sizeof output, NULL),
              STATUS_SUCCESS);
    is_int(output.file.Flags, REPL_DIRTY_REGION | REPL_DIRTY_NAMES);
    is_status(rig_ioctl(&rig, REPL_IOCTL_QUERY_REGIONS, &query, sizeof query, &output,
                        sizeof output, NULL),
              STATUS_SUCCESS);
    is_int(output.file.Flags, REPL_DIRTY_REGION);
    is_int(output.file.RangeCount, 0, "nothing was written");
    is_int(rig_status(&rig).RegionStatus, 0);
    is_status(rig_ioctl(&rig, REPL_IOCTL_TAKE_DIRTY, NULL, 0, &output, sizeof output, NULL),
              STATUS_NO_MORE_ENTRIES);
    is_status(rig_close_bracket(&rig, reader.bracket), STATUS_SUCCESS);
    need(reader_follow(&reader, status.LastSequence + 1));
    is_status(rig_acknowledge(&rig, reader.last), STATUS_SUCCESS);
    reader_die(&reader);
    rig_halt(&rig);
    need(rig_boot(&rig, tap_seed()));
    is_int(rig_status(&rig).UncleanStart, 0, "all is in order again");
    rig_end(&rig);
}

/* At each crash, what was on disk is copied and a driver started on the copy: its first number is
 * above every number that was ever given out, and its epoch is none that was forgotten. */
NT_TEST(no_number_is_given_out_twice_over_crashes)
{
    struct rig rig = {0};
    uint32_t random = 4242;
    UINT64 highest = 0, epoch = 1;

    for (unsigned crash = 0; crash < 25 && !tap_failing(); crash++) {
        char copy[64];
        REPL_STATUS status;
        UINT64 sequence = 0;

        tap_at("crash %u", crash);
        need(rig_boot(&rig, tap_seed() + crash));
        if (crash == 0)
            need(rig_primary(&rig, true));
        status = rig_status(&rig);
        ok(status.LastSequence > highest, "%llu after %llu",
           (unsigned long long)status.LastSequence, (unsigned long long)highest);
        is_int(status.Epoch, epoch);
        is_int(status.UncleanStart, crash != 0);
        random = random * 1664525 + 1013904223;
        for (unsigned i = random >> 16 & 255; i; i--)
            sequence = rig_bookmark(&rig, 8);
        if (random & 1)
            is_status(rig_role(&rig, ReplRolePrimary, ++epoch,
                               random & 2 ? rig_status(&rig).LastSequence + 1000 : 0),
                      STATUS_SUCCESS);
        sequence = rig_bookmark(&rig, 8);
        ok(sequence != 0);
        need(rig_copy(&rig, copy));
        for (unsigned i = random >> 24 & 63; i; i--)
            rig_bookmark(&rig, 8); /* those never happened, as far as the copy knows */
        highest = sequence;
        rig_end(&rig);
        strcpy(rig.state_dir, copy);
    }
    tap_at(NULL);
    rig_remove(rig.state_dir);
}

/* More than a lease, so that it is renewed on the way, and a crash right after. */
NT_TEST(the_lease_of_numbers_is_renewed_before_it_ends)
{
    struct rig rig = {0};
    struct reader reader = {0};
    UINT64 last = 0;
    char copy[64];

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&reader, &rig, 1 << 22), STATUS_PENDING);
    for (unsigned i = 0; i < 300000 && !tap_failing(); i++) {
        last = rig_bookmark(&rig, 2);
        if (!last)
            break;
        if (i % 1024 == 0)
            reader_ring(&reader);
    }
    is_int(last, 300001, "none was refused");
    need(rig_copy(&rig, copy));
    reader_die(&reader);
    rig_end(&rig);
    strcpy(rig.state_dir, copy);
    need(rig_boot(&rig, tap_seed()));
    ok(rig_status(&rig).LastSequence > last);
    rig_end(&rig);
}
