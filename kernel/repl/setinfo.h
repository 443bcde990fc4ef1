/* IRP_MJ_SET_INFORMATION. See setinfo.c. */
#pragma once

#include "operation.h"

RPL_PRE_OPERATION RplPreSetInformation;
RPL_POST_OPERATION RplPostSetInformation;
