/*
 * Odds and ends of memory management. Physical addresses are the virtual ones: there is no DMA
 * here.
 *
 * WDK: MmIsAddressValid, MmGetSystemRoutineAddress, MmAllocateContiguousMemory, ProbeForRead.
 */
#include <nthost/export.h>
#include <nthost/loader.h>
#include <nthost/utf.h>
#include <nthost/verifier.h>
#include <ntddk.h>
#include <string.h>
#include <sys/mman.h>

#define USER_PROBE_ADDRESS 0x00007fffffff0000ull
#define CONTIGUOUS_TAG     'noCM'

PVOID NTAPI MmAllocateContiguousMemory(SIZE_T NumberOfBytes,
                                       PHYSICAL_ADDRESS HighestAcceptableAddress)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(HighestAcceptableAddress);
    if (vf_fault(VfFaultPool))
        return NULL;
    return ExAllocatePool2(POOL_FLAG_NON_PAGED, ROUND_TO_PAGES(NumberOfBytes), CONTIGUOUS_TAG);
}
NT_EXPORT(NTOSKRNL, MmAllocateContiguousMemory);

VOID NTAPI MmFreeContiguousMemory(PVOID BaseAddress)
{
    VF_ENTRY(DISPATCH_LEVEL);
    ExFreePoolWithTag(BaseAddress, CONTIGUOUS_TAG);
}
NT_EXPORT(NTOSKRNL, MmFreeContiguousMemory);

PHYSICAL_ADDRESS NTAPI MmGetPhysicalAddress(PVOID BaseAddress)
{
    VF_ENTRY(HIGH_LEVEL);
    PHYSICAL_ADDRESS address = {.QuadPart = (LONGLONG)(ULONG_PTR)BaseAddress};
    return address;
}
NT_EXPORT(NTOSKRNL, MmGetPhysicalAddress);

BOOLEAN NTAPI MmIsAddressValid(PVOID VirtualAddress)
{
    VF_ENTRY(DISPATCH_LEVEL);
    unsigned char resident;
    return mincore(PAGE_ALIGN(VirtualAddress), PAGE_SIZE, &resident) == 0;
}
NT_EXPORT(NTOSKRNL, MmIsAddressValid);

PVOID NTAPI MmGetSystemRoutineAddress(PUNICODE_STRING SystemRoutineName)
{
    char name[128];
    VF_ENTRY(PASSIVE_LEVEL);
    if (!utf8_copy(name, sizeof(name), SystemRoutineName->Buffer,
                   SystemRoutineName->Length / sizeof(WCHAR)))
        return NULL;
    return nt_export_find(NTOSKRNL, name);
}
NT_EXPORT(NTOSKRNL, MmGetSystemRoutineAddress);

/* All code stays in memory here; the handle says which image was meant. */
PVOID NTAPI MmLockPagableDataSection(PVOID AddressWithinSection)
{
    VF_ENTRY(APC_LEVEL);
    return (PVOID)(ULONG_PTR)image_of(AddressWithinSection);
}
NT_EXPORT(NTOSKRNL, MmLockPagableDataSection);

VOID NTAPI MmUnlockPagableImageSection(PVOID ImageSectionHandle)
{
    VF_ENTRY(APC_LEVEL);
    UNREFERENCED_PARAMETER(ImageSectionHandle);
}
NT_EXPORT(NTOSKRNL, MmUnlockPagableImageSection);

ULONG NTAPI MmIsDriverVerifying(struct _DRIVER_OBJECT *DriverObject)
{
    VF_ENTRY(APC_LEVEL);
    UNREFERENCED_PARAMETER(DriverObject);
    return vf_enabled;
}
NT_EXPORT(NTOSKRNL, MmIsDriverVerifying);

static void probe(ULONG_PTR address, SIZE_T length, ULONG alignment)
{
    if (length == 0)
        return;
    if (address & (alignment - 1))
        ExRaiseDatatypeMisalignment();
    if (address + length < address || address + length > USER_PROBE_ADDRESS)
        ExRaiseAccessViolation();
}

VOID NTAPI ProbeForRead(const volatile VOID *Address, SIZE_T Length, ULONG Alignment)
{
    VF_ENTRY(APC_LEVEL);
    probe((ULONG_PTR)Address, Length, Alignment);
}
NT_EXPORT(NTOSKRNL, ProbeForRead);

VOID NTAPI ProbeForWrite(volatile VOID *Address, SIZE_T Length, ULONG Alignment)
{
    VF_ENTRY(APC_LEVEL);
    probe((ULONG_PTR)Address, Length, Alignment);
    for (SIZE_T at = 0; at < Length; at += PAGE_SIZE)
        if (!MmIsAddressValid((PUCHAR)(ULONG_PTR)Address + at))
            ExRaiseAccessViolation();
}
NT_EXPORT(NTOSKRNL, ProbeForWrite);
