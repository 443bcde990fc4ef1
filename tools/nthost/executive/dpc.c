/*
 * Deferred procedure calls.
 *
 * WDK: KeInitializeDpc, KeInsertQueueDpc, KeRemoveQueueDpc, KeSetTargetProcessorDpcEx,
 * KeSetImportanceDpc, KeFlushQueuedDpcs, KeGenericCallDpc, "DPC Objects and DPCs".
 *
 * A DPC is queued once, on its target processor or on that of the caller. KDPC.DpcData holds the
 * processor while it is queued and is cleared before the routine runs, which may queue it again.
 * Who runs it: a thread that queues for its own processor below DISPATCH_LEVEL, before
 * KeInsertQueueDpc returns, as the software interrupt would; one that is at DISPATCH_LEVEL there,
 * when it lowers its IRQL; for all else the processor's thread. All hold the processor's dispatch
 * lock, so routines on one processor exclude each other and raised threads. A lowering thread runs
 * at most a batch, so that routines that keep queueing themselves do not hold it up for ever.
 *
 * Threaded DPCs run like normal ones: that is what Windows does where they are disabled, and their
 * routines must be ready for DISPATCH_LEVEL.
 */
#include "dpc.h"
#include <string.h>

#define DPC_OBJECT          19
#define THREADED_DPC_OBJECT 24
#define TARGET_BASE         0x500 /* KDPC.Number of a DPC with a target: this plus the processor */
#define BATCH               32

static void init(PRKDPC dpc, UCHAR type, PKDEFERRED_ROUTINE routine, PVOID context)
{
    dpc->TargetInfoAsUlong = 0;
    dpc->Type = type;
    dpc->Importance = MediumImportance;
    dpc->DpcListEntry.Next = NULL;
    dpc->ProcessorHistory = 0;
    dpc->DeferredRoutine = routine;
    dpc->DeferredContext = context;
    dpc->DpcData = NULL;
}

VOID NTAPI KeInitializeDpc(PRKDPC Dpc, PKDEFERRED_ROUTINE DeferredRoutine, PVOID DeferredContext)
{
    init(Dpc, DPC_OBJECT, DeferredRoutine, DeferredContext);
}

VOID NTAPI KeInitializeThreadedDpc(PRKDPC Dpc, PKDEFERRED_ROUTINE DeferredRoutine,
                                   PVOID DeferredContext)
{
    init(Dpc, THREADED_DPC_OBJECT, DeferredRoutine, DeferredContext);
}

void dpc_set_processor(PKDPC dpc, unsigned processor)
{
    dpc->Number = (USHORT)(TARGET_BASE + processor);
}

static PKDPC dpc_of(void *entry)
{
    return CONTAINING_RECORD((PSINGLE_LIST_ENTRY)entry, KDPC, DpcListEntry);
}

bool dpc_queue(PKDPC dpc, void *argument1, void *argument2)
{
    struct nt_thread *self = nt_self;
    struct vp *vp =
        dpc->Number >= TARGET_BASE ? &vps[(dpc->Number - TARGET_BASE) % vp_count] : self->vp;
    void *none = NULL;
    if (!__atomic_compare_exchange_n(&dpc->DpcData, &none, (void *)vp, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_RELAXED))
        return false;
    dpc->SystemArgument1 = argument1;
    dpc->SystemArgument2 = argument2;
    dpc->DpcListEntry.Next = NULL;

    word_lock(self, &vp->dpc_lock);
    if (!vp->dpc_head) {
        vp->dpc_tail = &dpc->DpcListEntry;
        __atomic_store_n(&vp->dpc_head, (void *)&dpc->DpcListEntry, __ATOMIC_RELEASE);
    } else if (dpc->Importance == HighImportance) {
        dpc->DpcListEntry.Next = vp->dpc_head;
        __atomic_store_n(&vp->dpc_head, (void *)&dpc->DpcListEntry, __ATOMIC_RELEASE);
    } else {
        ((PSINGLE_LIST_ENTRY)vp->dpc_tail)->Next = &dpc->DpcListEntry;
        vp->dpc_tail = &dpc->DpcListEntry;
    }
    word_unlock(self, &vp->dpc_lock);
    /* A thread at DISPATCH_LEVEL here runs it itself when it lowers. */
    if (self->vp != vp || self->irql < DISPATCH || self->is_vp)
        sched->kick(vp);
    return true;
}

bool dpc_remove(PKDPC dpc)
{
    struct nt_thread *self = nt_self;
    struct vp *vp = __atomic_load_n((struct vp **)&dpc->DpcData, __ATOMIC_ACQUIRE);
    bool removed = false;
    if (!vp)
        return false;
    word_lock(self, &vp->dpc_lock);
    if (dpc->DpcData == vp) {
        PSINGLE_LIST_ENTRY previous = NULL;
        for (PSINGLE_LIST_ENTRY entry = vp->dpc_head; entry;
             previous = entry, entry = entry->Next) {
            if (entry != &dpc->DpcListEntry)
                continue;
            if (previous)
                previous->Next = entry->Next;
            else
                vp->dpc_head = entry->Next;
            if (vp->dpc_tail == entry)
                vp->dpc_tail = previous;
            __atomic_store_n(&dpc->DpcData, NULL, __ATOMIC_RELEASE);
            removed = true;
            break;
        }
    }
    word_unlock(self, &vp->dpc_lock);
    return removed;
}

