/*
 * Operations that end elsewhere: a device below that pends every IRP and completes it from a DPC;
 * cancellation; a filter's own files and asynchronous I/O.
 */
#include "bench.h"
#include <nthost/io.h>
#include <stdlib.h>

/* The device */

static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT device;
static KTIMER timer;
static KDPC dpc;
static LIST_ENTRY waiting;
static KSPIN_LOCK waiting_lock;

static NTSTATUS NTAPI pend(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    LARGE_INTEGER soon = {.QuadPart = -200000};
    KIRQL irql;
    UNREFERENCED_PARAMETER(DeviceObject);
    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&waiting_lock, &irql);
    InsertTailList(&waiting, &Irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&waiting_lock, irql);
    KeSetTimer(&timer, soon, &dpc);
    return STATUS_PENDING;
}

static VOID NTAPI complete_all(PKDPC Dpc, PVOID Context, PVOID A, PVOID B)
{
    (void)Dpc, (void)Context, (void)A, (void)B;
    for (;;) {
        KIRQL irql;
        KeAcquireSpinLock(&waiting_lock, &irql);
        LIST_ENTRY *e = IsListEmpty(&waiting) ? NULL : RemoveHeadList(&waiting);
        KeReleaseSpinLock(&waiting_lock, irql);
        if (e == NULL)
            return;
        PIRP irp = CONTAINING_RECORD(e, IRP, Tail.Overlay.ListEntry);
        irp->IoStatus.Status = STATUS_SUCCESS;
        irp->IoStatus.Information = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
        IofCompleteRequest(irp, IO_NO_INCREMENT);
    }
}

static bool slow_open(struct bench *b, uint64_t seed)
{
    static UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\SlowVolume");
    bench_open(b, NT_DETERMINISTIC, seed);
    InitializeListHead(&waiting);
    KeInitializeSpinLock(&waiting_lock);
    KeInitializeTimer(&timer);
    KeInitializeDpc(&dpc, complete_all, NULL);
    driver = io_create_driver("slow");
    driver->MajorFunction[IRP_MJ_WRITE] = pend;
    if (!is_status(io_create_device_secure(driver, 0, &name, FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE,
                                           NULL, &device),
                   STATUS_SUCCESS))
        return false;
    device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    return is_status(flt_volume_attach(device, &name), STATUS_SUCCESS) &&
           NT_SUCCESS(bench_load(b, UPPER)) && NT_SUCCESS(bench_load(b, LOWER));
}

static void slow_close(struct bench *b)
{
    bench_unload(b, UPPER);
    bench_unload(b, LOWER);
    flt_volume_detach(device);
    io_delete_driver(driver);
    bench_close(b);
}

static NTSTATUS slow_write(IO_STATUS_BLOCK *iosb)
{
    static char data[8];
    KEVENT event;
    LARGE_INTEGER offset = {.QuadPart = 0};
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    PIRP irp = IoBuildSynchronousFsdRequest(IRP_MJ_WRITE, device->AttachedDevice, data,
                                            sizeof(data), &offset, &event, iosb);
    NTSTATUS status = IofCallDriver(device->AttachedDevice, irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
        status = iosb->Status;
    }
    return status;
}

NT_TEST(completion_at_dispatch_level)
{
    static const UINT32 actions[] = {ProbePass, ProbeWatch, ProbeSynchronize, ProbePend,
                                     ProbePendEarly};
    static const UINT32 posts[] = {ProbeFinish, ProbePostPend, ProbePostPendEarly, ProbePostSafe};
    for (unsigned seed = 0; seed < 2; seed++) {
        struct bench b;
        need(slow_open(&b, tap_seed() + seed));
        for (unsigned n = 0; n < 5 * 5 * 16; n++) {
            PROBE_RULE *r[2] = {watch(&b, UPPER, IRP_MJ_WRITE), watch(&b, LOWER, IRP_MJ_WRITE)};
            unsigned a[2] = {n % 5, n / 5 % 5}, p[2] = {n / 25 % 4, n / 100 % 4};
            IO_STATUS_BLOCK iosb = {.Information = 0};
            tap_at("seed %u, case %u", seed, n);
            forget(&b);
            for (unsigned i = 0; i < 2; i++) {
                r[i]->Action = actions[a[i]];
                r[i]->Then = FLT_PREOP_SUCCESS_WITH_CALLBACK;
                r[i]->Post = posts[p[i]];
            }
            is_status(slow_write(&iosb), STATUS_SUCCESS);
            is_int(iosb.Information, 8);
            for (unsigned i = 0; i < 2; i++) {
                is_int(events(&b, ProbePost, i, IRP_MJ_WRITE), a[i] == 0 ? 0 : p[i] == 3 ? 2 : 1);
                const PROBE_EVENT *pre = event(&b, ProbePre, i, IRP_MJ_WRITE, 0);
                const PROBE_EVENT *post = event(&b, ProbePost, i, IRP_MJ_WRITE, 0);
                if (a[i] == 2) {
                    is_int(post->Irql, PASSIVE_LEVEL, "synchronized");
                    ok(pre->Thread == post->Thread || a[0] == 3);
                }
                if (a[i] != 0 && p[i] == 3)
                    is_int(event(&b, ProbePost, i, IRP_MJ_WRITE, 1)->Irql, PASSIVE_LEVEL);
                if (i == LOWER && a[i] == 1)
                    is_int(post->Irql, DISPATCH_LEVEL, "straight from the DPC");
            }
            if (tap_failing())
                break;
        }
        tap_at(NULL);
        slow_close(&b);
    }
}

