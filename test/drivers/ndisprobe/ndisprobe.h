/*
 * The control contract of ndisprobe, an NDIS filter that behaves as a test tells it: \\.\NdisProbe.
 * Behaviour is global and takes effect at once; commands go to the module that attached first,
 * which a test does not unbind meanwhile.
 */
#pragma once

#define NDISPROBE_DEVICE_NAME L"\\Device\\NdisProbe"
#define NDISPROBE_LINK_NAME   L"\\DosDevices\\NdisProbe"

#define PROBE_IOCTL(n)       CTL_CODE(FILE_DEVICE_NETWORK, 0x810 + (n), METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOCTL_PROBE_BEHAVE   PROBE_IOCTL(0) /* ULONG of PROBE_ flags -> */
#define IOCTL_PROBE_STATE    PROBE_IOCTL(1) /* -> PROBE_STATE */
#define IOCTL_PROBE_SEND     PROBE_IOCTL(2) /* frame -> : originates a send */
#define IOCTL_PROBE_INDICATE PROBE_IOCTL(3) /* frame -> : originates a receive */
#define IOCTL_PROBE_OID      PROBE_IOCTL(4) /* ULONG oid [data: a set] -> data */
#define IOCTL_PROBE_RESTART  PROBE_IOCTL(5) /* NdisFRestartFilter */
#define IOCTL_PROBE_STATUS   PROBE_IOCTL(6) /* ULONG -> : NdisFIndicateStatus with that code */
#define IOCTL_PROBE_FLUSH    PROBE_IOCTL(7) /* lets go what is queued */

#define IOCTL_PROBE_MODULES  PROBE_IOCTL(8) /* -> what NdisEnumerateFilterModules gives */
#define IOCTL_PROBE_SYNC_OID PROBE_IOCTL(9) /* ULONG oid -> : NdisFSynchronousOidRequest */

#define PROBE_OID_OURS 0xff4e5450u /* a synchronous OID that ndisprobe answers by itself */

#define PROBE_ASYNC_PAUSE                                                                          \
    0x0001 /* FilterPause and FilterRestart complete later, by a work item                         \
            */
#define PROBE_QUEUE_SENDS    0x0002 /* until a timer, FLUSH, a cancel or a pause */
#define PROBE_QUEUE_RECEIVES 0x0004 /* likewise; with RESOURCES passed through */
#define PROBE_SPLIT          0x0008 /* passes NBLs on one by one */
#define PROBE_ENCAPSULATE    0x0010 /* 8 bytes before what is sent, taken off at completion */
#define PROBE_CLONE_RECEIVES 0x0020 /* indicates clones */
#define PROBE_COPY_SENDS     0x0040 /* completes what is sent and sends copies */
#define PROBE_ASYNC_OIDS     0x0080 /* answers NDIS_STATUS_PENDING and goes on by a work item */
#define PROBE_HOLD_OIDS      0x0100 /* keeps a request from above until it is cancelled */
#define PROBE_BYPASS         0x0200 /* no data handlers, from the next restart on */
#define PROBE_FAIL_ATTACH    0x0400
#define PROBE_FAIL_RESTART   0x0800
#define PROBE_LOWER_MTU      0x1000 /* takes 100 bytes off the MTU in the restart attributes */
#define PROBE_LOOPBACK       0x2000 /* SEND with NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK */

typedef struct _PROBE_STATE {
    ULONG Modules;
    ULONG Running;
    ULONG Restarts;
    ULONG Pauses;
    ULONG PauseReason; /* of the last */
    ULONG Mtu;         /* in the last restart's attributes, as found */
    ULONG Statuses;
    ULONG LastStatus;
    ULONG Connected;         /* by the last NDIS_STATUS_LINK_STATE: 1 yes, 2 no; 0 none came */
    ULONG NetEvents;         /* bit mask by NET_PNP_EVENT_CODE */
    ULONG DeviceEvents;      /* by NDIS_DEVICE_PNP_EVENT */
    ULONG PowerWhileRunning; /* NetEventSetPower to D3 came while the module was running */
    ULONG SetPower;          /* OID_PNP_SET_POWER: last state */
    ULONG PausedAtSetPower;  /* the module was paused then */
    ULONG OidRequests;
    ULONG OidCancels;
    ULONG SyncOids; /* previewed */
    ULONG SyncEnds; /* of these, seen again on their way up */
    ULONG Sends;    /* NBLs seen by FilterSendNetBufferLists */
    ULONG Receives;
    ULONG Completions; /* of its own sends */
    ULONG Failures;    /* of these, with a failure */
    ULONG Queued;      /* NBLs that it holds */
    ULONG OffloadRsc;  /* Rsc.IPv4.Enabled in the last TASK_OFFLOAD_CURRENT_CONFIG: 1, 2 off */
    ULONG MediaType;   /* from the attach parameters */
    ULONG Physical;
    ULONG LinkUp;
    ULONG Lso; /* LsoV2.IPv4.MaxOffLoadSize of DefaultOffloadConfiguration */
    ULONG64 XmitLinkSpeed;
    ULONG64 BaseLuid;
    ULONG BaseIfIndex;
    ULONG LowerIfIndex;
    UCHAR Mac[8];
    WCHAR GuidName[128];
    WCHAR BaseName[64];
    WCHAR InstanceName[64];
} PROBE_STATE, *PPROBE_STATE;
