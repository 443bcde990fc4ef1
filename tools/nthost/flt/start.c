/*
 * Start and stop of the filter manager: its driver object, and drive C:, which it attaches to.
 */
#include "context.h"
#include "fsfilter.h"
#include "op.h"
#include <nthost/fs.h>
#include <nthost/io.h>
#include <nthost/module.h>
#include <nthost/object.h>
#include <nthost/sched.h>
#include <stdlib.h>

PDRIVER_OBJECT flt_driver;
LIST_ENTRY flt_filters, flt_volumes;
static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;

void flt_lock(void)
{
    pthread_mutex_lock(&list_mutex);
}

void flt_unlock(void)
{
    pthread_mutex_unlock(&list_mutex);
}

/* The gate */

static KEVENT gate;
static struct nt_thread *_Atomic gate_owner;
static unsigned gate_depth;

void flt_gate_enter(void)
{
    if (gate_owner != nt_self) {
        KeWaitForSingleObject(&gate, Executive, KernelMode, FALSE, NULL);
        gate_owner = nt_self;
    }
    gate_depth++;
}

void flt_gate_leave(void)
{
    if (--gate_depth != 0)
        return;
    gate_owner = NULL;
    KeSetEvent(&gate, IO_NO_INCREMENT, FALSE);
}

/* Volumes of the file system */

static void mounted(void *context, PDEVICE_OBJECT device)
{
    UNREFERENCED_PARAMETER(context);
    flt_volume_attach(device, fs_device_name(fs_volume_of(device)));
}

static void dismounting(void *context, PDEVICE_OBJECT device)
{
    UNREFERENCED_PARAMETER(context);
    flt_volume_detach(device);
}

static struct fs_listener listener = {.mounted = mounted, .dismounting = dismounting};

static void attach_drive_c(void)
{
    static UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\HarddiskVolume1");
    void *device;
    if (!NT_SUCCESS(ob_lookup(&name, &device, NULL)))
        return;
    flt_volume_attach(device, &name);
    ob_dereference(device);
}

static void start(const struct nt_options *options)
{
    static bool registered;
    UNREFERENCED_PARAMETER(options);
    InitializeListHead(&flt_filters);
    InitializeListHead(&flt_volumes);
    nt_enter();
    KeInitializeEvent(&gate, SynchronizationEvent, TRUE);
    flt_driver = io_create_driver("fltmgr");
    if (flt_driver == NULL)
        abort();
    for (unsigned i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        flt_driver->MajorFunction[i] = flt_dispatch_routine();
    flt_driver->FastIoDispatch = flt_fast_io_table();
    FsRtlRegisterFileSystemFilterCallbacks(flt_driver,
                                           (PFS_FILTER_CALLBACKS)&flt_fs_filter_callbacks);
    flt_op_start();
    flt_streams_start();
    if (!registered)
        flt_verify_start();
    registered = true;
    if (io_state_dir() != NULL)
        attach_drive_c();
    fs_listen(&listener);
    nt_leave();
}

static void stop(void)
{
    nt_enter();
    fs_unlisten(&listener);
    while (!IsListEmpty(&flt_volumes)) {
        PFLT_VOLUME volume = CONTAINING_RECORD(flt_volumes.Flink, struct _FLT_VOLUME, link);
        flt_volume_detach(volume->file_system);
    }
    io_delete_driver(flt_driver);
    flt_driver = NULL;
    flt_op_stop();
    nt_leave();
}

NT_MODULE(fltmgr, NT_ORDER_FLT, start, stop);
