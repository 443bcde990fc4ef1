/*
 * Processors: which one, how many, affinity of threads.
 *
 * WDK: KeGetCurrentProcessorNumberEx, KeQueryActiveProcessorCountEx, KeSetSystemAffinityThreadEx,
 * KeSetSystemGroupAffinityThread, "Processor Groups". There is one group. A thread in driver
 * context that narrows its affinity away from its processor moves before the call returns.
 */
#include "dispatcher.h"

ULONG NTAPI KeGetCurrentProcessorNumberEx(PPROCESSOR_NUMBER ProcNumber)
{
    ULONG number = nt_self->vp->number;
    if (ProcNumber) {
        ProcNumber->Group = 0;
        ProcNumber->Number = (UCHAR)number;
        ProcNumber->Reserved = 0;
    }
    return number;
}

static KAFFINITY all_processors(void)
{
    return vp_count == 64 ? ~(KAFFINITY)0 : ((KAFFINITY)1 << vp_count) - 1;
}

ULONG NTAPI KeQueryActiveProcessorCount(PKAFFINITY ActiveProcessors)
{
    if (ActiveProcessors)
        *ActiveProcessors = all_processors();
    return vp_count;
}

ULONG NTAPI KeQueryActiveProcessorCountEx(USHORT GroupNumber)
{
    return GroupNumber == 0 || GroupNumber == ALL_PROCESSOR_GROUPS ? vp_count : 0;
}

ULONG NTAPI KeQueryMaximumProcessorCount(VOID)
{
    return vp_count;
}

ULONG NTAPI KeQueryMaximumProcessorCountEx(USHORT GroupNumber)
{
    return KeQueryActiveProcessorCountEx(GroupNumber);
}

USHORT NTAPI KeQueryActiveGroupCount(VOID)
{
    return 1;
}

USHORT NTAPI KeQueryMaximumGroupCount(VOID)
{
    return 1;
}

KAFFINITY NTAPI KeQueryGroupAffinity(USHORT GroupNumber)
{
    return GroupNumber == 0 ? all_processors() : 0;
}

KAFFINITY NTAPI KeQueryActiveProcessors(VOID)
{
    return all_processors();
}

ULONG NTAPI KeGetProcessorIndexFromNumber(PPROCESSOR_NUMBER ProcNumber)
{
    return ProcNumber->Group == 0 && ProcNumber->Number < vp_count ? ProcNumber->Number
                                                                   : 0xffffffff;
}

NTSTATUS NTAPI KeGetProcessorNumberFromIndex(ULONG ProcIndex, PPROCESSOR_NUMBER ProcNumber)
{
    if (ProcIndex >= vp_count)
        return STATUS_INVALID_PARAMETER;
    *ProcNumber = (PROCESSOR_NUMBER){.Number = (UCHAR)ProcIndex};
    return STATUS_SUCCESS;
}

USHORT NTAPI KeQueryHighestNodeNumber(VOID)
{
    return 0;
}

USHORT NTAPI KeGetCurrentNodeNumber(VOID)
{
    return 0;
}

ULONG NTAPI KeGetRecommendedSharedDataAlignment(VOID)
{
    return 128;
}

/* Affinity */

static void set_affinity(struct nt_thread *self, uint64_t affinity)
{
    self->affinity = affinity;
    if (affinity >> self->vp->number & 1)
        return;
    if (self->depth) {
        sched->drop_slot(self);
        sched->take_slot(self);
    } else {
        self->vp = &vps[__builtin_ctzll(affinity)];
    }
}

static void check_affinity(KAFFINITY affinity, const char *function)
{
    if (!(affinity & all_processors()))
        vf_violation(VfBadParameter, "%s: affinity 0x%llx has none of the %u processors", function,
                     (unsigned long long)affinity, vp_count);
}

KAFFINITY NTAPI KeSetSystemAffinityThreadEx(KAFFINITY Affinity)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct nt_thread *self = nt_self;
    check_affinity(Affinity, __func__);
    KAFFINITY before = self->affinity_set ? self->affinity : 0;
    self->affinity_set = true;
    if (self->irql < DISPATCH)
        set_affinity(self, Affinity & all_processors());
    else
        self->affinity =
            Affinity & all_processors(); /* moves when it lowers and gives up its slot */
    return before;
}

VOID NTAPI KeRevertToUserAffinityThreadEx(KAFFINITY Affinity)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct nt_thread *self = nt_self;
    self->affinity_set = Affinity != 0;
    if (self->irql < DISPATCH)
        set_affinity(self, Affinity ? Affinity & all_processors() : all_processors());
    else
        self->affinity = Affinity ? Affinity & all_processors() : all_processors();
}

VOID NTAPI KeSetSystemGroupAffinityThread(PGROUP_AFFINITY Affinity,
                                          PGROUP_AFFINITY PreviousAffinity)
{
    VF_ENTRY(APC_LEVEL);
    struct nt_thread *self = nt_self;
    if (vf_enabled && (Affinity->Group || Affinity->Reserved[0] || Affinity->Reserved[1] ||
                       Affinity->Reserved[2]))
        vf_violation(VfBadParameter,
                     "KeSetSystemGroupAffinityThread: group %u, or reserved members that are not 0",
                     Affinity->Group);
    check_affinity(Affinity->Mask, __func__);
    if (PreviousAffinity)
        *PreviousAffinity = (GROUP_AFFINITY){.Mask = self->affinity_set ? self->affinity : 0};
    self->affinity_set = true;
    set_affinity(self, Affinity->Mask & all_processors());
}

VOID NTAPI KeRevertToUserGroupAffinityThread(PGROUP_AFFINITY PreviousAffinity)
{
    VF_ENTRY(APC_LEVEL);
    KeRevertToUserAffinityThreadEx(PreviousAffinity->Mask);
}

NT_EXPORT(NTOSKRNL, KeGetCurrentProcessorNumberEx);
NT_EXPORT(NTOSKRNL, KeQueryActiveProcessorCount);
NT_EXPORT(NTOSKRNL, KeQueryActiveProcessorCountEx);
NT_EXPORT(NTOSKRNL, KeQueryMaximumProcessorCount);
NT_EXPORT(NTOSKRNL, KeQueryMaximumProcessorCountEx);
NT_EXPORT(NTOSKRNL, KeQueryActiveGroupCount);
NT_EXPORT(NTOSKRNL, KeQueryMaximumGroupCount);
NT_EXPORT(NTOSKRNL, KeQueryGroupAffinity);
NT_EXPORT(NTOSKRNL, KeQueryActiveProcessors);
NT_EXPORT(NTOSKRNL, KeGetProcessorIndexFromNumber);
NT_EXPORT(NTOSKRNL, KeGetProcessorNumberFromIndex);
NT_EXPORT(NTOSKRNL, KeQueryHighestNodeNumber);
NT_EXPORT(NTOSKRNL, KeGetCurrentNodeNumber);
NT_EXPORT(NTOSKRNL, KeGetRecommendedSharedDataAlignment);
NT_EXPORT(NTOSKRNL, KeSetSystemAffinityThreadEx);
NT_EXPORT(NTOSKRNL, KeRevertToUserAffinityThreadEx);
NT_EXPORT(NTOSKRNL, KeSetSystemGroupAffinityThread);
NT_EXPORT(NTOSKRNL, KeRevertToUserGroupAffinityThread);
