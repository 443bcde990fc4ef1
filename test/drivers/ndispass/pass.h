/*
 * ndispass: an NDIS 6 modifying filter that passes everything through and counts it.
 *
 * A module owns no NET_BUFFER_LIST at any time: what comes in goes on in the same call. So a pause
 * has nothing to wait for.
 */
#pragma once

#include <ntddk.h>
#include <ndis.h>
#include <wdmsec.h>
#include "ndispass.h"

#define PASS_TAG 'ssaP'

/* One processor's share of the data path counters. Written with interlocked additions, since a call
 * below DISPATCH_LEVEL may move to another processor at any time; shared by nobody in practice. */
typedef struct DECLSPEC_CACHEALIGN _PASS_PROCESSOR {
    LONG64 SentFrames;
    LONG64 SentBytes;
    LONG64 ReceivedFrames;
    LONG64 ReceivedBytes;
    LONG64 CompletedFrames;
    LONG64 ReturnedFrames;
} PASS_PROCESSOR, *PPASS_PROCESSOR;

typedef struct _PASS_MODULE {
    LIST_ENTRY Link; /* PassGlobals.Modules */
    NDIS_HANDLE FilterHandle;
    LONG Running;
    KSPIN_LOCK OidLock;
    PNDIS_OID_REQUEST PendingClone; /* of the request from above that is on its way */
    PVOID PendingRequestId;
} PASS_MODULE, *PPASS_MODULE;

typedef struct _PASS_GLOBALS {
    NDIS_HANDLE DriverHandle;
    NDIS_HANDLE DeviceHandle;
    PDEVICE_OBJECT DeviceObject;
    PPASS_PROCESSOR Processors;
    ULONG ProcessorCount;
    KSPIN_LOCK ModulesLock;
    LIST_ENTRY Modules;
    LONG64 OidRequests;
    LONG64 StatusIndications;
    LONG64 PnPEvents;
    LONG64 Restarts;
    LONG64 Pauses;
} PASS_GLOBALS;

extern PASS_GLOBALS PassGlobals;

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD PassUnload;

FILTER_ATTACH PassAttach;
FILTER_DETACH PassDetach;
FILTER_RESTART PassRestart;
FILTER_PAUSE PassPause;
FILTER_STATUS PassStatus;
FILTER_NET_PNP_EVENT PassNetPnPEvent;
FILTER_DEVICE_PNP_EVENT_NOTIFY PassDevicePnPEventNotify;

FILTER_SEND_NET_BUFFER_LISTS PassSendNetBufferLists;
FILTER_SEND_NET_BUFFER_LISTS_COMPLETE PassSendNetBufferListsComplete;
FILTER_CANCEL_SEND_NET_BUFFER_LISTS PassCancelSendNetBufferLists;
FILTER_RECEIVE_NET_BUFFER_LISTS PassReceiveNetBufferLists;
FILTER_RETURN_NET_BUFFER_LISTS PassReturnNetBufferLists;

FILTER_OID_REQUEST PassOidRequest;
FILTER_OID_REQUEST_COMPLETE PassOidRequestComplete;
FILTER_CANCEL_OID_REQUEST PassCancelOidRequest;

NDIS_STATUS PassCreateDevice(VOID);
VOID PassDeleteDevice(VOID);
