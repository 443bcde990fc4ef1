/*
 * File systems and minifilters: what goes beyond ntddk.h. The parts are in ntifs/.
 */
#pragma once

#define _NTIFS_
#include <ntddk.h>

#define FlagOn(flags, mask)        ((flags) & (mask))
#define BooleanFlagOn(flags, mask) ((BOOLEAN)(((flags) & (mask)) != 0))
#define SetFlag(flags, mask)       ((flags) |= (mask))
#define ClearFlag(flags, mask)     ((flags) &= ~(mask))

#include <ntifs/fileinfo.h>
#include <ntifs/directory.h>
#include <ntifs/volume.h>
#include <ntifs/reparse.h>
#include <ntifs/fsctl.h>
#include <ntifs/oplock.h>
#include <ntifs/txfs.h>
#include <ntifs/header.h>
#include <ntifs/io.h>
#include <ntifs/fsfilter.h>
#include <ntifs/fsrtl.h>
#include <ntifs/cc.h>
#include <ntifs/security.h>
#include <ntifs/zw.h>

NTKERNELAPI NTSTATUS NTAPI PsLookupProcessByProcessId(HANDLE ProcessId, _Out_ PEPROCESS *Process);
NTKERNELAPI NTSTATUS NTAPI PsLookupThreadByThreadId(HANDLE ThreadId, _Out_ PETHREAD *Thread);
NTKERNELAPI PEPROCESS NTAPI PsGetThreadProcess(PETHREAD Thread);
NTKERNELAPI NTSTATUS NTAPI ZwQueryObject(_In_opt_ HANDLE Handle, ULONG ObjectInformationClass,
                                         _Out_opt_ PVOID ObjectInformation,
                                         ULONG ObjectInformationLength,
                                         _Out_opt_ PULONG ReturnLength);

/* Another process's address space */
typedef struct _KAPC_STATE {
    LIST_ENTRY ApcListHead[MaximumMode];
    struct _KPROCESS *Process;
    union {
        UCHAR InProgressFlags;
        struct {
            BOOLEAN KernelApcInProgress : 1;
            BOOLEAN SpecialApcInProgress : 1;
        };
    };
    BOOLEAN KernelApcPending;
    union {
        BOOLEAN UserApcPendingAll;
        struct {
            BOOLEAN SpecialUserApcPending : 1;
            BOOLEAN UserApcPending : 1;
        };
    };
} KAPC_STATE, *PKAPC_STATE, *PRKAPC_STATE;
NTKERNELAPI VOID NTAPI KeStackAttachProcess(_Inout_ PKPROCESS Process, _Out_ PKAPC_STATE ApcState);
NTKERNELAPI VOID NTAPI KeUnstackDetachProcess(PKAPC_STATE ApcState);
