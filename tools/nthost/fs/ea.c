/*
 * Extended attributes: those of Linux by their names, and $LXUID, $LXGID, $LXMOD, $LXDEV, which are
 * the inode's owner, mode and device as WSL keeps them on NTFS. The file system's own are hidden.
 *
 * A value of zero length removes an EA, as on NTFS.
 *
 * WDK: IRP_MJ_QUERY_EA, IRP_MJ_SET_EA, FILE_FULL_EA_INFORMATION.
 */
#include "fsp.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_EAS 65536

static bool is_hidden(const char *name)
{
    return strncmp(name, XATTR_PREFIX, sizeof(XATTR_PREFIX) - 1) == 0;
}

/* One entry of a checked list. */
struct ea {
    const char *name;
    ULONG name_bytes;
    const UCHAR *value;
    ULONG value_bytes;
};

/* The entry at *at, which moves on; false at the end. *bad: malformed there. */
static bool next_ea(const UCHAR *list, ULONG bytes, ULONG *at, struct ea *ea, bool *bad)
{
    ULONG head = FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName);
    *bad = false;
    if (*at == bytes)
        return false;
    const FILE_FULL_EA_INFORMATION *entry = (const void *)(list + *at);
    if (bytes - *at < head + 1 ||
        bytes - *at < head + entry->EaNameLength + 1u + entry->EaValueLength ||
        entry->EaName[entry->EaNameLength] != 0 ||
        (entry->NextEntryOffset != 0 &&
         (entry->NextEntryOffset < head || entry->NextEntryOffset > bytes - *at ||
          entry->NextEntryOffset % 4 != 0))) {
        *bad = true;
        return false;
    }
    ea->name = entry->EaName;
    ea->name_bytes = entry->EaNameLength;
    ea->value = (const UCHAR *)entry->EaName + entry->EaNameLength + 1;
    ea->value_bytes = entry->EaValueLength;
    *at = entry->NextEntryOffset ? *at + entry->NextEntryOffset : bytes;
    return true;
}

static bool take_ulong(const struct ea *ea, uint32_t *out)
{
    if (ea->value_bytes != sizeof(*out))
        return false;
    memcpy(out, ea->value, sizeof(*out));
    return true;
}

/* One of $LX..: goes into lx. False: it is none of them. */
static bool take_lx(const struct ea *ea, struct lx_metadata *lx, bool *bad)
{
    *bad = false;
    if (strcasecmp(ea->name, "$LXUID") == 0) {
        lx->has_uid = take_ulong(ea, &lx->uid);
        *bad = !lx->has_uid;
    } else if (strcasecmp(ea->name, "$LXGID") == 0) {
        lx->has_gid = take_ulong(ea, &lx->gid);
        *bad = !lx->has_gid;
    } else if (strcasecmp(ea->name, "$LXMOD") == 0) {
        lx->has_mode = take_ulong(ea, &lx->mode);
        *bad = !lx->has_mode;
    } else if (strcasecmp(ea->name, "$LXDEV") == 0) {
        lx->has_dev = ea->value_bytes == 8;
        *bad = !lx->has_dev;
        if (lx->has_dev) {
            memcpy(&lx->major, ea->value, 4);
            memcpy(&lx->minor, ea->value + 4, 4);
        }
    } else if (strcasecmp(ea->name, "$LXTARGET") == 0) {
        lx->target = (const char *)ea->value;
        lx->target_bytes = ea->value_bytes;
    } else {
        return false;
    }
    return true;
}

NTSTATUS fs_parse_lx(const void *list, ULONG bytes, struct lx_metadata *lx)
{
    struct ea ea;
    ULONG at = 0;
    bool bad;
    memset(lx, 0, sizeof(*lx));
    while (next_ea(list, bytes, &at, &ea, &bad)) {
        bool wrong = false;
        take_lx(&ea, lx, &wrong);
        if (wrong)
            return STATUS_INVALID_PARAMETER;
    }
    return bad ? STATUS_EA_LIST_INCONSISTENT : STATUS_SUCCESS;
}

/* Owner first: it clears what the mode then sets. A mode's type bits are not changed. */
static NTSTATUS apply_lx(struct node *node, const struct lx_metadata *lx)
{
    char path[32];
    struct stat st;
    fs_fd_path(node->fd, path);
    if (lx->has_uid || lx->has_gid) {
        uid_t uid = lx->has_uid ? lx->uid : (uid_t)-1;
        gid_t gid = lx->has_gid ? lx->gid : (gid_t)-1;
        if (fstat(node->fd, &st) != 0)
            return fs_status_of(errno);
        bool same = (!lx->has_uid || st.st_uid == uid) && (!lx->has_gid || st.st_gid == gid);
        if (!same && fchownat(node->fd, "", uid, gid, AT_EMPTY_PATH) != 0)
            return fs_status_of(errno);
    }
    if (lx->has_mode && !S_ISLNK(node->type) && chmod(path, lx->mode & 07777) != 0)
        return fs_status_of(errno);
    return STATUS_SUCCESS;
}

