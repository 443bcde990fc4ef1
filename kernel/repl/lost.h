/*
 * What was lost: what changed while nothing could record how, until somebody has synchronised it.
 */
#pragma once

#include "control.h"
#include "stream.h"

/* Non-paged memory for the list of what is dirty. */
#define RPL_LOST_BYTES 4194304

RPL_HANDLER RplTakeDirty;

NTSTATUS RplLostCreate(VOID);
VOID RplLostDestroy(VOID);

/* With the stream's lock held. */

VOID RplLostMark(_In_ UINT32 SetId, _In_opt_ const UINT8 *FileId, _In_ UINT64 Offset,
                 _In_ UINT64 Length, _In_ BOOLEAN NamesOnly);

/* What an operation does that gets no record. */
VOID RplLostMarkIntent(_In_ const RPL_INTENT *Intent);

/* All that may have changed since the last acknowledgement. All: or ever. */
VOID RplLostMarkHistory(_In_ BOOLEAN All);

/* Has a reader taken all there is, and can no more come without another bracket? */
BOOLEAN RplLostAllTaken(VOID);

/* Is there nothing dirty, taken or not? */
BOOLEAN RplLostNothing(VOID);

/* What was taken is synchronised. */
VOID RplLostForget(VOID);

/* Nothing is dirty any more. */
VOID RplLostForgetAll(VOID);

/* Without the lock: the reader is gone, what was taken comes again. */
VOID RplLostReturn(VOID);

/* For the status. */
VOID RplLostCount(_Out_ UINT64 *Bytes, _Out_ UINT32 *Files);
