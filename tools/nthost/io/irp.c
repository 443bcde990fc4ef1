/*
 * Allocation and life of IRPs; see irp.h.
 *
 * Without the verifier an IRP is a heap block behind a header that points to its packet. With it,
 * all packets are in a table by the IRP's address, live ones and the most recently freed, so that a
 * stale pointer can be told without being followed.
 *
 * WDK: IoAllocateIrp, IoInitializeIrp, IoReuseIrp, IoFreeIrp.
 */
#include "irp.h"
#include "ob.h"
#include <nthost/export.h>
#include <nthost/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUCKETS        1024
#define MAX_QUARANTINE 256
#define HEADER         16

static struct irp_packet *buckets[BUCKETS];
static struct irp_packet *quarantine, **quarantine_end = &quarantine;
static unsigned quarantined;
static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct irp_packet **bucket_of(const void *irp)
{
    uintptr_t hash = (uintptr_t)irp >> 4;
    return &buckets[(hash ^ hash >> 8 ^ hash >> 16) % BUCKETS];
}

void irp_initialize(PIRP irp, USHORT bytes, CCHAR stack_size)
{
    memset(irp, 0, bytes);
    irp->Type = IO_TYPE_IRP;
    irp->Size = bytes;
    irp->StackCount = stack_size;
    irp->CurrentLocation = stack_size + 1;
    irp->Tail.Overlay.CurrentStackLocation = (PIO_STACK_LOCATION)(irp + 1) + stack_size;
    InitializeListHead(&irp->ThreadListEntry);
}

static void packet_destroy(struct irp_packet *packet)
{
    while (packet->visits != NULL) {
        struct irp_visit *next = packet->visits->next;
        free(packet->visits);
        packet->visits = next;
    }
    if (packet->region != NULL)
        munmap(packet->region, packet->region_bytes);
    pthread_mutex_destroy(&packet->mutex);
    free(packet);
}

static void packet_release(struct irp_packet *packet, int count)
{
    if (atomic_fetch_sub(&packet->references, count) == count)
        packet_destroy(packet);
}

void irp_packet_release(struct irp_packet *packet)
{
    packet_release(packet, 1);
}

/* Pages of its own, the IRP ending at a guard page. */
static bool allocate_guarded(struct irp_packet *packet)
{
    size_t pages = (packet->bytes + HEADER + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    packet->region_bytes = pages + PAGE_SIZE;
    UCHAR *region = mmap(NULL, packet->region_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED)
        return false;
    mprotect(region + pages, PAGE_SIZE, PROT_NONE);
    packet->region = region;
    /* IRPs are aligned to 16: the last 8 bytes may stay free. */
    packet->irp = (PIRP)(region + ((pages - packet->bytes) & ~(size_t)15));
    return true;
}

PIRP irp_allocate(CCHAR stack_size, struct irp_packet **out)
{
    struct irp_packet *packet = calloc(1, sizeof(*packet));
    if (packet == NULL)
        return NULL;
    packet->bytes = IoSizeOfIrp(stack_size);
    packet->references = 1;
    pthread_mutex_init(&packet->mutex, NULL);
    if (vf_enabled) {
        if (!allocate_guarded(packet)) {
            packet_destroy(packet);
            return NULL;
        }
    } else {
        UCHAR *block = aligned_alloc(16, (HEADER + packet->bytes + 15u) & ~15u);
        if (block == NULL) {
            packet_destroy(packet);
            return NULL;
        }
        packet->irp = (PIRP)(block + HEADER);
    }
    irp_initialize(packet->irp, packet->bytes, stack_size);
    packet->irp->AllocationFlags |= IRP_IS_HOSTS;
    packet->irp->Tail.Overlay.Thread = PsGetCurrentThread();
    ((struct irp_packet **)packet->irp)[-1] = packet;
    packet->process = process_current();
    ob_reference(packet->process);
    if (vf_enabled) {
        pthread_mutex_lock(&table_mutex);
        packet->hash_next = *bucket_of(packet->irp);
        *bucket_of(packet->irp) = packet;
        pthread_mutex_unlock(&table_mutex);
    }
    *out = packet;
    return packet->irp;
}

static void unhash(struct irp_packet *packet)
{
    struct irp_packet **link = bucket_of(packet->irp);
    while (*link != packet)
        link = &(*link)->hash_next;
    *link = packet->hash_next;
}

/* The table is locked. Gives back the oldest freed one, to be released. */
static struct irp_packet *enter_quarantine(struct irp_packet *packet)
{
    struct irp_packet *oldest = NULL;
    packet->quarantine_next = NULL;
    *quarantine_end = packet;
    quarantine_end = &packet->quarantine_next;
    if (++quarantined > MAX_QUARANTINE) {
        oldest = quarantine;
        quarantine = oldest->quarantine_next;
        quarantined--;
        unhash(oldest);
    }
    return oldest;
}

void irp_free(PIRP irp, const void *caller)
{
    struct irp_packet *oldest, *packet = irp_packet_of(irp);
    if (packet == NULL) {
        if (vf_enabled)
            vf_violation(VfBadParameter, "IoFreeIrp: %p was not allocated by IoAllocateIrp", irp);
        return;
    }
    ob_dereference(packet->process);
    if (!vf_enabled) {
        packet_release(packet, 2); /* this function's, and the IRP's own */
        free((UCHAR *)irp - HEADER);
        return;
    }
    pthread_mutex_lock(&table_mutex);
    bool again = packet->freed;
    packet->freed = true;
    packet->freed_by = caller;
    oldest = again ? NULL : enter_quarantine(packet);
    pthread_mutex_unlock(&table_mutex);
    if (again)
        vf_violation(VfIrpDoubleCompletion, "IoFreeIrp: IRP %p is free already", irp);
    pthread_mutex_lock(&packet->mutex); /* nobody looks at it now */
    mprotect(packet->region, packet->region_bytes, PROT_NONE);
    pthread_mutex_unlock(&packet->mutex);
    irp_packet_release(packet);
    if (oldest != NULL)
        irp_packet_release(oldest);
}

struct irp_packet *irp_packet_of(PIRP irp)
{
    struct irp_packet *packet;
    if (!vf_enabled) {
        if (!(irp->AllocationFlags & IRP_IS_HOSTS))
            return NULL;
        packet = ((struct irp_packet **)irp)[-1];
        atomic_fetch_add(&packet->references, 1);
        return packet;
    }
    pthread_mutex_lock(&table_mutex);
    packet = *bucket_of(irp);
    while (packet != NULL && packet->irp != irp)
        packet = packet->hash_next;
    if (packet != NULL)
        atomic_fetch_add(&packet->references, 1);
    pthread_mutex_unlock(&table_mutex);
    return packet;
}

bool irp_explain_address(const void *address, char *text, size_t size)
{
    /* The faulting thread may hold the lock: better no explanation than none ever. */
    if (pthread_mutex_trylock(&table_mutex) != 0)
        return false;
    struct irp_packet *packet = quarantine;
    while (packet != NULL && (uintptr_t)address - (uintptr_t)packet->region >= packet->region_bytes)
        packet = packet->quarantine_next;
    if (packet != NULL)
        snprintf(text, size, "IRP %p was touched at offset %td after it was completed or freed%s%s",
                 (void *)packet->irp, (const UCHAR *)address - (const UCHAR *)packet->irp,
                 vf_owner(packet->freed_by)[0] ? " by " : "", vf_owner(packet->freed_by));
    pthread_mutex_unlock(&table_mutex);
    return packet != NULL;
}

static void check_unload(const char *driver)
{
    pthread_mutex_lock(&table_mutex);
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct irp_packet *packet = buckets[i]; packet != NULL; packet = packet->hash_next)
            if (!packet->freed && packet->driver[0] && strcmp(packet->driver, driver) == 0)
                vf_violation(VfObjectLeak, "IRP %p, allocated by the driver, was not freed",
                             (void *)packet->irp);
    pthread_mutex_unlock(&table_mutex);
}

