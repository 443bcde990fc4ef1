/*
 * Memory descriptor lists. The host has one address space and no paging: an MDL is locked as soon
 * as somebody says so, its page frame numbers are page addresses, and mapping gives the address
 * that it has. What the rules demand is demanded all the same: lock before mapping, unmap and
 * unlock before freeing, free what was allocated.
 *
 * WDK: "Using MDLs", IoAllocateMdl, MmBuildMdlForNonPagedPool, IoBuildPartialMdl,
 * MmMapLockedPagesSpecifyCache, MmProbeAndLockPages.
 */
#include "irp.h"
#include "ob.h"
#include <nthost/export.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUCKETS 1024

/* The verifier's note on an MDL from IoAllocateMdl. */
struct note {
    struct note *next;
    PMDL mdl;
    char driver[32];
};

static struct note *notes[BUCKETS];
static pthread_mutex_t notes_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct note **bucket_of(const MDL *mdl)
{
    return &notes[((uintptr_t)mdl >> 4 ^ (uintptr_t)mdl >> 14) % BUCKETS];
}

static PMDL allocate(void *address, ULONG bytes)
{
    ULONG_PTR pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(address, bytes);
    PMDL mdl = malloc(sizeof(*mdl) + pages * sizeof(PFN_NUMBER));
    if (mdl == NULL)
        return NULL;
    MmInitializeMdl(mdl, address, bytes);
    mdl->Process = NULL;
    mdl->MappedSystemVa = NULL;
    mdl->MdlFlags = MDL_ALLOCATED_FIXED_SIZE;
    return mdl;
}

static void fill_frames(PMDL mdl)
{
    ULONG_PTR first = (ULONG_PTR)mdl->StartVa >> PAGE_SHIFT;
    ULONG_PTR pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(mdl->ByteOffset, mdl->ByteCount);
    for (ULONG_PTR i = 0; i < pages; i++)
        MmGetMdlPfnArray(mdl)[i] = first + i;
}

PMDL mdl_create(void *address, ULONG bytes, bool locked, bool write)
{
    PMDL mdl = allocate(address, bytes);
    if (mdl != NULL) {
        fill_frames(mdl);
        if (locked)
            mdl->MdlFlags |= MDL_PAGES_LOCKED | (write ? MDL_WRITE_OPERATION : 0);
        mdl->Process = process_current();
    }
    return mdl;
}

void mdl_destroy(PMDL mdl)
{
    free(mdl);
}

static bool forget(PMDL mdl)
{
    bool found = false;
    pthread_mutex_lock(&notes_mutex);
    for (struct note **link = bucket_of(mdl); *link != NULL; link = &(*link)->next)
        if ((*link)->mdl == mdl) {
            struct note *note = *link;
            *link = note->next;
            free(note);
            found = true;
            break;
        }
    pthread_mutex_unlock(&notes_mutex);
    return found;
}

static void remember(PMDL mdl)
{
    struct note *note = malloc(sizeof(*note));
    if (note == NULL)
        return;
    note->mdl = mdl;
    ob_note_driver(note->driver);
    pthread_mutex_lock(&notes_mutex);
    note->next = *bucket_of(mdl);
    *bucket_of(mdl) = note;
    pthread_mutex_unlock(&notes_mutex);
}

void mdl_check_unload(const char *driver)
{
    pthread_mutex_lock(&notes_mutex);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (const struct note *note = notes[i]; note != NULL; note = note->next)
            if (strcmp(note->driver, driver) == 0)
                vf_violation(VfMdlLeak, "MDL %p of %u bytes at %p was not freed", (void *)note->mdl,
                             note->mdl->ByteCount, MmGetMdlVirtualAddress(note->mdl));
    pthread_mutex_unlock(&notes_mutex);
}

/* Exports */

