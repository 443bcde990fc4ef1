/* Device controls, reads and writes of iotest. */
#include "iotest.h"

typedef struct REQUEST {
    ULONG Code;
    ULONG InputBytes;
    ULONG OutputBytes;
    PVOID Buffer; /* the system buffer */
} REQUEST;

/* Each byte comes back increased by one. */
static ULONG Echo(_Out_ UCHAR *Output, ULONG OutputBytes, _In_ const UCHAR *Input, ULONG InputBytes)
{
    ULONG bytes = InputBytes < OutputBytes ? InputBytes : OutputBytes;

    for (ULONG i = 0; i < bytes; i++) {
        Output[i] = (UCHAR)(Input[i] + 1);
    }
    return bytes;
}

static NTSTATUS EchoDirect(_Inout_ PIRP Irp, _In_ const REQUEST *Request)
{
    UCHAR *memory;

    if (Request->OutputBytes == 0) {
        return IoTestComplete(Irp, Irp->MdlAddress == NULL ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL,
                              0);
    }
    if (Irp->MdlAddress == NULL || MmGetMdlByteCount(Irp->MdlAddress) != Request->OutputBytes) {
        return IoTestComplete(Irp, STATUS_UNSUCCESSFUL, 0);
    }
    memory =
        MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority | MdlMappingNoExecute);
    if (memory == NULL) {
        return IoTestComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    if (Request->Code == IOTEST_IOCTL_ECHO_OUT_DIRECT) {
        return IoTestComplete(
            Irp, STATUS_SUCCESS,
            Echo(memory, Request->OutputBytes, Request->Buffer, Request->InputBytes));
    }
    /* IN_DIRECT: the "output" buffer is more input. */
    ULONG sum = 0;
    for (ULONG i = 0; i < Request->OutputBytes; i++) {
        sum += memory[i];
    }
    for (ULONG i = 0; i < Request->InputBytes; i++) {
        sum += ((UCHAR *)Request->Buffer)[i];
    }
    return IoTestComplete(Irp, STATUS_SUCCESS, sum);
}

