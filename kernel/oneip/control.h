/*
 * The control device.
 */
#pragma once

#include "oneip.h"

/* Creates the device and its link, for SYSTEM and Administrators. PASSIVE_LEVEL. */
NTSTATUS OipControlCreate(VOID);
VOID OipControlDestroy(VOID);

/* Why an IOCTL is refused, and which address, member, rule, flow or slot is at fault. */
typedef struct OIP_FAULT
{
    ONEIP_REASON Reason;
    UINT32 Index;
} OIP_FAULT;

/* FILE_OBJECT.FsContext. Several threads may use one handle. */
typedef struct OIP_HANDLE
{
    KSPIN_LOCK Lock;
    ONEIP_REFUSAL Refusal;
} OIP_HANDLE;

/* An IOCTL in progress; input and output share Buffer. */
typedef struct OIP_CALL
{
    VOID *Buffer;
    ULONG InputBytes;
    ULONG OutputBytes;
    ULONG Written;
    OIP_FAULT Fault;
    OIP_HANDLE *Handle;
} OIP_CALL;

FORCEINLINE NTSTATUS OipRefuse(_Inout_ OIP_CALL *Call, _In_ ONEIP_REASON Reason,
                               _In_ NTSTATUS Status)
{
    Call->Fault.Reason = Reason;
    return Status;
}
