/*
 * Sending IRPs down a stack of devices, completing them up again, cancelling them.
 *
 * The verifier follows each call of a dispatch routine (a visit) until it returns, and notes what
 * completion did to its stack location meanwhile. The location of a routine that returned
 * STATUS_PENDING must be marked by the time it completes (a completion routine may do it); one that
 * returned anything else must not have marked it, and must have completed the IRP with that status.
 *
 * WDK: IoCallDriver, IoCompleteRequest, IoCancelIrp, "Completing IRPs", "Using Cancel-Safe Queues".
 */
#include "device.h"
#include "irp.h"
#include <nthost/export.h>
#include <stdlib.h>
#include <string.h>

static KSPIN_LOCK cancel_lock;

static const char *major_name(UCHAR major)
{
    static const char *const names[] = {[IRP_MJ_CREATE] = "IRP_MJ_CREATE",
                                        [IRP_MJ_CLOSE] = "IRP_MJ_CLOSE",
                                        [IRP_MJ_READ] = "IRP_MJ_READ",
                                        [IRP_MJ_WRITE] = "IRP_MJ_WRITE",
                                        [IRP_MJ_DEVICE_CONTROL] = "IRP_MJ_DEVICE_CONTROL",
                                        [IRP_MJ_INTERNAL_DEVICE_CONTROL] =
                                            "IRP_MJ_INTERNAL_DEVICE_CONTROL",
                                        [IRP_MJ_CLEANUP] = "IRP_MJ_CLEANUP",
                                        [IRP_MJ_SHUTDOWN] = "IRP_MJ_SHUTDOWN"};
    return major < ARRAYSIZE(names) && names[major] ? names[major] : "a dispatch routine";
}

static NTSTATUS call_dispatch(PDEVICE_OBJECT device, PIRP irp, UCHAR major)
{
    struct vf_call call = vf_call_begin(major_name(major));
    NTSTATUS status = device->DriverObject->MajorFunction[major](device, irp);
    vf_call_end(&call);
    return status;
}

static struct irp_visit *visit_begin(struct irp_packet *packet, PDEVICE_OBJECT device, UCHAR major)
{
    struct irp_visit *visit = calloc(1, sizeof(*visit));
    if (visit == NULL)
        return NULL;
    visit->driver = device->DriverObject;
    visit->major = major;
    pthread_mutex_lock(&packet->mutex);
    visit->location = packet->irp->CurrentLocation;
    visit->next = packet->visits;
    packet->visits = visit;
    pthread_mutex_unlock(&packet->mutex);
    return visit;
}

static void __attribute__((noreturn)) not_marked(const struct irp_packet *packet,
                                                 const struct irp_visit *visit)
{
    vf_violation(
        VfIrpPendingMismatch,
        "%s of driver %s returned STATUS_PENDING for IRP %p but its stack location was not "
        "marked by IoMarkIrpPending",
        major_name(visit->major), driver_of(visit->driver)->service, (void *)packet->irp);
}

/* What a routine returned, against what has completed. The mark is read from the IRP only while
 * its location has not completed, under the lock that completion takes before it goes on. */
