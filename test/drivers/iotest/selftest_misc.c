/* Objects and handles, MDLs, IRPs of the driver's own, access checks. */
#include <ntifs.h>
#include "iotest.h"

VOID IoTestObjects(_Inout_ IOTEST_RESULT *Result)
{
    HANDLE event = NULL, named = NULL, again = NULL, process = NULL, linked = NULL;
    PKEVENT object = NULL, same = NULL;
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\BaseNamedObjects\\IoTestEvent");
    LARGE_INTEGER now = {.QuadPart = 0};
    UCHAR buffer[256];
    POBJECT_NAME_INFORMATION text = (POBJECT_NAME_INFORMATION)buffer;
    PVOID wrong;
    PEPROCESS system = NULL;
    ULONG bytes;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK_STATUS(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE),
                 STATUS_SUCCESS);
    CHECK((LONG_PTR)event < 0);
    CHECK_STATUS(ZwWaitForSingleObject(event, FALSE, &now), STATUS_TIMEOUT);
    CHECK_STATUS(ObReferenceObjectByHandle(event, EVENT_MODIFY_STATE, *ExEventObjectType,
                                           KernelMode, (PVOID *)&object, NULL),
                 STATUS_SUCCESS);
    CHECK_STATUS(ObReferenceObjectByHandle(event, 0, *IoFileObjectType, KernelMode, &wrong, NULL),
                 STATUS_OBJECT_TYPE_MISMATCH);
    CHECK_STATUS(ObReferenceObjectByHandle(event, 0, *ExEventObjectType, UserMode, &wrong, NULL),
                 STATUS_INVALID_HANDLE);
    KeSetEvent(object, IO_NO_INCREMENT, FALSE);
    CHECK_STATUS(ZwWaitForSingleObject(event, FALSE, &now), STATUS_SUCCESS);
    CHECK_STATUS(ZwClose(event), STATUS_SUCCESS);
    event = NULL;
    /* The reference keeps the event. */
    CHECK(KeReadStateEvent(object) != 0);
    KeClearEvent(object);
    CHECK(KeReadStateEvent(object) == 0);

    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_OPENIF, NULL, NULL);
    CHECK_STATUS(ZwCreateEvent(&named, EVENT_ALL_ACCESS, &attributes, SynchronizationEvent, FALSE),
                 STATUS_SUCCESS);
    CHECK_STATUS(ZwCreateEvent(&again, EVENT_ALL_ACCESS, &attributes, SynchronizationEvent, FALSE),
                 STATUS_OBJECT_NAME_EXISTS);
    CHECK_STATUS(ZwSetEvent(again, NULL), STATUS_SUCCESS);
    CHECK_STATUS(ZwWaitForSingleObject(named, FALSE, &now), STATUS_SUCCESS);
    CHECK_STATUS(ObReferenceObjectByHandle(named, EVENT_MODIFY_STATE, *ExEventObjectType,
                                           KernelMode, (PVOID *)&same, NULL),
                 STATUS_SUCCESS);
    CHECK_STATUS(ObQueryNameString(same, text, sizeof(buffer), &bytes), STATUS_SUCCESS);
    CHECK(RtlEqualUnicodeString(&text->Name, &name, FALSE));
    CHECK_STATUS(ObQueryNameString(same, text, 4, &bytes), STATUS_INFO_LENGTH_MISMATCH);
    CHECK_STATUS(ObOpenObjectByPointer(same, OBJ_KERNEL_HANDLE, NULL, EVENT_ALL_ACCESS,
                                       *ExEventObjectType, KernelMode, &event),
                 STATUS_SUCCESS);

    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\IoTest"),
                   device = RTL_CONSTANT_STRING(IOTEST_DEVICE);
    WCHAR target[64];
    UNICODE_STRING query = {0, sizeof(target), target};
    InitializeObjectAttributes(&attributes, &link, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK_STATUS(ZwOpenSymbolicLinkObject(&linked, SYMBOLIC_LINK_QUERY, &attributes),
                 STATUS_SUCCESS);
    CHECK_STATUS(ZwQuerySymbolicLinkObject(linked, &query, &bytes), STATUS_SUCCESS);
    CHECK(RtlEqualUnicodeString(&query, &device, FALSE));
    query.MaximumLength = 4;
    CHECK_STATUS(ZwQuerySymbolicLinkObject(linked, &query, &bytes), STATUS_BUFFER_TOO_SMALL);
    InitializeObjectAttributes(&attributes, &device, OBJ_KERNEL_HANDLE, NULL, NULL);
    HANDLE none;
    CHECK_STATUS(ZwOpenSymbolicLinkObject(&none, SYMBOLIC_LINK_QUERY, &attributes),
                 STATUS_OBJECT_TYPE_MISMATCH);
    CHECK_STATUS(ZwQueryObject(linked, 2, buffer, sizeof(buffer), &bytes), STATUS_SUCCESS);
    UNICODE_STRING type = RTL_CONSTANT_STRING(L"SymbolicLink");
    CHECK(RtlEqualUnicodeString((PUNICODE_STRING)buffer, &type, FALSE));

    CHECK_STATUS(ObOpenObjectByPointer(IoGetCurrentProcess(), OBJ_KERNEL_HANDLE, NULL,
                                       PROCESS_ALL_ACCESS, *PsProcessType, KernelMode, &process),
                 STATUS_SUCCESS);
    CHECK_STATUS(PsLookupProcessByProcessId(ULongToHandle(4), &system), STATUS_SUCCESS);
    CHECK(PsGetProcessId(system) == ULongToHandle(4));
    CHECK_STATUS(PsLookupProcessByProcessId(ULongToHandle(0x7ffffffc), (PEPROCESS *)&wrong),
                 STATUS_INVALID_CID);
Done:
    if (system != NULL) {
        ObDereferenceObject(system);
    }
    if (same != NULL) {
        ObDereferenceObject(same);
    }
    if (object != NULL) {
        ObDereferenceObject(object);
    }
    HANDLE handles[] = {event, named, again, process, linked};
    for (ULONG i = 0; i < ARRAYSIZE(handles); i++) {
        if (handles[i] != NULL) {
            ZwClose(handles[i]);
        }
    }
}

