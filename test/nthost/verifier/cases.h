/*
 * The table of bad drivers. Each case is loaded twice, as the bad one and as its good twin: the
 * verifier must end the first with the case's rule and name the driver, and be silent about the
 * second.
 *
 *     VF_CASE(PoolLeak, PoolLeak);
 *     VF_CASE(PoolCorrupt, PoolCorrupt_special, .special_pool = true);
 *     VF_CASE(NblLeak, NblLeak, .before = open_edge, .exercise = send_some, .after = close_edge);
 */
#pragma once
#include "tap.h"
#include <ntddk.h>

struct vf_case {
    const char *rule;
    const char *driver; /* bad/<driver>.c */
    bool special_pool;
    bool realtime;
    bool pe_only;                            /* about what ELF modules do not have */
    const char *(*state_dir)(void);          /* NULL: memory only */
    void (*before)(void);                    /* the host runs, the driver is not loaded */
    void (*exercise)(PDRIVER_OBJECT driver); /* loaded */
    void (*after)(void);                     /* unloaded */
    void (*stopped)(void);                   /* the host does not run any more */
    struct vf_case *next;
};
void vf_case_register(struct vf_case *test);
const char *vf_case_driver(void); /* of the case that runs */

#define VF_CASE(named_rule, named_driver, ...)                                                     \
    __attribute__((constructor)) static void vf_case_register_##named_driver(void)                 \
    {                                                                                              \
        static struct vf_case self = {                                                             \
            .rule = #named_rule, .driver = #named_driver, ##__VA_ARGS__};                          \
        vf_case_register(&self);                                                                   \
    }                                                                                              \
    _Static_assert(1, "takes the semicolon")