static void visit_end(struct irp_packet *packet, struct irp_visit *visit, NTSTATUS returned)
{
    struct irp_visit **link = &packet->visits;
    const char *major = major_name(visit->major);
    const void *irp = packet->irp;
    pthread_mutex_lock(&packet->mutex);
    bool completed = visit->completed, pending = visit->pending;
    if (!completed && returned == STATUS_PENDING) {
        visit->returned = true;
        pthread_mutex_unlock(&packet->mutex);
        return; /* judged, and freed, when the location completes */
    }
    if (!completed) {
        const IO_STACK_LOCATION *base = (const IO_STACK_LOCATION *)(packet->irp + 1);
        pending = (base[visit->location - 1].Control & SL_PENDING_RETURNED) != 0;
    }
    while (*link != visit)
        link = &(*link)->next;
    *link = visit->next;
    pthread_mutex_unlock(&packet->mutex);

    if (returned == STATUS_PENDING && !pending)
        not_marked(packet, visit);
    if (returned != STATUS_PENDING && pending)
        vf_violation(VfIrpPendingMismatch,
                     "%s marked IRP %p pending but returned 0x%08x, not STATUS_PENDING", major, irp,
                     returned);
    if (returned != STATUS_PENDING && !completed)
        vf_violation(VfIrpPendingMismatch, "%s returned 0x%08x but IRP %p is not completed", major,
                     returned, irp);
    if (returned != STATUS_PENDING && visit->status != returned)
        vf_violation(VfIrpPendingMismatch, "%s returned 0x%08x but completed IRP %p with 0x%08x",
                     major, returned, irp, visit->status);
    free(visit);
}

/* Completion passes a location: the visits that it ends learn how. */
static void note_location(struct irp_packet *packet, PIRP irp, bool pending)
{
    struct irp_visit **link = &packet->visits;
    pthread_mutex_lock(&packet->mutex);
    while (*link != NULL) {
        struct irp_visit *visit = *link;
        if (visit->location != irp->CurrentLocation || visit->completed) {
            link = &visit->next;
            continue;
        }
        visit->completed = true;
        visit->pending = pending;
        visit->status = irp->IoStatus.Status;
        if (!visit->returned) {
            link = &visit->next;
            continue;
        }
        if (!pending)
            not_marked(packet, visit);
        *link = visit->next;
        free(visit);
    }
    pthread_mutex_unlock(&packet->mutex);
}

static NTSTATUS call_verified(PDEVICE_OBJECT device, PIRP irp, UCHAR major,
                              struct irp_packet *packet)
{
    struct irp_visit *visit = visit_begin(packet, device, major);
    NTSTATUS status = call_dispatch(device, irp, major);
    if (visit != NULL)
        visit_end(packet, visit, status);
    irp_packet_release(packet);
    return status;
}

NTSTATUS irp_call(PDEVICE_OBJECT device, PIRP irp, const void *caller)
{
    struct irp_packet *packet = vf_enabled ? irp_packet_of(irp) : NULL;
    if (packet != NULL && packet->freed)
        vf_violation(VfIrpTouchedAfterCompletion,
                     "IoCallDriver: IRP %p was completed or freed already%s%s", (void *)irp,
                     vf_owner(caller)[0] ? ", by " : "", vf_owner(caller));
    if (--irp->CurrentLocation <= 0)
        KeBugCheckEx(0x35 /* NO_MORE_IRP_STACK_LOCATIONS */, (ULONG_PTR)irp, 0, 0, 0);
    PIO_STACK_LOCATION stack = --irp->Tail.Overlay.CurrentStackLocation;
    stack->DeviceObject = device;
    UCHAR major = stack->MajorFunction;
    if (major > IRP_MJ_MAXIMUM_FUNCTION)
        KeBugCheckEx(0x44, (ULONG_PTR)irp, major, 0, 0);
    return packet ? call_verified(device, irp, major, packet) : call_dispatch(device, irp, major);
}

/* What the device's driver may say about the output, at its completion of the request. */
static void check_information(PIRP irp)
{
    const IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    ULONG room;
    switch (stack->MajorFunction) {
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        if (METHOD_FROM_CTL_CODE(stack->Parameters.DeviceIoControl.IoControlCode) !=
            METHOD_BUFFERED)
            return;
        room = stack->Parameters.DeviceIoControl.OutputBufferLength;
        break;
    case IRP_MJ_READ:
        room = stack->Parameters.Read.Length;
        break;
    default:
        return;
    }
    if (!NT_ERROR(irp->IoStatus.Status) && irp->IoStatus.Information > room &&
        irp->Flags & IRP_BUFFERED_IO && irp->Flags & IRP_INPUT_OPERATION)
        vf_violation(VfIrpInformation,
                     "IRP %p is completed with Information %llu, the output buffer has %u bytes",
                     (void *)irp, (unsigned long long)irp->IoStatus.Information, room);
}

