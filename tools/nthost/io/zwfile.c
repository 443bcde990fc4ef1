/*
 * Files and devices by handle, for drivers: system services of kernel mode.
 *
 * A file opened with FILE_SYNCHRONOUS_IO_* has a current position and serves one request at a time;
 * on another one a request that the device pends returns STATUS_PENDING, and tells its end by the
 * caller's status block and event, or the file's own event where there is none. APCs of a caller
 * are not delivered; a request with one is refused.
 *
 * WDK: ZwCreateFile, ZwReadFile, ZwWriteFile, ZwDeviceIoControlFile, ZwQueryInformationFile.
 */
#include "file.h"
#include <nthost/export.h>
#include <stdlib.h>
#include <string.h>

#define USE_FILE_POINTER (-2) /* FILE_USE_FILE_POINTER_POSITION with HighPart -1 */

/* A request under way; it ends in finish(). */
struct zw_request {
    PFILE_OBJECT file; /* referenced */
    PKEVENT event;     /* the caller's, referenced; NULL: the file's */
    PIO_STATUS_BLOCK iosb;
    bool moves; /* the current position */
};

static void finish(struct irp_packet *packet, PIRP irp)
{
    struct zw_request *request = packet->finish_context;
    PFILE_OBJECT file = request->file;
    irp_finish_buffers(packet, irp);
    *request->iosb = irp->IoStatus;
    if (request->moves && NT_SUCCESS(irp->IoStatus.Status))
        file->CurrentByteOffset.QuadPart += (LONGLONG)irp->IoStatus.Information;
    file->FinalStatus = irp->IoStatus.Status;
    irp_free(irp, packet->freed_by);
    KeSetEvent(&file->Event, IO_NO_INCREMENT, FALSE);
    if (request->event != NULL) {
        KeSetEvent(request->event, IO_NO_INCREMENT, FALSE);
        ob_dereference(request->event);
    }
    ob_dereference(file);
    free(request);
}

static bool is_synchronous(const FILE_OBJECT *file)
{
    return (file->Flags & FO_SYNCHRONOUS_IO) != 0;
}

struct submission {
    struct zw_request *request;
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
};

/* The file, locked if it is synchronous, and an IRP for its device. */
static NTSTATUS begin(HANDLE handle, HANDLE event, PIO_APC_ROUTINE apc, PIO_STATUS_BLOCK iosb,
                      struct submission *s)
{
    if (apc != NULL)
        return STATUS_NOT_SUPPORTED;
    NTSTATUS status = ob_lookup_handle(handle, &ob_file_type, (void **)&s->file, NULL);
    if (!NT_SUCCESS(status))
        return status;
    s->request = calloc(1, sizeof(*s->request));
    if (s->request == NULL)
        status = STATUS_INSUFFICIENT_RESOURCES;
    else if (event != NULL)
        status = ob_lookup_handle(event, &ob_event_type, (void **)&s->request->event, NULL);
    if (NT_SUCCESS(status) && is_synchronous(s->file))
        KeWaitForSingleObject(&s->file->Lock, Executive, KernelMode, FALSE, NULL);
    if (NT_SUCCESS(status) && file_request(s->file, KernelMode, &s->device, &s->packet) == NULL) {
        if (is_synchronous(s->file))
            KeSetEvent(&s->file->Lock, IO_NO_INCREMENT, FALSE);
        if (s->request->event != NULL)
            ob_dereference(s->request->event);
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!NT_SUCCESS(status)) {
        free(s->request);
        ob_dereference(s->file);
        return status;
    }
    s->request->file = s->file;
    s->request->iosb = iosb;
    return STATUS_SUCCESS;
}

/* `built`: whether the buffers could be made. */
static NTSTATUS submit(struct submission *s, NTSTATUS built)
{
    PFILE_OBJECT file = s->file;
    PIO_STATUS_BLOCK iosb = s->request->iosb;
    bool wait = is_synchronous(file);
    NTSTATUS status = built;
    if (!NT_SUCCESS(built)) {
        irp_free(s->packet->irp, NULL);
        if (s->request->event != NULL)
            ob_dereference(s->request->event);
        free(s->request);
    } else {
        KeClearEvent(&file->Event);
        if (s->request->event != NULL)
            KeClearEvent(s->request->event);
        ob_reference(file); /* the request's */
        s->packet->finish = finish;
        s->packet->finish_context = s->request;
        status = irp_call(s->device, s->packet->irp, NULL);
        if (wait) {
            KeWaitForSingleObject(&file->Event, Executive, KernelMode, FALSE, NULL);
            status = iosb->Status;
        }
    }
    if (wait)
        KeSetEvent(&file->Lock, IO_NO_INCREMENT, FALSE);
    ob_dereference(file);
    return status;
}

