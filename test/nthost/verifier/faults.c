/*
 * Fault injection: a sweep fails each distinct stack of a driver once, and finds the leak on an
 * error path.
 */
#include "cases.h"
#include <nthost/loader.h>
#include <nthost/verifier.h>

static unsigned rounds, loads_failed;

static void sweep(const char *service)
{
    rounds = loads_failed = 0;
    vf_fault_sweep_begin(false);
    do {
        char error[512];
        PDRIVER_OBJECT driver;
        tap_start(NT_DETERMINISTIC, tap_seed());
        vf_fault_round_begin();
        NTSTATUS status =
            driver_load(service, driver_path("FaultSweep"), &driver, error, sizeof error);
        if (NT_SUCCESS(status))
            is_status(driver_unload(driver), STATUS_SUCCESS);
        else
            loads_failed++;
        nt_stop();
        rounds++;
    } while (vf_fault_round_end() && rounds < 100);
}

static void sweep_bad(void)
{
    sweep("FaultSweep-bad");
}

static void sweep_good(void)
{
    sweep("FaultSweep-good");
    is_int(vf_fault_stacks(), 4, "three allocations and a timer");
    is_int(rounds, 5, "one for each, and one in which nothing fails");
    is_int(loads_failed, 4);
}

NT_TEST(fault_sweep_fails_each_stack_once)
{
    expect_silence(sweep_good);
}

NT_TEST(fault_sweep_finds_a_leak_on_an_error_path)
{
    expect_violation("PoolLeak", sweep_bad);
}
