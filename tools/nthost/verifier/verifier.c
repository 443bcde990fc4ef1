/*
 * The verifier's core: the report, attribution, IRQL ceilings of exports, brackets around
 * callbacks, and the registers of checks that other parts make at unload and when pool is freed.
 *
 * A violation is printed as one block, in one write, by the first thread that finds one; the
 * process ends with VF_EXIT_CODE.
 */
#include "../executive/dispatcher.h"
#include "../loader/image.h"
#include "locks.h"
#include "report.h"
#include "rules.h"
#include "symbols.h"
#include <dlfcn.h>
#include <nthost/module.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool vf_enabled, vf_entry_armed;
static const char *unloading = ""; /* the driver whose leftovers are being looked for */

/* A thread's own stack where that is not the current one. */
#define MAX_FRAMES 40
static __thread void *interrupted[MAX_FRAMES];
static __thread unsigned interrupted_count;

void vf_report_stack(void *const *frames, unsigned count)
{
    interrupted_count = count < MAX_FRAMES ? count : MAX_FRAMES;
    for (unsigned i = 0; i < interrupted_count; i++)
        interrupted[i] = frames[i];
}

/* Attribution */

const char *vf_owner(const void *address)
{
    const struct nt_image *image = address ? image_of(address) : NULL;
    return image ? image_name(image) : "";
}

bool vf_is_owner(const void *address, const char *driver)
{
    return address && !strcmp(vf_owner(address), driver);
}

/* `back`: how far in front of the address to look. */
static void symbol(const void *exact, size_t back, char *text, size_t size)
{
    const void *address = (const char *)exact - back;
    const struct nt_image *image = image_of(address);
    char name[128];
    uint64_t offset = 0;
    Dl_info info = {.dli_fname = NULL};
    bool known = dladdr(address, &info) != 0;
    bool named = image ? image->kind == IMAGE_ELF &&
                             symbol_in_file(image->path, (uintptr_t)address - image->base, name,
                                            sizeof name, &offset)
                       : known && symbol_in_file("/proc/self/exe",
                                                 (uintptr_t)address - (uintptr_t)info.dli_fbase,
                                                 name, sizeof name, &offset);
    if (!named && known && info.dli_sname) {
        snprintf(name, sizeof name, "%s", info.dli_sname);
        offset = (uintptr_t)address - (uintptr_t)info.dli_saddr;
        named = true;
    }
    if (named)
        snprintf(text, size, "%s%s%s+0x%llx", image ? image_name(image) : "", image ? "!" : "",
                 name, (unsigned long long)offset + back);
    else if (image)
        snprintf(text, size, "%s+0x%zx", image_name(image),
                 (size_t)((uintptr_t)exact - image->base));
    else
        snprintf(text, size, "%p", exact);
}

void vf_symbol(const void *address, char *text, size_t size)
{
    symbol(address, 0, text, size);
}

/* A call that does not return may be a function's last instruction. */
void vf_symbol_of_return(const void *address, char *text, size_t size)
{
    symbol(address, 1, text, size);
}

/* The report */

static char note[160];

void vf_note(const char *text)
{
    snprintf(note, sizeof note, "%s", text ? text : "");
}

static size_t append(char *text, size_t size, size_t length, const char *format, ...)
{
    if (length >= size)
        return length;
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
    return more < 0 ? length : length + (size_t)more < size ? length + (size_t)more : size - 1;
}

void vf_report(int exit_code, const char *head, const char *message)
{
    static volatile uint32_t reporting;
    char text[16384];
    void *here[MAX_FRAMES], **frames = here;
    size_t length = 0;
    struct nt_thread *self = nt_self;

    if (__atomic_exchange_n(&reporting, 1, __ATOMIC_SEQ_CST)) {
        if (self->vf_nesting)
            _exit(exit_code); /* found while reporting */
        for (;;)
            pause();
    }
    self->vf_nesting++;
    unsigned count = interrupted_count;
    if (count)
        frames = interrupted;
    else
        count = image_backtrace(here, MAX_FRAMES);
    const char *driver = "";
    for (unsigned i = 0; i < count && !*driver; i++)
        driver = vf_owner(frames[i]);
    if (!*driver)
        driver = unloading;
    length = append(text, sizeof text, length, "%s\n    %s\n", head, message);
    length =
        append(text, sizeof text, length, "    driver: %s; thread: %s, processor %u, IRQL %u%s\n",
               *driver ? driver : "none on this stack", self->name, self->vp->number, self->irql,
               self->in_dpc ? ", in a DPC" : "");
    if (note[0])
        length = append(text, sizeof text, length, "    at %s\n", note);
    char failed[512];
    if (vf_fault_last(failed, sizeof failed))
        length =
            append(text, sizeof text, length, "    after this failed by injection: %s\n", failed);
    for (unsigned i = 0; i < count; i++) {
        char where[160];
        vf_symbol_of_return(frames[i], where, sizeof where);
        length = append(text, sizeof text, length, "    %2u  %s\n", i, where);
    }
    if (sched_det)
        length =
            append(text, sizeof text, length,
                   "    deterministic schedule: switches %llu, trace 0x%016llx\n",
                   (unsigned long long)sched_switches(), (unsigned long long)sched_trace_hash());
    for (size_t done = 0; done < length;) {
        ssize_t wrote = write(STDERR_FILENO, text + done, length - done);
        if (wrote <= 0)
            break;
        done += (size_t)wrote;
    }
    _exit(exit_code);
}

