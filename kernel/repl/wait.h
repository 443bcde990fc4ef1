/*
 * Requests that wait: WAIT for progress, READ_JOURNAL for records, flushes for the backup.
 */
#pragma once

#include "control.h"

NTSTATUS RplWaitCreate(VOID);

/* REPL_IOCTL_WAIT; marked pending. */
RPL_HANDLER RplWaitProgress;

/* REPL_IOCTL_READ_JOURNAL, which the drain thread answers; marked pending. */
RPL_HANDLER RplReadJournal;

RPL_HANDLER RplAcknowledge;

/* Completes the waiting requests of one file object, or (NULL) of all, with STATUS_CANCELLED. */
VOID RplWaitCancel(_In_opt_ PFILE_OBJECT FileObject);

/* The oldest READ_JOURNAL request, the caller's now; NULL: none. */
PIRP RplReadTake(VOID);
/* Back to where it was: there is no answer yet. */
VOID RplReadReturn(_In_ PIRP Irp);

/* What durable flushes wait for may have come: wakes those for whom it has. */
VOID RplDurableCheck(VOID);
/* They end with STATUS_CANCELLED: the role has changed. */
VOID RplDurableCancel(VOID);
/* The configuration has changed: they look whether they are still to wait, and for how long. */
VOID RplDurableReconfigured(VOID);
