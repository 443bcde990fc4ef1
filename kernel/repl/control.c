/*
 * The control device: ntswift/repl.h over IRPs.
 *
 * The I/O manager has already checked that the handle may read or write, as the code demands. A
 * table says how long input and output must at least be, so no handler has to ask.
 *
 * Handlers run at PASSIVE_LEVEL under ControlLock, but those that pend or work on files.
 */
#include "control.h"

#include "brackets.h"
#include "config.h"
#include "configure.h"
#include "lost.h"
#include "regions.h"
#include "ring.h"
#include "role.h"
#include "secure.h"
#include "status.h"
#include "sync.h"
#include "trust.h"
#include "volume.h"
#include "wait.h"

static DRIVER_DISPATCH RplCreate;
static DRIVER_DISPATCH RplCleanup;
static DRIVER_DISPATCH RplClose;
static DRIVER_DISPATCH RplShutdown;
static DRIVER_DISPATCH RplDeviceControl;

VOID RplControlLock(VOID)
{
    KeWaitForSingleObject(&Repl.ControlLock, Executive, KernelMode, FALSE, NULL);
}

VOID RplControlUnlock(VOID)
{
    KeReleaseMutex(&Repl.ControlLock, FALSE);
}

static NTSTATUS RplGetVersion(_Inout_ RPL_CALL *Call)
{
    REPL_VERSION *version = Call->Buffer;

    version->Contract = REPL_CONTRACT_VERSION;
    version->DriverVersion = RPL_DRIVER_VERSION;
    Call->Written = sizeof(*version);
    return STATUS_SUCCESS;
}

static NTSTATUS RplGetRefusal(_Inout_ RPL_CALL *Call)
{
    REPL_REFUSAL *refusal = Call->Buffer;
    KIRQL irql;

    KeAcquireSpinLock(&Call->Handle->Lock, &irql);
    *refusal = Call->Handle->Refusal;
    KeReleaseSpinLock(&Call->Handle->Lock, irql);
    Call->Written = sizeof(*refusal);
    return STATUS_SUCCESS;
}

#define RPL_CALL_LOCKED 1 /* under ControlLock */
#define RPL_CALL_PENDS  2 /* the IRP is marked pending before the handler sees it */

