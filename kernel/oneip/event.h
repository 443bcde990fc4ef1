/*
 * Events: a ring of the last ONEIP_MAX_EVENTS, and the inverted calls that wait for more.
 */
#pragma once

#include "oneip.h"

/* More waiting requests than this are refused: OneIpReasonTooManyWaiters. */
#define OIP_MAX_WAITERS 64

NTSTATUS OipEventsCreate(VOID);

/* Records an event; Sequence and SystemTime are filled in. IRQL <= DISPATCH_LEVEL, takes only the
 * leaf lock; completes waiting requests. */
VOID OipEventRaise(_In_ const ONEIP_EVENT *Event);

/* Sequence number of the newest event; 0: none yet. */
UINT64 OipEventSequence(VOID);

/*
 * ONEIP_IOCTL_WAIT_EVENT. Input and output lengths are checked and the IRP is marked pending.
 * STATUS_PENDING: it is queued, and no longer the caller's. Else the caller completes it: with
 * *Bytes of events that are in its buffer, or with a failure for *Reason.
 */
NTSTATUS OipEventWait(_In_ PIRP Irp, _Out_ ULONG *Bytes, _Out_ ONEIP_REASON *Reason);

/* Completes the waiting requests of one file object (its handle is being closed), or of all where
 * it is NULL (the driver unloads), with STATUS_CANCELLED. */
VOID OipEventCancel(_In_opt_ PFILE_OBJECT FileObject);
