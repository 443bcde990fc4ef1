/*
 * REPL: what all of the driver shares.
 */
#pragma once

#include <fltKernel.h>

#include <ntswift/repl.h>

#define RPL_TAG 'lpeR'

#define RPL_DRIVER_VERSION 0x00010000

#define RPL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RPL_MAX(a, b) ((a) > (b) ? (a) : (b))

/* 100 ns units in a millisecond. */
#define RPL_MS 10000LL

/* 100 ns since the system started. */
FORCEINLINE UINT64 RplNow(VOID)
{
    ULONG64 counter;

    return KeQueryInterruptTimePrecise(&counter);
}

/* An address so many bytes further on. */
#define RPL_ADD(Pointer, Bytes) ((PVOID)((PUCHAR)(Pointer) + (Bytes)))

#define RPL_TO_END MAXULONG64 /* a length: to the end of the file, wherever that is */

typedef struct RPL_CONFIGURATION RPL_CONFIGURATION; /* config.h */

typedef struct RPL_GLOBALS
{
    PDRIVER_OBJECT DriverObject;
    PFLT_FILTER Filter;
    PDEVICE_OBJECT ControlDevice;
    KMUTEX ControlLock; /* one IOCTL at a time; outside of every other lock */
} RPL_GLOBALS;

extern RPL_GLOBALS Repl;
