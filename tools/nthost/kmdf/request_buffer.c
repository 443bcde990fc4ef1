/*
 * A request's buffers. WDK: "Accessing Data Buffers in WDF Drivers".
 *
 * METHOD_NEITHER buffers are user addresses, which this framework does not touch: those functions
 * that would are only handed out by WdfRequestRetrieveUnsafeUserXxx, as in Windows, unprobed.
 */
#include "api.h"

typedef struct FX_BUFFER {
    PVOID Address;
    ULONG Length;
    PMDL Mdl; /* of a direct transfer */
} FX_BUFFER;

static NTSTATUS FromMdl(const FX_REQUEST *Request, FX_BUFFER *Buffer)
{
    Buffer->Mdl = Request->Irp->MdlAddress;
    if (Buffer->Mdl == NULL)
        return STATUS_SUCCESS; /* of no length */
    Buffer->Address =
        MmGetSystemAddressForMdlSafe(Buffer->Mdl, NormalPagePriority | MdlMappingNoExecute);
    return Buffer->Address != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS InputOf(const FX_REQUEST *Request, FX_BUFFER *Buffer)
{
    const IO_STACK_LOCATION *stack = FxStack(Request);

    RtlZeroMemory(Buffer, sizeof(*Buffer));
    switch (stack->MajorFunction) {
    case IRP_MJ_WRITE:
        Buffer->Length = stack->Parameters.Write.Length;
        if (Request->Device->Config.ReadWriteIo == WdfDeviceIoDirect)
            return FromMdl(Request, Buffer);
        if (Request->Device->Config.ReadWriteIo != WdfDeviceIoBuffered)
            return STATUS_INVALID_DEVICE_REQUEST;
        Buffer->Address = Request->Irp->AssociatedIrp.SystemBuffer;
        return STATUS_SUCCESS;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        if (METHOD_FROM_CTL_CODE(stack->Parameters.DeviceIoControl.IoControlCode) == METHOD_NEITHER)
            return STATUS_INVALID_DEVICE_REQUEST;
        Buffer->Length = stack->Parameters.DeviceIoControl.InputBufferLength;
        Buffer->Address = Request->Irp->AssociatedIrp.SystemBuffer;
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS OutputOf(const FX_REQUEST *Request, FX_BUFFER *Buffer)
{
    const IO_STACK_LOCATION *stack = FxStack(Request);

    RtlZeroMemory(Buffer, sizeof(*Buffer));
    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        Buffer->Length = stack->Parameters.Read.Length;
        if (Request->Device->Config.ReadWriteIo == WdfDeviceIoDirect)
            return FromMdl(Request, Buffer);
        if (Request->Device->Config.ReadWriteIo != WdfDeviceIoBuffered)
            return STATUS_INVALID_DEVICE_REQUEST;
        Buffer->Address = Request->Irp->AssociatedIrp.SystemBuffer;
        return STATUS_SUCCESS;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        Buffer->Length = stack->Parameters.DeviceIoControl.OutputBufferLength;
        switch (METHOD_FROM_CTL_CODE(stack->Parameters.DeviceIoControl.IoControlCode)) {
        case METHOD_BUFFERED:
            Buffer->Address = Request->Irp->AssociatedIrp.SystemBuffer;
            return STATUS_SUCCESS;
        case METHOD_NEITHER:
            return STATUS_INVALID_DEVICE_REQUEST;
        default:
            return FromMdl(Request, Buffer);
        }
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

typedef NTSTATUS FX_BUFFER_OF(const FX_REQUEST *Request, FX_BUFFER *Buffer);

static NTSTATUS Checked(const FX_REQUEST *Request, FX_BUFFER_OF *BufferOf, SIZE_T Minimum,
                        FX_BUFFER *Buffer)
{
    NTSTATUS status = BufferOf(Request, Buffer);

    if (NT_SUCCESS(status) &&
        (Buffer->Length == 0 || Buffer->Address == NULL || Buffer->Length < Minimum))
        status = STATUS_BUFFER_TOO_SMALL;
    return status;
}

static NTSTATUS RetrieveBuffer(const FX_REQUEST *Request, FX_BUFFER_OF *BufferOf, SIZE_T Minimum,
                               PVOID *Address, SIZE_T *Length)
{
    FX_BUFFER buffer;
    NTSTATUS status = Checked(Request, BufferOf, Minimum, &buffer);

    *Address = NT_SUCCESS(status) ? buffer.Address : NULL;
    if (Length != NULL)
        *Length = NT_SUCCESS(status) ? buffer.Length : 0;
    return status;
}

/* A memory object over the buffer, made once; it goes with the request. */
static NTSTATUS RetrieveMemory(FX_REQUEST *Request, FX_BUFFER_OF *BufferOf, FX_MEMORY **Slot,
                               BOOLEAN ReadOnly, WDFMEMORY *Memory)
{
    FX_OBJECT *object;
    FX_BUFFER buffer;
    NTSTATUS status;

    *Memory = NULL;
    if (*Slot == NULL) {
        status = Checked(Request, BufferOf, 0, &buffer);
        if (NT_SUCCESS(status))
            status = FxObjectAllocate(Request->Object.Globals, &FxMemoryClass, NULL,
                                      &Request->Object, &object);
        if (!NT_SUCCESS(status))
            return status;
        status = FxObjectPublish(object, NULL);
        if (!NT_SUCCESS(status)) {
            FxObjectDiscard(object);
            return status;
        }
        *Slot = (FX_MEMORY *)object;
        (*Slot)->Buffer = buffer.Address;
        (*Slot)->Size = buffer.Length;
        (*Slot)->ReadOnly = ReadOnly;
    }
    *Memory = FX_HANDLE(*Slot);
    return STATUS_SUCCESS;
}

static NTSTATUS RetrieveMdl(FX_REQUEST *Request, FX_BUFFER_OF *BufferOf, PMDL *Made, PMDL *Mdl)
{
    FX_BUFFER buffer;
    NTSTATUS status = Checked(Request, BufferOf, 0, &buffer);

    *Mdl = NULL;
    if (!NT_SUCCESS(status))
        return status;
    if (buffer.Mdl != NULL) {
        *Mdl = buffer.Mdl;
        return STATUS_SUCCESS;
    }
    if (*Made == NULL) {
        *Made = IoAllocateMdl(buffer.Address, buffer.Length, FALSE, FALSE, NULL);
        if (*Made == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        MmBuildMdlForNonPagedPool(*Made);
    }
    *Mdl = *Made;
    return STATUS_SUCCESS;
}

VOID FxRequestReleaseBuffers(FX_REQUEST *Request)
{
    if (Request->InputMdl != NULL)
        IoFreeMdl(Request->InputMdl);
    if (Request->OutputMdl != NULL)
        IoFreeMdl(Request->OutputMdl);
    Request->InputMdl = Request->OutputMdl = NULL;
}

FX_API(NTSTATUS, WdfRequestRetrieveInputBuffer)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                WDFREQUEST Request, size_t MinimumRequiredLength,
                                                PVOID *Buffer, size_t *Length)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return RetrieveBuffer(FxRequestOwned(__func__, Request), InputOf, MinimumRequiredLength, Buffer,
                          Length);
}

FX_API(NTSTATUS, WdfRequestRetrieveOutputBuffer)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFREQUEST Request, size_t MinimumRequiredSize,
                                                 PVOID *Buffer, size_t *Length)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return RetrieveBuffer(FxRequestOwned(__func__, Request), OutputOf, MinimumRequiredSize, Buffer,
                          Length);
}

FX_API(NTSTATUS, WdfRequestRetrieveInputMemory)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                WDFREQUEST Request, WDFMEMORY *Memory)
{
    FX_REQUEST *request;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    request = FxRequestOwned(__func__, Request);
    return FX_FAULT() ? STATUS_INSUFFICIENT_RESOURCES
                      : RetrieveMemory(request, InputOf, &request->Input, TRUE, Memory);
}

