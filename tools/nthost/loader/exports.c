/*
 * The table of exported kernel functions, out of the linker section that NT_EXPORT fills.
 *
 * Open addressing over a power of two, built once, read without locks. Names compare exactly,
 * module names without case and without their extension's case, as the Windows loader does.
 */
#include <nthost/export.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

extern const struct nt_export __start_nt_exports[] __attribute__((visibility("hidden")));
extern const struct nt_export __stop_nt_exports[] __attribute__((visibility("hidden")));

static const struct nt_export **table;
static size_t table_mask;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static uint32_t name_hash(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

static const struct nt_export **slot_of(const char *module, const char *name)
{
    for (size_t i = name_hash(name);; i++) {
        const struct nt_export **slot = &table[i & table_mask];
        if (*slot == NULL ||
            (strcmp((*slot)->name, name) == 0 && strcasecmp((*slot)->module, module) == 0))
            return slot;
    }
}

static void build_table(void)
{
    size_t count = (size_t)(__stop_nt_exports - __start_nt_exports), slots = 64;
    while (slots < count * 2)
        slots *= 2;
    table = calloc(slots, sizeof(*table));
    if (table == NULL)
        abort();
    table_mask = slots - 1;
    for (const struct nt_export *export = __start_nt_exports; export < __stop_nt_exports;
         export ++) {
        const struct nt_export **slot = slot_of(export->module, export->name);
        if (*slot != NULL) {
            fprintf(stderr, "nthost: %s!%s is exported twice\n", export->module, export->name);
            abort();
        }
        *slot = export;
    }
}

void *nt_export_find(const char *module, const char *name)
{
    pthread_once(&table_once, build_table);
    const struct nt_export *found = *slot_of(module, name);
    return found ? found->address : NULL;
}

const struct nt_export *nt_export_any(const char *name)
{
    pthread_once(&table_once, build_table);
    for (size_t i = name_hash(name);; i++) {
        const struct nt_export *export = table[i & table_mask];
        if (export == NULL || strcmp(export->name, name) == 0)
            return export;
    }
}
