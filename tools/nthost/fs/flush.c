/*
 * IRP_MJ_FLUSH_BUFFERS: what is dirty goes down the stack as paging writes; then the data, and the
 * name if it is new, are made durable.
 */
#include "fsp.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int sync_fd(int fd, bool data_only)
{
    fs_block_begin();
    int error = (data_only ? fdatasync(fd) : fsync(fd)) == 0 ? 0 : errno;
    fs_block_end();
    return error;
}

/* A descriptor of the folder that can be synced. */
static int folder_fd(struct node *folder)
{
    return openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

NTSTATUS fs_flush(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    struct open *open = open_of(stack->FileObject);
    struct stream *stream = open->stream;
    UCHAR minor = stack->MinorFunction;
    int error = 0, folder = -1;
    UNREFERENCED_PARAMETER(irp);
    if (open->is_volume) {
        fs_block_begin();
        error = syncfs(volume->root_fd) == 0 ? 0 : errno;
        fs_block_end();
        return fs_status_of(error);
    }
    if (is_directory(stream->node) && stream->name[0] == 0) {
        folder = folder_fd(stream->node);
        if (folder >= 0) {
            error = sync_fd(folder, false);
            close(folder);
        }
        return fs_status_of(error == EINVAL ? 0 : error);
    }
    NTSTATUS status = cache_flush(stream, 0, 0);
    if (!NT_SUCCESS(status) || minor == IRP_MN_FLUSH_NO_SYNC)
        return status;
    if (stream->fd >= 0) {
        atomic_store_explicit(&stream->modified, false, memory_order_relaxed);
        error = sync_fd(stream->fd,
                        minor == IRP_MN_FLUSH_DATA_ONLY || minor == IRP_MN_FLUSH_DATA_SYNC_ONLY);
    }
    if (error != 0 || minor == IRP_MN_FLUSH_DATA_ONLY || minor == IRP_MN_FLUSH_DATA_SYNC_ONLY)
        return fs_status_of(error);
    int folders[2] = {-1, -1};
    pthread_mutex_lock(&volume->names);
    struct link *link = open->link;
    struct node *linked_in = stream->node->linked_in;
    if (link != NULL && link->name_is_new && !link->unlinked) {
        folders[0] = folder_fd(link->parent);
        link->name_is_new = false;
    }
    stream->node->linked_in = NULL;
    if (linked_in != NULL) {
        folders[1] = folder_fd(linked_in);
        node_release(linked_in);
    }
    fs_unlock_names(volume);
    for (unsigned i = 0; i < 2; i++) {
        if (folders[i] < 0)
            continue;
        int failed = sync_fd(folders[i], false);
        close(folders[i]);
        if (failed != 0)
            error = failed;
    }
    if (error != 0 && link != NULL)
        link->name_is_new = true;
    return fs_status_of(error);
}
