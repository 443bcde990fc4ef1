/*
 * Lookaside lists.
 *
 * WDK: ExInitializeLookasideListEx, ExInitializeNPagedLookasideList, "Using Lookaside Lists".
 * Allocating from and freeing to a list is inline in the driver: an interlocked list of up to Depth
 * free entries, then AllocateEx and FreeEx. With the verifier the depth is 0, so that each entry is
 * a pool allocation of its own and special pool sees every use after free. A list that was not
 * deleted when its driver is unloaded, or whose memory is freed, is a violation.
 */
#include "dispatcher.h"
#include "pool.h"
#include <stdlib.h>
#include <string.h>

#define DEFAULT_DEPTH 256

/* All lists, by their ListEntry. GENERAL_LOOKASIDE and GENERAL_LOOKASIDE_POOL differ in alignment
 * only. */
static LIST_ENTRY lists = {&lists, &lists};

static PVOID NTAPI default_allocate(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    if (vf_fault(VfFaultPool))
        return NULL;
    return pool_allocate_for(pool_flags_of_type(PoolType), NumberOfBytes, Tag,
                             __builtin_return_address(0));
}

static PVOID NTAPI default_allocate_ex(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag,
                                       PLOOKASIDE_LIST_EX Lookaside)
{
    (void)Lookaside;
    if (vf_fault(VfFaultPool))
        return NULL;
    return pool_allocate_for(pool_flags_of_type(PoolType), NumberOfBytes, Tag,
                             __builtin_return_address(0));
}

static VOID NTAPI default_free_ex(PVOID Buffer, PLOOKASIDE_LIST_EX Lookaside)
{
    ExFreePoolWithTag(Buffer, Lookaside->L.Tag);
}

static void init(PGENERAL_LOOKASIDE_POOL list, POOL_TYPE type, SIZE_T size, ULONG tag,
                 const void *owner)
{
    memset(list, 0, sizeof *list);
    InitializeSListHead(&list->ListHead);
    list->Depth = list->MaximumDepth = vf_enabled ? 0 : DEFAULT_DEPTH;
    list->Type = type;
    list->Tag = tag;
    list->Size = (ULONG)(size < sizeof(SLIST_ENTRY) ? sizeof(SLIST_ENTRY) : size);
    memcpy(list->Future, &owner, sizeof owner);
    sched_lock();
    InsertTailList(&lists, &list->ListEntry);
    sched_unlock();
}

static const void *owner_of(const GENERAL_LOOKASIDE_POOL *list)
{
    const void *owner;
    memcpy(&owner, list->Future, sizeof owner);
    return owner;
}

static void take_off(PGENERAL_LOOKASIDE_POOL list, const char *function)
{
    if (!list->ListEntry.Flink)
        vf_violation(VfBadParameter, "%s: lookaside list %p is not initialized, or deleted already",
                     function, (void *)list);
    sched_lock();
    RemoveEntryList(&list->ListEntry);
    sched_unlock();
    list->ListEntry.Flink = NULL;
}

NTSTATUS NTAPI ExInitializeLookasideListEx(PLOOKASIDE_LIST_EX Lookaside,
                                           PALLOCATE_FUNCTION_EX Allocate, PFREE_FUNCTION_EX Free,
                                           POOL_TYPE PoolType, ULONG Flags, SIZE_T Size, ULONG Tag,
                                           USHORT Depth)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (Depth || Flags & ~(EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL |
                           EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE))
        return STATUS_INVALID_PARAMETER_8;
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    init(&Lookaside->L, PoolType, Size, Tag, __builtin_return_address(0));
    Lookaside->L.AllocateEx = Allocate ? Allocate : default_allocate_ex;
    Lookaside->L.FreeEx = Free ? Free : default_free_ex;
    return STATUS_SUCCESS;
}

VOID NTAPI ExDeleteLookasideListEx(PLOOKASIDE_LIST_EX Lookaside)
{
    VF_ENTRY(DISPATCH_LEVEL);
    take_off(&Lookaside->L, __func__);
    for (PSLIST_ENTRY entry; (entry = ExpInterlockedPopEntrySList(&Lookaside->L.ListHead));)
        Lookaside->L.FreeEx(entry, Lookaside);
}

VOID NTAPI ExInitializeNPagedLookasideList(PNPAGED_LOOKASIDE_LIST Lookaside,
                                           PALLOCATE_FUNCTION Allocate, PFREE_FUNCTION Free,
                                           ULONG Flags, SIZE_T Size, ULONG Tag, USHORT Depth)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)Depth;
    PGENERAL_LOOKASIDE_POOL list = (PGENERAL_LOOKASIDE_POOL)&Lookaside->L;
    init(list, (POOL_TYPE)(NonPagedPool | (Flags & POOL_NX_ALLOCATION)), Size, Tag,
         __builtin_return_address(0));
    list->Allocate = Allocate ? Allocate : default_allocate;
    list->Free = Free ? Free : ExFreePool;
}

VOID NTAPI ExDeleteNPagedLookasideList(PNPAGED_LOOKASIDE_LIST Lookaside)
{
    VF_ENTRY(DISPATCH_LEVEL);
    take_off((PGENERAL_LOOKASIDE_POOL)&Lookaside->L, __func__);
    for (PSLIST_ENTRY entry; (entry = ExpInterlockedPopEntrySList(&Lookaside->L.ListHead));)
        Lookaside->L.Free(entry);
}

/* The list that the predicate is about, or NULL. */
static PGENERAL_LOOKASIDE_POOL find(const char *driver, const char *memory, size_t bytes)
{
    PGENERAL_LOOKASIDE_POOL found = NULL;
    sched_lock();
    for (PLIST_ENTRY entry = lists.Flink; entry != &lists && !found; entry = entry->Flink) {
        PGENERAL_LOOKASIDE_POOL list = CONTAINING_RECORD(entry, GENERAL_LOOKASIDE_POOL, ListEntry);
        if (driver ? vf_is_owner(owner_of(list), driver)
                   : (const char *)list >= memory && (const char *)list < memory + bytes)
            found = list;
    }
    sched_unlock();
    return found;
}

static void check_unload(const char *driver)
{
    PGENERAL_LOOKASIDE_POOL list = find(driver, NULL, 0);
    if (list)
        vf_violation(
            VfLookasideLeak,
            "driver %s was unloaded with a lookaside list (%p, tag %.4s) that it did not delete",
            driver, (void *)list, (const char *)&list->Tag);
}

static void check_freed(const void *memory, size_t bytes)
{
    PGENERAL_LOOKASIDE_POOL list = find(NULL, memory, bytes);
    if (list)
        vf_violation(VfLookasideLeak,
                     "pool block %p is freed with a lookaside list (%p, tag %.4s) in it that was "
                     "not deleted",
                     memory, (void *)list, (const char *)&list->Tag);
}

__attribute__((constructor)) static void register_checks(void)
{
    vf_at_unload(check_unload);
    vf_at_free(check_freed);
}

NT_EXPORT(NTOSKRNL, ExInitializeLookasideListEx);
NT_EXPORT(NTOSKRNL, ExDeleteLookasideListEx);
NT_EXPORT(NTOSKRNL, ExInitializeNPagedLookasideList);
NT_EXPORT(NTOSKRNL, ExDeleteNPagedLookasideList);
