/* The end of a handle: deletions, and the times that writes left. See cleanup.c. */
#pragma once

#include "open.h"
#include "operation.h"

RPL_PRE_OPERATION RplPreCleanup;
RPL_POST_OPERATION RplPostCleanup;

/* A disposition or an open asks for the file's deletion: before either can have an effect. Waits
 * for cleanups under way that do not expect it, BlockMs at most. PASSIVE_LEVEL. */
VOID RplExpectDeletion(_Inout_ RPL_FILE *File);

/* One of File's Cleanups is over. <= DISPATCH_LEVEL. */
VOID RplCleanupOver(_Inout_ RPL_FILE *File);

/* Closes a handle of REPL's own, which may be the last that kept a file from being deleted.
 * PASSIVE_LEVEL, not under the names gate. */
VOID RplCleanupOwn(_In_ PFLT_INSTANCE Instance, _Inout_ RPL_OPENED *Opened, _Inout_ RPL_FILE *File);
