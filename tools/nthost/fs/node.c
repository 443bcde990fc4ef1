/*
 * Nodes, links and streams: what of the backing folder is in use; see fsp.h. All with
 * volume->names held.
 */
#include "hint.h"
#include <nthost/utf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nodes */

struct node *node_find(struct fs_volume *volume, uint64_t inode)
{
    struct node key = {.inode = inode};
    if (volume->nodes.size == 0)
        return NULL;
    struct node *node = *table_slot(&volume->nodes, hash_node(&key));
    while (node != NULL && node->inode != inode)
        node = node->hash_next;
    return node;
}

struct node *node_of_fd(struct fs_volume *volume, int fd, NTSTATUS *status)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        *status = fs_status_of(errno);
        close(fd);
        return NULL;
    }
    if (st.st_dev != volume->dev) { /* something is mounted there: not ours */
        *status = STATUS_ACCESS_DENIED;
        close(fd);
        return NULL;
    }
    struct node *node = node_find(volume, st.st_ino);
    if (node != NULL) {
        close(fd);
        node->references++;
        return node;
    }
    node = calloc(1, sizeof(*node));
    if (node != NULL) {
        node->volume = volume;
        node->inode = st.st_ino;
        node->type = st.st_mode & S_IFMT;
        node->fd = fd;
        node->references = 1;
        if (table_insert(&volume->nodes, node, hash_node))
            return node;
    }
    free(node);
    close(fd);
    *status = STATUS_INSUFFICIENT_RESOURCES;
    return NULL;
}

void node_reference(struct node *node)
{
    node->references++;
}

void node_release(struct node *node)
{
    struct stat st;
    if (--node->references != 0)
        return;
    if (node->gone && (is_directory(node) || (fstat(node->fd, &st) == 0 && st.st_nlink == 0)))
        streams_remove_all(node);
    struct node *folder = node->linked_in;
    table_remove(&node->volume->nodes, node, hash_node);
    fs_close_later(node->volume, node->fd);
    free(node);
    if (folder != NULL)
        node_release(folder);
}

NTSTATUS node_replace(struct node *node, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fs_status_of(errno);
    bool gone = node->gone;
    node->gone = true; /* the old inode is */
    hint_drop(node, 0, "");
    node->gone = gone;
    table_remove(&node->volume->nodes, node, hash_node);
    close(node->fd);
    node->fd = fd;
    node->inode = st.st_ino;
    node->type = st.st_mode & S_IFMT;
    node->id_known = node->info_known = false;
    table_insert(&node->volume->nodes, node, hash_node); /* there was room a moment ago */
    if (node->links != NULL)
        hint_put(node->volume, node->inode, node->links->parent->inode, node->links->name);
    return STATUS_SUCCESS;
}

/* Links */

struct link *link_find(struct node *parent, const char *name)
{
    const struct table *links = &parent->volume->links;
    if (links->size == 0)
        return NULL;
    struct link *link = *table_slot(links, hash_name(parent, name));
    while (link != NULL && (link->parent != parent || strcmp(link->name, name) != 0))
        link = link->hash_next;
    return link;
}

/* Takes the reference on `node` over. */
struct link *link_make(struct node *parent, struct link *up, const char *name, struct node *node)
{
    struct link *link = calloc(1, sizeof(*link));
    if (link != NULL) {
        link->parent = parent;
        link->node = node;
        link->up = up;
        link->references = 1;
        snprintf(link->name, sizeof(link->name), "%s", name);
        if (table_insert(&parent->volume->links, link, hash_link)) {
            node_reference(parent);
            if (up != NULL)
                link_reference(up);
            link->next = node->links;
            node->links = link;
            node->gone = false;
            hint_put(parent->volume, node->inode, parent->inode, name);
            return link;
        }
    }
    free(link);
    node_release(node);
    return NULL;
}

void link_reference(struct link *link)
{
    link->references++;
}

void link_unhash(struct link *link)
{
    if (link->unlinked)
        return;
    table_remove(&link->parent->volume->links, link, hash_link);
    link->unlinked = true;
}