static NTSTATUS CompleteAsTold(_Inout_ PIRP Irp, _In_ const REQUEST *Request)
{
    if (Request->InputBytes < sizeof(IOTEST_COMPLETE)) {
        return IoTestComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    IOTEST_COMPLETE told = *(IOTEST_COMPLETE *)Request->Buffer;
    RtlFillMemory(Request->Buffer, Request->OutputBytes, (UCHAR)told.Fill);
    return IoTestComplete(Irp, told.Status, (ULONG_PTR)told.Information);
}

VOID IoTestNote(_Inout_ IOTEST_RESULT *Result, _In_ PCSTR File, ULONG Line, NTSTATUS Status)
{
    PCSTR name = File;

    for (PCSTR at = File; *at != 0; at++) {
        if (*at == '/' || *at == '\\') {
            name = at + 1;
        }
    }
    Result->Line = Line;
    Result->Status = Status;
    for (ULONG i = 0; i < sizeof(Result->File) - 1 && name[i] != 0; i++) {
        Result->File[i] = name[i];
    }
}

static NTSTATUS SelfTest(_Inout_ PIRP Irp, _In_ const REQUEST *Request)
{
    static IOTEST_SELFTEST *const tests[] = {
        NULL,       IoTestFiles,   IoTestRegistry, IoTestRtlRegistry, IoTestObjects,
        IoTestMdls, IoTestOwnIrps, IoTestSecurity, IoTestState,
    };
    IOTEST_RESULT result = {0};

    if (Request->InputBytes < sizeof(ULONG) || Request->OutputBytes < sizeof(result)) {
        return IoTestComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    ULONG number = *(ULONG *)Request->Buffer;
    if (number == 0 || number >= ARRAYSIZE(tests)) {
        return IoTestComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    tests[number](&result);
    *(IOTEST_RESULT *)Request->Buffer = result;
    return IoTestComplete(Irp, STATUS_SUCCESS, sizeof(result));
}

static NTSTATUS Answer(_Inout_ PIRP Irp, _In_ const REQUEST *Request, _In_ const VOID *Data,
                       ULONG Bytes)
{
    if (Request->OutputBytes < Bytes) {
        return IoTestComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    RtlCopyMemory(Request->Buffer, Data, Bytes);
    return IoTestComplete(Irp, STATUS_SUCCESS, Bytes);
}

NTSTATUS
IoTestControl(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    REQUEST request = {stack->Parameters.DeviceIoControl.IoControlCode,
                       stack->Parameters.DeviceIoControl.InputBufferLength,
                       stack->Parameters.DeviceIoControl.OutputBufferLength,
                       Irp->AssociatedIrp.SystemBuffer};

    switch (request.Code) {
    case IOTEST_IOCTL_ECHO_BUFFERED:
        return IoTestComplete(
            Irp, STATUS_SUCCESS,
            Echo(request.Buffer, request.OutputBytes, request.Buffer, request.InputBytes));
    case IOTEST_IOCTL_ECHO_IN_DIRECT:
    case IOTEST_IOCTL_ECHO_OUT_DIRECT:
        return EchoDirect(Irp, &request);
    case IOTEST_IOCTL_ECHO_NEITHER:
        return IoTestEchoNeither(Irp);
    case IOTEST_IOCTL_COMPLETE:
        return CompleteAsTold(Irp, &request);
    case IOTEST_IOCTL_NEEDS_READ:
        return IoTestComplete(Irp, IoValidateDeviceIoControlAccess(Irp, FILE_READ_ACCESS), 0);
    case IOTEST_IOCTL_NEEDS_WRITE:
        return IoTestComplete(Irp, IoValidateDeviceIoControlAccess(Irp, FILE_WRITE_ACCESS), 0);
    case IOTEST_IOCTL_WAIT:
    case IOTEST_IOCTL_LEND:
        return IoTestWait(Irp);
    case IOTEST_IOCTL_POKE:
        return IoTestPoke(Irp);
    case IOTEST_IOCTL_SIGNAL:
        return IoTestSignal(Irp);
    case IOTEST_IOCTL_LATER:
        return IoTestLater(DeviceObject, Irp);
    case IOTEST_IOCTL_STATS: {
        /* Each counter by itself: others go on counting. */
        ULONG stats[sizeof(Globals.Stats) / sizeof(ULONG)];
        for (ULONG i = 0; i < ARRAYSIZE(stats); i++) {
            stats[i] = (ULONG)InterlockedCompareExchange((LONG *)&Globals.Stats + i, 0, 0);
        }
        return Answer(Irp, &request, stats, sizeof(stats));
    }
    case IOTEST_IOCTL_ATTACH:
        return IoTestComplete(Irp,
                              request.InputBytes < sizeof(ULONG)
                                  ? STATUS_INVALID_PARAMETER
                                  : IoTestAttach(*(ULONG *)request.Buffer),
                              0);
    case IOTEST_IOCTL_DETACH:
        return IoTestComplete(Irp, IoTestDetach(), 0);
    case IOTEST_IOCTL_SELFTEST:
        return SelfTest(Irp, &request);
    case IOTEST_IOCTL_WHO: {
        ULONG who[2] = {IoGetRequestorProcessId(Irp), HandleToULong(PsGetCurrentProcessId())};
        return Answer(Irp, &request, who, sizeof(who));
    }
    default:
        return IoTestComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

/* A read gives bytes that count up from its offset; a write is checked to do so. */
NTSTATUS
IoTestReadWrite(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    BOOLEAN read = stack->MajorFunction == IRP_MJ_READ;
    ULONG length = stack->Parameters.Read.Length;
    ULONG64 offset = (ULONG64)stack->Parameters.Read.ByteOffset.QuadPart;
    UCHAR *memory = Irp->AssociatedIrp.SystemBuffer;

    if (DeviceObject->Flags & DO_DIRECT_IO && length != 0) {
        memory = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
    }
    if (length != 0 && memory == NULL) {
        return IoTestComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    for (ULONG i = 0; i < length; i++) {
        if (read) {
            memory[i] = (UCHAR)(offset + i);
        } else if (memory[i] != (UCHAR)(offset + i)) {
            return IoTestComplete(Irp, STATUS_DATA_ERROR, i);
        }
    }
    if (read) {
        Globals.Stats.LastReadOffset = offset;
        Globals.Stats.LastReadLength = length;
    }
    return IoTestComplete(Irp, STATUS_SUCCESS, length);
}