static void check_completion(struct irp_packet *packet, PIRP irp)
{
    if (packet != NULL && packet->freed)
        vf_violation(VfIrpDoubleCompletion, "IRP %p is completed, but it was completed already%s%s",
                     (void *)irp, vf_owner(packet->freed_by)[0] ? ", by " : "",
                     vf_owner(packet->freed_by));
    if (irp->Type != IO_TYPE_IRP)
        vf_violation(VfBadParameter, "IoCompleteRequest: %p is no IRP", (void *)irp);
    if (irp->CurrentLocation > irp->StackCount)
        vf_violation(VfIrpDoubleCompletion, "IRP %p is completed twice", (void *)irp);
    if (irp->CancelRoutine != NULL)
        vf_violation(VfIrpCancelRoutineSet,
                     "IRP %p is completed while its cancel routine is still set", (void *)irp);
    if (irp->IoStatus.Status == STATUS_PENDING)
        vf_violation(VfIrpPendingMismatch, "IRP %p is completed with STATUS_PENDING", (void *)irp);
    check_information(irp);
}

static bool wants_routine(const IO_STACK_LOCATION *stack, PIRP irp)
{
    if (NT_SUCCESS(irp->IoStatus.Status) ? stack->Control & SL_INVOKE_ON_SUCCESS
                                         : stack->Control & SL_INVOKE_ON_ERROR)
        return true;
    return irp->Cancel && stack->Control & SL_INVOKE_ON_CANCEL;
}

/* A location that completion has passed is cleared, so that nobody relies on it. */
static void clear_location(PIO_STACK_LOCATION stack)
{
    UCHAR major = stack->MajorFunction;
    memset(stack, 0, offsetof(IO_STACK_LOCATION, DeviceObject));
    stack->MajorFunction = major;
    stack->FileObject = NULL;
}

void irp_complete(PIRP irp, const void *caller)
{
    struct irp_packet *packet = irp_packet_of(irp);
    if (vf_enabled)
        check_completion(packet, irp);
    else if (irp->CurrentLocation > irp->StackCount)
        KeBugCheckEx(0x44 /* MULTIPLE_IRP_COMPLETE_REQUESTS */, (ULONG_PTR)irp, 0, 0, 0);
    while (irp->CurrentLocation <= irp->StackCount) {
        PIO_STACK_LOCATION stack = irp->Tail.Overlay.CurrentStackLocation;
        irp->PendingReturned = stack->Control & SL_PENDING_RETURNED;
        if (packet != NULL && vf_enabled)
            note_location(packet, irp, irp->PendingReturned);
        irp->CurrentLocation++;
        irp->Tail.Overlay.CurrentStackLocation++;
        bool last = irp->CurrentLocation > irp->StackCount;
        if (stack->CompletionRoutine != NULL && wants_routine(stack, irp)) {
            PIO_COMPLETION_ROUTINE routine = stack->CompletionRoutine;
            PDEVICE_OBJECT device =
                last ? NULL : irp->Tail.Overlay.CurrentStackLocation->DeviceObject;
            PVOID context = stack->Context;
            clear_location(stack);
            struct vf_call call = vf_call_begin("an I/O completion routine");
            NTSTATUS status = routine(device, irp, context);
            vf_call_end(&call);
            if (status == STATUS_MORE_PROCESSING_REQUIRED) {
                if (packet != NULL)
                    irp_packet_release(packet);
                return; /* the IRP may be gone */
            }
        } else {
            if (irp->PendingReturned && !last)
                irp->Tail.Overlay.CurrentStackLocation->Control |= SL_PENDING_RETURNED;
            clear_location(stack);
        }
    }
    if (packet != NULL && packet->finish != NULL) {
        packet->freed_by = caller;
        packet->finish(packet, irp);
    } else if (vf_enabled) {
        vf_violation(VfBadParameter,
                     "IRP %p, a driver's own, is completed to its end: its completion routine must "
                     "return STATUS_MORE_PROCESSING_REQUIRED",
                     (void *)irp);
    }
    if (packet != NULL)
        irp_packet_release(packet);
}

