/*
 * Pre-operations, from the top to the bottom; see op.h.
 *
 * WDK: PFLT_PRE_OPERATION_CALLBACK, "Returning FLT_PREOP_...", FltCompletePendedPreOperation,
 * FltSetCallbackDataDirty.
 */
#include "op.h"
#include <string.h>

/* FLTFL_OPERATION_REGISTRATION_SKIP_...: operations that the filter does not want to see. */
static bool is_skipped(const struct flt_callback *call, const FLT_IO_PARAMETER_BLOCK *iopb)
{
    FLT_OPERATION_REGISTRATION_FLAGS flags = call->flags;
    if (__builtin_expect(flags == 0, 1))
        return false;
    bool transfers = iopb->MajorFunction == IRP_MJ_READ || iopb->MajorFunction == IRP_MJ_WRITE;
    bool paging = (iopb->IrpFlags & IRP_PAGING_IO) != 0;
    bool cached = !(iopb->IrpFlags & IRP_NOCACHE);
    const FILE_OBJECT *file = iopb->TargetFileObject;
    if (flags & FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO && transfers && paging)
        return true;
    if (flags & FLTFL_OPERATION_REGISTRATION_SKIP_CACHED_IO && transfers && cached)
        return true;
    if (flags & FLTFL_OPERATION_REGISTRATION_SKIP_NON_CACHED_NON_PAGING_IO && transfers &&
        !cached && !paging)
        return true;
    return flags & FLTFL_OPERATION_REGISTRATION_SKIP_NON_DASD_IO &&
           (file == NULL || !(file->Flags & FO_VOLUME_OPEN));
}

/* The parameters that a filter changed without saying so would reach nobody on Windows. */
static void check_dirty(struct flt_op *op, const struct flt_node *node)
{
    FLT_IO_PARAMETER_BLOCK now = *flt_iopb(op);
    now.TargetInstance = node->saved.TargetInstance;
    /* Bytes: one began as a copy of the other, padding included. */
    if (memcmp((const void *)&now, (const void *)&node->saved, sizeof(now)) != 0)
        vf_violation(VfFltCallbackData,
                     "the pre-operation of %s changed parameters of callback data %p without "
                     "FltSetCallbackDataDirty",
                     op->list.calls[op->current].instance->filter->image, (void *)flt_data(op));
}

static void note_changes(struct flt_op *op, struct flt_node *node)
{
    PFLT_CALLBACK_DATA data = flt_data(op);
    node->dirty = (data->Flags & FLTFL_CALLBACK_DATA_DIRTY) != 0;
    if (node->dirty) {
        data->Flags &= ~(ULONG)FLTFL_CALLBACK_DATA_DIRTY;
        op->dirty = true;
        flt_swap_note(op, node);
    } else if (vf_enabled) {
        check_dirty(op, node);
    }
}

static void __attribute__((noreturn)) bad_status(struct flt_op *op,
                                                 FLT_PREOP_CALLBACK_STATUS status, const char *why)
{
    static const char *const names[] = {"FLT_PREOP_SUCCESS_WITH_CALLBACK",
                                        "FLT_PREOP_SUCCESS_NO_CALLBACK",
                                        "FLT_PREOP_PENDING",
                                        "FLT_PREOP_DISALLOW_FASTIO",
                                        "FLT_PREOP_COMPLETE",
                                        "FLT_PREOP_SYNCHRONIZE",
                                        "FLT_PREOP_DISALLOW_FSFILTER_IO"};
    vf_violation(VfFltStatus, "the pre-operation of %s for major function 0x%02x returned %s: %s",
                 op->list.calls[op->current].instance->filter->image, flt_iopb(op)->MajorFunction,
                 (unsigned)status < ARRAYSIZE(names) ? names[status] : "no such status", why);
}

