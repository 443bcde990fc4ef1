/*
 * Fast I/O through the filters: the volumes' devices' FAST_IO_DISPATCH.
 *
 * A filter sees it as an operation of its own kind (FLTFL_CALLBACK_DATA_FAST_IO_OPERATION) with the
 * parameters of the IRP that would do the same, and may disallow it; then, as where the file system
 * declines, FALSE is returned and an IRP comes. It is over when the call returns.
 *
 * WDK: FAST_IO_DISPATCH, FLT_PREOP_DISALLOW_FASTIO, "Writing Preoperation Callback Routines".
 */
#include "fastio.h"

PFAST_IO_DISPATCH fast_table_below(PFLT_VOLUME volume, size_t end)
{
    PFAST_IO_DISPATCH dispatch = volume->below->DriverObject->FastIoDispatch;
    return dispatch != NULL && dispatch->SizeOfFastIoDispatch >= end ? dispatch : NULL;
}
struct flt_op *fast_begin(PFLT_VOLUME volume, PFILE_OBJECT file, UCHAR major, UCHAR minor,
                          struct fast_call *call)
{
    struct flt_op *op = flt_op_allocate(volume, FltOpFastIo);
    if (op == NULL)
        return NULL;
    PFLT_CALLBACK_DATA data = flt_data(op);
    data->Flags = FLTFL_CALLBACK_DATA_FAST_IO_OPERATION;
    *(PETHREAD *)&data->Thread = PsGetCurrentThread();
    data->RequestorMode = ExGetPreviousMode();
    flt_iopb(op)->MajorFunction = major;
    flt_iopb(op)->MinorFunction = minor;
    flt_iopb(op)->TargetFileObject = file;
    op->finish_context = call;
    return op;
}

BOOLEAN fast_run(struct flt_op *op, void (*bottom)(struct flt_op *op), PIO_STATUS_BLOCK iosb)
{
    PFILE_OBJECT file = flt_iopb(op)->TargetFileObject;
    op->bottom = bottom;
    flt_op_bind(op, file->FileObjectExtension ? flt_file_of(file, false)->target : NULL);
    flt_run(op);
    IO_STATUS_BLOCK result = flt_data(op)->IoStatus;
    flt_op_release(op);
    if (result.Status == STATUS_FLT_DISALLOW_FAST_IO)
        return FALSE;
    if (iosb != NULL)
        *iosb = result;
    return TRUE;
}

void fast_done(struct flt_op *op, BOOLEAN taken)
{
    if (taken)
        return;
    flt_data(op)->IoStatus.Status = STATUS_FLT_DISALLOW_FAST_IO;
    flt_data(op)->IoStatus.Information = 0;
}

/* Reading and writing */

static void bottom_transfer(struct flt_op *op)
{
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    const struct fast_call *call = op->finish_context;
    LARGE_INTEGER offset = iopb->Parameters.Read.ByteOffset;
    PFAST_IO_READ read = iopb->MajorFunction == IRP_MJ_READ ? FAST_BELOW(op->volume, FastIoRead)
                                                            : FAST_BELOW(op->volume, FastIoWrite);
    fast_done(op,
              read && read(iopb->TargetFileObject, &offset, iopb->Parameters.Read.Length,
                           call->wait, iopb->Parameters.Read.Key, iopb->Parameters.Read.ReadBuffer,
                           &flt_data(op)->IoStatus, op->volume->below));
}

