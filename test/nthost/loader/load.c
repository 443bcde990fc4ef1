/* Loading and unloading drivers of either format: what their data and code look like afterwards. */
#include <nthost/client.h>
#include <nthost/export.h>
#include <nthost/loader.h>
#include <nthost/registry.h>
#include <nthost/sched.h>
#include "loadtest.h"
#include "tap.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static PDRIVER_OBJECT load(const char *service)
{
    char error[512];
    PDRIVER_OBJECT driver;
    NTSTATUS status = driver_load(service, driver_path("loadtest"), &driver, error, sizeof(error));
    is_status(status, STATUS_SUCCESS, "%s", error);
    return driver;
}

static bool ask(struct io_client *client, const char *device, LOADTEST_STATE *state)
{
    io_handle handle;
    ULONG_PTR information = 0;
    memset(state, 0, sizeof(*state));
    if (!is_status(io_open(client, device, GENERIC_READ, &handle), STATUS_SUCCESS))
        return false;
    is_status(io_ioctl(client, handle, LOADTEST_IOCTL_STATE, NULL, 0, state, sizeof(*state),
                       &information),
              STATUS_SUCCESS);
    is_int(information, sizeof(*state));
    is_status(io_close(client, handle), STATUS_SUCCESS);
    return true;
}

NT_TEST(image_has_its_data_relocations_and_imports)
{
    LOADTEST_STATE state;
    tap_start(NT_DETERMINISTIC, tap_seed());
    PDRIVER_OBJECT driver = load("loadtest");
    need(driver != NULL);
    struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 100);
    for (unsigned i = 0; i < 3; i++) {
        need(ask(client, "\\Device\\loadtest", &state));
        is_int(state.Counter, 1000 + i);
        is_int(state.Zeroed, i);
        is_int(state.Sum, 60);
        is_str(state.Text, "relocated");
    }
    is_hex(state.Imported, (uintptr_t)&IofCompleteRequest);
    is_hex(state.Imported, (uintptr_t)nt_export_find("NTOSKRNL.EXE", "IofCompleteRequest"));
    const struct nt_image *image = image_of((void *)(uintptr_t)state.Code);
    need(image != NULL);
    is_str(image_name(image), "loadtest");
    ok(image_of(&state) == NULL);
    ok((uintptr_t)state.Code - (uintptr_t)driver->DriverStart < driver->DriverSize);
    io_client_destroy(client);
    is_status(driver_unload(driver), STATUS_SUCCESS);
    ok(image_of((void *)(uintptr_t)state.Code) == NULL);
    nt_stop();
}

NT_TEST(two_instances_share_nothing)
{
    LOADTEST_STATE first, second;
    tap_start(NT_DETERMINISTIC, tap_seed());
    PDRIVER_OBJECT a = load("first"), b = load("second");
    need(a != NULL && b != NULL);
    struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 100);
    ask(client, "\\Device\\first", &first);
    ask(client, "\\Device\\first", &first);
    ask(client, "\\Device\\second", &second);
    is_int(first.Counter, 1001);
    is_int(second.Counter, 1000);
    ok(first.Code != second.Code);
    io_client_destroy(client);
    is_status(driver_unload(a), STATUS_SUCCESS);
    is_status(driver_unload(b), STATUS_SUCCESS);
    nt_stop();
}

NT_TEST(reloading_starts_afresh)
{
    LOADTEST_STATE state;
    tap_start(NT_DETERMINISTIC, tap_seed());
    for (unsigned i = 0; i < 5; i++) {
        PDRIVER_OBJECT driver = load("again");
        need(driver != NULL);
        struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 100);
        ask(client, "\\Device\\again", &state);
        is_int(state.Counter, 1000);
        io_client_destroy(client);
        is_status(driver_unload(driver), STATUS_SUCCESS);
    }
    nt_stop();
}

NT_TEST(the_service_key_exists_and_a_second_load_of_a_service_is_refused)
{
    char error[512];
    PDRIVER_OBJECT other;
    tap_start(NT_DETERMINISTIC, tap_seed());
    PDRIVER_OBJECT driver = load("once");
    need(driver != NULL);
    ok(registry_key_exists(REGISTRY_SERVICES "\\once"));
    is_status(driver_load("once", driver_path("loadtest"), &other, error, sizeof(error)),
              STATUS_IMAGE_ALREADY_LOADED);
    ok(strstr(error, "once") != NULL, "%s", error);
    is_status(driver_unload(driver), STATUS_SUCCESS);
    nt_stop();
}

/* An open file keeps the driver, and no new ones are opened meanwhile. */
NT_TEST(unload_waits_for_the_last_close)
{
    LOADTEST_STATE state;
    io_handle handle, another;
    tap_start(NT_DETERMINISTIC, tap_seed());
    PDRIVER_OBJECT driver = load("busy");
    need(driver != NULL);
    struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 100);
    ask(client, "\\Device\\busy", &state);
    is_status(io_open(client, "\\Device\\busy", GENERIC_READ, &handle), STATUS_SUCCESS);
    is_status(driver_unload(driver), STATUS_PENDING);
    is_status(io_open(client, "\\Device\\busy", GENERIC_READ, &another), STATUS_NO_SUCH_DEVICE);
    char error[512];
    PDRIVER_OBJECT again;
    is_status(driver_load("busy", driver_path("loadtest"), &again, error, sizeof(error)),
              STATUS_IMAGE_ALREADY_LOADED);
    ok(strstr(error, "still in use") != NULL, "%s", error);
    is_status(io_ioctl(client, handle, LOADTEST_IOCTL_STATE, NULL, 0, &state, sizeof(state), NULL),
              STATUS_SUCCESS);
    is_status(io_close(client, handle), STATUS_SUCCESS);
    sched_run_for(10000000);
    ok(image_of((void *)(uintptr_t)state.Code) == NULL);
    is_status(io_open(client, "\\Device\\busy", GENERIC_READ, &another),
              STATUS_OBJECT_NAME_NOT_FOUND);
    io_client_destroy(client);
    nt_stop();
}

NT_TEST(export_table_knows_modules_without_case)
{
    ok(nt_export_find("ntoskrnl.exe", "IofCallDriver") == (void *)&IofCallDriver);
    ok(nt_export_find("NtosKrnl.EXE", "IofCallDriver") == (void *)&IofCallDriver);
    ok(nt_export_find("ntoskrnl.exe", "iofcalldriver") == NULL);
    ok(nt_export_find("ndis.sys", "IofCallDriver") == NULL);
    ok(nt_export_find("ntoskrnl.exe", "printf") == NULL);
    ok(nt_export_find("ntoskrnl.exe", "__chkstk") != NULL);
    ok(nt_export_any("IofCallDriver") != NULL);
}

NT_TEST(what_is_no_image_is_refused)
{
    char error[512];
    ok(image_load("/proc/self/no/such/file", error, sizeof(error)) == NULL);
    ok(strstr(error, "No such file") != NULL, "%s", error);
    ok(image_load("/", error, sizeof(error)) == NULL);
    ok(strstr(error, "not a file") != NULL, "%s", error);
    ok(image_load("/dev/null", error, sizeof(error)) == NULL);
    ok(image_load("/etc/passwd", error, sizeof(error)) == NULL);
    ok(strstr(error, "neither ELF nor PE") != NULL, "%s", error);
    /* An executable is an ELF file, but no driver. */
    ok(image_load("/bin/sh", error, sizeof(error)) == NULL);
}
