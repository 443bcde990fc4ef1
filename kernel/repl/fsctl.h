/* IRP_MJ_FILE_SYSTEM_CONTROL. See fsctl.c. */
#pragma once

#include "operation.h"

RPL_PRE_OPERATION RplPreFsControl;
RPL_POST_OPERATION RplPostFsControl;
