/* Requests. WDK: wdfrequest.h, "Framework Request Objects". */
#include "api.h"

static void RequestDestroy(FX_OBJECT *Object);

const FX_CLASS FxRequestClass = {"WDFREQUEST", sizeof(FX_REQUEST), FALSE, FALSE,
                                 NULL,         RequestDestroy};

static void RequestDestroy(FX_OBJECT *Object)
{
    FX_REQUEST *request = (FX_REQUEST *)Object;

    if (request->Queue != NULL)
        FxObjectDereference(&request->Queue->Object);
}

NTSTATUS FxRequestCreateFor(FX_DEVICE *Device, PIRP Irp, FX_FILE *File, FX_REQUEST **Request)
{
    PWDF_OBJECT_ATTRIBUTES attributes = &Device->Config.RequestAttributes;
    FX_OBJECT *object;
    NTSTATUS status;

    *Request = NULL;
    status = FxObjectAllocate(Device->Object.Globals, &FxRequestClass, attributes, &Device->Object,
                              &object);
    if (!NT_SUCCESS(status))
        return status;
    status = FxObjectPublish(object, attributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    *Request = (FX_REQUEST *)object;
    (*Request)->Device = Device;
    (*Request)->Irp = Irp;
    (*Request)->File = File;
    InitializeListHead(&(*Request)->QueueLink);
    return STATUS_SUCCESS;
}

FX_REQUEST *FxRequestOwned(PCSTR Function, WDFREQUEST Handle)
{
    FX_REQUEST *request = (FX_REQUEST *)FxObjectFrom(Function, Handle, &FxRequestClass);

    if (request->Owner == FxOwnerNone)
        FxViolation(FxRuleRequestMisuse, "%s: the request %p has been completed", Function + 2,
                    (PVOID)Handle);
    if (request->Owner != FxOwnerDriver)
        FxViolation(FxRuleRequestMisuse, "%s: the request %p is in a queue, not the driver's",
                    Function + 2, (PVOID)Handle);
    return request;
}

WDF_REQUEST_TYPE FxRequestType(const FX_REQUEST *Request)
{
    return (WDF_REQUEST_TYPE)FxStack(Request)->MajorFunction;
}

/* How much the caller's buffer holds of what the driver says it wrote there. */
static ULONG_PTR InformationLimit(const FX_REQUEST *Request)
{
    const IO_STACK_LOCATION *stack = FxStack(Request);

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        return stack->Parameters.Read.Length;
    case IRP_MJ_WRITE:
        return stack->Parameters.Write.Length;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        /* With a direct transfer the driver may have written into the caller's input, too. */
        return stack->Parameters.DeviceIoControl.OutputBufferLength >
                           stack->Parameters.DeviceIoControl.InputBufferLength ||
                       METHOD_FROM_CTL_CODE(stack->Parameters.DeviceIoControl.IoControlCode) ==
                           METHOD_BUFFERED
                   ? stack->Parameters.DeviceIoControl.OutputBufferLength
                   : stack->Parameters.DeviceIoControl.InputBufferLength;
    default:
        return ~(ULONG_PTR)0;
    }
}

VOID FxRequestFinish(FX_REQUEST *Request, NTSTATUS Status, ULONG_PTR Information, CCHAR Boost)
{
    FX_QUEUE *queue = Request->Queue;
    FX_DEVICE *device = Request->Device;
    FX_FILE *file = Request->File;
    PIRP irp = Request->Irp;
    BOOLEAN create = FxStack(Request)->MajorFunction == IRP_MJ_CREATE,
            owned = Request->Owner == FxOwnerDriver;
    KIRQL irql;

    FxObjectReference(&Request->Object);
    if (queue != NULL) {
        FxObjectReference(&queue->Object);
        KeAcquireSpinLock(&queue->QueueLock, &irql);
        RemoveEntryList(
            &Request->QueueLink); /* of the owned ones; a purge no longer looks at its IRP */
        InitializeListHead(&Request->QueueLink);
        Request->Owner = FxOwnerNone;
        KeReleaseSpinLock(&queue->QueueLock, irql);
    } else {
        Request->Owner = FxOwnerNone;
    }
    FxObjectReference(&device->Object);
    FxRequestReleaseBuffers(Request);
    FxObjectDelete(&Request->Object); /* EvtCleanup may still look at the IRP */
    if (create && !NT_SUCCESS(Status) && file != NULL)
        FxFileForget(file);
    Request->Irp = NULL;
    irp->IoStatus.Status = Status;
    irp->IoStatus.Information = Information;
    IoCompleteRequest(irp, Boost);

    if (create && !NT_SUCCESS(Status))
        FxDeviceFileClosed(device);
    if (queue != NULL) {
        if (owned)
            FxQueueReleaseOwned(queue);
        FxObjectDereference(&queue->Object);
    }
    FxObjectDereference(&Request->Object);
    FxObjectDereference(&device->Object);
}

static void Complete(PCSTR Function, WDFREQUEST Handle, NTSTATUS Status,
                     const ULONG_PTR *Information, CCHAR Boost)
{
    FX_REQUEST *request = FxRequestOwned(Function, Handle);
    ULONG_PTR bytes = Information != NULL ? *Information : request->Information;

    if (request->Cancelable == FX_CANCEL_MARKED)
        FxViolation(
            FxRuleRequestMisuse,
            "%s: the request %p is still marked cancelable; WdfRequestUnmarkCancelable comes first",
            Function + 2, (PVOID)Handle);
    if (Status == STATUS_PENDING)
        FxViolation(FxRuleRequestMisuse, "%s: a request cannot be completed with STATUS_PENDING",
                    Function + 2);
    if (bytes > InformationLimit(request) && !NT_ERROR(Status))
        FxViolation(FxRuleRequestMisuse,
                    "%s: %llu bytes of information, but the caller's buffer has only %llu",
                    Function + 2, (unsigned long long)bytes,
                    (unsigned long long)InformationLimit(request));
    FxRequestFinish(request, Status, bytes, Boost);
}

