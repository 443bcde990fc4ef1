/*
 * The echo driver, as an ELF module and as a PE image: what it does, and what happens when
 * cancellation, completion and closing meet, over many schedules.
 */
#include "kmdfecho.h"
#include "tap.h"
#include <inttypes.h>
#include <nthost/client.h>
#include <nthost/loader.h>
#include <nthost/registry.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include <ntddk.h>
#include <string.h>

static PDRIVER_OBJECT driver;
static struct io_client *client;
static io_handle handle;

static NTSTATUS load(void)
{
    char error[256] = "";
    registry_create_key(REGISTRY_SERVICES "\\KmdfEcho");
    NTSTATUS status =
        driver_load("KmdfEcho", driver_path("kmdfecho"), &driver, error, sizeof(error));
    if (*error)
        diag("%s", error);
    return status;
}

static void start(enum nt_scheduler scheduler, uint64_t seed)
{
    tap_start(scheduler, seed);
    is_status(load(), STATUS_SUCCESS);
    client = io_client_create(IO_TOKEN_ADMINISTRATOR, 77);
    is_status(io_open(client, "\\\\.\\KmdfEcho", GENERIC_READ | GENERIC_WRITE, &handle),
              STATUS_SUCCESS);
}

static void stop(void)
{
    if (client)
        io_client_destroy(client);
    client = NULL;
    is_status(driver_unload(driver), STATUS_SUCCESS);
    nt_stop();
}

static ECHO_STATS stats(void)
{
    ECHO_STATS result = {0};
    is_status(io_ioctl(client, handle, ECHO_IOCTL_STATS, NULL, 0, &result, sizeof(result), NULL),
              STATUS_SUCCESS);
    return result;
}

struct sent {
    struct io_request *request;
    volatile bool done;
    unsigned times;
    NTSTATUS status;
    ULONG_PTR information;
    char output[8];
};
static void sent_done(void *context, NTSTATUS status, ULONG_PTR information)
{
    struct sent *sent = context;
    sent->status = status;
    sent->information = information;
    sent->times++;
    sent->done = true;
}
static void send(struct sent *sent, ULONG code)
{
    *sent = (struct sent){0};
    is_status(io_ioctl_start(client, handle, code, "echo", 4, sent->output, sizeof(sent->output),
                             sent_done, sent, &sent->request),
              STATUS_PENDING);
}
static void run(unsigned milliseconds)
{
    if (sched_is_deterministic()) {
        sched_run_for(milliseconds * 10000ull);
    } else {
        LARGE_INTEGER delay = {.QuadPart = milliseconds * -10000ll};
        nt_enter();
        KeDelayExecutionThread(KernelMode, FALSE, &delay);
        nt_leave();
    }
}
static void wait_for(struct sent *sent)
{
    for (unsigned i = 0; i < 200 && !sent->done; i++)
        run(10);
    ok(sent->done);
    is_int(sent->times, 1);
    io_request_release(sent->request);
}

