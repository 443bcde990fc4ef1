/*
 * The older helpers of a device object: its queue of IRPs for StartIo, and its timer of one second.
 *
 * WDK: IoStartPacket, IoStartNextPacket, KeInsertDeviceQueue, IoInitializeTimer.
 */
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <ntddk.h>
#include <stdlib.h>

#define TYPE_DEVICE_QUEUE 20

VOID NTAPI KeInitializeDeviceQueue(PKDEVICE_QUEUE DeviceQueue)
{
    VF_ENTRY(DISPATCH_LEVEL);
    DeviceQueue->Type = TYPE_DEVICE_QUEUE;
    DeviceQueue->Size = sizeof(*DeviceQueue);
    InitializeListHead(&DeviceQueue->DeviceListHead);
    KeInitializeSpinLock(&DeviceQueue->Lock);
    DeviceQueue->Busy = FALSE;
}
NT_EXPORT(NTOSKRNL, KeInitializeDeviceQueue);

/* FALSE: the queue was idle, is busy now, and the entry is not in it. */
static BOOLEAN insert(PKDEVICE_QUEUE queue, PKDEVICE_QUEUE_ENTRY entry, const ULONG *key)
{
    KLOCK_QUEUE_HANDLE lock;
    KeAcquireInStackQueuedSpinLock(&queue->Lock, &lock);
    entry->Inserted = queue->Busy;
    if (queue->Busy) {
        PLIST_ENTRY before = &queue->DeviceListHead;
        entry->SortKey = key ? *key : 0;
        while (key != NULL && before->Flink != &queue->DeviceListHead &&
               CONTAINING_RECORD(before->Flink, KDEVICE_QUEUE_ENTRY, DeviceListEntry)->SortKey <=
                   *key)
            before = before->Flink;
        InsertTailList(key ? before->Flink : &queue->DeviceListHead, &entry->DeviceListEntry);
    }
    queue->Busy = TRUE;
    BOOLEAN inserted = entry->Inserted;
    KeReleaseInStackQueuedSpinLock(&lock);
    return inserted;
}

BOOLEAN NTAPI KeInsertDeviceQueue(PKDEVICE_QUEUE DeviceQueue, PKDEVICE_QUEUE_ENTRY DeviceQueueEntry)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return insert(DeviceQueue, DeviceQueueEntry, NULL);
}
NT_EXPORT(NTOSKRNL, KeInsertDeviceQueue);

PKDEVICE_QUEUE_ENTRY NTAPI KeRemoveDeviceQueue(PKDEVICE_QUEUE DeviceQueue)
{
    PKDEVICE_QUEUE_ENTRY entry = NULL;
    KLOCK_QUEUE_HANDLE lock;
    VF_ENTRY(DISPATCH_LEVEL);
    KeAcquireInStackQueuedSpinLock(&DeviceQueue->Lock, &lock);
    if (IsListEmpty(&DeviceQueue->DeviceListHead)) {
        DeviceQueue->Busy = FALSE;
    } else {
        entry = CONTAINING_RECORD(RemoveHeadList(&DeviceQueue->DeviceListHead), KDEVICE_QUEUE_ENTRY,
                                  DeviceListEntry);
        entry->Inserted = FALSE;
    }
    KeReleaseInStackQueuedSpinLock(&lock);
    return entry;
}
NT_EXPORT(NTOSKRNL, KeRemoveDeviceQueue);

