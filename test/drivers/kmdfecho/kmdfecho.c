/*
 * A KMDF driver that knows nothing of ntswift: it gives back what it is given, at once, later, or
 * when told. It uses what control devices commonly use of the framework, as its documentation says.
 *
 * Requests of ECHO_IOCTL_DELAY are on Pending while they are marked cancelable. Both the timer and
 * EvtRequestCancel take them off under the lock; who finds a request there, completes it, except
 * that the timer leaves one that is being cancelled to the callback that is about to come.
 */
#include <ntddk.h>

#include <wdf.h>
#include <wdmsec.h>

#include "kmdfecho.h"

#define ECHO_TAG 'ohcE'

typedef struct ECHO_DEVICE {
    WDFQUEUE WaitQueue;
    WDFTIMER Timer;
    WDFWORKITEM WorkItem;
    WDFDPC Dpc;
    WDFSPINLOCK Lock; /* Pending, WorkRequest, DpcRequest */
    LIST_ENTRY Pending;
    WDFREQUEST WorkRequest, DpcRequest;
    WDFWAITLOCK StoreLock; /* Store, StoreBytes */
    WDFMEMORY Store;
    size_t StoreBytes;
    UNICODE_STRING Greeting; /* of a string object that the device owns */
    ULONG DelayMilliseconds;
    ECHO_STATS Stats; /* by interlocked operations */
} ECHO_DEVICE;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(ECHO_DEVICE, EchoDevice)

typedef struct ECHO_FILE {
    LONG Requests;
} ECHO_FILE;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(ECHO_FILE, EchoFile)

typedef struct ECHO_REQUEST {
    LIST_ENTRY Link;
    WDFREQUEST Request;
    BOOLEAN OnPending;
} ECHO_REQUEST;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(ECHO_REQUEST, EchoRequest)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_UNLOAD EchoUnload;
static EVT_WDF_DEVICE_FILE_CREATE EchoFileCreate;
static EVT_WDF_FILE_CLEANUP EchoFileCleanup;
static EVT_WDF_FILE_CLOSE EchoFileClose;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL EchoDeviceControl;
static EVT_WDF_IO_QUEUE_IO_READ EchoRead;
static EVT_WDF_IO_QUEUE_IO_WRITE EchoWrite;
static EVT_WDF_IO_QUEUE_IO_CANCELED_ON_QUEUE EchoCanceledOnQueue;
static EVT_WDF_REQUEST_CANCEL EchoCancel;
static EVT_WDF_TIMER EchoTimer;
static EVT_WDF_WORKITEM EchoWork;
static EVT_WDF_DPC EchoDpc;

static ECHO_DEVICE *QueueContext(WDFQUEUE Queue)
{
    return EchoDevice(WdfIoQueueGetDevice(Queue));
}

static void Count(unsigned *Counter, int By)
{
    InterlockedAdd((volatile LONG *)Counter, By);
}

/* Input and output of a buffered IOCTL are one buffer: what is there stays there. */
static void CompleteEcho(WDFREQUEST Request)
{
    size_t input, output;
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveInputBuffer(Request, 1, &buffer, &input);

    if (NT_SUCCESS(status))
        status = WdfRequestRetrieveOutputBuffer(Request, input, &buffer, &output);
    WdfRequestCompleteWithInformation(Request, status, NT_SUCCESS(status) ? input : 0);
}

static void CompleteByte(WDFREQUEST Request, UCHAR Byte)
{
    UCHAR *output;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(Request, 1, (PVOID *)&output, NULL);

    if (NT_SUCCESS(status))
        *output = Byte;
    WdfRequestCompleteWithInformation(Request, status, NT_SUCCESS(status) ? 1 : 0);
}