VOID IoTestMdls(_Inout_ IOTEST_RESULT *Result)
{
    PUCHAR memory = ExAllocatePool2(POOL_FLAG_NON_PAGED, 3 * PAGE_SIZE, IOTEST_TAG);
    PMDL mdl = NULL, partial = NULL, second = NULL, pages = NULL;
    PHYSICAL_ADDRESS low = {.QuadPart = 0}, high = {.QuadPart = MAXLONGLONG},
                     skip = {.QuadPart = 0};

    CHECK(memory != NULL);
    mdl = IoAllocateMdl(memory + 100, 2 * PAGE_SIZE, FALSE, FALSE, NULL);
    CHECK(mdl != NULL);
    MmBuildMdlForNonPagedPool(mdl);
    CHECK(MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority) == memory + 100);
    CHECK(MmGetMdlByteCount(mdl) == 2 * PAGE_SIZE && MmGetMdlVirtualAddress(mdl) == memory + 100);
    CHECK(MmGetMdlByteOffset(mdl) == BYTE_OFFSET(memory + 100));
    CHECK(MmSizeOfMdl(memory, 2 * PAGE_SIZE) >= sizeof(MDL) + 2 * sizeof(PFN_NUMBER));

    partial = IoAllocateMdl(memory, 3 * PAGE_SIZE, FALSE, FALSE, NULL);
    CHECK(partial != NULL);
    IoBuildPartialMdl(mdl, partial, memory + 1100, 500);
    CHECK(MmGetSystemAddressForMdlSafe(partial, NormalPagePriority) == memory + 1100);
    CHECK(MmGetMdlByteCount(partial) == 500);
    MmPrepareMdlForReuse(partial);
    IoBuildPartialMdl(mdl, partial, memory + 1100, 0);
    CHECK(MmGetMdlByteCount(partial) == 2 * PAGE_SIZE - 1000);

    second = IoAllocateMdl(memory, PAGE_SIZE, FALSE, FALSE, NULL);
    CHECK(second != NULL);
    MmProbeAndLockPages(second, KernelMode, IoModifyAccess);
    CHECK(second->MdlFlags & MDL_PAGES_LOCKED && second->MdlFlags & MDL_WRITE_OPERATION);
    CHECK(MmGetSystemAddressForMdlSafe(second, NormalPagePriority) == memory);
    MmUnlockPages(second);
    CHECK(!(second->MdlFlags & MDL_PAGES_LOCKED));

    pages = MmAllocatePagesForMdlEx(low, high, skip, 2 * PAGE_SIZE, MmCached, 0);
    CHECK(pages != NULL && MmGetMdlByteCount(pages) == 2 * PAGE_SIZE);
    PUCHAR mapped = MmGetSystemAddressForMdlSafe(pages, NormalPagePriority);
    CHECK(mapped != NULL && mapped[0] == 0 && mapped[2 * PAGE_SIZE - 1] == 0);
    mapped[0] = 1;
    MmUnmapLockedPages(mapped, pages);
Done:
    if (pages != NULL) {
        MmFreePagesFromMdl(pages);
        ExFreePool(pages);
    }
    if (second != NULL && second->MdlFlags & MDL_PAGES_LOCKED) {
        MmUnlockPages(second);
    }
    PMDL mdls[] = {second, partial, mdl};
    for (ULONG i = 0; i < ARRAYSIZE(mdls); i++) {
        if (mdls[i] != NULL) {
            IoFreeMdl(mdls[i]);
        }
    }
    if (memory != NULL) {
        ExFreePoolWithTag(memory, IOTEST_TAG);
    }
}