VOID NTAPI IoStartPacket(PDEVICE_OBJECT DeviceObject, PIRP Irp, PULONG Key,
                         PDRIVER_CANCEL CancelFunction)
{
    KIRQL irql, cancel_irql;
    VF_ENTRY(DISPATCH_LEVEL);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    if (CancelFunction != NULL) {
        IoAcquireCancelSpinLock(&cancel_irql);
        Irp->CancelRoutine = CancelFunction;
    }
    if (!insert(&DeviceObject->DeviceQueue, &Irp->Tail.Overlay.DeviceQueueEntry, Key)) {
        DeviceObject->CurrentIrp = Irp;
        if (CancelFunction != NULL)
            IoReleaseCancelSpinLock(cancel_irql);
        DeviceObject->DriverObject->DriverStartIo(DeviceObject, Irp);
    } else if (CancelFunction != NULL) {
        if (Irp->Cancel) {
            Irp->CancelIrql = cancel_irql;
            Irp->CancelRoutine = NULL;
            CancelFunction(DeviceObject, Irp);
        } else {
            IoReleaseCancelSpinLock(cancel_irql);
        }
    }
    KeLowerIrql(irql);
}
NT_EXPORT(NTOSKRNL, IoStartPacket);

VOID NTAPI IoStartNextPacket(PDEVICE_OBJECT DeviceObject, BOOLEAN Cancelable)
{
    KIRQL irql = DISPATCH_LEVEL;
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled && KeGetCurrentIrql() != DISPATCH_LEVEL)
        vf_violation(VfBadParameter, "IoStartNextPacket must be called at DISPATCH_LEVEL");
    if (Cancelable)
        IoAcquireCancelSpinLock(&irql);
    PKDEVICE_QUEUE_ENTRY entry = KeRemoveDeviceQueue(&DeviceObject->DeviceQueue);
    PIRP irp = entry ? CONTAINING_RECORD(entry, IRP, Tail.Overlay.DeviceQueueEntry) : NULL;
    DeviceObject->CurrentIrp = irp;
    if (Cancelable)
        IoReleaseCancelSpinLock(irql);
    if (irp != NULL)
        DeviceObject->DriverObject->DriverStartIo(DeviceObject, irp);
}
NT_EXPORT(NTOSKRNL, IoStartNextPacket);

/* Timers. device.c frees them with the device. */

struct _IO_TIMER {
    KTIMER timer;
    KDPC dpc;
    PDEVICE_OBJECT device;
    PIO_TIMER_ROUTINE routine;
    PVOID context;
};

static VOID NTAPI timer_dpc(PKDPC dpc, PVOID context, PVOID argument1, PVOID argument2)
{
    struct _IO_TIMER *timer = context;
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(argument1);
    UNREFERENCED_PARAMETER(argument2);
    timer->routine(timer->device, timer->context);
}

NTSTATUS NTAPI IoInitializeTimer(PDEVICE_OBJECT DeviceObject, PIO_TIMER_ROUTINE TimerRoutine,
                                 PVOID Context)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct _IO_TIMER *timer = DeviceObject->Timer ? DeviceObject->Timer : calloc(1, sizeof(*timer));
    if (timer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    timer->device = DeviceObject;
    timer->routine = TimerRoutine;
    timer->context = Context;
    if (DeviceObject->Timer == NULL) {
        KeInitializeTimerEx(&timer->timer, SynchronizationTimer);
        KeInitializeDpc(&timer->dpc, timer_dpc, timer);
        DeviceObject->Timer = timer;
    }
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, IoInitializeTimer);

VOID NTAPI IoStartTimer(PDEVICE_OBJECT DeviceObject)
{
    LARGE_INTEGER second = {.QuadPart = -10000000};
    VF_ENTRY(DISPATCH_LEVEL);
    KeSetTimerEx(&DeviceObject->Timer->timer, second, 1000, &DeviceObject->Timer->dpc);
}
NT_EXPORT(NTOSKRNL, IoStartTimer);

VOID NTAPI IoStopTimer(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    KeCancelTimer(&DeviceObject->Timer->timer);
}
NT_EXPORT(NTOSKRNL, IoStopTimer);

/* For device.c: before the device's memory goes. */
void startio_forget_timer(PDEVICE_OBJECT device)
{
    struct _IO_TIMER *timer = device->Timer;
    if (timer == NULL)
        return;
    KeCancelTimer(&timer->timer);
    KeRemoveQueueDpcEx(&timer->dpc, TRUE);
    free(timer);
    device->Timer = NULL;
}
