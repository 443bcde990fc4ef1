/*
 * Cancelling a request that the driver has. WDK: "Canceling I/O Requests", "Synchronizing Cancel
 * and Completion Code".
 *
 *   NO --mark--> MARKED --unmark--> NO
 *                MARKED --IoCancelIrp, purge--> CALLING: EvtRequestCancel is called, once
 *
 * Who leaves MARKED is decided by IoSetCancelRoutine: unmark, purge and cancellation race for the
 * one cancel routine that there is. A mark holds a reference on the request, so that the callback's
 * request exists even if the driver completes it meanwhile.
 */
#include "api.h"

static DRIVER_CANCEL CancelRoutine;

VOID FxRequestCallCancel(FX_REQUEST *Request)
{
    FX_CALLBACK_LOCK *lock = Request->Queue != NULL ? Request->Queue->CallbackLock : NULL;

    FxCallbackLockAcquire(lock);
    FX_CALL("EvtRequestCancel", Request->EvtCancel(FX_HANDLE(Request)));
    FxCallbackLockRelease(lock);
    FxObjectDereference(&Request->Object); /* the mark's */
}

static VOID CancelRoutine(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    FX_REQUEST *request = Irp->Tail.Overlay.DriverContext[0];

    UNREFERENCED_PARAMETER(DeviceObject);
    request->Cancelable = FX_CANCEL_CALLING;
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    FxRequestCallCancel(request);
}

BOOLEAN FxRequestTakeCancel(FX_REQUEST *Request)
{
    if (Request->Cancelable != FX_CANCEL_MARKED || IoSetCancelRoutine(Request->Irp, NULL) == NULL)
        return FALSE;
    Request->Cancelable = FX_CANCEL_CALLING;
    return TRUE;
}

static NTSTATUS Mark(PCSTR Function, WDFREQUEST Handle, PFN_WDF_REQUEST_CANCEL EvtRequestCancel)
{
    FX_REQUEST *request = FxRequestOwned(Function, Handle);
    PIRP irp = request->Irp;

    if (request->Cancelable != FX_CANCEL_NO)
        FxViolation(
            FxRuleRequestMisuse, "%s: the request %p is already %s", Function + 2, (PVOID)Handle,
            request->Cancelable == FX_CANCEL_MARKED ? "marked cancelable" : "being cancelled");
    request->EvtCancel = EvtRequestCancel;
    irp->Tail.Overlay.DriverContext[0] = request;
    FxObjectReference(&request->Object);
    request->Cancelable = FX_CANCEL_MARKED;
    IoSetCancelRoutine(irp, CancelRoutine);
    /* Cancelled before the routine was set: nobody else will call it, unless it was set in time. */
    if (irp->Cancel && IoSetCancelRoutine(irp, NULL) != NULL) {
        request->Cancelable = FX_CANCEL_CALLING;
        return STATUS_CANCELLED;
    }
    return STATUS_SUCCESS;
}

FX_API(VOID, WdfRequestMarkCancelable)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request,
                                       PFN_WDF_REQUEST_CANCEL EvtRequestCancel)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    /* WDK: if it has been cancelled, the callback is called before this returns. */
    if (Mark(__func__, Request, EvtRequestCancel) == STATUS_CANCELLED)
        FxRequestCallCancel((FX_REQUEST *)FxObjectFrom(__func__, Request, &FxRequestClass));
}

FX_API(NTSTATUS, WdfRequestMarkCancelableEx)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request,
                                             PFN_WDF_REQUEST_CANCEL EvtRequestCancel)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    status = Mark(__func__, Request, EvtRequestCancel);
    if (status == STATUS_CANCELLED) {
        /* The driver completes it; the callback is not called. */
        FX_REQUEST *request = (FX_REQUEST *)FxObjectFrom(__func__, Request, &FxRequestClass);
        request->Cancelable = FX_CANCEL_NO;
        FxObjectDereference(&request->Object);
    }
    return status;
}

FX_API(NTSTATUS, WdfRequestUnmarkCancelable)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request)
{
    FX_REQUEST *request;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    request = FX_OBJECT_OF(Request, FX_REQUEST, FxRequestClass);
    /* It may have been completed by EvtRequestCancel: the driver's reference keeps the object. */
    if (request->Cancelable == FX_CANCEL_CALLING)
        return STATUS_CANCELLED;
    if (request->Cancelable == FX_CANCEL_NO || request->Owner != FxOwnerDriver)
        FxViolation(FxRuleRequestMisuse,
                    "WdfRequestUnmarkCancelable: the request %p is not marked cancelable",
                    (PVOID)Request);
    if (IoSetCancelRoutine(request->Irp, NULL) == NULL)
        return STATUS_CANCELLED;
    request->Cancelable = FX_CANCEL_NO;
    FxObjectDereference(&request->Object);
    return STATUS_SUCCESS;
}

FX_API(BOOLEAN, WdfRequestIsCanceled)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FxRequestOwned(__func__, Request)->Irp->Cancel;
}