static IO_COMPLETION_ROUTINE OwnIrpCompletion;

static NTSTATUS OwnIrpCompletion(_In_ PDEVICE_OBJECT DeviceObject, _In_ PIRP Irp,
                                 _In_opt_ PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* An IRP made by hand, sent twice; then one that the I/O manager builds. */
VOID IoTestOwnIrps(_Inout_ IOTEST_RESULT *Result)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(IOTEST_DIRECT);
    PFILE_OBJECT file = NULL;
    PDEVICE_OBJECT device;
    PIRP irp = NULL;
    KEVENT event;
    UCHAR buffer[16] = {1, 2, 3};
    UCHAR output[16] = {0};
    IO_STATUS_BLOCK iosb;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    CHECK_STATUS(IoGetDeviceObjectPointer(&name, FILE_ALL_ACCESS, &file, &device), STATUS_SUCCESS);
    irp = IoAllocateIrp(device->StackSize, FALSE);
    CHECK(irp != NULL);
    for (ULONG i = 0; i < 2; i++) {
        PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);
        next->MajorFunction = IRP_MJ_DEVICE_CONTROL;
        next->FileObject = file;
        next->Parameters.DeviceIoControl.IoControlCode = IOTEST_IOCTL_ECHO_BUFFERED;
        next->Parameters.DeviceIoControl.InputBufferLength = 3;
        next->Parameters.DeviceIoControl.OutputBufferLength = sizeof(buffer);
        irp->AssociatedIrp.SystemBuffer = buffer;
        IoSetCompletionRoutine(irp, OwnIrpCompletion, &event, TRUE, TRUE, TRUE);
        CHECK_STATUS(IoCallDriver(device, irp), STATUS_SUCCESS);
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
        CHECK(irp->IoStatus.Information == 3 && buffer[0] == 2 + i && buffer[2] == 4 + i);
        KeClearEvent(&event);
        IoReuseIrp(irp, STATUS_SUCCESS);
    }
    PIRP built = IoBuildDeviceIoControlRequest(IOTEST_IOCTL_ECHO_OUT_DIRECT, device, buffer, 3,
                                               output, sizeof(output), FALSE, &event, &iosb);
    CHECK(built != NULL);
    IoGetNextIrpStackLocation(built)->FileObject = file;
    NTSTATUS status = IoCallDriver(device, built);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
        status = iosb.Status;
    }
    CHECK_STATUS(status, STATUS_SUCCESS);
    CHECK(iosb.Information == 3 && output[0] == buffer[0] + 1 && output[3] == 0);
    CHECK(IoGetRelatedDeviceObject(file) == device);
Done:
    if (irp != NULL) {
        IoFreeIrp(irp);
    }
    if (file != NULL) {
        ObDereferenceObject(file);
    }
}

VOID IoTestSecurity(_Inout_ IOTEST_RESULT *Result)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(IOTEST_ADMIN);
    GENERIC_MAPPING mapping = {FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_GENERIC_EXECUTE,
                               FILE_ALL_ACCESS};
    SECURITY_SUBJECT_CONTEXT subject;
    PSECURITY_DESCRIPTOR descriptor = NULL;
    BOOLEAN allocated = FALSE;
    PFILE_OBJECT file = NULL;
    PDEVICE_OBJECT device;
    ACCESS_MASK granted;
    NTSTATUS status;
    PPRIVILEGE_SET privileges = NULL;

    CHECK_STATUS(IoGetDeviceObjectPointer(&name, FILE_READ_DATA, &file, &device), STATUS_SUCCESS);
    CHECK_STATUS(ObGetObjectSecurity(device, &descriptor, &allocated), STATUS_SUCCESS);
    CHECK(descriptor != NULL && RtlValidSecurityDescriptor(descriptor));
    CHECK(RtlLengthSecurityDescriptor(descriptor) > 20);
    SeCaptureSubjectContext(&subject);
    SeLockSubjectContext(&subject);
    BOOLEAN admin = SeTokenIsAdmin(subject.PrimaryToken);
    BOOLEAN allowed = SeAccessCheck(descriptor, &subject, TRUE, GENERIC_READ, 0, &privileges,
                                    &mapping, UserMode, &granted, &status);
    SeUnlockSubjectContext(&subject);
    SeReleaseSubjectContext(&subject);
    /* The answer depends on who asks: it is the caller's process that this runs in. */
    CHECK(allowed == admin);
    CHECK(allowed ? granted == FILE_GENERIC_READ && status == STATUS_SUCCESS
                  : granted == 0 && status == STATUS_ACCESS_DENIED);
Done:
    if (descriptor != NULL) {
        ObReleaseObjectSecurity(descriptor, allocated);
    }
    if (file != NULL) {
        ObDereferenceObject(file);
    }
}
