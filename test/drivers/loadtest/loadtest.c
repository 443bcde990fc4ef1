/*
 * The loader's test driver: static data of all kinds, a frame of more than a page, a frame with a
 * frame register, and a call back into the host from below them.
 */
#include <ntddk.h>
#include "loadtest.h"

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD LoadTestUnload;
static DRIVER_DISPATCH LoadTestCreateClose;
static DRIVER_DISPATCH LoadTestControl;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#endif

static ULONG Ten(VOID)
{
    return 10;
}

static ULONG Twenty(VOID)
{
    return 20;
}

static ULONG Thirty(VOID)
{
    return 30;
}

typedef ULONG LOADTEST_FUNCTION(VOID);

static ULONG Counter = 1000;
static ULONG Zeroed;
static LOADTEST_FUNCTION *const Functions[] = {Ten, Twenty, Thirty};
static const CHAR *const Texts[] = {"first", "relocated"};

static VOID FillState(_Out_ LOADTEST_STATE *State)
{
    LOADTEST_FUNCTION *const volatile *functions = Functions;
    const CHAR *const volatile *texts = Texts;

    RtlZeroMemory(State, sizeof(*State));
    State->Counter = Counter++;
    State->Zeroed = Zeroed++;
    for (ULONG i = 0; i < ARRAYSIZE(Functions); i++) {
        State->Sum += functions[i]();
    }
    for (ULONG i = 0; i < sizeof(State->Text) - 1 && texts[1][i] != 0; i++) {
        State->Text[i] = texts[1][i];
    }
    State->Imported = (UINT64)(ULONG_PTR)&IofCompleteRequest;
    State->Code = (UINT64)(ULONG_PTR)&Ten;
}

static DECLSPEC_NOINLINE NTSTATUS CallHost(_In_ PDEVICE_OBJECT Target)
{
    KEVENT event;
    IO_STATUS_BLOCK iosb;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    PIRP irp = IoBuildDeviceIoControlRequest(0, Target, NULL, 0, NULL, 0, TRUE, &event, &iosb);
    if (irp == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status = IoCallDriver(Target, irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
        status = iosb.Status;
    }
    return status;
}

/* More than a page of locals: the compiler calls __chkstk. */
static DECLSPEC_NOINLINE NTSTATUS BigFrame(_In_ PDEVICE_OBJECT Target, ULONG Seed)
{
    volatile UCHAR big[3 * PAGE_SIZE];

    for (ULONG i = 0; i < sizeof(big); i++) {
        big[i] = (UCHAR)(i + Seed);
    }
    NTSTATUS status = CallHost(Target);
    ULONG sum = 0;
    for (ULONG i = 0; i < sizeof(big); i++) {
        sum += big[i] == (UCHAR)(i + Seed);
    }
    return sum == sizeof(big) ? status : STATUS_UNSUCCESSFUL;
}

/* A frame whose size is known only at run time is unwound by its frame register. */
static DECLSPEC_NOINLINE NTSTATUS FrameRegister(_In_ PDEVICE_OBJECT Target, ULONG Bytes)
{
    volatile UCHAR *moving = __builtin_alloca(Bytes);

    moving[0] = 1;
    moving[Bytes - 1] = 2;
    NTSTATUS status = BigFrame(Target, Bytes);
    return moving[0] == 1 && moving[Bytes - 1] == 2 ? status : STATUS_UNSUCCESSFUL;
}

static NTSTATUS CallDeep(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LoadTestHost");
    PFILE_OBJECT file;
    PDEVICE_OBJECT target;

    NTSTATUS status = IoGetDeviceObjectPointer(&name, FILE_READ_DATA, &file, &target);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = FrameRegister(target, 300 + Zeroed);
    ObDereferenceObject(file);
    return status;
}

static NTSTATUS LoadTestControl(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DeviceObject);
    Irp->IoStatus.Information = 0;
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case LOADTEST_IOCTL_STATE:
        if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(LOADTEST_STATE)) {
            status = STATUS_BUFFER_TOO_SMALL;
            break;
        }
        FillState(Irp->AssociatedIrp.SystemBuffer);
        Irp->IoStatus.Information = sizeof(LOADTEST_STATE);
        status = STATUS_SUCCESS;
        break;
    case LOADTEST_IOCTL_CALL:
        status = CallDeep();
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
        break;
    }
    Irp->IoStatus.Status = status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS LoadTestCreateClose(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID LoadTestUnload(_In_ PDRIVER_OBJECT DriverObject)
{
    IoDeleteDevice(DriverObject->DeviceObject);
}

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    WCHAR text[128];
    UNICODE_STRING name = {0, sizeof(text), text};
    UNICODE_STRING service = *RegistryPath;
    PDEVICE_OBJECT device;

    /* \Device\ and the last component of the registry path */
    for (USHORT i = RegistryPath->Length / sizeof(WCHAR); i > 0; i--) {
        if (RegistryPath->Buffer[i - 1] == L'\\') {
            service.Buffer = &RegistryPath->Buffer[i];
            service.Length = (USHORT)(RegistryPath->Length - i * sizeof(WCHAR));
            break;
        }
    }
    RtlAppendUnicodeToString(&name, L"\\Device\\");
    NTSTATUS status = RtlAppendUnicodeStringToString(&name, &service);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN,
                            FALSE, &device);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = LoadTestCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = LoadTestCreateClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = LoadTestCreateClose;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = LoadTestControl;
    DriverObject->DriverUnload = LoadTestUnload;
    return STATUS_SUCCESS;
}