bool dpc_running(const KDPC *dpc)
{
    for (unsigned i = 0; i < vp_count; i++) {
        if (__atomic_load_n(&vps[i].dpc_current, __ATOMIC_ACQUIRE) == dpc)
            return true;
    }
    return false;
}

bool dpc_any(dpc_match *match, void *context)
{
    struct nt_thread *self = nt_self;
    bool found = false;
    for (unsigned i = 0; i < vp_count && !found; i++) {
        struct vp *vp = &vps[i];
        word_lock(self, &vp->dpc_lock);
        if (vp->dpc_current)
            found = match(vp->dpc_current, vp->dpc_routine, true, context);
        for (PSINGLE_LIST_ENTRY entry = vp->dpc_head; entry && !found; entry = entry->Next)
            found = match(dpc_of(entry), (void *)dpc_of(entry)->DeferredRoutine, false, context);
        word_unlock(self, &vp->dpc_lock);
    }
    return found;
}

/* The next one's routine and arguments, copied: from the moment it is off the queue the object may
 * be queued again or, by its own routine, freed. */
static PKDPC pop(struct nt_thread *self, struct vp *vp, KDPC *copy)
{
    word_lock(self, &vp->dpc_lock);
    PSINGLE_LIST_ENTRY entry = vp->dpc_head;
    PKDPC dpc = NULL;
    if (entry) {
        dpc = dpc_of(entry);
        __atomic_store_n(&vp->dpc_head, (void *)entry->Next, __ATOMIC_RELEASE);
        if (!entry->Next)
            vp->dpc_tail = NULL;
        vp->dpc_routine = (void *)dpc->DeferredRoutine;
        __atomic_store_n(&vp->dpc_current, (void *)dpc, __ATOMIC_RELEASE);
        copy->DeferredRoutine = dpc->DeferredRoutine;
        copy->DeferredContext = dpc->DeferredContext;
        copy->SystemArgument1 = dpc->SystemArgument1;
        copy->SystemArgument2 = dpc->SystemArgument2;
        __atomic_store_n(&dpc->DpcData, NULL, __ATOMIC_SEQ_CST);
    }
    word_unlock(self, &vp->dpc_lock);
    return dpc;
}

void vp_drain_dpcs(struct nt_thread *self, struct vp *vp)
{
    KDPC copy;
    PKDPC dpc;
    for (unsigned i = 0; i < BATCH && (dpc = pop(self, vp, &copy)); i++) {
        self->in_dpc++;
        struct vf_call call = vf_call_begin_of("a DPC", copy.DeferredRoutine);
        copy.DeferredRoutine(dpc, copy.DeferredContext, copy.SystemArgument1, copy.SystemArgument2);
        vf_call_end(&call);
        self->in_dpc--;
        __atomic_store_n(&vp->dpc_current, NULL, __ATOMIC_RELEASE);
        if (sched_det)
            sched->point(self);
    }
    if (SHARED_READ(vp->dpc_head) && !self->is_vp)
        sched->kick(vp);
}

BOOLEAN NTAPI KeInsertQueueDpc(PRKDPC Dpc, PVOID SystemArgument1, PVOID SystemArgument2)
{
    VF_ENTRY(HIGH_LEVEL);
    if (vf_enabled && Dpc->Type != DPC_OBJECT && Dpc->Type != THREADED_DPC_OBJECT)
        vf_violation(VfBadParameter,
                     "KeInsertQueueDpc: %p is no DPC (type %u): not initialized, or freed",
                     (void *)Dpc, Dpc->Type);
    struct nt_thread *self = nt_self;
    if (self->irql >= DISPATCH)
        return dpc_queue(Dpc, SystemArgument1, SystemArgument2);
    uint8_t old = irql_raise(self, DISPATCH);
    bool queued = dpc_queue(Dpc, SystemArgument1, SystemArgument2);
    irql_lower(self, old);
    return queued;
}

BOOLEAN NTAPI KeRemoveQueueDpc(PRKDPC Dpc)
{
    VF_ENTRY(HIGH_LEVEL);
    return dpc_remove(Dpc);
}

BOOLEAN NTAPI KeRemoveQueueDpcEx(PRKDPC Dpc, BOOLEAN WaitIfActive)
{
    VF_ENTRY(WaitIfActive ? APC_LEVEL : HIGH_LEVEL);
    bool removed = dpc_remove(Dpc);
    if (WaitIfActive)
        KeFlushQueuedDpcs();
    return removed;
}

VOID NTAPI KeSetImportanceDpc(PRKDPC Dpc, KDPC_IMPORTANCE Importance)
{
    Dpc->Importance = (UCHAR)Importance;
}

