/* What iotest, the I/O manager's test driver, can be asked. */
#pragma once

#define IOTEST_DEVICE    L"\\Device\\IoTest"          /* link \DosDevices\IoTest; everybody */
#define IOTEST_ADMIN     L"\\Device\\IoTestAdmin"     /* SYSTEM and Administrators */
#define IOTEST_EXCLUSIVE L"\\Device\\IoTestExclusive" /* one open at a time */
#define IOTEST_DIRECT    L"\\Device\\IoTestDirect"    /* reads and writes with DO_DIRECT_IO */

#define IOTEST_CODE(n, method, access)                                                             \
    CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900 + (n), (method), (access))

/* Input bytes + 1 come out, as many as fit; Information says how many. */
#define IOTEST_IOCTL_ECHO_BUFFERED IOTEST_CODE(0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOTEST_IOCTL_ECHO_IN_DIRECT                                                                \
    IOTEST_CODE(1, METHOD_IN_DIRECT, FILE_ANY_ACCESS) /* -> checksum of "output", in Information   \
                                                       */
#define IOTEST_IOCTL_ECHO_OUT_DIRECT IOTEST_CODE(2, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)
#define IOTEST_IOCTL_ECHO_NEITHER    IOTEST_CODE(3, METHOD_NEITHER, FILE_ANY_ACCESS)
/* IOTEST_COMPLETE: the output is filled with Fill and the request completed as told. */
#define IOTEST_IOCTL_COMPLETE    IOTEST_CODE(4, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOTEST_IOCTL_NEEDS_READ  IOTEST_CODE(5, METHOD_BUFFERED, FILE_READ_ACCESS)
#define IOTEST_IOCTL_NEEDS_WRITE IOTEST_CODE(6, METHOD_BUFFERED, FILE_WRITE_ACCESS)
/* Waits in a cancel-safe queue until SIGNAL gives it data, or CLEANUP of its file. */
#define IOTEST_IOCTL_WAIT IOTEST_CODE(7, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOTEST_IOCTL_SIGNAL                                                                        \
    IOTEST_CODE(8, METHOD_BUFFERED, FILE_ANY_ACCESS) /* data -> ULONG: 1 if one waited */
/* Completed later by a DPC (a timer) or by a work item: ULONG milliseconds, ULONG 0 | 1. */
#define IOTEST_IOCTL_LATER IOTEST_CODE(9, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* -> IOTEST_STATS */
#define IOTEST_IOCTL_STATS IOTEST_CODE(10, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* A filter of the driver's own on \Device\IoTest: ULONG IOTEST_FILTER_... */
#define IOTEST_IOCTL_ATTACH IOTEST_CODE(11, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define IOTEST_IOCTL_DETACH                                                                        \
    IOTEST_CODE(12, METHOD_BUFFERED, FILE_ANY_ACCESS) /* on \Device\IoTestDirect */
/* ULONG number -> IOTEST_RESULT. The driver tests what it calls. */
#define IOTEST_IOCTL_SELFTEST IOTEST_CODE(13, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* Who asks: -> ULONG process id (IoGetRequestorProcessId), ULONG current process id */
#define IOTEST_IOCTL_WHO IOTEST_CODE(14, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* Its memory is lent: it waits as WAIT does, POKE sees the memory of the one that waited longest,
 * and SIGNAL's data goes to the beginning of it. */
#define IOTEST_IOCTL_LEND IOTEST_CODE(15, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)
/* UINT64 offset, UINT64 value -> UINT64 what was there before. */
#define IOTEST_IOCTL_POKE IOTEST_CODE(16, METHOD_BUFFERED, FILE_ANY_ACCESS)

typedef struct IOTEST_COMPLETE {
    LONG Status;
    ULONG Fill;
    UINT64 Information;
} IOTEST_COMPLETE;

typedef struct IOTEST_STATS {
    ULONG Creates;
    ULONG Cleanups;
    ULONG Closes;
    ULONG Cancelled; /* waits that ended by cancellation */
    ULONG CleanedUp; /* waits that ended by CLEANUP */
    ULONG Signalled; /* waits that got data */
    ULONG Waiting;   /* waits in the queue now */
    ULONG Filtered;  /* requests that the filter saw complete */
    ULONG ProcessesCreated;
    ULONG ProcessesEnded;
    UINT64 LastReadOffset;
    ULONG LastReadLength;
    ULONG Reserved;
} IOTEST_STATS;

enum {
    IOTEST_FILTER_SKIP = 1,       /* IoSkipCurrentIrpStackLocation */
    IOTEST_FILTER_COMPLETION = 2, /* copies the location, sets a completion routine */
    IOTEST_FILTER_HOLD = 3        /* takes every IRP back, waits for it, completes it again */
};

enum {
    IOTEST_SELFTEST_FILES = 1,
    IOTEST_SELFTEST_REGISTRY = 2,
    IOTEST_SELFTEST_RTL_REGISTRY = 3,
    IOTEST_SELFTEST_OBJECTS = 4,
    IOTEST_SELFTEST_MDLS = 5,
    IOTEST_SELFTEST_OWN_IRPS = 6,
    IOTEST_SELFTEST_SECURITY = 7,
    IOTEST_SELFTEST_STATE = 8 /* of what FILES and REGISTRY left in an earlier life of the host */
};

/* Line 0: passed. Else the line of the check that did not hold, and a status where one was wrong.
 */
typedef struct IOTEST_RESULT {
    ULONG Line;
    LONG Status;
    CHAR File[32];
} IOTEST_RESULT;
