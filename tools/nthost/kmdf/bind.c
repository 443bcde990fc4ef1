/*
 * What wdfldr.sys exports: a driver's entry stub binds to the framework and gets its function table
 * and its globals. WDK: "Framework Library Versioning".
 */
#include "fx.h"

#define KMDF_MINOR 33u

/* The service's name: what the registry path ends in. */
static void SetDriverName(FX_GLOBALS *Globals, PCUNICODE_STRING RegistryPath)
{
    USHORT length = (USHORT)(RegistryPath->Length / sizeof(WCHAR)), start = length, i;

    while (start > 0 && RegistryPath->Buffer[start - 1] != L'\\')
        start--;
    for (i = 0; start + i < length && i < WDF_DRIVER_GLOBALS_NAME_LEN - 1; i++)
        Globals->Public.DriverName[i] = (CHAR)RegistryPath->Buffer[start + i];
    /* The default pool tag is the name's first four characters. */
    if (i >= 4)
        RtlCopyMemory(&Globals->Public.DriverTag, Globals->Public.DriverName, sizeof(ULONG));
    else
        Globals->Public.DriverTag = FX_TAG;
}

NTSTATUS NTAPI FxVersionBind(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath,
                             PWDF_BIND_INFO BindInfo, PWDF_COMPONENT_GLOBALS *ComponentGlobals)
{
    FX_GLOBALS *globals;

    FX_ENTER(PASSIVE_LEVEL);
    *ComponentGlobals = NULL;
    /* Later stubs give a longer structure, of which this is the beginning. */
    if (BindInfo == NULL || BindInfo->Size < sizeof(*BindInfo) || BindInfo->FuncTable == NULL)
        return STATUS_INVALID_PARAMETER;
    if (BindInfo->Version.Major != 1 || BindInfo->Version.Minor > KMDF_MINOR ||
        BindInfo->FuncCount > WdfFunctionTableNumEntries) {
        DbgPrint("KMDF %u.%u with %u functions is not this framework's 1.%u\n",
                 BindInfo->Version.Major, BindInfo->Version.Minor, BindInfo->FuncCount, KMDF_MINOR);
        return STATUS_INVALID_PARAMETER;
    }
    globals = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*globals), FX_TAG);
    if (globals == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    globals->DriverObject = DriverObject;
    KeInitializeSpinLock(&globals->Lock);
    InitializeListHead(&globals->Live);
    InitializeListHead(&globals->Deferred);
    SetDriverName(globals, RegistryPath);
    *BindInfo->FuncTable = FxFunctionTable;
    *ComponentGlobals = (PWDF_COMPONENT_GLOBALS)&globals->Public;
    return STATUS_SUCCESS;
}

/* Objects that a driver still holds references on when it goes. */
static void ReportLeaks(FX_GLOBALS *Globals)
{
    PLIST_ENTRY link;
    ULONG more = 0;
    const FX_OBJECT *first = NULL;

    for (link = Globals->Live.Flink; link != &Globals->Live; link = link->Flink) {
        const FX_OBJECT *object = CONTAINING_RECORD(link, FX_OBJECT, LiveLink);
        /* Children keep their parents: the culprit is the one that was deleted and stays. */
        if (first == NULL || (first->Class == &FxDriverClass && object->Class != &FxDriverClass))
            first = object;
        more++;
    }
    if (first != NULL)
        FxComplaint(FxRuleObjectLeak,
                    "%s was unloaded, but references are left on its %s %p (%s, %d reference%s), "
                    "%u object%s in all",
                    Globals->Public.DriverName, first->Class->Name, FX_HANDLE(first),
                    first->Contexts != NULL && first->Contexts->Type != NULL
                        ? first->Contexts->Type->ContextName
                        : "no context",
                    (int)first->References, first->References == 1 ? "" : "s", (unsigned)more,
                    more == 1 ? "" : "s");
}

NTSTATUS NTAPI FxVersionUnbind(PUNICODE_STRING RegistryPath, PWDF_BIND_INFO BindInfo,
                               PWDF_COMPONENT_GLOBALS ComponentGlobals)
{
    FX_GLOBALS *globals = FxGlobals((PWDF_DRIVER_GLOBALS)ComponentGlobals);
    ULONG i;

    UNREFERENCED_PARAMETER(RegistryPath);
    UNREFERENCED_PARAMETER(BindInfo);
    FX_ENTER(PASSIVE_LEVEL);
    FxDriverTearDown(globals); /* a DriverEntry that failed has not been unloaded */
    ReportLeaks(globals);
    if (globals->Objects != 0)
        return STATUS_SUCCESS; /* whoever holds them needs the globals, too */
    for (i = 0; i < FX_QUARANTINE; i++)
        if (globals->Quarantine[i] != NULL)
            ExFreePoolWithTag(globals->Quarantine[i], FxTag(globals));
    ExFreePoolWithTag(globals, FX_TAG);
    return STATUS_SUCCESS;
}
