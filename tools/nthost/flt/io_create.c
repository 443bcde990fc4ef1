/*
 * Files that filters open: their operations are known to the instances below only.
 *
 * WDK: FltCreateFile, FltCreateFileEx, FltCreateFileEx2, FltClose, FltOpenVolume.
 */
#include "generate.h"
#include <nthost/object.h>

struct create {
    PHANDLE handle;
    PFILE_OBJECT *file;
    POBJECT_ATTRIBUTES attributes;
    PIO_STATUS_BLOCK iosb;
    struct file_open open;
};

/* Both the handle and, if it was asked for, the file object are the caller's. */
static NTSTATUS hand_out(struct create *c)
{
    struct file_open *open = &c->open;
    NTSTATUS status = ob_handle_open(ob_handles_for(c->attributes->Attributes), open->file,
                                     open->granted, c->handle);
    if (!NT_SUCCESS(status)) {
        flt_close_file(open);
        return status;
    }
    open->file->Flags |= FO_HANDLE_CREATED;
    if (c->file != NULL)
        *c->file = open->file;
    else
        ob_dereference(open->file);
    return STATUS_SUCCESS;
}

static NTSTATUS create(PFLT_INSTANCE instance, struct create *c, ULONG flags)
{
    POBJECT_ATTRIBUTES attributes = c->attributes;
    NTSTATUS status = STATUS_SUCCESS;
    *c->handle = NULL;
    if (c->file != NULL)
        *c->file = NULL;
    if (attributes->ObjectName == NULL || c->open.disposition > FILE_MAXIMUM_DISPOSITION)
        return STATUS_INVALID_PARAMETER;
    c->open.path = *attributes->ObjectName;
    c->open.mode = flags & IO_FORCE_ACCESS_CHECK || attributes->Attributes & OBJ_FORCE_ACCESS_CHECK
                       ? UserMode
                       : KernelMode;
    if (attributes->RootDirectory != NULL)
        status = ob_lookup_handle(attributes->RootDirectory, &ob_file_type, (void **)&c->open.root,
                                  NULL);
    if (!NT_SUCCESS(status))
        return status;
    status = flt_open(instance, &c->open);
    if (c->open.root != NULL)
        ob_dereference(c->open.root);
    ULONG_PTR information = c->open.information;
    if (NT_SUCCESS(status))
        status = hand_out(c);
    c->iosb->Status = status;
    c->iosb->Information = information;
    return status;
}

static NTSTATUS create_file(PFLT_FILTER filter, PFLT_INSTANCE instance, struct create *c,
                            PLARGE_INTEGER allocation, PVOID ea, ULONG ea_bytes, ULONG flags)
{
    flt_check(filter, FLT_TYPE_FILTER, "FltCreateFile");
    if (instance != NULL)
        flt_check(instance, FLT_TYPE_INSTANCE, "FltCreateFile");
    c->open.ea = ea;
    c->open.ea_bytes = ea ? ea_bytes : 0;
    c->open.allocation = allocation ? allocation->QuadPart : 0;
    c->open.descriptor = c->attributes->SecurityDescriptor;
    if (!(c->attributes->Attributes & OBJ_CASE_INSENSITIVE))
        c->open.stack_flags |= SL_CASE_SENSITIVE;
    return create(instance, c, flags);
}

NTSTATUS NTAPI FltCreateFileEx2(PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle,
                                PFILE_OBJECT *FileObject, ACCESS_MASK DesiredAccess,
                                POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                                PLARGE_INTEGER AllocationSize, ULONG FileAttributes,
                                ULONG ShareAccess, ULONG CreateDisposition, ULONG CreateOptions,
                                PVOID EaBuffer, ULONG EaLength, ULONG Flags,
                                PIO_DRIVER_CREATE_CONTEXT DriverContext)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(DriverContext);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct create c = {.handle = FileHandle,
                       .file = FileObject,
                       .attributes = ObjectAttributes,
                       .iosb = IoStatusBlock,
                       .open = {.access = DesiredAccess,
                                .attributes = FileAttributes,
                                .share = ShareAccess,
                                .disposition = CreateDisposition,
                                .options = CreateOptions}};
    return create_file(Filter, Instance, &c, AllocationSize, EaBuffer, EaLength, Flags);
}
NT_EXPORT(FLTMGR, FltCreateFileEx2);

NTSTATUS NTAPI FltCreateFileEx(PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle,
                               PFILE_OBJECT *FileObject, ACCESS_MASK DesiredAccess,
                               POBJECT_ATTRIBUTES ObjectAttributes, PIO_STATUS_BLOCK IoStatusBlock,
                               PLARGE_INTEGER AllocationSize, ULONG FileAttributes,
                               ULONG ShareAccess, ULONG CreateDisposition, ULONG CreateOptions,
                               PVOID EaBuffer, ULONG EaLength, ULONG Flags)
{
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return FltCreateFileEx2(Filter, Instance, FileHandle, FileObject, DesiredAccess,
                            ObjectAttributes, IoStatusBlock, AllocationSize, FileAttributes,
                            ShareAccess, CreateDisposition, CreateOptions, EaBuffer, EaLength,
                            Flags, NULL);
}
NT_EXPORT(FLTMGR, FltCreateFileEx);

NTSTATUS NTAPI FltCreateFile(PFLT_FILTER Filter, PFLT_INSTANCE Instance, PHANDLE FileHandle,
                             ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
                             PIO_STATUS_BLOCK IoStatusBlock, PLARGE_INTEGER AllocationSize,
                             ULONG FileAttributes, ULONG ShareAccess, ULONG CreateDisposition,
                             ULONG CreateOptions, PVOID EaBuffer, ULONG EaLength, ULONG Flags)
{
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return FltCreateFileEx2(Filter, Instance, FileHandle, NULL, DesiredAccess, ObjectAttributes,
                            IoStatusBlock, AllocationSize, FileAttributes, ShareAccess,
                            CreateDisposition, CreateOptions, EaBuffer, EaLength, Flags, NULL);
}
NT_EXPORT(FLTMGR, FltCreateFile);

NTSTATUS NTAPI FltClose(HANDLE FileHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return ZwClose(FileHandle);
}
NT_EXPORT(FLTMGR, FltClose);

NTSTATUS NTAPI FltOpenVolume(PFLT_INSTANCE Instance, PHANDLE VolumeHandle,
                             PFILE_OBJECT *VolumeFileObject)
{
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    InitializeObjectAttributes(&attributes, &Instance->volume->name,
                               OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    struct create c = {.handle = VolumeHandle,
                       .file = VolumeFileObject,
                       .attributes = &attributes,
                       .iosb = &iosb,
                       .open = {.access = FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE,
                                .share = FILE_SHARE_READ | FILE_SHARE_WRITE,
                                .disposition = FILE_OPEN,
                                .options = FILE_SYNCHRONOUS_IO_NONALERT}};
    return create(Instance, &c, 0);
}
NT_EXPORT(FLTMGR, FltOpenVolume);