static NTSTATUS set_xattr(struct node *node, const struct ea *ea)
{
    char path[32];
    if (ea->name_bytes == 0 || memchr(ea->name, 0, ea->name_bytes) != NULL)
        return STATUS_INVALID_EA_NAME;
    if (is_hidden(ea->name))
        return STATUS_ACCESS_DENIED;
    fs_fd_path(node->fd, path);
    if (ea->value_bytes == 0)
        return removexattr(path, ea->name) == 0 || errno == ENODATA ? STATUS_SUCCESS
                                                                    : fs_status_of(errno);
    return setxattr(path, ea->name, ea->value, ea->value_bytes, 0) == 0 ? STATUS_SUCCESS
                                                                        : fs_status_of(errno);
}

/* The list is checked before anything changes. */
NTSTATUS fs_apply_eas(struct node *node, const void *list, ULONG bytes, ULONG *bad_offset)
{
    struct lx_metadata lx;
    struct ea ea;
    ULONG at = 0;
    bool bad;
    *bad_offset = 0;
    NTSTATUS status = fs_parse_lx(list, bytes, &lx);
    if (NT_SUCCESS(status))
        status = apply_lx(node, &lx);
    while (NT_SUCCESS(status)) {
        ULONG before = at;
        struct lx_metadata none;
        if (!next_ea(list, bytes, &at, &ea, &bad))
            break;
        if (!take_lx(&ea, &none, &bad))
            status = set_xattr(node, &ea);
        if (!NT_SUCCESS(status))
            *bad_offset = before;
    }
    return status;
}

NTSTATUS fs_set_ea(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    struct open *open = open_of(stack->FileObject);
    const void *list =
        irp->AssociatedIrp.SystemBuffer ? irp->AssociatedIrp.SystemBuffer : fs_irp_data(irp);
    ULONG bad = 0;
    if (volume->read_only)
        return STATUS_MEDIA_WRITE_PROTECTED;
    if (open->is_volume || list == NULL)
        return STATUS_INVALID_PARAMETER;
    if (open->cleaned)
        return STATUS_FILE_CLOSED;
    pthread_mutex_lock(&volume->names);
    NTSTATUS status = fs_apply_eas(open->stream->node, list, stack->Parameters.SetEa.Length, &bad);
    pthread_mutex_unlock(&volume->names);
    irp->IoStatus.Information = bad;
    return status;
}

/* Querying */

/* All names, those of Linux behind the ones of the inode. free() it. */
static char *list_names(struct node *node, size_t *bytes)
{
    char path[32];
    static const char own[] = "$LXUID\0$LXGID\0$LXMOD";
    static const char device[] = "$LXDEV";
    size_t at = sizeof(own);
    fs_fd_path(node->fd, path);
    char *names = malloc(at + sizeof(device) + MAX_EAS);
    if (names == NULL)
        return NULL;
    memcpy(names, own, sizeof(own));
    if (S_ISCHR(node->type) || S_ISBLK(node->type)) {
        memcpy(names + at, device, sizeof(device));
        at += sizeof(device);
    }
    ssize_t n = listxattr(path, names + at, MAX_EAS);
    *bytes = at + (n > 0 ? (size_t)n : 0);
    return names;
}

/* The value, or -1 and errno. */
static ssize_t get_value(struct node *node, const char *name, UCHAR *value, size_t room)
{
    struct stat st = {0};
    char path[32];
    uint32_t words[2] = {0};
    size_t bytes = 4;
    if (name[0] == '$' && fstat(node->fd, &st) != 0)
        return -1;
    if (strcasecmp(name, "$LXUID") == 0) {
        words[0] = st.st_uid;
    } else if (strcasecmp(name, "$LXGID") == 0) {
        words[0] = st.st_gid;
    } else if (strcasecmp(name, "$LXMOD") == 0) {
        words[0] = st.st_mode;
    } else if (strcasecmp(name, "$LXDEV") == 0 && (S_ISCHR(node->type) || S_ISBLK(node->type))) {
        words[0] = major(st.st_rdev);
        words[1] = minor(st.st_rdev);
        bytes = 8;
    } else if (is_hidden(name)) {
        errno = ENODATA;
        return -1;
    } else {
        return getxattr(fs_fd_path(node->fd, path), name, value, room);
    }
    if (room < bytes) {
        errno = ERANGE;
        return -1;
    }
    memcpy(value, words, bytes);
    return (ssize_t)bytes;
}

ULONG fs_ea_size(struct node *node)
{
    size_t bytes, total = 0;
    char path[32], *names = list_names(node, &bytes);
    fs_fd_path(node->fd, path);
    for (const char *name = names; name != NULL && name < names + bytes; name += strlen(name) + 1) {
        ssize_t value = is_hidden(name)               ? -1
                        : strcmp(name, "$LXDEV") == 0 ? 8
                        : name[0] == '$'              ? 4
                                                      : getxattr(path, name, NULL, 0);
        if (value >= 0)
            total += 5 + strlen(name) + (size_t)value;
    }
    free(names);
    return total > 0xffff ? 0xffff : (ULONG)total;
}