FX_API(VOID, WdfRequestComplete)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request,
                                 NTSTATUS Status)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    Complete(__func__, Request, Status, NULL, IO_NO_INCREMENT);
}

FX_API(VOID, WdfRequestCompleteWithPriorityBoost)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFREQUEST Request, NTSTATUS Status,
                                                  CCHAR PriorityBoost)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    Complete(__func__, Request, Status, NULL, PriorityBoost);
}

FX_API(VOID, WdfRequestCompleteWithInformation)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                WDFREQUEST Request, NTSTATUS Status,
                                                ULONG_PTR Information)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    Complete(__func__, Request, Status, &Information, IO_NO_INCREMENT);
}

FX_API(VOID, WdfRequestSetInformation)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request,
                                       ULONG_PTR Information)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    FxRequestOwned(__func__, Request)->Information = Information;
}

FX_API(ULONG_PTR, WdfRequestGetInformation)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FxRequestOwned(__func__, Request)->Information;
}

FX_API(NTSTATUS, WdfRequestGetStatus)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FxRequestOwned(__func__, Request)->Irp->IoStatus.Status;
}

VOID FxRequestParameters(const FX_REQUEST *Request, PWDF_REQUEST_PARAMETERS Parameters)
{
    const IO_STACK_LOCATION *stack = FxStack(Request);

    Parameters->MinorFunction = stack->MinorFunction;
    Parameters->Type = FxRequestType(Request);
    RtlZeroMemory(&Parameters->Parameters, sizeof(Parameters->Parameters));
    switch (stack->MajorFunction) {
    case IRP_MJ_CREATE:
        Parameters->Parameters.Create.SecurityContext = stack->Parameters.Create.SecurityContext;
        Parameters->Parameters.Create.Options = stack->Parameters.Create.Options;
        Parameters->Parameters.Create.FileAttributes = stack->Parameters.Create.FileAttributes;
        Parameters->Parameters.Create.ShareAccess = stack->Parameters.Create.ShareAccess;
        Parameters->Parameters.Create.EaLength = stack->Parameters.Create.EaLength;
        break;
    case IRP_MJ_READ:
        Parameters->Parameters.Read.Length = stack->Parameters.Read.Length;
        Parameters->Parameters.Read.Key = stack->Parameters.Read.Key;
        Parameters->Parameters.Read.DeviceOffset = stack->Parameters.Read.ByteOffset.QuadPart;
        break;
    case IRP_MJ_WRITE:
        Parameters->Parameters.Write.Length = stack->Parameters.Write.Length;
        Parameters->Parameters.Write.Key = stack->Parameters.Write.Key;
        Parameters->Parameters.Write.DeviceOffset = stack->Parameters.Write.ByteOffset.QuadPart;
        break;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        Parameters->Parameters.DeviceIoControl.OutputBufferLength =
            stack->Parameters.DeviceIoControl.OutputBufferLength;
        Parameters->Parameters.DeviceIoControl.InputBufferLength =
            stack->Parameters.DeviceIoControl.InputBufferLength;
        Parameters->Parameters.DeviceIoControl.IoControlCode =
            stack->Parameters.DeviceIoControl.IoControlCode;
        Parameters->Parameters.DeviceIoControl.Type3InputBuffer =
            stack->Parameters.DeviceIoControl.Type3InputBuffer;
        break;
    default:
        break;
    }
}

FX_API(VOID, WdfRequestGetParameters)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request,
                                      PWDF_REQUEST_PARAMETERS Parameters)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    if (Parameters->Size != sizeof(*Parameters))
        FxViolation(FxRuleBadParameter, "WdfRequestGetParameters: the structure has a wrong Size; "
                                        "WDF_REQUEST_PARAMETERS_INIT sets it");
    FxRequestParameters(FxRequestOwned(__func__, Request), Parameters);
}

FX_API(WDFFILEOBJECT, WdfRequestGetFileObject)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                               WDFREQUEST Request)
{
    FX_REQUEST *request;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    request = FX_OBJECT_OF(Request, FX_REQUEST, FxRequestClass);
    return request->File != NULL ? FX_HANDLE(request->File) : NULL;
}

FX_API(KPROCESSOR_MODE, WdfRequestGetRequestorMode)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFREQUEST Request)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FxRequestOwned(__func__, Request)->Irp->RequestorMode;
}

FX_API(ULONG, WdfRequestGetRequestorProcessId)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                               WDFREQUEST Request)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return IoGetRequestorProcessId(FxRequestOwned(__func__, Request)->Irp);
}

FX_API(BOOLEAN, WdfRequestIsFrom32BitProcess)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return IoIs32bitProcess(FxRequestOwned(__func__, Request)->Irp);
}

FX_API(WDFQUEUE, WdfRequestGetIoQueue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request)
{
    FX_REQUEST *request;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    request = FX_OBJECT_OF(Request, FX_REQUEST, FxRequestClass);
    return request->Queue != NULL ? FX_HANDLE(request->Queue) : NULL;
}

FX_API(PIRP, WdfRequestWdmGetIrp)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_OBJECT_OF(Request, FX_REQUEST, FxRequestClass)->Irp;
}
