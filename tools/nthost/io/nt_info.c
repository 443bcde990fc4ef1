/* Information, names, directories, EAs, security, volumes; nthost/nt.h. */
#include "device.h"
#include "file.h"
#include "nt.h"
#include "ob.h"
#include <nthost/nt.h>
#include <stdlib.h>
#include <string.h>

/* A request whose data go through a system buffer. `prepare` fills in the stack location. */
struct buffered {
    PFILE_OBJECT file;
    UCHAR major, minor, flags;
    void *data;
    ULONG bytes;
    bool queries; /* the buffer is written */
};

static NTSTATUS begin(const struct buffered *b, PDEVICE_OBJECT *device, struct irp_packet **packet,
                      PIO_STACK_LOCATION *stack)
{
    PIRP irp = file_request(b->file, UserMode, device, packet);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    /* Any class will do: the caller sets the parameters of its own major function. */
    UCHAR major = b->queries ? IRP_MJ_QUERY_INFORMATION : IRP_MJ_SET_INFORMATION;
    NTSTATUS status =
        irp_build_information(*packet, major, b->data, b->bytes, FileBasicInformation);
    if (!NT_SUCCESS(status)) {
        irp_free(irp, NULL);
        return status;
    }
    *stack = IoGetNextIrpStackLocation(irp);
    (*stack)->MajorFunction = b->major;
    (*stack)->MinorFunction = b->minor;
    (*stack)->Flags = b->flags;
    memset(&(*stack)->Parameters, 0, sizeof((*stack)->Parameters));
    return STATUS_SUCCESS;
}

static NTSTATUS finish(PDEVICE_OBJECT device, struct irp_packet *packet, ULONG_PTR *information)
{
    IO_STATUS_BLOCK iosb;
    NTSTATUS status = irp_send_and_wait(device, packet, &iosb);
    if (information != NULL)
        *information = iosb.Information;
    return status;
}

/* Fast I/O of a synchronous file object. */
static bool query_fast(PFILE_OBJECT file, FILE_INFORMATION_CLASS class, void *data, ULONG bytes,
                       PIO_STATUS_BLOCK iosb)
{
    PDEVICE_OBJECT device = device_top(file->DeviceObject);
    PFAST_IO_DISPATCH dispatch =
        nt_fast_io(device, offsetof(FAST_IO_DISPATCH, FastIoQueryNetworkOpenInfo) + sizeof(void *));
    BOOLEAN done = FALSE;
    if (dispatch == NULL || !(file->Flags & FO_SYNCHRONOUS_IO))
        return false;
    struct vf_call call = vf_call_begin("fast I/O");
    if (class == FileBasicInformation && bytes >= sizeof(FILE_BASIC_INFORMATION) &&
        dispatch->FastIoQueryBasicInfo != NULL)
        done = dispatch->FastIoQueryBasicInfo(file, TRUE, data, iosb, device);
    else if (class == FileStandardInformation && bytes >= sizeof(FILE_STANDARD_INFORMATION) &&
             dispatch->FastIoQueryStandardInfo != NULL)
        done = dispatch->FastIoQueryStandardInfo(file, TRUE, data, iosb, device);
    else if (class == FileNetworkOpenInformation &&
             bytes >= sizeof(FILE_NETWORK_OPEN_INFORMATION) &&
             dispatch->FastIoQueryNetworkOpenInfo != NULL)
        done = dispatch->FastIoQueryNetworkOpenInfo(file, TRUE, data, iosb, device);
    vf_call_end(&call);
    return done;
}

NTSTATUS nt_query_information(PFILE_OBJECT file, FILE_INFORMATION_CLASS information_class,
                              void *data, ULONG bytes, ULONG_PTR *information)
{
    struct buffered b = {.file = file,
                         .major = IRP_MJ_QUERY_INFORMATION,
                         .data = data,
                         .bytes = bytes,
                         .queries = true};
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    PIO_STACK_LOCATION stack;
    IO_STATUS_BLOCK iosb = {.Information = 0};
    if (information_class == FilePositionInformation) {
        if (bytes < sizeof(LARGE_INTEGER))
            return STATUS_INFO_LENGTH_MISMATCH;
        memcpy(data, &file->CurrentByteOffset, sizeof(LARGE_INTEGER));
        if (information != NULL)
            *information = sizeof(LARGE_INTEGER);
        return STATUS_SUCCESS;
    }
    if (query_fast(file, information_class, data, bytes, &iosb)) {
        if (information != NULL)
            *information = iosb.Information;
        return iosb.Status;
    }
    NTSTATUS status = begin(&b, &device, &packet, &stack);
    if (!NT_SUCCESS(status))
        return status;
    stack->Parameters.QueryFile.Length = bytes;
    stack->Parameters.QueryFile.FileInformationClass = information_class;
    return finish(device, packet, information);
}

/* Setting */

static bool is_rename(int class)
{
    return class == FileRenameInformation || class == FileRenameInformationEx ||
           class == FileRenameInformationBypassAccessCheck ||
           class == FileRenameInformationExBypassAccessCheck || class == FileLinkInformation ||
           class == FileLinkInformationEx || class == FileLinkInformationBypassAccessCheck ||
           class == FileLinkInformationExBypassAccessCheck;
}

