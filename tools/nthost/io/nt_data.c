/*
 * Reading, writing, locking, flushing; nthost/nt.h.
 *
 * Fast I/O is what NtReadFile and NtWriteFile do on a synchronous file object that is cached: the
 * top device's FAST_IO_DISPATCH is asked first, and an IRP made if it declines.
 */
#include "device.h"
#include "file.h"
#include "nt.h"
#include <nthost/nt.h>

static bool takes_fast_io(PFILE_OBJECT file)
{
    return file->Flags & FO_SYNCHRONOUS_IO && file->PrivateCacheMap != NULL;
}

PFAST_IO_DISPATCH nt_fast_io(PDEVICE_OBJECT device, size_t end)
{
    PFAST_IO_DISPATCH dispatch = device->DriverObject->FastIoDispatch;
    return dispatch != NULL && dispatch->SizeOfFastIoDispatch >= end ? dispatch : NULL;
}

#define HAS(dispatch, member) ((dispatch) != NULL && (dispatch)->member != NULL)
#define FAST_IO(device, member)                                                                    \
    nt_fast_io(device, offsetof(FAST_IO_DISPATCH, member) + sizeof(void *))

static bool try_fast(PFILE_OBJECT file, UCHAR major, void *data, ULONG bytes, LONGLONG offset,
                     PIO_STATUS_BLOCK iosb)
{
    PDEVICE_OBJECT device = device_top(file->DeviceObject);
    LARGE_INTEGER at = {.QuadPart = offset};
    PFAST_IO_DISPATCH dispatch = FAST_IO(device, FastIoWrite);
    iosb->Information = 0;
    struct vf_call call = vf_call_begin("fast I/O");
    BOOLEAN done = FALSE;
    if (major == IRP_MJ_READ && HAS(dispatch, FastIoRead))
        done = dispatch->FastIoRead(file, &at, bytes, TRUE, 0, data, iosb, device);
    else if (major == IRP_MJ_WRITE && HAS(dispatch, FastIoWrite))
        done = dispatch->FastIoWrite(file, &at, bytes, TRUE, 0, data, iosb, device);
    vf_call_end(&call);
    /* Windows takes these three for an answer, anything else to an IRP. */
    return done && (iosb->Status == STATUS_SUCCESS || iosb->Status == STATUS_BUFFER_OVERFLOW ||
                    iosb->Status == STATUS_END_OF_FILE);
}

