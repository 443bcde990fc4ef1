/*
 * The control contract of ndispass, the pass-through filter: \\.\NdisPass.
 */
#pragma once

#define NDISPASS_DEVICE_NAME L"\\Device\\NdisPass"
#define NDISPASS_LINK_NAME   L"\\DosDevices\\NdisPass"

#define IOCTL_NDISPASS_GET_COUNTERS                                                                \
    CTL_CODE(FILE_DEVICE_NETWORK, 0x800, METHOD_BUFFERED, FILE_READ_ACCESS)

/* Sums over all modules since the driver was loaded. */
typedef struct _NDISPASS_COUNTERS {
    ULONG64 SentFrames;
    ULONG64 SentBytes;
    ULONG64 ReceivedFrames;
    ULONG64 ReceivedBytes;
    ULONG64 CompletedFrames; /* sends on their way back up */
    ULONG64 ReturnedFrames;  /* receives on their way back down */
    ULONG64 OidRequests;
    ULONG64 StatusIndications;
    ULONG64 PnPEvents;
    ULONG64 Restarts;
    ULONG64 Pauses;
    ULONG Modules; /* attached now */
    ULONG Running;
} NDISPASS_COUNTERS, *PNDISPASS_COUNTERS;