static void everything(enum nt_scheduler scheduler)
{
    struct sent sent, other;
    ULONG_PTR bytes = 0;
    char output[64] = "";
    unsigned char irql = 99;
    ECHO_STATS now;
    start(scheduler, tap_seed());
    is_status(io_ioctl(client, handle, ECHO_IOCTL_ECHO, "hello", 5, output, sizeof(output), &bytes),
              STATUS_SUCCESS);
    is_int(bytes, 5);
    is_mem(output, "hello", 5);
    is_status(io_ioctl(client, handle, ECHO_IOCTL_ECHO, "hello", 5, output, 4, &bytes),
              STATUS_BUFFER_TOO_SMALL);
    is_status(
        io_ioctl(client, handle, ECHO_IOCTL_UPPER, "hello", 5, output, sizeof(output), &bytes),
        STATUS_SUCCESS);
    is_mem(output, "HELLO", 5);
    is_status(io_ioctl(client, handle,
                       CTL_CODE(FILE_DEVICE_UNKNOWN, 0x8ff, METHOD_BUFFERED, FILE_ANY_ACCESS), NULL,
                       0, NULL, 0, NULL),
              STATUS_INVALID_DEVICE_REQUEST);

    is_status(io_ioctl(client, handle, ECHO_IOCTL_WORK, NULL, 0, &irql, 1, NULL), STATUS_SUCCESS);
    is_int(irql, PASSIVE_LEVEL);
    is_status(io_ioctl(client, handle, ECHO_IOCTL_DPC, NULL, 0, &irql, 1, NULL), STATUS_SUCCESS);
    is_int(irql, DISPATCH_LEVEL);

    is_status(io_write(client, handle, "stored", 6, 0, &bytes), STATUS_SUCCESS);
    is_int(bytes, 6);
    is_status(io_read(client, handle, output, sizeof(output), 0, &bytes), STATUS_SUCCESS);
    is_int(bytes, 6);
    is_mem(output, "stored", 6);

    send(&sent, ECHO_IOCTL_DELAY);
    ok(!sent.done);
    now = stats();
    is_int(now.Pending, 1);
    is_int(now.DelayMilliseconds, 20);
    wait_for(&sent);
    is_status(sent.status, STATUS_SUCCESS);
    is_mem(sent.output, "echo", 4);

    send(&sent, ECHO_IOCTL_DELAY);
    is_status(io_cancel(client, handle, sent.request), STATUS_SUCCESS);
    wait_for(&sent);
    is_status(sent.status, STATUS_CANCELLED);

    send(&sent, ECHO_IOCTL_WAIT);
    send(&other, ECHO_IOCTL_WAIT);
    is_status(io_cancel(client, handle, sent.request), STATUS_SUCCESS);
    wait_for(&sent);
    is_status(sent.status, STATUS_CANCELLED);
    is_status(io_ioctl(client, handle, ECHO_IOCTL_RELEASE, NULL, 0, output, 1, &bytes),
              STATUS_SUCCESS);
    is_int(output[0], 1);
    wait_for(&other);
    is_status(other.status, STATUS_SUCCESS);

    now = stats();
    is_int(now.Delayed, 1);
    is_int(now.Canceled, 1);
    is_int(now.CanceledOnQueue, 1);
    is_int(now.Released, 1);
    is_int(now.Opens, 1);
    is_int(now.Pending, 0);
    is_int(now.FileRequests, 13);

    io_handle below = 0;
    is_status(io_open(client, "\\\\.\\KmdfEcho\\below", GENERIC_READ, &below),
              STATUS_OBJECT_NAME_NOT_FOUND);
    struct io_client *user = io_client_create(IO_TOKEN_USER, 78);
    is_status(io_open(user, "\\\\.\\KmdfEcho", GENERIC_READ, &below), STATUS_ACCESS_DENIED);
    io_client_destroy(user);
    stop();
}

NT_TEST(echo_does_all_it_can)
{
    everything(NT_DETERMINISTIC);
}

NT_TEST(echo_does_all_it_can_in_real_time)
{
    everything(NT_REALTIME);
}

NT_TEST(echo_reads_its_parameters)
{
    tap_start(NT_DETERMINISTIC, tap_seed());
    registry_set_dword(REGISTRY_SERVICES "\\KmdfEcho\\Parameters", "DelayMilliseconds", 123);
    is_status(load(), STATUS_SUCCESS);
    client = io_client_create(IO_TOKEN_SYSTEM, 4);
    is_status(io_open(client, "\\\\.\\KmdfEcho", GENERIC_READ, &handle), STATUS_SUCCESS);
    is_int(stats().DelayMilliseconds, 123);
    stop();
}

