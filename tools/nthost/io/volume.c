/*
 * Drive C: and \SystemRoot, a folder of the state directory as drivers see it: enough of a file
 * system for their own log and state files, through the same IRPs as any device.
 *
 *     \??\C:\ntswift\x   <state_dir>/files/ntswift/x
 *     \SystemRoot\x      <state_dir>/files/Windows/x
 *
 * Names compare without case. Paths are followed one component at a time from the folder's own
 * descriptor, without symbolic links, so that nothing outside can be reached. FLUSH makes a file's
 * data and its name durable.
 */
#include "volume.h"
#include "device.h"
#include <nthost/fs.h>
#include <nthost/io.h>
#include <nthost/utf.h>
#include <nthost/verifier.h>
#include <ntifs.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_TO_END (-1)

/* Of a file, however often it is open: FsContext, with what filters hang on it. */
struct volume_fcb {
    FSRTL_ADVANCED_FCB_HEADER header;
    FAST_MUTEX mutex;
    PVOID file_contexts;
    SECTION_OBJECT_POINTERS sections;
    dev_t device;
    ino_t inode;
    unsigned references;
    struct volume_fcb *next;
};

/* Of a file object: FsContext2. */
struct volume_file {
    struct volume_fcb *fcb;
    int fd, parent;
    char name[256]; /* in its folder; "" for the root */
    bool directory, delete_on_close, append, name_is_new;
    dev_t device;
    ino_t inode;
    bool reads, writes, deletes;
    ULONG share;
    struct volume_file *next;
};

static int root_fd = -1;
static PDRIVER_OBJECT volume_driver;
static struct volume_file *open_files;
static struct volume_fcb *fcbs;
static pthread_mutex_t files_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Paths */

/* One component as a Linux name; false if Windows would not have it. */
static bool component_name(const WCHAR *text, unsigned chars, char out[256])
{
    for (unsigned i = 0; i < chars; i++)
        if ((uint16_t)text[i] < 32 || (text[i] < 128 && strchr("/:*?\"<>|", (char)text[i])))
            return false;
    return chars != 0 && utf8_copy(out, 256, text, chars) && strcmp(out, ".") != 0 &&
           strcmp(out, "..") != 0;
}

/* Replaces `name` by what it is called in the folder, if there is one of that name but for case. */
static void find_spelling(int folder, char name[256])
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    unsigned wanted_chars, chars;
    WCHAR *wanted = utf16_from_utf8(name, strlen(name), &wanted_chars);
    for (struct dirent *entry; wanted != NULL && (entry = readdir(dir)) != NULL;) {
        WCHAR *other = utf16_from_utf8(entry->d_name, strlen(entry->d_name), &chars);
        bool same = other && utf16_compare(wanted, wanted_chars, other, chars) == 0;
        free(other);
        if (same) {
            snprintf(name, 256, "%s", entry->d_name);
            break;
        }
    }
    free(wanted);
    closedir(dir);
}

