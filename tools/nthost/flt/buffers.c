/*
 * Buffers: filters that exchange an operation's buffer for one of their own, and locking a user's.
 *
 * A filter that exchanges a buffer sets the parameter, and the MDL that describes it (or NULL), and
 * marks the data dirty. On the way back the IRP gets back what it had, and the filter's
 * post-operation sees what its pre-operation saw. The MDL of the exchanged buffer, the filter's or
 * one that the file system made, is freed after the post-operation unless that retained it.
 *
 * WDK: "Swapping Buffers", FltGetSwappedBufferMdlAddress, FltRetainSwappedBufferMdlAddress,
 * FltLockUserBuffer.
 */
#include "op.h"

static bool is_irp(const struct flt_op *op)
{
    return op->kind == FltOpIrp || op->kind == FltOpGenerated;
}

void flt_swap_note(struct flt_op *op, struct flt_node *node)
{
    struct flt_buffer before, now;
    if (!flt_params_buffer(&node->saved, &before) || !flt_params_buffer(flt_iopb(op), &now))
        return;
    node->swapped = *before.buffer != *now.buffer;
}

void flt_swap_undo(struct flt_op *op, struct flt_node *node)
{
    struct flt_buffer now, before;
    PMDL mdl = NULL;
    if (flt_params_buffer(flt_iopb(op), &now) && now.mdl != NULL)
        mdl = *now.mdl;
    *flt_iopb(op) = node->saved;
    if (flt_params_buffer(flt_iopb(op), &before) && before.mdl != NULL) {
        if (node->swapped)
            node->swapped_mdl = mdl;
        else
            *before.mdl = mdl; /* made below, of the same buffer */
    }
    if (is_irp(op) && op->irp != NULL)
        flt_params_to_irp(op, NULL);
}

void flt_swap_release(struct flt_node *node)
{
    PMDL mdl = node->swapped_mdl;
    node->swapped_mdl = NULL;
    if (mdl == NULL || node->retained)
        return;
    if (mdl->MdlFlags & MDL_PAGES_LOCKED)
        MmUnlockPages(mdl);
    IoFreeMdl(mdl);
}

static struct flt_node *post_node(PFLT_CALLBACK_DATA data, const char *function)
{
    struct flt_op *op = flt_op_of(data, function);
    if (vf_enabled && !op->in_post)
        vf_violation(VfFltCallbackData, "%s is for post-operations", function);
    return &op->nodes[op->current];
}

PMDL NTAPI FltGetSwappedBufferMdlAddress(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return post_node(CallbackData, __func__)->swapped_mdl;
}
NT_EXPORT(FLTMGR, FltGetSwappedBufferMdlAddress);

VOID NTAPI FltRetainSwappedBufferMdlAddress(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    post_node(CallbackData, __func__)->retained = true;
}
NT_EXPORT(FLTMGR, FltRetainSwappedBufferMdlAddress);

PVOID NTAPI FltGetNewSystemBufferAddress(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_of(CallbackData, __func__);
    return NULL; /* file systems here do not exchange system buffers */
}
NT_EXPORT(FLTMGR, FltGetNewSystemBufferAddress);

NTSTATUS NTAPI FltLockUserBuffer(PFLT_CALLBACK_DATA CallbackData)
{
    struct flt_buffer buffer;
    VF_ENTRY(APC_LEVEL);
    struct flt_op *op = flt_op_of(CallbackData, __func__);
    if (!flt_params_buffer(flt_iopb(op), &buffer) || buffer.mdl == NULL || !is_irp(op))
        return STATUS_INVALID_PARAMETER;
    if (*buffer.mdl != NULL || *buffer.length == 0)
        return STATUS_SUCCESS;
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    /* It becomes the IRP's, and is freed with it. */
    PMDL mdl = mdl_create(*buffer.buffer, *buffer.length, true, buffer.access != IoReadAccess);
    if (mdl == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *buffer.mdl = mdl;
    op->irp->MdlAddress = mdl;
    if (op->nodes[op->current].state && !op->in_post) {
        struct flt_buffer saved;
        if (flt_params_buffer(&op->nodes[op->current].saved, &saved) && saved.mdl != NULL &&
            *saved.buffer == *buffer.buffer)
            *saved.mdl = mdl;
    }
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltLockUserBuffer);
