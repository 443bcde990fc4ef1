/* What drivers ask of NDIS beside frames: configuration, locks, timers, work items, events. */
#include "common.h"
#include "stack.h"
#include <nthost/registry.h>

static NDIS_HANDLE module_handle(struct bench *bench)
{
    return bench->adapter->modules[0];
}

static NDIS_HANDLE configuration(NDIS_HANDLE of, ULONG flags)
{
    NDIS_CONFIGURATION_OBJECT object = {
        .Header = {NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, NDIS_CONFIGURATION_OBJECT_REVISION_1,
                   NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1},
        .NdisHandle = of,
        .Flags = flags,
    };
    NDIS_HANDLE handle = NULL;
    is_status(NdisOpenConfigurationEx(&object, &handle), NDIS_STATUS_SUCCESS);
    return handle;
}

static NDIS_STATUS read(NDIS_HANDLE handle, const WCHAR *name, NDIS_PARAMETER_TYPE type,
                        PNDIS_CONFIGURATION_PARAMETER *parameter)
{
    NDIS_STRING keyword;
    NDIS_STATUS status;
    RtlInitUnicodeString(&keyword, name);
    NdisReadConfiguration(&status, parameter, handle, &keyword, type);
    return status;
}

NT_TEST(configuration_is_read_and_written)
{
    struct bench bench;
    PNDIS_CONFIGURATION_PARAMETER p;
    NDIS_STATUS status;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    const char *driver = REGISTRY_SERVICES "\\ndispass\\Parameters";
    const char *adapter = REGISTRY_SERVICES
        "\\ndispass\\Parameters\\Adapters\\{4E545300-4E44-4953-8000-02005E100001}";
    const UCHAR bytes[] = {1, 2, 3};
    registry_set_dword(driver, "Number", 4711);
    registry_set_string(driver, "Text", REG_SZ, "42");
    registry_set_string(driver, "Hex", REG_SZ, "1f");
    registry_set(driver, "Bytes", REG_BINARY, bytes, sizeof(bytes));
    registry_set_string(driver, "NetworkAddress", REG_SZ, "02-00-5E-00-00-FF");
    registry_set_dword(adapter, "Number", 12);

    nt_enter();
    NDIS_HANDLE handle = configuration(bench.adapter->modules[0]->driver, 0);
    is_status(read(handle, u"number", NdisParameterInteger, &p), NDIS_STATUS_SUCCESS);
    is_int(p->ParameterData.IntegerData, 4711, "names have no case");
    is_status(read(handle, u"Text", NdisParameterString, &p), NDIS_STATUS_SUCCESS);
    is_int(p->ParameterType, NdisParameterString);
    ok(p->ParameterData.StringData.Length == 4 && p->ParameterData.StringData.Buffer[1] == '2');
    is_status(read(handle, u"Text", NdisParameterInteger, &p), NDIS_STATUS_SUCCESS);
    is_int(p->ParameterData.IntegerData, 42, "a string that stands for a number");
    is_status(read(handle, u"Hex", NdisParameterHexInteger, &p), NDIS_STATUS_SUCCESS);
    is_int(p->ParameterData.IntegerData, 0x1f);
    is_status(read(handle, u"Bytes", NdisParameterBinary, &p), NDIS_STATUS_SUCCESS);
    is_int(p->ParameterData.BinaryData.Length, 3);
    is_mem(p->ParameterData.BinaryData.Buffer, bytes, 3);
    is_status(read(handle, u"Nothing", NdisParameterInteger, &p), NDIS_STATUS_FAILURE);
    PVOID address;
    UINT length;
    NdisReadNetworkAddress(&status, &address, &length, handle);
    is_status(status, NDIS_STATUS_SUCCESS);
    is_int(length, 6);
    const UCHAR expected[6] = {2, 0, 0x5e, 0, 0, 0xff};
    is_mem(address, expected, 6);

    NDIS_STRING name = RTL_CONSTANT_STRING(u"Written"), sub = RTL_CONSTANT_STRING(u"Adapters");
    NDIS_STRING text = RTL_CONSTANT_STRING(u"abc"), none = RTL_CONSTANT_STRING(u"None");
    NDIS_CONFIGURATION_PARAMETER out = {.ParameterType = NdisParameterString,
                                        .ParameterData.StringData = text};
    NdisWriteConfiguration(&status, handle, &name, &out);
    is_status(status, NDIS_STATUS_SUCCESS);
    is_status(read(handle, u"Written", NdisParameterString, &p), NDIS_STATUS_SUCCESS);
    is_int(p->ParameterData.StringData.Length, 6, "as it was written");
    NDIS_HANDLE below;
    NdisOpenConfigurationKeyByName(&status, handle, &none, &below);
    is_status(status, NDIS_STATUS_FAILURE);
    NdisOpenConfigurationKeyByName(&status, handle, &sub, &below);
    is_status(status, NDIS_STATUS_SUCCESS);
    NdisCloseConfiguration(below);
    NdisCloseConfiguration(handle);

    handle = configuration(module_handle(&bench), 0);
    is_status(read(handle, u"Number", NdisParameterInteger, &p), NDIS_STATUS_SUCCESS);
    is_int(p->ParameterData.IntegerData, 12, "of the module on this adapter");
    NdisCloseConfiguration(handle);
    handle = configuration(module_handle(&bench), NDIS_CONFIG_FLAG_FILTER_INSTANCE_CONFIGURATION);
    is_status(read(handle, u"Number", NdisParameterInteger, &p), NDIS_STATUS_FAILURE,
              "a key of its own");
    NdisCloseConfiguration(handle);
    nt_leave();
    bench_close(&bench);
}

