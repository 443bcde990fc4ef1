/*
 * Pool: alignment, zeroing, and each way in which it is broken, plain and special. (That the rules
 * name a driver is test/nthost/verifier's part.)
 */
#include "common.h"
#include <stdio.h>

static void start(bool verifier, bool special)
{
    const struct nt_options options = {.scheduler = NT_DETERMINISTIC,
                                       .processors = 2,
                                       .verifier = verifier,
                                       .special_pool = special};
    nt_start(&options);
}

static void basics(void)
{
    static const SIZE_T sizes[] = {1, 8, 15, 16, 17, 100, 1000, 4095, 4096, 4097, 70000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        UCHAR *block = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizes[i], 'tseT');
        need(block != NULL);
        is_int((ULONG_PTR)block % (sizes[i] >= PAGE_SIZE ? PAGE_SIZE : 16), 0, "%zu bytes",
               (size_t)sizes[i]);
        for (SIZE_T k = 0; k < sizes[i]; k++) {
            if (block[k]) {
                fail("byte %zu of %zu is not zero", (size_t)k, (size_t)sizes[i]);
                break;
            }
        }
        memset(block, 0xa5, sizes[i]);
        UCHAR *aligned = ExAllocatePool2(
            POOL_FLAG_PAGED | POOL_FLAG_CACHE_ALIGNED | POOL_FLAG_UNINITIALIZED, sizes[i], 'tseT');
        need(aligned != NULL);
        is_int((ULONG_PTR)aligned % 64, 0);
        memset(aligned, 0x5a, sizes[i]);
        for (SIZE_T k = 0; k < sizes[i]; k++)
            need(block[k] == 0xa5);
        ExFreePoolWithTag(aligned, 'tseT');
        if (i % 2)
            ExFreePool(block);
        else
            ExFreePoolWithTag(block, 'tseT');
    }
    PVOID old = ExAllocatePoolWithTag(NonPagedPoolNx, 64, 'tseT');
    need(old != NULL);
    ExFreePool(old);
    POOL_EXTENDED_PARAMETER priority = {.Type = PoolExtendedParameterPriority,
                                        .Priority = LowPoolPriority};
    old = ExAllocatePool3(POOL_FLAG_NON_PAGED, 64, 'tseT', &priority, 1);
    need(old != NULL);
    ExFreePool2(old, 'tseT', NULL, 0);
    ok(!ExAllocatePool2(POOL_FLAG_NON_PAGED, (SIZE_T)1 << 50, 'tseT'));
}

NT_TEST(pool_is_aligned_and_zeroed)
{
    for (int kind = 0; kind < 3; kind++) {
        tap_at("%s pool", kind == 0 ? "plain" : kind == 1 ? "tracked" : "special");
        start(kind > 0, kind > 1);
        basics();
        nt_stop();
    }
}

/* The host's own code is instrumented in sanitizer builds, which then would speak first. */
#define UNCHECKED __attribute__((noinline, no_sanitize("address")))

static UNCHECKED void write_at(volatile UCHAR *address, UCHAR value)
{
    *address = value;
}

static UNCHECKED UCHAR read_at(volatile UCHAR *address)
{
    return *address;
}

static volatile UCHAR *block_of(SIZE_T bytes)
{
    return ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes, 'tseT');
}

static void done(volatile UCHAR *block)
{
    ExFreePoolWithTag((PVOID)(ULONG_PTR)block, 'tseT');
}

static void tracked_behind(void)
{
    start(true, false);
    volatile UCHAR *block = block_of(100);
    write_at(block + 100, 1);
    done(block);
}

static void tracked_before(void)
{
    start(true, false);
    volatile UCHAR *block = block_of(100);
    write_at(block - 1, 1);
    done(block);
}

static void tracked_after_free(void)
{
    start(true, false);
    volatile UCHAR *block = block_of(100);
    done(block);
    write_at(block + 50, 1);
    nt_stop();
}

static void tracked_wild(void)
{
    start(true, false);
    volatile UCHAR *block = block_of(100);
    done(block + 16);
}

NT_TEST(tracked_pool_notices)
{
    expect_violation("PoolCorrupt", tracked_behind);
    ok(strstr(tap_child_output(), "0 byte(s) behind its end") &&
           strstr(tap_child_output(), "tag Test"),
       "%s", tap_child_output());
    expect_violation("PoolCorrupt", tracked_before);
    ok(strstr(tap_child_output(), "1 byte(s) before its start") != NULL, "%s", tap_child_output());
    expect_violation("PoolUseAfterFree", tracked_after_free);
    ok(strstr(tap_child_output(), "freed by") != NULL, "%s", tap_child_output());
    expect_violation("PoolCorrupt", tracked_wild);
}

static SIZE_T special_bytes;

static void special_behind(void)
{
    start(true, true);
    volatile UCHAR *block = block_of(special_bytes);
    read_at(block + special_bytes);
    done(block); /* sizes that are no multiple of 16 leave a few bytes behind, which are checked
                    here */
}

