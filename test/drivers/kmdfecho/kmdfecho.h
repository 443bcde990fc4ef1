/* What the echo driver and its tests share. */
#pragma once

#define ECHO_DEVICE_NAME L"\\Device\\KmdfEcho"
#define ECHO_LINK_NAME   L"\\DosDevices\\KmdfEcho"
#define ECHO_MAX_BYTES   4096

/* METHOD_BUFFERED: the output is the input. */
#define ECHO_IOCTL_ECHO CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* The same after DelayMilliseconds; cancelable by the driver. */
#define ECHO_IOCTL_DELAY CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* Waits in a manual queue, cancelable there, for ECHO_IOCTL_RELEASE. */
#define ECHO_IOCTL_WAIT    CTL_CODE(FILE_DEVICE_UNKNOWN, 0x802, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define ECHO_IOCTL_RELEASE CTL_CODE(FILE_DEVICE_UNKNOWN, 0x803, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* Input to upper case, into the caller's own memory. */
#define ECHO_IOCTL_UPPER CTL_CODE(FILE_DEVICE_UNKNOWN, 0x804, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)
/* Completed by a work item, at PASSIVE_LEVEL; by a DPC, at DISPATCH_LEVEL. The output is one byte:
 * the IRQL there. */
#define ECHO_IOCTL_WORK  CTL_CODE(FILE_DEVICE_UNKNOWN, 0x805, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define ECHO_IOCTL_DPC   CTL_CODE(FILE_DEVICE_UNKNOWN, 0x806, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define ECHO_IOCTL_STATS CTL_CODE(FILE_DEVICE_UNKNOWN, 0x807, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* The Greeting of the Parameters key, UTF-16. */
#define ECHO_IOCTL_GREETING CTL_CODE(FILE_DEVICE_UNKNOWN, 0x808, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct ECHO_STATS {
    unsigned Opens, Cleanups, Closes;
    unsigned Echoes, Delayed, Released;
    unsigned Canceled, CanceledOnQueue; /* by EvtRequestCancel, by EvtIoCanceledOnQueue */
    unsigned Pending;                   /* delayed ones that are under way */
    unsigned FileRequests;              /* of the file that asks */
    unsigned DelayMilliseconds;
} ECHO_STATS;