/* Read-write locks: under every schedule a writer is alone. */

static struct {
    PNDIS_RW_LOCK_EX lock;
    int readers, writers;
    unsigned reads, writes;
} rw;

static void reader(void *context)
{
    (void)context;
    LOCK_STATE_EX state, inner;
    for (int i = 0; i < 6; i++) {
        bool nested = sched_choose(3) == 0;
        NdisAcquireRWLockRead(rw.lock, &state, 0);
        is_int(KeGetCurrentIrql(), DISPATCH_LEVEL);
        rw.readers++;
        is_int(rw.writers, 0, "no writer beside a reader");
        if (nested) {
            NdisAcquireRWLockRead(rw.lock, &inner, NDIS_RWL_AT_DISPATCH_LEVEL);
            sched_point();
            NdisReleaseRWLock(rw.lock, &inner);
        }
        sched_point();
        is_int(rw.writers, 0);
        rw.readers--;
        rw.reads++;
        NdisReleaseRWLock(rw.lock, &state);
        is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    }
}

static void writer(void *context)
{
    (void)context;
    LOCK_STATE_EX state;
    for (int i = 0; i < 4; i++) {
        NdisAcquireRWLockWrite(rw.lock, &state, 0);
        rw.writers++;
        ok(rw.writers == 1 && rw.readers == 0, "alone: %d writers, %d readers", rw.writers,
           rw.readers);
        sched_point();
        ok(rw.writers == 1 && rw.readers == 0);
        rw.writers--;
        rw.writes++;
        NdisReleaseRWLock(rw.lock, &state);
    }
}

static void entered(void *body)
{
    nt_enter();
    ((void (*)(void *))body)(NULL);
    nt_leave();
}

NT_TEST(read_write_locks_exclude)
{
    for (unsigned i = 0; i < 200 && !tap_failing(); i++) {
        const struct nt_options options = {.scheduler = NT_DETERMINISTIC,
                                           .seed = tap_seed() + i,
                                           .processors = 3,
                                           .verifier = i & 1};
        nt_start(&options);
        tap_at("seed %u", (unsigned)tap_seed() + i);
        memset(&rw, 0, sizeof(rw));
        nt_enter();
        rw.lock = NdisAllocateRWLock(NULL);
        nt_leave();
        struct nt_thread *threads[5];
        for (unsigned t = 0; t < 5; t++)
            threads[t] = nt_spawn("rw", entered, t < 3 ? (void *)reader : (void *)writer);
        for (unsigned t = 0; t < 5; t++)
            nt_join(threads[t]);
        is_int(rw.reads, 18);
        is_int(rw.writes, 8);
        nt_enter();
        NdisFreeRWLock(rw.lock);
        nt_leave();
        nt_stop();
    }
}

/* Timers */

struct ticks {
    unsigned count;
    uint64_t at;
    PVOID context;
};

static VOID NTAPI tick(PVOID SystemSpecific1, PVOID FunctionContext, PVOID SystemSpecific2,
                       PVOID SystemSpecific3)
{
    struct ticks *ticks = FunctionContext;
    (void)SystemSpecific1;
    (void)SystemSpecific2;
    (void)SystemSpecific3;
    ticks->count++;
    ticks->at = sched_interrupt_time();
    ticks->context = FunctionContext;
    is_int(KeGetCurrentIrql(), DISPATCH_LEVEL);
}

NT_TEST(timers_tick)
{
    tap_start(NT_DETERMINISTIC, tap_seed());
    struct ticks mine = {0}, other = {0};
    NDIS_TIMER_CHARACTERISTICS c = {
        .Header = {NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS, NDIS_TIMER_CHARACTERISTICS_REVISION_1,
                   NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1},
        .AllocationTag = 'tseT',
        .TimerFunction = tick,
        .FunctionContext = &mine,
    };
    NDIS_HANDLE timer;
    LARGE_INTEGER due = {.QuadPart = -20 * 10000};
    nt_enter();
    is_status(NdisAllocateTimerObject(NULL, &c, &timer), NDIS_STATUS_SUCCESS);
    ok(!NdisSetTimerObject(timer, due, 0, NULL), "was not set");
    nt_leave();
    uint64_t begin = sched_interrupt_time();
    sched_run_for(10 * 10000);
    is_int(mine.count, 0);
    sched_run_for(100 * 10000);
    is_int(mine.count, 1);
    ok(mine.at >= begin + 20 * 10000 && mine.at <= begin + 20 * 10000 + SCHED_TICK);

    nt_enter();
    NdisSetTimerObject(timer, due, 50, &other);
    nt_leave();
    sched_run_for(1000 * 10000);
    is_int(mine.count, 1);
    ok(other.count >= 18 && other.count <= 21, "periodic, another context: %u", other.count);
    nt_enter();
    ok(NdisCancelTimerObject(timer));
    ok(!NdisCancelTimerObject(timer));
    unsigned count = other.count;
    nt_leave();
    sched_run_for(200 * 10000);
    is_int(other.count, count);
    nt_enter();
    NdisFreeTimerObject(timer);
    nt_leave();
    nt_stop();
}