bool irp_cancel(PIRP irp)
{
    KIRQL irql;
    KeAcquireSpinLock(&cancel_lock, &irql);
    irp->Cancel = TRUE;
    PDRIVER_CANCEL routine = IoSetCancelRoutine(irp, NULL);
    if (routine == NULL) {
        KeReleaseSpinLock(&cancel_lock, irql);
        return false;
    }
    irp->CancelIrql = irql;
    /* The routine releases the cancel spin lock, and comes back at the IRQL of before. */
    PDEVICE_OBJECT device = irp->CurrentLocation <= irp->StackCount
                                ? IoGetCurrentIrpStackLocation(irp)->DeviceObject
                                : NULL;
    routine(device, irp);
    if (vf_enabled && KeGetCurrentIrql() != irql)
        vf_violation(
            VfIrqlWrongOnReturn,
            "the cancel routine came back at IRQL %u: it must release the cancel spin lock "
            "with Irp->CancelIrql (%u)",
            KeGetCurrentIrql(), irql);
    return true;
}

/* Exports */

NTSTATUS NTAPI IofCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return irp_call(DeviceObject, Irp, __builtin_return_address(0));
}
NT_EXPORT(NTOSKRNL, IofCallDriver);

VOID NTAPI IofCompleteRequest(PIRP Irp, CCHAR PriorityBoost)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(PriorityBoost);
    irp_complete(Irp, __builtin_return_address(0));
}
NT_EXPORT(NTOSKRNL, IofCompleteRequest);

BOOLEAN NTAPI IoCancelIrp(PIRP Irp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return irp_cancel(Irp);
}
NT_EXPORT(NTOSKRNL, IoCancelIrp);

VOID NTAPI IoAcquireCancelSpinLock(PKIRQL Irql)
{
    VF_ENTRY(DISPATCH_LEVEL);
    KeAcquireSpinLock(&cancel_lock, Irql);
}
NT_EXPORT(NTOSKRNL, IoAcquireCancelSpinLock);

VOID NTAPI IoReleaseCancelSpinLock(KIRQL Irql)
{
    VF_ENTRY(DISPATCH_LEVEL);
    KeReleaseSpinLock(&cancel_lock, Irql);
}
NT_EXPORT(NTOSKRNL, IoReleaseCancelSpinLock);

/* Sends the IRP on and takes it back: its completion routine keeps it. */
static NTSTATUS NTAPI take_back(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    if (irp->PendingReturned)
        KeSetEvent(context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS send_and_take_back(PDEVICE_OBJECT device, PIRP irp)
{
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    IoSetCompletionRoutine(irp, take_back, &event, TRUE, TRUE, TRUE);
    NTSTATUS status = irp_call(device, irp, __builtin_return_address(0));
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
        status = irp->IoStatus.Status;
    }
    return status;
}

BOOLEAN NTAPI IoForwardIrpSynchronously(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (Irp->CurrentLocation <= 1)
        return FALSE;
    IoCopyCurrentIrpStackLocationToNext(Irp);
    send_and_take_back(DeviceObject, Irp);
    return TRUE;
}
NT_EXPORT(NTOSKRNL, IoForwardIrpSynchronously);

NTSTATUS NTAPI IoSynchronousCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return send_and_take_back(DeviceObject, Irp);
}
NT_EXPORT(NTOSKRNL, IoSynchronousCallDriver);

