/*
 * File systems and minifilters: what goes beyond ntddk.h. Their own issue extends it.
 */
#pragma once

#define _NTIFS_
#include <ntddk.h>

NTKERNELAPI NTSTATUS NTAPI PsLookupProcessByProcessId(HANDLE ProcessId, _Out_ PEPROCESS *Process);
NTKERNELAPI NTSTATUS NTAPI PsLookupThreadByThreadId(HANDLE ThreadId, _Out_ PETHREAD *Thread);
NTKERNELAPI PEPROCESS NTAPI PsGetThreadProcess(PETHREAD Thread);
NTKERNELAPI NTSTATUS NTAPI ZwQueryObject(_In_opt_ HANDLE Handle, ULONG ObjectInformationClass,
                                         _Out_opt_ PVOID ObjectInformation,
                                         ULONG ObjectInformationLength,
                                         _Out_opt_ PULONG ReturnLength);