VOID NTAPI KeSetTargetProcessorDpc(PRKDPC Dpc, CCHAR Number)
{
    dpc_set_processor(Dpc, (unsigned char)Number);
}

NTSTATUS NTAPI KeSetTargetProcessorDpcEx(PKDPC Dpc, PPROCESSOR_NUMBER ProcNumber)
{
    if (ProcNumber->Group || ProcNumber->Number >= vp_count || ProcNumber->Reserved)
        return STATUS_INVALID_PARAMETER;
    dpc_set_processor(Dpc, ProcNumber->Number);
    return STATUS_SUCCESS;
}

/* A DPC at the end of every processor's queue: when all have run, so has what was queued before. */
struct flush {
    KEVENT done;
    volatile LONG left;
    KDPC marks[MAX_PROCESSORS];
};

static VOID NTAPI flush_mark(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    (void)dpc;
    (void)argument1;
    (void)argument2;
    struct flush *flush = context;
    if (!InterlockedDecrement(&flush->left))
        KeSetEvent(&flush->done, 0, FALSE);
}

VOID NTAPI KeFlushQueuedDpcs(VOID)
{
    VF_ENTRY(APC_LEVEL);
    struct flush flush;
    KeInitializeEvent(&flush.done, NotificationEvent, FALSE);
    flush.left = (LONG)vp_count;
    for (unsigned i = 0; i < vp_count; i++) {
        KeInitializeDpc(&flush.marks[i], flush_mark, &flush);
        dpc_set_processor(&flush.marks[i], i);
        KeInsertQueueDpc(&flush.marks[i], NULL, NULL);
    }
    dispatcher_wait(&flush.done, "KeFlushQueuedDpcs");
}

/* KeGenericCallDpc: the same routine on all processors at the same time. */
struct generic_call {
    KEVENT done;
    volatile uint32_t running;  /* routines that have not called KeSignalCallDpcDone */
    volatile uint32_t arriving; /* how many are still to reach the barrier */
    volatile uint32_t round;
    KDPC dpcs[MAX_PROCESSORS];
};

VOID NTAPI KeGenericCallDpc(PKDEFERRED_ROUTINE Routine, PVOID Context)
{
    VF_ENTRY(APC_LEVEL);
    struct generic_call call;
    KeInitializeEvent(&call.done, NotificationEvent, FALSE);
    call.running = call.arriving = vp_count;
    call.round = 0;
    for (unsigned i = 0; i < vp_count; i++) {
        KeInitializeDpc(&call.dpcs[i], Routine, Context);
        dpc_set_processor(&call.dpcs[i], i);
    }
    /* From its own processor's thread only: a barrier must not be waited for on this stack. */
    for (unsigned i = 0; i < vp_count; i++)
        dpc_queue(&call.dpcs[i], &call, &call);
    dispatcher_wait(&call.done, "KeGenericCallDpc");
}

VOID NTAPI KeSignalCallDpcDone(PVOID SystemArgument1)
{
    struct generic_call *call = SystemArgument1;
    if (__atomic_sub_fetch(&call->running, 1, __ATOMIC_ACQ_REL) == 0)
        KeSetEvent(&call->done, 0, FALSE);
}

LOGICAL NTAPI KeSignalCallDpcSynchronize(PVOID SystemArgument2)
{
    struct generic_call *call = SystemArgument2;
    uint32_t round = __atomic_load_n(&call->round, __ATOMIC_ACQUIRE);
    if (__atomic_sub_fetch(&call->arriving, 1, __ATOMIC_ACQ_REL) == 0) {
        __atomic_store_n(&call->arriving, vp_count, __ATOMIC_RELAXED);
        __atomic_store_n(&call->round, round + 1, __ATOMIC_RELEASE);
        return TRUE;
    }
    while (__atomic_load_n(&call->round, __ATOMIC_ACQUIRE) == round)
        sched->wait_change(nt_self, &call->round, round);
    return FALSE;
}

NT_EXPORT(NTOSKRNL, KeInitializeDpc);
NT_EXPORT(NTOSKRNL, KeInitializeThreadedDpc);
NT_EXPORT(NTOSKRNL, KeInsertQueueDpc);
NT_EXPORT(NTOSKRNL, KeRemoveQueueDpc);
NT_EXPORT(NTOSKRNL, KeRemoveQueueDpcEx);
NT_EXPORT(NTOSKRNL, KeSetImportanceDpc);
NT_EXPORT(NTOSKRNL, KeSetTargetProcessorDpc);
NT_EXPORT(NTOSKRNL, KeSetTargetProcessorDpcEx);
NT_EXPORT(NTOSKRNL, KeFlushQueuedDpcs);
NT_EXPORT(NTOSKRNL, KeGenericCallDpc);
NT_EXPORT(NTOSKRNL, KeSignalCallDpcDone);
NT_EXPORT(NTOSKRNL, KeSignalCallDpcSynchronize);