static BOOLEAN transfer(UCHAR major, PFILE_OBJECT file, PLARGE_INTEGER offset, ULONG length,
                        BOOLEAN wait, ULONG key, PVOID buffer, PIO_STATUS_BLOCK iosb,
                        PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    struct fast_call call = {.wait = wait};
    if (!fast_is_handled(volume, major)) {
        PFAST_IO_READ read =
            major == IRP_MJ_READ ? FAST_BELOW(volume, FastIoRead) : FAST_BELOW(volume, FastIoWrite);
        return read && read(file, offset, length, wait, key, buffer, iosb, volume->below);
    }
    struct flt_op *op = fast_begin(volume, file, major, 0, &call);
    if (op == NULL)
        return FALSE;
    flt_iopb(op)->Parameters.Read.Length = length;
    flt_iopb(op)->Parameters.Read.Key = key;
    flt_iopb(op)->Parameters.Read.ByteOffset = *offset;
    flt_iopb(op)->Parameters.Read.ReadBuffer = buffer;
    return fast_run(op, bottom_transfer, iosb);
}

static BOOLEAN NTAPI fast_read(PFILE_OBJECT file, PLARGE_INTEGER offset, ULONG length, BOOLEAN wait,
                               ULONG key, PVOID buffer, PIO_STATUS_BLOCK iosb,
                               PDEVICE_OBJECT device)
{
    return transfer(IRP_MJ_READ, file, offset, length, wait, key, buffer, iosb, device);
}

static BOOLEAN NTAPI fast_write(PFILE_OBJECT file, PLARGE_INTEGER offset, ULONG length,
                                BOOLEAN wait, ULONG key, PVOID buffer, PIO_STATUS_BLOCK iosb,
                                PDEVICE_OBJECT device)
{
    return transfer(IRP_MJ_WRITE, file, offset, length, wait, key, buffer, iosb, device);
}

static void bottom_check(struct flt_op *op)
{
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    const struct fast_call *call = op->finish_context;
    LARGE_INTEGER offset = iopb->Parameters.FastIoCheckIfPossible.FileOffset;
    PFAST_IO_CHECK_IF_POSSIBLE check = FAST_BELOW(op->volume, FastIoCheckIfPossible);
    fast_done(op, check && check(iopb->TargetFileObject, &offset,
                                 iopb->Parameters.FastIoCheckIfPossible.Length, call->wait,
                                 iopb->Parameters.FastIoCheckIfPossible.LockKey,
                                 iopb->Parameters.FastIoCheckIfPossible.CheckForReadOperation,
                                 &flt_data(op)->IoStatus, op->volume->below));
}

static BOOLEAN NTAPI fast_check(PFILE_OBJECT file, PLARGE_INTEGER offset, ULONG length,
                                BOOLEAN wait, ULONG key, BOOLEAN reads, PIO_STATUS_BLOCK iosb,
                                PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    struct fast_call call = {.wait = wait};
    if (!fast_is_handled(volume, IRP_MJ_FAST_IO_CHECK_IF_POSSIBLE)) {
        PFAST_IO_CHECK_IF_POSSIBLE check = FAST_BELOW(volume, FastIoCheckIfPossible);
        return check && check(file, offset, length, wait, key, reads, iosb, volume->below);
    }
    struct flt_op *op = fast_begin(volume, file, IRP_MJ_FAST_IO_CHECK_IF_POSSIBLE, 0, &call);
    if (op == NULL)
        return FALSE;
    flt_iopb(op)->Parameters.FastIoCheckIfPossible.FileOffset = *offset;
    flt_iopb(op)->Parameters.FastIoCheckIfPossible.Length = length;
    flt_iopb(op)->Parameters.FastIoCheckIfPossible.LockKey = key;
    flt_iopb(op)->Parameters.FastIoCheckIfPossible.CheckForReadOperation = reads;
    return fast_run(op, bottom_check, iosb);
}

/* Information */