/* A thread that does one thing, when the scheduler lets it. */
struct actor {
    void (*act)(struct actor *actor);
    struct sent *sent;
    NTSTATUS status;
};
static void play(void *context)
{
    struct actor *actor = context;
    actor->act(actor);
}
static void act_cancel(struct actor *actor)
{
    actor->status = io_cancel(client, handle, actor->sent->request);
}
static void act_release(struct actor *actor)
{
    unsigned char count;
    actor->status = io_ioctl(client, handle, ECHO_IOCTL_RELEASE, NULL, 0, &count, 1, NULL);
}
static void act_close(struct actor *actor)
{
    actor->status = io_close(client, handle);
}
/* Long enough for the timer to be about to expire. */
static void sleep_as_the_timer(void)
{
    LARGE_INTEGER delay = {.QuadPart = -200000};
    nt_enter();
    KeDelayExecutionThread(KernelMode, FALSE, &delay);
    nt_leave();
}
static void act_cancel_late(struct actor *actor)
{
    sleep_as_the_timer();
    act_cancel(actor);
}
/* The process ends: its requests are cancelled, its handles closed. */
static void act_leave_late(struct actor *actor)
{
    struct io_client *leaving = client;
    (void)actor;
    sleep_as_the_timer();
    client = NULL;
    io_client_destroy(leaving);
}

/* Sends one request, lets actors loose on it, and returns how it ended. */
static NTSTATUS race(uint64_t seed, ULONG code, void (*first)(struct actor *),
                     void (*second)(struct actor *))
{
    struct actor actors[2] = {{.act = first}, {.act = second}};
    struct nt_thread *threads[2] = {NULL, NULL};
    struct sent sent;
    start(NT_DETERMINISTIC, seed);
    sched_set_time_slip(20);
    send(&sent, code);
    for (unsigned i = 0; i < 2; i++) {
        actors[i].sent = &sent;
        if (actors[i].act)
            threads[i] = nt_spawn("actor", play, &actors[i]);
    }
    run(100);
    for (unsigned i = 0; i < 2; i++)
        if (threads[i])
            nt_join(threads[i]);
    bool closed = first == act_close || second == act_close;
    if (client && (closed || !sent.done)) {
        io_client_destroy(client); /* cancels what is left */
        client = NULL;
    } else if (client) {
        is_int(stats().Pending, 0);
    }
    ok(sent.done);
    is_int(sent.times, 1, "once");
    io_request_release(sent.request);
    stop();
    return sent.status;
}

static void expect_both(ULONG code, void (*first)(struct actor *), void (*second)(struct actor *),
                        unsigned seeds)
{
    unsigned completed = 0, cancelled = 0;
    for (unsigned i = 0; i < seeds && !tap_failing(); i++) {
        tap_at("seed %" PRIu64, tap_seed() + i);
        NTSTATUS status = race(tap_seed() + i, code, first, second);
        completed += status == STATUS_SUCCESS;
        cancelled += status == STATUS_CANCELLED;
        ok(status == STATUS_SUCCESS || status == STATUS_CANCELLED, "0x%08x", (unsigned)status);
    }
    tap_at(NULL);
    ok(completed > 0 && cancelled > 0, "%u were completed, %u cancelled", completed, cancelled);
}

NT_TEST(cancel_races_with_the_timer)
{
    expect_both(ECHO_IOCTL_DELAY, act_cancel_late, NULL, 400);
}

NT_TEST(cancel_races_with_retrieval)
{
    expect_both(ECHO_IOCTL_WAIT, act_cancel, act_release, 400);
}

NT_TEST(leaving_races_with_the_timer)
{
    expect_both(ECHO_IOCTL_DELAY, act_leave_late, NULL, 400);
}

NT_TEST(close_races_with_cancel)
{
    for (unsigned i = 0; i < 200 && !tap_failing(); i++) {
        tap_at("seed %" PRIu64, tap_seed() + i);
        race(tap_seed() + i, ECHO_IOCTL_WAIT, act_close, act_cancel);
    }
    tap_at(NULL);
}

