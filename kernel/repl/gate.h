/*
 * The names gate: one operation on names at a time.
 *
 * Creations, renames, links and deletions conflict with each other in ways that only the file
 * system knows. They pass one by one, from before they go down until their record is numbered, so
 * that the order of numbers is the order in which they took effect, and names that are asked for
 * meanwhile hold still. Whoever meets a file for the first time passes, too: the record of its
 * creation is out then.
 *
 * Owned by no thread: an operation may complete on another. An operation waits for BlockMs at most
 * (a create can be held up below by an oplock whose owner itself wants to pass); then it goes on
 * without its turn, and a bracket opens (ReplBracketOrder), inside of which the names are compared.
 */
#pragma once

#include "repl.h"

VOID RplGateInitialize(VOID);

/* TRUE: RplGateLeave() must follow. FALSE: the bound has passed; the bracket is open. */
_IRQL_requires_(PASSIVE_LEVEL) BOOLEAN RplGateEnter(UINT32 SetId);

_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplGateLeave(VOID);
