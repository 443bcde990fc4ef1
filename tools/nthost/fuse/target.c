/* From an inode to a path, and to a file object. */
#include "edge.h"
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DELETED " (deleted)"

/* The path below the backing folder; "" for itself. */
static int unix_path(struct mount_edge *edge, struct node *node, char path[EDGE_PATH])
{
    char text[40], whole[PATH_MAX];
    struct stat st;
    size_t prefix = strlen(edge->prefix), mark = sizeof(DELETED) - 1;
    if (node == &edge->root) {
        path[0] = 0;
        return 0;
    }
    int error = node_proc_path(node, text);
    if (error != 0)
        return error;
    ssize_t bytes = readlink(text, whole, sizeof(whole));
    if (bytes == sizeof(whole) || (bytes < 0 && errno == ENAMETOOLONG))
        return node_chain(edge, node, path);
    if (bytes < 0)
        return errno;
    whole[bytes] = 0;
    if ((size_t)bytes <= prefix || memcmp(whole, edge->prefix, prefix) != 0 ||
        (whole[prefix] != '/' && prefix != 1))
        return ESTALE;
    const char *below = whole + prefix + (whole[prefix] == '/');
    /* A file may be called that, too. */
    if ((size_t)bytes > mark && strcmp(whole + bytes - mark, DELETED) == 0 &&
        (fstatat(edge->root_fd, below, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_ino != node->inode))
        return ESTALE;
    memcpy(path, below, strlen(below) + 1);
    return 0;
}

int path_of(struct mount_edge *edge, struct node *node, const char *name, struct nt_path *path)
{
    char below[EDGE_PATH];
    unsigned room = sizeof(path->text) / sizeof(WCHAR), at = edge->device_chars;
    int error = unix_path(edge, node, below);
    if (error != 0)
        return error;
    memcpy(path->text, edge->device, at * sizeof(WCHAR));
    path->text[at++] = '\\';
    if (below[0] != 0) {
        int chars = nt_name_from_unix(below, strlen(below), true, path->text + at, room - at);
        if (chars < 0)
            return ENAMETOOLONG;
        at += (unsigned)chars;
    }
    if (name != NULL) {
        if (below[0] != 0 && at < room)
            path->text[at++] = '\\';
        int chars = nt_name_from_unix(name, strlen(name), false, path->text + at, room - at);
        if (chars < 0)
            return ENAMETOOLONG;
        at += (unsigned)chars;
    }
    path->name.Buffer = path->text;
    path->name.Length = path->name.MaximumLength = (USHORT)(at * sizeof(WCHAR));
    return 0;
}

NTSTATUS open_path(struct nt_path *path, ACCESS_MASK access, ULONG disposition, ULONG options,
                   const void *ea, ULONG ea_bytes, PFILE_OBJECT *file)
{
    struct nt_create create = {
        .name = &path->name,
        .access = access | SYNCHRONIZE,
        .attributes = FILE_ATTRIBUTE_NORMAL,
        .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
        .disposition = disposition,
        .options = options | FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_REPARSE_POINT,
        .ea = ea,
        .ea_bytes = ea_bytes,
        .case_sensitive = true,
        .mode = KernelMode,
    };
    NTSTATUS status = nt_create(&create);
    *file = NT_SUCCESS(status) ? create.file : NULL;
    return status;
}

PFILE_OBJECT open_handle(struct node *node, bool readable, bool writable)
{
    PFILE_OBJECT file = NULL;
    pthread_mutex_lock(&node->lock);
    for (const struct handle *handle = node->handles; handle != NULL; handle = handle->next) {
        if ((handle->writable || !writable) && (handle->readable || !readable)) {
            file = handle->file;
            nt_duplicate(file);
            break;
        }
    }
    pthread_mutex_unlock(&node->lock);
    return file;
}

int target_open(fuse_req_t req, struct node *node, ACCESS_MASK access, bool data,
                PFILE_OBJECT *file, PEPROCESS *before)
{
    struct mount_edge *edge = EDGE(req);
    struct nt_path path;
    if (node->handles != NULL) {
        *before = begin_nt(req);
        *file = open_handle(node, false, data);
        if (*file != NULL)
            return 0;
        end_nt(*before);
    }
    pthread_rwlock_rdlock(&edge->names);
    int error = path_of(edge, node, NULL, &path);
    if (error == 0) {
        *before = begin_nt(req);
        error = errno_of(open_path(&path, access, FILE_OPEN, 0, NULL, 0, file));
        if (error != 0)
            end_nt(*before);
    }
    pthread_rwlock_unlock(&edge->names);
    return error == ENOENT ? ESTALE : error;
}

/* Extended attributes */

void ea_start(struct ea_list *list)
{
    list->bytes = list->last = 0;
    list->any = false;
}

void ea_add(struct ea_list *list, const char *name, const void *value, USHORT bytes)
{
    size_t length = strlen(name);
    ULONG start = (list->bytes + 3) & ~3u;
    FILE_FULL_EA_INFORMATION *entry = (FILE_FULL_EA_INFORMATION *)(list->data + start);
    if (list->any)
        ((FILE_FULL_EA_INFORMATION *)(list->data + list->last))->NextEntryOffset =
            start - list->last;
    entry->NextEntryOffset = 0;
    entry->Flags = 0;
    entry->EaNameLength = (UCHAR)length;
    entry->EaValueLength = bytes;
    memcpy(entry->EaName, name, length + 1);
    memcpy(entry->EaName + length + 1, value, bytes);
    list->any = true;
    list->last = start;
    list->bytes =
        start + (ULONG)FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) + (ULONG)length + 1 + bytes;
}

void ea_add_ulong(struct ea_list *list, const char *name, uint32_t value)
{
    ea_add(list, name, &value, sizeof(value));
}

void ea_of_new(struct ea_list *list, fuse_req_t req, struct node *parent, mode_t mode, dev_t rdev)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    struct stat st;
    gid_t group = ctx->gid;
    if (node_fstat(parent, &st) == 0 && st.st_mode & S_ISGID) {
        group = st.st_gid;
        if (S_ISDIR(mode))
            mode |= S_ISGID;
    }
    ea_start(list);
    ea_add_ulong(list, "$LXUID", ctx->uid);
    ea_add_ulong(list, "$LXGID", group);
    ea_add_ulong(list, "$LXMOD", mode);
    if (S_ISCHR(mode) || S_ISBLK(mode)) {
        uint32_t numbers[2] = {major(rdev), minor(rdev)};
        ea_add(list, "$LXDEV", numbers, sizeof(numbers));
    }
}