void vf_violation(enum vf_rule rule, const char *format, ...)
{
    char message[8192], head[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    snprintf(head, sizeof head, "*** VIOLATION %s: %s [WDK: %s]", vf_rules[rule].name,
             vf_rules[rule].text, vf_rules[rule].page);
    vf_report(VF_EXIT_CODE, head, message);
    __builtin_unreachable();
}

/* Entry of an export */

void __attribute__((ms_abi)) vf_entry_slow(const char *function, int max_irql)
{
    struct nt_thread *self = nt_self;
    if (self == &nt_nobody)
        return;
    if (vf_enabled && self->irql > max_irql)
        vf_violation(VfIrqlTooHigh, "%s is called at IRQL %u; it allows %d at most", function,
                     self->irql, max_irql);
    /* Where the export returns to: one frame further out (the host keeps frame pointers). */
    void **frame = __builtin_frame_address(0), **export = frame[0];
    if (vf_enabled && self->irql >= DISPATCH && image_is_pageable(export[1]))
        vf_violation(VfPageableCodeAtDispatch, "%s is called at IRQL %u from pageable code",
                     function, self->irql);
    thread_point(self);
}

/* Callbacks */

void vf_call_begin_slow(struct vf_call *call)
{
    struct nt_thread *self = nt_self;
    call->irql = self->irql;
    call->spin_locks = self->spin_locks;
    call->critical = self->critical + self->guarded;
}

void vf_call_end_slow(const struct vf_call *call)
{
    struct nt_thread *self = nt_self;
    char what[160];
    if (self->spin_locks <= call->spin_locks && self->irql == call->irql &&
        self->critical + self->guarded == call->critical)
        return;
    const char *driver = vf_owner(call->routine);
    snprintf(what, sizeof what, "%s%s%s", call->what, *driver ? " of " : "", driver);
    if (self->spin_locks > call->spin_locks)
        vf_violation(VfSpinLockHeld, "%s returned with a %s that it acquired (%p)", what,
                     self->held[self->held_count - 1].kind,
                     (const void *)self->held[self->held_count - 1].lock);
    if (self->irql != call->irql)
        vf_violation(VfIrqlWrongOnReturn, "%s was called at IRQL %u and returned at IRQL %u", what,
                     call->irql, self->irql);
    vf_violation(VfIrqlWrongOnReturn, "%s returned in %s critical region(s) than it was called in",
                 what, self->critical + self->guarded > call->critical ? "more" : "fewer");
}

/* Checks of other parts */

#define MAX_CHECKS 64
static void (*unload_checks[MAX_CHECKS])(const char *driver);
static void (*free_checks[MAX_CHECKS])(const void *memory, size_t bytes);
static unsigned unload_count, free_count;

void vf_at_unload(void (*check)(const char *driver))
{
    if (unload_count == MAX_CHECKS)
        nt_fatal("too many unload checks");
    unload_checks[unload_count++] = check;
}

void vf_at_free(void (*check)(const void *memory, size_t bytes))
{
    if (free_count == MAX_CHECKS)
        nt_fatal("too many free checks");
    free_checks[free_count++] = check;
}

void vf_driver_unloaded(const char *driver)
{
    if (!vf_enabled)
        return;
    unloading = driver;
    for (unsigned i = 0; i < unload_count; i++)
        unload_checks[i](driver);
    unloading = "";
    vf_locks_driver_gone(driver);
}

void vf_memory_freed(const void *memory, size_t bytes)
{
    for (unsigned i = 0; i < free_count; i++)
        free_checks[i](memory, bytes);
    vf_lock_memory_freed(memory, bytes);
}

static void start(const struct nt_options *options)
{
    vf_enabled = options->verifier;
    vf_entry_armed = vf_enabled || sched_det;
    vf_locks_reset();
}

static void stop(void)
{
    vf_enabled = vf_entry_armed = false;
}

NT_MODULE(verifier, NT_ORDER_EXECUTIVE - 9, start, stop);
