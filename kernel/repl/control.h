/*
 * The control device: handles, calls and refusals.
 */
#pragma once

#include "repl.h"

/* Creates the device and its link, for SYSTEM and Administrators. PASSIVE_LEVEL. */
NTSTATUS RplControlCreate(VOID);
VOID RplControlDestroy(VOID);

/* FILE_OBJECT.FsContext. Several threads may use one handle. */
typedef struct RPL_HANDLE
{
    KSPIN_LOCK Lock;
    REPL_REFUSAL Refusal;
} RPL_HANDLE;

/* An IOCTL in progress; input and output share Buffer, but of METHOD_OUT_DIRECT, where Buffer is
 * the input and the output is the IRP's MDL. */
typedef struct RPL_CALL
{
    PIRP Irp;
    PFILE_OBJECT FileObject;
    RPL_HANDLE *Handle;
    VOID *Buffer;
    ULONG InputBytes;
    ULONG OutputBytes;
    ULONG Written;
    REPL_REFUSAL Refusal;
} RPL_CALL;

/* STATUS_PENDING: the IRP is no longer the caller's. Only of those that may pend (control.c). */
typedef NTSTATUS RPL_HANDLER(_Inout_ RPL_CALL *Call);

/* Below: what failed there, or 0. */
FORCEINLINE NTSTATUS RplRefuseAt(_Inout_ RPL_CALL *Call, _In_ REPL_REFUSAL_REASON Reason,
                                 _In_ ULONG Index, _In_ NTSTATUS Below, _In_ NTSTATUS Status)
{
    Call->Refusal.Reason = Reason;
    Call->Refusal.Index = Index;
    Call->Refusal.Status = (UINT32)Below;
    return Status;
}

FORCEINLINE NTSTATUS RplRefuse(_Inout_ RPL_CALL *Call, _In_ REPL_REFUSAL_REASON Reason,
                               _In_ NTSTATUS Status)
{
    return RplRefuseAt(Call, Reason, 0, STATUS_SUCCESS, Status);
}

VOID RplControlLock(VOID);
VOID RplControlUnlock(VOID);

/* Remembers why an IOCTL that pended failed, and completes it. IRQL <= DISPATCH_LEVEL. */
VOID RplCompleteCall(_In_ PIRP Irp, _In_ NTSTATUS Status, _In_ ULONG_PTR Information);