PMDL NTAPI IoAllocateMdl(PVOID VirtualAddress, ULONG Length, BOOLEAN SecondaryBuffer,
                         BOOLEAN ChargeQuota, PIRP Irp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(ChargeQuota);
    if (vf_fault(VfFaultIo))
        return NULL;
    PMDL mdl = allocate(VirtualAddress, Length);
    if (mdl == NULL)
        return NULL;
    if (vf_enabled)
        remember(mdl);
    if (Irp != NULL && !SecondaryBuffer) {
        Irp->MdlAddress = mdl;
    } else if (Irp != NULL) {
        PMDL *link = &Irp->MdlAddress;
        while (*link != NULL)
            link = &(*link)->Next;
        *link = mdl;
    }
    return mdl;
}
NT_EXPORT(NTOSKRNL, IoAllocateMdl);

VOID NTAPI IoFreeMdl(PMDL Mdl)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled) {
        if (!forget(Mdl))
            vf_violation(VfMdlMisuse,
                         "IoFreeMdl: %p was not allocated by IoAllocateMdl, or is free",
                         (void *)Mdl);
        if ((Mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_PARTIAL)) == MDL_PAGES_LOCKED)
            vf_violation(VfMdlMisuse, "IoFreeMdl: the pages of MDL %p are still locked",
                         (void *)Mdl);
    }
    free(Mdl);
}
NT_EXPORT(NTOSKRNL, IoFreeMdl);

SIZE_T NTAPI MmSizeOfMdl(PVOID Base, SIZE_T Length)
{
    VF_ENTRY(HIGH_LEVEL);
    return sizeof(MDL) + sizeof(PFN_NUMBER) * ADDRESS_AND_SIZE_TO_SPAN_PAGES(Base, Length);
}
NT_EXPORT(NTOSKRNL, MmSizeOfMdl);

VOID NTAPI MmBuildMdlForNonPagedPool(PMDL MemoryDescriptorList)
{
    PMDL mdl = MemoryDescriptorList;
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled && mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL))
        vf_violation(VfMdlMisuse, "MmBuildMdlForNonPagedPool: MDL %p is in use (flags 0x%x)",
                     (void *)mdl, (USHORT)mdl->MdlFlags);
    fill_frames(mdl);
    mdl->Process = NULL;
    mdl->MappedSystemVa = MmGetMdlVirtualAddress(mdl);
    mdl->MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
}
NT_EXPORT(NTOSKRNL, MmBuildMdlForNonPagedPool);

VOID NTAPI IoBuildPartialMdl(PMDL SourceMdl, PMDL TargetMdl, PVOID VirtualAddress, ULONG Length)
{
    VF_ENTRY(DISPATCH_LEVEL);
    ULONG_PTR start = (ULONG_PTR)MmGetMdlVirtualAddress(SourceMdl);
    ULONG_PTR at = (ULONG_PTR)VirtualAddress;
    if (Length == 0)
        Length = (ULONG)(start + SourceMdl->ByteCount - at);
    ULONG_PTR pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(at, Length);
    if (vf_enabled && (at < start || Length > start + SourceMdl->ByteCount - at))
        vf_violation(VfMdlMisuse, "IoBuildPartialMdl: %u bytes at %p are not inside MDL %p", Length,
                     VirtualAddress, (void *)SourceMdl);
    if (vf_enabled && sizeof(MDL) + pages * sizeof(PFN_NUMBER) > (size_t)(USHORT)TargetMdl->Size)
        vf_violation(VfMdlMisuse, "IoBuildPartialMdl: MDL %p has no room for %llu pages",
                     (void *)TargetMdl, (unsigned long long)pages);
    TargetMdl->Process = SourceMdl->Process;
    TargetMdl->StartVa = PAGE_ALIGN(VirtualAddress);
    TargetMdl->ByteOffset = BYTE_OFFSET(VirtualAddress);
    TargetMdl->ByteCount = Length;
    TargetMdl->MdlFlags =
        (CSHORT)((TargetMdl->MdlFlags & MDL_ALLOCATED_FIXED_SIZE) | MDL_PARTIAL |
                 (SourceMdl->MdlFlags &
                  (MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA | MDL_IO_PAGE_READ)));
    TargetMdl->MappedSystemVa =
        SourceMdl->MappedSystemVa ? (PUCHAR)SourceMdl->MappedSystemVa + (at - start) : NULL;
    fill_frames(TargetMdl);
}
NT_EXPORT(NTOSKRNL, IoBuildPartialMdl);

