/*
 * Installing and removing driver packages: what an INF says, in the registry, as Windows keeps it.
 *
 *   Services\<service>                          Type, Start, ImagePath, ..., Owners = oemN.inf
 *   Control\Network\{class}\{NetCfgInstanceId}  a network component and its Ndi key
 *   DriverDatabase\DriverPackages\<package>     the package in the driver store
 *   DriverDatabase\DriverInfFiles\oemN.inf      the published name of its INF
 *
 * Files first, then all of the registry in one group: a crash leaves at most a folder that nothing
 * mentions, which the next start of the host removes.
 */
#include "install.h"
#include <nthost/filters.h>
#include <nthost/registry.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ERRORS 256

struct writing {
    struct inf *inf;
    const struct package *package;
    const char *name, *flavor, *published; /* of the package; oemN.inf */
    NTSTATUS status;                       /* the first failure sticks */
    const char *failed;                    /* key that could not be written */
};

static void note(struct writing *w, NTSTATUS status, const char *key)
{
    if (NT_SUCCESS(w->status) && !NT_SUCCESS(status)) {
        w->status = status;
        w->failed = key;
    }
}

static void put_dword(struct writing *w, const char *key, const char *value, uint32_t data)
{
    note(w, registry_set_dword(key, value, data), key);
}

static void put_string(struct writing *w, const char *key, const char *value, ULONG type,
                       const char *text)
{
    if (text && *text)
        note(w, registry_set_string(key, value, type, text), key);
}

/* "\x01" "13" "\x01" "\x" -> a path. A program reads REG_SZ as it is; REG_EXPAND_SZ keeps the
 * variable. */
static const char *resolve(struct writing *w, const char *text, bool expandable)
{
    static const struct {
        unsigned dirid;
        const char *below;
    } folders[] = {{10, ""},       {11, "\\System32"}, {12, "\\System32\\drivers"},
                   {13, NULL},     {17, "\\INF"},      {18, "\\Help"},
                   {20, "\\Fonts"}};
    struct arena *arena = &w->inf->arena;
    const char *result = "";
    for (const char *at = text; *at;) {
        const char *mark = strchr(at, INF_DIRID), *rest = NULL;
        unsigned dirid;
        if (!mark)
            return arena_printf(arena, "%s%s", result, at);
        result = arena_printf(arena, "%s%.*s", result, (int)(mark - at), at);
        if (!inf_dirid(mark, &dirid, &rest))
            return arena_printf(arena, "%s%s", result, mark);
        for (unsigned i = 0; i < sizeof folders / sizeof *folders; i++)
            if (folders[i].dirid == dirid)
                result = arena_printf(
                    arena, "%s%s%s", result, expandable ? "%SystemRoot%" : "C:\\Windows",
                    folders[i].below
                        ? folders[i].below
                        : arena_printf(arena, "\\System32\\DriverStore\\FileRepository\\%s",
                                       w->name));
        if (dirid == 24)
            result = arena_printf(arena, "%sC:", result);
        at = rest;
    }
    return result;
}

static void put_values(struct writing *w, const char *base, const struct package_values *values)
{
    for (unsigned i = 0; i < values->count; i++) {
        const struct package_value *v = &values->items[i];
        const char *key =
            *v->subkey ? arena_printf(&w->inf->arena, "%s\\%s", base, v->subkey) : base;
        ULONG bytes = 0;
        if (v->key_only) {
            note(w, registry_create_key(key), key);
            continue;
        }
        if (v->no_clobber &&
            registry_get(key, v->name, NULL, NULL, &bytes) != STATUS_OBJECT_NAME_NOT_FOUND)
            continue;
        if (v->type == REG_MULTI_SZ) {
            const char **texts = arena_alloc(&w->inf->arena, (v->string_count + 1) * sizeof *texts);
            for (unsigned j = 0; j < v->string_count; j++)
                texts[j] = resolve(w, v->strings[j], false);
            note(w, registry_set_multi(key, v->name, texts, v->string_count), key);
        } else if (v->strings) {
            note(w,
                 registry_set_string(key, v->name, v->type,
                                     resolve(w, v->strings[0], v->type == REG_EXPAND_SZ)),
                 key);
        } else {
            note(w, registry_set(key, v->name, v->type, v->data, (ULONG)v->bytes), key);
        }
    }
}