static VOID EchoFileCreate(WDFDEVICE Device, WDFREQUEST Request, WDFFILEOBJECT FileObject)
{
    PUNICODE_STRING name = WdfFileObjectGetFileName(FileObject);
    WDF_REQUEST_PARAMETERS parameters;

    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(Request, &parameters);
    /* \Device\KmdfEcho\anything: there is nothing below the device. */
    if (parameters.Type != WdfRequestTypeCreate || name->Length > sizeof(WCHAR)) {
        WdfRequestComplete(Request, STATUS_OBJECT_NAME_NOT_FOUND);
        return;
    }
    Count(&EchoDevice(Device)->Stats.Opens, 1);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID EchoFileCleanup(WDFFILEOBJECT FileObject)
{
    Count(&EchoDevice(WdfFileObjectGetDevice(FileObject))->Stats.Cleanups, 1);
}

static VOID EchoFileClose(WDFFILEOBJECT FileObject)
{
    Count(&EchoDevice(WdfFileObjectGetDevice(FileObject))->Stats.Closes, 1);
}

static void Delay(ECHO_DEVICE *Echo, WDFREQUEST Request)
{
    ECHO_REQUEST *context = EchoRequest(Request);
    NTSTATUS status;

    context->Request = Request;
    WdfSpinLockAcquire(Echo->Lock);
    status = WdfRequestMarkCancelableEx(Request, EchoCancel);
    if (NT_SUCCESS(status)) {
        context->OnPending = TRUE;
        InsertTailList(&Echo->Pending, &context->Link);
        Count(&Echo->Stats.Pending, 1);
        WdfTimerStart(Echo->Timer, WDF_REL_TIMEOUT_IN_MS(Echo->DelayMilliseconds));
    }
    WdfSpinLockRelease(Echo->Lock);
    if (!NT_SUCCESS(status)) {
        Count(&Echo->Stats.Canceled, 1);
        WdfRequestComplete(Request, status);
    }
}

static VOID EchoTimer(WDFTIMER Timer)
{
    ECHO_DEVICE *echo = EchoDevice(WdfTimerGetParentObject(Timer));
    LIST_ENTRY due;

    InitializeListHead(&due);
    WdfSpinLockAcquire(echo->Lock);
    while (!IsListEmpty(&echo->Pending)) {
        PLIST_ENTRY link = RemoveHeadList(&echo->Pending);
        ECHO_REQUEST *context = CONTAINING_RECORD(link, ECHO_REQUEST, Link);
        context->OnPending = FALSE;
        Count(&echo->Stats.Pending, -1);
        if (WdfRequestUnmarkCancelable(context->Request) != STATUS_CANCELLED)
            InsertTailList(&due, link);
    }
    WdfSpinLockRelease(echo->Lock);
    while (!IsListEmpty(&due)) {
        ECHO_REQUEST *context = CONTAINING_RECORD(RemoveHeadList(&due), ECHO_REQUEST, Link);
        Count(&echo->Stats.Delayed, 1);
        CompleteEcho(context->Request);
    }
}

static VOID EchoCancel(WDFREQUEST Request)
{
    ECHO_DEVICE *echo = QueueContext(WdfRequestGetIoQueue(Request));
    ECHO_REQUEST *context = EchoRequest(Request);

    WdfSpinLockAcquire(echo->Lock);
    if (context->OnPending) {
        RemoveEntryList(&context->Link);
        context->OnPending = FALSE;
        Count(&echo->Stats.Pending, -1);
    }
    WdfSpinLockRelease(echo->Lock);
    Count(&echo->Stats.Canceled, 1);
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static VOID EchoCanceledOnQueue(WDFQUEUE Queue, WDFREQUEST Request)
{
    Count(&QueueContext(Queue)->Stats.CanceledOnQueue, 1);
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static void Release(ECHO_DEVICE *Echo, WDFREQUEST Request)
{
    WDFREQUEST waiting;
    UCHAR released = 0;

    while (NT_SUCCESS(WdfIoQueueRetrieveNextRequest(Echo->WaitQueue, &waiting))) {
        Count(&Echo->Stats.Released, 1);
        released++;
        CompleteEcho(waiting);
    }
    CompleteByte(Request, released);
}

static void Upper(WDFREQUEST Request)
{
    size_t input, output, i;
    const UCHAR *from;
    UCHAR *to;
    PMDL mdl;
    NTSTATUS status = WdfRequestRetrieveInputBuffer(Request, 1, (PVOID *)&from, &input);

    if (NT_SUCCESS(status))
        status = WdfRequestRetrieveOutputBuffer(Request, input, (PVOID *)&to, &output);
    if (NT_SUCCESS(status))
        status = WdfRequestRetrieveOutputWdmMdl(Request, &mdl);
    if (NT_SUCCESS(status) && MmGetMdlByteCount(mdl) != output)
        status = STATUS_INTERNAL_ERROR;
    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
    for (i = 0; i < input; i++)
        to[i] = from[i] >= 'a' && from[i] <= 'z' ? (UCHAR)(from[i] - 32) : from[i];
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, input);
}

/* One at a time each: there is one place for it. */
static void Hand(ECHO_DEVICE *Echo, WDFREQUEST Request, WDFREQUEST *Place)
{
    BOOLEAN free;

    WdfSpinLockAcquire(Echo->Lock);
    free = *Place == NULL;
    if (free)
        *Place = Request;
    WdfSpinLockRelease(Echo->Lock);
    if (!free)
        WdfRequestComplete(Request, STATUS_DEVICE_BUSY);
    else if (Place == &Echo->WorkRequest)
        WdfWorkItemEnqueue(Echo->WorkItem);
    else
        WdfDpcEnqueue(Echo->Dpc);
}

static WDFREQUEST Fetch(ECHO_DEVICE *Echo, WDFREQUEST *Place)
{
    WDFREQUEST request;

    WdfSpinLockAcquire(Echo->Lock);
    request = *Place;
    *Place = NULL;
    WdfSpinLockRelease(Echo->Lock);
    return request;
}

static VOID EchoWork(WDFWORKITEM WorkItem)
{
    ECHO_DEVICE *echo = EchoDevice(WdfWorkItemGetParentObject(WorkItem));
    WDFREQUEST request = Fetch(echo, &echo->WorkRequest);

    if (request != NULL)
        CompleteByte(request, KeGetCurrentIrql());
}

static VOID EchoDpc(WDFDPC Dpc)
{
    ECHO_DEVICE *echo = EchoDevice(WdfDpcGetParentObject(Dpc));
    WDFREQUEST request = Fetch(echo, &echo->DpcRequest);

    if (request != NULL)
        CompleteByte(request, KeGetCurrentIrql());
}

static void Statistics(ECHO_DEVICE *Echo, WDFREQUEST Request)
{
    WDFFILEOBJECT file = WdfRequestGetFileObject(Request);
    ECHO_STATS *stats;
    NTSTATUS status =
        WdfRequestRetrieveOutputBuffer(Request, sizeof(*stats), (PVOID *)&stats, NULL);

    if (NT_SUCCESS(status)) {
        *stats = Echo->Stats;
        stats->FileRequests = file != NULL ? (unsigned)EchoFile(file)->Requests : 0;
        stats->DelayMilliseconds = Echo->DelayMilliseconds;
        WdfRequestSetInformation(Request, sizeof(*stats));
    }
    WdfRequestComplete(Request, status);
}

static void GiveGreeting(ECHO_DEVICE *Echo, WDFREQUEST Request)
{
    WDFMEMORY output;
    NTSTATUS status = WdfRequestRetrieveOutputMemory(Request, &output);

    if (NT_SUCCESS(status))
        status = WdfMemoryCopyFromBuffer(output, 0, Echo->Greeting.Buffer, Echo->Greeting.Length);
    WdfRequestCompleteWithInformation(Request, status,
                                      NT_SUCCESS(status) ? Echo->Greeting.Length : 0);
}

/* At up to DISPATCH_LEVEL: the request before it may have been completed by the DPC. */
static VOID EchoDeviceControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputBufferLength,
                              size_t InputBufferLength, ULONG IoControlCode)
{
    ECHO_DEVICE *echo = QueueContext(Queue);
    WDFFILEOBJECT file = WdfRequestGetFileObject(Request);
    NTSTATUS status;

    UNREFERENCED_PARAMETER(OutputBufferLength);
    if (InputBufferLength > ECHO_MAX_BYTES) {
        WdfRequestComplete(Request, STATUS_INVALID_BUFFER_SIZE);
        return;
    }
    if (file != NULL)
        InterlockedIncrement(&EchoFile(file)->Requests);
    switch (IoControlCode) {
    case ECHO_IOCTL_ECHO:
        Count(&echo->Stats.Echoes, 1);
        CompleteEcho(Request);
        break;
    case ECHO_IOCTL_DELAY:
        Delay(echo, Request);
        break;
    case ECHO_IOCTL_WAIT:
        status = WdfRequestForwardToIoQueue(Request, echo->WaitQueue);
        if (!NT_SUCCESS(status))
            WdfRequestComplete(Request, status);
        break;
    case ECHO_IOCTL_RELEASE:
        Release(echo, Request);
        break;
    case ECHO_IOCTL_UPPER:
        Upper(Request);
        break;
    case ECHO_IOCTL_WORK:
        Hand(echo, Request, &echo->WorkRequest);
        break;
    case ECHO_IOCTL_DPC:
        Hand(echo, Request, &echo->DpcRequest);
        break;
    case ECHO_IOCTL_STATS:
        Statistics(echo, Request);
        break;
    case ECHO_IOCTL_GREETING:
        GiveGreeting(echo, Request);
        break;
    default:
        WdfRequestComplete(Request, STATUS_INVALID_DEVICE_REQUEST);
        break;
    }
}

/* What is written can be read, until something else is written. */
static VOID EchoWrite(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    ECHO_DEVICE *echo = QueueContext(Queue);
    WDFMEMORY input;
    NTSTATUS status = Length <= ECHO_MAX_BYTES ? WdfRequestRetrieveInputMemory(Request, &input)
                                               : STATUS_INVALID_BUFFER_SIZE;

    if (NT_SUCCESS(status)) {
        WdfWaitLockAcquire(echo->StoreLock, NULL);
        status = WdfMemoryCopyToBuffer(input, 0, WdfMemoryGetBuffer(echo->Store, NULL), Length);
        if (NT_SUCCESS(status))
            echo->StoreBytes = Length;
        WdfWaitLockRelease(echo->StoreLock);
    }
    WdfRequestCompleteWithInformation(Request, status, NT_SUCCESS(status) ? Length : 0);
}

static VOID EchoRead(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    ECHO_DEVICE *echo = QueueContext(Queue);
    WDFMEMORY output;
    size_t bytes = 0;
    NTSTATUS status = WdfRequestRetrieveOutputMemory(Request, &output);

    if (NT_SUCCESS(status)) {
        WdfWaitLockAcquire(echo->StoreLock, NULL);
        bytes = echo->StoreBytes < Length ? echo->StoreBytes : Length;
        if (bytes != 0)
            status =
                WdfMemoryCopyFromBuffer(output, 0, WdfMemoryGetBuffer(echo->Store, NULL), bytes);
        WdfWaitLockRelease(echo->StoreLock);
    }
    WdfRequestCompleteWithInformation(Request, status, NT_SUCCESS(status) ? bytes : 0);
}

static NTSTATUS ReadParameters(WDFDRIVER Driver, WDFDEVICE Device)
{
    ECHO_DEVICE *echo = EchoDevice(Device);
    WDF_OBJECT_ATTRIBUTES attributes;
    DECLARE_CONST_UNICODE_STRING(delayName, L"DelayMilliseconds");
    DECLARE_CONST_UNICODE_STRING(greetingName, L"Greeting");
    WCHAR buffer[64];
    UNICODE_STRING greeting;
    WDFSTRING string;
    ULONG value;
    WDFKEY key;
    NTSTATUS status;

    echo->DelayMilliseconds = 20;
    RtlInitEmptyUnicodeString(&greeting, buffer, sizeof(buffer));
    status = WdfDriverOpenParametersRegistryKey(Driver, KEY_READ, WDF_NO_OBJECT_ATTRIBUTES, &key);
    if (!NT_SUCCESS(status))
        return status;
    if (NT_SUCCESS(WdfRegistryQueryULong(key, &delayName, &value)) && value >= 1 && value <= 10000)
        echo->DelayMilliseconds = value;
    WdfRegistryQueryUnicodeString(key, &greetingName, NULL, &greeting);
    WdfRegistryClose(key);
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device;
    status = WdfStringCreate(&greeting, &attributes, &string);
    if (NT_SUCCESS(status))
        WdfStringGetUnicodeString(string, &echo->Greeting);
    return status;
}

static NTSTATUS CreateQueues(WDFDEVICE Device)
{
    ECHO_DEVICE *echo = EchoDevice(Device);
    WDF_IO_QUEUE_CONFIG config;
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFQUEUE queue;
    NTSTATUS status;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = EchoDeviceControl;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, NULL);
    if (!NT_SUCCESS(status))
        return status;
    /* Reads and writes wait for a lock: one after the other, at PASSIVE_LEVEL. */
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchSequential);
    config.EvtIoRead = EchoRead;
    config.EvtIoWrite = EchoWrite;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ExecutionLevel = WdfExecutionLevelPassive;
    status = WdfIoQueueCreate(Device, &config, &attributes, &queue);
    if (NT_SUCCESS(status))
        status = WdfDeviceConfigureRequestDispatching(Device, queue, WdfRequestTypeRead);
    if (NT_SUCCESS(status))
        status = WdfDeviceConfigureRequestDispatching(Device, queue, WdfRequestTypeWrite);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    config.EvtIoCanceledOnQueue = EchoCanceledOnQueue;
    return WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &echo->WaitQueue);
}