/* The routine runs while its driver is kept: the device object is referenced until it has. */
struct kept_completion {
    PDEVICE_OBJECT device;
    PIO_COMPLETION_ROUTINE routine;
    PVOID context;
    UCHAR invoke_on;
};

static NTSTATUS NTAPI run_kept(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct kept_completion kept = *(struct kept_completion *)context;
    UCHAR now = NT_SUCCESS(irp->IoStatus.Status) ? SL_INVOKE_ON_SUCCESS : SL_INVOKE_ON_ERROR;
    NTSTATUS status = STATUS_CONTINUE_COMPLETION;
    ExFreePoolWithTag(context, 'ceoI');
    if (irp->Cancel)
        now |= SL_INVOKE_ON_CANCEL;
    if (now & kept.invoke_on)
        status = kept.routine(device, irp, kept.context);
    else if (irp->PendingReturned && irp->CurrentLocation <= irp->StackCount)
        IoMarkIrpPending(irp);
    ob_dereference(kept.device);
    return status;
}

NTSTATUS NTAPI IoSetCompletionRoutineEx(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                                        PIO_COMPLETION_ROUTINE CompletionRoutine, PVOID Context,
                                        BOOLEAN InvokeOnSuccess, BOOLEAN InvokeOnError,
                                        BOOLEAN InvokeOnCancel)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct kept_completion *kept = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*kept), 'ceoI');
    if (kept == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *kept = (struct kept_completion){DeviceObject, CompletionRoutine, Context,
                                     (UCHAR)((InvokeOnSuccess ? SL_INVOKE_ON_SUCCESS : 0) |
                                             (InvokeOnError ? SL_INVOKE_ON_ERROR : 0) |
                                             (InvokeOnCancel ? SL_INVOKE_ON_CANCEL : 0))};
    ob_reference(DeviceObject);
    IoSetCompletionRoutine(Irp, run_kept, kept, TRUE, TRUE, TRUE);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, IoSetCompletionRoutineEx);

PEPROCESS NTAPI IoGetRequestorProcess(PIRP Irp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct irp_packet *packet = irp_packet_of(Irp);
    if (packet == NULL)
        return NULL;
    PEPROCESS process = packet->process;
    irp_packet_release(packet);
    return process;
}
NT_EXPORT(NTOSKRNL, IoGetRequestorProcess);

ULONG NTAPI IoGetRequestorProcessId(PIRP Irp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct irp_packet *packet = irp_packet_of(Irp);
    if (packet == NULL)
        return 0;
    ULONG id = packet->process->id;
    irp_packet_release(packet);
    return id;
}
NT_EXPORT(NTOSKRNL, IoGetRequestorProcessId);

/* Clients are 64-bit. */
BOOLEAN NTAPI IoIs32bitProcess(PIRP Irp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(Irp);
    return FALSE;
}
NT_EXPORT(NTOSKRNL, IoIs32bitProcess);

NTSTATUS NTAPI IoValidateDeviceIoControlAccess(PIRP Irp, ULONG RequiredAccess)
{
    VF_ENTRY(DISPATCH_LEVEL);
    const IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(Irp);
    const FILE_OBJECT *file = stack->FileObject;
    if ((RequiredAccess & ~(ULONG)(FILE_READ_ACCESS | FILE_WRITE_ACCESS)) != 0 || file == NULL ||
        (stack->MajorFunction != IRP_MJ_DEVICE_CONTROL &&
         stack->MajorFunction != IRP_MJ_FILE_SYSTEM_CONTROL))
        return STATUS_INVALID_PARAMETER;
    if (Irp->RequestorMode == KernelMode)
        return STATUS_SUCCESS;
    /* The I/O manager noted what was granted when the file was opened. */
    if ((RequiredAccess & FILE_READ_ACCESS && !file->ReadAccess) ||
        (RequiredAccess & FILE_WRITE_ACCESS && !file->WriteAccess))
        return STATUS_ACCESS_DENIED;
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, IoValidateDeviceIoControlAccess);
