/*
 * Bitmaps.
 *
 * WDK: RtlInitializeBitMap, RtlSetBits, RtlFindClearBits, RtlAreBitsClear, "Run-Time Library (RTL)
 * Routines". Bits lie in 32-bit words; a search starts at the hint and goes round once.
 */
#include "dispatcher.h"
#include <string.h>

static bool test(PRTL_BITMAP map, ULONG bit)
{
    return map->Buffer[bit / 32] >> bit % 32 & 1;
}

static void change(PRTL_BITMAP map, ULONG start, ULONG count, bool set)
{
    for (ULONG bit = start; bit < start + count;) {
        ULONG in_word = 32 - bit % 32, left = start + count - bit,
              take = left < in_word ? left : in_word;
        ULONG mask = (take == 32 ? ~0u : (1u << take) - 1) << bit % 32;
        if (set)
            map->Buffer[bit / 32] |= mask;
        else
            map->Buffer[bit / 32] &= ~mask;
        bit += take;
    }
}

static void check(PRTL_BITMAP map, ULONG start, ULONG count, const char *function)
{
    if (vf_enabled && (start > map->SizeOfBitMap || count > map->SizeOfBitMap - start))
        vf_violation(VfBadParameter, "%s: bits %u .. %llu of a bitmap of %u", function, start,
                     (unsigned long long)start + count - 1, map->SizeOfBitMap);
}

VOID NTAPI RtlInitializeBitMap(PRTL_BITMAP BitMapHeader, PULONG BitMapBuffer, ULONG SizeOfBitMap)
{
    BitMapHeader->SizeOfBitMap = SizeOfBitMap;
    BitMapHeader->Buffer = BitMapBuffer;
}

VOID NTAPI RtlClearAllBits(PRTL_BITMAP BitMapHeader)
{
    memset(BitMapHeader->Buffer, 0, (BitMapHeader->SizeOfBitMap + 31) / 32 * 4);
}

VOID NTAPI RtlSetAllBits(PRTL_BITMAP BitMapHeader)
{
    memset(BitMapHeader->Buffer, 0xff, (BitMapHeader->SizeOfBitMap + 31) / 32 * 4);
}

VOID NTAPI RtlSetBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    check(BitMapHeader, BitNumber, 1, __func__);
    change(BitMapHeader, BitNumber, 1, true);
}

VOID NTAPI RtlClearBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    check(BitMapHeader, BitNumber, 1, __func__);
    change(BitMapHeader, BitNumber, 1, false);
}

BOOLEAN NTAPI RtlTestBit(PRTL_BITMAP BitMapHeader, ULONG BitNumber)
{
    check(BitMapHeader, BitNumber, 1, __func__);
    return test(BitMapHeader, BitNumber);
}

VOID NTAPI RtlSetBits(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG NumberToSet)
{
    check(BitMapHeader, StartingIndex, NumberToSet, __func__);
    change(BitMapHeader, StartingIndex, NumberToSet, true);
}

VOID NTAPI RtlClearBits(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG NumberToClear)
{
    check(BitMapHeader, StartingIndex, NumberToClear, __func__);
    change(BitMapHeader, StartingIndex, NumberToClear, false);
}

/* How many bits from `start` on have this value, at most `limit`. */
static ULONG run_length(PRTL_BITMAP map, ULONG start, ULONG limit, bool value)
{
    ULONG count = 0;
    while (count < limit) {
        ULONG bit = start + count;
        if (bit % 32 == 0 && limit - count >= 32 && map->Buffer[bit / 32] == (value ? ~0u : 0)) {
            count += 32;
            continue;
        }
        if (test(map, bit) != value)
            break;
        count++;
    }
    return count;
}

static ULONG find_between(PRTL_BITMAP map, ULONG from, ULONG to, ULONG number)
{
    for (ULONG at = from; to - at >= number && at < to;) {
        ULONG clear = run_length(map, at, number, false);
        if (clear == number)
            return at;
        at += clear;
        at += run_length(map, at, to - at, true);
    }
    return 0xffffffff;
}

ULONG NTAPI RtlFindClearBits(PRTL_BITMAP BitMapHeader, ULONG NumberToFind, ULONG HintIndex)
{
    ULONG size = BitMapHeader->SizeOfBitMap;
    if (HintIndex >= size)
        HintIndex = 0;
    if (!NumberToFind)
        return HintIndex & ~7u;
    if (NumberToFind > size)
        return 0xffffffff;
    ULONG found = find_between(BitMapHeader, HintIndex, size, NumberToFind);
    if (found == 0xffffffff && HintIndex) {
        ULONG end = HintIndex + NumberToFind - 1 < size ? HintIndex + NumberToFind - 1 : size;
        found = find_between(BitMapHeader, 0, end, NumberToFind);
    }
    return found;
}

ULONG NTAPI RtlFindClearBitsAndSet(PRTL_BITMAP BitMapHeader, ULONG NumberToFind, ULONG HintIndex)
{
    ULONG found = RtlFindClearBits(BitMapHeader, NumberToFind, HintIndex);
    if (found != 0xffffffff)
        change(BitMapHeader, found, NumberToFind, true);
    return found;
}

ULONG NTAPI RtlNumberOfSetBits(PRTL_BITMAP BitMapHeader)
{
    ULONG count = 0;
    for (ULONG i = 0; i < BitMapHeader->SizeOfBitMap / 32; i++)
        count += (ULONG)__builtin_popcount(BitMapHeader->Buffer[i]);
    for (ULONG bit = BitMapHeader->SizeOfBitMap & ~31u; bit < BitMapHeader->SizeOfBitMap; bit++)
        count += test(BitMapHeader, bit);
    return count;
}

static BOOLEAN all(PRTL_BITMAP map, ULONG start, ULONG count, bool value)
{
    if (!count || start >= map->SizeOfBitMap || count > map->SizeOfBitMap - start)
        return FALSE;
    return run_length(map, start, count, value) == count;
}

BOOLEAN NTAPI RtlAreBitsClear(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG Length)
{
    return all(BitMapHeader, StartingIndex, Length, false);
}

BOOLEAN NTAPI RtlAreBitsSet(PRTL_BITMAP BitMapHeader, ULONG StartingIndex, ULONG Length)
{
    return all(BitMapHeader, StartingIndex, Length, true);
}

NT_EXPORT(NTOSKRNL, RtlInitializeBitMap);
NT_EXPORT(NTOSKRNL, RtlClearAllBits);
NT_EXPORT(NTOSKRNL, RtlSetAllBits);
NT_EXPORT(NTOSKRNL, RtlSetBit);
NT_EXPORT(NTOSKRNL, RtlClearBit);
NT_EXPORT(NTOSKRNL, RtlTestBit);
NT_EXPORT(NTOSKRNL, RtlSetBits);
NT_EXPORT(NTOSKRNL, RtlClearBits);
NT_EXPORT(NTOSKRNL, RtlFindClearBits);
NT_EXPORT(NTOSKRNL, RtlFindClearBitsAndSet);
NT_EXPORT(NTOSKRNL, RtlNumberOfSetBits);
NT_EXPORT(NTOSKRNL, RtlAreBitsClear);
NT_EXPORT(NTOSKRNL, RtlAreBitsSet);