static NTSTATUS create(PHANDLE handle, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                       PIO_STATUS_BLOCK iosb, ULONG file_attributes, ULONG share, ULONG disposition,
                       ULONG options)
{
    struct file_open open = {.mode = attributes->Attributes & OBJ_FORCE_ACCESS_CHECK ? UserMode
                                                                                     : KernelMode,
                             .access = access,
                             .attributes = file_attributes,
                             .share = share,
                             .disposition = disposition,
                             .options = options};
    NTSTATUS status = STATUS_SUCCESS;
    if (disposition > FILE_MAXIMUM_DISPOSITION || attributes->ObjectName == NULL ||
        (options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT) &&
         !(access & (SYNCHRONIZE | GENERIC_ALL | GENERIC_READ | GENERIC_WRITE | GENERIC_EXECUTE |
                     MAXIMUM_ALLOWED))))
        return STATUS_INVALID_PARAMETER;
    open.path = *attributes->ObjectName;
    if (attributes->RootDirectory != NULL)
        status =
            ob_lookup_handle(attributes->RootDirectory, &ob_file_type, (void **)&open.root, NULL);
    if (!NT_SUCCESS(status))
        return status;
    status = file_open_wait(&open);
    if (open.root != NULL)
        ob_dereference(open.root);
    if (NT_SUCCESS(status)) {
        NTSTATUS opened =
            ob_handle_open(ob_handles_for(attributes->Attributes), open.file, open.granted, handle);
        if (NT_SUCCESS(opened))
            open.file->Flags |= FO_HANDLE_CREATED;
        else
            status = opened;
        ob_dereference(open.file);
    }
    iosb->Status = status;
    iosb->Information = open.information;
    return status;
}

NTSTATUS NTAPI ZwCreateFile(PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
                            POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                            PLARGE_INTEGER AllocationSize, ULONG FileAttributes, ULONG ShareAccess,
                            ULONG CreateDisposition, ULONG CreateOptions, PVOID EaBuffer,
                            ULONG EaLength)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(AllocationSize);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (EaBuffer != NULL || EaLength != 0)
        return STATUS_EAS_NOT_SUPPORTED;
    return create(FileHandle, DesiredAccess, ObjectAttributes, IoStatusBlock, FileAttributes,
                  ShareAccess, CreateDisposition, CreateOptions);
}
NT_EXPORT(NTOSKRNL, ZwCreateFile);

NTSTATUS NTAPI ZwOpenFile(PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
                          POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                          ULONG ShareAccess, ULONG OpenOptions)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return create(FileHandle, DesiredAccess, ObjectAttributes, IoStatusBlock, 0, ShareAccess,
                  FILE_OPEN, OpenOptions);
}
NT_EXPORT(NTOSKRNL, ZwOpenFile);

static NTSTATUS transfer(HANDLE handle, HANDLE event, PIO_APC_ROUTINE apc, PIO_STATUS_BLOCK iosb,
                         void *buffer, ULONG length, PLARGE_INTEGER offset, UCHAR major)
{
    struct submission s;
    NTSTATUS status = begin(handle, event, apc, iosb, &s);
    if (!NT_SUCCESS(status))
        return status;
    LONGLONG at = offset ? offset->QuadPart : USE_FILE_POINTER;
    if (at == USE_FILE_POINTER) {
        at = s.file->CurrentByteOffset.QuadPart;
        s.request->moves = is_synchronous(s.file);
    } else if (is_synchronous(s.file) && at >= 0) {
        s.file->CurrentByteOffset.QuadPart = at;
        s.request->moves = true;
    }
    return submit(&s, irp_build_transfer(s.packet, s.device, major, buffer, length, at));
}

NTSTATUS NTAPI ZwReadFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
                          PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
                          ULONG Length, PLARGE_INTEGER ByteOffset, PULONG Key)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(ApcContext);
    UNREFERENCED_PARAMETER(Key);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return transfer(FileHandle, Event, ApcRoutine, IoStatusBlock, Buffer, Length, ByteOffset,
                    IRP_MJ_READ);
}
NT_EXPORT(NTOSKRNL, ZwReadFile);

NTSTATUS NTAPI ZwWriteFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
                           PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
                           ULONG Length, PLARGE_INTEGER ByteOffset, PULONG Key)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(ApcContext);
    UNREFERENCED_PARAMETER(Key);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return transfer(FileHandle, Event, ApcRoutine, IoStatusBlock, Buffer, Length, ByteOffset,
                    IRP_MJ_WRITE);
}
NT_EXPORT(NTOSKRNL, ZwWriteFile);

