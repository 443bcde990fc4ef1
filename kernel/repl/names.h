/* Renames and links. See names.c. */
#pragma once

#include "operation.h"

/* For IRP_MJ_SET_INFORMATION of the rename and link classes. */
RPL_PRE_OPERATION RplPreRename;
RPL_POST_OPERATION RplPostRename;

BOOLEAN RplIsRename(FILE_INFORMATION_CLASS Class);
BOOLEAN RplIsLink(FILE_INFORMATION_CLASS Class);
