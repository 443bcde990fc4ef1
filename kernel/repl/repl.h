/*
 * REPL: what all of the driver shares.
 */
#pragma once

#include <fltKernel.h>

#include <ntswift/repl.h>

#define RPL_TAG 'lpeR'

#define RPL_DRIVER_VERSION 0x00010000

typedef struct RPL_CONFIGURATION RPL_CONFIGURATION; /* config.h */

typedef struct RPL_GLOBALS
{
    PDRIVER_OBJECT DriverObject;
    PFLT_FILTER Filter;
    PDEVICE_OBJECT ControlDevice;
} RPL_GLOBALS;

extern RPL_GLOBALS Repl;