static void check_status(struct flt_op *op, FLT_PREOP_CALLBACK_STATUS status)
{
    const struct flt_callback *call = &op->list.calls[op->current];
    bool is_irp = op->kind == FltOpIrp || op->kind == FltOpGenerated;
    switch (status) {
    case FLT_PREOP_SUCCESS_WITH_CALLBACK:
    case FLT_PREOP_SYNCHRONIZE:
        if (call->post == NULL)
            bad_status(op, status, "it has no post-operation");
        if (status == FLT_PREOP_SYNCHRONIZE && !is_irp)
            bad_status(op, status, "the operation is not an IRP");
        break;
    case FLT_PREOP_SUCCESS_NO_CALLBACK:
        break;
    case FLT_PREOP_PENDING:
        if (!is_irp)
            bad_status(op, status, "only IRPs can be pended");
        break;
    case FLT_PREOP_COMPLETE:
        if (flt_data(op)->IoStatus.Status == STATUS_PENDING)
            bad_status(op, status, "IoStatus.Status is STATUS_PENDING");
        if (is_irp &&
            (flt_iopb(op)->MajorFunction == IRP_MJ_CLEANUP ||
             flt_iopb(op)->MajorFunction == IRP_MJ_CLOSE) &&
            !NT_SUCCESS(flt_data(op)->IoStatus.Status))
            bad_status(op, status, "cleanup and close cannot fail");
        break;
    case FLT_PREOP_DISALLOW_FASTIO:
        if (op->kind != FltOpFastIo)
            bad_status(op, status, "the operation is not fast I/O");
        break;
    case FLT_PREOP_DISALLOW_FSFILTER_IO:
        if (op->kind != FltOpFsFilter)
            bad_status(op, status, "the operation is not an FsFilter one");
        break;
    default:
        bad_status(op, status, "no such status");
    }
}

/* The post-operation is due in this thread where the filter asked for it, and for all creates. */
static void expect_post(struct flt_op *op, struct flt_node *node, PFLT_INSTANCE instance,
                        struct flt_runner *runner, bool synchronize)
{
    op->completes = true;
    if (synchronize && runner != NULL) {
        node->runner = runner;
        runner->nodes++;
        atomic_store(&node->state, FLT_STATE(instance, NodeBelowSync));
        return; /* it keeps the instance until its post-operation has been called */
    }
    atomic_store(&node->state, FLT_STATE(instance, NodeBelow));
    flt_drop(instance);
}

enum flt_verdict flt_pre_said(struct flt_op *op, FLT_PREOP_CALLBACK_STATUS status,
                              struct flt_runner *runner)
{
    struct flt_node *node = &op->nodes[op->current];
    PFLT_INSTANCE instance = op->list.calls[op->current].instance;
    PFLT_CALLBACK_DATA data = flt_data(op);
    if (vf_enabled)
        check_status(op, status);
    note_changes(op, node);
    if (node->dirty)
        op->completes = true;
    switch (status) {
    case FLT_PREOP_SUCCESS_WITH_CALLBACK:
    case FLT_PREOP_SYNCHRONIZE:
        expect_post(op, node, instance, runner,
                    status == FLT_PREOP_SYNCHRONIZE || op->table == IRP_MJ_CREATE);
        return FltSend;
    case FLT_PREOP_DISALLOW_FASTIO:
    case FLT_PREOP_DISALLOW_FSFILTER_IO:
        data->IoStatus.Status = status == FLT_PREOP_DISALLOW_FASTIO
                                    ? STATUS_FLT_DISALLOW_FAST_IO
                                    : STATUS_FLT_DISALLOW_FSFILTER_IO;
        data->IoStatus.Information = 0;
        /* fall through */
    case FLT_PREOP_COMPLETE:
        atomic_store(&node->state, FLT_STATE(NULL, NodeNone));
        flt_drop(instance);
        return FltComplete;
    default:
        atomic_store(&node->state, FLT_STATE(NULL, NodeNone));
        flt_drop(instance);
        return FltSend;
    }
}

/* From here on another thread may complete it: the IRP is marked before. */
static bool pend(struct flt_op *op, struct flt_node *node, PFLT_INSTANCE instance,
                 const struct flt_runner *runner)
{
    uintptr_t expected = FLT_STATE(instance, NodeInPre);
    if (!op->marked && (runner == NULL || runner->nodes == 0)) {
        op->marked = true;
        if (!op->own_irp)
            IoMarkIrpPending(op->irp);
    }
    return atomic_compare_exchange_strong(&node->state, &expected,
                                          FLT_STATE(instance, NodePrePended));
}

