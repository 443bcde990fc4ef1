/*
 * Renaming and hard links.
 *
 * The new name's folder is the stack location's file object, which the I/O manager opened with
 * SL_OPEN_TARGET_DIRECTORY, and the name that file object's; without one it is the folder that the
 * file is in.
 *
 * With POSIX semantics a name in use may be replaced, an empty folder by a folder, and a folder may
 * move while files in it are open; else that is refused, as NTFS does.
 */
#include "hint.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct move {
    struct open *open;
    struct node *parent; /* of the new name */
    struct link *up;
    char name[FS_NAME_MAX];
    ULONG flags;
    bool link_only;
    struct link *target; /* referenced; what has the name now */
};

static bool is_below(const struct node *folder, const struct link *link)
{
    for (; link != NULL; link = link->up)
        if (link->node == folder)
            return true;
    return false;
}

static bool has_handles(const struct node *node)
{
    for (const struct stream *stream = node->streams; stream != NULL; stream = stream->next)
        if (stream->handles != 0)
            return true;
    return false;
}

/* Open files below: links that have this one on their way up. */
static bool has_open_children(const struct node *folder)
{
    const struct table *links = &folder->volume->links;
    for (unsigned i = 0; i < links->size; i++)
        for (const struct link *link = links->buckets[i]; link != NULL; link = link->hash_next)
            if (link->handles != 0 && link->node != folder && is_below(folder, link))
                return true;
    return false;
}