/* A filter's own I/O */

struct own {
    PFLT_FILTER filter;
    PFLT_VOLUME volume;
    PFLT_INSTANCE instance;
};

static bool own_open(struct bench *b, struct own *own)
{
    UNICODE_STRING c = RTL_CONSTANT_STRING(L"C:");
    bench_open(b, NT_DETERMINISTIC, tap_seed());
    if (!NT_SUCCESS(bench_load(b, UPPER)) || !NT_SUCCESS(bench_load(b, LOWER)))
        return false;
    own->filter = (PFLT_FILTER)(ULONG_PTR)b->shared->Filter[UPPER];
    return is_status(FltGetVolumeFromName(own->filter, &c, &own->volume), STATUS_SUCCESS) &&
           is_status(FltGetVolumeInstanceFromName(own->filter, own->volume, NULL, &own->instance),
                     STATUS_SUCCESS);
}

static void own_close(struct bench *b, struct own *own)
{
    FltObjectDereference(own->instance);
    FltObjectDereference(own->volume);
    bench_close(b);
}

NT_TEST(own_files_are_known_below_only)
{
    struct bench b;
    struct own own;
    static const UCHAR majors[] = {IRP_MJ_CREATE,          IRP_MJ_WRITE,   IRP_MJ_READ,
                                   IRP_MJ_SET_INFORMATION, IRP_MJ_CLEANUP, IRP_MJ_CLOSE};
    need(own_open(&b, &own));
    for (unsigned i = 0; i < ARRAYSIZE(majors); i++) {
        watch(&b, UPPER, majors[i]);
        watch(&b, LOWER, majors[i]);
    }
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\??\\C:\\own.txt");
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;
    HANDLE handle;
    PFILE_OBJECT file;
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               NULL);
    need(is_status(FltCreateFileEx2(own.filter, own.instance, &handle, &file,
                                    GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE, &attributes, &iosb,
                                    NULL, 0, FILE_SHARE_READ, FILE_OVERWRITE_IF,
                                    FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, 0, NULL),
                   STATUS_SUCCESS));
    is_int(iosb.Information, FILE_CREATED);
    LARGE_INTEGER at = {.QuadPart = 0};
    ULONG done;
    char text[16] = "";
    is_status(FltWriteFile(own.instance, file, &at, 5, "hello", 0, &done, NULL, NULL),
              STATUS_SUCCESS);
    is_int(done, 5);
    is_int(file->CurrentByteOffset.QuadPart, 5);
    is_status(
        FltReadFile(own.instance, file, &at, sizeof(text), text,
                    FLTFL_IO_OPERATION_NON_CACHED | FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET,
                    &done, NULL, NULL),
        STATUS_SUCCESS);
    is_int(done, 5);
    is_str(text, "hello");
    is_int(file->CurrentByteOffset.QuadPart, 5);
    const PROBE_EVENT *read = event(&b, ProbePre, LOWER, IRP_MJ_READ, 0);
    need(read);
    ok(read->IrpFlags & IRP_NOCACHE);
    /* By its handle, too */
    is_status(file_write(handle, 0, "HELLO"), STATUS_SUCCESS);
    FILE_END_OF_FILE_INFORMATION end = {.EndOfFile.QuadPart = 3};
    is_status(
        FltSetInformationFile(own.instance, file, &end, sizeof(end), FileEndOfFileInformation),
        STATUS_SUCCESS);
    FILE_STANDARD_INFORMATION standard;
    is_status(FltQueryInformationFile(own.instance, file, &standard, sizeof(standard),
                                      FileStandardInformation, &done),
              STATUS_SUCCESS);
    is_int(standard.EndOfFile.QuadPart, 3);
    is_status(FltFlushBuffers(own.instance, file), STATUS_SUCCESS);
    is_status(FltClose(handle), STATUS_SUCCESS);
    ObfDereferenceObject(file);
    for (unsigned i = 0; i < ARRAYSIZE(majors); i++) {
        is_int(events(&b, ProbePre, UPPER, majors[i]), 0, "0x%02x", majors[i]);
        ok(events(&b, ProbePre, LOWER, majors[i]) > 0, "0x%02x", majors[i]);
        is_int(events(&b, ProbePre, LOWER, majors[i]), events(&b, ProbePost, LOWER, majors[i]));
    }
    own_close(&b, &own);
}

