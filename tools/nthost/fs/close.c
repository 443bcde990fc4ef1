/*
 * IRP_MJ_CLEANUP and IRP_MJ_CLOSE; deletion.
 *
 * A name goes when the last handle that was opened by it is cleaned up after somebody asked for its
 * deletion; with POSIX semantics when the handle that asked is cleaned up. The data live on while
 * the stream is in use.
 */
#include "create.h"
#include "hint.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool fs_directory_is_empty(struct node *node)
{
    bool empty = true;
    int fd = openat(node->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return true; /* it is gone itself */
    }
    for (struct dirent *entry; empty && (entry = readdir(dir)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return empty;
}

NTSTATUS link_unlink(struct link *link)
{
    struct node *node = link->node;
    if (link->unlinked)
        return STATUS_SUCCESS;
    bool directory = is_directory(node);
    if (unlinkat(link->parent->fd, link->name, directory ? AT_REMOVEDIR : 0) != 0 &&
        errno != ENOENT)
        return fs_status_of(errno);
    link_unhash(link);
    struct stat st;
    node->gone = fstat(node->fd, &st) == 0 && (directory || st.st_nlink == 0);
    hint_drop(node, link->parent->inode, link->name);
    return STATUS_SUCCESS;
}

/* names held. True: the file has a name less. */
static bool cleanup_names(struct open *open)
{
    struct stream *stream = open->stream;
    struct link *link = open->link;
    if (open->delete_on_close && stream->name[0] != 0 && !open->is_volume)
        stream->delete_pending = true;
    else if (open->delete_on_close && link != NULL &&
             (!is_directory(stream->node) || fs_directory_is_empty(stream->node)))
        link->delete_pending = true;
    if (--stream->handles == 0 && stream->delete_pending && !stream->deleted) {
        streams_remove(stream->node, stream->name);
        stream->deleted = true;
    }
    if (link == NULL)
        return false;
    link->handles--;
    if (!link->delete_pending || (link->handles != 0 && !open->posix_delete))
        return false;
    if (NT_SUCCESS(link_unlink(link)))
        return true;
    link->delete_pending = false; /* something was made in the folder meanwhile */
    return false;
}

NTSTATUS fs_cleanup(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    struct open *open = open_of(stack->FileObject);
    struct stream *stream = open->stream;
    PFILE_OBJECT file = NULL;
    UNREFERENCED_PARAMETER(irp);
    range_forget(stream, stack->FileObject);
    pthread_mutex_lock(&volume->names);
    if (open->cleaned) {
        fs_unlock_names(volume);
        return STATUS_SUCCESS;
    }
    open->cleaned = true;
    fs_count_share(open, -1);
    bool removed = cleanup_names(open);
    if (volume->locked_by == stack->FileObject)
        volume->locked_by = NULL;
    bool last = stream->handles == 0;
    if (last && (stream->deleted || stream->node->gone))
        cache_truncate(stream, 0);
    fs_unlock_names(volume);
    if (removed)
        fs_names_changed(volume, stack->FileObject);
    if (last)
        cache_last_cleanup(stream, &file);
    if (file != NULL)
        ob_dereference(file);
    return STATUS_SUCCESS;
}

static void forget_scan(struct scan *scan)
{
    for (unsigned i = 0; i < scan->count; i++)
        free(scan->names[i]);
    free(scan->names);
    free(scan->pattern);
}

NTSTATUS fs_close(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    PFILE_OBJECT file = stack->FileObject;
    struct open *open = open_of(file);
    struct garbage garbage = {0};
    UNREFERENCED_PARAMETER(irp);
    if (!open->cleaned) /* a stream file object, or one that failed above us */
        fs_cleanup(device, irp, stack);
    pthread_mutex_lock(&volume->names);
    if (open->link != NULL)
        link_release(open->link);
    stream_release(open->stream, &garbage);
    fs_unlock_names(volume);
    forget_scan(&open->scan);
    pthread_mutex_destroy(&open->scan_mutex);
    free(open);
    file->FsContext = file->FsContext2 = NULL;
    file->SectionObjectPointer = NULL;
    fs_collect_garbage(&garbage);
    atomic_fetch_sub(&volume->counters.open_files, 1);
    return STATUS_SUCCESS;
}
