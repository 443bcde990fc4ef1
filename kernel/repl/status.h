/*
 * REPL_IOCTL_GET_STATUS.
 */
#pragma once

#include "control.h"

RPL_HANDLER RplGetStatus;
