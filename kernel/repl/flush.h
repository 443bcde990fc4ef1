/* Flushes, and sections that programs store through. See flush.c and section.c. */
#pragma once

#include "operation.h"

RPL_PRE_OPERATION RplPreFlush;
RPL_POST_OPERATION RplPostFlush;

RPL_PRE_OPERATION RplPreAcquireForSection;
