/*
 * Copies that are begun while a program writes: below REPL the write is held by another filter, or
 * both run, at all moments that the scheduler comes to.
 */
#include "copying.h"

#include <fltprobe_contract.h>
#include <nthost/loader.h>
#include <nthost/registry.h>

#include <string.h>

#define ROUNDS 600

/* Held below */

#define LOWER       REGISTRY_SERVICES "\\fltlower\\Instances"
#define LOWER_RULES 1 /* of Rules */

struct held {
    struct copy copy;
    PDRIVER_OBJECT lower;
    PROBE_SHARED shared;
};

static bool load_lower(struct held *held)
{
    const UINT64 address = (UINT64)(uintptr_t)&held->shared;
    char error[512] = "";
    io_handle device;

    nt_enter();
    registry_set_string(LOWER, "DefaultInstance", REG_SZ, "fltlower");
    registry_set_string(LOWER "\\fltlower", "Altitude", REG_SZ, "140000.5");
    registry_set_dword(LOWER "\\fltlower", "Flags", 0);
    nt_leave();
    return is_status(
               driver_load("fltlower", driver_path("fltlower"), &held->lower, error, sizeof error),
               STATUS_SUCCESS, "%s", error) &&
           is_status(io_open(held->copy.node.client, "\\Device\\FltLower",
                             GENERIC_READ | GENERIC_WRITE, &device),
                     STATUS_SUCCESS) &&
           is_status(io_ioctl(held->copy.node.client, device, IOCTL_PROBE_SHARE, &address,
                              sizeof address, NULL, 0, NULL),
                     STATUS_SUCCESS) &&
           is_status(io_close(held->copy.node.client, device), STATUS_SUCCESS);
}

static void write_once(void *context)
{
    struct copy *copy = context;

    nt_enter();
    is_status(copy_writes(copy), STATUS_SUCCESS);
    nt_leave();
}

/* A write that has passed REPL and not reached the file system. */
static struct nt_thread *hold_write(struct held *held)
{
    UINT32 *action = &held->shared.Rules[LOWER_RULES][IRP_MJ_WRITE].Action;

    copy_drain(&held->copy); /* no other is under way */
    held->shared.Held = 0;
    *action = ProbePendHold;
    struct nt_thread *thread = nt_spawn("writes", write_once, &held->copy);
    for (unsigned i = 0; i < 1000 && !held->shared.Held; i++)
        sched_run_for(10000);
    *action = ProbePass;
    is_int(held->shared.Held, 1, "the write is held");
    return thread;
}

static void resume(struct held *held, struct nt_thread *thread)
{
    nt_enter();
    if (held->shared.Held)
        ((void(NTAPI *)(void))(uintptr_t)held->shared.Resume)();
    nt_leave();
    nt_join(thread);
}

NT_TEST(a_write_is_told_before_it_takes_effect_and_again_after_a_copy_is_begun)
{
    static struct held held;
    struct copy *copy = &held.copy;

    memset(&held, 0, sizeof held);
    if (ok(copy_start(copy, ReplModeCopy) && load_lower(&held) &&
           DOES(copy, copy_creates, "touched copy") && copy_begins(copy))) {
        struct nt_thread *thread = hold_write(&held);
        copy_tells(copy, "a write that is held", "touched copy");
        copy_begins(copy);
        resume(&held, thread);
        copy_tells(copy, "its end", "touched copy");
        /* It is known. */
        thread = hold_write(&held);
        copy_tells(copy, "another write", "");
        copy_begins(copy);
        resume(&held, thread);
        copy_tells(copy, "its end", "touched copy");
    }
    nt_enter();
    if (held.lower)
        is_status(driver_unload(held.lower), STATUS_SUCCESS);
    nt_leave();
    copy_stop(copy);
}

/* Both run */

struct beside {
    struct copy copy;
    ULONG write_bytes;
    UCHAR copied[2 * COPY_BYTES], now[2 * COPY_BYTES];
    ULONG_PTR copied_bytes, now_bytes;
};

static bool read_all(struct beside *beside, void *output, ULONG_PTR *bytes)
{
    return is_status(
        copy_call(&beside->copy, REPL_IOCTL_READ_RANGE, "file", 0, output, 2 * COPY_BYTES, bytes),
        STATUS_SUCCESS);
}

static void copy_it(void *context)
{
    struct beside *beside = context;

    is_status(copy_sync(&beside->copy, 0), STATUS_SUCCESS);
    read_all(beside, beside->copied, &beside->copied_bytes);
}

static void write_it(void *context)
{
    struct beside *beside = context;
    const LONGLONG start = 0;
    UCHAR data[2 * COPY_BYTES];

    memset(data, (int)beside->write_bytes, beside->write_bytes);
    nt_enter();
    is_status(nt_write(beside->copy.file, data, beside->write_bytes, &start, NULL), STATUS_SUCCESS);
    nt_leave();
}

static bool copied_in_time(const struct beside *beside)
{
    return beside->copy.told_size == beside->now_bytes &&
           beside->copied_bytes == beside->now_bytes &&
           memcmp(beside->copied, beside->now, beside->now_bytes) == 0;
}

/* At all moments that the scheduler comes to: a copy that is not what the file is then is followed
 * by the word that it changes. */
NT_TEST(whatever_a_copy_misses_is_told_after_it_was_begun)
{
    static struct beside beside;
    struct copy *copy = &beside.copy;
    unsigned late = 0;
    bool held = copy_start(copy, ReplModeCopy) && DOES(copy, copy_creates, "touched copy");

    sched_set_pace(3);
    for (unsigned i = 0; held && i < ROUNDS; i++) {
        struct nt_thread *threads[2];

        tap_at("round %u", i);
        /* That the file changes is known, or not. */
        held = i % 2 || is_status(copy_sync(copy, 0), STATUS_SUCCESS);
        beside.write_bytes = COPY_BYTES + i;
        threads[0] = nt_spawn("writes", write_it, &beside);
        threads[1] = nt_spawn("copies", copy_it, &beside);
        nt_join(threads[0]);
        nt_join(threads[1]);
        held = held && read_all(&beside, beside.now, &beside.now_bytes) && copy_follow(copy);
        if (held && !copied_in_time(&beside)) {
            late++;
            held = ok(copy->touched > copy->told, "%zu bytes, copied %zu, told %llu: %s",
                      beside.now_bytes, beside.copied_bytes, (unsigned long long)copy->told_size,
                      copy->text);
        }
    }
    tap_at(NULL);
    diag("%u copies of %u were not what the file was afterwards", late, ROUNDS);
    ok(late > 0);
    copy_stop(copy);
}
