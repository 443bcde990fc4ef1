/*
 * A driver that breaks one rule of the verifier, or, loaded under a service name that ends in
 * "good", is its twin that does the same without breaking it. A case's source is one function, or
 * two:
 *
 *     static VOID Run(VOID) { ... if (Bad) ... }
 *     BAD_DRIVER(Run, NoUnload)
 *
 * They are called at PASSIVE_LEVEL, from DriverEntry and from DriverUnload.
 */
#pragma once
#include <ntddk.h>

#define BAD_TAG 'daBt'

static BOOLEAN Bad;

#define BAD_DRIVER(run, stop)                                                                      \
    DRIVER_INITIALIZE DriverEntry;                                                                 \
    static DRIVER_UNLOAD BadUnload;                                                                \
    static VOID BadUnload(PDRIVER_OBJECT DriverObject)                                             \
    {                                                                                              \
        UNREFERENCED_PARAMETER(DriverObject);                                                      \
        stop();                                                                                    \
    }                                                                                              \
    NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)                \
    {                                                                                              \
        /* "...-bad" or "...-good" */                                                              \
        Bad = RegistryPath->Buffer[RegistryPath->Length / sizeof(WCHAR) - 3] == L'b';              \
        DriverObject->DriverUnload = BadUnload;                                                    \
        run();                                                                                     \
        return STATUS_SUCCESS;                                                                     \
    }

__attribute__((unused)) static VOID NoUnload(VOID) {}
