/* Processes whose changes are not captured, and allowed on a backup: replay. */
#pragma once

#include "control.h"

RPL_HANDLER RplTrustProcess;

NTSTATUS RplTrustCreate(VOID);

/* The handle is closed: what it said ends. */
VOID RplTrustEnd(_In_ PFILE_OBJECT FileObject);

/* <= APC_LEVEL. */
BOOLEAN RplProcessTrusted(UINT32 ProcessId);
