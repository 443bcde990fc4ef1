/*
 * What nt_start() and nt_stop() run: each part of the host registers its start and stop in a linker
 * section. Started by ascending order, stopped by descending order, on the caller's thread, which
 * is attached, at PASSIVE_LEVEL and outside driver context. The deterministic tests start and stop
 * the host tens of thousands of times: both must be quick.
 */
#pragma once
#include <nthost/nthost.h>

struct nt_module {
    const char *name;
    int order;
    void (*start)(const struct nt_options *options);
    void (*stop)(void); /* may be NULL */
};

/* Orders: a part may use those below it. */
enum {
    NT_ORDER_EXECUTIVE = 10,
    NT_ORDER_OBJECTS = 20,
    NT_ORDER_REGISTRY = 30,
    NT_ORDER_IO = 40,
    NT_ORDER_FLT = 45,
    NT_ORDER_NDIS = 50,
    NT_ORDER_KMDF = 60,
    NT_ORDER_LOADER = 70, /* stops first: unloads all drivers */
    NT_ORDER_SETUP = 80,
};

#define NT_MODULE(module, at, starter, stopper)                                                    \
    static const struct nt_module nt_module_##module                                               \
        __attribute__((used, retain, section("nt_modules"), aligned(8))) = {#module, (at),         \
                                                                            (starter), (stopper)}
