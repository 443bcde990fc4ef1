/*
 * Work items: what needs PASSIVE_LEVEL and is asked for at a higher one.
 */
#pragma once

#include "oneip.h"

/* A work item that runs once at a time, and once more if asked again meanwhile. */
typedef struct OIP_WORK
{
    PIO_WORKITEM Item;
    PIO_WORKITEM_ROUTINE Routine;
    KSPIN_LOCK Lock;
    ULONG Requests; /* 0: idle */
    KEVENT Idle;
} OIP_WORK;

/* PASSIVE_LEVEL. */
NTSTATUS OipWorkCreate(_Out_ OIP_WORK *Work, _In_ PIO_WORKITEM_ROUTINE Routine);

/* IRQL <= DISPATCH_LEVEL. */
VOID OipWorkQueue(_Inout_ OIP_WORK *Work);

/* At the end of the routine, which did what the first Seen requests asked. TRUE: do it again. */
BOOLEAN OipWorkAgain(_Inout_ OIP_WORK *Work, _Inout_ ULONG *Seen);

/* Waits until it is idle. PASSIVE_LEVEL; nobody queues it any more. */
VOID OipWorkDestroy(_Inout_ OIP_WORK *Work);
