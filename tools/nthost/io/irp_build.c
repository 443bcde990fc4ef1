/*
 * The data of requests: how the three buffering methods hand a caller's buffers to a driver.
 *
 *     METHOD_BUFFERED    one system buffer of max(input, output), copied in, and copied back as far
 *                        as Information says unless the request failed
 *     METHOD_IN_DIRECT,  input through a system buffer; an MDL describes the output buffer itself,
 *     METHOD_OUT_DIRECT  locked for reading or for writing
 *     METHOD_NEITHER     the caller's pointers
 *
 * WDK: "Buffer Descriptions for I/O Control Codes", "Methods for Accessing Data Buffers",
 * IoBuildDeviceIoControlRequest, IoBuildSynchronousFsdRequest.
 */
#include "irp.h"
#include "ob.h"
#include <nthost/export.h>
#include <string.h>

#define BUFFER_TAG '  oI'

static NTSTATUS system_buffer(PIRP irp, ULONG bytes, const void *input, ULONG input_bytes)
{
    irp->AssociatedIrp.SystemBuffer =
        ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, bytes, BUFFER_TAG);
    if (irp->AssociatedIrp.SystemBuffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (input_bytes != 0)
        memcpy(irp->AssociatedIrp.SystemBuffer, input, input_bytes);
    irp->Flags |= IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
    return STATUS_SUCCESS;
}