static void put_service(struct writing *w, const struct package_service *s)
{
    struct arena *arena = &w->inf->arena;
    const char *key = arena_printf(arena, REGISTRY_SERVICES "\\%s", s->name);
    const char *owners[] = {w->published};
    put_dword(w, key, "Type", s->type);
    put_dword(w, key, "Start", s->start);
    put_dword(w, key, "ErrorControl", s->error_control);
    put_string(w, key, "ImagePath", REG_EXPAND_SZ,
               arena_printf(arena, STORE_NT_PATH "\\%s\\%s", w->name,
                            store_image_name(arena, s->binary, w->flavor)));
    put_string(w, key, "DisplayName", REG_SZ, s->display);
    put_string(w, key, "Description", REG_SZ, s->description);
    put_string(w, key, "Group", REG_SZ, s->group);
    if (s->dependency_count)
        note(w, registry_set_multi(key, "DependOnService", s->dependencies, s->dependency_count),
             key);
    note(w, registry_set_multi(key, "Owners", owners, 1), key);
    put_values(w, key, &s->values);
    if (w->package->kmdf_service && text_same(w->package->kmdf_service, s->name)) {
        const char *wdf = arena_printf(arena, "%s\\Parameters\\Wdf", key);
        put_dword(w, wdf, "WdfMajorVersion", 1);
        put_dword(w, wdf, "WdfMinorVersion", (uint32_t)atoi(w->package->kmdf_version + 2));
    }
    if (s->event_log) {
        const char *log = arena_printf(arena, EVENT_LOGS "\\%s\\%s", s->event_log, s->event_source);
        note(w, registry_create_key(log), log);
        put_values(w, log, &s->event_values);
    }
}

/* Filters of one class are stacked in the order of their installation. */
static uint32_t next_install_order(void)
{
    char name[64], key[512];
    uint32_t highest = 0;
    ULONG order;
    for (unsigned i = 0; NT_SUCCESS(registry_enum_key(NETWORK_SERVICES, i, name, sizeof name));
         i++) {
        snprintf(key, sizeof key, NETWORK_SERVICES "\\%s", name);
        if (NT_SUCCESS(registry_get_dword(key, "InstallOrder", &order)) && order > highest)
            highest = order;
    }
    return highest + 1;
}

static void put_component(struct writing *w)
{
    const struct package *p = w->package;
    const char *key = arena_printf(&w->inf->arena, NETWORK_SERVICES "\\%s", p->net_instance_id);
    put_dword(w, key, "Characteristics", p->characteristics);
    put_dword(w, key, "InstallOrder", next_install_order());
    put_string(w, key, "ComponentId", REG_SZ, p->component_id);
    put_string(w, key, "Description", REG_SZ, p->description);
    put_string(w, key, "InfPath", REG_SZ, w->published);
    put_string(w, key, "InfSection", REG_SZ, p->section);
    put_values(w, key, &p->values);
}

static void put_package(struct writing *w)
{
    const struct package *p = w->package;
    struct arena *arena = &w->inf->arena;
    const char *key = arena_printf(arena, DRIVER_PACKAGES "\\%s", w->name);
    const char *inf_key = arena_printf(arena, DRIVER_INFS "\\%s", w->published);
    const char *slash = strrchr(w->inf->path, '/');
    const char **services = arena_alloc(arena, p->service_count * sizeof *services),
               **events = arena_alloc(arena, p->service_count * sizeof *events);
    unsigned event_count = 0;
    for (unsigned i = 0; i < p->service_count; i++) {
        services[i] = p->services[i].name;
        if (p->services[i].event_log)
            events[event_count++] = arena_printf(arena, "%s\\%s", p->services[i].event_log,
                                                 p->services[i].event_source);
    }
    put_string(w, key, "", REG_SZ, w->published);
    put_string(w, key, "InfName", REG_SZ, slash ? slash + 1 : w->inf->path);
    put_string(w, key, "Provider", REG_SZ, p->provider);
    put_string(w, key, "DriverDate", REG_SZ, p->date);
    put_string(w, key, "DriverVersion", REG_SZ, p->version);
    put_string(w, key, "Class", REG_SZ, p->class_name);
    put_string(w, key, "ClassGuid", REG_SZ, p->class_guid);
    put_string(w, key, "Catalog", REG_SZ, p->catalog);
    put_string(w, key, "InfSection", REG_SZ, p->section);
    put_string(w, key, "NetCfgInstanceId", REG_SZ, p->net_instance_id);
    put_string(w, key, "KmdfLibraryVersion", REG_SZ, p->kmdf_version);
    note(w, registry_set_multi(key, "Services", services, p->service_count), key);
    if (event_count)
        note(w, registry_set_multi(key, "EventSources", events, event_count), key);
    put_string(w, inf_key, "", REG_SZ, w->name);
}

