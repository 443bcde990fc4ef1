/* The lent ring: order, wrap, what its reader may write, and its end at any moment. */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

#define RING (1u << 20)

NT_TEST(records_reach_the_reader_in_order_over_many_rounds_of_the_ring)
{
    struct rig rig = {0};
    struct reader reader = {0};

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    for (unsigned i = 2; i < 6000 && !tap_failing(); i++) {
        is_int(rig_bookmark(&rig, 2 + i * 7 % 500 / 2 * 2), i);
        if (i % 16 == 0)
            reader_ring(&reader);
    }
    reader_ring(&reader);
    is_int(reader.last, 5999);
    ok(reader.position > 2 * reader.ring_bytes, "it went round");
    REPL_STATUS status = rig_status(&rig);
    is_int(status.State, ReplStateRing);
    is_int(status.RingUsed, 0);
    is_int(status.FirstSequence, 6000);
    is_int(reader.from_journal, 0);
    is_int(reader.lost, 0);
    reader_die(&reader);
    rig_end(&rig);
}

NT_TEST(what_cannot_be_lent_is_refused)
{
    struct rig rig = {0};
    struct reader reader = {0}, other = {0};

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&other, &rig, RING - 4096), STATUS_INVALID_BUFFER_SIZE);
    other.last = 2;
    is_status(reader_begin(&other, &rig, RING), STATUS_INVALID_PARAMETER, "from the future");
    other.last = 0;
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    is_status(reader_begin(&other, &rig, RING), STATUS_DEVICE_BUSY, "one at a time");
    need(reader_follow(&reader, 1));
    reader_die(&reader);
    is_status(reader_begin(&other, &rig, RING), STATUS_PENDING, "one after the other");
    reader_die(&other);
    rig_end(&rig);
}

NT_TEST(a_ring_ends_by_cancel_too)
{
    struct rig rig = {0};
    struct reader reader = {0};

    for (unsigned seed = 0; seed < 20 && !tap_failing(); seed++) {
        tap_at("seed %llu", (unsigned long long)tap_seed() + seed);
        memset(&reader, 0, sizeof reader);
        need(rig_boot(&rig, tap_seed() + seed));
        need(rig_primary(&rig, true));
        is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
        rig_bookmark(&rig, 8);
        is_status(io_cancel(rig.client, reader.handle, reader.lent.request), STATUS_SUCCESS);
        if (seed % 2 == 0) /* the handle closes while it ends */
            is_status(io_close(rig.client, reader.handle), STATUS_SUCCESS);
        ok(rig_wait(&reader.lent));
        is_status(reader.lent.status, STATUS_CANCELLED);
        is_int(((REPL_RING_HEADER *)reader.ring)->Closed, 1);
        if (seed % 2)
            is_status(io_close(rig.client, reader.handle), STATUS_SUCCESS);
        free(reader.ring);
        is_int(rig_status(&rig).RingBytes, 0);
        rig_end(&rig);
    }
    tap_at(NULL);
}

/* The driver believes a Tail only within [its last value, Head]; the worst that a reader gets by
 * another is a ring that stays full. */
NT_TEST(a_hostile_reader_harms_itself_alone)
{
    static const UINT64 tails[] = {1,          ~0ull,    1ull << 63, 0x7FFFFFFFFFFFFFFF,
                                   0xFFFFFFF8, 1u << 30, 3,          7};
    struct rig rig = {0};
    struct reader reader = {0}, next = {0};
    uint32_t random = 12345;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&reader, &rig, RING), STATUS_PENDING);
    for (unsigned i = 0; i < 20000 && !tap_failing(); i++) {
        REPL_RING_HEADER *header = reader.ring;
        UINT64 *words = reader.ring;

        rig_bookmark(&rig, 500);
        random = random * 1664525 + 1013904223;
        header->Tail = i % 3 ? tails[random >> 16 & 7] : random >> 8;
        /* All of the header and of the records. */
        words[(random >> 5) % (RING / 8)] = random * 0x9E3779B97F4A7C15ull;
        header->Head = random;
        header->DataBytes = ~0ull;
        if (i % 1000 == 0)
            (void)rig_status(&rig);
    }
    reader_die(&reader);
    /* The next one, an honest one, begins where it can: what was spoiled is lost, and said so. */
    is_status(reader_begin(&next, &rig, RING), STATUS_PENDING);
    need(reader_follow(&next, rig_status(&rig).LastSequence));
    is_int(next.lost + next.starts > 0, 1);
    rig_bookmark(&rig, 8);
    need(reader_follow(&next, rig_status(&rig).LastSequence));
    reader_die(&next);
    rig_end(&rig);
}
