/*
 * Not a rule of its own: a driver with several fallible calls, whose bad variant does not give back
 * what it has when a late one fails. Only fault injection gets there.
 */
#include "bad.h"

static PVOID Blocks[3];
static PEX_TIMER Timer;

static DECLSPEC_NOINLINE PVOID Allocate(SIZE_T Bytes)
{
    return ExAllocatePool2(POOL_FLAG_NON_PAGED, Bytes, BAD_TAG);
}

static VOID Free(ULONG Count)
{
    while (Count--) {
        ExFreePoolWithTag(Blocks[Count], BAD_TAG);
        Blocks[Count] = NULL;
    }
}

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static VOID Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    ExDeleteTimer(Timer, TRUE, TRUE, NULL);
    Free(3);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    Bad = RegistryPath->Buffer[RegistryPath->Length / sizeof(WCHAR) - 3] == L'b';
    DriverObject->DriverUnload = Unload;
    Blocks[0] = Allocate(100);
    if (!Blocks[0])
        return STATUS_INSUFFICIENT_RESOURCES;
    Blocks[1] = Allocate(200);
    if (!Blocks[1]) {
        Free(1);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Blocks[2] = Allocate(300);
    if (!Blocks[2]) {
        Free(2);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Timer = ExAllocateTimer(NULL, NULL, 0);
    if (!Timer) {
        Free(Bad ? 2 : 3);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}
