/*
 * Interlocked lists: sequenced singly linked lists, and lists under a spin lock of the caller's.
 *
 * WDK: ExInterlockedPushEntrySList, ExInterlockedPopEntrySList, ExInterlockedInsertHeadList,
 * "Singly and Doubly Linked Lists". An SLIST_HEADER is 16 bytes that change together (cmpxchg16b):
 * depth, a sequence number against ABA, the first entry's address / 16.
 *
 * A pop reads the next pointer of an entry that another thread may have popped and freed meanwhile;
 * the compare-and-swap then fails and the value read does not matter, but the read itself may
 * fault. As in Windows, the fault handler knows the instruction (slist_pop_fault ..
 * slist_pop_resume) and goes on as if it had read 0.
 */
#include "slist.h"
#include "dispatcher.h"

VOID NTAPI InitializeSListHead(PSLIST_HEADER SListHead)
{
    SListHead->Alignment = 0;
    SListHead->Region = 0;
}

static bool swap(PSLIST_HEADER head, SLIST_HEADER *old, SLIST_HEADER new)
{
    return InterlockedCompareExchange128((LONG64 volatile *)head, (LONG64) new.Region,
                                         (LONG64) new.Alignment, (LONG64 *)old);
}

static SLIST_HEADER read_head(PSLIST_HEADER head)
{
    SLIST_HEADER value;
    value.Alignment = __atomic_load_n(&head->Alignment, __ATOMIC_ACQUIRE);
    value.Region = __atomic_load_n(&head->Region, __ATOMIC_ACQUIRE);
    return value;
}

static PSLIST_ENTRY first_of(SLIST_HEADER value)
{
    return (PSLIST_ENTRY)(ULONG_PTR)(value.HeaderX64.NextEntry << 4);
}

/* entry->Next, or 0 where the entry's memory is gone. */
static PSLIST_ENTRY read_next(PSLIST_ENTRY entry)
{
    PSLIST_ENTRY next;
    __asm__ volatile("    xorl %k0, %k0\n"
                     ".globl slist_pop_fault\n"
                     ".hidden slist_pop_fault\n"
                     "slist_pop_fault:\n"
                     "    movq (%1), %0\n"
                     ".globl slist_pop_resume\n"
                     ".hidden slist_pop_resume\n"
                     "slist_pop_resume:\n"
                     : "=&r"(next)
                     : "r"(entry)
                     : "memory");
    return next;
}

PSLIST_ENTRY NTAPI ExpInterlockedPushEntrySList(PSLIST_HEADER ListHead, PSLIST_ENTRY ListEntry)
{
    if (sched_det)
        thread_point_slow(nt_self);
    SLIST_HEADER old = read_head(ListHead), new;
    do {
        ListEntry->Next = first_of(old);
        new.HeaderX64.Depth = old.HeaderX64.Depth + 1;
        new.HeaderX64.Sequence = old.HeaderX64.Sequence + 1;
        new.HeaderX64.Reserved = 0;
        new.HeaderX64.NextEntry = (ULONG_PTR)ListEntry >> 4;
    } while (!swap(ListHead, &old, new));
    return first_of(old);
}

/* Two places must not read entries with one inlined copy of the labelled instruction. */
static __attribute__((noinline, ms_abi)) PSLIST_ENTRY pop(PSLIST_HEADER head)
{
    SLIST_HEADER old = read_head(head), new;
    PSLIST_ENTRY first;
    do {
        first = first_of(old);
        if (!first)
            return NULL;
        new.HeaderX64.Depth = old.HeaderX64.Depth - 1;
        new.HeaderX64.Sequence = old.HeaderX64.Sequence + 1;
        new.HeaderX64.Reserved = 0;
        new.HeaderX64.NextEntry = (ULONG_PTR)read_next(first) >> 4;
    } while (!swap(head, &old, new));
    return first;
}

PSLIST_ENTRY NTAPI ExpInterlockedPopEntrySList(PSLIST_HEADER ListHead)
{
    if (sched_det)
        thread_point_slow(nt_self);
    return pop(ListHead);
}

PSLIST_ENTRY NTAPI ExpInterlockedFlushSList(PSLIST_HEADER ListHead)
{
    SLIST_HEADER old = read_head(ListHead), new;
    do {
        new.Alignment = 0;
        new.HeaderX64.Sequence = old.HeaderX64.Sequence + 1;
        new.Region = 0;
    } while (!swap(ListHead, &old, new));
    return first_of(old);
}

USHORT NTAPI ExQueryDepthSList(PSLIST_HEADER SListHead)
{
    return (USHORT)__atomic_load_n(&SListHead->Alignment, __ATOMIC_RELAXED);
}

/* Lists under the caller's spin lock, which may be taken from any IRQL and is used for nothing
 * else. */

static KIRQL lock(PKSPIN_LOCK spin_lock)
{
    struct nt_thread *self = nt_self;
    if (sched_det)
        thread_point_slow(self);
    KIRQL old = self->irql;
    if (old < DISPATCH)
        irql_raise(self, DISPATCH);
    word_lock(self, (volatile uint32_t *)spin_lock);
    return old;
}

static void unlock(PKSPIN_LOCK spin_lock, KIRQL old)
{
    struct nt_thread *self = nt_self;
    word_unlock(self, (volatile uint32_t *)spin_lock);
    if (old < DISPATCH)
        irql_lower(self, old);
}

PLIST_ENTRY NTAPI ExInterlockedInsertHeadList(PLIST_ENTRY ListHead, PLIST_ENTRY ListEntry,
                                              PKSPIN_LOCK Lock)
{
    KIRQL old = lock(Lock);
    PLIST_ENTRY first = IsListEmpty(ListHead) ? NULL : ListHead->Flink;
    InsertHeadList(ListHead, ListEntry);
    unlock(Lock, old);
    return first;
}

PLIST_ENTRY NTAPI ExInterlockedInsertTailList(PLIST_ENTRY ListHead, PLIST_ENTRY ListEntry,
                                              PKSPIN_LOCK Lock)
{
    KIRQL old = lock(Lock);
    PLIST_ENTRY last = IsListEmpty(ListHead) ? NULL : ListHead->Blink;
    InsertTailList(ListHead, ListEntry);
    unlock(Lock, old);
    return last;
}

PLIST_ENTRY NTAPI ExInterlockedRemoveHeadList(PLIST_ENTRY ListHead, PKSPIN_LOCK Lock)
{
    KIRQL old = lock(Lock);
    PLIST_ENTRY first = IsListEmpty(ListHead) ? NULL : RemoveHeadList(ListHead);
    unlock(Lock, old);
    return first;
}

NT_EXPORT(NTOSKRNL, InitializeSListHead);
NT_EXPORT(NTOSKRNL, ExpInterlockedPushEntrySList);
NT_EXPORT(NTOSKRNL, ExpInterlockedPopEntrySList);
NT_EXPORT(NTOSKRNL, ExpInterlockedFlushSList);
NT_EXPORT(NTOSKRNL, ExQueryDepthSList);
NT_EXPORT(NTOSKRNL, ExInterlockedInsertHeadList);
NT_EXPORT(NTOSKRNL, ExInterlockedInsertTailList);
NT_EXPORT(NTOSKRNL, ExInterlockedRemoveHeadList);
