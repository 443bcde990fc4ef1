/*
 * A filter's own queries and changes of information, folders, EAs, security, volumes. They enter
 * below its instance.
 *
 * WDK: FltQueryInformationFile, FltSetInformationFile, FltQueryDirectoryFile, FltQueryEaFile,
 * FltQuerySecurityObject, FltQueryVolumeInformation.
 */
#include "generate.h"

static struct flt_op *begin(PFLT_INSTANCE instance, PFILE_OBJECT file, UCHAR major, ULONG flags)
{
    struct flt_op *op = flt_generate(instance->volume, instance, file);
    if (op == NULL)
        return NULL;
    flt_iopb(op)->MajorFunction = major;
    flt_iopb(op)->IrpFlags = IRP_SYNCHRONOUS_API | flags;
    return op;
}

static NTSTATUS end(struct flt_op *op, PULONG returned)
{
    NTSTATUS status = flt_generate_wait(op, false);
    if (returned != NULL)
        *returned = (ULONG)flt_data(op)->IoStatus.Information;
    flt_op_release(op);
    return status;
}

NTSTATUS NTAPI FltQueryInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                       PVOID FileInformation, ULONG Length,
                                       FILE_INFORMATION_CLASS FileInformationClass,
                                       PULONG LengthReturned)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    struct flt_op *op = vf_fault(VfFaultFile) ? NULL
                                              : begin(Instance, FileObject,
                                                      IRP_MJ_QUERY_INFORMATION, IRP_BUFFERED_IO);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    flt_iopb(op)->Parameters.QueryFileInformation.Length = Length;
    flt_iopb(op)->Parameters.QueryFileInformation.FileInformationClass = FileInformationClass;
    flt_iopb(op)->Parameters.QueryFileInformation.InfoBuffer = FileInformation;
    return end(op, LengthReturned);
}
NT_EXPORT(FLTMGR, FltQueryInformationFile);

NTSTATUS NTAPI FltSetInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                     PVOID FileInformation, ULONG Length,
                                     FILE_INFORMATION_CLASS FileInformationClass)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    struct flt_op *op = vf_fault(VfFaultFile)
                            ? NULL
                            : begin(Instance, FileObject, IRP_MJ_SET_INFORMATION, IRP_BUFFERED_IO);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    iopb->Parameters.SetFileInformation.Length = Length;
    iopb->Parameters.SetFileInformation.FileInformationClass = FileInformationClass;
    iopb->Parameters.SetFileInformation.InfoBuffer = FileInformation;
    if (Length != 0 && (FileInformationClass == FileRenameInformation ||
                        FileInformationClass == FileLinkInformation))
        iopb->Parameters.SetFileInformation.ReplaceIfExists = *(BOOLEAN *)FileInformation;
    if (flt_is_rename(FileInformationClass))
        flt_names_before(op);
    return end(op, NULL);
}
NT_EXPORT(FLTMGR, FltSetInformationFile);

static NTSTATUS query_directory(PFLT_INSTANCE instance, PFILE_OBJECT file, PVOID data, ULONG length,
                                FILE_INFORMATION_CLASS what, UCHAR flags, PUNICODE_STRING name,
                                PULONG returned)
{
    struct flt_op *op = begin(instance, file, IRP_MJ_DIRECTORY_CONTROL, 0);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    iopb->MinorFunction = IRP_MN_QUERY_DIRECTORY;
    iopb->OperationFlags = flags;
    iopb->Parameters.DirectoryControl.QueryDirectory.Length = length;
    iopb->Parameters.DirectoryControl.QueryDirectory.FileName = name;
    iopb->Parameters.DirectoryControl.QueryDirectory.FileInformationClass = what;
    iopb->Parameters.DirectoryControl.QueryDirectory.DirectoryBuffer = data;
    return end(op, returned);
}