static NTSTATUS CreateHelpers(WDFDEVICE Device)
{
    ECHO_DEVICE *echo = EchoDevice(Device);
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG timer;
    WDF_WORKITEM_CONFIG work;
    WDF_DPC_CONFIG dpc;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device;
    status = WdfSpinLockCreate(&attributes, &echo->Lock);
    if (NT_SUCCESS(status))
        status = WdfWaitLockCreate(&attributes, &echo->StoreLock);
    if (NT_SUCCESS(status))
        status = WdfMemoryCreate(&attributes, NonPagedPoolNx, ECHO_TAG, ECHO_MAX_BYTES,
                                 &echo->Store, NULL);
    WDF_TIMER_CONFIG_INIT(&timer, EchoTimer);
    if (NT_SUCCESS(status))
        status = WdfTimerCreate(&timer, &attributes, &echo->Timer);
    WDF_WORKITEM_CONFIG_INIT(&work, EchoWork);
    if (NT_SUCCESS(status))
        status = WdfWorkItemCreate(&work, &attributes, &echo->WorkItem);
    WDF_DPC_CONFIG_INIT(&dpc, EchoDpc);
    if (NT_SUCCESS(status))
        status = WdfDpcCreate(&dpc, &attributes, &echo->Dpc);
    return status;
}