static void bottom_query(struct flt_op *op)
{
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    const struct fast_call *call = op->finish_context;
    PVOID buffer = iopb->Parameters.QueryFileInformation.InfoBuffer;
    PFAST_IO_QUERY_BASIC_INFO basic = FAST_BELOW(op->volume, FastIoQueryBasicInfo);
    PFAST_IO_QUERY_STANDARD_INFO standard = FAST_BELOW(op->volume, FastIoQueryStandardInfo);
    PFAST_IO_QUERY_NETWORK_OPEN_INFO network = FAST_BELOW(op->volume, FastIoQueryNetworkOpenInfo);
    PFILE_OBJECT file = iopb->TargetFileObject;
    PIO_STATUS_BLOCK iosb = &flt_data(op)->IoStatus;
    switch (iopb->Parameters.QueryFileInformation.FileInformationClass) {
    case FileBasicInformation:
        fast_done(op, basic && basic(file, call->wait, buffer, iosb, op->volume->below));
        break;
    case FileStandardInformation:
        fast_done(op, standard && standard(file, call->wait, buffer, iosb, op->volume->below));
        break;
    default:
        fast_done(op, network && network(file, call->wait, buffer, iosb, op->volume->below));
    }
}

static BOOLEAN query(PFLT_VOLUME volume, PFILE_OBJECT file, BOOLEAN wait,
                     FILE_INFORMATION_CLASS what, PVOID buffer, ULONG bytes, PIO_STATUS_BLOCK iosb)
{
    struct fast_call call = {.wait = wait};
    struct flt_op *op = fast_begin(volume, file, IRP_MJ_QUERY_INFORMATION, 0, &call);
    if (op == NULL)
        return FALSE;
    flt_iopb(op)->Parameters.QueryFileInformation.Length = bytes;
    flt_iopb(op)->Parameters.QueryFileInformation.FileInformationClass = what;
    flt_iopb(op)->Parameters.QueryFileInformation.InfoBuffer = buffer;
    return fast_run(op, bottom_query, iosb);
}

static BOOLEAN NTAPI fast_basic(PFILE_OBJECT file, BOOLEAN wait, PFILE_BASIC_INFORMATION buffer,
                                PIO_STATUS_BLOCK iosb, PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_QUERY_BASIC_INFO below = FAST_BELOW(volume, FastIoQueryBasicInfo);
    if (!fast_is_handled(volume, IRP_MJ_QUERY_INFORMATION))
        return below && below(file, wait, buffer, iosb, volume->below);
    return query(volume, file, wait, FileBasicInformation, buffer, sizeof(*buffer), iosb);
}

static BOOLEAN NTAPI fast_standard(PFILE_OBJECT file, BOOLEAN wait,
                                   PFILE_STANDARD_INFORMATION buffer, PIO_STATUS_BLOCK iosb,
                                   PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_QUERY_STANDARD_INFO below = FAST_BELOW(volume, FastIoQueryStandardInfo);
    if (!fast_is_handled(volume, IRP_MJ_QUERY_INFORMATION))
        return below && below(file, wait, buffer, iosb, volume->below);
    return query(volume, file, wait, FileStandardInformation, buffer, sizeof(*buffer), iosb);
}

static BOOLEAN NTAPI fast_network(PFILE_OBJECT file, BOOLEAN wait,
                                  PFILE_NETWORK_OPEN_INFORMATION buffer, PIO_STATUS_BLOCK iosb,
                                  PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_QUERY_NETWORK_OPEN_INFO below = FAST_BELOW(volume, FastIoQueryNetworkOpenInfo);
    if (!fast_is_handled(volume, IRP_MJ_QUERY_INFORMATION))
        return below && below(file, wait, buffer, iosb, volume->below);
    return query(volume, file, wait, FileNetworkOpenInformation, buffer, sizeof(*buffer), iosb);
}

/* Opening and asking at once: the IRP is of a create that is not carried out. */
static void bottom_query_open(struct flt_op *op)
{
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    PIRP irp = iopb->Parameters.NetworkQueryOpen.Irp;
    PFAST_IO_QUERY_OPEN below = FAST_BELOW(op->volume, FastIoQueryOpen);
    fast_done(op, below && below(irp, iopb->Parameters.NetworkQueryOpen.NetworkInformation,
                                 op->volume->below));
    if (flt_data(op)->IoStatus.Status != STATUS_FLT_DISALLOW_FAST_IO)
        flt_data(op)->IoStatus = irp->IoStatus;
}

