/*
 * Cancellation: by request, by handle, by CLEANUP, by the death of the process; and the races of
 * IoCancelIrp with completion, over many schedules. Every race ends in exactly one completion, with
 * one of the two statuses that are right.
 */
#include "fixture.h"
#include <nthost/sched.h>
#include <stdlib.h>

NT_TEST(cancel_ends_a_waiting_request)
{
    struct fixture f;
    struct pending first, second;
    IOTEST_STATS stats;
    need(fixture_begin(&f));
    is_status(pending_start(&f, &first, IOTEST_IOCTL_WAIT, NULL, 0), STATUS_PENDING);
    is_status(pending_start(&f, &second, IOTEST_IOCTL_WAIT, NULL, 0), STATUS_PENDING);
    fixture_stats(&f, &stats);
    is_int(stats.Waiting, 2);
    is_status(io_cancel(f.client, f.handle, first.request), STATUS_SUCCESS);
    ok(pending_wait(&first));
    is_status(first.status, STATUS_CANCELLED);
    ok(!second.done);
    is_status(io_cancel(f.client, f.handle, NULL), STATUS_SUCCESS);
    ok(pending_wait(&second));
    is_status(second.status, STATUS_CANCELLED);
    is_status(io_cancel(f.client, f.handle, NULL), STATUS_NOT_FOUND);
    is_status(io_cancel(f.client, 12344, NULL), STATUS_INVALID_HANDLE);
    fixture_stats(&f, &stats);
    is_int(stats.Cancelled, 2);
    is_int(stats.Waiting, 0);
    fixture_end(&f);
}

NT_TEST(signal_completes_with_data)
{
    struct fixture f;
    struct pending p;
    ULONG waited = 9;
    need(fixture_begin(&f));
    is_status(pending_start(&f, &p, IOTEST_IOCTL_WAIT, NULL, 0), STATUS_PENDING);
    is_status(io_ioctl(f.client, f.handle, IOTEST_IOCTL_SIGNAL, "event", 5, &waited, 4, NULL),
              STATUS_SUCCESS);
    is_int(waited, 1);
    ok(pending_wait(&p));
    is_status(p.status, STATUS_SUCCESS);
    is_int(p.information, 5);
    is_mem(p.output, "event", 5);
    is_status(io_ioctl(f.client, f.handle, IOTEST_IOCTL_SIGNAL, "event", 5, &waited, 4, NULL),
              STATUS_SUCCESS);
    is_int(waited, 0);
    fixture_end(&f);
}

/* Only the requests of the handle that goes; the other's stay. */
NT_TEST(close_sends_cleanup_which_ends_that_files_requests)
{
    struct fixture f;
    struct pending mine, others;
    io_handle other;
    IOTEST_STATS stats;
    need(fixture_begin(&f));
    is_status(io_open(f.client, "\\\\.\\IoTest", GENERIC_READ, &other), STATUS_SUCCESS);
    is_status(pending_start(&f, &mine, IOTEST_IOCTL_WAIT, NULL, 0), STATUS_PENDING);
    memset(&others, 0, sizeof(others));
    is_status(io_ioctl_start(f.client, other, IOTEST_IOCTL_WAIT, NULL, 0, others.output, 8,
                             pending_done, &others, &others.request),
              STATUS_PENDING);
    is_status(io_close(f.client, other), STATUS_SUCCESS);
    ok(pending_wait(&others));
    is_status(others.status, STATUS_CANCELLED);
    ok(!mine.done);
    fixture_stats(&f, &stats);
    is_int(stats.CleanedUp, 1);
    is_int(stats.Cancelled, 0);
    is_status(io_cancel(f.client, f.handle, NULL), STATUS_SUCCESS);
    ok(pending_wait(&mine));
    fixture_end(&f);
}

