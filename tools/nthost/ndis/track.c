/*
 * Objects that drivers get from NDIS and must give back: named, with the stack that allocated them,
 * when the driver is unloaded without it. WDK: the NDIS rules of Driver Verifier.
 *
 * Entries exist with the verifier on only; else the handle is NULL.
 */
#include "pool.h"
#include "stack.h"
#include "verify.h"
#include <nthost/loader.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct track_entry {
    LIST_ENTRY link;
    enum tracked kind;
    const void *object;
    char driver[64];
    void *stack[12];
    unsigned depth;
};

static LIST_ENTRY entries;
static KSPIN_LOCK entries_lock;

static const char *const kinds[TrackKinds] = {"pool of NET_BUFFER_LISTs or NET_BUFFERs",
                                              "NET_BUFFER_LIST",
                                              "MDL",
                                              "timer object",
                                              "work item",
                                              "read-write lock",
                                              "device",
                                              "configuration handle",
                                              "cloned OID request",
                                              "memory",
                                              "generic object"};

struct track_entry *track_add(enum tracked kind, const void *object, const void *caller)
{
    if (!vf_enabled)
        return NULL;
    const char *driver = vf_owner(caller);
    struct track_entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->kind = kind;
    entry->object = object;
    strncpy(entry->driver, driver, sizeof(entry->driver) - 1);
    entry->depth = image_backtrace(entry->stack, ARRAYSIZE(entry->stack));
    KIRQL irql;
    KeAcquireSpinLock(&entries_lock, &irql);
    InsertTailList(&entries, &entry->link);
    KeReleaseSpinLock(&entries_lock, irql);
    return entry;
}

void track_remove(struct track_entry *entry)
{
    if (!entry)
        return;
    KIRQL irql;
    KeAcquireSpinLock(&entries_lock, &irql);
    RemoveEntryList(&entry->link);
    KeReleaseSpinLock(&entries_lock, irql);
    free(entry);
}

void stack_describe(void *const *stack, unsigned depth, char *text, size_t size)
{
    size_t at = 0;
    text[0] = 0;
    for (unsigned i = 0; i < depth && at + 1 < size; i++) {
        const char *owner = vf_owner(stack[i]);
        if (*owner)
            at += (size_t)snprintf(text + at, size - at, "\n    %p %s", stack[i], owner);
    }
}

static void report(const struct track_entry *entry)
{
    if (entry->kind == TrackPool)
        verify_pool_leaks((struct nb_pool *)(ULONG_PTR)entry->object, entry->driver);
    char stack[1024];
    stack_describe(entry->stack, entry->depth, stack, sizeof(stack));
    vf_violation(entry->kind == TrackNbl         ? VfNblLeak
                 : entry->kind == TrackClonedOid ? VfOidLeak
                                                 : VfNdisLeak,
                 "%s %p was not freed by %s; it was allocated at%s", kinds[entry->kind],
                 entry->object, entry->driver, stack);
}

static void check_unload(const char *driver)
{
    const struct track_entry *left = NULL;
    KIRQL irql;
    verify_blocks_unloaded(driver);
    KeAcquireSpinLock(&entries_lock, &irql);
    for (LIST_ENTRY *e = entries.Flink; e != &entries && !left; e = e->Flink)
        if (!strcmp(CONTAINING_RECORD(e, struct track_entry, link)->driver, driver))
            left = CONTAINING_RECORD(e, struct track_entry, link);
    KeReleaseSpinLock(&entries_lock, irql);
    if (left)
        report(left); /* nobody frees it any more: its driver is gone */
    const char *service = filters_registered_by(driver);
    if (service)
        vf_violation(VfNdisLeak, "%s was unloaded without NdisFDeregisterFilterDriver", service);
}

void track_start(void)
{
    static bool registered;
    if (!registered)
        vf_at_unload(check_unload);
    registered = true;
    InitializeListHead(&entries);
    KeInitializeSpinLock(&entries_lock);
}

void track_stop(void)
{
    while (!IsListEmpty(&entries))
        free(CONTAINING_RECORD(RemoveHeadList(&entries), struct track_entry, link));
}
