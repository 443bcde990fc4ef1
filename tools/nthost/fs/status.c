/* errno -> NTSTATUS, as NTFS would say it; nthost/fs.h. */
#include <nthost/fs.h>
#include <errno.h>

NTSTATUS fs_status_of(int error)
{
    switch (error) {
    case 0:
        return STATUS_SUCCESS;
    case ENOENT:
        return STATUS_OBJECT_NAME_NOT_FOUND;
    case EEXIST:
        return STATUS_OBJECT_NAME_COLLISION;
    case ENOTDIR:
        return STATUS_OBJECT_PATH_NOT_FOUND;
    case EISDIR:
        return STATUS_FILE_IS_A_DIRECTORY;
    case ENOTEMPTY:
        return STATUS_DIRECTORY_NOT_EMPTY;
    case ENOSPC:
    case EDQUOT:
        return STATUS_DISK_FULL;
    case EFBIG:
        return STATUS_FILE_TOO_LARGE;
    case EROFS:
        return STATUS_MEDIA_WRITE_PROTECTED;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EBADF:
    case ETXTBSY:
        return STATUS_ACCESS_DENIED;
    case EXDEV:
        return STATUS_NOT_SAME_DEVICE;
    case EMLINK:
        return STATUS_TOO_MANY_LINKS;
    case ENAMETOOLONG:
        return STATUS_NAME_TOO_LONG;
    case EINVAL:
        return STATUS_INVALID_PARAMETER;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return STATUS_INSUFFICIENT_RESOURCES;
    case EOPNOTSUPP:
    case ENOSYS:
        return STATUS_NOT_SUPPORTED;
    case ENODATA:
        return STATUS_NO_EAS_ON_FILE;
    case E2BIG:
    case ERANGE:
        return STATUS_EA_TOO_LARGE;
    case EIO:
        return STATUS_IO_DEVICE_ERROR;
    case EINTR:
        return STATUS_CANCELLED;
    case ESTALE:
        return STATUS_FILE_INVALID;
    default:
        return STATUS_UNEXPECTED_IO_ERROR;
    }
}
