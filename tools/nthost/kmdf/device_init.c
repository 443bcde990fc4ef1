/* Settings of a device before it exists. WDK: wdfdevice.h, wdfcontrol.h. */
#include "api.h"

VOID FxDeviceConfigFree(FX_DEVICE_CONFIG *Config)
{
    ULONG i;

    FxStringFree(&Config->Name);
    FxStringFree(&Config->Sddl);
    for (i = 0; i < FX_MAJOR_FUNCTIONS; i++)
        if (Config->PreprocessMinors[i] != NULL)
            ExFreePoolWithTag(Config->PreprocessMinors[i], FX_TAG);
}

VOID FxDeviceInitRelease(PWDFDEVICE_INIT Init)
{
    FxDeviceConfigFree(&Init->Config);
    FxObjectDereference(&Init->Driver->Object);
    ExFreePoolWithTag(Init, FX_TAG);
}

FX_API(PWDFDEVICE_INIT, WdfControlDeviceInitAllocate)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                      WDFDRIVER Driver, PCUNICODE_STRING SDDLString)
{
    FX_DRIVER *driver;
    PWDFDEVICE_INIT init;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    driver = FX_OBJECT_OF(Driver, FX_DRIVER, FxDriverClass);
    if (FX_FAULT())
        return NULL;
    init = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*init), FX_TAG);
    if (init == NULL)
        return NULL;
    if (!NT_SUCCESS(FxStringDuplicate(&init->Config.Sddl, SDDLString))) {
        ExFreePoolWithTag(init, FX_TAG);
        return NULL;
    }
    FxObjectReference(&driver->Object);
    init->Driver = driver;
    init->Config.Type = FILE_DEVICE_UNKNOWN;
    init->Config.Characteristics = FILE_DEVICE_SECURE_OPEN;
    init->Config.ReadWriteIo = WdfDeviceIoBuffered;
    init->Config.File.FileObjectClass = WdfFileObjectNotRequired;
    WDF_OBJECT_ATTRIBUTES_INIT(&init->Config.FileAttributes);
    WDF_OBJECT_ATTRIBUTES_INIT(&init->Config.RequestAttributes);
    return init;
}

FX_API(VOID, WdfDeviceInitFree)(PWDF_DRIVER_GLOBALS DriverGlobals, PWDFDEVICE_INIT DeviceInit)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    FxDeviceInitRelease(DeviceInit);
}

static NTSTATUS Replace(PUNICODE_STRING String, PCUNICODE_STRING New)
{
    UNICODE_STRING copy;
    NTSTATUS status = FxStringDuplicate(&copy, New);

    if (NT_SUCCESS(status)) {
        FxStringFree(String);
        *String = copy;
    }
    return status;
}

FX_API(NTSTATUS, WdfDeviceInitAssignName)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                          PWDFDEVICE_INIT DeviceInit, PCUNICODE_STRING DeviceName)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    return FX_FAULT() ? STATUS_INSUFFICIENT_RESOURCES
                      : Replace(&DeviceInit->Config.Name, DeviceName);
}

FX_API(NTSTATUS, WdfDeviceInitAssignSDDLString)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                PWDFDEVICE_INIT DeviceInit,
                                                PCUNICODE_STRING SDDLString)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    return FX_FAULT() ? STATUS_INSUFFICIENT_RESOURCES
                      : Replace(&DeviceInit->Config.Sddl, SDDLString);
}

FX_API(VOID, WdfDeviceInitSetDeviceType)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                         PWDFDEVICE_INIT DeviceInit, DEVICE_TYPE DeviceType)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    DeviceInit->Config.Type = DeviceType;
}

/* The class's GUID finds a security descriptor that an administrator set: there is none here. */
FX_API(VOID, WdfDeviceInitSetDeviceClass)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                          PWDFDEVICE_INIT DeviceInit, const GUID *DeviceClassGuid)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    UNREFERENCED_PARAMETER(DeviceInit);
    UNREFERENCED_PARAMETER(DeviceClassGuid);
    FX_ENTER(PASSIVE_LEVEL);
}

FX_API(VOID, WdfDeviceInitSetCharacteristics)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                              PWDFDEVICE_INIT DeviceInit,
                                              ULONG DeviceCharacteristics, BOOLEAN OrInValues)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    DeviceInit->Config.Characteristics =
        (OrInValues ? DeviceInit->Config.Characteristics : 0) | DeviceCharacteristics;
}

