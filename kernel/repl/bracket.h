/*
 * Brackets that operations open; see repl.h, "The stream".
 */
#pragma once

#include "stream.h"

/* An operation went on without its turn (BlockMs): what it changed may be recorded in another order
 * than it took effect. <= DISPATCH_LEVEL. */
VOID RplOutOfOrder(UINT32 SetId);

/* Closes a bracket with a record of its own. <= DISPATCH_LEVEL. */
VOID RplBracketEnd(UINT32 SetId, UINT64 Bracket);