static const char *free_published_name(struct arena *arena)
{
    for (unsigned i = 0;; i++) {
        const char *name = arena_printf(arena, "oem%u.inf", i);
        if (!registry_key_exists(arena_printf(arena, DRIVER_INFS "\\%s", name)))
            return name;
    }
}

static NTSTATUS write_registry(struct writing *w)
{
    w->status = registry_begin();
    if (!NT_SUCCESS(w->status))
        return w->status;
    w->published = free_published_name(&w->inf->arena);
    for (unsigned i = 0; i < w->package->service_count; i++)
        put_service(w, &w->package->services[i]);
    if (w->package->filter.present)
        put_component(w);
    put_package(w);
    if (!NT_SUCCESS(w->status)) {
        registry_abort();
        return w->status;
    }
    return w->status = registry_commit();
}

bool install_publish_filter(const char *instance_id)
{
    static const char *const classes[] = {
#define X(name) #name,
        FILTER_CLASSES(X)
#undef X
            NULL};
    struct filter_install filter = {0};
    char key[512], ndi[512], interfaces[512];
    ULONG type = 0, run = 0, order = 0;
    snprintf(key, sizeof key, NETWORK_SERVICES "\\%s", instance_id);
    snprintf(ndi, sizeof ndi, "%s\\Ndi", key);
    snprintf(interfaces, sizeof interfaces, "%s\\Interfaces", ndi);
    snprintf(filter.unique_name, sizeof filter.unique_name, "%.39s", instance_id);
    bool good =
        NT_SUCCESS(registry_get_string(key, "ComponentId", 0, filter.component,
                                       sizeof filter.component)) &&
        NT_SUCCESS(registry_get_string(ndi, "Service", 0, filter.service, sizeof filter.service)) &&
        NT_SUCCESS(registry_get_string(interfaces, "FilterMediaTypes", 0, filter.media,
                                       sizeof filter.media)) &&
        NT_SUCCESS(registry_get_dword(ndi, "FilterType", &type)) &&
        NT_SUCCESS(registry_get_dword(ndi, "FilterRunType", &run)) &&
        NT_SUCCESS(registry_get_dword(key, "InstallOrder", &order));
    if (!good)
        return false;
    filter.type = (enum filter_type)type;
    filter.run_type = (enum filter_run_type)run;
    filter.order = order;
    if (type == FILTER_TYPE_MODIFYING) {
        char name[64];
        if (!NT_SUCCESS(registry_get_string(ndi, "FilterClass", 0, name, sizeof name)) ||
            text_among(name, classes) < 0)
            return false;
        snprintf(filter.filter_class, sizeof filter.filter_class, "%s",
                 classes[text_among(name, classes)]);
    }
    filters_install(&filter);
    return true;
}

static NTSTATUS install_package(struct inf *inf, const struct package *package,
                                const char *image_dir, const char *flavor, char service[64],
                                struct setup_error *error)
{
    char name[128], text[512];
    for (unsigned i = 0; i < package->service_count; i++)
        if (registry_key_exists(
                arena_printf(&inf->arena, REGISTRY_SERVICES "\\%s", package->services[i].name)))
            return setup_fail(error, STATUS_OBJECT_NAME_COLLISION, inf->path,
                              "the service %s is already installed; uninstall it first",
                              package->services[i].name);
    if (package->filter.present &&
        registry_key_exists(
            arena_printf(&inf->arena, NETWORK_SERVICES "\\%s", package->net_instance_id)))
        return setup_fail(error, STATUS_OBJECT_NAME_COLLISION, inf->path,
                          "a network component with NetCfgInstanceId %s is already installed",
                          package->net_instance_id);
    if (!store_add(inf, package, image_dir, flavor, name, text, sizeof text))
        return setup_fail(error, STATUS_NO_SUCH_FILE, inf->path, "%s", text);

    struct writing w = {.inf = inf, .package = package, .name = name, .flavor = flavor};
    NTSTATUS status = write_registry(&w);
    if (!NT_SUCCESS(status)) {
        store_remove(name);
        return setup_fail(error, status, inf->path, "cannot write the registry (%s): 0x%08X",
                          w.failed ? w.failed : "commit", (unsigned)status);
    }
    if (package->filter.present)
        install_publish_filter(package->net_instance_id);
    snprintf(service, 64, "%s",
             package->filter.present ? package->filter.service : package->services[0].name);
    return STATUS_SUCCESS;
}

