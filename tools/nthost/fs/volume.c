/*
 * Mounting, the driver object and its dispatch; see nthost/fs.h.
 */
#include "hint.h"
#include <nthost/export.h>
#include <nthost/io.h>
#include <nthost/module.h>
#include <nthost/utf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "../executive/thread.h"
#include "../io/ob.h"

PDRIVER_OBJECT fs_driver;
static struct fs_volume *volumes;
static struct fs_listener *listeners;
static pthread_mutex_t volumes_mutex = PTHREAD_MUTEX_INITIALIZER;
static FAST_IO_DISPATCH fast_io;

/* Inside a driver's context only the scheduler may take the processor; a system call that sleeps
 * would keep it. */
void fs_block_begin(void)
{
    if (!sched_det)
        sched->drop_slot(nt_self);
}

void fs_block_end(void)
{
    if (!sched_det)
        sched->take_slot(nt_self);
}

void fs_close_later(struct fs_volume *volume, int fd)
{
    if (volume->closing_count == volume->closing_room) {
        unsigned room = volume->closing_room ? volume->closing_room * 2 : 16;
        int *closing = realloc(volume->closing, room * sizeof(*closing));
        if (closing == NULL) {
            close(fd);
            return;
        }
        volume->closing = closing;
        volume->closing_room = room;
    }
    volume->closing[volume->closing_count++] = fd;
}

void fs_unlock_names(struct fs_volume *volume)
{
    int few[16];
    unsigned count = volume->closing_count < 16 ? volume->closing_count : 16;
    volume->closing_count -= count;
    for (unsigned i = 0; i < count; i++)
        few[i] = volume->closing[volume->closing_count + i];
    pthread_mutex_unlock(&volume->names);
    if (count == 0)
        return;
    fs_block_begin();
    for (unsigned i = 0; i < count; i++)
        close(few[i]);
    fs_block_end();
}

static fs_handler *const handlers[IRP_MJ_MAXIMUM_FUNCTION + 1] = {
    [IRP_MJ_CREATE] = fs_create,
    [IRP_MJ_CLEANUP] = fs_cleanup,
    [IRP_MJ_CLOSE] = fs_close,
    [IRP_MJ_READ] = fs_read,
    [IRP_MJ_WRITE] = fs_write,
    [IRP_MJ_QUERY_INFORMATION] = fs_query,
    [IRP_MJ_SET_INFORMATION] = fs_set,
    [IRP_MJ_QUERY_EA] = fs_query_ea,
    [IRP_MJ_SET_EA] = fs_set_ea,
    [IRP_MJ_FLUSH_BUFFERS] = fs_flush,
    [IRP_MJ_QUERY_VOLUME_INFORMATION] = fs_query_volume,
    [IRP_MJ_SET_VOLUME_INFORMATION] = fs_set_volume,
    [IRP_MJ_DIRECTORY_CONTROL] = fs_directory,
    [IRP_MJ_FILE_SYSTEM_CONTROL] = fs_fsctl,
    [IRP_MJ_LOCK_CONTROL] = fs_lock_control,
    [IRP_MJ_QUERY_SECURITY] = fs_query_security,
    [IRP_MJ_SET_SECURITY] = fs_set_security,
};