NTSTATUS NTAPI FltQueryDirectoryFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                     PVOID FileInformation, ULONG Length,
                                     FILE_INFORMATION_CLASS FileInformationClass,
                                     BOOLEAN ReturnSingleEntry, PUNICODE_STRING FileName,
                                     BOOLEAN RestartScan, PULONG LengthReturned)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    UCHAR flags = (UCHAR)((ReturnSingleEntry ? SL_RETURN_SINGLE_ENTRY : 0) |
                          (RestartScan ? SL_RESTART_SCAN : 0));
    return query_directory(Instance, FileObject, FileInformation, Length, FileInformationClass,
                           flags, FileName, LengthReturned);
}
NT_EXPORT(FLTMGR, FltQueryDirectoryFile);

NTSTATUS NTAPI FltQueryDirectoryFileEx(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                       PVOID FileInformation, ULONG Length,
                                       FILE_INFORMATION_CLASS FileInformationClass,
                                       ULONG QueryFlags, PUNICODE_STRING FileName,
                                       PULONG LengthReturned)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (QueryFlags & ~(ULONG)SL_QUERY_DIRECTORY_MASK)
        return STATUS_INVALID_PARAMETER;
    return query_directory(Instance, FileObject, FileInformation, Length, FileInformationClass,
                           (UCHAR)QueryFlags, FileName, LengthReturned);
}
NT_EXPORT(FLTMGR, FltQueryDirectoryFileEx);

NTSTATUS NTAPI FltQueryEaFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID ReturnedEaData,
                              ULONG Length, BOOLEAN ReturnSingleEntry, PVOID EaList,
                              ULONG EaListLength, PULONG EaIndex, BOOLEAN RestartScan,
                              PULONG LengthReturned)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    struct flt_op *op =
        vf_fault(VfFaultFile) ? NULL : begin(Instance, FileObject, IRP_MJ_QUERY_EA, 0);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    iopb->OperationFlags =
        (UCHAR)((ReturnSingleEntry ? SL_RETURN_SINGLE_ENTRY : 0) |
                (RestartScan ? SL_RESTART_SCAN : 0) | (EaIndex ? SL_INDEX_SPECIFIED : 0));
    iopb->Parameters.QueryEa.Length = Length;
    iopb->Parameters.QueryEa.EaList = EaList;
    iopb->Parameters.QueryEa.EaListLength = EaListLength;
    iopb->Parameters.QueryEa.EaIndex = EaIndex ? *EaIndex : 0;
    iopb->Parameters.QueryEa.EaBuffer = ReturnedEaData;
    return end(op, LengthReturned);
}
NT_EXPORT(FLTMGR, FltQueryEaFile);

NTSTATUS NTAPI FltSetEaFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, PVOID EaBuffer,
                            ULONG Length)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    struct flt_op *op =
        vf_fault(VfFaultFile) ? NULL : begin(Instance, FileObject, IRP_MJ_SET_EA, 0);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    flt_iopb(op)->Parameters.SetEa.Length = Length;
    flt_iopb(op)->Parameters.SetEa.EaBuffer = EaBuffer;
    return end(op, NULL);
}
NT_EXPORT(FLTMGR, FltSetEaFile);

NTSTATUS NTAPI FltQuerySecurityObject(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                      SECURITY_INFORMATION SecurityInformation,
                                      PSECURITY_DESCRIPTOR SecurityDescriptor, ULONG Length,
                                      PULONG LengthNeeded)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    struct flt_op *op =
        vf_fault(VfFaultFile) ? NULL : begin(Instance, FileObject, IRP_MJ_QUERY_SECURITY, 0);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    flt_iopb(op)->Parameters.QuerySecurity.SecurityInformation = SecurityInformation;
    flt_iopb(op)->Parameters.QuerySecurity.Length = Length;
    flt_iopb(op)->Parameters.QuerySecurity.SecurityBuffer = SecurityDescriptor;
    NTSTATUS status = end(op, LengthNeeded);
    return status == STATUS_BUFFER_OVERFLOW ? STATUS_BUFFER_TOO_SMALL : status;
}
NT_EXPORT(FLTMGR, FltQuerySecurityObject);

