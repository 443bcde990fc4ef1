/* The end of a handle: deletions, and the times that writes left. See cleanup.c. */
#pragma once

#include "operation.h"

RPL_PRE_OPERATION RplPreCleanup;
RPL_POST_OPERATION RplPostCleanup;