static enum flt_verdict call_pre(struct flt_op *op, struct flt_runner *runner)
{
    const struct flt_callback *callback = &op->list.calls[op->current];
    struct flt_node *node = &op->nodes[op->current];
    PFLT_INSTANCE instance = callback->instance;
    if (callback->pre == NULL) {
        expect_post(op, node, instance, runner, op->table == IRP_MJ_CREATE);
        return FltSend;
    }
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    iopb->TargetInstance = instance;
    node->saved = *iopb;
    atomic_store(&node->state, FLT_STATE(instance, NodeInPre));
    FLT_RELATED_OBJECTS related = flt_related(instance, iopb->TargetFileObject);
    struct vf_call call = vf_call_begin_of("a pre-operation", callback->pre);
    FLT_PREOP_CALLBACK_STATUS status = callback->pre(flt_data(op), &related, &node->context);
    vf_call_end(&call);
    if (status == FLT_PREOP_PENDING) {
        if (vf_enabled && op->kind != FltOpIrp && op->kind != FltOpGenerated)
            check_status(op, status);
        if (pend(op, node, instance, runner))
            return FltPended;
        status = node->early; /* it was completed before it returned */
    } else if (vf_enabled && FLT_STATE_OF(atomic_load(&node->state)) == NodePreEarly) {
        bad_status(op, status, "but FltCompletePendedPreOperation was called for it");
    }
    return flt_pre_said(op, status, runner);
}

enum flt_verdict flt_pre(struct flt_op *op, unsigned at, struct flt_runner *runner)
{
    for (; at < op->list.count; at++) {
        const struct flt_callback *callback = &op->list.calls[at];
        struct flt_node *node = &op->nodes[at];
        node->context = NULL;
        node->runner = NULL;
        node->dirty = node->swapped = node->retained = false;
        node->swapped_mdl = NULL;
        atomic_store_explicit(&node->state, FLT_STATE(NULL, NodeNone), memory_order_relaxed);
        op->depth = at + 1;
        op->current = at;
        if (is_skipped(callback, flt_iopb(op)) || !flt_take(callback->instance))
            continue;
        enum flt_verdict verdict = call_pre(op, runner);
        if (verdict != FltSend)
            return verdict;
    }
    return FltSend;
}

/* Exports */

VOID NTAPI FltCompletePendedPreOperation(PFLT_CALLBACK_DATA CallbackData,
                                         FLT_PREOP_CALLBACK_STATUS CallbackStatus, PVOID Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_op *op = flt_op_of(CallbackData, __func__);
    struct flt_node *node = &op->nodes[op->current];
    PFLT_INSTANCE instance = op->list.calls[op->current].instance;
    struct flt_runner runner = {.nodes = 0};
    if (vf_enabled && CallbackStatus == FLT_PREOP_PENDING)
        bad_status(op, CallbackStatus, "FltCompletePendedPreOperation ends the pending");
    if (CallbackStatus == FLT_PREOP_SUCCESS_WITH_CALLBACK ||
        CallbackStatus == FLT_PREOP_SYNCHRONIZE)
        node->context = Context;
    node->early = CallbackStatus;
    uintptr_t expected = FLT_STATE(instance, NodeInPre);
    if (atomic_compare_exchange_strong(&node->state, &expected, FLT_STATE(instance, NodePreEarly)))
        return;
    expected = FLT_STATE(instance, NodePrePended);
    if (!atomic_compare_exchange_strong(&node->state, &expected, FLT_STATE(instance, NodeInPre)))
        vf_violation(VfFltStatus, "FltCompletePendedPreOperation: no pre-operation is pended");
    KeInitializeEvent(&runner.event, SynchronizationEvent, FALSE);
    enum flt_verdict verdict = flt_pre_said(op, CallbackStatus, &runner);
    if (verdict == FltSend)
        verdict = flt_pre(op, op->current + 1, &runner);
    flt_proceed(op, verdict, &runner);
}
NT_EXPORT(FLTMGR, FltCompletePendedPreOperation);
