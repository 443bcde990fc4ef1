/*
 * Opening and closing; see file.h.
 *
 * Access is checked here, against the device's security descriptor, if the path ends at the device
 * or the device has FILE_DEVICE_SECURE_OPEN; else what is below the device is its driver's to
 * guard.
 *
 * WDK: DispatchCreate, DispatchCleanup, DispatchClose, "Controlling Device Namespace Access".
 */
#include "file.h"
#include "device.h"
#include "security.h"
#include <nthost/export.h>
#include <string.h>

/* A request without buffers, to the end. Failure to allocate one is not an option here. */
static void send_simple(PFILE_OBJECT file, UCHAR major)
{
    struct irp_packet *packet;
    PDEVICE_OBJECT device;
    IO_STATUS_BLOCK iosb;
    PIRP irp = file_request(file, KernelMode, &device, &packet);
    if (irp == NULL)
        KeBugCheckEx(0xf4, major, (ULONG_PTR)file, 0, 0);
    IoGetNextIrpStackLocation(irp)->MajorFunction = major;
    if (major == IRP_MJ_CLOSE)
        irp->Flags |= IRP_CLOSE_OPERATION;
    irp->Flags |= IRP_SYNCHRONOUS_API;
    irp_send_and_wait(device, packet, &iosb);
}

static void file_close(void *object, ULONG left_in_process, ULONG left)
{
    PFILE_OBJECT file = object;
    UNREFERENCED_PARAMETER(left_in_process);
    if (left != 0 || !(file->Flags & FO_FILE_OPEN))
        return;
    send_simple(file, IRP_MJ_CLEANUP);
    file->Flags |= FO_CLEANUP_COMPLETE;
}

static void file_destroy(void *object)
{
    PFILE_OBJECT file = object;
    if (file->Flags & FO_FILE_OPEN)
        send_simple(file, IRP_MJ_CLOSE);
    if (file->FileObjectExtension != NULL)
        ((struct file_extension *)file->FileObjectExtension)->destroy(file);
    RtlFreeUnicodeString(&file->FileName);
    if (file->RelatedFileObject != NULL)
        ob_dereference(file->RelatedFileObject);
    device_end_open(file->DeviceObject);
}

const struct ob_type ob_file_type = {.name = "File", .destroy = file_destroy, .close = file_close};
OB_EXPORT_TYPE(IoFileObjectType, ob_file_type);

PIRP file_request(PFILE_OBJECT file, KPROCESSOR_MODE mode, PDEVICE_OBJECT *device,
                  struct irp_packet **packet)
{
    *device = device_top(file->DeviceObject);
    PIRP irp = irp_allocate((*device)->StackSize, packet);
    if (irp == NULL)
        return NULL;
    irp->RequestorMode = mode;
    irp->Tail.Overlay.OriginalFileObject = file;
    IoGetNextIrpStackLocation(irp)->FileObject = file;
    return irp;
}

