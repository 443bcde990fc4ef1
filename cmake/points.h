/*
 * Included before everything else in a driver that is built with points (nts_driver_points): the
 * atomic operations that clang does not call out for. A macro's own name is not expanded again.
 */
#pragma once

void __sanitizer_cov_store8(const volatile void *address);
#define NTS_POINT(address, operation) (__sanitizer_cov_store8(address), operation)

#define __atomic_add_fetch(p, v, o)  NTS_POINT(p, __atomic_add_fetch(p, v, o))
#define __atomic_sub_fetch(p, v, o)  NTS_POINT(p, __atomic_sub_fetch(p, v, o))
#define __atomic_fetch_add(p, v, o)  NTS_POINT(p, __atomic_fetch_add(p, v, o))
#define __atomic_fetch_and(p, v, o)  NTS_POINT(p, __atomic_fetch_and(p, v, o))
#define __atomic_fetch_or(p, v, o)   NTS_POINT(p, __atomic_fetch_or(p, v, o))
#define __atomic_fetch_xor(p, v, o)  NTS_POINT(p, __atomic_fetch_xor(p, v, o))
#define __atomic_exchange_n(p, v, o) NTS_POINT(p, __atomic_exchange_n(p, v, o))
#define __atomic_compare_exchange_n(p, e, d, w, s, f)                                              \
    NTS_POINT(p, __atomic_compare_exchange_n(p, e, d, w, s, f))