PVOID NTAPI MmMapLockedPagesSpecifyCache(PMDL MemoryDescriptorList, KPROCESSOR_MODE AccessMode,
                                         MEMORY_CACHING_TYPE CacheType, PVOID RequestedAddress,
                                         ULONG BugCheckOnFailure, ULONG Priority)
{
    PMDL mdl = MemoryDescriptorList;
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(CacheType);
    UNREFERENCED_PARAMETER(RequestedAddress);
    UNREFERENCED_PARAMETER(BugCheckOnFailure);
    UNREFERENCED_PARAMETER(Priority);
    if (vf_enabled &&
        !(mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_PARTIAL | MDL_SOURCE_IS_NONPAGED_POOL)))
        vf_violation(VfMdlMisuse, "the pages of MDL %p are mapped but not locked", (void *)mdl);
    if (vf_enabled && mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA && AccessMode == KernelMode)
        vf_violation(VfMdlMisuse, "MDL %p is mapped already", (void *)mdl);
    if (vf_fault(VfFaultIo))
        return NULL;
    void *address = MmGetMdlVirtualAddress(mdl);
    if (AccessMode == KernelMode) {
        mdl->MappedSystemVa = address;
        mdl->MdlFlags |= MDL_MAPPED_TO_SYSTEM_VA |
                         (mdl->MdlFlags & MDL_PARTIAL ? MDL_PARTIAL_HAS_BEEN_MAPPED : 0);
    }
    return address;
}
NT_EXPORT(NTOSKRNL, MmMapLockedPagesSpecifyCache);

VOID NTAPI MmUnmapLockedPages(PVOID BaseAddress, PMDL MemoryDescriptorList)
{
    PMDL mdl = MemoryDescriptorList;
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled && mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA && BaseAddress != mdl->MappedSystemVa)
        vf_violation(VfMdlMisuse, "MmUnmapLockedPages: MDL %p is mapped at %p, not at %p",
                     (void *)mdl, mdl->MappedSystemVa, BaseAddress);
    mdl->MdlFlags &= (CSHORT) ~(MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL_HAS_BEEN_MAPPED);
    mdl->MappedSystemVa = NULL;
}
NT_EXPORT(NTOSKRNL, MmUnmapLockedPages);

/* Nothing here can raise: a driver that hands in an address which is not mapped is stopped. */
VOID NTAPI MmProbeAndLockPages(PMDL MemoryDescriptorList, KPROCESSOR_MODE AccessMode,
                               LOCK_OPERATION Operation)
{
    PMDL mdl = MemoryDescriptorList;
    VF_ENTRY(DISPATCH_LEVEL);
    ULONG_PTR pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(mdl->ByteOffset, mdl->ByteCount);
    for (ULONG_PTR i = 0; AccessMode == UserMode && i < pages; i++)
        if (!MmIsAddressValid((PUCHAR)mdl->StartVa + i * PAGE_SIZE))
            ExRaiseStatus(STATUS_ACCESS_VIOLATION);
    if (vf_enabled && mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL))
        vf_violation(VfMdlMisuse, "MmProbeAndLockPages: the pages of MDL %p are locked already",
                     (void *)mdl);
    fill_frames(mdl);
    mdl->Process = process_current();
    mdl->MdlFlags |= MDL_PAGES_LOCKED | (Operation != IoReadAccess ? MDL_WRITE_OPERATION : 0);
}
NT_EXPORT(NTOSKRNL, MmProbeAndLockPages);