/* May what has the name now give way? */
static NTSTATUS check_target(struct move *m)
{
    struct node *target = m->target->node, *source = m->open->stream->node;
    bool posix = m->flags & FILE_RENAME_POSIX_SEMANTICS;
    if (m->target == m->open->link)
        return STATUS_SUCCESS; /* its spelling changes, or nothing */
    if (!(m->flags & FILE_RENAME_REPLACE_IF_EXISTS))
        return STATUS_OBJECT_NAME_COLLISION;
    if (m->target->delete_pending)
        return STATUS_DELETE_PENDING;
    if (is_directory(target)) {
        if (!posix || m->link_only)
            return STATUS_ACCESS_DENIED;
        if (!is_directory(source))
            return STATUS_FILE_IS_A_DIRECTORY;
        if (!fs_directory_is_empty(target))
            return STATUS_DIRECTORY_NOT_EMPTY;
    } else if (is_directory(source) && posix) {
        return STATUS_NOT_A_DIRECTORY;
    }
    if (node_attributes(target, target->type) & FILE_ATTRIBUTE_READONLY &&
        !(m->flags & FILE_RENAME_IGNORE_READONLY_ATTRIBUTE))
        return STATUS_ACCESS_DENIED;
    if (target != source && has_handles(target)) {
        if (!posix)
            return STATUS_ACCESS_DENIED;
        for (const struct stream *s = target->streams; s != NULL; s = s->next)
            if (s->shared_delete < s->sharers)
                return STATUS_SHARING_VIOLATION;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS check_source(const struct move *m)
{
    const struct open *open = m->open;
    const struct node *source = open->stream->node;
    if (source->root)
        return STATUS_ACCESS_DENIED;
    if (open->link == NULL || open->link->unlinked)
        return STATUS_FILE_DELETED;
    if (open->link->delete_pending && m->link_only)
        return STATUS_DELETE_PENDING;
    if (m->link_only)
        return is_directory(source) ? STATUS_FILE_IS_A_DIRECTORY : STATUS_SUCCESS;
    if (is_directory(source)) {
        if (m->parent == source || is_below(source, m->up))
            return STATUS_INVALID_PARAMETER;
        if (!(m->flags & FILE_RENAME_POSIX_SEMANTICS) && has_open_children(source))
            return STATUS_ACCESS_DENIED;
    }
    return STATUS_SUCCESS;
}

static void forget_target(struct move *m)
{
    struct stat st;
    struct node *node = m->target->node;
    if (m->target == m->open->link)
        return;
    link_unhash(m->target);
    node->gone = is_directory(node) || (fstat(node->fd, &st) == 0 && st.st_nlink == 0);
    hint_drop(node, m->target->parent->inode, m->target->name);
    for (struct stream *stream = node->streams; node->gone && stream != NULL; stream = stream->next)
        if (stream->handles == 0)
            cache_truncate(stream, 0); /* nobody will read what is dirty */
}

static NTSTATUS do_rename(struct move *m)
{
    struct link *link = m->open->link;
    unsigned how = m->target == NULL ? RENAME_NOREPLACE : 0;
    bool same_file = m->target != NULL && m->target->node == link->node && m->target != link;
    if (m->target != NULL && m->target == link && strcmp(link->name, m->name) == 0 &&
        link->parent == m->parent)
        return STATUS_SUCCESS;
    if (same_file) { /* Linux would leave both names */
        if (unlinkat(link->parent->fd, link->name, 0) != 0)
            return fs_status_of(errno);
    } else if (renameat2(link->parent->fd, link->name, m->parent->fd, m->name, how) != 0) {
        return fs_status_of(errno);
    }
    if (m->target != NULL)
        forget_target(m);
    link->node->gone = false;
    link_rename(link, m->parent, m->up, m->name);
    link->name_is_new = true;
    return STATUS_SUCCESS;
}

/* A name that exists is replaced at one stroke: the new link is made under a name of its own. */
static NTSTATUS do_link(struct move *m)
{
    struct link *link = m->open->link;
    char temporary[64];
    struct node *node = link->node;
    if (m->target != NULL && m->target->node == node)
        return STATUS_SUCCESS;
    if (m->target == NULL) {
        if (linkat(link->parent->fd, link->name, m->parent->fd, m->name, 0) != 0)
            return fs_status_of(errno);
    } else {
        snprintf(temporary, sizeof(temporary), ".ntfs-link-%llx", (unsigned long long)node->inode);
        if (linkat(link->parent->fd, link->name, m->parent->fd, temporary, 0) != 0)
            return fs_status_of(errno);
        if (renameat(m->parent->fd, temporary, m->parent->fd, m->name) != 0) {
            int error = errno;
            unlinkat(m->parent->fd, temporary, 0);
            return fs_status_of(error);
        }
        forget_target(m);
    }
    /* The next flush makes the folder of the new name durable; there is room for one. */
    if (node->linked_in != NULL && node->linked_in != m->parent) {
        int folder = openat(m->parent->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder >= 0) {
            fsync(folder);
            close(folder);
        }
    } else if (node->linked_in == NULL) {
        node_reference(m->parent);
        node->linked_in = m->parent;
    }
    return STATUS_SUCCESS;
}

/* Where to, out of the request. *m->up is borrowed from an open file object. */
static NTSTATUS find_destination(struct move *m, PIRP irp, PIO_STACK_LOCATION stack)
{
    const FILE_RENAME_INFORMATION *info = irp->AssociatedIrp.SystemBuffer;
    ULONG head = FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName);
    PFILE_OBJECT folder = stack->Parameters.SetFile.FileObject;
    const WCHAR *name = info->FileName;
    unsigned chars;
    if (info->FileNameLength > stack->Parameters.SetFile.Length - head ||
        info->FileNameLength % sizeof(WCHAR) != 0)
        return STATUS_INVALID_PARAMETER;
    chars = info->FileNameLength / sizeof(WCHAR);
    if (folder != NULL) {
        const struct open *open = open_of(folder);
        if (folder->DeviceObject != m->open->file->DeviceObject)
            return STATUS_NOT_SAME_DEVICE;
        m->parent = open->stream->node;
        m->up = open->link;
        name = folder->FileName.Buffer;
        chars = folder->FileName.Length / sizeof(WCHAR);
    } else {
        if (m->open->link == NULL)
            return m->open->stream->node->root ? STATUS_ACCESS_DENIED : STATUS_FILE_DELETED;
        m->parent = m->open->link->parent;
        m->up = m->open->link->up;
        for (unsigned i = chars; i > 0; i--)
            if (name[i - 1] == '\\') { /* a full name of this folder: the last part counts */
                name += i;
                chars -= i;
                break;
            }
    }
    for (unsigned i = 0; i < chars; i++)
        if (name[i] == ':')
            return STATUS_OBJECT_NAME_INVALID;
    if (nt_name_to_unix(name, chars, m->name, FS_NAME_MAX) < 0)
        return STATUS_OBJECT_NAME_INVALID;
    if (m->up != NULL && (m->up->unlinked || m->up->delete_pending))
        return STATUS_DELETE_PENDING;
    return STATUS_SUCCESS;
}

NTSTATUS fs_set_rename(struct open *open, PIRP irp, PIO_STACK_LOCATION stack, bool link_only,
                       ULONG flags)
{
    const FILE_RENAME_INFORMATION *info = irp->AssociatedIrp.SystemBuffer;
    struct move m = {.open = open, .flags = flags, .link_only = link_only};
    char spelling[FS_NAME_MAX];
    if (!link_only && info->FileNameLength >= sizeof(WCHAR) && info->FileName[0] == ':')
        return fs_rename_stream(open, info->FileName, info->FileNameLength / sizeof(WCHAR),
                                (flags & FILE_RENAME_REPLACE_IF_EXISTS) != 0);
    if (open->stream->name[0] != 0)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = find_destination(&m, irp, stack);
    if (NT_SUCCESS(status))
        status = check_source(&m);
    if (!NT_SUCCESS(status))
        return status;
    if (m.parent->root && strcmp(m.name, FS_STORE) == 0)
        return STATUS_ACCESS_DENIED;
    memcpy(spelling, m.name, sizeof(spelling));
    status = link_lookup(m.parent, m.up, spelling, open->case_sensitive, &m.target);
    if (NT_SUCCESS(status)) {
        status = check_target(&m);
        if (NT_SUCCESS(status) && m.target != open->link)
            memcpy(m.name, spelling, sizeof(spelling)); /* what is replaced lends its spelling */
    } else if (status == STATUS_OBJECT_NAME_NOT_FOUND) {
        status = STATUS_SUCCESS;
    }
    if (NT_SUCCESS(status))
        status = link_only ? do_link(&m) : do_rename(&m);
    if (m.target != NULL)
        link_release(m.target);
    if (NT_SUCCESS(status) && !link_only)
        fs_names_changed(open->stream->volume, stack->FileObject);
    return status;
}
