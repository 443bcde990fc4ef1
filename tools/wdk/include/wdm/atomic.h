/*
 * Interlocked operations, bit scans, barriers. All interlocked operations are full barriers.
 */
#pragma once

#include <ntdef.h>

#define INTERLOCKED_ARITHMETIC(suffix, type)                                                       \
    FORCEINLINE type InterlockedIncrement##suffix(type volatile *Addend)                           \
    {                                                                                              \
        return (type)__atomic_add_fetch(Addend, 1, __ATOMIC_SEQ_CST);                              \
    }                                                                                              \
    FORCEINLINE type InterlockedDecrement##suffix(type volatile *Addend)                           \
    {                                                                                              \
        return (type)__atomic_sub_fetch(Addend, 1, __ATOMIC_SEQ_CST);                              \
    }
#define INTERLOCKED_EXCHANGE_ADD(suffix, type)                                                     \
    FORCEINLINE type InterlockedExchangeAdd##suffix(type volatile *Addend, type Value)             \
    {                                                                                              \
        return (type)__atomic_fetch_add(Addend, Value, __ATOMIC_SEQ_CST);                          \
    }
#define INTERLOCKED_EXCHANGE(suffix, type)                                                         \
    FORCEINLINE type InterlockedExchange##suffix(type volatile *Target, type Value)                \
    {                                                                                              \
        return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);                               \
    }
#define INTERLOCKED_COMPARE_EXCHANGE(suffix, type)                                                 \
    FORCEINLINE type InterlockedCompareExchange##suffix(type volatile *Destination, type Exchange, \
                                                        type Comperand)                            \
    {                                                                                              \
        __atomic_compare_exchange_n(Destination, &Comperand, Exchange, 0, __ATOMIC_SEQ_CST,        \
                                    __ATOMIC_SEQ_CST);                                             \
        return Comperand;                                                                          \
    }
#define INTERLOCKED_LOGIC(suffix, type)                                                            \
    FORCEINLINE type InterlockedAnd##suffix(type volatile *Destination, type Value)                \
    {                                                                                              \
        return (type)__atomic_fetch_and(Destination, Value, __ATOMIC_SEQ_CST);                     \
    }                                                                                              \
    FORCEINLINE type InterlockedOr##suffix(type volatile *Destination, type Value)                 \
    {                                                                                              \
        return (type)__atomic_fetch_or(Destination, Value, __ATOMIC_SEQ_CST);                      \
    }                                                                                              \
    FORCEINLINE type InterlockedXor##suffix(type volatile *Destination, type Value)                \
    {                                                                                              \
        return (type)__atomic_fetch_xor(Destination, Value, __ATOMIC_SEQ_CST);                     \
    }

INTERLOCKED_ARITHMETIC(, LONG)
INTERLOCKED_ARITHMETIC(16, SHORT)
INTERLOCKED_ARITHMETIC(64, LONG64)
INTERLOCKED_EXCHANGE_ADD(, LONG)
INTERLOCKED_EXCHANGE_ADD(8, CHAR)
INTERLOCKED_EXCHANGE_ADD(64, LONG64)
INTERLOCKED_EXCHANGE(, LONG)
INTERLOCKED_EXCHANGE(8, CHAR)
INTERLOCKED_EXCHANGE(16, SHORT)
INTERLOCKED_EXCHANGE(64, LONG64)
INTERLOCKED_EXCHANGE(Pointer, PVOID)
INTERLOCKED_COMPARE_EXCHANGE(, LONG)
INTERLOCKED_COMPARE_EXCHANGE(16, SHORT)
INTERLOCKED_COMPARE_EXCHANGE(64, LONG64)
INTERLOCKED_COMPARE_EXCHANGE(Pointer, PVOID)
INTERLOCKED_LOGIC(, LONG)
INTERLOCKED_LOGIC(8, CHAR)
INTERLOCKED_LOGIC(16, SHORT)
INTERLOCKED_LOGIC(64, LONG64)

#undef INTERLOCKED_ARITHMETIC
#undef INTERLOCKED_EXCHANGE_ADD
#undef INTERLOCKED_EXCHANGE
#undef INTERLOCKED_COMPARE_EXCHANGE
#undef INTERLOCKED_LOGIC

#define InterlockedAdd(a, v)                     ((LONG)__atomic_add_fetch(a, v, __ATOMIC_SEQ_CST))
#define InterlockedAdd64(a, v)                   ((LONG64)__atomic_add_fetch(a, v, __ATOMIC_SEQ_CST))
#define InterlockedIncrementAcquire              InterlockedIncrement
#define InterlockedIncrementRelease              InterlockedIncrement
#define InterlockedIncrementNoFence              InterlockedIncrement
#define InterlockedIncrementNoFence64            InterlockedIncrement64
#define InterlockedDecrementAcquire              InterlockedDecrement
#define InterlockedDecrementRelease              InterlockedDecrement
#define InterlockedDecrementNoFence              InterlockedDecrement
#define InterlockedDecrementNoFence64            InterlockedDecrement64
#define InterlockedExchangeNoFence               InterlockedExchange
#define InterlockedExchangeAcquire               InterlockedExchange
#define InterlockedExchangePointerNoFence        InterlockedExchangePointer
#define InterlockedCompareExchangeAcquire        InterlockedCompareExchange
#define InterlockedCompareExchangeRelease        InterlockedCompareExchange
#define InterlockedCompareExchangeNoFence        InterlockedCompareExchange
#define InterlockedCompareExchangeAcquire64      InterlockedCompareExchange64
#define InterlockedCompareExchangeNoFence64      InterlockedCompareExchange64
#define InterlockedCompareExchangePointerNoFence InterlockedCompareExchangePointer
#define InterlockedAddNoFence                    InterlockedAdd
#define InterlockedAddNoFence64                  InterlockedAdd64

