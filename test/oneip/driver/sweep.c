/*
 * The fault sweep: a whole life of the driver, again and again, each time with the next call stack
 * failing once, until none is left. Whatever fails, the operation fails cleanly or goes on; the
 * same operation again succeeds; every frame is accounted for; and nothing is left behind, which
 * the verifier sees to when the driver is unloaded.
 *
 * Which stacks there are is found out, not listed; but every import that may fail must have been
 * reached, so a new one in the driver fails this test until its scene takes the driver there.
 */
#include "scene.h"
#include "tap.h"

#include <string.h>

#include <nthost/loader.h>
#include <nthost/verifier.h>

/* Calls that no scene can reach here. */
static const char *const unreachable[] = {
    "MmMapLockedPagesSpecifyCache", /* MmGetSystemAddressForMdlSafe: every MDL of the edges is
                                       mapped */
};

static bool is_unreachable(const char *name)
{
    for (unsigned i = 0; i < RTL_NUMBER_OF(unreachable); i++)
        if (!strcmp(unreachable[i], name))
            return true;
    return false;
}

/* Every other import of the driver's that may fail has failed. */
static void check_reached(unsigned rounds)
{
    char error[512], text[1024];
    struct nt_image *image = image_load(driver_path("oneip"), error, sizeof error);
    size_t stacks, calls, all_calls = 0;
    unsigned reached = 0;
    const char *name;

    if (!ok(image, "%s", error))
        return;
    for (unsigned i = 0; (name = image_import(image, i)); i++) {
        if (vf_fallible(name) != VfImportFallible)
            continue;
        vf_fault_count(name, &stacks, &calls);
        all_calls += calls;
        if (is_unreachable(name)) {
            is_int(stacks, 0, "%s can be reached", name);
            continue;
        }
        reached += ok(stacks, "%s never fails here: the scene does not reach it", name);
        if (tap_option("verbose"))
            diag("%zu stacks, %zu calls: %s", stacks, calls, name);
    }
    image_unload(image);
    for (size_t i = 0; tap_option("verbose") && vf_fault_describe(i, text, sizeof text); i++)
        diag("%s", text);
    diag("%zu call stacks failed once each, in %u rounds: %zu calls of %u imports",
         vf_fault_stacks(), rounds, all_calls, reached);
}

static unsigned sweep(unsigned skip)
{
    unsigned rounds = 0;
    bool more;

    vf_fault_sweep_begin(false);
    vf_fault_skip(skip);
    do {
        char failed[512] = "nothing";

        tap_at("round %u, skip %u", rounds, skip);
        more = scene_run();
        rounds++;
        if (tap_failing() && vf_fault_stacks()) {
            vf_fault_describe(vf_fault_stacks() - 1, failed, sizeof failed);
            diag("in round %u failed %s", rounds, failed);
        }
    } while (more && !tap_failing());
    tap_at(NULL);
    return rounds;
}

NT_TEST(every_fallible_call_fails_once_on_every_stack_and_the_driver_goes_on)
{
    unsigned rounds = sweep(0);

    check_reached(rounds);
}

/* What comes by often, later: by then it carries something else, or there is more to lose. */
NT_TEST(every_fallible_call_of_the_data_path_fails_later_too)
{
    static const unsigned skips[] = {20, 150};

    for (unsigned i = 0; i < RTL_NUMBER_OF(skips) && !tap_failing(); i++) {
        unsigned rounds = sweep(skips[i]);

        diag("%zu call stacks failed once each, after %u times, in %u rounds", vf_fault_stacks(),
             skips[i], rounds);
        ok(vf_fault_stacks() > 5);
    }
}
