/* The driver object. WDK: wdfdriver.h, "Creating a Framework Driver Object". */
#include "api.h"

static void DriverDispose(FX_OBJECT *Object);
static void DriverDestroy(FX_OBJECT *Object);
static DRIVER_UNLOAD Unload;

const FX_CLASS FxDriverClass = {"WDFDRIVER", sizeof(FX_DRIVER), FALSE,
                                TRUE,        DriverDispose,     DriverDestroy};

static void DriverDispose(FX_OBJECT *Object)
{
    Object->Globals->Driver = NULL;
    Object->Globals->Public.Driver = NULL;
}

static void DriverDestroy(FX_OBJECT *Object)
{
    FxStringFree(&((FX_DRIVER *)Object)->RegistryPath);
}

/* Deletes the driver and with it all that it made. */
VOID FxDriverTearDown(FX_GLOBALS *Globals)
{
    FX_DRIVER *driver = Globals->Driver;
    FX_ERRAND *deferred = Globals->DeferredErrand;

    if (driver == NULL)
        return;
    FxObjectReference(&driver->Object); /* the errand's object, until it is freed */
    FxDeferredFlush(Globals);
    FxObjectDelete(&driver->Object);
    /* What was deleted at DISPATCH_LEVEL while that went on. */
    FxErrandFinish(deferred);
    Globals->DeferredErrand = NULL;
    FxErrandFree(deferred);
    FxObjectDereference(&driver->Object);
}

static VOID Unload(PDRIVER_OBJECT DriverObject)
{
    FX_GLOBALS *globals =
        *(FX_GLOBALS **)IoGetDriverObjectExtension(DriverObject, (PVOID)(ULONG_PTR)FX_TAG);
    FX_DRIVER *driver = globals->Driver;

    if (driver != NULL && driver->EvtUnload != NULL)
        FX_CALL("EvtDriverUnload", driver->EvtUnload(FX_HANDLE(driver)));
    FxDriverTearDown(globals);
}

FX_API(NTSTATUS, WdfDriverCreate)(PWDF_DRIVER_GLOBALS DriverGlobals, PDRIVER_OBJECT DriverObject,
                                  PCUNICODE_STRING RegistryPath,
                                  PWDF_OBJECT_ATTRIBUTES DriverAttributes,
                                  PWDF_DRIVER_CONFIG DriverConfig, WDFDRIVER *Driver)
{
    FX_GLOBALS *globals = FxGlobals(DriverGlobals), **extension;
    FX_OBJECT *object;
    FX_DRIVER *driver;
    NTSTATUS status;
    ULONG i;

    FX_ENTER(PASSIVE_LEVEL);
    if (Driver != NULL)
        *Driver = NULL;
    if (DriverConfig->Size != sizeof(*DriverConfig))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (globals->Driver != NULL)
        return STATUS_DRIVER_INTERNAL_ERROR;
    if (DriverAttributes != NULL && DriverAttributes->ParentObject != NULL)
        return STATUS_WDF_PARENT_ASSIGNMENT_NOT_ALLOWED;
    if (!(DriverConfig->DriverInitFlags & WdfDriverInitNonPnpDriver) &&
        DriverConfig->EvtDriverDeviceAdd != NULL)
        FxViolation(FxRuleUnimplemented, "WdfDriverCreate: EvtDriverDeviceAdd: there are no "
                                         "devices here that a bus driver found; "
                                         "set WdfDriverInitNonPnpDriver and make control devices");
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    /* Before anything is allocated under it */
    if (DriverConfig->DriverPoolTag != 0)
        globals->Public.DriverTag = DriverConfig->DriverPoolTag;
    globals->Public.DriverFlags = DriverConfig->DriverInitFlags;

    status = IoAllocateDriverObjectExtension(DriverObject, (PVOID)(ULONG_PTR)FX_TAG,
                                             sizeof(*extension), (PVOID *)&extension);
    if (!NT_SUCCESS(status))
        return status;
    *extension = globals;
    status = FxObjectAllocate(globals, &FxDriverClass, DriverAttributes, NULL, &object);
    if (!NT_SUCCESS(status))
        return status;
    driver = (FX_DRIVER *)object;
    driver->EvtUnload = DriverConfig->EvtDriverUnload;
    FxCallbackInherit(DriverAttributes, WdfExecutionLevelDispatch, WdfSynchronizationScopeNone,
                      &driver->Level, &driver->Scope);
    status = FxStringDuplicate(&driver->RegistryPath, RegistryPath);
    if (NT_SUCCESS(status))
        status = FxDeferredCreate(globals, object);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    FxObjectPublish(object, DriverAttributes);
    globals->Driver = driver;
    globals->Public.Driver = FX_HANDLE(driver);

    if (!(DriverConfig->DriverInitFlags & WdfDriverInitNoDispatchOverride)) {
        for (i = 0; i < FX_MAJOR_FUNCTIONS; i++)
            DriverObject->MajorFunction[i] = FxDispatch;
        /* A non-PnP driver without EvtDriverUnload stays. */
        if (DriverConfig->EvtDriverUnload != NULL ||
            !(DriverConfig->DriverInitFlags & WdfDriverInitNonPnpDriver)) {
            DriverObject->DriverUnload = Unload;
            globals->Public.DisplaceDriverUnload = TRUE;
        }
    }
    if (Driver != NULL)
        *Driver = FX_HANDLE(driver);
    return STATUS_SUCCESS;
}

FX_API(PWSTR, WdfDriverGetRegistryPath)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDRIVER Driver)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    return FX_OBJECT_OF(Driver, FX_DRIVER, FxDriverClass)->RegistryPath.Buffer;
}

FX_API(PDRIVER_OBJECT, WdfDriverWdmGetDriverObject)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFDRIVER Driver)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_OBJECT_OF(Driver, FX_DRIVER, FxDriverClass)->Object.Globals->DriverObject;
}

FX_API(NTSTATUS, WdfDriverRetrieveVersionString)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFDRIVER Driver, WDFSTRING String)
{
    UNICODE_STRING text;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    FX_OBJECT_OF(Driver, FX_DRIVER, FxDriverClass);
    RtlInitUnicodeString(&text, L"Kernel Mode Driver Framework (version 1.33)");
    return FxStringAssign(FX_OBJECT_OF(String, FX_OBJECT, FxStringClass), &text);
}