NT_TEST(death_of_a_process_ends_everything)
{
    struct fixture f;
    struct pending waits[5];
    IOTEST_STATS stats, before;
    need(fixture_begin(&f));
    struct fixture victim = {.client = io_client_create(IO_TOKEN_USER, 2000)};
    is_status(io_open(victim.client, "\\\\.\\IoTest", GENERIC_READ, &victim.handle),
              STATUS_SUCCESS);
    fixture_stats(&f, &before);
    for (unsigned i = 0; i < 5; i++)
        is_status(pending_start(&victim, &waits[i], IOTEST_IOCTL_WAIT, NULL, 0), STATUS_PENDING);
    io_client_destroy(victim.client);
    for (unsigned i = 0; i < 5; i++) {
        ok(waits[i].done);
        is_int(waits[i].calls, 1);
        is_status(waits[i].status, STATUS_CANCELLED);
        io_request_release(waits[i].request);
    }
    fixture_stats(&f, &stats);
    is_int(stats.Cancelled - before.Cancelled, 5);
    is_int(stats.Cleanups - before.Cleanups, 1);
    is_int(stats.Closes - before.Closes, 1);
    is_int(stats.ProcessesEnded, 1);
    fixture_end(&f);
}

/* A driver that does not cancel keeps the process until it completes. */
NT_TEST(death_waits_for_what_cannot_be_cancelled)
{
    struct fixture f;
    struct pending p;
    ULONG told[2] = {200, 1};
    need(fixture_begin(&f));
    struct fixture victim = {.client = io_client_create(IO_TOKEN_SYSTEM, 2000)};
    is_status(io_open(victim.client, "\\\\.\\IoTest", GENERIC_READ, &victim.handle),
              STATUS_SUCCESS);
    is_status(pending_start(&victim, &p, IOTEST_IOCTL_LATER, told, sizeof(told)), STATUS_PENDING);
    uint64_t before = sched_interrupt_time();
    io_client_destroy(victim.client);
    ok(p.done);
    is_status(p.status, STATUS_SUCCESS);
    ok(sched_interrupt_time() - before >= 1500000);
    io_request_release(p.request);
    fixture_end(&f);
}

/* Races. Three threads: one waits, one signals, one cancels. */

struct race {
    struct fixture *f;
    struct pending *p;
    ULONG waited;
    NTSTATUS cancel_status;
};

static void race_signal(void *context)
{
    struct race *race = context;
    io_ioctl(race->f->client, race->f->handle, IOTEST_IOCTL_SIGNAL, "x", 1, &race->waited, 4, NULL);
}

static void race_cancel(void *context)
{
    struct race *race = context;
    race->cancel_status = io_cancel(race->f->client, race->f->handle, NULL);
}

/* One race; adds to what happened. Each request ends once, and as somebody told it to. */
static void run_race(struct fixture *f, unsigned outcomes[3])
{
    struct pending p;
    struct race race = {.f = f, .p = &p};
    struct nt_thread *cancel = nt_spawn("cancel", race_cancel, &race);
    struct nt_thread *signal = nt_spawn("signal", race_signal, &race);
    is_status(pending_start(f, &p, IOTEST_IOCTL_WAIT, NULL, 0), STATUS_PENDING);
    nt_join(cancel);
    nt_join(signal);
    if (!p.done) {
        /* Both came too early. */
        ok(race.waited == 0);
        is_status(io_cancel(f->client, f->handle, NULL), STATUS_SUCCESS);
        ok(pending_wait(&p));
        is_status(p.status, STATUS_CANCELLED);
        outcomes[0]++;
        return;
    }
    is_int(p.calls, 1);
    if (p.status == STATUS_SUCCESS) {
        is_int(race.waited, 1);
        is_mem(p.output, "x", 1);
        outcomes[1]++;
    } else {
        is_status(p.status, STATUS_CANCELLED);
        is_int(race.waited, 0);
        is_status(race.cancel_status, STATUS_SUCCESS);
        outcomes[2]++;
    }
    io_request_release(p.request);
}

NT_TEST(cancel_races_with_completion)
{
    unsigned outcomes[3] = {0};
    for (unsigned i = 0; i < 200 && !tap_failing(); i++) {
        struct fixture f;
        tap_at("seed %lu", tap_seed() + i);
        need(fixture_start(&f, NT_DETERMINISTIC, tap_seed() + i, NULL));
        for (unsigned round = 0; round < 5; round++)
            run_race(&f, outcomes);
        IOTEST_STATS stats;
        fixture_stats(&f, &stats);
        is_int(stats.Cancelled + stats.Signalled, 5);
        is_int(stats.Waiting, 0);
        fixture_end(&f);
    }
    tap_at(NULL);
    diag("both too early %u, signalled %u, cancelled %u", outcomes[0], outcomes[1], outcomes[2]);
    ok(outcomes[1] != 0 && outcomes[2] != 0);
}