static NTSTATUS CreateDevice(WDFDRIVER Driver)
{
    DECLARE_CONST_UNICODE_STRING(name, ECHO_DEVICE_NAME);
    DECLARE_CONST_UNICODE_STRING(link, ECHO_LINK_NAME);
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(Driver, &SDDL_DEVOBJ_SYS_ALL_ADM_ALL);
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_FILEOBJECT_CONFIG file;
    WDFDEVICE device;
    NTSTATUS status;

    if (init == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = WdfDeviceInitAssignName(init, &name);
    if (!NT_SUCCESS(status)) {
        WdfDeviceInitFree(init);
        return status;
    }
    WDF_FILEOBJECT_CONFIG_INIT(&file, EchoFileCreate, EchoFileClose, EchoFileCleanup);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, ECHO_FILE);
    WdfDeviceInitSetFileObjectConfig(init, &file, &attributes);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, ECHO_REQUEST);
    WdfDeviceInitSetRequestAttributes(init, &attributes);

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, ECHO_DEVICE);
    status = WdfDeviceCreate(&init, &attributes, &device);
    if (!NT_SUCCESS(status)) {
        WdfDeviceInitFree(init);
        return status;
    }
    InitializeListHead(&EchoDevice(device)->Pending);
    status = CreateHelpers(device);
    if (NT_SUCCESS(status))
        status = CreateQueues(device);
    if (NT_SUCCESS(status))
        status = ReadParameters(Driver, device);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreateSymbolicLink(device, &link);
    if (!NT_SUCCESS(status)) {
        WdfObjectDelete(device);
        return status;
    }
    WdfControlFinishInitializing(device);
    return STATUS_SUCCESS;
}

/* All that there is belongs to the driver object. */
static VOID EchoUnload(WDFDRIVER Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;
    WDFDRIVER driver;
    NTSTATUS status;

    WDF_DRIVER_CONFIG_INIT(&config, WDF_NO_EVENT_CALLBACK);
    config.DriverInitFlags = WdfDriverInitNonPnpDriver;
    config.EvtDriverUnload = EchoUnload;
    config.DriverPoolTag = ECHO_TAG;
    status =
        WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, &driver);
    return NT_SUCCESS(status) ? CreateDevice(driver) : status;
}
