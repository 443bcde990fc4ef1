/*
 * Open brackets, and the IOCTLs that make records of no operation.
 */
#pragma once

#include "control.h"

RPL_HANDLER RplBookmark;
RPL_HANDLER RplOpenBracket;
RPL_HANDLER RplCloseBracket;
RPL_HANDLER RplListBrackets;

/* Of those that something lost opens, there is always room for a few. */
#define RPL_BRACKETS_RESERVED 8

/* With the stream's lock held. */

/* Is there room for one more? Lossy: because something is not recorded. */
BOOLEAN RplBracketRoom(_In_ BOOLEAN Lossy);
VOID RplBracketAdd(_In_ UINT64 Sequence, _In_ UINT32 SetId, _In_ UINT32 Reason,
                   _In_opt_ const UINT8 *FileId);
BOOLEAN RplBracketRemove(_In_ UINT64 Sequence);

/* The newest of those in which what is dirty is sent; 0: none. */
UINT64 RplBracketLossy(VOID);
