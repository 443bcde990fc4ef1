/*
 * Writes.
 *
 * A program's write is captured once, where it is cached or goes to the disk itself; the cached
 * data's paging I/O is passed over. The user's buffer is copied straight into the record, and the
 * file system then writes from the record, so that what was captured is what was written whatever
 * the program does to its buffer meanwhile. Only writes that the cache does not take (their buffer
 * must be aligned) go by a buffer of their own, and those beyond REPL_MAX_DATA are read back when
 * they have completed.
 *
 * Once a program has made a writable section of the file, its stores come as paging I/O, and those
 * are captured too, whole: nobody can tell a page that was stored to from one that was written to.
 * They are numbered here, before their bytes are read, and take no lock, for the memory manager
 * must not wait for us. A program's write that is in flight in the same bytes may take effect after
 * they were read although it has the lower number; it is told (RplRangesTouch) and records its
 * range again when it has completed, while it still holds the range.
 *
 * Fast I/O is refused, so that there is an IRP whose buffer can be locked: reading a user's buffer
 * otherwise needs structured exceptions.
 *
 * WDK: "FltLockUserBuffer", "FltRetainSwappedBufferMdlAddress", the sample swapBuffers.
 */
#include "write.h"

#include "bracket.h"
#include "counters.h"
#include "regions.h"
#include "room.h"
#include "role.h"
#include "volume.h"

/* Paging I/O */

static UINT64 RplFileSize(_In_ PFILE_OBJECT FileObject)
{
    const FSRTL_COMMON_FCB_HEADER *header = FileObject->FsContext;

    return header == NULL ? 0 : (UINT64)ReadNoFence64((const LONG64 *)&header->FileSize.QuadPart);
}

