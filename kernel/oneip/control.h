/*
 * The control device.
 */
#pragma once

#include "oneip.h"

/* Creates the device and its link, for SYSTEM and Administrators. PASSIVE_LEVEL. */
NTSTATUS OipControlCreate(VOID);
VOID OipControlDestroy(VOID);