static NTSTATUS describe(PIRP irp, void *data, ULONG bytes, bool write)
{
    if (bytes == 0)
        return STATUS_SUCCESS;
    irp->MdlAddress = mdl_create(data, bytes, true, write);
    return irp->MdlAddress ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static void drop_buffers(PIRP irp)
{
    if (irp->Flags & IRP_DEALLOCATE_BUFFER) {
        ExFreePoolWithTag(irp->AssociatedIrp.SystemBuffer, BUFFER_TAG);
        irp->AssociatedIrp.SystemBuffer = NULL;
        irp->Flags &= ~(ULONG)IRP_DEALLOCATE_BUFFER;
    }
    while (irp->MdlAddress != NULL) {
        PMDL mdl = irp->MdlAddress;
        irp->MdlAddress = mdl->Next;
        mdl_destroy(mdl);
    }
}

NTSTATUS irp_build_ioctl(struct irp_packet *packet, UCHAR major, ULONG code, const void *input,
                         ULONG input_bytes, void *output, ULONG output_bytes)
{
    PIRP irp = packet->irp;
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;
    stack->MajorFunction = major;
    stack->Parameters.DeviceIoControl.IoControlCode = code;
    stack->Parameters.DeviceIoControl.InputBufferLength = input_bytes;
    stack->Parameters.DeviceIoControl.OutputBufferLength = output_bytes;
    switch (METHOD_FROM_CTL_CODE(code)) {
    case METHOD_BUFFERED: {
        ULONG bytes = input_bytes > output_bytes ? input_bytes : output_bytes;
        if (bytes == 0)
            break;
        status = system_buffer(irp, bytes, input, input_bytes);
        irp->UserBuffer = output;
        if (output_bytes != 0)
            irp->Flags |= IRP_INPUT_OPERATION;
        packet->output_bytes = output_bytes;
        break;
    }
    case METHOD_IN_DIRECT:
    case METHOD_OUT_DIRECT:
        if (input_bytes != 0)
            status = system_buffer(irp, input_bytes, input, input_bytes);
        if (NT_SUCCESS(status))
            status = describe(irp, output, output_bytes,
                              METHOD_FROM_CTL_CODE(code) == METHOD_OUT_DIRECT);
        break;
    default:
        stack->Parameters.DeviceIoControl.Type3InputBuffer = (PVOID)(ULONG_PTR)input;
        irp->UserBuffer = output;
        break;
    }
    if (!NT_SUCCESS(status))
        drop_buffers(irp);
    return status;
}

NTSTATUS irp_build_transfer(struct irp_packet *packet, PDEVICE_OBJECT device, UCHAR major,
                            void *data, ULONG bytes, LONGLONG offset)
{
    PIRP irp = packet->irp;
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    bool reads = major == IRP_MJ_READ;
    NTSTATUS status = STATUS_SUCCESS;
    /* Read and Write have the same form. */
    stack->MajorFunction = major;
    stack->Parameters.Read.Length = bytes;
    stack->Parameters.Read.ByteOffset.QuadPart = offset;
    irp->Flags |= reads ? IRP_READ_OPERATION : IRP_WRITE_OPERATION;
    irp->UserBuffer = data;
    if (stack->FileObject != NULL && stack->FileObject->Flags & FO_NO_INTERMEDIATE_BUFFERING)
        irp->Flags |= IRP_NOCACHE;
    if (stack->FileObject != NULL && !reads && stack->FileObject->Flags & FO_WRITE_THROUGH)
        stack->Flags |= SL_WRITE_THROUGH;
    if (device->Flags & DO_BUFFERED_IO) {
        if (bytes != 0)
            status = system_buffer(irp, bytes, data, reads ? 0 : bytes);
        if (reads)
            irp->Flags |= IRP_INPUT_OPERATION;
        packet->output_bytes = reads ? bytes : 0;
    } else if (device->Flags & DO_DIRECT_IO) {
        status = describe(irp, data, bytes, reads);
    }
    if (!NT_SUCCESS(status))
        drop_buffers(irp);
    return status;
}

NTSTATUS irp_build_information(struct irp_packet *packet, UCHAR major, void *data, ULONG bytes,
                               FILE_INFORMATION_CLASS information_class)
{
    PIRP irp = packet->irp;
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    bool queries = major == IRP_MJ_QUERY_INFORMATION;
    stack->MajorFunction = major;
    stack->Parameters.QueryFile.Length = bytes;
    stack->Parameters.QueryFile.FileInformationClass = information_class;
    NTSTATUS status = system_buffer(irp, bytes, data, queries ? 0 : bytes);
    irp->UserBuffer = data;
    if (queries)
        irp->Flags |= IRP_INPUT_OPERATION;
    packet->output_bytes = queries ? bytes : 0;
    return status;
}

void irp_finish_buffers(struct irp_packet *packet, PIRP irp)
{
    /* Warnings copy, errors do not: STATUS_BUFFER_OVERFLOW hands out what fits. */
    if (irp->Flags & IRP_BUFFERED_IO && irp->Flags & IRP_INPUT_OPERATION &&
        !NT_ERROR(irp->IoStatus.Status) && irp->AssociatedIrp.SystemBuffer != NULL) {
        ULONG_PTR bytes = irp->IoStatus.Information;
        if (bytes > packet->output_bytes)
            bytes = packet->output_bytes;
        if (bytes != 0)
            memcpy(irp->UserBuffer, irp->AssociatedIrp.SystemBuffer, bytes);
    }
    drop_buffers(irp);
}

struct waiter {
    KEVENT event;
    IO_STATUS_BLOCK iosb;
};

static void finish_waiter(struct irp_packet *packet, PIRP irp)
{
    struct waiter *waiter = packet->finish_context;
    irp_finish_buffers(packet, irp);
    waiter->iosb = irp->IoStatus;
    irp_free(irp, packet->freed_by);
    KeSetEvent(&waiter->event, IO_NO_INCREMENT, FALSE);
}

NTSTATUS irp_send_and_wait(PDEVICE_OBJECT device, struct irp_packet *packet, PIO_STATUS_BLOCK iosb)
{
    struct waiter waiter;
    KeInitializeEvent(&waiter.event, NotificationEvent, FALSE);
    packet->finish = finish_waiter;
    packet->finish_context = &waiter;
    irp_call(device, packet->irp, NULL);
    /* Also after a synchronous completion, of which the event is the proof. */
    KeWaitForSingleObject(&waiter.event, Executive, KernelMode, FALSE, NULL);
    *iosb = waiter.iosb;
    return waiter.iosb.Status;
}

/* Requests that drivers build: they end in the caller's status block and event. */

static void finish_built(struct irp_packet *packet, PIRP irp)
{
    PKEVENT event = irp->UserEvent;
    irp_finish_buffers(packet, irp);
    if (irp->UserIosb != NULL)
        *irp->UserIosb = irp->IoStatus;
    irp_free(irp, packet->freed_by);
    if (event != NULL)
        KeSetEvent(event, IO_NO_INCREMENT, FALSE);
}

static PIRP start_building(PDEVICE_OBJECT device, PKEVENT event, PIO_STATUS_BLOCK iosb,
                           struct irp_packet **packet)
{
    PIRP irp = irp_allocate(device->StackSize, packet);
    if (irp == NULL)
        return NULL;
    ob_note_driver((*packet)->driver);
    irp->UserEvent = event;
    irp->UserIosb = iosb;
    (*packet)->finish = finish_built;
    return irp;
}

PIRP NTAPI IoBuildDeviceIoControlRequest(ULONG IoControlCode, PDEVICE_OBJECT DeviceObject,
                                         PVOID InputBuffer, ULONG InputBufferLength,
                                         PVOID OutputBuffer, ULONG OutputBufferLength,
                                         BOOLEAN InternalDeviceIoControl, PKEVENT Event,
                                         PIO_STATUS_BLOCK IoStatusBlock)
{
    struct irp_packet *packet;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return NULL;
    PIRP irp = start_building(DeviceObject, Event, IoStatusBlock, &packet);
    if (irp != NULL &&
        !NT_SUCCESS(irp_build_ioctl(
            packet,
            InternalDeviceIoControl ? IRP_MJ_INTERNAL_DEVICE_CONTROL : IRP_MJ_DEVICE_CONTROL,
            IoControlCode, InputBuffer, InputBufferLength, OutputBuffer, OutputBufferLength))) {
        irp_free(irp, NULL);
        return NULL;
    }
    return irp;
}
NT_EXPORT(NTOSKRNL, IoBuildDeviceIoControlRequest);

static PIRP build_fsd(ULONG major, PDEVICE_OBJECT device, PVOID buffer, ULONG length,
                      PLARGE_INTEGER offset, PKEVENT event, PIO_STATUS_BLOCK iosb)
{
    struct irp_packet *packet;
    PIRP irp = start_building(device, event, iosb, &packet);
    if (irp == NULL)
        return NULL;
    NTSTATUS status = STATUS_SUCCESS;
    if (major == IRP_MJ_READ || major == IRP_MJ_WRITE)
        status = irp_build_transfer(packet, device, (UCHAR)major, buffer, length,
                                    offset ? offset->QuadPart : 0);
    else
        IoGetNextIrpStackLocation(irp)->MajorFunction = (UCHAR)major;
    if (!NT_SUCCESS(status)) {
        irp_free(irp, NULL);
        return NULL;
    }
    return irp;
}

PIRP NTAPI IoBuildSynchronousFsdRequest(ULONG MajorFunction, PDEVICE_OBJECT DeviceObject,
                                        PVOID Buffer, ULONG Length, PLARGE_INTEGER StartingOffset,
                                        PKEVENT Event, PIO_STATUS_BLOCK IoStatusBlock)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return NULL;
    return build_fsd(MajorFunction, DeviceObject, Buffer, Length, StartingOffset, Event,
                     IoStatusBlock);
}
NT_EXPORT(NTOSKRNL, IoBuildSynchronousFsdRequest);

/* The driver frees it in its completion routine, with what is at MdlAddress or SystemBuffer. */
PIRP NTAPI IoBuildAsynchronousFsdRequest(ULONG MajorFunction, PDEVICE_OBJECT DeviceObject,
                                         PVOID Buffer, ULONG Length, PLARGE_INTEGER StartingOffset,
                                         PIO_STATUS_BLOCK IoStatusBlock)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultIo))
        return NULL;
    PIRP irp =
        build_fsd(MajorFunction, DeviceObject, Buffer, Length, StartingOffset, NULL, IoStatusBlock);
    if (irp != NULL) {
        struct irp_packet *packet = irp_packet_of(irp);
        packet->finish = NULL;
        irp_packet_release(packet);
    }
    return irp;
}
NT_EXPORT(NTOSKRNL, IoBuildAsynchronousFsdRequest);