static const struct
{
    ULONG Code;
    ULONG MinInput;
    ULONG MaxInput;
    ULONG MinOutput;
    ULONG Flags;
    RPL_HANDLER *Handler;
} Calls[] = {
    {REPL_IOCTL_GET_VERSION, 0, 0, sizeof(REPL_VERSION), 0, RplGetVersion},
    {REPL_IOCTL_SET_CONFIG, sizeof(REPL_CONFIG), MAXULONG, 0, RPL_CALL_LOCKED, RplSetConfig},
    {REPL_IOCTL_GET_CONFIG, 0, 0, sizeof(REPL_CONFIG), RPL_CALL_LOCKED, RplGetConfig},
    {REPL_IOCTL_GET_STATUS, 0, 0, sizeof(REPL_STATUS), RPL_CALL_LOCKED, RplGetStatus},
    {REPL_IOCTL_GET_REFUSAL, 0, 0, sizeof(REPL_REFUSAL), 0, RplGetRefusal},
    {REPL_IOCTL_SET_ROLE, sizeof(REPL_ROLE), sizeof(REPL_ROLE), 0, RPL_CALL_LOCKED, RplSetRole},
    {REPL_IOCTL_LEND_RING, sizeof(REPL_LEND), sizeof(REPL_LEND), 0,
     RPL_CALL_LOCKED | RPL_CALL_PENDS, RplLendRing},
    {REPL_IOCTL_WAIT, sizeof(REPL_WAIT), sizeof(REPL_WAIT), sizeof(REPL_PROGRESS), RPL_CALL_PENDS,
     RplWaitProgress},
    {REPL_IOCTL_READ_JOURNAL, sizeof(REPL_READ), sizeof(REPL_READ), sizeof(REPL_RECORD),
     RPL_CALL_PENDS, RplReadJournal},
    {REPL_IOCTL_ACKNOWLEDGE, sizeof(REPL_ACKNOWLEDGE), sizeof(REPL_ACKNOWLEDGE), 0, 0,
     RplAcknowledge},
    {REPL_IOCTL_BOOKMARK, sizeof(REPL_BOOKMARK), sizeof(REPL_BOOKMARK) + REPL_MAX_LABEL_BYTES,
     sizeof(REPL_SEQUENCE), 0, RplBookmark},
    {REPL_IOCTL_OPEN_BRACKET, sizeof(REPL_BRACKET), sizeof(REPL_BRACKET), sizeof(REPL_SEQUENCE),
     RPL_CALL_LOCKED, RplOpenBracket},
    {REPL_IOCTL_CLOSE_BRACKET, sizeof(REPL_BRACKET), sizeof(REPL_BRACKET), sizeof(REPL_SEQUENCE),
     RPL_CALL_LOCKED, RplCloseBracket},
    {REPL_IOCTL_LIST_BRACKETS, 0, 0, 0, RPL_CALL_LOCKED, RplListBrackets},
    {REPL_IOCTL_SYNC_FOLDER, sizeof(REPL_SYNC), sizeof(REPL_SYNC) + REPL_MAX_NAME_BYTES,
     sizeof(REPL_SEQUENCE), 0, RplSyncFolder},
    {REPL_IOCTL_SYNC_FILE, sizeof(REPL_SYNC), sizeof(REPL_SYNC) + REPL_MAX_NAME_BYTES,
     sizeof(REPL_SEQUENCE), 0, RplSyncFile},
    {REPL_IOCTL_SYNC_RANGE, sizeof(REPL_SYNC), sizeof(REPL_SYNC) + REPL_MAX_NAME_BYTES,
     sizeof(REPL_SEQUENCE), 0, RplSyncRange},
    {REPL_IOCTL_TAKE_DIRTY, 0, 0, sizeof(REPL_DIRTY_FILE) + sizeof(REPL_DIRTY_RANGE), 0,
     RplTakeDirty},
    {REPL_IOCTL_TRUST_PROCESS, sizeof(REPL_TRUST), sizeof(REPL_TRUST), 0, RPL_CALL_LOCKED,
     RplTrustProcess},
    {REPL_IOCTL_QUERY_REGIONS, sizeof(REPL_REGION_QUERY), sizeof(REPL_REGION_QUERY),
     sizeof(REPL_DIRTY_FILE) + sizeof(REPL_DIRTY_RANGE), 0, RplQueryRegions},
    {REPL_IOCTL_READ_RANGE, sizeof(REPL_SYNC), sizeof(REPL_SYNC) + REPL_MAX_NAME_BYTES, 1, 0,
     RplReadRange},
};

static VOID RplRemember(_Inout_ RPL_HANDLE *Handle, _In_ const REPL_REFUSAL *Refusal)
{
    KIRQL irql;

    KeAcquireSpinLock(&Handle->Lock, &irql);
    Handle->Refusal = *Refusal;
    KeReleaseSpinLock(&Handle->Lock, irql);
}

static NTSTATUS RplComplete(_In_ PIRP Irp, _In_ NTSTATUS Status, _In_ ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

_Use_decl_annotations_ VOID RplCompleteCall(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
}

_Use_decl_annotations_ static NTSTATUS RplDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    RPL_CALL call = {0};
    BOOLEAN pending = FALSE;
    NTSTATUS status;
    ULONG i;

    UNREFERENCED_PARAMETER(DeviceObject);
    call.Irp = Irp;
    call.FileObject = stack->FileObject;
    call.Handle = stack->FileObject->FsContext;
    call.Buffer = Irp->AssociatedIrp.SystemBuffer;
    call.InputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    call.OutputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;

    for (i = 0; i < RTL_NUMBER_OF(Calls) && Calls[i].Code != code; i++)
    {
    }
    if (i == RTL_NUMBER_OF(Calls))
    {
        status = RplRefuse(&call, ReplRefusalNone, STATUS_INVALID_DEVICE_REQUEST);
    }
    else if (call.InputBytes < Calls[i].MinInput || call.InputBytes > Calls[i].MaxInput)
    {
        status = RplRefuse(&call, ReplRefusalLength, STATUS_INFO_LENGTH_MISMATCH);
    }
    else if (call.OutputBytes < Calls[i].MinOutput)
    {
        status = RplRefuse(&call, ReplRefusalLength, STATUS_BUFFER_TOO_SMALL);
    }
    else
    {
        if ((Calls[i].Flags & RPL_CALL_PENDS) != 0)
        {
            /* Before others may complete it; so STATUS_PENDING is right in every case. */
            IoMarkIrpPending(Irp);
            pending = TRUE;
        }
        if ((Calls[i].Flags & RPL_CALL_LOCKED) != 0)
        {
            RplControlLock();
            status = Calls[i].Handler(&call);
            RplControlUnlock();
        }
        else
        {
            status = Calls[i].Handler(&call);
        }
        if (pending && status == STATUS_PENDING)
        {
            return status;
        }
    }

    if (!NT_SUCCESS(status))
    {
        RplRemember(call.Handle, &call.Refusal);
    }
    (VOID) RplComplete(Irp, status, NT_SUCCESS(status) ? call.Written : 0);
    return pending ? STATUS_PENDING : status;
}