static BOOLEAN NTAPI fast_query_open(PIRP irp, PFILE_NETWORK_OPEN_INFORMATION buffer,
                                     PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_QUERY_OPEN below = FAST_BELOW(volume, FastIoQueryOpen);
    struct fast_call call = {.wait = TRUE};
    if (!fast_is_handled(volume, IRP_MJ_NETWORK_QUERY_OPEN))
        return below && below(irp, buffer, volume->below);
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    struct flt_op *op = fast_begin(volume, file, IRP_MJ_NETWORK_QUERY_OPEN, 0, &call);
    if (op == NULL)
        return FALSE;
    flt_iopb(op)->Parameters.NetworkQueryOpen.Irp = irp;
    flt_iopb(op)->Parameters.NetworkQueryOpen.NetworkInformation = buffer;
    return fast_run(op, bottom_query_open, &irp->IoStatus);
}

/* Controls */

static void bottom_control(struct flt_op *op)
{
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    const struct fast_call *call = op->finish_context;
    PFAST_IO_DEVICE_CONTROL below = FAST_BELOW(op->volume, FastIoDeviceControl);
    fast_done(op, below && below(iopb->TargetFileObject, call->wait,
                                 iopb->Parameters.DeviceIoControl.FastIo.InputBuffer,
                                 iopb->Parameters.DeviceIoControl.FastIo.InputBufferLength,
                                 iopb->Parameters.DeviceIoControl.FastIo.OutputBuffer,
                                 iopb->Parameters.DeviceIoControl.FastIo.OutputBufferLength,
                                 iopb->Parameters.DeviceIoControl.FastIo.IoControlCode,
                                 &flt_data(op)->IoStatus, op->volume->below));
}

static BOOLEAN NTAPI fast_control(PFILE_OBJECT file, BOOLEAN wait, PVOID input, ULONG input_bytes,
                                  PVOID output, ULONG output_bytes, ULONG code,
                                  PIO_STATUS_BLOCK iosb, PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_DEVICE_CONTROL below = FAST_BELOW(volume, FastIoDeviceControl);
    struct fast_call call = {.wait = wait};
    if (!fast_is_handled(volume, IRP_MJ_DEVICE_CONTROL))
        return below && below(file, wait, input, input_bytes, output, output_bytes, code, iosb,
                              volume->below);
    struct flt_op *op = fast_begin(volume, file, IRP_MJ_DEVICE_CONTROL, 0, &call);
    if (op == NULL)
        return FALSE;
    flt_iopb(op)->Parameters.DeviceIoControl.FastIo.InputBuffer = input;
    flt_iopb(op)->Parameters.DeviceIoControl.FastIo.InputBufferLength = input_bytes;
    flt_iopb(op)->Parameters.DeviceIoControl.FastIo.OutputBuffer = output;
    flt_iopb(op)->Parameters.DeviceIoControl.FastIo.OutputBufferLength = output_bytes;
    flt_iopb(op)->Parameters.DeviceIoControl.FastIo.IoControlCode = code;
    return fast_run(op, bottom_control, iosb);
}

PFAST_IO_DISPATCH flt_fast_io_table(void)
{
    static FAST_IO_DISPATCH table = {.SizeOfFastIoDispatch = sizeof(table),
                                     .FastIoCheckIfPossible = fast_check,
                                     .FastIoRead = fast_read,
                                     .FastIoWrite = fast_write,
                                     .FastIoQueryBasicInfo = fast_basic,
                                     .FastIoQueryStandardInfo = fast_standard,
                                     .FastIoQueryNetworkOpenInfo = fast_network,
                                     .FastIoQueryOpen = fast_query_open,
                                     .FastIoDeviceControl = fast_control};
    flt_fast_io_locks(&table);
    flt_fast_io_mdls(&table);
    return &table;
}
