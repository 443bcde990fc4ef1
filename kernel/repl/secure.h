/*
 * Who may open the control device.
 */
#pragma once

#include "repl.h"

/* SYSTEM and Administrators everything, nobody else anything. PASSIVE_LEVEL. */
NTSTATUS RplSecureDevice(_In_ PDEVICE_OBJECT Device);