static NTSTATUS send(PFILE_OBJECT file, UCHAR major, void *data, ULONG bytes, LONGLONG offset,
                     PIO_STATUS_BLOCK iosb)
{
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    if (file_request(file, UserMode, &device, &packet) == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = irp_build_transfer(packet, device, major, data, bytes, offset);
    if (!NT_SUCCESS(status)) {
        irp_free(packet->irp, NULL);
        return status;
    }
    return irp_send_and_wait(device, packet, iosb);
}

static NTSTATUS transfer(PFILE_OBJECT file, UCHAR major, void *data, ULONG bytes,
                         const LONGLONG *offset, ULONG_PTR *information)
{
    IO_STATUS_BLOCK iosb = {.Information = 0};
    bool positioned = offset == NULL;
    LONGLONG at;
    if (major == IRP_MJ_READ ? !file->ReadAccess : !file->WriteAccess)
        return STATUS_ACCESS_DENIED;
    if (positioned && !(file->Flags & FO_SYNCHRONOUS_IO))
        return STATUS_INVALID_PARAMETER;
    if (positioned)
        KeWaitForSingleObject(&file->Lock, Executive, KernelMode, FALSE, NULL);
    at = positioned ? file->CurrentByteOffset.QuadPart : *offset;
    if (!takes_fast_io(file) || !try_fast(file, major, data, bytes, at, &iosb)) {
        iosb.Information = 0;
        iosb.Status = send(file, major, data, bytes, at, &iosb);
    }
    if (positioned) {
        file->CurrentByteOffset.QuadPart = at + (LONGLONG)iosb.Information;
        KeSetEvent(&file->Lock, IO_NO_INCREMENT, FALSE);
    }
    if (information != NULL)
        *information = iosb.Information;
    return iosb.Status;
}

NTSTATUS nt_read(PFILE_OBJECT file, void *data, ULONG bytes, const LONGLONG *offset,
                 ULONG_PTR *information)
{
    return transfer(file, IRP_MJ_READ, data, bytes, offset, information);
}

NTSTATUS nt_write(PFILE_OBJECT file, const void *data, ULONG bytes, const LONGLONG *offset,
                  ULONG_PTR *information)
{
    return transfer(file, IRP_MJ_WRITE, (void *)(ULONG_PTR)data, bytes, offset, information);
}

NTSTATUS nt_paging(PFILE_OBJECT file, UCHAR major, void *data, ULONG bytes, LONGLONG offset,
                   ULONG flags, void *owner, ULONG_PTR *information)
{
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    IO_STATUS_BLOCK iosb = {.Information = 0};
    bool reads = major == IRP_MJ_READ;
    PIRP irp = file_request(file, KernelMode, &device, &packet);
    PMDL mdl = irp ? mdl_create(data, bytes, true, reads) : NULL;
    if (mdl == NULL) {
        if (irp != NULL)
            irp_free(irp, NULL);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    stack->MajorFunction = major; /* Read and Write have the same form */
    stack->Parameters.Write.Length = bytes;
    stack->Parameters.Write.ByteOffset.QuadPart = offset;
    irp->Flags |=
        IRP_PAGING_IO | IRP_NOCACHE | flags | (reads ? IRP_READ_OPERATION : IRP_WRITE_OPERATION);
    irp->MdlAddress = mdl;
    irp->UserBuffer = data;
    irp->Tail.Overlay.AuxiliaryBuffer = owner;
    NTSTATUS status = irp_send_and_wait(device, packet, &iosb); /* frees the MDL */
    if (information != NULL)
        *information = iosb.Information;
    return status;
}

NTSTATUS nt_paging_read(PFILE_OBJECT file, void *data, ULONG bytes, LONGLONG offset,
                        ULONG_PTR *information)
{
    return nt_paging(file, IRP_MJ_READ, data, bytes, offset, 0, NULL, information);
}

NTSTATUS nt_paging_write(PFILE_OBJECT file, const void *data, ULONG bytes, LONGLONG offset,
                         bool synchronous, ULONG_PTR *information)
{
    return nt_paging(file, IRP_MJ_WRITE, (void *)(ULONG_PTR)data, bytes, offset,
                     synchronous ? IRP_SYNCHRONOUS_PAGING_IO : 0, NULL, information);
}

/* Requests without data */

static NTSTATUS simple(PFILE_OBJECT file, UCHAR major, UCHAR minor, UCHAR flags,
                       PLARGE_INTEGER length, LONGLONG offset, ULONG key)
{
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    IO_STATUS_BLOCK iosb;
    PIRP irp = file_request(file, UserMode, &device, &packet);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    stack->MajorFunction = major;
    stack->MinorFunction = minor;
    stack->Flags = flags;
    if (major == IRP_MJ_LOCK_CONTROL) {
        stack->Parameters.LockControl.Length = length;
        stack->Parameters.LockControl.Key = key;
        stack->Parameters.LockControl.ByteOffset.QuadPart = offset;
    }
    return irp_send_and_wait(device, packet, &iosb);
}

NTSTATUS nt_flush(PFILE_OBJECT file, UCHAR flags)
{
    return simple(file, IRP_MJ_FLUSH_BUFFERS, flags, 0, NULL, 0, 0);
}

NTSTATUS nt_lock(PFILE_OBJECT file, LONGLONG offset, LONGLONG bytes, ULONG key, bool wait,
                 bool exclusive)
{
    LARGE_INTEGER length = {.QuadPart = bytes};
    return simple(file, IRP_MJ_LOCK_CONTROL, IRP_MN_LOCK,
                  (UCHAR)((wait ? 0 : SL_FAIL_IMMEDIATELY) | (exclusive ? SL_EXCLUSIVE_LOCK : 0)),
                  &length, offset, key);
}

NTSTATUS nt_unlock(PFILE_OBJECT file, LONGLONG offset, LONGLONG bytes, ULONG key)
{
    LARGE_INTEGER length = {.QuadPart = bytes};
    return simple(file, IRP_MJ_LOCK_CONTROL, IRP_MN_UNLOCK_SINGLE, 0, &length, offset, key);
}

NTSTATUS nt_fsctl(PFILE_OBJECT file, ULONG code, const void *input, ULONG input_bytes, void *output,
                  ULONG output_bytes, ULONG_PTR *information)
{
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    IO_STATUS_BLOCK iosb = {.Information = 0};
    if (file_request(file, UserMode, &device, &packet) == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = irp_build_ioctl(packet, IRP_MJ_FILE_SYSTEM_CONTROL, code, input, input_bytes,
                                      output, output_bytes);
    if (NT_SUCCESS(status))
        status = irp_send_and_wait(device, packet, &iosb);
    else
        irp_free(packet->irp, NULL);
    if (information != NULL)
        *information = iosb.Information;
    return status;
}
