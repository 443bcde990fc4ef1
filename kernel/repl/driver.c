/*
 * REPL: entry and exit. Only wiring.
 */
#include "repl.h"

#include "configure.h"
#include "control.h"
#include "drain.h"
#include "filter.h"
#include "regions.h"
#include "ring.h"
#include "role.h"
#include "state.h"
#include "trust.h"
#include "wait.h"

DRIVER_INITIALIZE DriverEntry;

RPL_GLOBALS Repl;

/* In the reverse order of DriverEntry; what was not made is passed over. */
VOID RplDriverEnd(VOID)
{
    RplControlDestroy();
    RplFilterUnregister();
    RplRoleRest();
    RplRegionsDestroy();
    RplDrainDestroy();
    RplWaitCancel(NULL);
    KeFlushQueuedDpcs();
    RplStreamDestroy();
    RplConfigureDestroy();
    RplRoleClose();
}

_Use_decl_annotations_ NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject,
                                            PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    RtlZeroMemory(&Repl, sizeof(Repl));
    Repl.DriverObject = DriverObject;
    KeInitializeMutex(&Repl.ControlLock, 0);
    RplFilterInitialize();
    status = RplStreamCreate();
    if (NT_SUCCESS(status))
    {
        status = RplTrustCreate();
    }
    if (NT_SUCCESS(status))
    {
        status = RplDrainCreate();
    }
    if (NT_SUCCESS(status))
    {
        status = RplRoleLoad();
    }
    if (NT_SUCCESS(status))
    {
        status = RplRegionsCreate();
    }
    if (NT_SUCCESS(status))
    {
        status = RplConfigureLoad();
    }
    if (NT_SUCCESS(status))
    {
        status = RplRoleStart();
    }
    if (NT_SUCCESS(status))
    {
        /* Files may be opened and written from here on. */
        status = RplFilterRegister();
    }
    if (NT_SUCCESS(status))
    {
        status = RplControlCreate();
    }
    if (!NT_SUCCESS(status))
    {
        RplDriverEnd();
    }
    return status;
}
