/*
 * Services: start, stop, boot, list.
 * WDK: "What Determines When a Driver Is Loaded".
 */
#include "install.h"
#include <nthost/filters.h>
#include <nthost/loader.h>
#include <nthost/module.h>
#include <nthost/registry.h>
#include <nthost/sched.h>
#include <stdlib.h>
#include <string.h>

struct running {
    struct running *next; /* the one that was started before */
    char service[64];
    PDRIVER_OBJECT driver;
};

static struct running *running; /* under the lock */
static KEVENT idle;             /* the lock: an event, since a driver's DriverEntry may wait */

void setup_lock(void)
{
    nt_enter();
    KeWaitForSingleObject(&idle, Executive, KernelMode, FALSE, NULL);
}

void setup_unlock(void)
{
    KeSetEvent(&idle, IO_NO_INCREMENT, FALSE);
    nt_leave();
}

NTSTATUS setup_fail(struct setup_error *error, NTSTATUS status, const char *file,
                    const char *format, ...)
{
    va_list list;
    *error = (struct setup_error){0};
    snprintf(error->file, sizeof error->file, "%s", file);
    va_start(list, format);
    vsnprintf(error->message, sizeof error->message, format, list);
    va_end(list);
    return status;
}

static struct running *find_running(const char *service)
{
    struct running *r = running;
    while (r && !text_same(r->service, service))
        r = r->next;
    return r;
}

bool control_running(const char *service)
{
    return find_running(service) != NULL;
}

static bool service_key(const char *service, char *key, size_t size)
{
    char owner[32];
    snprintf(key, size, REGISTRY_SERVICES "\\%s", service);
    return *service && strlen(service) < 64 && !strchr(service, '\\') &&
           NT_SUCCESS(registry_get_string(key, "Owners", 0, owner, sizeof owner));
}

/* What is part of the system, and so always there. */
static bool of_the_system(const char *service)
{
    static const char *const names[] = {"Ndis", "Wdf01000", "FltMgr", NULL};
    return text_among(service, names) >= 0;
}

static NTSTATUS start_service(const char *service, struct setup_error *error)
{
    char key[512], image[512], path[1024], text[512] = "", name[64];
    if (!service_key(service, key, sizeof key))
        return setup_fail(error, STATUS_OBJECT_NAME_NOT_FOUND, service,
                          "no service %s is installed", service);
    if (find_running(service))
        return setup_fail(error, STATUS_IMAGE_ALREADY_LOADED, service,
                          "the service %s is already running", service);
    for (unsigned i = 0;
         NT_SUCCESS(registry_get_string(key, "DependOnService", i, name, sizeof name)); i++)
        if (!find_running(name) && !of_the_system(name))
            return setup_fail(
                error, STATUS_DRIVER_ORDINAL_NOT_FOUND, service,
                "the service %s depends on %s, which is not running; start that first", service,
                name);
    if (!NT_SUCCESS(registry_get_string(key, "ImagePath", 0, image, sizeof image)) ||
        !store_host_path(image, path, sizeof path))
        return setup_fail(error, STATUS_OBJECT_PATH_INVALID, service,
                          "the service %s has no usable ImagePath", service);

    struct running *entry = calloc(1, sizeof *entry);
    if (!entry)
        abort();
    snprintf(entry->service, sizeof entry->service, "%s", service);
    NTSTATUS status = driver_load(service, path, &entry->driver, text, sizeof text);
    if (!NT_SUCCESS(status)) {
        free(entry);
        return setup_fail(error, status, service, "%s%s(status 0x%08X)",
                          *text ? text : "the driver's DriverEntry failed", " ", (unsigned)status);
    }
    entry->next = running;
    running = entry;
    filters_settle();
    return STATUS_SUCCESS;
}

static NTSTATUS stop_service(const char *service, struct setup_error *error)
{
    char key[512], other[512], name[64];
    struct running **link = &running;
    if (!service_key(service, key, sizeof key))
        return setup_fail(error, STATUS_OBJECT_NAME_NOT_FOUND, service,
                          "no service %s is installed", service);
    while (*link && !text_same((*link)->service, service))
        link = &(*link)->next;
    if (!*link)
        return setup_fail(error, STATUS_PORT_DISCONNECTED, service, "the service %s is not running",
                          service);
    for (struct running *r = running; r; r = r->next) {
        snprintf(other, sizeof other, REGISTRY_SERVICES "\\%s", r->service);
        for (unsigned i = 0;
             NT_SUCCESS(registry_get_string(other, "DependOnService", i, name, sizeof name)); i++)
            if (text_same(name, service))
                return setup_fail(error, STATUS_DEVICE_BUSY, service,
                                  "the service %s depends on %s; stop it first", r->service,
                                  service);
    }
    NTSTATUS status = driver_unload((*link)->driver);
    if (!NT_SUCCESS(status))
        return setup_fail(error, status, service,
                          "the driver of %s cannot be unloaded (status 0x%08X)", service,
                          (unsigned)status);
    struct running *gone = *link;
    *link = gone->next;
    free(gone);
    return STATUS_SUCCESS;
}

NTSTATUS setup_start(const char *service, struct setup_error *error)
{
    setup_lock();
    NTSTATUS status = start_service(service, error);
    setup_unlock();
    return status;
}

NTSTATUS setup_stop(const char *service, struct setup_error *error)
{
    setup_lock();
    NTSTATUS status = stop_service(service, error);
    setup_unlock();
    return status;
}

void setup_boot(FILE *log)
{
    setup_lock();
    for (ULONG phase = 0; phase <= 1; phase++) {
        char name[256], key[512];
        ULONG start;
        for (unsigned i = 0; NT_SUCCESS(registry_enum_key(REGISTRY_SERVICES, i, name, sizeof name));
             i++) {
            struct setup_error error;
            if (!service_key(name, key, sizeof key) ||
                !NT_SUCCESS(registry_get_dword(key, "Start", &start)) || start != phase ||
                find_running(name))
                continue;
            if (!NT_SUCCESS(start_service(name, &error)) && log)
                fprintf(log, "service %s: %s\n", name, error.message);
        }
    }
    setup_unlock();
}

void control_start(void)
{
    KeInitializeEvent(&idle, SynchronizationEvent, TRUE);
}

void control_stop(void)
{
    struct setup_error error;
    setup_lock();
    while (running) {
        struct running *last = running;
        if (!NT_SUCCESS(stop_service(last->service, &error))) {
            running = last->next; /* the loader unloads what it can, and says so */
            free(last);
        }
    }
    setup_unlock();
}