_Use_decl_annotations_ static NTSTATUS RplCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    RPL_HANDLE *handle = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*handle), RPL_TAG);

    UNREFERENCED_PARAMETER(DeviceObject);
    if (handle == NULL)
    {
        return RplComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    KeInitializeSpinLock(&handle->Lock);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = handle;
    return RplComplete(Irp, STATUS_SUCCESS, FILE_OPENED);
}

/* The last handle is closed: what the file object asked for ends. */
_Use_decl_annotations_ static NTSTATUS RplCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;

    UNREFERENCED_PARAMETER(DeviceObject);
    RplRingRevoke(file);
    RplWaitCancel(file);
    RplTrustEnd(file);
    return RplComplete(Irp, STATUS_SUCCESS, 0);
}

_Use_decl_annotations_ static NTSTATUS RplClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;

    UNREFERENCED_PARAMETER(DeviceObject);
    ExFreePoolWithTag(file->FsContext, RPL_TAG);
    file->FsContext = NULL;
    return RplComplete(Irp, STATUS_SUCCESS, 0);
}

/* The machine stops in an orderly way: what is written after this makes it unclean again. */
_Use_decl_annotations_ static NTSTATUS RplShutdown(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    RplVolumesEnd();
    RplControlLock();
    RplRoleRest();
    RplControlUnlock();
    return RplComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS RplControlCreate(VOID)
{
    static const UNICODE_STRING name = RTL_CONSTANT_STRING(REPL_DEVICE_NAME);
    static const UNICODE_STRING link = RTL_CONSTANT_STRING(REPL_LINK_NAME);
    PDRIVER_DISPATCH *dispatch = Repl.DriverObject->MajorFunction;
    PDEVICE_OBJECT device;
    NTSTATUS status;

    dispatch[IRP_MJ_CREATE] = RplCreate;
    dispatch[IRP_MJ_CLEANUP] = RplCleanup;
    dispatch[IRP_MJ_CLOSE] = RplClose;
    dispatch[IRP_MJ_SHUTDOWN] = RplShutdown;
    dispatch[IRP_MJ_DEVICE_CONTROL] = RplDeviceControl;
    status = IoCreateDevice(Repl.DriverObject, 0, (PUNICODE_STRING)&name, FILE_DEVICE_UNKNOWN,
                            FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    /* Nobody can open it before DO_DEVICE_INITIALIZING is cleared. */
    status = RplSecureDevice(device);
    if (!NT_SUCCESS(status))
    {
        IoDeleteDevice(device);
        return status;
    }
    status = IoCreateSymbolicLink((PUNICODE_STRING)&link, (PUNICODE_STRING)&name);
    if (NT_SUCCESS(status))
    {
        status = IoRegisterShutdownNotification(device);
        if (!NT_SUCCESS(status))
        {
            (VOID) IoDeleteSymbolicLink((PUNICODE_STRING)&link);
        }
    }
    if (!NT_SUCCESS(status))
    {
        IoDeleteDevice(device);
        return status;
    }
    Repl.ControlDevice = device;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

VOID RplControlDestroy(VOID)
{
    static const UNICODE_STRING link = RTL_CONSTANT_STRING(REPL_LINK_NAME);

    if (Repl.ControlDevice != NULL)
    {
        IoUnregisterShutdownNotification(Repl.ControlDevice);
        (VOID) IoDeleteSymbolicLink((PUNICODE_STRING)&link);
        IoDeleteDevice(Repl.ControlDevice);
        Repl.ControlDevice = NULL;
    }
}
