/* The inside of the I/O manager's test driver. */
#pragma once
#include <ntddk.h>
#include "iotest_contract.h"

#define IOTEST_TAG 'tToI'

typedef enum IOTEST_ROLE { IoTestMain = 1, IoTestFilter } IOTEST_ROLE;

typedef struct IOTEST_DEVICE_EXTENSION {
    IOTEST_ROLE Role;
    ULONG FilterMode;
    PDEVICE_OBJECT Lower; /* of a filter */
} IOTEST_DEVICE_EXTENSION, *PIOTEST_DEVICE_EXTENSION;

typedef struct IOTEST_GLOBALS {
    PDRIVER_OBJECT Driver;
    PDEVICE_OBJECT Main;
    PDEVICE_OBJECT Filter;
    UNICODE_STRING RegistryPath;
    IO_CSQ Queue;
    LIST_ENTRY QueueHead;
    KSPIN_LOCK QueueLock;
    IO_REMOVE_LOCK RemoveLock;
    IOTEST_STATS Stats; /* each by interlocked operations */
} IOTEST_GLOBALS;
extern IOTEST_GLOBALS Globals;

DRIVER_DISPATCH IoTestDispatch;
DRIVER_DISPATCH IoTestControl;
DRIVER_DISPATCH IoTestReadWrite;
DRIVER_DISPATCH IoTestFilterDispatch;

/* Completes and hands the status back, for `return IoTestComplete(...)`. */
NTSTATUS IoTestComplete(_Inout_ PIRP Irp, NTSTATUS Status, ULONG_PTR Information);

VOID IoTestQueueInitialize(VOID);
NTSTATUS IoTestWait(_Inout_ PIRP Irp);
NTSTATUS IoTestSignal(_Inout_ PIRP Irp);
NTSTATUS IoTestPoke(_Inout_ PIRP Irp);
NTSTATUS IoTestLater(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp);
VOID IoTestQueueCleanup(_In_ PFILE_OBJECT FileObject);

NTSTATUS IoTestAttach(ULONG Mode);
NTSTATUS IoTestDetach(VOID);

/* user.c: METHOD_NEITHER */
NTSTATUS IoTestEchoNeither(_Inout_ PIRP Irp);

/* Checks of the self-tests: they note the first that does not hold, and leave the function. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            IoTestNote(Result, __FILE__, __LINE__, 0);                                             \
            goto Done;                                                                             \
        }                                                                                          \
    } while (0)
#define CHECK_STATUS(expression, expected)                                                         \
    do {                                                                                           \
        NTSTATUS checked = (expression);                                                           \
        if (checked != (expected)) {                                                               \
            IoTestNote(Result, __FILE__, __LINE__, checked);                                       \
            goto Done;                                                                             \
        }                                                                                          \
    } while (0)
VOID IoTestNote(_Inout_ IOTEST_RESULT *Result, _In_ PCSTR File, ULONG Line, NTSTATUS Status);

typedef VOID IOTEST_SELFTEST(_Inout_ IOTEST_RESULT *Result);
IOTEST_SELFTEST IoTestFiles;
IOTEST_SELFTEST IoTestRegistry;
IOTEST_SELFTEST IoTestRtlRegistry;
IOTEST_SELFTEST IoTestState;
IOTEST_SELFTEST IoTestObjects;
IOTEST_SELFTEST IoTestMdls;
IOTEST_SELFTEST IoTestOwnIrps;
IOTEST_SELFTEST IoTestSecurity;