VOID NTAPI MmUnlockPages(PMDL MemoryDescriptorList)
{
    PMDL mdl = MemoryDescriptorList;
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled && !(mdl->MdlFlags & MDL_PAGES_LOCKED))
        vf_violation(VfMdlMisuse, "MmUnlockPages: the pages of MDL %p are not locked", (void *)mdl);
    mdl->MdlFlags &= (CSHORT) ~(MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_WRITE_OPERATION);
    mdl->MappedSystemVa = NULL;
}
NT_EXPORT(NTOSKRNL, MmUnlockPages);

NTSTATUS NTAPI MmProtectMdlSystemAddress(PMDL MemoryDescriptorList, ULONG NewProtect)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(NewProtect);
    if (!(MemoryDescriptorList->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA))
        return STATUS_NOT_MAPPED_VIEW;
    return STATUS_INVALID_PAGE_PROTECTION; /* the mapping is the memory itself */
}
NT_EXPORT(NTOSKRNL, MmProtectMdlSystemAddress);

NTSTATUS NTAPI MmAdvanceMdl(PMDL Mdl, ULONG NumberOfBytes)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (NumberOfBytes >= Mdl->ByteCount)
        return STATUS_INVALID_PARAMETER_2;
    void *address = (PUCHAR)MmGetMdlVirtualAddress(Mdl) + NumberOfBytes;
    Mdl->StartVa = PAGE_ALIGN(address);
    Mdl->ByteOffset = BYTE_OFFSET(address);
    Mdl->ByteCount -= NumberOfBytes;
    if (Mdl->MappedSystemVa != NULL)
        Mdl->MappedSystemVa = (PUCHAR)Mdl->MappedSystemVa + NumberOfBytes;
    fill_frames(Mdl);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, MmAdvanceMdl);

PMDL NTAPI MmAllocatePagesForMdlEx(PHYSICAL_ADDRESS LowAddress, PHYSICAL_ADDRESS HighAddress,
                                   PHYSICAL_ADDRESS SkipBytes, SIZE_T TotalBytes,
                                   MEMORY_CACHING_TYPE CacheType, ULONG Flags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(LowAddress);
    UNREFERENCED_PARAMETER(HighAddress);
    UNREFERENCED_PARAMETER(SkipBytes);
    UNREFERENCED_PARAMETER(CacheType);
    UNREFERENCED_PARAMETER(Flags);
    SIZE_T bytes = ROUND_TO_PAGES(TotalBytes);
    if (vf_fault(VfFaultPool) || bytes == 0 || bytes > MAXULONG - PAGE_SIZE)
        return NULL;
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    PMDL mdl = ExAllocatePool2(POOL_FLAG_NON_PAGED,
                               sizeof(MDL) + bytes / PAGE_SIZE * sizeof(PFN_NUMBER), 'ldmM');
    if (mdl == NULL) {
        munmap(pages, bytes);
        return NULL;
    }
    MmInitializeMdl(mdl, pages, bytes);
    mdl->MdlFlags = MDL_PAGES_LOCKED;
    fill_frames(mdl);
    if (vf_enabled)
        remember(mdl);
    return mdl;
}
NT_EXPORT(NTOSKRNL, MmAllocatePagesForMdlEx);

/* The caller frees the MDL itself with ExFreePool. */
VOID NTAPI MmFreePagesFromMdl(PMDL MemoryDescriptorList)
{
    VF_ENTRY(APC_LEVEL);
    if (vf_enabled && !forget(MemoryDescriptorList))
        vf_violation(VfMdlMisuse, "MmFreePagesFromMdl: the pages of MDL %p are free already",
                     (void *)MemoryDescriptorList);
    munmap(MemoryDescriptorList->StartVa, MemoryDescriptorList->ByteCount);
    MemoryDescriptorList->MdlFlags &= (CSHORT)~MDL_PAGES_LOCKED;
}
NT_EXPORT(NTOSKRNL, MmFreePagesFromMdl);
