/*
 * What a handle must have been granted for a request of user mode: the I/O manager's tables, which
 * stand here since requests come by file object. A flush asks for nothing: fsync on Linux does not.
 *
 * WDK: ZwQueryInformationFile, ZwSetInformationFile, ... "DesiredAccess".
 */
#include "fsp.h"

static ACCESS_MASK of_query(int class)
{
    switch (class) {
    case FileBasicInformation:
    case FileAllInformation:
    case FileNetworkOpenInformation:
    case FileAttributeTagInformation:
    case FileStatInformation:
    case FileStatLxInformation:
    case FileIdInformation:
        return FILE_READ_ATTRIBUTES;
    default:
        return 0;
    }
}

static ACCESS_MASK of_set(int class)
{
    switch (class) {
    case FileBasicInformation:
        return FILE_WRITE_ATTRIBUTES;
    case FileRenameInformation:
    case FileRenameInformationEx:
    case FileDispositionInformation:
    case FileDispositionInformationEx:
        return DELETE;
    case FileEndOfFileInformation:
    case FileAllocationInformation:
    case FileValidDataLengthInformation:
        return FILE_WRITE_DATA;
    default:
        return 0;
    }
}

NTSTATUS fs_check_granted(PIRP irp, PIO_STACK_LOCATION stack)
{
    const struct open *open = open_of(stack->FileObject);
    ACCESS_MASK all = 0, any = 0;
    if (open == NULL || irp->Flags & IRP_PAGING_IO)
        return STATUS_SUCCESS;
    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        any = FILE_READ_DATA | FILE_EXECUTE;
        break;
    case IRP_MJ_WRITE:
        any = FILE_WRITE_DATA | FILE_APPEND_DATA;
        break;
    case IRP_MJ_QUERY_INFORMATION:
        all = of_query((int)stack->Parameters.QueryFile.FileInformationClass);
        break;
    case IRP_MJ_SET_INFORMATION:
        all = of_set((int)stack->Parameters.SetFile.FileInformationClass);
        break;
    case IRP_MJ_QUERY_EA:
        all = FILE_READ_EA;
        break;
    case IRP_MJ_SET_EA:
        all = FILE_WRITE_EA;
        break;
    case IRP_MJ_DIRECTORY_CONTROL:
        all = FILE_LIST_DIRECTORY;
        break;
    case IRP_MJ_LOCK_CONTROL:
        any = FILE_READ_DATA | FILE_WRITE_DATA;
        break;
    case IRP_MJ_QUERY_SECURITY:
        all = READ_CONTROL;
        break;
    case IRP_MJ_SET_SECURITY:
        any = WRITE_DAC | WRITE_OWNER | ACCESS_SYSTEM_SECURITY;
        break;
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        all = stack->Parameters.FileSystemControl.FsControlCode >> 14 &
              (FILE_READ_DATA | FILE_WRITE_DATA);
        break;
    default:
        break;
    }
    if ((open->granted & all) != all || (any != 0 && !(open->granted & any)))
        return STATUS_ACCESS_DENIED;
    return STATUS_SUCCESS;
}