/* Work items */

static unsigned work_runs;
static NDIS_HANDLE work_handle;

static VOID NTAPI work(PVOID WorkItemContext, NDIS_HANDLE NdisIoWorkItemHandle)
{
    is_ptr(NdisIoWorkItemHandle, work_handle);
    is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    if (++work_runs < 3)
        NdisQueueIoWorkItem(NdisIoWorkItemHandle, work, WorkItemContext);
    else
        NdisFreeIoWorkItem(NdisIoWorkItemHandle);
}

NT_TEST(work_items_run)
{
    for (unsigned i = 0; i < 20; i++) {
        tap_start(NT_DETERMINISTIC, tap_seed() + i);
        work_runs = 0;
        nt_enter();
        work_handle = NdisAllocateIoWorkItem(NULL);
        KIRQL irql;
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        NdisQueueIoWorkItem(work_handle, work, NULL);
        KeLowerIrql(irql);
        nt_leave();
        settle();
        is_int(work_runs, 3, "it has queued itself twice, and then freed itself");
        nt_stop();
    }
}

NT_TEST(small_services)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    nt_enter();
    NDIS_EVENT event;
    NdisInitializeEvent(&event);
    ok(!NdisWaitEvent(&event, 20), "times out");
    NdisSetEvent(&event);
    ok(NdisWaitEvent(&event, 0));
    NdisResetEvent(&event);
    ok(!NdisWaitEvent(&event, 1));
    uint64_t begin = sched_interrupt_time();
    NdisMSleep(30000);
    ok(sched_interrupt_time() - begin >= 300000);
    ok(NdisGetVersion() >= NDIS_RUNTIME_VERSION_60);
    is_int(NdisSystemProcessorCount(), 2);
    NDIS_SPIN_LOCK lock;
    NdisAllocateSpinLock(&lock);
    NdisAcquireSpinLock(&lock);
    is_int(KeGetCurrentIrql(), DISPATCH_LEVEL);
    NdisDprReleaseSpinLock(&lock);
    NdisDprAcquireSpinLock(&lock);
    NdisReleaseSpinLock(&lock);
    is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    NdisFreeSpinLock(&lock);
    PVOID memory =
        NdisAllocateMemoryWithTagPriority(module_handle(&bench), 100, 'tseT', NormalPoolPriority);
    ok(memory != NULL);
    NdisFreeMemory(memory, 0, 0);
    NET_IFINDEX index;
    NET_LUID luid = bench.adapter->luid, back;
    is_status(NdisIfGetInterfaceIndexFromNetLuid(luid, &index), NDIS_STATUS_SUCCESS);
    is_int(index, bench.adapter->if_index);
    is_status(NdisIfGetNetLuidFromInterfaceIndex(index, &back), NDIS_STATUS_SUCCESS);
    is_int(back.Value, luid.Value);
    UNICODE_STRING name = RTL_CONSTANT_STRING(u"NdisFSendNetBufferLists");
    ok(NdisGetRoutineAddress(&name) != NULL);
    RtlInitUnicodeString(&name, u"NdisDoesNotExist");
    is_ptr(NdisGetRoutineAddress(&name), NULL);
    nt_leave();
    bench_close(&bench);
}

NT_TEST(control_devices_have_a_security_descriptor)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench));
    struct io_client *user = io_client_create(IO_TOKEN_USER, 4243);
    io_handle handle;
    is_status(io_open(user, "\\\\.\\NdisProbe", GENERIC_READ, &handle), STATUS_ACCESS_DENIED,
              "SDDL_DEVOBJ_SYS_ALL_ADM_ALL");
    io_client_destroy(user);
    nt_enter();
    UNICODE_STRING name = RTL_CONSTANT_STRING(NDISPROBE_DEVICE_NAME);
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    is_status(IoGetDeviceObjectPointer(&name, FILE_READ_DATA, &file, &device), STATUS_SUCCESS);
    UCHAR *extension = NdisGetDeviceReservedExtension(device);
    ok(extension && ((ULONG_PTR)extension & 15) == 0);
    ObDereferenceObject(file);
    nt_leave();
    bench_unload_probe(&bench);
    is_status(io_open(bench.client, "\\\\.\\NdisProbe", GENERIC_READ, &handle),
              STATUS_OBJECT_NAME_NOT_FOUND, "gone with its driver");
    bench_close(&bench);
}
