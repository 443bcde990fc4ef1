/* What the driver tests by itself, called as drivers call it: in each format, under the verifier.
 */
#include "fixture.h"
#include <nthost/registry.h>

static void self_test(struct fixture *f, ULONG number, const char *name)
{
    IOTEST_RESULT result;
    ULONG_PTR information;
    if (is_status(io_ioctl(f->client, f->handle, IOTEST_IOCTL_SELFTEST, &number, sizeof(number),
                           &result, sizeof(result), &information),
                  STATUS_SUCCESS))
        ok(result.Line == 0, "%s: %s:%u, status 0x%08x", name, result.File, result.Line,
           result.Status);
}

#define SELFTEST(name, number)                                                                     \
    NT_TEST(name)                                                                                  \
    {                                                                                              \
        struct fixture f;                                                                          \
        need(fixture_begin(&f));                                                                   \
        self_test(&f, (number), #name);                                                            \
        fixture_end(&f);                                                                           \
    }

SELFTEST(driver_registry, IOTEST_SELFTEST_REGISTRY)
SELFTEST(driver_rtl_registry, IOTEST_SELFTEST_RTL_REGISTRY)
SELFTEST(driver_objects_and_handles, IOTEST_SELFTEST_OBJECTS)
SELFTEST(driver_mdls, IOTEST_SELFTEST_MDLS)
SELFTEST(driver_own_irps, IOTEST_SELFTEST_OWN_IRPS)
SELFTEST(driver_security, IOTEST_SELFTEST_SECURITY)

NT_TEST(driver_security_as_a_user)
{
    struct fixture f;
    need(fixture_begin(&f));
    struct fixture user = {.client = io_client_create(IO_TOKEN_USER, 4000)};
    is_status(io_open(user.client, "\\\\.\\IoTest", GENERIC_READ, &user.handle), STATUS_SUCCESS);
    self_test(&user, IOTEST_SELFTEST_SECURITY, "as a user");
    io_client_destroy(user.client);
    fixture_end(&f);
}

/* Files and registry are there in the next life of the host. */
NT_TEST(driver_files_and_registry_last)
{
    struct fixture f;
    const char *dir = fixture_dir();
    need(dir != NULL);
    need(fixture_start(&f, NT_DETERMINISTIC, tap_seed(), dir));
    self_test(&f, IOTEST_SELFTEST_FILES, "files");
    self_test(&f, IOTEST_SELFTEST_REGISTRY, "registry");
    fixture_end(&f);
    need(fixture_start(&f, NT_DETERMINISTIC, tap_seed(), dir));
    self_test(&f, IOTEST_SELFTEST_STATE, "state");
    /* A driver that is still loaded when the host stops gets IRP_MJ_SHUTDOWN; an unloaded one not.
     */
    ULONG shutdown = 0;
    is_status(registry_get_dword(REGISTRY_SERVICES "\\iotest", "Shutdown", &shutdown),
              STATUS_OBJECT_NAME_NOT_FOUND);
    is_status(io_close(f.client, f.handle), STATUS_SUCCESS);
    io_client_destroy(f.client);
    nt_stop();
    need(fixture_start(&f, NT_DETERMINISTIC, tap_seed(), dir));
    is_status(registry_get_dword(REGISTRY_SERVICES "\\iotest", "Shutdown", &shutdown),
              STATUS_SUCCESS);
    is_int(shutdown, 1);
    fixture_end(&f);
    fixture_remove_dir();
}

/* Each fallible call of the I/O manager, the registry and the pool fails once: nothing leaks. */
NT_TEST(driver_survives_every_failure)
{
    struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = tap_seed(), .processors = 1, .verifier = true};
    unsigned rounds = 0, loaded = 0;
    bool more = true;
    vf_fault_sweep_begin(false);
    while (more && rounds < 500) {
        char error[512];
        PDRIVER_OBJECT driver;
        IOTEST_RESULT result;
        nt_start(&options);
        vf_fault_round_begin();
        if (NT_SUCCESS(
                driver_load("iotest", driver_path("iotest"), &driver, error, sizeof(error)))) {
            struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 1000);
            io_handle handle;
            loaded++;
            if (NT_SUCCESS(io_open(client, "\\\\.\\IoTest", GENERIC_READ, &handle)))
                for (ULONG test = IOTEST_SELFTEST_REGISTRY; test <= IOTEST_SELFTEST_SECURITY;
                     test++)
                    io_ioctl(client, handle, IOTEST_IOCTL_SELFTEST, &test, sizeof(test), &result,
                             sizeof(result), NULL);
            io_client_destroy(client);
            is_status(driver_unload(driver), STATUS_SUCCESS);
        }
        more = vf_fault_round_end();
        nt_stop();
        rounds++;
    }
    diag("%zu call stacks failed once each, in %u rounds; the driver loaded in %u",
         vf_fault_stacks(), rounds, loaded);
    ok(!more && vf_fault_stacks() > 20 && loaded < rounds);
}