/* The device that a path leads to, referenced, and what of the path is below it. */
static NTSTATUS find_device(struct file_open *open, PDEVICE_OBJECT *device, UNICODE_STRING *rest)
{
    void *object;
    NTSTATUS status;
    if (open->root != NULL) {
        *device = open->root->DeviceObject;
        ob_reference(*device);
        status = ob_copy_string(rest, open->path.Buffer, open->path.Length / sizeof(WCHAR));
        if (!NT_SUCCESS(status))
            ob_dereference(*device);
        return status;
    }
    status = ob_lookup(&open->path, &object, rest);
    if (!NT_SUCCESS(status))
        return status;
    if (ob_type_of(object) != &ob_device_type) {
        RtlFreeUnicodeString(rest);
        ob_dereference(object);
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    *device = object;
    return STATUS_SUCCESS;
}

static NTSTATUS check_access(struct file_open *open, PDEVICE_OBJECT device,
                             const UNICODE_STRING *rest)
{
    PSECURITY_DESCRIPTOR descriptor;
    bool at_device = open->root == NULL && rest->Length == 0;
    if (open->mode == KernelMode ||
        (!at_device && !(device->Characteristics & FILE_DEVICE_SECURE_OPEN))) {
        open->granted = security_map(open->access, &security_file_mapping);
        if (open->granted & MAXIMUM_ALLOWED)
            open->granted = (open->granted & ~(ACCESS_MASK)MAXIMUM_ALLOWED) | FILE_ALL_ACCESS;
        return STATUS_SUCCESS;
    }
    device_lock();
    descriptor = device->SecurityDescriptor;
    NTSTATUS status = security_check(descriptor, process_current()->token, open->access,
                                     &security_file_mapping, &open->granted);
    device_unlock();
    return status;
}

static ULONG file_flags(ULONG options)
{
    ULONG flags = 0;
    if (options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT))
        flags |= FO_SYNCHRONOUS_IO;
    if (options & FILE_SYNCHRONOUS_IO_ALERT)
        flags |= FO_ALERTABLE_IO;
    if (options & FILE_NO_INTERMEDIATE_BUFFERING)
        flags |= FO_NO_INTERMEDIATE_BUFFERING;
    if (options & FILE_WRITE_THROUGH)
        flags |= FO_WRITE_THROUGH;
    if (options & FILE_SEQUENTIAL_ONLY)
        flags |= FO_SEQUENTIAL_ONLY;
    if (options & FILE_RANDOM_ACCESS)
        flags |= FO_RANDOM_ACCESS;
    return flags;
}

/* Takes `rest` over; the device has been counted as open. */
static PFILE_OBJECT make_file(struct file_open *open, PDEVICE_OBJECT device, UNICODE_STRING *rest)
{
    PFILE_OBJECT file = ob_create(&ob_file_type, sizeof(*file));
    if (file == NULL)
        return NULL;
    file->Type = IO_TYPE_FILE;
    file->Size = sizeof(*file);
    file->DeviceObject = device;
    file->FileName = *rest;
    file->Flags = file_flags(open->options);
    file->ReadAccess = (open->granted & FILE_READ_DATA) != 0;
    file->WriteAccess = (open->granted & (FILE_WRITE_DATA | FILE_APPEND_DATA)) != 0;
    file->DeleteAccess = (open->granted & DELETE) != 0;
    if (open->root != NULL) {
        file->RelatedFileObject = open->root;
        ob_reference(open->root);
    }
    KeInitializeEvent(&file->Lock, SynchronizationEvent, TRUE);
    KeInitializeEvent(&file->Event, NotificationEvent, FALSE);
    KeInitializeSpinLock(&file->IrpListLock);
    InitializeListHead(&file->IrpList);
    return file;
}

void file_open_conclude(struct file_open *open, struct irp_packet *packet)
{
    open->status = packet->irp->IoStatus.Status;
    open->information = packet->irp->IoStatus.Information;
    irp_free(packet->irp, packet->freed_by);
    if (NT_SUCCESS(open->status)) {
        open->file->Flags |= FO_FILE_OPEN;
    } else {
        ob_dereference(open->file);
        open->file = NULL;
    }
}