NTSTATUS NTAPI ZwDeviceIoControlFile(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
                                     PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock,
                                     ULONG IoControlCode, PVOID InputBuffer,
                                     ULONG InputBufferLength, PVOID OutputBuffer,
                                     ULONG OutputBufferLength)
{
    struct submission s;
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(ApcContext);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = begin(FileHandle, Event, ApcRoutine, IoStatusBlock, &s);
    if (!NT_SUCCESS(status))
        return status;
    return submit(&s, irp_build_ioctl(s.packet, IRP_MJ_DEVICE_CONTROL, IoControlCode, InputBuffer,
                                      InputBufferLength, OutputBuffer, OutputBufferLength));
}
NT_EXPORT(NTOSKRNL, ZwDeviceIoControlFile);

/* Always waits, whatever the file was opened for. */
static NTSTATUS submit_and_wait(HANDLE handle, PIO_STATUS_BLOCK iosb, UCHAR major, void *data,
                                ULONG bytes, FILE_INFORMATION_CLASS information_class)
{
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    NTSTATUS status = ob_lookup_handle(handle, &ob_file_type, (void **)&file, NULL);
    if (!NT_SUCCESS(status))
        return status;
    if (file_request(file, KernelMode, &device, &packet) == NULL) {
        ob_dereference(file);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (major == IRP_MJ_FLUSH_BUFFERS)
        IoGetNextIrpStackLocation(packet->irp)->MajorFunction = major;
    else
        status = irp_build_information(packet, major, data, bytes, information_class);
    if (NT_SUCCESS(status))
        status = irp_send_and_wait(device, packet, iosb);
    else
        irp_free(packet->irp, NULL);
    ob_dereference(file);
    return status;
}

NTSTATUS NTAPI ZwFlushBuffersFile(HANDLE FileHandle, PIO_STATUS_BLOCK IoStatusBlock)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return submit_and_wait(FileHandle, IoStatusBlock, IRP_MJ_FLUSH_BUFFERS, NULL, 0,
                           FileBasicInformation);
}
NT_EXPORT(NTOSKRNL, ZwFlushBuffersFile);

/* The position is the I/O manager's own. */
static NTSTATUS position(HANDLE handle, PFILE_POSITION_INFORMATION info, ULONG length, bool set,
                         PIO_STATUS_BLOCK iosb)
{
    PFILE_OBJECT file;
    if (length < sizeof(*info))
        return STATUS_INFO_LENGTH_MISMATCH;
    NTSTATUS status = ob_lookup_handle(handle, &ob_file_type, (void **)&file, NULL);
    if (!NT_SUCCESS(status))
        return status;
    if (set && info->CurrentByteOffset.QuadPart < 0)
        status = STATUS_INVALID_PARAMETER;
    else if (set)
        file->CurrentByteOffset = info->CurrentByteOffset;
    else
        info->CurrentByteOffset = file->CurrentByteOffset;
    ob_dereference(file);
    iosb->Status = status;
    iosb->Information = set ? 0 : sizeof(*info);
    return status;
}

NTSTATUS NTAPI ZwQueryInformationFile(HANDLE FileHandle, PIO_STATUS_BLOCK IoStatusBlock,
                                      PVOID FileInformation, ULONG Length,
                                      FILE_INFORMATION_CLASS FileInformationClass)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (FileInformationClass == FilePositionInformation)
        return position(FileHandle, FileInformation, Length, false, IoStatusBlock);
    return submit_and_wait(FileHandle, IoStatusBlock, IRP_MJ_QUERY_INFORMATION, FileInformation,
                           Length, FileInformationClass);
}
NT_EXPORT(NTOSKRNL, ZwQueryInformationFile);

NTSTATUS NTAPI ZwSetInformationFile(HANDLE FileHandle, PIO_STATUS_BLOCK IoStatusBlock,
                                    PVOID FileInformation, ULONG Length,
                                    FILE_INFORMATION_CLASS FileInformationClass)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (FileInformationClass == FilePositionInformation)
        return position(FileHandle, FileInformation, Length, true, IoStatusBlock);
    return submit_and_wait(FileHandle, IoStatusBlock, IRP_MJ_SET_INFORMATION, FileInformation,
                           Length, FileInformationClass);
}
NT_EXPORT(NTOSKRNL, ZwSetInformationFile);

NTSTATUS NTAPI ZwDeleteFile(POBJECT_ATTRIBUTES ObjectAttributes)
{
    IO_STATUS_BLOCK iosb;
    HANDLE handle;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = create(&handle, DELETE, ObjectAttributes, &iosb, 0,
                             FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
                             FILE_DELETE_ON_CLOSE);
    return NT_SUCCESS(status) ? ZwClose(handle) : status;
}
NT_EXPORT(NTOSKRNL, ZwDeleteFile);