static FLT_PREOP_CALLBACK_STATUS RplPrePaging(_In_ PFLT_CALLBACK_DATA Data,
                                              _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                              _Out_ PVOID *CompletionContext)
{
    const FLT_PARAMETERS *parameters = &Data->Iopb->Parameters;
    RPL_FILE *file = RplFileFind(FltObjects);
    RPL_OPERATION *operation;
    RPL_INTENT intent;
    const VOID *bytes = NULL;
    UINT64 offset = (UINT64)parameters->Write.ByteOffset.QuadPart;
    UINT64 size = RplFileSize(FltObjects->FileObject);
    ULONG length = parameters->Write.Length;

    if (file == NULL)
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (file->SetId == 0 || !file->UserSection || offset >= size || RplRole() != ReplRolePrimary)
    {
        InterlockedIncrement64(&RplCounters.PagingSkipped);
        FltReleaseContext(file);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (file->Mode == ReplModeCopy)
    {
        return RplTouchBegin(file, CompletionContext);
    }
    InterlockedIncrement64(&RplCounters.PagingCaptured);
    length = (ULONG)RPL_MIN(length, size - offset);
    if (parameters->Write.MdlAddress != NULL)
    {
        bytes = MmGetSystemAddressForMdlSafe(parameters->Write.MdlAddress,
                                             HighPagePriority | MdlMappingNoExecute);
    }
    operation = bytes == NULL || length > REPL_MAX_DATA ? NULL : RplOperationNew();
    if (operation == NULL)
    {
        const FLT_PREOP_CALLBACK_STATUS status =
            RplGoUnrecorded(file->SetId, file->FileId, offset, length, FALSE, CompletionContext);

        RplRangesTouch(&file->Data, offset, offset + length);
        FltReleaseContext(file);
        return status;
    }
    operation->File = file;
    operation->Offset = offset;
    operation->Length = length;
    intent = RplIntent(file, ReplRecordWrite);
    intent.Flags |= REPL_FLAG_PAGING;
    intent.Offset = offset;
    intent.Range = length;
    intent.DataBytes = length;
    operation->Slot = RplReserve(&intent);
    RplRangesTouch(&file->Data, offset, offset + length);
    if (operation->Slot != NULL && operation->Slot->Data != NULL)
    {
        RtlCopyMemory(operation->Slot->Data, bytes, length);
    }
    *CompletionContext = operation;
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

/* A program's writes */

static UINT64 RplEndOfFile(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject)
{
    FILE_STANDARD_INFORMATION standard;

    if (!NT_SUCCESS(FltQueryInformationFile(Instance, FileObject, &standard, sizeof(standard),
                                            FileStandardInformation, NULL)))
    {
        return RplFileSize(FileObject);
    }
    return (UINT64)standard.EndOfFile.QuadPart;
}

_Use_decl_annotations_ UINT64 RplLockEnd(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                         RPL_OPERATION *Operation)
{
    UINT64 end = RplEndOfFile(Instance, FileObject);
    UINT64 now;

    while (RplOperationLock(Operation, &Operation->File->Data, end, RPL_TO_END))
    {
        now = RplEndOfFile(Instance, FileObject);
        if (now == end)
        {
            break;
        }
        RplOperationUnlock(Operation);
        end = now;
    }
    return end;
}

/* Locks what is written, and says where that is: the file system is told the place of an append. */
static VOID RplLockWrite(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                         _Inout_ RPL_OPERATION *Operation)
{
    LARGE_INTEGER *offset = &Data->Iopb->Parameters.Write.ByteOffset;

    Operation->Length = Data->Iopb->Parameters.Write.Length;
    if (offset->HighPart == -1 && offset->LowPart == FILE_WRITE_TO_END_OF_FILE)
    {
        /* So that the end is where it was found. */
        Operation->Offset = RplLockEnd(FltObjects->Instance, FltObjects->FileObject, Operation);
        offset->QuadPart = (LONGLONG)Operation->Offset;
        FltSetCallbackDataDirty(Data);
        return;
    }
    Operation->Offset =
        (UINT64)(offset->HighPart == -1 && offset->LowPart == FILE_USE_FILE_POINTER_POSITION
                     ? FltObjects->FileObject->CurrentByteOffset.QuadPart
                     : offset->QuadPart);
    RplOperationLock(Operation, &Operation->File->Data, Operation->Offset, Operation->Length);
}

/* Copies what is to be written into the record and has the file system write that. */
static NTSTATUS RplCaptureWrite(_Inout_ PFLT_CALLBACK_DATA Data, _Inout_ RPL_OPERATION *Operation)
{
    FLT_PARAMETERS *parameters = &Data->Iopb->Parameters;
    const ULONG length = parameters->Write.Length;
    const BOOLEAN cached = (Data->Iopb->IrpFlags & IRP_NOCACHE) == 0;
    RPL_INTENT intent = RplIntent(Operation->File, ReplRecordWrite);
    PMDL mdl;
    PUCHAR from;
    NTSTATUS status = FltLockUserBuffer(Data);

    if (!NT_SUCCESS(status))
    {
        return status;
    }
    from = parameters->Write.MdlAddress == NULL
               ? parameters->Write.WriteBuffer
               : MmGetSystemAddressForMdlSafe(parameters->Write.MdlAddress,
                                              NormalPagePriority | MdlMappingNoExecute);
    if (from == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!cached)
    {
        Operation->Bounce = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED,
                                            RPL_MAX(length, PAGE_SIZE), RPL_TAG);
        if (Operation->Bounce == NULL)
        {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        RtlCopyMemory(Operation->Bounce, from, length);
        from = Operation->Bounce;
    }
    if (Operation->Durable)
    {
        intent.Flags |= REPL_FLAG_WRITE_THROUGH;
    }
    intent.Offset = Operation->Offset;
    intent.Range = length;
    intent.DataBytes = length;
    Operation->Slot = RplReserve(&intent);
    if (Operation->Slot == NULL || Operation->Slot->Data == NULL)
    {
        return STATUS_SUCCESS; /* marked dirty; the user's buffer is as good as any */
    }
    RtlCopyMemory(Operation->Slot->Data, from, length);
    if (cached)
    {
        mdl = RplSlotMdl(Operation->Slot);
        from = Operation->Slot->Data;
    }
    else
    {
        mdl = IoAllocateMdl(from, length, FALSE, FALSE, NULL);
        if (mdl != NULL)
        {
            MmBuildMdlForNonPagedPool(mdl);
        }
    }
    if (mdl == NULL)
    {
        RplAbort(Operation->Slot);
        Operation->Slot = NULL;
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    parameters->Write.WriteBuffer = from;
    parameters->Write.MdlAddress = mdl;
    Operation->Swapped = cached;
    FltSetCallbackDataDirty(Data);
    return STATUS_SUCCESS;
}

/* Raw writes to the volume: nobody can tell which files they are in. */
static VOID RplVolumeWritten(_In_ PCFLT_RELATED_OBJECTS FltObjects)
{
    if (RplRole() == ReplRolePrimary && RplVolumeUsed(FltObjects->Instance))
    {
        RplMarkLost(0, NULL, 0, RPL_TO_END, FALSE);
    }
}

static FLT_PREOP_CALLBACK_STATUS RplPreUserWrite(_Inout_ PFLT_CALLBACK_DATA Data,
                                                 _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                 _In_ RPL_FILE *File,
                                                 _Out_ PVOID *CompletionContext)
{
    const ULONG length = Data->Iopb->Parameters.Write.Length;
    RPL_OPERATION *operation = RplOperationNew();
    FLT_PREOP_CALLBACK_STATUS verdict;
    NTSTATUS status;

    if (operation == NULL)
    {
        /* An append, or one at the file's position, may be anywhere. */
        verdict =
            RplGoUnrecorded(File->SetId, File->FileId, 0, RPL_TO_END, FALSE, CompletionContext);
        FltReleaseContext(File);
        return verdict;
    }
    operation->File = File;
    operation->Durable =
        File->Mode == ReplModeDurable && (FltObjects->FileObject->Flags & FO_WRITE_THROUGH) != 0;
    operation->ReadBack = length > REPL_MAX_DATA;
    RplRoomAwait(); /* before it has a lock that others wait for */
    RplLockWrite(Data, FltObjects, operation);
    RplRegionsActivate(File->FileId, operation->Offset, length);
    if (!operation->ReadBack)
    {
        status = RplCaptureWrite(Data, operation);
        if (status == STATUS_INSUFFICIENT_RESOURCES)
        {
            /* Not the program's fault: it writes, and the bytes are sent later. */
            operation->Slot =
                RplReserveNothing(File->SetId, File->FileId, operation->Offset, length, FALSE);
        }
        else if (!NT_SUCCESS(status))
        {
            RplOperationEnd(operation);
            Data->IoStatus.Status = status;
            Data->IoStatus.Information = 0;
            return FLT_PREOP_COMPLETE;
        }
    }
    *CompletionContext = operation;
    return operation->ReadBack || operation->Durable || File->UserSection
               ? FLT_PREOP_SYNCHRONIZE
               : FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreWrite(PFLT_CALLBACK_DATA Data,
                                                             PCFLT_RELATED_OBJECTS FltObjects,
                                                             PVOID *CompletionContext)
{
    RPL_VERDICT verdict;
    RPL_FILE *file;

    *CompletionContext = NULL;
    if (Data->Iopb->IrpFlags & IRP_PAGING_IO)
    {
        return RplPrePaging(Data, FltObjects, CompletionContext);
    }
    if (FltObjects->FileObject->Flags & FO_VOLUME_OPEN)
    {
        RplVolumeWritten(FltObjects);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    file = RplFileToChange(FltObjects, Data, CompletionContext);
    if (file == NULL)
    {
        return *CompletionContext == NULL ? FLT_PREOP_SUCCESS_NO_CALLBACK
                                          : FLT_PREOP_SUCCESS_WITH_CALLBACK;
    }
    verdict = RplJudge(file, Data);
    switch (verdict)
    {
    case RplIgnore:
        break;
    case RplForbid:
        FltReleaseContext(file);
        return RplRefuseOperation(Data);
    case RplTouch:
    case RplCapture:
        if (FLT_IS_FASTIO_OPERATION(Data))
        {
            FltReleaseContext(file);
            return FLT_PREOP_DISALLOW_FASTIO;
        }
        if (Data->Iopb->MinorFunction & IRP_MN_MDL)
        {
            /* The bytes would come after the completion. Callers then write by copying. */
            FltReleaseContext(file);
            Data->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
            Data->IoStatus.Information = 0;
            return FLT_PREOP_COMPLETE;
        }
        if (Data->Iopb->Parameters.Write.Length == 0)
        {
            break;
        }
        return verdict == RplTouch ? RplTouchBegin(file, CompletionContext)
                                   : RplPreUserWrite(Data, FltObjects, file, CompletionContext);
    }
    FltReleaseContext(file);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

_Use_decl_annotations_ VOID RplRecordAgain(PCFLT_RELATED_OBJECTS FltObjects,
                                           RPL_OPERATION *Operation, UINT64 Length)
{
    NTSTATUS status = STATUS_INVALID_LEVEL;
    UINT64 end;

    if (KeGetCurrentIrql() == PASSIVE_LEVEL)
    {
        end = RplEndOfFile(FltObjects->Instance, FltObjects->FileObject);
        Length = Operation->Offset >= end ? 0 : RPL_MIN(Length, end - Operation->Offset);
        status = RplRecordRange(FltObjects->Instance, FltObjects->FileObject, Operation->File,
                                Operation->Offset, Length, 0);
    }
    if (!NT_SUCCESS(status))
    {
        RplMarkLost(Operation->File->SetId, Operation->File->FileId, Operation->Offset, Length,
                    FALSE);
    }
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostWrite(PFLT_CALLBACK_DATA Data,
                                                               PCFLT_RELATED_OBJECTS FltObjects,
                                                               PVOID CompletionContext,
                                                               FLT_POST_OPERATION_FLAGS Flags)
{
    RPL_OPERATION *operation = CompletionContext;
    const UINT64 written = Data->IoStatus.Information;

    if (RplEndedUnrecorded(CompletionContext))
    {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (operation->Touches)
    {
        RplOperationEnd(operation);
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (operation->Swapped)
    {
        FltRetainSwappedBufferMdlAddress(Data); /* the slot's */
    }
    if (Flags & FLTFL_POST_OPERATION_DRAINING)
    {
        RplMarkLost(operation->File->SetId, operation->File->FileId, operation->Offset,
                    operation->Length, FALSE);
        RplAbort(operation->Slot);
    }
    else if (!NT_SUCCESS(Data->IoStatus.Status))
    {
        RplAbort(operation->Slot);
    }
    else if (Data->Iopb->IrpFlags & IRP_PAGING_IO)
    {
        RplCommit(operation->Slot, (ULONG)operation->Length, operation->Offset, operation->Length);
    }
    else
    {
        InterlockedExchange(&operation->File->Written, TRUE);
        RplCommit(operation->Slot, (ULONG)written, operation->Offset, written);
        if (operation->ReadBack || (operation->Locked != NULL && operation->Range.Touched))
        {
            RplRecordAgain(FltObjects, operation, written);
        }
        if (operation->Durable)
        {
            NTSTATUS status;

            /* What it waits for may be a synchronisation that reads these bytes. */
            RplOperationUnlock(operation);
            status = RplWaitAcknowledged(operation->File->SetId, RplLastSequence());
            if (!NT_SUCCESS(status))
            {
                Data->IoStatus.Status = status;
                Data->IoStatus.Information = 0;
            }
        }
    }
    RplOperationEnd(operation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPrePrepareMdlWrite(
    PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    RPL_FILE *file = RplFileFind(FltObjects);
    BOOLEAN selected = file != NULL && file->SetId != 0;

    UNREFERENCED_PARAMETER(Data);
    *CompletionContext = NULL;
    if (file != NULL)
    {
        FltReleaseContext(file);
    }
    return selected ? FLT_PREOP_DISALLOW_FASTIO : FLT_PREOP_SUCCESS_NO_CALLBACK;
}

_Use_decl_annotations_ NTSTATUS RplRecordRange(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                               const RPL_FILE *File, UINT64 Offset, UINT64 Length,
                                               UINT16 Flags)
{
    RPL_INTENT intent = RplIntent(File, ReplRecordWrite);
    const UINT64 end = Offset + Length;
    NTSTATUS status = STATUS_SUCCESS;
    UINT64 bracket = 0;

    intent.Flags |= Flags;
    while (NT_SUCCESS(status) && Offset < end)
    {
        const ULONG bytes = (ULONG)RPL_MIN(end - Offset, REPL_MAX_DATA);
        const UINT16 flags = intent.Flags;
        LARGE_INTEGER at = {.QuadPart = (LONGLONG)Offset};
        ULONG read = 0;
        RPL_SLOT *slot;

        intent.Offset = Offset;
        intent.Range = bytes;
        intent.DataBytes = bytes;
        intent.Bracket = bracket;
        intent.Flags |= bracket == 0 && Offset + bytes < end ? REPL_FLAG_OPEN : 0;
        intent.Flags |= bracket != 0 && Offset + bytes == end ? REPL_FLAG_CLOSE : 0;
        slot = RplReserve(&intent);
        intent.Flags = flags;
        if (slot != NULL && bracket == 0)
        {
            bracket = slot->Sequence;
        }
        if (slot != NULL && slot->Data != NULL)
        {
            status = FltReadFile(Instance, FileObject, &at, bytes, slot->Data,
                                 FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &read, NULL, NULL);
            status = status == STATUS_END_OF_FILE ? STATUS_SUCCESS : status;
        }
        /* Nothing, if it could not be read; then the caller marks it, and the bracket is closed. */
        RplCommit(slot, read, Offset, read);
        Offset += bytes;
    }
    if (Offset < end && bracket != 0)
    {
        RplBracketEnd(File->SetId, bracket);
    }
    return status;
}
