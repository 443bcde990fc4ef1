/*
 * Installing for real: a driver package into a state directory, its service started and stopped,
 * the host restarted under it, and all of it gone again.
 */
#include "kmdfecho.h"
#include "tap.h"
#include <dirent.h>
#include <ftw.h>
#include <nthost/client.h>
#include <nthost/registry.h>
#include <nthost/setup.h>
#include <ntddk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ECHO_INF   NTS_SOURCE_DIR "/test/drivers/kmdfecho/kmdfecho.inf"
#define REPOSITORY "/files/Windows/System32/DriverStore/FileRepository"

static char state[64];

static FILE *open_file(const char *path, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (!file)
        abort();
    return file;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static void make_state(void)
{
    snprintf(state, sizeof(state), "/tmp/nthost-setup-XXXXXX");
    ok(mkdtemp(state) != NULL);
}

static void remove_state(void)
{
    nftw(state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void start_host(void)
{
    struct nt_options options = {.scheduler = NT_DETERMINISTIC,
                                 .seed = tap_seed(),
                                 .processors = 2,
                                 .state_dir = state,
                                 .verifier = true};
    nt_start(&options);
}

static const char *flavor(void)
{
    return tap_drivers_pe() ? ".sys" : ".so";
}

static unsigned packages(void)
{
    char path[256];
    unsigned count = 0;
    snprintf(path, sizeof(path), "%s" REPOSITORY, state);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        count += entry->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return count;
}

/* The list of services, as text; the last one asked for. */
static const char *list(const char *service)
{
    static char text[8192];
    FILE *out = fmemopen(text, sizeof(text), "w");
    if (!out)
        abort();
    setup_list(service, out);
    fclose(out);
    return text;
}

static NTSTATUS install_echo(struct setup_error *error)
{
    char service[64] = "";
    NTSTATUS status = setup_install(ECHO_INF, NTS_DRIVER_DIR, flavor(), service, error);
    if (NT_SUCCESS(status))
        is_str(service, "KmdfEcho");
    return status;
}

static void expect_echo(void)
{
    struct io_client *client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4242);
    io_handle handle = 0;
    char output[16] = "";
    WCHAR greeting[32] = {0};
    ULONG_PTR bytes = 0;
    is_status(io_open(client, "\\\\.\\KmdfEcho", GENERIC_READ | GENERIC_WRITE, &handle),
              STATUS_SUCCESS);
    is_status(io_ioctl(client, handle, ECHO_IOCTL_ECHO, "hello", 5, output, sizeof(output), &bytes),
              STATUS_SUCCESS);
    is_int(bytes, 5);
    is_mem(output, "hello", 5);
    is_status(
        io_ioctl(client, handle, ECHO_IOCTL_GREETING, NULL, 0, greeting, sizeof(greeting), &bytes),
        STATUS_SUCCESS);
    is_mem(greeting, u"hello", 10, "what the INF put under Parameters");
    is_status(io_close(client, handle), STATUS_SUCCESS);
    io_client_destroy(client);
}

NT_TEST(install_start_stop_uninstall)
{
    struct setup_error error = {0};
    ULONG value = 0;
    char text[256];
    make_state();
    start_host();
    is_str(list(NULL), "[]\n");
    is_status(install_echo(&error), STATUS_SUCCESS, "%s", error.message);
    is_int(packages(), 1);

    is_status(registry_get_dword(REGISTRY_SERVICES "\\KmdfEcho", "Start", &value), STATUS_SUCCESS);
    is_int(value, 3);
    is_status(
        registry_get_dword(REGISTRY_SERVICES "\\KmdfEcho\\Parameters", "DelayMilliseconds", &value),
        STATUS_SUCCESS);
    is_int(value, 20);
    is_status(
        registry_get_string(REGISTRY_SERVICES "\\KmdfEcho", "ImagePath", 0, text, sizeof(text)),
        STATUS_SUCCESS);
    ok(strstr(text, "\\SystemRoot\\System32\\DriverStore\\FileRepository\\kmdfecho.inf_amd64_") ==
           text,
       "%s", text);
    ok(strstr(text, tap_drivers_pe() ? "\\kmdfecho.sys" : "\\kmdfecho.so") != NULL, "%s", text);
    ok(strstr(list("kmdfecho"), "\"state\":\"stopped\",\"start\":\"demand\"") != NULL, "%s",
       list("KmdfEcho"));
    ok(strstr(list("KmdfEcho"), "\"inf\":\"kmdfecho.inf\",\"published\":\"oem0.inf\"") != NULL);
    ok(strstr(list("KmdfEcho"), "\"kmdf\":\"1.33\"") != NULL &&
       strstr(list("KmdfEcho"), "\"filter\":null") != NULL);

    is_status(setup_start("KmdfEcho", &error), STATUS_SUCCESS, "%s", error.message);
    ok(strstr(list("KmdfEcho"), "\"state\":\"running\"") != NULL);
    expect_echo();
    is_status(setup_start("KmdfEcho", &error), STATUS_IMAGE_ALREADY_LOADED);
    is_status(setup_uninstall("KmdfEcho", &error), STATUS_DEVICE_BUSY);
    ok(strstr(error.message, "stop it first") != NULL);
    is_status(setup_stop("KmdfEcho", &error), STATUS_SUCCESS, "%s", error.message);
    ok(!NT_SUCCESS(setup_stop("KmdfEcho", &error)));

    is_status(setup_uninstall("kmdfecho", &error), STATUS_SUCCESS, "%s", error.message);
    is_str(list(NULL), "[]\n");
    ok(!registry_key_exists(REGISTRY_SERVICES "\\KmdfEcho"));
    is_int(packages(), 0);
    ok(!NT_SUCCESS(setup_uninstall("KmdfEcho", &error)));
    FILE *nowhere = open_file("/dev/null", "w");
    is_status(setup_list("KmdfEcho", nowhere), STATUS_OBJECT_NAME_NOT_FOUND);
    fclose(nowhere);
    nt_stop();
    remove_state();
}

NT_TEST(services_outlive_the_host)
{
    struct setup_error error = {0};
    make_state();
    start_host();
    is_status(install_echo(&error), STATUS_SUCCESS, "%s", error.message);
    is_status(setup_start("KmdfEcho", &error), STATUS_SUCCESS);
    nt_stop(); /* stops the service */

    start_host();
    ok(strstr(list("KmdfEcho"), "\"state\":\"stopped\"") != NULL, "%s", list(NULL));
    setup_boot(stderr);
    ok(strstr(list("KmdfEcho"), "\"state\":\"stopped\"") != NULL,
       "a demand start service does not start by itself");
    is_status(setup_start("KmdfEcho", &error), STATUS_SUCCESS, "%s", error.message);
    expect_echo();
    nt_stop();

    start_host();
    is_status(setup_uninstall("KmdfEcho", &error), STATUS_SUCCESS);
    nt_stop();
    start_host();
    is_str(list(NULL), "[]\n");
    nt_stop();
    remove_state();
}

/* A copy of the driver's INF with one text replaced. */
static void write_inf(char *path, const char *from, const char *to)
{
    static char text[8192], changed[8192];
    FILE *file = open_file(ECHO_INF, "r");
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    char *at = strstr(text, from);
    ok(at != NULL, "%s", from);
    snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    snprintf(path, 256, "%s/changed.inf", state);
    file = open_file(path, "w");
    fputs(changed, file);
    fclose(file);
}

NT_TEST(system_start_services_start_with_the_host)
{
    struct setup_error error = {0};
    char path[256], service[64];
    make_state();
    write_inf(path, "StartType     = 3", "StartType     = 1");
    start_host();
    is_status(setup_install(path, NTS_DRIVER_DIR, flavor(), service, &error), STATUS_SUCCESS, "%s",
              error.message);
    ok(strstr(list("KmdfEcho"), "\"state\":\"stopped\",\"start\":\"system\"") != NULL);
    nt_stop();
    start_host();
    setup_boot(stderr);
    ok(strstr(list("KmdfEcho"), "\"state\":\"running\"") != NULL, "%s", list("KmdfEcho"));
    expect_echo();
    nt_stop();
    remove_state();
}

NT_TEST(a_refused_inf_changes_nothing)
{
    struct setup_error error = {0};
    char path[256], service[64] = "untouched";
    make_state();
    start_host();

    write_inf(path, "ErrorControl  = 1 ; SERVICE_ERROR_NORMAL", "ErrorControl  = 7");
    is_status(setup_install(path, NTS_DRIVER_DIR, flavor(), service, &error),
              STATUS_INVALID_PARAMETER);
    is_str(error.rule, "ServiceErrorControl");
    is_int(error.line, 36, "%s", error.message);
    is_str(error.file, path);
    is_str(service, "untouched");

    is_status(setup_install(ECHO_INF, "/nonexistent", flavor(), service, &error),
              STATUS_NO_SUCH_FILE);
    is_str(error.rule, "");
    ok(strstr(error.message, "kmdfecho") != NULL, "%s", error.message);
    is_status(setup_install("/nonexistent/x.inf", NULL, flavor(), service, &error),
              STATUS_NO_SUCH_FILE);

    write_inf(path, "[DefaultInstall.NTamd64]", "[DefaultInstall.NTarm64]");
    ok(!NT_SUCCESS(setup_install(path, NTS_DRIVER_DIR, flavor(), service, &error)));

    is_str(list(NULL), "[]\n");
    is_int(packages(), 0);
    nt_stop();
    remove_state();
}

NT_TEST(what_fails_half_way_is_taken_back)
{
    struct setup_error error = {0};
    char path[256], service[64], line[512], name[301];
    make_state();
    start_host();
    /* A key's name has at most 255 characters: the registry refuses it when much is written. */
    memset(name, 'k', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    snprintf(line, sizeof(line),
             "HKR,Parameters,Greeting,,\"hello\"\nHKR,\"Parameters\\%s\",Value,,x", name);
    write_inf(path, "HKR,Parameters,Greeting,,\"hello\"", line);
    ok(!NT_SUCCESS(setup_install(path, NTS_DRIVER_DIR, flavor(), service, &error)));
    ok(strstr(error.message, "registry") != NULL, "%s", error.message);
    is_str(list(NULL), "[]\n");
    ok(!registry_key_exists(REGISTRY_SERVICES "\\KmdfEcho"));
    is_int(packages(), 0);
    is_status(install_echo(&error), STATUS_SUCCESS, "%s", error.message);
    ok(strstr(list("KmdfEcho"), "\"published\":\"oem0.inf\"") != NULL);
    nt_stop();
    start_host();
    ok(strstr(list("KmdfEcho"), "\"published\":\"oem0.inf\"") != NULL);
    nt_stop();
    remove_state();
}

NT_TEST(the_same_service_is_not_installed_twice)
{
    struct setup_error error = {0};
    char path[256], service[64];
    make_state();
    start_host();
    is_status(install_echo(&error), STATUS_SUCCESS, "%s", error.message);
    is_status(install_echo(&error), STATUS_OBJECT_NAME_COLLISION);
    ok(strstr(error.message, "already installed") != NULL);
    write_inf(path, "DriverVer   = 11/21/2026,1.0.0.0", "DriverVer   = 11/21/2026,2.0.0.0");
    is_status(setup_install(path, NTS_DRIVER_DIR, flavor(), service, &error),
              STATUS_OBJECT_NAME_COLLISION);
    is_int(packages(), 1);
    nt_stop();
    remove_state();
}

NT_TEST(what_a_crash_left_in_the_store_is_removed)
{
    struct setup_error error = {0};
    char path[512];
    make_state();
    start_host();
    is_status(install_echo(&error), STATUS_SUCCESS, "%s", error.message);
    nt_stop();
    snprintf(path, sizeof(path), "%s" REPOSITORY "/half.inf.unfinished", state);
    is_int(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "%s" REPOSITORY "/gone.inf_amd64_0123456789abcdef", state);
    is_int(mkdir(path, 0755), 0);
    is_int(packages(), 3);
    start_host();
    is_int(packages(), 1);
    is_status(setup_start("KmdfEcho", &error), STATUS_SUCCESS, "%s", error.message);
    nt_stop();
    remove_state();
}

/* Any file will do for an image that is not loaded. */
static void write_image(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", state, name);
    FILE *file = open_file(path, "w");
    fputs("no image", file);
    fclose(file);
}

NT_TEST(a_filter_is_registered_as_its_inf_says)
{
    struct setup_error error = {0};
    char service[64], text[256];
    ULONG value = 0;
    make_state();
    write_image("oneip.sys");
    write_image("FILTER.SYS");
    start_host();
    is_status(setup_install(NTS_SOURCE_DIR "/kernel/inf/oneip.inf", state, ".sys", service, &error),
              STATUS_SUCCESS, "%s", error.message);
    is_str(service, "NtsOneIp");
    const char *json = list("NtsOneIp");
    ok(strstr(json, "\"displayName\":\"ntswift ONE-IP\"") != NULL, "%s", json);
    ok(strstr(
           json,
           "\"filter\":{\"instanceId\":\"{eb6ab5bd-257b-4853-b661-d6c49f85a3ac}\",\"componentId\":"
           "\"nts_oneip\",\"class\":\"failover\","
           "\"media\":\"ethernet\",\"type\":\"modifying\",\"runType\":\"optional\",\"order\":1}") !=
       NULL);
#define COMPONENT                                                                                  \
    "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Network\\"                           \
    "{4D36E974-E325-11CE-BFC1-08002BE10318}\\{eb6ab5bd-257b-4853-b661-d6c49f85a3ac}"
    is_status(registry_get_dword(COMPONENT, "Characteristics", &value), STATUS_SUCCESS);
    is_hex(value, 0x40000);
    is_status(registry_get_string(COMPONENT "\\Ndi", "CoServices", 0, text, sizeof(text)),
              STATUS_SUCCESS);
    is_str(text, "NtsOneIp");
    is_status(registry_get_string(REGISTRY_SERVICES "\\NtsOneIp", "Group", 0, text, sizeof(text)),
              STATUS_SUCCESS);
    is_str(text, "NDIS");

    /* A second filter is stacked above it; its image is found in any case. */
    is_status(setup_install(NTS_SOURCE_DIR "/test/nthost/setup/good/netfilter.inf", state, ".sys",
                            service, &error),
              STATUS_SUCCESS, "%s", error.message);
    ok(strstr(list("XyzFilter"), "\"order\":2}") != NULL, "%s", list("XyzFilter"));
    ok(strstr(list("XyzFilter"), "\"published\":\"oem1.inf\"") != NULL);
    nt_stop();

    start_host();
    is_status(setup_uninstall("NtsOneIp", &error), STATUS_SUCCESS, "%s", error.message);
    ok(!registry_key_exists(COMPONENT));
    is_int(packages(), 1);
    is_status(setup_install(NTS_SOURCE_DIR "/kernel/inf/oneip.inf", state, ".sys", service, &error),
              STATUS_SUCCESS, "%s", error.message);
    ok(strstr(list("NtsOneIp"), "\"published\":\"oem0.inf\"") != NULL &&
           strstr(list("NtsOneIp"), "\"order\":3}") != NULL,
       "%s", list("NtsOneIp"));
    nt_stop();
    remove_state();
}

static void copy_image(const char *from, const char *name)
{
    char path[256], buffer[65536];
    size_t bytes;
    snprintf(path, sizeof(path), "%s/%s", state, name);
    FILE *in = open_file(from, "r"), *out = open_file(path, "w");
    while ((bytes = fread(buffer, 1, sizeof(buffer), in)) > 0)
        fwrite(buffer, 1, bytes, out);
    fclose(in);
    fclose(out);
}

/* What the filter manager looks for, and that it counts as running. The image is another driver's,
 * which needs nothing. */
NT_TEST(a_minifilter_has_its_instances_and_starts_with_the_system)
{
    static const char *const places[] = {REGISTRY_SERVICES "\\NtsRepl\\Parameters\\Instances",
                                         REGISTRY_SERVICES "\\NtsRepl\\Instances"};
    struct setup_error error = {0};
    char service[64], key[512], text[256], altitude[64];
    ULONG value = 0;
    make_state();
    copy_image(driver_path("loadtest"), tap_drivers_pe() ? "repl.sys" : "repl.so");
    start_host();
    is_status(
        setup_install(NTS_SOURCE_DIR "/kernel/inf/repl.inf", state, flavor(), service, &error),
        STATUS_SUCCESS, "%s", error.message);
    is_str(service, "NtsRepl");
    for (unsigned i = 0; i < 2; i++) {
        is_status(registry_get_string(places[i], "DefaultInstance", 0, text, sizeof(text)),
                  STATUS_SUCCESS);
        snprintf(key, sizeof(key), "%s\\%s", places[i], text);
        is_status(registry_get_string(key, "Altitude", 0, altitude, sizeof(altitude)),
                  STATUS_SUCCESS);
        ok(atoi(altitude) >= 300000 && atoi(altitude) < 310000, "%s", altitude);
        value = 1;
        is_status(registry_get_dword(key, "Flags", &value), STATUS_SUCCESS);
        is_int(value, 0, "attached to every volume");
    }
    is_status(registry_get_dword(REGISTRY_SERVICES "\\NtsRepl", "Type", &value), STATUS_SUCCESS);
    is_int(value, 2);
    is_status(
        registry_get_dword(REGISTRY_SERVICES "\\NtsRepl\\Parameters", "SupportedFeatures", &value),
        STATUS_SUCCESS);
    is_int(value & 2, 0, "no offloaded writes");
    is_status(registry_get_string(REGISTRY_SERVICES "\\NtsRepl", "Group", 0, text, sizeof(text)),
              STATUS_SUCCESS);
    is_str(text, "FSFilter Replication");
    ok(strstr(list("NtsRepl"), "\"class\":\"Replication\"") != NULL, "%s", list("NtsRepl"));
    ok(strstr(list("NtsRepl"), "\"state\":\"stopped\",\"start\":\"system\"") != NULL, "%s",
       list("NtsRepl"));
    nt_stop();

    start_host();
    setup_boot(stdout);
    ok(strstr(list("NtsRepl"), "\"state\":\"running\"") != NULL, "%s", list("NtsRepl"));
    is_status(setup_stop("NtsRepl", &error), STATUS_SUCCESS, "%s", error.message);
    is_status(setup_uninstall("NtsRepl", &error), STATUS_SUCCESS, "%s", error.message);
    ok(!registry_key_exists(REGISTRY_SERVICES "\\NtsRepl"));
    is_int(packages(), 0);
    nt_stop();
    remove_state();
}

NT_TEST(registry_values_of_every_type_are_written)
{
    struct setup_error error = {0};
    char service[64], text[512];
    unsigned char data[16];
    ULONG type = 0, bytes = sizeof(data);
    make_state();
    write_image("filter.sys");
    start_host();
    is_status(setup_install(NTS_SOURCE_DIR "/test/nthost/setup/good/syntax.inf", state, ".sys",
                            service, &error),
              STATUS_SUCCESS, "%s", error.message);
#define PARAMETERS REGISTRY_SERVICES "\\XyzFilter\\Parameters"
    is_status(registry_get(PARAMETERS, "Big", &type, data, &bytes), STATUS_SUCCESS);
    is_int(type, REG_QWORD);
    is_int(bytes, 8);
    bytes = sizeof(data);
    is_status(registry_get(PARAMETERS, "Custom", &type, data, &bytes), STATUS_SUCCESS);
    is_int(type, 0x38);
    is_mem(data, "\x01\x02\x03", 3);
    bytes = sizeof(data);
    is_status(registry_get(PARAMETERS, "Nothing", &type, data, &bytes), STATUS_SUCCESS);
    is_int(type, REG_NONE);
    is_status(registry_get_string(PARAMETERS, "List", 2, text, sizeof(text)), STATUS_SUCCESS);
    is_str(text, "Xyz filter");
    is_status(registry_get_string(PARAMETERS, "Path", 0, text, sizeof(text)), STATUS_SUCCESS);
    ok(strstr(text, "%SystemRoot%\\System32\\DriverStore\\FileRepository\\syntax.inf_amd64_") ==
               text &&
           strstr(text, "\\data;%SystemRoot%\\x") != NULL,
       "%s", text);
    is_status(registry_get_string(PARAMETERS, "Where", 0, text, sizeof(text)), STATUS_SUCCESS);
    is_str(text, "C:\\Windows\\System32\\drivers\\filter.sys");
    is_status(registry_get_string(PARAMETERS "\\Xyz", "", 0, text, sizeof(text)), STATUS_SUCCESS);
    is_str(text, "a default value");
    ok(registry_key_exists(PARAMETERS "\\Empty"));
    nt_stop();
    remove_state();
}

NT_TEST(without_a_state_directory_the_store_goes_with_the_host)
{
    struct setup_error error = {0};
    char text[256] = "";
    tap_start(NT_DETERMINISTIC, tap_seed());
    is_status(install_echo(&error), STATUS_SUCCESS, "%s", error.message);
    is_status(setup_start("KmdfEcho", &error), STATUS_SUCCESS, "%s", error.message);
    expect_echo();
    nt_stop();
    tap_start(NT_DETERMINISTIC, tap_seed());
    is_str(list(NULL), "[]\n");
    is_int(registry_get_string(REGISTRY_SERVICES "\\KmdfEcho", "ImagePath", 0, text, sizeof(text)),
           STATUS_OBJECT_NAME_NOT_FOUND);
    nt_stop();
}