static NTSTATUS async_status;
static ULONG_PTR async_bytes;
static unsigned async_calls;

static VOID NTAPI read_done(PFLT_CALLBACK_DATA data, PFLT_CONTEXT context)
{
    async_calls++;
    async_status = data->IoStatus.Status;
    async_bytes = data->IoStatus.Information;
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
}

NT_TEST(asynchronous_reads)
{
    struct bench b;
    struct own own;
    char text[16] = "";
    KEVENT event;
    LARGE_INTEGER at = {.QuadPart = 2};
    need(own_open(&b, &own));
    HANDLE handle = file_new("\\a.txt");
    is_status(file_write(handle, 0, "abcdef"), STATUS_SUCCESS);
    rule(&b, LOWER, IRP_MJ_READ)->Action = ProbePend;
    rule(&b, LOWER, IRP_MJ_READ)->Post = ProbePostPend;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    async_calls = 0;
    is_status(FltReadFile(own.instance, file_object(handle), &at, sizeof(text), text, 0, NULL,
                          read_done, &event),
              STATUS_PENDING);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
    is_int(async_calls, 1);
    is_status(async_status, STATUS_SUCCESS);
    is_int(async_bytes, 4);
    is_str(text, "cdef");
    ZwClose(handle);
    own_close(&b, &own);
}

/* Cancelling what a filter holds */

static PFLT_CALLBACK_DATA held;
static FLT_CALLBACK_DATA_QUEUE queue;
static LIST_ENTRY queued;
static KSPIN_LOCK queue_lock;

static NTSTATUS NTAPI insert_io(PFLT_CALLBACK_DATA_QUEUE q, PFLT_CALLBACK_DATA data, PVOID context)
{
    (void)q, (void)context;
    InsertTailList(&queued, &data->QueueLinks);
    return STATUS_SUCCESS;
}

static VOID NTAPI remove_io(PFLT_CALLBACK_DATA_QUEUE q, PFLT_CALLBACK_DATA data)
{
    (void)q;
    RemoveEntryList(&data->QueueLinks);
}

static PFLT_CALLBACK_DATA NTAPI peek_io(PFLT_CALLBACK_DATA_QUEUE q, PFLT_CALLBACK_DATA after,
                                        PVOID context)
{
    (void)q, (void)context;
    LIST_ENTRY *e = after ? after->QueueLinks.Flink : queued.Flink;
    return e == &queued ? NULL : CONTAINING_RECORD(e, FLT_CALLBACK_DATA, QueueLinks);
}

static VOID NTAPI acquire(PFLT_CALLBACK_DATA_QUEUE q, PKIRQL irql)
{
    (void)q;
    KeAcquireSpinLock(&queue_lock, irql);
}

static VOID NTAPI release(PFLT_CALLBACK_DATA_QUEUE q, KIRQL irql)
{
    (void)q;
    KeReleaseSpinLock(&queue_lock, irql);
}

static VOID NTAPI complete_cancelled(PFLT_CALLBACK_DATA_QUEUE q, PFLT_CALLBACK_DATA data)
{
    (void)q;
    data->IoStatus.Status = STATUS_CANCELLED;
    data->IoStatus.Information = 0;
    FltCompletePendedPreOperation(data, FLT_PREOP_COMPLETE, NULL);
}

static VOID NTAPI cancelled(PFLT_CALLBACK_DATA data)
{
    complete_cancelled(NULL, data);
}

struct slow {
    IO_STATUS_BLOCK iosb;
    PIRP irp;
    KEVENT event;
};