/* Follows all but the last component from `folder`; gives the last one's folder and name. */
static NTSTATUS resolve(int folder, const UNICODE_STRING *path, int *parent, char name[256])
{
    const WCHAR *at = path->Buffer, *end = at + path->Length / sizeof(WCHAR);
    int here = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    name[0] = 0;
    if (here < 0)
        return STATUS_INSUFFICIENT_RESOURCES;
    while (at < end && *at == '\\')
        at++;
    while (at < end) {
        const WCHAR *start = at;
        if (name[0] != 0) {
            int next = openat(here, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            int error = errno;
            close(here);
            here = next;
            if (here < 0)
                return error == ENOENT ? STATUS_OBJECT_PATH_NOT_FOUND : fs_status_of(error);
        }
        while (at < end && *at != '\\')
            at++;
        if (!component_name(start, (unsigned)(at - start), name)) {
            close(here);
            return STATUS_OBJECT_NAME_INVALID;
        }
        find_spelling(here, name);
        if (at < end)
            at++;
    }
    *parent = here;
    return STATUS_SUCCESS;
}

/* Control blocks */

static struct volume_fcb *create_fcb(dev_t device, ino_t inode)
{
    struct volume_fcb *fcb = calloc(1, sizeof(*fcb));
    if (fcb == NULL)
        return NULL;
    fcb->header.NodeByteSize = sizeof(*fcb);
    fcb->device = device;
    fcb->inode = inode;
    ExInitializeFastMutex(&fcb->mutex);
    FsRtlSetupAdvancedHeaderEx(&fcb->header, &fcb->mutex, &fcb->file_contexts);
    return fcb;
}

/* `fresh` is one of the same file that nobody knows yet. */
static struct volume_fcb *reference_fcb(struct volume_fcb *fresh)
{
    pthread_mutex_lock(&files_mutex);
    struct volume_fcb *fcb = fcbs;
    while (fcb != NULL && (fcb->device != fresh->device || fcb->inode != fresh->inode))
        fcb = fcb->next;
    if (fcb == NULL) {
        fcb = fresh;
        fcb->next = fcbs;
        fcbs = fcb;
    }
    fcb->references++;
    pthread_mutex_unlock(&files_mutex);
    if (fcb != fresh)
        free(fresh);
    return fcb;
}

static void dereference_fcb(struct volume_fcb *fcb)
{
    pthread_mutex_lock(&files_mutex);
    bool last = --fcb->references == 0;
    struct volume_fcb **link = &fcbs;
    while (*link != fcb)
        link = &(*link)->next;
    if (last)
        *link = fcb->next;
    pthread_mutex_unlock(&files_mutex);
    if (!last)
        return;
    FsRtlTeardownPerStreamContexts(&fcb->header);
    FsRtlTeardownPerFileContexts(&fcb->file_contexts);
    free(fcb);
}

/* Sharing: what others have open must allow what this one wants, and the other way round. */

static NTSTATUS check_share(struct volume_file *file)
{
    NTSTATUS status = STATUS_SUCCESS;
    pthread_mutex_lock(&files_mutex);
    for (const struct volume_file *other = open_files; other != NULL; other = other->next) {
        if (other->device != file->device || other->inode != file->inode)
            continue;
        if ((file->reads && !(other->share & FILE_SHARE_READ)) ||
            (file->writes && !(other->share & FILE_SHARE_WRITE)) ||
            (file->deletes && !(other->share & FILE_SHARE_DELETE)) ||
            (other->reads && !(file->share & FILE_SHARE_READ)) ||
            (other->writes && !(file->share & FILE_SHARE_WRITE)) ||
            (other->deletes && !(file->share & FILE_SHARE_DELETE)))
            status = STATUS_SHARING_VIOLATION;
    }
    if (NT_SUCCESS(status)) {
        file->next = open_files;
        open_files = file;
    }
    pthread_mutex_unlock(&files_mutex);
    return status;
}

static void unshare_file(struct volume_file *file)
{
    pthread_mutex_lock(&files_mutex);
    struct volume_file **link = &open_files;
    while (*link != NULL && *link != file)
        link = &(*link)->next;
    if (*link != NULL)
        *link = file->next;
    pthread_mutex_unlock(&files_mutex);
}

static void free_file(struct volume_file *file)
{
    if (file->fcb != NULL)
        dereference_fcb(file->fcb);
    if (file->fd >= 0)
        close(file->fd);
    if (file->parent >= 0)
        close(file->parent);
    free(file);
}

/* Opening */

static NTSTATUS open_directory(struct volume_file *file, ULONG disposition, ULONG_PTR *information)
{
    *information = FILE_OPENED;
    if (file->name[0] != 0 && (disposition == FILE_CREATE || disposition == FILE_OPEN_IF)) {
        if (mkdirat(file->parent, file->name, 0700) == 0) {
            *information = FILE_CREATED;
            file->name_is_new = true;
        } else if (errno != EEXIST || disposition == FILE_CREATE) {
            return fs_status_of(errno);
        }
    } else if (disposition != FILE_OPEN && disposition != FILE_OPEN_IF) {
        return STATUS_INVALID_PARAMETER;
    }
    file->fd = openat(file->parent, file->name[0] ? file->name : ".",
                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (file->fd < 0)
        return errno == ENOTDIR ? STATUS_NOT_A_DIRECTORY : fs_status_of(errno);
    return STATUS_SUCCESS;
}

static NTSTATUS open_data(struct volume_file *file, ULONG disposition, bool *exists,
                          ULONG_PTR *information)
{
    bool may_create = disposition != FILE_OPEN && disposition != FILE_OVERWRITE;
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    if (may_create) {
        file->fd = openat(file->parent, file->name, flags | O_CREAT | O_EXCL, 0600);
        if (file->fd >= 0) {
            *exists = false;
            *information = FILE_CREATED;
            file->name_is_new = true;
            return STATUS_SUCCESS;
        }
        if (errno != EEXIST || disposition == FILE_CREATE)
            return fs_status_of(errno);
    }
    file->fd = openat(file->parent, file->name, flags);
    if (file->fd < 0)
        return fs_status_of(errno);
    *exists = true;
    *information = disposition == FILE_SUPERSEDE ? FILE_SUPERSEDED
                   : disposition == FILE_OVERWRITE || disposition == FILE_OVERWRITE_IF
                       ? FILE_OVERWRITTEN
                       : FILE_OPENED;
    return STATUS_SUCCESS;
}

static NTSTATUS open_file(PFILE_OBJECT object, const IO_STACK_LOCATION *stack,
                          struct volume_file *file, ULONG_PTR *information)
{
    ULONG options = stack->Parameters.Create.Options & 0xffffff;
    ULONG disposition = stack->Parameters.Create.Options >> 24;
    const struct volume_file *base =
        object->RelatedFileObject ? object->RelatedFileObject->FsContext2 : NULL;
    struct stat st;
    bool exists = true;
    NTSTATUS status =
        resolve(base ? base->fd : root_fd, &object->FileName, &file->parent, file->name);
    if (!NT_SUCCESS(status))
        return status;
    file->directory =
        file->name[0] == 0 ||
        (fstatat(file->parent, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode));
    if (file->directory && options & FILE_NON_DIRECTORY_FILE)
        return STATUS_FILE_IS_A_DIRECTORY;
    if (file->directory || options & FILE_DIRECTORY_FILE) {
        file->directory = true;
        status = open_directory(file, disposition, information);
    } else {
        status = open_data(file, disposition, &exists, information);
    }
    if (!NT_SUCCESS(status))
        return status;
    if (file->fd < 0 || fstat(file->fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return STATUS_ACCESS_DENIED;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    struct volume_fcb *fcb = create_fcb(st.st_dev, st.st_ino);
    if (fcb == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    file->fcb = reference_fcb(fcb);
    status = check_share(file);
    if (!NT_SUCCESS(status))
        return status;
    if (exists && (*information == FILE_OVERWRITTEN || *information == FILE_SUPERSEDED) &&
        ftruncate(file->fd, 0) != 0) {
        status = fs_status_of(errno);
        unshare_file(file);
    }
    return status;
}

static NTSTATUS volume_create(PIRP irp, const IO_STACK_LOCATION *stack)
{
    PFILE_OBJECT object = stack->FileObject;
    ACCESS_MASK access = stack->Parameters.Create.SecurityContext->DesiredAccess;
    struct volume_file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    file->fd = file->parent = -1;
    file->share = stack->Parameters.Create.ShareAccess;
    file->reads = (access & (FILE_READ_DATA | FILE_EXECUTE)) != 0;
    file->writes = (access & (FILE_WRITE_DATA | FILE_APPEND_DATA)) != 0;
    file->deletes = (access & DELETE) != 0;
    file->append = (access & (FILE_WRITE_DATA | FILE_APPEND_DATA)) == FILE_APPEND_DATA;
    file->delete_on_close = (stack->Parameters.Create.Options & FILE_DELETE_ON_CLOSE) != 0;
    NTSTATUS status = open_file(object, stack, file, &irp->IoStatus.Information);
    if (!NT_SUCCESS(status)) {
        irp->IoStatus.Information = 0;
        free_file(file);
        return status;
    }
    object->FsContext = file->fcb;
    object->FsContext2 = file;
    object->SectionObjectPointer = &file->fcb->sections;
    return STATUS_SUCCESS;
}

/* Data */

static NTSTATUS volume_read(PIRP irp, const IO_STACK_LOCATION *stack, struct volume_file *file)
{
    ULONG length = stack->Parameters.Read.Length, done = 0;
    LONGLONG offset = stack->Parameters.Read.ByteOffset.QuadPart;
    if (file->directory || offset < 0)
        return STATUS_INVALID_PARAMETER;
    while (done < length) {
        ssize_t n = pread(file->fd, (UCHAR *)irp->UserBuffer + done, length - done, offset + done);
        if (n < 0)
            return fs_status_of(errno);
        if (n == 0)
            break;
        done += (ULONG)n;
    }
    irp->IoStatus.Information = done;
    return done == 0 && length != 0 ? STATUS_END_OF_FILE : STATUS_SUCCESS;
}

static NTSTATUS volume_write(PIRP irp, const IO_STACK_LOCATION *stack, struct volume_file *file)
{
    ULONG length = stack->Parameters.Write.Length, done = 0;
    LONGLONG offset = stack->Parameters.Write.ByteOffset.QuadPart;
    struct stat st;
    if (file->directory)
        return STATUS_INVALID_PARAMETER;
    if (offset == WRITE_TO_END || file->append) {
        if (fstat(file->fd, &st) != 0)
            return fs_status_of(errno);
        offset = st.st_size;
    }
    if (offset < 0)
        return STATUS_INVALID_PARAMETER;
    while (done < length) {
        ssize_t n =
            pwrite(file->fd, (const UCHAR *)irp->UserBuffer + done, length - done, offset + done);
        if (n <= 0)
            return n == 0 ? STATUS_DISK_FULL : fs_status_of(errno);
        done += (ULONG)n;
    }
    if (stack->FileObject->Flags & FO_WRITE_THROUGH && fdatasync(file->fd) != 0)
        return fs_status_of(errno);
    irp->IoStatus.Information = done;
    return STATUS_SUCCESS;
}

static NTSTATUS volume_flush(struct volume_file *file)
{
    if (fsync(file->fd) != 0)
        return fs_status_of(errno);
    if (!file->name_is_new)
        return STATUS_SUCCESS;
    int folder = openat(file->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = folder >= 0 && fsync(folder) == 0;
    NTSTATUS status = done ? STATUS_SUCCESS : fs_status_of(errno);
    if (folder >= 0)
        close(folder);
    file->name_is_new = !done;
    return status;
}

/* Information */

static LONGLONG nt_time(const struct timespec *time)
{
    return (time->tv_sec + 11644473600ll) * 10000000 + time->tv_nsec / 100;
}

/* What the folder's descriptor and the file's say in /proc, as long as both have a name. */
static NTSTATUS volume_name(PIRP irp, const struct volume_file *file, ULONG room)
{
    PFILE_NAME_INFORMATION out = irp->AssociatedIrp.SystemBuffer;
    char link[64], root[4096], path[4096];
    const ULONG head = FIELD_OFFSET(FILE_NAME_INFORMATION, FileName);
    unsigned chars;
    if (room < sizeof(*out))
        return STATUS_INFO_LENGTH_MISMATCH;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", root_fd);
    ssize_t root_bytes = readlink(link, root, sizeof(root));
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
    ssize_t bytes = readlink(link, path, sizeof(path) - 1);
    if (root_bytes < 0 || bytes < root_bytes || memcmp(root, path, (size_t)root_bytes) != 0)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    path[bytes] = 0;
    const char *name = bytes == root_bytes ? "/" : path + root_bytes;
    WCHAR *wide = utf16_from_utf8(name, strlen(name), &chars);
    if (wide == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (unsigned i = 0; i < chars; i++)
        if (wide[i] == '/')
            wide[i] = '\\';
    ULONG whole = chars * (ULONG)sizeof(WCHAR), fits = room - head < whole ? room - head : whole;
    out->FileNameLength = whole;
    memcpy(out->FileName, wide, fits);
    free(wide);
    irp->IoStatus.Information = head + fits;
    return fits < whole ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

static NTSTATUS volume_query(PIRP irp, const IO_STACK_LOCATION *stack, struct volume_file *file)
{
    void *out = irp->AssociatedIrp.SystemBuffer;
    ULONG room = stack->Parameters.QueryFile.Length, bytes;
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return fs_status_of(errno);
    ULONG attributes = file->directory ? FILE_ATTRIBUTE_DIRECTORY : FILE_ATTRIBUTE_NORMAL;
    FILE_BASIC_INFORMATION basic = {.CreationTime.QuadPart = nt_time(&st.st_ctim),
                                    .LastAccessTime.QuadPart = nt_time(&st.st_atim),
                                    .LastWriteTime.QuadPart = nt_time(&st.st_mtim),
                                    .ChangeTime.QuadPart = nt_time(&st.st_ctim),
                                    .FileAttributes = attributes};
    FILE_STANDARD_INFORMATION standard = {.AllocationSize.QuadPart = st.st_blocks * 512,
                                          .EndOfFile.QuadPart = st.st_size,
                                          .NumberOfLinks = (ULONG)st.st_nlink,
                                          .DeletePending = file->delete_on_close,
                                          .Directory = file->directory};
    FILE_NETWORK_OPEN_INFORMATION network = {.CreationTime = basic.CreationTime,
                                             .LastAccessTime = basic.LastAccessTime,
                                             .LastWriteTime = basic.LastWriteTime,
                                             .ChangeTime = basic.ChangeTime,
                                             .AllocationSize = standard.AllocationSize,
                                             .EndOfFile = standard.EndOfFile,
                                             .FileAttributes = attributes};
    const void *info;
    switch (stack->Parameters.QueryFile.FileInformationClass) {
    case FileNameInformation:
    case FileNormalizedNameInformation:
        return volume_name(irp, file, room);
    case FileBasicInformation:
        info = &basic, bytes = sizeof(basic);
        break;
    case FileStandardInformation:
        info = &standard, bytes = sizeof(standard);
        break;
    case FileNetworkOpenInformation:
        info = &network, bytes = sizeof(network);
        break;
    default:
        return STATUS_INVALID_INFO_CLASS;
    }
    if (room < bytes)
        return STATUS_INFO_LENGTH_MISMATCH;
    memcpy(out, info, bytes);
    irp->IoStatus.Information = bytes;
    return STATUS_SUCCESS;
}

static NTSTATUS rename_file(struct volume_file *file, const FILE_RENAME_INFORMATION *info,
                            ULONG length)
{
    UNICODE_STRING target;
    char name[256] = "";
    int parent = -1;
    ULONG bytes = info->FileNameLength;
    if (length < FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName) ||
        bytes > length - FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName) || bytes > MAXUSHORT)
        return STATUS_INFO_LENGTH_MISMATCH;
    target = (UNICODE_STRING){(USHORT)bytes, (USHORT)bytes, (PWCH)(ULONG_PTR)info->FileName};
    /* A simple name stays in the folder, a full one names the volume first. */
    static const WCHAR drive[] = L"\\??\\C:";
    bool full = bytes > sizeof(drive) && utf16_compare(info->FileName, 6, drive, 6) == 0;
    if (full) {
        target.Buffer += 6;
        target.Length -= 6 * sizeof(WCHAR);
    }
    NTSTATUS status = resolve(full ? root_fd : file->parent, &target, &parent, name);
    if (!NT_SUCCESS(status))
        return status;
    if (parent < 0 || name[0] == 0)
        status = STATUS_OBJECT_NAME_INVALID;
    else if (info->ReplaceIfExists
                 ? renameat(file->parent, file->name, parent, name)
                 : renameat2(file->parent, file->name, parent, name, RENAME_NOREPLACE))
        status = fs_status_of(errno);
    if (!NT_SUCCESS(status)) {
        close(parent);
        return status;
    }
    close(file->parent);
    file->parent = parent;
    memcpy(file->name, name, sizeof(name));
    file->name_is_new = true;
    return STATUS_SUCCESS;
}

/* As NTFS does it: a file that is no sparse one has the room for what it is made longer by, or
 * stays as it was. */
static NTSTATUS set_size(int fd, off_t old, off_t size)
{
    if (size > old) {
        if (fallocate(fd, 0, old, size - old) == 0)
            return STATUS_SUCCESS;
        if (errno != EOPNOTSUPP) {
            NTSTATUS status = fs_status_of(errno);
            (void)!ftruncate(fd, old); /* what it may have got of it */
            return status;
        }
    }
    return ftruncate(fd, size) == 0 ? STATUS_SUCCESS : fs_status_of(errno);
}

static NTSTATUS volume_set(PIRP irp, const IO_STACK_LOCATION *stack, struct volume_file *file)
{
    const void *in = irp->AssociatedIrp.SystemBuffer;
    ULONG length = stack->Parameters.SetFile.Length;
    switch (stack->Parameters.SetFile.FileInformationClass) {
    case FileEndOfFileInformation:
    case FileAllocationInformation: {
        LARGE_INTEGER size;
        struct stat st;
        if (length < sizeof(size))
            return STATUS_INFO_LENGTH_MISMATCH;
        memcpy(&size, in, sizeof(size));
        if (size.QuadPart < 0 || file->directory || fstat(file->fd, &st) != 0)
            return STATUS_INVALID_PARAMETER;
        /* Allocating more does not make a file longer; allocating less makes it shorter. */
        if (stack->Parameters.SetFile.FileInformationClass == FileAllocationInformation &&
            size.QuadPart >= st.st_size)
            return STATUS_SUCCESS;
        return set_size(file->fd, st.st_size, size.QuadPart);
    }
    case FileDispositionInformation:
        if (length < sizeof(BOOLEAN))
            return STATUS_INFO_LENGTH_MISMATCH;
        file->delete_on_close = *(const BOOLEAN *)in != 0;
        stack->FileObject->DeletePending = file->delete_on_close;
        return STATUS_SUCCESS;
    case FileRenameInformation:
        return rename_file(file, in, length);
    case FileBasicInformation:
        return length < sizeof(FILE_BASIC_INFORMATION) ? STATUS_INFO_LENGTH_MISMATCH
                                                       : STATUS_SUCCESS; /* times are Linux's */
    default:
        return STATUS_INVALID_INFO_CLASS;
    }
}

/* The last handle is closed: sharing ends, and the file goes if it was to. */
static NTSTATUS volume_cleanup(struct volume_file *file)
{
    unshare_file(file);
    if (file->delete_on_close && file->name[0] != 0)
        unlinkat(file->parent, file->name, file->directory ? AT_REMOVEDIR : 0);
    return STATUS_SUCCESS;
}

static NTSTATUS file_dispatch(PIRP irp, const IO_STACK_LOCATION *stack, struct volume_file *file)
{
    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        return volume_read(irp, stack, file);
    case IRP_MJ_WRITE:
        return volume_write(irp, stack, file);
    case IRP_MJ_FLUSH_BUFFERS:
        return volume_flush(file);
    case IRP_MJ_QUERY_INFORMATION:
        return volume_query(irp, stack, file);
    case IRP_MJ_SET_INFORMATION:
        return volume_set(irp, stack, file);
    case IRP_MJ_CLEANUP:
        return volume_cleanup(file);
    case IRP_MJ_CLOSE:
        free_file(file);
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS NTAPI volume_dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    const IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    struct volume_file *file = stack->FileObject ? stack->FileObject->FsContext2 : NULL;
    NTSTATUS status;
    UNREFERENCED_PARAMETER(device);
    irp->IoStatus.Information = 0;
    if (stack->MajorFunction == IRP_MJ_CREATE && stack->FileObject != NULL)
        status = volume_create(irp, stack);
    else if (file == NULL) /* a request on the device alone */
        status = STATUS_INVALID_DEVICE_REQUEST;
    else
        status = file_dispatch(irp, stack, file);
    irp->IoStatus.Status = status;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

bool volume_start(const char *state_dir, char *error, size_t error_size)
{
    static UNICODE_STRING device_name = RTL_CONSTANT_STRING(L"\\Device\\HarddiskVolume1");
    static UNICODE_STRING drive = RTL_CONSTANT_STRING(L"\\??\\C:");
    static UNICODE_STRING system_root = RTL_CONSTANT_STRING(L"\\SystemRoot");
    static UNICODE_STRING windows = RTL_CONSTANT_STRING(L"\\Device\\HarddiskVolume1\\Windows");
    static UNICODE_STRING sddl = RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    PDEVICE_OBJECT device;
    int state = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state >= 0 && (mkdirat(state, "files", 0700) == 0 || errno == EEXIST))
        root_fd = openat(state, "files", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (state >= 0)
        close(state);
    if (root_fd < 0 || (mkdirat(root_fd, "Windows", 0700) != 0 && errno != EEXIST)) {
        snprintf(error, error_size, "%s/files: %s", state_dir, strerror(errno));
        return false;
    }
    volume_driver = io_create_driver("nthostfs");
    if (volume_driver == NULL)
        abort();
    for (unsigned i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        volume_driver->MajorFunction[i] = volume_dispatch;
    NTSTATUS status =
        io_create_device_secure(volume_driver, 0, &device_name, FILE_DEVICE_DISK_FILE_SYSTEM,
                                FILE_DEVICE_SECURE_OPEN, FALSE, &sddl, &device);
    if (!NT_SUCCESS(status))
        abort();
    device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    ob_link_create(&drive, &device_name);
    ob_link_create(&system_root, &windows);
    return true;
}

void volume_stop(void)
{
    if (volume_driver == NULL)
        return;
    io_delete_driver(volume_driver);
    volume_driver = NULL;
    close(root_fd);
    root_fd = -1;
}
