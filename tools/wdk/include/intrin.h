/*
 * Intrinsics by Microsoft's names that clang has no header for on both targets. SSE and later are
 * clang's own headers (emmintrin.h, nmmintrin.h), in functions with a target attribute where x64
 * does not guarantee the instruction.
 */
#pragma once

/* info is EAX, EBX, ECX, EDX of CPUID. */
static inline __attribute__((always_inline, unused)) void __cpuidex(int info[4], int leaf,
                                                                    int subleaf)
{
    __asm__ volatile("cpuid"
                     : "=a"(info[0]), "=b"(info[1]), "=c"(info[2]), "=d"(info[3])
                     : "a"(leaf), "c"(subleaf));
}
#define __cpuid(info, leaf) __cpuidex(info, leaf, 0)
