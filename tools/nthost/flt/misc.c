/*
 * Priorities, name controls, volumes' GUID names, queries by name.
 *
 * WDK: FltGetIoPriorityHint, FltCheckAndGrowNameControl, FltGetVolumeGuidName,
 * FltQueryInformationByName.
 */
#include "generate.h"
#include <nthost/fs.h>
#include <nthost/object.h>
#include <string.h>

/* All of the host's I/O has the same priority; a filter's wish is kept by nobody. */

IO_PRIORITY_HINT NTAPI FltGetIoPriorityHint(PFLT_CALLBACK_DATA Data)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_of(Data, __func__);
    return IoPriorityNormal;
}
NT_EXPORT(FLTMGR, FltGetIoPriorityHint);

IO_PRIORITY_HINT NTAPI FltGetIoPriorityHintFromCallbackData(PFLT_CALLBACK_DATA Data)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_of(Data, __func__);
    return IoPriorityNormal;
}
NT_EXPORT(FLTMGR, FltGetIoPriorityHintFromCallbackData);

NTSTATUS NTAPI FltSetIoPriorityHintIntoCallbackData(PFLT_CALLBACK_DATA Data,
                                                    IO_PRIORITY_HINT PriorityHint)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_of(Data, __func__);
    return (ULONG)PriorityHint < MaxIoPriorityTypes ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}
NT_EXPORT(FLTMGR, FltSetIoPriorityHintIntoCallbackData);

NTSTATUS NTAPI FltCheckAndGrowNameControl(PFLT_NAME_CONTROL NameCtrl, USHORT NewSize)
{
    VF_ENTRY(APC_LEVEL);
    if (NewSize <= NameCtrl->Name.MaximumLength)
        return STATUS_SUCCESS;
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    PWCH bigger = ExAllocatePool2(POOL_FLAG_PAGED, NewSize, 'cNlF');
    if (bigger == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(bigger, NameCtrl->Name.Buffer, NameCtrl->Name.Length);
    if (NameCtrl->Name.Buffer != NULL)
        ExFreePool(NameCtrl->Name.Buffer);
    NameCtrl->Name.Buffer = bigger;
    NameCtrl->Name.MaximumLength = NewSize;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltCheckAndGrowNameControl);

NTSTATUS NTAPI FltIsVolumeSnapshot(PVOID FltObject, PBOOLEAN IsSnapshotVolume)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(FltObject);
    *IsSnapshotVolume = FALSE;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltIsVolumeSnapshot);

/* Opens, asks and closes. */
NTSTATUS NTAPI FltQueryInformationByName(PFLT_FILTER Filter, PFLT_INSTANCE Instance,
                                         POBJECT_ATTRIBUTES ObjectAttributes,
                                         PIO_STATUS_BLOCK IoStatusBlock, PVOID FileInformation,
                                         ULONG Length, FILE_INFORMATION_CLASS FileInformationClass,
                                         PIO_DRIVER_CREATE_CONTEXT DriverContext)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(DriverContext);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct file_open open = {.path = *ObjectAttributes->ObjectName,
                             .mode = KernelMode,
                             .access = FILE_READ_ATTRIBUTES | SYNCHRONIZE,
                             .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                             .disposition = FILE_OPEN,
                             .options = FILE_OPEN_REPARSE_POINT};
    NTSTATUS status = STATUS_SUCCESS;
    ULONG returned = 0;
    if (ObjectAttributes->RootDirectory != NULL)
        status = ob_lookup_handle(ObjectAttributes->RootDirectory, &ob_file_type,
                                  (void **)&open.root, NULL);
    if (NT_SUCCESS(status))
        status = flt_open(Instance, &open);
    if (open.root != NULL)
        ob_dereference(open.root);
    if (NT_SUCCESS(status)) {
        status = FltQueryInformationFile(Instance, open.file, FileInformation, Length,
                                         FileInformationClass, &returned);
        flt_close_file(&open);
    }
    IoStatusBlock->Status = status;
    IoStatusBlock->Information = returned;
    return status;
}
NT_EXPORT(FLTMGR, FltQueryInformationByName);