/* The folder of a new name, if it is not the file's own; referenced, with a handle. */
static NTSTATUS open_target(PFILE_OBJECT file, const FILE_RENAME_INFORMATION *info, ULONG bytes,
                            PFILE_OBJECT *target)
{
    ULONG head = FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName);
    PFILE_OBJECT root = NULL;
    *target = NULL;
    if (bytes < head || info->FileNameLength > bytes - head || info->FileNameLength > MAXUSHORT - 1)
        return STATUS_INVALID_PARAMETER;
    UNICODE_STRING name = {(USHORT)info->FileNameLength, (USHORT)info->FileNameLength,
                           (PWCH)(ULONG_PTR)info->FileName};
    bool full = name.Length != 0 && name.Buffer[0] == '\\';
    if (info->RootDirectory == NULL && !full)
        return STATUS_SUCCESS; /* a simple name */
    if (name.Length != 0 && name.Buffer[0] == ':')
        return STATUS_SUCCESS;
    NTSTATUS status = STATUS_SUCCESS;
    if (info->RootDirectory != NULL)
        status = ob_lookup_handle(info->RootDirectory, &ob_file_type, (void **)&root, NULL);
    if (!NT_SUCCESS(status))
        return status;
    struct nt_create create = {.root = root,
                               .name = &name,
                               .access = FILE_WRITE_DATA,
                               .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                               .disposition = FILE_OPEN,
                               .options = FILE_OPEN_FOR_BACKUP_INTENT | FILE_DIRECTORY_FILE,
                               .case_sensitive = (file->Flags & FO_OPENED_CASE_SENSITIVE) != 0,
                               .target_directory = true};
    create.options &= ~(ULONG)FILE_DIRECTORY_FILE; /* the name itself may be a file's */
    status = nt_create(&create);
    if (root != NULL)
        ob_dereference(root);
    if (!NT_SUCCESS(status))
        return status;
    if (create.file->DeviceObject != file->DeviceObject) {
        nt_close(create.file);
        return STATUS_NOT_SAME_DEVICE;
    }
    *target = create.file;
    return STATUS_SUCCESS;
}

NTSTATUS nt_set_information(PFILE_OBJECT file, FILE_INFORMATION_CLASS information_class,
                            const void *data, ULONG bytes)
{
    struct buffered b = {.file = file,
                         .major = IRP_MJ_SET_INFORMATION,
                         .data = (void *)(ULONG_PTR)data,
                         .bytes = bytes};
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    PIO_STACK_LOCATION stack;
    PFILE_OBJECT target = NULL;
    NTSTATUS status = STATUS_SUCCESS;
    if (information_class == FilePositionInformation) {
        if (bytes < sizeof(LARGE_INTEGER))
            return STATUS_INFO_LENGTH_MISMATCH;
        if (((const LARGE_INTEGER *)data)->QuadPart < 0)
            return STATUS_INVALID_PARAMETER;
        file->CurrentByteOffset = *(const LARGE_INTEGER *)data;
        return STATUS_SUCCESS;
    }
    if (is_rename((int)information_class))
        status = open_target(file, data, bytes, &target);
    if (NT_SUCCESS(status))
        status = begin(&b, &device, &packet, &stack);
    if (NT_SUCCESS(status)) {
        stack->Parameters.SetFile.Length = bytes;
        stack->Parameters.SetFile.FileInformationClass = information_class;
        stack->Parameters.SetFile.FileObject = target;
        if (is_rename((int)information_class))
            stack->Parameters.SetFile.ReplaceIfExists = *(const UCHAR *)data & 1;
        status = finish(device, packet, NULL);
    }
    if (target != NULL)
        nt_close(target);
    return status;
}

/* Names */

static NTSTATUS set_name(PFILE_OBJECT file, PFILE_OBJECT root, PCUNICODE_STRING name, ULONG flags,
                         FILE_INFORMATION_CLASS class)
{
    ULONG head = FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName);
    ULONG bytes = head + name->Length;
    HANDLE handle = NULL;
    NTSTATUS status = STATUS_SUCCESS;
    if (bytes < sizeof(FILE_RENAME_INFORMATION))
        bytes = sizeof(FILE_RENAME_INFORMATION);
    FILE_RENAME_INFORMATION *info = calloc(1, bytes);
    if (info == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (root != NULL)
        status = ob_handle_open(ob_kernel_handles, root, FILE_ALL_ACCESS, &handle);
    if (NT_SUCCESS(status)) {
        info->Flags = flags;
        info->RootDirectory = handle;
        info->FileNameLength = name->Length;
        memcpy(info->FileName, name->Buffer, name->Length);
        status = nt_set_information(file, class, info, bytes);
    }
    if (handle != NULL)
        ob_handle_close(ob_kernel_handles, handle);
    free(info);
    return status;
}

NTSTATUS nt_rename(PFILE_OBJECT file, PFILE_OBJECT root, PCUNICODE_STRING name, ULONG flags)
{
    return set_name(file, root, name, flags, FileRenameInformationEx);
}

