/*
 * Faults of the processor: what special pool's guard pages catch, and drivers that crash.
 *
 * SIGSEGV at an address of special pool becomes the rule that was broken, with the block's stacks.
 * One at a list entry that another thread popped and freed is expected (executive/slist.c). Any
 * other fault in a driver, or in the host on a driver's behalf, is a bug check; one in the host
 * alone goes to the handler that was there before, a sanitizer's or the default.
 */
#include "../executive/pool.h"
#include "../executive/slist.h"
#include "../flt/explain.h"
#include "../io/irp.h"
#include "report.h"
#include "../loader/image.h"
#include <nthost/module.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define ALTERNATE_STACK (64 * 1024)

static struct sigaction before[32];
static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

static void __attribute__((noreturn))
special_fault(const struct pool_block *block, const char *address, bool write, const char *where)
{
    char stacks[4096], what[256];
    enum vf_rule rule = VfPoolCorrupt;
    tracked_print_stacks(block, stacks, sizeof stacks);
    if (block->state == POOL_FREED) {
        rule = VfPoolUseAfterFree;
        snprintf(what, sizeof what, "byte %td of it, which is freed", address - block->memory);
    } else if (block->hidden) {
        rule = VfPagedAtDispatch;
        snprintf(what, sizeof what, "byte %td of it, which is paged, at DISPATCH_LEVEL",
                 address - block->memory);
    } else if (address < block->memory) {
        snprintf(what, sizeof what, "%td byte(s) before its start", block->memory - address);
    } else {
        snprintf(what, sizeof what, "%td byte(s) behind its end",
                 address - (block->memory + block->bytes));
    }
    vf_violation(rule, "%s %s %s\n    block %p, %zu bytes, tag %.4s, %s pool\n    %s", where,
                 write ? "writes" : "reads", what, (void *)block->memory, block->bytes,
                 (const char *)&block->tag, block->paged ? "paged" : "nonpaged", stacks);
}

static void chain(int number, siginfo_t *info, void *context)
{
    const struct sigaction *old = &before[number];
    if (old->sa_flags & SA_SIGINFO && old->sa_sigaction) {
        old->sa_sigaction(number, info, context);
    } else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
        old->sa_handler(number);
    } else {
        signal(number, SIG_DFL); /* the instruction runs again */
    }
}

/* The registers in their UNWIND_INFO order (loader/image.h). Is a driver on the stack? */
static bool note_stack(const greg_t *registers)
{
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                  REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                  REG_R12, REG_R13, REG_R14, REG_R15};
    struct pe_context context = {.rip = (uint64_t)registers[REG_RIP], .known = 0xffff};
    void *frames[40];
    for (unsigned i = 0; i < 16; i++)
        context.registers[i] = (uint64_t)registers[order[i]];
    unsigned count = image_backtrace_of(&context, frames, 40);
    vf_report_stack(frames, count);
    for (unsigned i = 0; i < count; i++) {
        if (image_of(frames[i]))
            return true;
    }
    return false;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const void *rip = (const void *)registers[REG_RIP];
    const char *address = info->si_addr;

    if (rip == slist_pop_fault) {
        registers[REG_RIP] = (greg_t)slist_pop_resume;
        return;
    }
    if (number == SIGSEGV && nt_self->irql < DISPATCH && special_unhide(address))
        return;
    char where[160], message[256];
    vf_symbol(rip, where, sizeof where);
    bool driver = note_stack(registers);
    if (number == SIGSEGV) {
        const struct pool_block *block = special_block_of(address);
        if (block)
            special_fault(block, address, registers[REG_ERR] & 2, where);
        if (irp_explain_address(address, message, sizeof message))
            vf_violation(VfIrpTouchedAfterCompletion, "%s: %s", where, message);
        if (flt_explain_address(address, message, sizeof message))
            vf_violation(VfFltCallbackData, "%s: %s", where, message);
    }
    if (!driver) {
        vf_report_stack(NULL, 0);
        chain(number, info, context);
        return;
    }
    if (number == SIGILL || number == SIGTRAP) {
        /* Our headers' RtlFailFast is an undefined instruction. */
        snprintf(message, sizeof message, "%s fails fast: a corrupt list entry, or a trap", where);
        vf_report(VF_BUGCHECK_EXIT_CODE, "*** STOP 0x00000139 (KERNEL_SECURITY_CHECK_FAILURE)",
                  message);
    } else if (number == SIGFPE) {
        snprintf(message, sizeof message, "%s divides by zero", where);
        vf_report(VF_BUGCHECK_EXIT_CODE,
                  "*** STOP 0x0000007E (SYSTEM_THREAD_EXCEPTION_NOT_HANDLED)", message);
    } else if (nt_self->irql >= DISPATCH) {
        snprintf(message, sizeof message, "%s touches %p at IRQL %u", where, (const void *)address,
                 nt_self->irql);
        vf_report(VF_BUGCHECK_EXIT_CODE, "*** STOP 0x000000D1 (DRIVER_IRQL_NOT_LESS_OR_EQUAL)",
                  message);
    } else {
        snprintf(message, sizeof message, "%s touches %p", where, (const void *)address);
        vf_report(VF_BUGCHECK_EXIT_CODE, "*** STOP 0x00000050 (PAGE_FAULT_IN_NONPAGED_AREA)",
                  message);
    }
}

/* A stack for the handler: a driver may have used up its own. */
void crash_thread_start(void)
{
    stack_t old, alternate = {.ss_size = ALTERNATE_STACK};
    if (sigaltstack(NULL, &old) || !(old.ss_flags & SS_DISABLE))
        return;
    if ((alternate.ss_sp = malloc(ALTERNATE_STACK)) && sigaltstack(&alternate, NULL))
        free(alternate.ss_sp);
    else
        nt_self->alternate_stack = alternate.ss_sp;
}

void crash_thread_end(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    if (nt_self->alternate_stack && !sigaltstack(&none, NULL))
        free(nt_self->alternate_stack);
    nt_self->alternate_stack = NULL;
}

static void start(const struct nt_options *options)
{
    static bool installed;
    (void)options;
    crash_thread_start();
    if (installed)
        return;
    installed = true;
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_sigaction = on_fault,
                                   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i], &action, &before[signals[i]]);
    }
}

static void stop(void)
{
    crash_thread_end();
}

NT_MODULE(crash, NT_ORDER_EXECUTIVE - 8, start, stop);