void irp_start(void)
{
    static bool registered;
    if (!registered)
        vf_at_unload(check_unload);
    registered = true;
}

void irp_stop(void)
{
    for (;;) {
        pthread_mutex_lock(&table_mutex);
        struct irp_packet *packet = quarantine;
        if (packet != NULL) {
            quarantine = packet->quarantine_next;
            if (--quarantined == 0)
                quarantine_end = &quarantine;
            unhash(packet);
        }
        pthread_mutex_unlock(&table_mutex);
        if (packet == NULL)
            return;
        irp_packet_release(packet);
    }
}

/* Exports */

static PIRP allocate_for_driver(CCHAR stack_size)
{
    struct irp_packet *packet;
    if (stack_size < 1)
        return NULL;
    PIRP irp = irp_allocate(stack_size, &packet);
    if (irp != NULL)
        ob_note_driver(packet->driver);
    return irp;
}

PIRP NTAPI IoAllocateIrp(CCHAR StackSize, BOOLEAN ChargeQuota)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(ChargeQuota);
    return vf_fault(VfFaultIo) ? NULL : allocate_for_driver(StackSize);
}
NT_EXPORT(NTOSKRNL, IoAllocateIrp);

PIRP NTAPI IoAllocateIrpEx(PDEVICE_OBJECT DeviceObject, CCHAR StackSize, BOOLEAN ChargeQuota)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(ChargeQuota);
    return vf_fault(VfFaultIo) ? NULL : allocate_for_driver(StackSize);
}
NT_EXPORT(NTOSKRNL, IoAllocateIrpEx);

VOID NTAPI IoInitializeIrp(PIRP Irp, USHORT PacketSize, CCHAR StackSize)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled && PacketSize < IoSizeOfIrp(StackSize))
        vf_violation(VfBadParameter, "IoInitializeIrp: %u bytes are too few for %d stack locations",
                     PacketSize, StackSize);
    irp_initialize(Irp, PacketSize, StackSize);
}
NT_EXPORT(NTOSKRNL, IoInitializeIrp);

VOID NTAPI IoReuseIrp(PIRP Irp, NTSTATUS Iostatus)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UCHAR flags = Irp->AllocationFlags;
    PETHREAD thread = Irp->Tail.Overlay.Thread;
    if (vf_enabled && Irp->CancelRoutine != NULL)
        vf_violation(VfIrpCancelRoutineSet, "IoReuseIrp: IRP %p has a cancel routine", (void *)Irp);
    irp_initialize(Irp, Irp->Size, Irp->StackCount);
    Irp->AllocationFlags = flags;
    Irp->Tail.Overlay.Thread = thread;
    Irp->IoStatus.Status = Iostatus;
}
NT_EXPORT(NTOSKRNL, IoReuseIrp);

VOID NTAPI IoFreeIrp(PIRP Irp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    irp_free(Irp, __builtin_return_address(0));
}
NT_EXPORT(NTOSKRNL, IoFreeIrp);