static NTSTATUS find_and_make(struct file_open *open)
{
    PDEVICE_OBJECT device;
    UNICODE_STRING rest;
    NTSTATUS status = find_device(open, &device, &rest);
    if (!NT_SUCCESS(status))
        return status;
    status = check_access(open, device, &rest);
    if (NT_SUCCESS(status))
        status = device_begin_open(device);
    ob_dereference(device); /* the open has its own */
    if (NT_SUCCESS(status)) {
        open->file = make_file(open, device, &rest);
        if (open->file != NULL)
            return STATUS_SUCCESS;
        device_end_open(device);
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlFreeUnicodeString(&rest);
    return status;
}

NTSTATUS file_open_prepare(struct file_open *open, PDEVICE_OBJECT *device,
                           struct irp_packet **packet)
{
    NTSTATUS status = find_and_make(open);
    if (!NT_SUCCESS(status))
        return status;
    if (open->made != NULL)
        status = open->made(open);
    if (NT_SUCCESS(status) && file_request(open->file, open->mode, device, packet) == NULL)
        status = STATUS_INSUFFICIENT_RESOURCES;
    if (!NT_SUCCESS(status)) {
        ob_dereference(open->file);
        return status;
    }
    PIRP irp = (*packet)->irp;
    memset(&open->access_state, 0, sizeof(open->access_state));
    open->access_state.OriginalDesiredAccess = open->access;
    open->access_state.PreviouslyGrantedAccess = open->granted;
    SeCaptureSubjectContext(&open->access_state.SubjectSecurityContext);
    open->security = (IO_SECURITY_CONTEXT){.AccessState = &open->access_state,
                                           .DesiredAccess = open->granted,
                                           .FullCreateOptions = open->options};
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    stack->MajorFunction = IRP_MJ_CREATE;
    stack->Parameters.Create.SecurityContext = &open->security;
    stack->Parameters.Create.Options = open->disposition << 24 | (open->options & 0xffffff);
    stack->Parameters.Create.FileAttributes = (USHORT)open->attributes;
    stack->Parameters.Create.ShareAccess = (USHORT)open->share;
    stack->Parameters.Create.EaLength = open->ea_bytes;
    stack->Flags = open->stack_flags;
    irp->AssociatedIrp.SystemBuffer = (PVOID)(ULONG_PTR)open->ea;
    irp->Overlay.AllocationSize.QuadPart = open->allocation;
    open->access_state.SecurityDescriptor = open->descriptor;
    irp->Flags |= IRP_CREATE_OPERATION | IRP_SYNCHRONOUS_API;
    return STATUS_SUCCESS;
}

struct open_waiter {
    KEVENT event;
    struct file_open *open;
};

static void finish_open(struct irp_packet *packet, PIRP irp)
{
    struct open_waiter *waiter = packet->finish_context;
    UNREFERENCED_PARAMETER(irp);
    file_open_conclude(waiter->open, packet);
    KeSetEvent(&waiter->event, IO_NO_INCREMENT, FALSE);
}

NTSTATUS file_open_wait(struct file_open *open)
{
    struct open_waiter waiter = {.open = open};
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    NTSTATUS status = file_open_prepare(open, &device, &packet);
    if (!NT_SUCCESS(status))
        return status;
    KeInitializeEvent(&waiter.event, NotificationEvent, FALSE);
    packet->finish = finish_open;
    packet->finish_context = &waiter;
    irp_call(device, packet->irp, NULL);
    KeWaitForSingleObject(&waiter.event, Executive, KernelMode, FALSE, NULL);
    return open->status;
}

/* Exports */

NTSTATUS NTAPI IoGetDeviceObjectPointer(PUNICODE_STRING ObjectName, ACCESS_MASK DesiredAccess,
                                        PFILE_OBJECT *FileObject, PDEVICE_OBJECT *DeviceObject)
{
    HANDLE handle;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct file_open open = {.path = *ObjectName,
                             .mode = KernelMode,
                             .access = DesiredAccess,
                             .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                             .disposition = FILE_OPEN,
                             .options = FILE_NON_DIRECTORY_FILE};
    NTSTATUS status = file_open_wait(&open);
    if (!NT_SUCCESS(status))
        return status;
    /* The handle comes and goes: its close sends IRP_MJ_CLEANUP, as on Windows. */
    status = ob_handle_open(ob_kernel_handles, open.file, open.granted, &handle);
    if (!NT_SUCCESS(status)) {
        ob_dereference(open.file);
        return status;
    }
    ob_handle_close(ob_kernel_handles, handle);
    *FileObject = open.file;
    *DeviceObject = device_top(open.file->DeviceObject);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, IoGetDeviceObjectPointer);