static void special_write_behind(void)
{
    start(true, true);
    volatile UCHAR *block = block_of(special_bytes);
    write_at(block + special_bytes, 1);
    done(block);
}

static void special_underrun(void)
{
    start(true, true);
    volatile UCHAR *block = ExAllocatePoolWithTagPriority(NonPagedPoolNx, 100, 'tseT',
                                                          NormalPoolPrioritySpecialPoolUnderrun);
    read_at(block - 1);
}

static void special_after_free(void)
{
    start(true, true);
    volatile UCHAR *block = block_of(100);
    done(block);
    read_at(block + 99);
}

static void special_many(void)
{
    start(true, true);
    static PVOID blocks[2000];
    for (int round = 0; round < 5; round++) {
        for (SIZE_T i = 0; i < 2000; i++) {
            blocks[i] =
                ExAllocatePool2(i % 2 ? POOL_FLAG_NON_PAGED : POOL_FLAG_PAGED, i * 7 + 1, 'tseT');
            need(blocks[i] != NULL);
            memset(blocks[i], (int)i, i * 7 + 1);
        }
        for (SIZE_T i = 0; i < 2000; i++)
            ExFreePoolWithTag(blocks[i], 'tseT');
    }
    nt_stop();
}

NT_TEST(special_pool_notices)
{
    static const SIZE_T whole[] = {16, 64, 2048, 4080, 4096, 8192};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        special_bytes = whole[i];
        expect_violation("PoolCorrupt", special_behind);
        ok(strstr(tap_child_output(), "reads 0 byte(s) behind its end") != NULL, "%s",
           tap_child_output());
    }
    special_bytes = 100;
    expect_silence(special_behind);
    expect_violation("PoolCorrupt", special_write_behind);
    expect_violation("PoolCorrupt", special_underrun);
    expect_violation("PoolUseAfterFree", special_after_free);
    ok(strstr(tap_child_output(), "freed by") != NULL, "%s", tap_child_output());
    expect_silence(special_many);
}

/* Paged blocks: hidden while someone is raised, back on the next touch; contents survive. */
static void paged_is_hidden(void)
{
    start(true, true);
    volatile UCHAR *block = ExAllocatePool2(POOL_FLAG_PAGED, 5000, 'tseT');
    for (int i = 0; i < 10; i++) {
        block[i] = (UCHAR)i;
        KIRQL irql = KeRaiseIrqlToDpcLevel();
        KeLowerIrql(irql);
        for (int k = 0; k <= i; k++)
            is_int(block[k], k);
        block[4999] = 7;
    }
    done(block);
    nt_stop();
}

static void paged_touched(void)
{
    start(true, true);
    volatile UCHAR *block = ExAllocatePool2(POOL_FLAG_PAGED, 100, 'tseT');
    KeRaiseIrqlToDpcLevel();
    read_at(block + 3);
}

static void paged_freed(void)
{
    start(true, false);
    volatile UCHAR *block = ExAllocatePool2(POOL_FLAG_PAGED, 100, 'tseT');
    KeRaiseIrqlToDpcLevel();
    done(block);
}

NT_TEST(paged_pool_is_for_passive_level)
{
    expect_silence(paged_is_hidden);
    expect_violation("PagedAtDispatch", paged_touched);
    expect_violation("PagedAtDispatch", paged_freed);
}

/* Lookaside lists reuse entries, and with the verifier do not. */
NT_TEST(lookaside_lists_reuse)
{
    for (int verifier = 0; verifier < 2; verifier++) {
        LOOKASIDE_LIST_EX list;
        NPAGED_LOOKASIDE_LIST old;
        PVOID entries[10];
        start(verifier, false);
        is_status(ExInitializeLookasideListEx(&list, NULL, NULL, NonPagedPoolNx, 0, 48, 'kooL', 1),
                  STATUS_INVALID_PARAMETER_8);
        is_status(ExInitializeLookasideListEx(&list, NULL, NULL, NonPagedPoolNx, 0, 48, 'kooL', 0),
                  STATUS_SUCCESS);
        for (int i = 0; i < 10; i++) {
            entries[i] = ExAllocateFromLookasideListEx(&list);
            need(entries[i] != NULL);
            memset(entries[i], i, 48);
        }
        for (int i = 0; i < 10; i++)
            ExFreeToLookasideListEx(&list, entries[i]);
        is_int(ExQueryDepthSList(&list.L.ListHead), verifier ? 0 : 10);
        PVOID again = ExAllocateFromLookasideListEx(&list);
        if (!verifier)
            is_ptr(again, entries[9]);
        ExFreeToLookasideListEx(&list, again);
        ExDeleteLookasideListEx(&list);

        ExInitializeNPagedLookasideList(&old, NULL, NULL, POOL_NX_ALLOCATION, 3000, 'kooL', 0);
        again = ExAllocateFromNPagedLookasideList(&old);
        need(again != NULL);
        memset(again, 1, 3000);
        ExFreeToNPagedLookasideList(&old, again);
        ExDeleteNPagedLookasideList(&old);
        nt_stop();
    }
}
