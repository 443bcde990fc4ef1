/* What the loader's test driver can be asked, on \Device\<its service name>. */
#pragma once

/* -> LOADTEST_STATE: data of every kind, to see that it was loaded, relocated and bound. */
#define LOADTEST_IOCTL_STATE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* Sends IRP_MJ_INTERNAL_DEVICE_CONTROL to \Device\LoadTestHost from deep inside. */
#define LOADTEST_IOCTL_CALL CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct LOADTEST_STATE {
    ULONG Counter;       /* in .data, starts at 1000, counts calls */
    ULONG Zeroed;        /* in .bss, counts calls */
    ULONG Sum;           /* through a table of function pointers: 10 + 20 + 30 */
    CHAR Text[16];       /* through a table of string pointers: "relocated" */
    ULONG InitDiscarded; /* DriverEntry is in a section that goes */
    UINT64 Imported;     /* address of an import */
    UINT64 Code;         /* address in the image */
} LOADTEST_STATE;