NTSTATUS setup_install(const char *inf_path, const char *image_dir, const char *image_flavor,
                       char service[64], struct setup_error *error)
{
    struct inf inf = {0};
    struct package package = {0};
    bool installable = false;
    char text[256];
    NTSTATUS status;
    struct rule_report report = {
        .file = inf_path, .max = MAX_ERRORS, .errors = calloc(MAX_ERRORS, sizeof *report.errors)};
    if (!report.errors)
        abort();
    if (!inf_read(&inf, inf_path, &report, text, sizeof text)) {
        status = setup_fail(error, STATUS_NO_SUCH_FILE, inf_path, "%s", text);
        goto out;
    }
    package_check(&inf, &report, HOST_BUILD, &package, &installable);
    rule_report_sort(&report);
    if (report.count) {
        *error = report.errors[0];
        status = STATUS_INVALID_PARAMETER;
        goto out;
    }
    if (!installable || !package.service_count) {
        status =
            setup_fail(error, STATUS_NOT_SUPPORTED, inf_path,
                       "the INF has nothing to install on this Windows (10.0.%u, x64)", HOST_BUILD);
        goto out;
    }
    setup_lock();
    status = install_package(&inf, &package, image_dir && *image_dir ? image_dir : NULL,
                             image_flavor ? image_flavor : "", service, error);
    setup_unlock();
out:
    free(report.errors);
    inf_free(&inf);
    return status;
}

/* The package that owns a service: Owners -> DriverInfFiles -> package. */
static bool find_package(const char *service, char *package, size_t size, char *published,
                         size_t published_size)
{
    char key[512];
    snprintf(key, sizeof key, REGISTRY_SERVICES "\\%s", service);
    if (!NT_SUCCESS(registry_get_string(key, "Owners", 0, published, published_size)))
        return false;
    snprintf(key, sizeof key, DRIVER_INFS "\\%s", published);
    return NT_SUCCESS(registry_get_string(key, "", 0, package, size));
}

static NTSTATUS uninstall_package(const char *service, struct setup_error *error)
{
    char package[128], published[32], key[512], name[256], instance[64] = "", *path = key;
    if (strchr(service, '\\') ||
        !find_package(service, package, sizeof package, published, sizeof published))
        return setup_fail(error, STATUS_OBJECT_NAME_NOT_FOUND, service,
                          "no service %s is installed", service);
    char package_key[512];
    snprintf(package_key, sizeof package_key, DRIVER_PACKAGES "\\%s", package);
    for (unsigned i = 0;
         NT_SUCCESS(registry_get_string(package_key, "Services", i, name, sizeof name)); i++)
        if (control_running(name))
            return setup_fail(error, STATUS_DEVICE_BUSY, service,
                              "the service %s is running; stop it first", name);

    NTSTATUS status = registry_begin();
    if (!NT_SUCCESS(status))
        return setup_fail(error, status, service, "cannot change the registry: 0x%08X",
                          (unsigned)status);
    for (unsigned i = 0;
         NT_SUCCESS(status) &&
         NT_SUCCESS(registry_get_string(package_key, "Services", i, name, sizeof name));
         i++) {
        snprintf(path, sizeof key, REGISTRY_SERVICES "\\%s", name);
        status = registry_delete_tree(path);
    }
    for (unsigned i = 0;
         NT_SUCCESS(status) &&
         NT_SUCCESS(registry_get_string(package_key, "EventSources", i, name, sizeof name));
         i++) {
        snprintf(path, sizeof key, EVENT_LOGS "\\%s", name);
        status = registry_delete_tree(path);
    }
    if (NT_SUCCESS(status) && NT_SUCCESS(registry_get_string(package_key, "NetCfgInstanceId", 0,
                                                             instance, sizeof instance))) {
        snprintf(path, sizeof key, NETWORK_SERVICES "\\%s", instance);
        status = registry_delete_tree(path);
    }
    if (NT_SUCCESS(status))
        status = registry_delete_tree(package_key);
    snprintf(path, sizeof key, DRIVER_INFS "\\%s", published);
    if (NT_SUCCESS(status))
        status = registry_delete_tree(path);
    if (NT_SUCCESS(status))
        status = registry_commit();
    else
        registry_abort();
    if (!NT_SUCCESS(status))
        return setup_fail(error, status, service, "cannot change the registry: 0x%08X",
                          (unsigned)status);
    if (*instance)
        filters_remove(service);
    store_remove(package); /* else the next start of the host does it */
    return STATUS_SUCCESS;
}

NTSTATUS setup_uninstall(const char *service, struct setup_error *error)
{
    setup_lock();
    NTSTATUS status = uninstall_package(service, error);
    setup_unlock();
    return status;
}
