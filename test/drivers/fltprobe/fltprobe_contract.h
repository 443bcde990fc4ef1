/*
 * What fltprobe, the filter manager's test filter, is told and tells: memory that the test and the
 * driver share. Its address goes to the driver by IOCTL_PROBE_SHARE on \Device\<service>.
 */
#pragma once

#define IOCTL_PROBE_SHARE                                                                          \
    CTL_CODE(FILE_DEVICE_UNKNOWN, 0x940, METHOD_BUFFERED, FILE_ANY_ACCESS) /* UINT64 -> */

#define PROBE_KINDS  256 /* by major function */
#define PROBE_EVENTS 512

/* What a pre-operation does. */
enum {
    ProbePass,        /* SUCCESS_NO_CALLBACK */
    ProbeWatch,       /* SUCCESS_WITH_CALLBACK */
    ProbeSynchronize, /* SYNCHRONIZE */
    ProbeComplete,    /* COMPLETE, with Status */
    ProbePend,        /* PENDING; a work item completes it with Then */
    ProbePendEarly,   /* PENDING, completed with Then before it returns */
    ProbePendHold,    /* PENDING; until the test calls ProbeResume */
    ProbeDisallow,    /* DISALLOW_FASTIO or DISALLOW_FSFILTER_IO */
    ProbeReturn       /* Then, as it is: also what is wrong */
};
/* What a post-operation does besides logging. */
enum {
    ProbeFinish,
    ProbePostPend,      /* MORE_PROCESSING_REQUIRED; a work item completes it */
    ProbePostPendEarly, /* the same, completed before it returns */
    ProbePostSafe       /* FltDoCompletionProcessingWhenSafe */
};
/* What both may do besides; flags of Do and PostDo. */
#define PROBE_MOVE         0x0001 /* ByteOffset += Amount, dirty */
#define PROBE_SWAP         0x0002 /* reads and writes through a buffer of its own, bytes ^ Key */
#define PROBE_RETAIN       0x0004 /* with SWAP: frees the MDL itself */
#define PROBE_NAME         0x0008 /* FltGetFileNameInformation(NameOptions) into the log */
#define PROBE_CONTEXTS     0x0010 /* sets and gets contexts of every kind; Failed counts surprises */
#define PROBE_STATUS       0x0020 /* post: IoStatus.Status = Status */
#define PROBE_LOCK         0x0040 /* FltLockUserBuffer, and reads the buffer through the MDL */
#define PROBE_DESTINATION  0x0080 /* of a rename: the destination's name into the log */
#define PROBE_FORGET_DIRTY 0x0100 /* MOVE without FltSetCallbackDataDirty */
#define PROBE_CONTEXT_GET  0x0200 /* Context of the log: the number in the stream context */
#define PROBE_OWN_IO       0x0400 /* reads the file by FltReadFile before it goes on */

typedef struct PROBE_RULE {
    UINT32 Action;
    UINT32 Then; /* FLT_PREOP_CALLBACK_STATUS */
    UINT32 Do;
    UINT32 Post;
    UINT32 PostDo;
    INT32 Status;
    INT64 Amount;
    UINT32 NameOptions;
    UINT8 Key;
    UINT8 Logged; /* write events */
} PROBE_RULE;

enum {
    ProbePre,
    ProbePost,
    ProbeSetup,
    ProbeQueryTeardown,
    ProbeTeardownStart,
    ProbeTeardownComplete,
    ProbeUnload,
    ProbeCleanedUp /* a context: Major is its type */
};

typedef struct PROBE_EVENT {
    UINT32 What;
    UINT32 Major;
    UINT32 Minor;
    UINT32 Flags;     /* of the callback data */
    UINT32 CallFlags; /* of the post-operation, the setup, the reason of a teardown */
    UINT32 IrpFlags;
    INT32 Status; /* IoStatus in post-operations */
    INT32 NameStatus;
    UINT64 Information;
    INT64 Offset;
    UINT32 Length;
    UINT32 Irql;
    UINT32 Filter; /* 0: fltprobe, 1: fltlower */
    UINT32 Context;
    UINT64 Buffer;
    UINT64 Thread;
    UINT32 Order;
    UINT32 Reserved;
    WCHAR Name[200];
} PROBE_EVENT;

typedef struct PROBE_SHARED {
    PROBE_RULE Rules[2][PROBE_KINDS]; /* of fltprobe, of fltlower */
    INT32 Logged;                     /* events so far */
    INT32 Failed;
    INT32 SetupStatus[2]; /* of InstanceSetup, and of InstanceQueryTeardown and unload */
    INT32 TeardownStatus[2];
    INT32 UnloadStatus[2];
    INT32 Held;       /* pended by ProbePendHold */
    INT32 Contexts;   /* allocated, not cleaned up */
    UINT64 Resume;    /* void (*)(void), NTAPI: completes what is held; of the last that held */
    UINT64 HeldData;  /* PFLT_CALLBACK_DATA of the last that was held; 0: the test completes it */
    UINT64 Filter[2]; /* PFLT_FILTER */
    UINT64 Instance[2];
    PROBE_EVENT Events[PROBE_EVENTS];
} PROBE_SHARED;