static void race_close(void *context)
{
    struct race *race = context;
    race->cancel_status = io_close(race->f->client, race->f->handle);
}

NT_TEST(close_races_with_a_request_and_a_signal)
{
    for (unsigned i = 0; i < 200 && !tap_failing(); i++) {
        struct fixture f;
        struct pending p;
        tap_at("seed %lu", tap_seed() + i);
        need(fixture_start(&f, NT_DETERMINISTIC, tap_seed() + i, NULL));
        struct fixture other = f;
        is_status(io_open(f.client, "\\\\.\\IoTest", GENERIC_READ, &other.handle), STATUS_SUCCESS);
        struct race closing = {.f = &other}, signalling = {.f = &f};
        struct nt_thread *close = nt_spawn("close", race_close, &closing);
        struct nt_thread *signal = nt_spawn("signal", race_signal, &signalling);
        NTSTATUS started = pending_start(&other, &p, IOTEST_IOCTL_WAIT, NULL, 0);
        nt_join(close);
        nt_join(signal);
        is_status(closing.cancel_status, STATUS_SUCCESS);
        if (started == STATUS_PENDING) {
            /* A request that comes after CLEANUP waits on; its file is still referenced. */
            if (!p.done) {
                ULONG waited;
                is_status(
                    io_ioctl(f.client, f.handle, IOTEST_IOCTL_SIGNAL, "y", 1, &waited, 4, NULL),
                    STATUS_SUCCESS);
                is_int(waited, 1);
            }
            ok(pending_wait(&p));
            is_int(p.calls, 1);
            ok(p.status == STATUS_SUCCESS || p.status == STATUS_CANCELLED);
        } else {
            is_status(started, STATUS_INVALID_HANDLE);
        }
        fixture_end(&f);
    }
    tap_at(NULL);
}

struct dying {
    struct io_client *client;
};

static void race_die(void *context)
{
    io_client_destroy(((struct dying *)context)->client);
}

NT_TEST(death_races_with_completion)
{
    for (unsigned i = 0; i < 200 && !tap_failing(); i++) {
        struct fixture f;
        struct pending waits[3];
        tap_at("seed %lu", tap_seed() + i);
        need(fixture_start(&f, NT_DETERMINISTIC, tap_seed() + i, NULL));
        struct fixture victim = {.client = io_client_create(IO_TOKEN_SYSTEM, 2000)};
        is_status(io_open(victim.client, "\\\\.\\IoTest", GENERIC_READ, &victim.handle),
                  STATUS_SUCCESS);
        for (unsigned n = 0; n < 3; n++)
            is_status(pending_start(&victim, &waits[n], IOTEST_IOCTL_WAIT, NULL, 0),
                      STATUS_PENDING);
        struct race signalling[2] = {{.f = &f}, {.f = &f}};
        struct dying dying = {victim.client};
        struct nt_thread *threads[3] = {nt_spawn("die", race_die, &dying),
                                        nt_spawn("signal", race_signal, &signalling[0]),
                                        nt_spawn("signal", race_signal, &signalling[1])};
        for (unsigned n = 0; n < 3; n++)
            nt_join(threads[n]);
        unsigned signalled = 0;
        for (unsigned n = 0; n < 3; n++) {
            ok(waits[n].done);
            is_int(waits[n].calls, 1);
            signalled += waits[n].status == STATUS_SUCCESS;
            io_request_release(waits[n].request);
        }
        is_int(signalled, signalling[0].waited + signalling[1].waited);
        fixture_end(&f);
    }
    tap_at(NULL);
}

/* The same races on real threads, for the sanitizers. */
NT_TEST(races_in_real_time)
{
    struct fixture f;
    unsigned outcomes[3] = {0};
    need(fixture_start(&f, NT_REALTIME, 0, NULL));
    for (unsigned i = 0; i < 300 && !tap_failing(); i++)
        run_race(&f, outcomes);
    diag("both too early %u, signalled %u, cancelled %u", outcomes[0], outcomes[1], outcomes[2]);
    fixture_end(&f);
}