NTSTATUS nt_link(PFILE_OBJECT file, PFILE_OBJECT root, PCUNICODE_STRING name, ULONG flags)
{
    return set_name(file, root, name, flags, FileLinkInformationEx);
}

NTSTATUS nt_dispose(PFILE_OBJECT file, ULONG flags)
{
    FILE_DISPOSITION_INFORMATION_EX info = {.Flags = flags};
    return nt_set_information(file, FileDispositionInformationEx, &info, sizeof(info));
}

NTSTATUS nt_set_end_of_file(PFILE_OBJECT file, LONGLONG size)
{
    FILE_END_OF_FILE_INFORMATION info = {.EndOfFile.QuadPart = size};
    return nt_set_information(file, FileEndOfFileInformation, &info, sizeof(info));
}

NTSTATUS nt_query_directory(PFILE_OBJECT file, FILE_INFORMATION_CLASS information_class, void *data,
                            ULONG bytes, PCUNICODE_STRING pattern, UCHAR flags,
                            ULONG_PTR *information)
{
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    UNICODE_STRING copy = pattern ? *pattern : (UNICODE_STRING){0};
    PIRP irp = file_request(file, UserMode, &device, &packet);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    stack->MajorFunction = IRP_MJ_DIRECTORY_CONTROL;
    stack->MinorFunction = IRP_MN_QUERY_DIRECTORY;
    stack->Flags = flags;
    stack->Parameters.QueryDirectory.Length = bytes;
    stack->Parameters.QueryDirectory.FileName = pattern ? &copy : NULL;
    stack->Parameters.QueryDirectory.FileInformationClass = information_class;
    irp->UserBuffer = data; /* neither buffered nor direct, as NTFS has it */
    return finish(device, packet, information);
}

NTSTATUS nt_query_ea(PFILE_OBJECT file, void *data, ULONG bytes, const void *list, ULONG list_bytes,
                     UCHAR flags, ULONG_PTR *information)
{
    struct buffered b = {.file = file,
                         .major = IRP_MJ_QUERY_EA,
                         .flags = flags,
                         .data = data,
                         .bytes = bytes,
                         .queries = true};
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    PIO_STACK_LOCATION stack;
    NTSTATUS status = begin(&b, &device, &packet, &stack);
    if (!NT_SUCCESS(status))
        return status;
    stack->Parameters.QueryEa.Length = bytes;
    stack->Parameters.QueryEa.EaList = (PVOID)(ULONG_PTR)list;
    stack->Parameters.QueryEa.EaListLength = list_bytes;
    return finish(device, packet, information);
}

NTSTATUS nt_set_ea(PFILE_OBJECT file, const void *data, ULONG bytes)
{
    struct buffered b = {
        .file = file, .major = IRP_MJ_SET_EA, .data = (void *)(ULONG_PTR)data, .bytes = bytes};
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    PIO_STACK_LOCATION stack;
    NTSTATUS status = begin(&b, &device, &packet, &stack);
    if (!NT_SUCCESS(status))
        return status;
    stack->Parameters.SetEa.Length = bytes;
    return finish(device, packet, NULL);
}

NTSTATUS nt_query_security(PFILE_OBJECT file, SECURITY_INFORMATION which, void *data, ULONG bytes,
                           ULONG *needed)
{
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    ULONG_PTR information;
    PIRP irp = file_request(file, UserMode, &device, &packet);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    stack->MajorFunction = IRP_MJ_QUERY_SECURITY;
    stack->Parameters.QuerySecurity.SecurityInformation = which;
    stack->Parameters.QuerySecurity.Length = bytes;
    irp->UserBuffer = data;
    NTSTATUS status = finish(device, packet, &information);
    if (needed != NULL)
        *needed = (ULONG)information;
    return status == STATUS_BUFFER_OVERFLOW ? STATUS_BUFFER_TOO_SMALL : status;
}

NTSTATUS nt_set_security(PFILE_OBJECT file, SECURITY_INFORMATION which, PSECURITY_DESCRIPTOR data)
{
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    PIRP irp = file_request(file, UserMode, &device, &packet);
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
    stack->MajorFunction = IRP_MJ_SET_SECURITY;
    stack->Parameters.SetSecurity.SecurityInformation = which;
    stack->Parameters.SetSecurity.SecurityDescriptor = data;
    return finish(device, packet, NULL);
}

NTSTATUS nt_query_volume(PFILE_OBJECT file, FS_INFORMATION_CLASS information_class, void *data,
                         ULONG bytes, ULONG_PTR *information)
{
    struct buffered b = {.file = file,
                         .major = IRP_MJ_QUERY_VOLUME_INFORMATION,
                         .data = data,
                         .bytes = bytes,
                         .queries = true};
    PDEVICE_OBJECT device;
    struct irp_packet *packet;
    PIO_STACK_LOCATION stack;
    NTSTATUS status = begin(&b, &device, &packet, &stack);
    if (!NT_SUCCESS(status))
        return status;
    stack->Parameters.QueryVolume.Length = bytes;
    stack->Parameters.QueryVolume.FsInformationClass = information_class;
    return finish(device, packet, information);
}