FX_API(VOID, WdfDeviceInitSetExclusive)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                        PWDFDEVICE_INIT DeviceInit, BOOLEAN IsExclusive)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    DeviceInit->Config.Exclusive = IsExclusive;
}

FX_API(VOID, WdfDeviceInitSetIoType)(PWDF_DRIVER_GLOBALS DriverGlobals, PWDFDEVICE_INIT DeviceInit,
                                     WDF_DEVICE_IO_TYPE IoType)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (IoType <= WdfDeviceIoUndefined || IoType >= WdfDeviceIoBufferedOrDirect)
        FxViolation(FxRuleBadParameter, "WdfDeviceInitSetIoType: %d is no I/O type", (int)IoType);
    DeviceInit->Config.ReadWriteIo = IoType;
}

FX_API(VOID, WdfDeviceInitSetIoTypeEx)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                       PWDFDEVICE_INIT DeviceInit, PWDF_IO_TYPE_CONFIG IoTypeConfig)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (IoTypeConfig->Size != sizeof(*IoTypeConfig))
        FxViolation(FxRuleBadParameter, "WdfDeviceInitSetIoTypeEx: the structure has a wrong Size");
    DeviceInit->Config.ReadWriteIo = IoTypeConfig->ReadWriteIoType;
}

FX_API(VOID, WdfDeviceInitSetFileObjectConfig)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                               PWDFDEVICE_INIT DeviceInit,
                                               PWDF_FILEOBJECT_CONFIG FileObjectConfig,
                                               PWDF_OBJECT_ATTRIBUTES FileObjectAttributes)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FileObjectConfig->Size != sizeof(*FileObjectConfig) ||
        !NT_SUCCESS(FxAttributesCheck(FileObjectAttributes)) ||
        (FileObjectAttributes != NULL && FileObjectAttributes->ParentObject != NULL))
        FxViolation(FxRuleBadParameter,
                    "WdfDeviceInitSetFileObjectConfig: a structure is invalid, or names a parent");
    DeviceInit->Config.File = *FileObjectConfig;
    if (FileObjectAttributes != NULL)
        DeviceInit->Config.FileAttributes = *FileObjectAttributes;
}

FX_API(VOID, WdfDeviceInitSetRequestAttributes)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                PWDFDEVICE_INIT DeviceInit,
                                                PWDF_OBJECT_ATTRIBUTES RequestAttributes)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (!NT_SUCCESS(FxAttributesCheck(RequestAttributes)) ||
        RequestAttributes->ParentObject != NULL)
        FxViolation(
            FxRuleBadParameter,
            "WdfDeviceInitSetRequestAttributes: the attributes are invalid, or name a parent");
    DeviceInit->Config.RequestAttributes = *RequestAttributes;
}

FX_API(VOID,
       WdfDeviceInitSetIoInCallerContextCallback)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  PWDFDEVICE_INIT DeviceInit,
                                                  PFN_WDF_IO_IN_CALLER_CONTEXT EvtIoInCallerContext)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    DeviceInit->Config.EvtInCallerContext = EvtIoInCallerContext;
}

FX_API(NTSTATUS, WdfDeviceInitAssignWdmIrpPreprocessCallback)(
    PWDF_DRIVER_GLOBALS DriverGlobals, PWDFDEVICE_INIT DeviceInit,
    PFN_WDFDEVICE_WDM_IRP_PREPROCESS EvtDeviceWdmIrpPreprocess, UCHAR MajorFunction,
    PUCHAR MinorFunctions, ULONG NumMinorFunctions)
{
    FX_DEVICE_CONFIG *config = &DeviceInit->Config;
    UCHAR *minors = NULL;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (MajorFunction >= FX_MAJOR_FUNCTIONS || (NumMinorFunctions != 0 && MinorFunctions == NULL))
        return STATUS_INVALID_PARAMETER;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    if (NumMinorFunctions != 0) {
        minors = ExAllocatePool2(POOL_FLAG_NON_PAGED, NumMinorFunctions, FX_TAG);
        if (minors == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        RtlCopyMemory(minors, MinorFunctions, NumMinorFunctions);
    }
    if (config->PreprocessMinors[MajorFunction] != NULL)
        ExFreePoolWithTag(config->PreprocessMinors[MajorFunction], FX_TAG);
    config->Preprocess[MajorFunction] = EvtDeviceWdmIrpPreprocess;
    config->PreprocessMinors[MajorFunction] = minors;
    config->PreprocessMinorCount[MajorFunction] = NumMinorFunctions;
    return STATUS_SUCCESS;
}