static NTSTATUS NTAPI dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    UCHAR major = stack->MajorFunction;
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;
    irp->IoStatus.Information = 0;
    if (handlers[major] != NULL && stack->FileObject != NULL &&
        (major == IRP_MJ_CREATE || open_of(stack->FileObject) != NULL))
        status = irp->RequestorMode == UserMode ? fs_check_granted(irp, stack) : STATUS_SUCCESS;
    if (NT_SUCCESS(status))
        status = handlers[major](device, irp, stack);
    if (status == STATUS_PENDING)
        return status;
    irp->IoStatus.Status = status;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static void create_driver(void)
{
    fs_driver = io_create_driver("Ntfs");
    if (fs_driver == NULL)
        abort();
    for (unsigned i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        fs_driver->MajorFunction[i] = dispatch;
    fast_io.SizeOfFastIoDispatch = sizeof(fast_io);
    fs_data_fast_io(&fast_io);
    fs_query_fast_io(&fast_io);
    fs_driver->FastIoDispatch = &fast_io;
    umask(0); /* a new file's mode is what its creator said; the host's own say theirs in full */
}

static NTSTATUS fail(NTSTATUS status, char *error, size_t size, const char *folder, const char *why)
{
    snprintf(error, size, "%s: %s", folder, why);
    return status;
}

/* Names: the device, a drive and a GUID that follows from the folder. */

static NTSTATUS make_name(UNICODE_STRING *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static NTSTATUS make_name(UNICODE_STRING *out, const char *format, ...)
{
    char text[96];
    WCHAR wide[96];
    unsigned chars = 0;
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    for (; text[chars] != 0; chars++)
        wide[chars] = (WCHAR)text[chars];
    return ob_copy_string(out, wide, chars);
}

static bool number_is_free(unsigned number)
{
    UNICODE_STRING name;
    void *object;
    if (!NT_SUCCESS(make_name(&name, "\\Device\\HarddiskVolume%u", number)))
        return false;
    bool found = NT_SUCCESS(ob_lookup(&name, &object, NULL));
    if (found)
        ob_dereference(object);
    RtlFreeUnicodeString(&name);
    return !found;
}

static NTSTATUS name_volume(struct fs_volume *volume, const struct fs_mount_options *options)
{
    UNICODE_STRING sddl = RTL_CONSTANT_STRING(L"D:P(A;;GA;;;WD)");
    unsigned long long id = volume->serial;
    volume->number = options->number;
    for (unsigned n = 2; volume->number == 0; n++)
        if (number_is_free(n))
            volume->number = n;
    NTSTATUS status = make_name(&volume->name, "\\Device\\HarddiskVolume%u", volume->number);
    if (NT_SUCCESS(status))
        status =
            io_create_device_secure(fs_driver, sizeof(volume), &volume->name,
                                    FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE, &sddl, &volume->device);
    if (!NT_SUCCESS(status))
        return status;
    *(struct fs_volume **)volume->device->DeviceExtension = volume;
    volume->device->SectorSize = FS_SECTOR;
    volume->device->Vpb = &volume->vpb;
    volume->vpb.Type = IO_TYPE_VPB;
    volume->vpb.Size = sizeof(volume->vpb);
    volume->vpb.Flags = VPB_MOUNTED;
    volume->vpb.DeviceObject = volume->vpb.RealDevice = volume->device;
    volume->vpb.SerialNumber = (ULONG)volume->serial;
    volume->vpb.VolumeLabelLength = (USHORT)(volume->label_chars * sizeof(WCHAR));
    memcpy(volume->vpb.VolumeLabel, volume->label, volume->label_chars * sizeof(WCHAR));
    status = make_name(&volume->guid_link, "\\??\\Volume{%08llx-%04llx-%04llx-8000-%012x}",
                       id & 0xffffffff, id >> 32 & 0xffff, id >> 48, volume->number);
    if (NT_SUCCESS(status))
        status = ob_link_create(&volume->guid_link, &volume->name);
    if (NT_SUCCESS(status) && options->drive != 0) {
        status = make_name(&volume->drive_link, "\\??\\%c:", options->drive);
        if (NT_SUCCESS(status))
            status = ob_link_create(&volume->drive_link, &volume->name);
    }
    return status;
}

static void drop_link(UNICODE_STRING *name)
{
    void *link;
    if (name->Buffer == NULL)
        return;
    if (NT_SUCCESS(ob_lookup_link(name, &link))) {
        ob_remove_name(link);
        ob_dereference(link);
    }
    RtlFreeUnicodeString(name);
}

static void destroy(struct fs_volume *volume)
{
    if (volume->device != NULL)
        IoDeleteDevice(volume->device);
    drop_link(&volume->drive_link);
    drop_link(&volume->guid_link);
    RtlFreeUnicodeString(&volume->name);
    if (volume->root != NULL)
        node_release(volume->root);
    while (volume->closing_count != 0)
        close(volume->closing[--volume->closing_count]);
    free(volume->closing);
    if (volume->store_fd >= 0)
        close(volume->store_fd);
    if (volume->root_fd >= 0)
        close(volume->root_fd);
    hint_destroy(volume);
    free(volume->nodes.buckets);
    free(volume->links.buckets);
    pthread_mutex_destroy(&volume->names);
    free(volume);
}

static NTSTATUS open_folder(struct fs_volume *volume, const char *folder)
{
    struct stat st;
    volume->root_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (volume->root_fd < 0 || fstat(volume->root_fd, &st) != 0)
        return fs_status_of(errno);
    volume->dev = st.st_dev;
    volume->store_fd =
        openat(volume->root_fd, FS_STORE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    volume->root = node_root(volume);
    if (volume->root == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    /* The serial number lasts as long as the root folder does. */
    volume->serial =
        (st.st_ino ^ (uint64_t)node_generation(volume->root) << 32) * 0x9e3779b97f4a7c15ull;
    return STATUS_SUCCESS;
}

struct fs_volume *fs_mount(const struct fs_mount_options *options, NTSTATUS *status, char *error,
                           size_t error_size)
{
    struct fs_volume *volume = calloc(1, sizeof(*volume));
    if (volume == NULL) {
        *status =
            fail(STATUS_INSUFFICIENT_RESOURCES, error, error_size, options->folder, "no memory");
        return NULL;
    }
    if (fs_driver == NULL)
        create_driver();
    pthread_mutex_init(&volume->names, NULL);
    volume->root_fd = volume->store_fd = -1;
    volume->read_only = options->read_only;
    volume->atime = options->atime;
    for (const char *at = options->label; at != NULL && *at != 0 && volume->label_chars < 32; at++)
        volume->label[volume->label_chars++] = (WCHAR)(unsigned char)*at;
    *status = open_folder(volume, options->folder);
    if (!NT_SUCCESS(*status)) {
        fail(*status, error, error_size, options->folder, strerror(errno));
        destroy(volume);
        return NULL;
    }
    *status = name_volume(volume, options);
    if (!NT_SUCCESS(*status)) {
        fail(*status, error, error_size, options->folder, "the volume's names are taken");
        destroy(volume);
        return NULL;
    }
    cache_start(volume, &options->cache);
    volume->device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    pthread_mutex_lock(&volumes_mutex);
    volume->next = volumes;
    volumes = volume;
    struct fs_listener *listener = listeners;
    pthread_mutex_unlock(&volumes_mutex);
    for (; listener != NULL; listener = listener->next)
        listener->mounted(listener->context, volume->device);
    return volume;
}

NTSTATUS fs_unmount(struct fs_volume *volume)
{
    fs_cache_drain(volume);
    pthread_mutex_lock(&volume->names);
    bool busy = atomic_load(&volume->counters.open_files) != 0;
    if (!busy)
        volume->dismounted = true;
    pthread_mutex_unlock(&volume->names);
    if (busy)
        return STATUS_ACCESS_DENIED;
    pthread_mutex_lock(&volumes_mutex);
    struct fs_volume **at = &volumes;
    while (*at != volume)
        at = &(*at)->next;
    *at = volume->next;
    struct fs_listener *listener = listeners;
    pthread_mutex_unlock(&volumes_mutex);
    for (; listener != NULL; listener = listener->next)
        listener->dismounting(listener->context, volume->device);
    cache_stop(volume);
    destroy(volume);
    return STATUS_SUCCESS;
}

/* Listeners come and go with FltMgr, not while volumes do. */
void fs_listen(struct fs_listener *listener)
{
    pthread_mutex_lock(&volumes_mutex);
    listener->next = listeners;
    listeners = listener;
    struct fs_volume *volume = volumes;
    pthread_mutex_unlock(&volumes_mutex);
    for (; volume != NULL; volume = volume->next)
        listener->mounted(listener->context, volume->device);
}

void fs_unlisten(struct fs_listener *listener)
{
    pthread_mutex_lock(&volumes_mutex);
    struct fs_listener **at = &listeners;
    while (*at != NULL && *at != listener)
        at = &(*at)->next;
    if (*at != NULL)
        *at = listener->next;
    pthread_mutex_unlock(&volumes_mutex);
}

void fs_watch(struct fs_volume *volume, void (*changed)(void *context, uint64_t inode),
              void (*names_changed)(void *context, PFILE_OBJECT file), void *context)
{
    volume->changed_context = context;
    volume->names_changed = names_changed;
    volume->changed = changed;
}

PDEVICE_OBJECT fs_device(const struct fs_volume *volume)
{
    return volume->device;
}

struct fs_volume *fs_volume_of(PDEVICE_OBJECT device)
{
    return fs_driver != NULL && device->DriverObject == fs_driver ? volume_of(device) : NULL;
}

const UNICODE_STRING *fs_device_name(const struct fs_volume *volume)
{
    return &volume->name;
}

void fs_statistics(const struct fs_volume *volume, struct fs_statistics *out)
{
    const struct counters *c = &volume->counters;
    *out = (struct fs_statistics){
        .opens = c->opens,
        .reads = c->reads,
        .writes = c->writes,
        .fast_reads = c->fast_reads,
        .fast_writes = c->fast_writes,
        .lazy_writes = c->lazy_writes,
        .lazy_pages = c->lazy_pages,
        .mapped_writes = c->mapped_writes,
        .mapped_pages = c->mapped_pages,
        .after_cleanup = c->after_cleanup,
        .paging_writes = c->paging_writes,
        .paging_writes_of_others = c->others_paging,
        .paging_failures = c->paging_failures,
        .dirty_pages = c->dirty,
        .dirty_mapped = c->mapped_dirty,
        .open_files = c->open_files,
        .open_streams = c->open_streams,
    };
}

/* Volumes that are left mounted at the end are a mistake of whoever mounted them. */
static void fs_stop(void)
{
    if (fs_driver == NULL)
        return;
    nt_enter();
    while (volumes != NULL)
        if (!NT_SUCCESS(fs_unmount(volumes)))
            vf_violation(VfObjectLeak, "a volume still has open files when the host stops");
    io_delete_driver(fs_driver);
    fs_driver = NULL;
    nt_leave();
}

static void fs_start(const struct nt_options *options)
{
    UNREFERENCED_PARAMETER(options);
    listeners = NULL;
}

NT_MODULE(fs, NT_ORDER_IO + 1, fs_start, fs_stop);