FX_API(NTSTATUS, WdfRequestRetrieveOutputMemory)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFREQUEST Request, WDFMEMORY *Memory)
{
    FX_REQUEST *request;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    request = FxRequestOwned(__func__, Request);
    return FX_FAULT() ? STATUS_INSUFFICIENT_RESOURCES
                      : RetrieveMemory(request, OutputOf, &request->Output, FALSE, Memory);
}

FX_API(NTSTATUS, WdfRequestRetrieveInputWdmMdl)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                WDFREQUEST Request, PMDL *Mdl)
{
    FX_REQUEST *request;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    request = FxRequestOwned(__func__, Request);
    return RetrieveMdl(request, InputOf, &request->InputMdl, Mdl);
}

FX_API(NTSTATUS, WdfRequestRetrieveOutputWdmMdl)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFREQUEST Request, PMDL *Mdl)
{
    FX_REQUEST *request;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    request = FxRequestOwned(__func__, Request);
    return RetrieveMdl(request, OutputOf, &request->OutputMdl, Mdl);
}

/* User addresses, as they are; only in the caller's own context. */
static NTSTATUS Unsafe(const FX_REQUEST *Request, BOOLEAN Input, SIZE_T Minimum, PVOID *Buffer,
                       SIZE_T *Length)
{
    const IO_STACK_LOCATION *stack = FxStack(Request);
    SIZE_T length = 0;
    PVOID address = NULL;

    *Buffer = NULL;
    if (Length != NULL)
        *Length = 0;
    if (Request->Queue != NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
        METHOD_FROM_CTL_CODE(stack->Parameters.DeviceIoControl.IoControlCode) == METHOD_NEITHER) {
        length = Input ? stack->Parameters.DeviceIoControl.InputBufferLength
                       : stack->Parameters.DeviceIoControl.OutputBufferLength;
        address =
            Input ? stack->Parameters.DeviceIoControl.Type3InputBuffer : Request->Irp->UserBuffer;
    } else if (Request->Device->Config.ReadWriteIo == WdfDeviceIoNeither &&
               stack->MajorFunction == (Input ? IRP_MJ_WRITE : IRP_MJ_READ)) {
        length = Input ? stack->Parameters.Write.Length : stack->Parameters.Read.Length;
        address = Request->Irp->UserBuffer;
    } else {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (length == 0 || length < Minimum)
        return STATUS_BUFFER_TOO_SMALL;
    *Buffer = address;
    if (Length != NULL)
        *Length = length;
    return STATUS_SUCCESS;
}

FX_API(NTSTATUS, WdfRequestRetrieveUnsafeUserInputBuffer)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                          WDFREQUEST Request,
                                                          size_t MinimumRequiredLength,
                                                          PVOID *InputBuffer, size_t *Length)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    return Unsafe(FxRequestOwned(__func__, Request), TRUE, MinimumRequiredLength, InputBuffer,
                  Length);
}

FX_API(NTSTATUS, WdfRequestRetrieveUnsafeUserOutputBuffer)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                           WDFREQUEST Request,
                                                           size_t MinimumRequiredLength,
                                                           PVOID *OutputBuffer, size_t *Length)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    return Unsafe(FxRequestOwned(__func__, Request), FALSE, MinimumRequiredLength, OutputBuffer,
                  Length);
}