NTSTATUS fs_remove_user_eas(struct node *node)
{
    size_t bytes;
    char path[32], *names = list_names(node, &bytes);
    NTSTATUS status = names ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    fs_fd_path(node->fd, path);
    for (const char *name = names; name != NULL && name < names + bytes; name += strlen(name) + 1)
        if (strncmp(name, "user.", 5) == 0 && !is_hidden(name) && removexattr(path, name) != 0 &&
            errno != ENODATA)
            status = fs_status_of(errno);
    free(names);
    return status;
}

struct answer {
    UCHAR *out;
    ULONG room, at, last;
    bool any;
};

/* STATUS_BUFFER_OVERFLOW: no room for it. An EA that is not there has an empty value, if asked for.
 */
static NTSTATUS add_ea(struct answer *a, struct node *node, const char *name, bool asked)
{
    UCHAR *value = malloc(MAX_EAS);
    ULONG head = FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName), start = (a->at + 3) & ~3u;
    size_t length = strlen(name);
    if (value == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ssize_t bytes = get_value(node, name, value, MAX_EAS - 1);
    NTSTATUS status =
        bytes < 0 && errno != ENODATA && errno != EOPNOTSUPP ? fs_status_of(errno) : STATUS_SUCCESS;
    if (bytes < 0)
        bytes = asked ? 0 : -1;
    ULONG whole = head + (ULONG)length + 1 + (ULONG)(bytes > 0 ? bytes : 0);
    if (NT_SUCCESS(status) && bytes >= 0 && (start > a->room || whole > a->room - start))
        status = STATUS_BUFFER_OVERFLOW;
    if (NT_SUCCESS(status) && bytes >= 0) {
        FILE_FULL_EA_INFORMATION *entry = (FILE_FULL_EA_INFORMATION *)(a->out + start);
        entry->NextEntryOffset = 0;
        entry->Flags = 0;
        entry->EaNameLength = (UCHAR)length;
        entry->EaValueLength = (USHORT)bytes;
        memcpy(entry->EaName, name, length + 1);
        memcpy(entry->EaName + length + 1, value, (size_t)bytes);
        if (a->any)
            ((FILE_FULL_EA_INFORMATION *)(a->out + a->last))->NextEntryOffset = start - a->last;
        a->any = true;
        a->last = start;
        a->at = start + whole;
    }
    free(value);
    return status;
}

static NTSTATUS query_listed(struct answer *a, struct node *node, const UCHAR *list, ULONG bytes)
{
    ULONG head = FIELD_OFFSET(FILE_GET_EA_INFORMATION, EaName), at = 0;
    NTSTATUS status = STATUS_SUCCESS;
    while (NT_SUCCESS(status) && at < bytes) {
        const FILE_GET_EA_INFORMATION *entry = (const void *)(list + at);
        if (bytes - at < head + 1 || bytes - at < head + entry->EaNameLength + 1u ||
            entry->EaName[entry->EaNameLength] != 0 || entry->EaNameLength == 0)
            return STATUS_EA_LIST_INCONSISTENT;
        status = add_ea(a, node, entry->EaName, true);
        if (entry->NextEntryOffset == 0)
            break;
        at += entry->NextEntryOffset;
    }
    return status;
}

/* From where the last call ended, or SL_RESTART_SCAN. */
static NTSTATUS query_all(struct answer *a, struct open *open, bool restart, bool single)
{
    struct node *node = open->stream->node;
    size_t bytes;
    unsigned index = 0;
    NTSTATUS status = STATUS_SUCCESS;
    char *names = list_names(node, &bytes);
    if (names == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (restart)
        open->ea_index = 0;
    for (const char *name = names; name < names + bytes; name += strlen(name) + 1, index++) {
        if (index < open->ea_index || is_hidden(name))
            continue;
        status = add_ea(a, node, name, false);
        if (!NT_SUCCESS(status))
            break;
        open->ea_index = index + 1;
        if (single && a->any)
            break;
    }
    free(names);
    if (NT_SUCCESS(status) && !a->any)
        status = index == 0 ? STATUS_NO_EAS_ON_FILE : STATUS_NO_MORE_EAS;
    return status;
}

NTSTATUS fs_query_ea(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    struct open *open = open_of(stack->FileObject);
    struct answer a = {.out = irp->AssociatedIrp.SystemBuffer ? irp->AssociatedIrp.SystemBuffer
                                                              : fs_irp_data(irp),
                       .room = stack->Parameters.QueryEa.Length};
    if (open->is_volume || a.out == NULL)
        return STATUS_INVALID_PARAMETER;
    pthread_mutex_lock(&volume->names);
    NTSTATUS status = stack->Parameters.QueryEa.EaList
                          ? query_listed(&a, open->stream->node, stack->Parameters.QueryEa.EaList,
                                         stack->Parameters.QueryEa.EaListLength)
                          : query_all(&a, open, (stack->Flags & SL_RESTART_SCAN) != 0,
                                      (stack->Flags & SL_RETURN_SINGLE_ENTRY) != 0);
    pthread_mutex_unlock(&volume->names);
    irp->IoStatus.Information = a.at;
    if (status == STATUS_BUFFER_OVERFLOW && !a.any)
        status = STATUS_BUFFER_TOO_SMALL;
    return status;
}
