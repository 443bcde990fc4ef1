/*
 * ndisprobe: an NDIS filter for tests, see ndisprobe.h.
 *
 * A module's lock guards its two queues and its OID; nothing is called under it. Outstanding counts
 * what a pause must wait for: NBLs that the module has originated, clones that it has indicated,
 * and work items under way.
 */
#pragma once

#include <ntddk.h>
#include <ndis.h>
#include <wdmsec.h>
#include "ndisprobe.h"

#define PROBE_TAG       'borP'
#define PROBE_MAX_FRAME 65600

typedef struct _PROBE_QUEUE {
    PNET_BUFFER_LIST First;
    PNET_BUFFER_LIST *Last;
} PROBE_QUEUE, *PPROBE_QUEUE;

typedef struct _PROBE_MODULE {
    LIST_ENTRY Link;
    NDIS_HANDLE FilterHandle;
    NDIS_HANDLE Pool;
    NDIS_HANDLE Timer;
    NDIS_HANDLE PauseWork;
    NDIS_HANDLE OidWork;
    KSPIN_LOCK Lock;
    BOOLEAN Running;
    BOOLEAN Restarting;
    PROBE_QUEUE Sends;
    PROBE_QUEUE Receives;
    LONG Outstanding;
    KEVENT Idle;
    PNDIS_OID_REQUEST HeldOid; /* PROBE_HOLD_OIDS, PROBE_ASYNC_OIDS */
    BOOLEAN OidQueued;         /* OidWork is queued */
    NDIS_STATUS RestartStatus;
} PROBE_MODULE, *PPROBE_MODULE;

typedef struct _PROBE_GLOBALS {
    NDIS_HANDLE DriverHandle;
    NDIS_HANDLE DeviceHandle;
    PDEVICE_OBJECT Device;
    LIST_ENTRY Modules;
    KSPIN_LOCK Lock;
    LONG Behaviour;
    PROBE_STATE State;
} PROBE_GLOBALS;

extern PROBE_GLOBALS Probe;

FORCEINLINE BOOLEAN ProbeDoes(ULONG Flag)
{
    return ((ULONG)ReadNoFence(&Probe.Behaviour) & Flag) != 0;
}

DRIVER_INITIALIZE DriverEntry;
DRIVER_UNLOAD ProbeUnload;
NDIS_STATUS ProbeCreateDevice(VOID);

FILTER_ATTACH ProbeAttach;
FILTER_DETACH ProbeDetach;
FILTER_RESTART ProbeRestart;
FILTER_PAUSE ProbePause;
FILTER_SET_MODULE_OPTIONS ProbeSetModuleOptions;
FILTER_STATUS ProbeStatus;
FILTER_NET_PNP_EVENT ProbeNetPnPEvent;
FILTER_DEVICE_PNP_EVENT_NOTIFY ProbeDevicePnPEvent;
FILTER_SEND_NET_BUFFER_LISTS ProbeSend;
FILTER_SEND_NET_BUFFER_LISTS_COMPLETE ProbeSendComplete;
FILTER_CANCEL_SEND_NET_BUFFER_LISTS ProbeCancelSend;
FILTER_RECEIVE_NET_BUFFER_LISTS ProbeReceive;
FILTER_RETURN_NET_BUFFER_LISTS ProbeReturn;
FILTER_OID_REQUEST ProbeOidRequest;
FILTER_OID_REQUEST_COMPLETE ProbeOidRequestComplete;
FILTER_CANCEL_OID_REQUEST ProbeCancelOid;
FILTER_DIRECT_OID_REQUEST ProbeDirectOid;
FILTER_DIRECT_OID_REQUEST_COMPLETE ProbeDirectOidComplete;

VOID ProbeQueueInit(_Out_ PPROBE_QUEUE Queue);
VOID ProbeQueueAppend(_Inout_ PPROBE_QUEUE Queue, _In_ PNET_BUFFER_LIST NetBufferLists);
VOID ProbeFlush(_Inout_ PPROBE_MODULE Module, BOOLEAN Pausing);
VOID ProbeEnter(_Inout_ PPROBE_MODULE Module);
VOID ProbeEnterLocked(_Inout_ PPROBE_MODULE Module);
VOID ProbeLeave(_Inout_ PPROBE_MODULE Module);

/* originate.c */
PNET_BUFFER_LIST ProbeMakeFrame(_In_ PPROBE_MODULE Module,
                                _In_reads_bytes_(Bytes) const UCHAR *Frame, ULONG Bytes);
VOID ProbeFreeFrame(_In_ PNET_BUFFER_LIST NetBufferList);
PNET_BUFFER_LIST ProbeCopy(_In_ PPROBE_MODULE Module, _In_ PNET_BUFFER NetBuffer);
NTSTATUS ProbeSendFrame(_In_ PPROBE_MODULE Module, _In_reads_bytes_(Bytes) const UCHAR *Frame,
                        ULONG Bytes);
NTSTATUS ProbeIndicateFrame(_In_ PPROBE_MODULE Module, _In_reads_bytes_(Bytes) const UCHAR *Frame,
                            ULONG Bytes);

/* oid.c */
FILTER_SYNCHRONOUS_OID_REQUEST ProbeSyncOid;
FILTER_SYNCHRONOUS_OID_REQUEST_COMPLETE ProbeSyncOidComplete;
NDIS_STATUS ProbeOwnSyncOid(_In_ PPROBE_MODULE Module, NDIS_OID Oid);
NDIS_STATUS ProbeOwnOid(_In_ PPROBE_MODULE Module, NDIS_REQUEST_TYPE Type, NDIS_OID Oid,
                        _Inout_updates_bytes_(Bytes) PVOID Buffer, ULONG Bytes, _Out_ PULONG Done);
NDIS_IO_WORKITEM_FUNCTION ProbeOidWork;