void link_release(struct link *link)
{
    while (link != NULL && --link->references == 0) {
        struct link *up = link->up, **at = &link->node->links;
        if (!link->unlinked)
            table_remove(&link->parent->volume->links, link, hash_link);
        while (*at != link)
            at = &(*at)->next;
        *at = link->next;
        node_release(link->node);
        node_release(link->parent);
        free(link);
        link = up;
    }
}

void link_rename(struct link *link, struct node *parent, struct link *up, const char *name)
{
    struct node *old_parent = link->parent;
    struct link *old_up = link->up;
    struct table *links = &parent->volume->links;
    if (!link->unlinked)
        table_remove(links, link, hash_link);
    link->parent = parent;
    link->up = up;
    node_reference(parent);
    if (up != NULL)
        link_reference(up);
    snprintf(link->name, sizeof(link->name), "%s", name);
    link->unlinked = false;
    table_insert(links, link, hash_link);
    hint_put(parent->volume, link->node->inode, parent->inode, name);
    link_release(old_up);
    node_release(old_parent);
}

/* Replaces `name` by what it is called in the folder, if there is one of that name but for case. */
static void find_spelling(struct node *parent, char name[FS_NAME_MAX])
{
    struct stat st;
    WCHAR wanted[FS_NAME_MAX], other[FS_NAME_MAX];
    if (fstatat(parent->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return;
    int fd = openat(parent->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    int wanted_chars = nt_name_from_unix(name, strlen(name), false, wanted, FS_NAME_MAX);
    for (struct dirent *entry; wanted_chars > 0 && (entry = readdir(dir)) != NULL;) {
        int chars =
            nt_name_from_unix(entry->d_name, strlen(entry->d_name), false, other, FS_NAME_MAX);
        if (chars == wanted_chars &&
            utf16_compare(wanted, (unsigned)chars, other, (unsigned)chars) == 0) {
            snprintf(name, FS_NAME_MAX, "%s", entry->d_name);
            break;
        }
    }
    closedir(dir);
}

NTSTATUS link_lookup(struct node *parent, struct link *up, char name[FS_NAME_MAX],
                     bool case_sensitive, struct link **out)
{
    NTSTATUS status = STATUS_SUCCESS;
    if (!is_directory(parent))
        return STATUS_OBJECT_PATH_NOT_FOUND;
    struct link *link = link_find(parent, name);
    if (link == NULL && parent->root && strcmp(name, FS_STORE) == 0)
        return STATUS_ACCESS_DENIED;
    if (link == NULL && !case_sensitive) {
        find_spelling(parent, name);
        link = link_find(parent, name);
    }
    if (link != NULL) {
        link_reference(link);
        *out = link;
        return STATUS_SUCCESS;
    }
    int fd = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fs_status_of(errno);
    struct node *node = node_of_fd(parent->volume, fd, &status);
    if (node == NULL)
        return status;
    *out = link_make(parent, up, name, node);
    return *out ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

struct node *node_root(struct fs_volume *volume)
{
    NTSTATUS status;
    int fd = openat(volume->root_fd, ".", O_PATH | O_CLOEXEC);
    struct node *node = fd < 0 ? NULL : node_of_fd(volume, fd, &status);
    if (node != NULL)
        node->root = true;
    return node;
}

/* Streams */

struct stream *stream_get(struct node *node, const char *name)
{
    struct stream *stream = node->streams;
    while (stream != NULL && (stream->deleted || strcmp(stream->name, name) != 0))
        stream = stream->next;
    if (stream != NULL) {
        stream->references++;
        return stream;
    }
    stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    stream->references = 1;
    stream->node = node;
    stream->volume = node->volume;
    stream->fd = -1;
    snprintf(stream->name, sizeof(stream->name), "%s", name);
    pthread_rwlock_init(&stream->io, NULL);
    pthread_mutex_init(&stream->ranges, NULL);
    cache_init(&stream->cache);
    stream->header.NodeTypeCode = NODE_TYPE_FCB;
    stream->header.NodeByteSize = (CSHORT)sizeof(*stream);
    stream->header.IsFastIoPossible = FastIoIsPossible;
    ExInitializeFastMutex(&stream->header_mutex);
    FsRtlSetupAdvancedHeader(&stream->header, &stream->header_mutex);
    stream->header.Version = FSRTL_FCB_HEADER_V2;
    stream->header.FileContextSupportPointer = &stream->file_contexts;
    if (name[0] == 0 && S_ISREG(node->type)) {
        struct stat st;
        if (fstat(node->fd, &st) == 0) {
            stream->header.FileSize.QuadPart = st.st_size;
            stream->header.ValidDataLength.QuadPart = st.st_size;
            stream->header.AllocationSize.QuadPart = st.st_blocks * 512;
        }
    }
    node_reference(node);
    stream->next = node->streams;
    node->streams = stream;
    atomic_fetch_add(&node->volume->counters.open_streams, 1);
    return stream;
}

void stream_refresh_size(struct stream *stream)
{
    struct stat st;
    if (stream->fd < 0 || fstat(stream->fd, &st) != 0)
        return;
    stream->header.FileSize.QuadPart = st.st_size;
    stream->header.ValidDataLength.QuadPart = st.st_size;
    stream->header.AllocationSize.QuadPart = st.st_blocks * 512;
}

NTSTATUS stream_open_data(struct stream *stream, bool write)
{
    char path[32];
    struct node *node = stream->node;
    if (stream->fd >= 0 && (stream->writable || !write))
        return STATUS_SUCCESS;
    if (stream->name[0] != 0)
        return STATUS_ACCESS_DENIED; /* its creator opened it, as writable as it can be */
    if (!S_ISREG(node->type))
        return STATUS_SUCCESS;
    bool read_only = node->volume->read_only;
    int flags = O_NOCTTY | O_CLOEXEC | O_NONBLOCK | (node->volume->atime ? 0 : O_NOATIME);
    fs_fd_path(node->fd, path);
    int fd = read_only ? -1 : open(path, O_RDWR | flags);
    bool writable = fd >= 0;
    if (fd < 0 && errno == EPERM)
        writable = (fd = open(path, O_RDWR | (flags & ~O_NOATIME))) >= 0;
    if (fd < 0 && !write)
        fd = open(path, O_RDONLY | (flags & ~O_NOATIME));
    if (fd < 0)
        return read_only ? STATUS_MEDIA_WRITE_PROTECTED : fs_status_of(errno);
    if (stream->fd >= 0) { /* it was read-only; others may be reading by the old one */
        if (dup3(fd, stream->fd, O_CLOEXEC) < 0) {
            close(fd);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        close(fd);
    } else {
        stream->fd = fd;
        stream_refresh_size(stream);
    }
    stream->writable = writable;
    return STATUS_SUCCESS;
}

void stream_reference(struct stream *stream)
{
    stream->references++;
}

void stream_release(struct stream *stream, struct garbage *garbage)
{
    struct stream **at = &stream->node->streams;
    if (--stream->references != 0)
        return;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    if (stream->fd >= 0)
        fs_close_later(stream->volume, stream->fd);
    stream->fd = -1;
    node_release(stream->node);
    stream->node = NULL;
    atomic_fetch_sub(&stream->volume->counters.open_streams, 1);
    stream->next = garbage->streams;
    garbage->streams = stream;
}

void fs_collect_garbage(struct garbage *garbage)
{
    while (garbage->streams != NULL) {
        struct stream *stream = garbage->streams;
        garbage->streams = stream->next;
        FsRtlTeardownPerStreamContexts(&stream->header);
        FsRtlTeardownPerFileContexts(&stream->file_contexts);
        cache_destroy(&stream->cache);
        pthread_rwlock_destroy(&stream->io);
        pthread_mutex_destroy(&stream->ranges);
        free(stream);
    }
    for (unsigned i = 0; i < garbage->file_count; i++)
        ob_dereference(garbage->files[i]);
    garbage->file_count = 0;
}