/* Real threads, which do anything at any time: all that is asked for is answered, once. */
struct worker {
    unsigned number, answered, cancelled;
};
static void work(void *context)
{
    static const ULONG codes[] = {ECHO_IOCTL_ECHO, ECHO_IOCTL_DELAY, ECHO_IOCTL_WAIT,
                                  ECHO_IOCTL_WORK, ECHO_IOCTL_DPC,   ECHO_IOCTL_UPPER};
    struct worker *worker = context;
    uint32_t random = 12345 + worker->number * 7919;
    for (unsigned round = 0; round < 150; round++) {
        struct sent sent;
        random = random * 1664525 + 1013904223;
        send(&sent, codes[(random >> 16) % 6]);
        if ((random >> 8) % 3 == 0)
            io_cancel(client, handle, sent.request);
        while (!sent.done) {
            struct actor actor = {.sent = &sent};
            LARGE_INTEGER moment = {.QuadPart = -1000};
            act_release(&actor); /* whoever waits */
            nt_enter();
            KeDelayExecutionThread(KernelMode, FALSE, &moment);
            nt_leave();
        }
        is_int(sent.times, 1);
        worker->answered++;
        worker->cancelled += sent.status == STATUS_CANCELLED;
        io_request_release(sent.request);
    }
}

NT_TEST(echo_among_real_threads)
{
    struct worker workers[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    struct nt_thread *threads[4];
    unsigned answered = 0;
    tap_start(NT_REALTIME, tap_seed());
    registry_set_dword(REGISTRY_SERVICES "\\KmdfEcho\\Parameters", "DelayMilliseconds", 1);
    is_status(load(), STATUS_SUCCESS);
    client = io_client_create(IO_TOKEN_ADMINISTRATOR, 79);
    is_status(io_open(client, "\\\\.\\KmdfEcho", GENERIC_READ | GENERIC_WRITE, &handle),
              STATUS_SUCCESS);
    for (unsigned i = 0; i < 4; i++)
        threads[i] = nt_spawn("worker", work, &workers[i]);
    for (unsigned i = 0; i < 4; i++) {
        nt_join(threads[i]);
        answered += workers[i].answered;
    }
    is_int(answered, 4 * 150);
    ECHO_STATS now = stats();
    is_int(now.Pending, 0);
    ok(now.Delayed > 0 && now.Released > 0 && now.Echoes > 0);
    stop();
}

/* Each call that can fail does, once from each place: the driver gives up cleanly, or does without.
 */
NT_TEST(every_failure_is_survived)
{
    unsigned rounds = 0, refused = 0;
    vf_fault_sweep_begin(true);
    for (bool more = true; more && rounds < 2000; rounds++) {
        char output[16];
        tap_start(NT_DETERMINISTIC, tap_seed());
        registry_create_key(REGISTRY_SERVICES "\\KmdfEcho");
        vf_fault_round_begin();
        NTSTATUS status =
            driver_load("KmdfEcho", driver_path("kmdfecho"), &driver, (char[256]){0}, 256);
        if (NT_SUCCESS(status)) {
            client = io_client_create(IO_TOKEN_SYSTEM, 5);
            if (client && NT_SUCCESS(io_open(client, "\\\\.\\KmdfEcho",
                                             GENERIC_READ | GENERIC_WRITE, &handle))) {
                io_ioctl(client, handle, ECHO_IOCTL_ECHO, "hello", 5, output, sizeof(output), NULL);
                io_ioctl(client, handle, ECHO_IOCTL_UPPER, "hello", 5, output, sizeof(output),
                         NULL);
                io_ioctl(client, handle, ECHO_IOCTL_WORK, NULL, 0, output, 1, NULL);
                io_ioctl(client, handle, ECHO_IOCTL_DELAY, "x", 1, output, 1, NULL);
                io_ioctl(client, handle, ECHO_IOCTL_GREETING, NULL, 0, output, sizeof(output),
                         NULL);
                io_write(client, handle, "stored", 6, 0, NULL);
                io_read(client, handle, output, sizeof(output), 0, NULL);
            }
            if (client)
                io_client_destroy(client);
            client = NULL;
            is_status(driver_unload(driver), STATUS_SUCCESS);
        } else {
            refused++;
        }
        more = vf_fault_round_end();
        nt_stop();
    }
    ok(rounds > 30 && refused > 20, "%u rounds, %u of them refused by DriverEntry, %zu stacks",
       rounds, refused, vf_fault_stacks());
}