/* A write that fltlower holds; the test stands in for what that would do with it. */
static void start_held(struct bench *b, struct slow *s)
{
    static char data[8];
    LARGE_INTEGER offset = {.QuadPart = 0};
    rule(b, LOWER, IRP_MJ_WRITE)->Action = ProbePendHold;
    KeInitializeEvent(&s->event, NotificationEvent, FALSE);
    s->irp = IoBuildSynchronousFsdRequest(IRP_MJ_WRITE, device->AttachedDevice, data, sizeof(data),
                                          &offset, &s->event, &s->iosb);
    is_status(IofCallDriver(device->AttachedDevice, s->irp), STATUS_PENDING);
    held = (PFLT_CALLBACK_DATA)(ULONG_PTR)b->shared->HeldData;
    b->shared->HeldData = 0;
    need(held != NULL);
}

NT_TEST(cancellation)
{
    struct bench b;
    struct slow s;
    need(slow_open(&b, tap_seed()));
    watch(&b, UPPER, IRP_MJ_WRITE);
    InitializeListHead(&queued);
    KeInitializeSpinLock(&queue_lock);
    PFLT_FILTER filter = (PFLT_FILTER)(ULONG_PTR)b.shared->Filter[LOWER];
    PFLT_VOLUME volume;
    PFLT_INSTANCE instance;
    need(NT_SUCCESS(FltGetVolumeFromDeviceObject(filter, device, &volume)));
    need(NT_SUCCESS(FltGetVolumeInstanceFromName(filter, volume, NULL, &instance)));
    FltCbdqInitialize(instance, &queue, insert_io, remove_io, peek_io, acquire, release,
                      complete_cancelled);
    /* Queued and cancelled */
    start_held(&b, &s);
    is_status(FltCbdqInsertIo(&queue, held, NULL, NULL), STATUS_SUCCESS);
    ok(!FltIsIoCanceled(held));
    ok(IoCancelIrp(s.irp));
    KeWaitForSingleObject(&s.event, Executive, KernelMode, FALSE, NULL);
    is_status(s.iosb.Status, STATUS_CANCELLED);
    is_status(event(&b, ProbePost, UPPER, IRP_MJ_WRITE, 0)->Status, STATUS_CANCELLED);
    ok(IsListEmpty(&queued));
    /* Queued and taken out */
    start_held(&b, &s);
    is_status(FltCbdqInsertIo(&queue, held, NULL, NULL), STATUS_SUCCESS);
    ok(FltCbdqRemoveNextIo(&queue, NULL) == held);
    ok(FltCbdqRemoveNextIo(&queue, NULL) == NULL);
    FltCompletePendedPreOperation(held, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    KeWaitForSingleObject(&s.event, Executive, KernelMode, FALSE, NULL);
    is_status(s.iosb.Status, STATUS_SUCCESS);
    /* By a context; and a queue that is disabled */
    FLT_CALLBACK_DATA_QUEUE_IO_CONTEXT context;
    start_held(&b, &s);
    FltCbdqDisable(&queue);
    is_status(FltCbdqInsertIo(&queue, held, &context, NULL), STATUS_FLT_CBDQ_DISABLED);
    FltCbdqEnable(&queue);
    is_status(FltCbdqInsertIo(&queue, held, &context, NULL), STATUS_SUCCESS);
    ok(FltCbdqRemoveIo(&queue, &context) == held);
    ok(FltCbdqRemoveIo(&queue, &context) == NULL);
    /* A completion for the cancellation */
    is_status(FltSetCancelCompletion(held, cancelled), STATUS_SUCCESS);
    is_status(FltClearCancelCompletion(held), STATUS_SUCCESS);
    is_status(FltSetCancelCompletion(held, cancelled), STATUS_SUCCESS);
    ok(FltCancelIo(held));
    KeWaitForSingleObject(&s.event, Executive, KernelMode, FALSE, NULL);
    is_status(s.iosb.Status, STATUS_CANCELLED);
    /* Cancelled before it is queued */
    start_held(&b, &s);
    IoCancelIrp(s.irp);
    ok(FltIsIoCanceled(held));
    is_status(FltSetCancelCompletion(held, cancelled), STATUS_CANCELLED);
    FltCbdqInsertIo(&queue, held, NULL, NULL);
    KeWaitForSingleObject(&s.event, Executive, KernelMode, FALSE, NULL);
    is_status(s.iosb.Status, STATUS_CANCELLED);
    FltObjectDereference(instance);
    FltObjectDereference(volume);
    slow_close(&b);
}