NTSTATUS NTAPI FltSetSecurityObject(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                    SECURITY_INFORMATION SecurityInformation,
                                    PSECURITY_DESCRIPTOR SecurityDescriptor)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    struct flt_op *op =
        vf_fault(VfFaultFile) ? NULL : begin(Instance, FileObject, IRP_MJ_SET_SECURITY, 0);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    flt_iopb(op)->Parameters.SetSecurity.SecurityInformation = SecurityInformation;
    flt_iopb(op)->Parameters.SetSecurity.SecurityDescriptor = SecurityDescriptor;
    return end(op, NULL);
}
NT_EXPORT(FLTMGR, FltSetSecurityObject);

/* Volumes */

static NTSTATUS volume_information(PFLT_INSTANCE instance, PFILE_OBJECT file, UCHAR major,
                                   PVOID data, ULONG length, FS_INFORMATION_CLASS what,
                                   PULONG returned)
{
    struct flt_op *op = begin(instance, file, major, IRP_BUFFERED_IO);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    flt_iopb(op)->Parameters.QueryVolumeInformation.Length = length;
    flt_iopb(op)->Parameters.QueryVolumeInformation.FsInformationClass = what;
    flt_iopb(op)->Parameters.QueryVolumeInformation.VolumeBuffer = data;
    return end(op, returned);
}

NTSTATUS NTAPI FltQueryVolumeInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                             PVOID FsInformation, ULONG Length,
                                             FS_INFORMATION_CLASS FsInformationClass,
                                             PULONG LengthReturned)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return volume_information(Instance, FileObject, IRP_MJ_QUERY_VOLUME_INFORMATION, FsInformation,
                              Length, FsInformationClass, LengthReturned);
}
NT_EXPORT(FLTMGR, FltQueryVolumeInformationFile);

/* Without a file: the volume itself is opened. */
static NTSTATUS of_volume(PFLT_INSTANCE instance, UCHAR major, PIO_STATUS_BLOCK iosb, PVOID data,
                          ULONG length, FS_INFORMATION_CLASS what)
{
    static UNICODE_STRING root = RTL_CONSTANT_STRING(L"\\");
    WCHAR text[FLT_MAX_NAME];
    UNICODE_STRING path = {0, sizeof(text), text};
    ULONG returned = 0;
    RtlAppendUnicodeStringToString(&path, &instance->volume->name);
    RtlAppendUnicodeStringToString(&path, &root);
    struct file_open open = {.path = path,
                             .mode = KernelMode,
                             .access = FILE_READ_ATTRIBUTES | SYNCHRONIZE,
                             .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                             .disposition = FILE_OPEN};
    NTSTATUS status = flt_open(instance, &open);
    if (NT_SUCCESS(status)) {
        status = volume_information(instance, open.file, major, data, length, what, &returned);
        flt_close_file(&open);
    }
    iosb->Status = status;
    iosb->Information = returned;
    return status;
}

NTSTATUS NTAPI FltQueryVolumeInformation(PFLT_INSTANCE Instance, PIO_STATUS_BLOCK Iosb,
                                         PVOID FsInformation, ULONG Length,
                                         FS_INFORMATION_CLASS FsInformationClass)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return of_volume(Instance, IRP_MJ_QUERY_VOLUME_INFORMATION, Iosb, FsInformation, Length,
                     FsInformationClass);
}
NT_EXPORT(FLTMGR, FltQueryVolumeInformation);

NTSTATUS NTAPI FltSetVolumeInformation(PFLT_INSTANCE Instance, PIO_STATUS_BLOCK Iosb,
                                       PVOID FsInformation, ULONG Length,
                                       FS_INFORMATION_CLASS FsInformationClass)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return of_volume(Instance, IRP_MJ_SET_VOLUME_INFORMATION, Iosb, FsInformation, Length,
                     FsInformationClass);
}
NT_EXPORT(FLTMGR, FltSetVolumeInformation);

NTSTATUS NTAPI FltIsDirectory(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance, PBOOLEAN IsDirectory)
{
    FILE_STANDARD_INFORMATION standard;
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = flt_bottom_query(Instance->volume, FileObject, FileStandardInformation,
                                       &standard, sizeof(standard), NULL);
    if (NT_SUCCESS(status))
        *IsDirectory = standard.Directory;
    return status;
}
NT_EXPORT(FLTMGR, FltIsDirectory);