FORCEINLINE UCHAR InterlockedCompareExchange128(LONG64 volatile *Destination, LONG64 ExchangeHigh,
                                                LONG64 ExchangeLow, LONG64 *ComparandResult)
{
    UCHAR done;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(done), "+m"(*(__int128 volatile *)Destination),
                       "+a"(ComparandResult[0]), "+d"(ComparandResult[1])
                     : "b"(ExchangeLow), "c"(ExchangeHigh)
                     : "memory");
    return done;
}

/* Loads and stores of shared variables */
#define READ_WRITE(kind, bits, type)                                                               \
    FORCEINLINE type Read##kind##NoFence##bits(type const volatile *Source)                        \
    {                                                                                              \
        return __atomic_load_n(Source, __ATOMIC_RELAXED);                                          \
    }                                                                                              \
    FORCEINLINE type Read##kind##Acquire##bits(type const volatile *Source)                        \
    {                                                                                              \
        return __atomic_load_n(Source, __ATOMIC_ACQUIRE);                                          \
    }                                                                                              \
    FORCEINLINE void Write##kind##NoFence##bits(type volatile *Destination, type Value)            \
    {                                                                                              \
        __atomic_store_n(Destination, Value, __ATOMIC_RELAXED);                                    \
    }                                                                                              \
    FORCEINLINE void Write##kind##Release##bits(type volatile *Destination, type Value)            \
    {                                                                                              \
        __atomic_store_n(Destination, Value, __ATOMIC_RELEASE);                                    \
    }

READ_WRITE(, , LONG)
READ_WRITE(, 64, LONG64)
READ_WRITE(ULong, , ULONG)
READ_WRITE(ULong64, , ULONG64)
READ_WRITE(UShort, , USHORT)
READ_WRITE(UChar, , UCHAR)
READ_WRITE(Boolean, , BOOLEAN)

#undef READ_WRITE

FORCEINLINE PVOID ReadPointerNoFence(PVOID const volatile *Source)
{
    return __atomic_load_n(Source, __ATOMIC_RELAXED);
}

FORCEINLINE PVOID ReadPointerAcquire(PVOID const volatile *Source)
{
    return __atomic_load_n(Source, __ATOMIC_ACQUIRE);
}

FORCEINLINE void WritePointerNoFence(PVOID volatile *Destination, PVOID Value)
{
    __atomic_store_n(Destination, Value, __ATOMIC_RELAXED);
}

FORCEINLINE void WritePointerRelease(PVOID volatile *Destination, PVOID Value)
{
    __atomic_store_n(Destination, Value, __ATOMIC_RELEASE);
}

#define MemoryBarrier()               __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define KeMemoryBarrier()             __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define KeMemoryBarrierWithoutFence() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define _ReadWriteBarrier()           __atomic_signal_fence(__ATOMIC_SEQ_CST)
#define YieldProcessor()              __builtin_ia32_pause()

/* Bits */
FORCEINLINE UCHAR BitScanForward(ULONG *Index, ULONG Mask)
{
    if (Mask)
        *Index = (ULONG)__builtin_ctz(Mask);
    return Mask != 0;
}

FORCEINLINE UCHAR BitScanForward64(ULONG *Index, ULONG64 Mask)
{
    if (Mask)
        *Index = (ULONG)__builtin_ctzll(Mask);
    return Mask != 0;
}

FORCEINLINE UCHAR BitScanReverse(ULONG *Index, ULONG Mask)
{
    if (Mask)
        *Index = 31 - (ULONG)__builtin_clz(Mask);
    return Mask != 0;
}

FORCEINLINE UCHAR BitScanReverse64(ULONG *Index, ULONG64 Mask)
{
    if (Mask)
        *Index = 63 - (ULONG)__builtin_clzll(Mask);
    return Mask != 0;
}

#define RtlUshortByteSwap(v)    __builtin_bswap16((USHORT)(v))
#define RtlUlongByteSwap(v)     __builtin_bswap32((ULONG)(v))
#define RtlUlonglongByteSwap(v) __builtin_bswap64((ULONGLONG)(v))
#define UnsignedMultiplyHigh(a, b)                                                                 \
    ((ULONG64)(((unsigned __int128)(ULONG64)(a) * (ULONG64)(b)) >> 64))
