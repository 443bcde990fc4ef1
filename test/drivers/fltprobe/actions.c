/* The operations. */
#include "probe.h"

static VOID NTAPI ProbeCompletePre(_In_ PFLT_DEFERRED_IO_WORKITEM Item,
                                   _In_ PFLT_CALLBACK_DATA Data, _In_opt_ PVOID Context)
{
    PPROBE_PASSAGE passage = Context;
    FLT_PREOP_CALLBACK_STATUS then = ProbeRule(Data->Iopb->MajorFunction)->Then;

    if (then == FLT_PREOP_COMPLETE) {
        Data->IoStatus.Status = ProbeRule(Data->Iopb->MajorFunction)->Status;
        Data->IoStatus.Information = 0;
    }
    if (then != FLT_PREOP_SUCCESS_WITH_CALLBACK && then != FLT_PREOP_SYNCHRONIZE &&
        passage != NULL) {
        ExFreePoolWithTag(passage, PROBE_TAG);
        passage = NULL;
    }
    FltFreeDeferredIoWorkItem(Item);
    FltCompletePendedPreOperation(Data, then, passage);
}

static VOID NTAPI ProbeCompletePost(_In_ PFLT_DEFERRED_IO_WORKITEM Item,
                                    _In_ PFLT_CALLBACK_DATA Data, _In_opt_ PVOID Context)
{
    UNREFERENCED_PARAMETER(Context);
    FltFreeDeferredIoWorkItem(Item);
    FltCompletePendedPostOperation(Data);
}

static VOID NTAPI ProbeResumeHeld(VOID)
{
    PFLT_CALLBACK_DATA held = InterlockedExchangePointer((PVOID *)&Probe.Held, NULL);

    if (held != NULL) {
        FltCompletePendedPreOperation(held, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    }
}

static VOID ProbeFill(_Inout_ PROBE_EVENT *Event, _In_ PFLT_CALLBACK_DATA Data)
{
    PFLT_IO_PARAMETER_BLOCK iopb = Data->Iopb;

    Event->Minor = iopb->MinorFunction;
    Event->Flags = Data->Flags;
    Event->IrpFlags = iopb->IrpFlags;
    Event->Status = Data->IoStatus.Status;
    Event->Information = Data->IoStatus.Information;
    if (iopb->MajorFunction == IRP_MJ_READ || iopb->MajorFunction == IRP_MJ_WRITE) {
        Event->Offset = iopb->Parameters.Read.ByteOffset.QuadPart;
        Event->Length = iopb->Parameters.Read.Length;
        Event->Buffer = (UINT64)(ULONG_PTR)iopb->Parameters.Read.ReadBuffer;
    } else if (iopb->MajorFunction == IRP_MJ_SET_INFORMATION ||
               iopb->MajorFunction == IRP_MJ_QUERY_INFORMATION) {
        Event->Offset = iopb->Parameters.QueryFileInformation.FileInformationClass;
        Event->Length = iopb->Parameters.QueryFileInformation.Length;
    } else if (iopb->MajorFunction == IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION) {
        Event->Offset = iopb->Parameters.AcquireForSectionSynchronization.PageProtection;
        Event->Length = iopb->Parameters.AcquireForSectionSynchronization.SyncType;
    }
}

static VOID ProbePutName(_Inout_ PROBE_EVENT *Event, _In_ PCUNICODE_STRING Name)
{
    ULONG bytes = Name->Length < sizeof(Event->Name) - 2 ? Name->Length : sizeof(Event->Name) - 2;

    RtlCopyMemory(Event->Name, Name->Buffer, bytes);
    Event->Name[bytes / sizeof(WCHAR)] = 0;
}

static VOID ProbeTakeName(_Inout_ PROBE_EVENT *Event, NTSTATUS Status,
                          _In_opt_ PFLT_FILE_NAME_INFORMATION Info)
{
    Event->NameStatus = Status;
    if (!NT_SUCCESS(Status)) {
        return;
    }
    ProbePutName(Event, &Info->Name);
    FltParseFileNameInformation(Info);
    if (Info->Volume.Length + Info->ParentDir.Length + Info->FinalComponent.Length +
            Info->Stream.Length !=
        Info->Name.Length) {
        Probe.Shared->Failed++;
    }
    FltReleaseFileNameInformation(Info);
}

static VOID ProbeCheck(BOOLEAN Held)
{
    if (!Held) {
        InterlockedIncrement((LONG *)&Probe.Shared->Failed);
    }
}

static PFLT_CONTEXT ProbeNewContext(FLT_CONTEXT_TYPE Type)
{
    PPROBE_CONTEXT context = NULL;
    NTSTATUS status = FltAllocateContext(Probe.Filter, Type, sizeof(*context), NonPagedPoolNx,
                                         (PFLT_CONTEXT *)&context);

    if (!NT_SUCCESS(status)) {
        return NULL;
    }
    context->Type = Type;
    context->Number = (ULONG)InterlockedIncrement((LONG *)&Probe.Shared->Contexts);
    return context;
}

/* KEEP_IF_EXISTS: the first one stays. */
static VOID ProbeSetContexts(_In_ PCFLT_RELATED_OBJECTS Objects)
{
    static const FLT_CONTEXT_TYPE types[] = {FLT_VOLUME_CONTEXT, FLT_INSTANCE_CONTEXT,
                                             FLT_FILE_CONTEXT, FLT_STREAM_CONTEXT,
                                             FLT_STREAMHANDLE_CONTEXT};
    FLT_RELATED_CONTEXTS contexts;

    for (ULONG i = 0; i < ARRAYSIZE(types); i++) {
        PFLT_CONTEXT fresh = ProbeNewContext(types[i]), old = NULL;
        NTSTATUS status = STATUS_UNSUCCESSFUL;

        if (fresh == NULL) {
            continue;
        }
        switch (types[i]) {
        case FLT_VOLUME_CONTEXT:
            status =
                FltSetVolumeContext(Objects->Volume, FLT_SET_CONTEXT_KEEP_IF_EXISTS, fresh, &old);
            break;
        case FLT_INSTANCE_CONTEXT:
            status = FltSetInstanceContext(Objects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, fresh,
                                           &old);
            break;
        case FLT_FILE_CONTEXT:
            status = FltSetFileContext(Objects->Instance, Objects->FileObject,
                                       FLT_SET_CONTEXT_KEEP_IF_EXISTS, fresh, &old);
            break;
        case FLT_STREAM_CONTEXT:
            status = FltSetStreamContext(Objects->Instance, Objects->FileObject,
                                         FLT_SET_CONTEXT_KEEP_IF_EXISTS, fresh, &old);
            break;
        default:
            status = FltSetStreamHandleContext(Objects->Instance, Objects->FileObject,
                                               FLT_SET_CONTEXT_KEEP_IF_EXISTS, fresh, &old);
        }
        ProbeCheck(status == STATUS_SUCCESS || status == STATUS_INSUFFICIENT_RESOURCES ||
                   (status == STATUS_FLT_CONTEXT_ALREADY_DEFINED && old != NULL));
        if (old != NULL) {
            FltReleaseContext(old);
        }
        FltReleaseContext(fresh);
    }
    FltGetContexts(Objects, FLT_ALL_CONTEXTS, &contexts);
    ProbeCheck(contexts.VolumeContext != NULL && contexts.InstanceContext != NULL &&
               contexts.FileContext != NULL && contexts.StreamContext != NULL &&
               contexts.StreamHandleContext != NULL);
    FltReleaseContexts(&contexts);
}

static VOID ProbeOwnIo(_In_ PCFLT_RELATED_OBJECTS Objects, _Inout_ PROBE_EVENT *Event)
{
    CHAR buffer[16];
    ULONG bytes = 0;
    LARGE_INTEGER start = {.QuadPart = 0};

    Event->NameStatus =
        FltReadFile(Objects->Instance, Objects->FileObject, &start, sizeof(buffer), buffer,
                    FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, &bytes, NULL, NULL);
    Event->Context = bytes;
}

static VOID ProbeDo(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS Objects,
                    _In_ const PROBE_RULE *Rule, ULONG What, _Inout_ PROBE_EVENT *Event)
{
    PFLT_FILE_NAME_INFORMATION name = NULL;
    PFLT_CONTEXT context;

    if (What & PROBE_NAME) {
        NTSTATUS status = FltGetFileNameInformation(Data, Rule->NameOptions, &name);

        ProbeTakeName(Event, status, name);
    }
    if (What & PROBE_DESTINATION) {
        PFILE_RENAME_INFORMATION rename = Data->Iopb->Parameters.SetFileInformation.InfoBuffer;
        NTSTATUS status = FltGetDestinationFileNameInformation(
            Objects->Instance, Objects->FileObject, rename->RootDirectory, rename->FileName,
            rename->FileNameLength, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &name);

        ProbeTakeName(Event, status, name);
    }
    if (What & PROBE_CONTEXTS) {
        ProbeSetContexts(Objects);
    }
    if (What & PROBE_CONTEXT_GET &&
        NT_SUCCESS(FltGetStreamContext(Objects->Instance, Objects->FileObject, &context))) {
        Event->Context = ((PPROBE_CONTEXT)context)->Number;
        FltReleaseContext(context);
    }
    if (What & PROBE_LOCK) {
        PMDL *mdl;

        ProbeCheck(NT_SUCCESS(FltLockUserBuffer(Data)));
        ProbeCheck(NT_SUCCESS(FltDecodeParameters(Data, &mdl, NULL, NULL, NULL)) && *mdl != NULL);
        if (*mdl != NULL) {
            PUCHAR bytes = MmGetSystemAddressForMdlSafe(*mdl, NormalPagePriority);

            Event->Context = bytes != NULL ? bytes[0] : 0xffffffff;
        }
    }
    if (What & PROBE_OWN_IO) {
        ProbeOwnIo(Objects, Event);
    }
    if (What & (PROBE_MOVE | PROBE_FORGET_DIRTY)) {
        Data->Iopb->Parameters.Read.ByteOffset.QuadPart += Rule->Amount;
        if (What & PROBE_MOVE) {
            FltSetCallbackDataDirty(Data);
        }
    }
}

FLT_PREOP_CALLBACK_STATUS NTAPI ProbePreOperation(_Inout_ PFLT_CALLBACK_DATA Data,
                                                  _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                  _Outptr_result_maybenull_ PVOID *Context)
{
    const PROBE_RULE *rule = ProbeRule(Data->Iopb->MajorFunction);
    PROBE_EVENT unlogged, *event = &unlogged;
    PPROBE_PASSAGE passage;
    PFLT_DEFERRED_IO_WORKITEM item;

    *Context = NULL;
    if (rule->Logged) {
        event = ProbeLog(ProbePre, Data->Iopb->MajorFunction);
        ProbeFill(event, Data);
    }
    ProbeDo(Data, FltObjects, rule, rule->Do, event);
    if (rule->Action == ProbePass) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (rule->Action == ProbeReturn) {
        return rule->Then;
    }
    if (rule->Action == ProbeComplete) {
        Data->IoStatus.Status = rule->Status;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    if (rule->Action == ProbeDisallow) {
        return FLT_IS_FASTIO_OPERATION(Data)      ? FLT_PREOP_DISALLOW_FASTIO
               : FLT_IS_FS_FILTER_OPERATION(Data) ? FLT_PREOP_DISALLOW_FSFILTER_IO
                                                  : FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (rule->Action == ProbePendHold) {
        Probe.Shared->Resume = (UINT64)(ULONG_PTR)ProbeResumeHeld;
        Probe.Held = Data;
        Probe.Shared->HeldData = (UINT64)(ULONG_PTR)Data;
        Probe.Shared->Held++;
        return FLT_PREOP_PENDING;
    }
    passage = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*passage), PROBE_TAG);
    if (passage == NULL) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    passage->Major = Data->Iopb->MajorFunction;
    if (rule->Do & PROBE_SWAP) {
        ProbeCheck(NT_SUCCESS(ProbeSwapIn(Data, rule, passage)));
    }
    *Context = passage;
    switch (rule->Action) {
    case ProbeSynchronize:
        return FLT_PREOP_SYNCHRONIZE;
    case ProbePendEarly:
        if (rule->Then != FLT_PREOP_SUCCESS_WITH_CALLBACK) {
            ExFreePoolWithTag(passage, PROBE_TAG);
            passage = NULL;
        }
        FltCompletePendedPreOperation(Data, rule->Then, passage);
        return FLT_PREOP_PENDING;
    case ProbePend:
        item = FltAllocateDeferredIoWorkItem();
        if (item == NULL || !NT_SUCCESS(FltQueueDeferredIoWorkItem(item, Data, ProbeCompletePre,
                                                                   DelayedWorkQueue, passage))) {
            if (item != NULL) {
                FltFreeDeferredIoWorkItem(item);
            }
            return FLT_PREOP_SUCCESS_WITH_CALLBACK;
        }
        return FLT_PREOP_PENDING;
    default:
        return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    }
}

/* Where it is called by FltDoCompletionProcessingWhenSafe. */
static FLT_POSTOP_CALLBACK_STATUS NTAPI ProbeSafePost(_Inout_ PFLT_CALLBACK_DATA Data,
                                                      _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                      _In_opt_ PVOID Context,
                                                      _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    PROBE_EVENT *event = ProbeLog(ProbePost, Data->Iopb->MajorFunction);

    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Context);
    ProbeFill(event, Data);
    event->CallFlags = Flags | 0x80000000;
    return FLT_POSTOP_FINISHED_PROCESSING;
}

FLT_POSTOP_CALLBACK_STATUS NTAPI ProbePostOperation(_Inout_ PFLT_CALLBACK_DATA Data,
                                                    _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                    _In_opt_ PVOID Context,
                                                    _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    PPROBE_PASSAGE passage = Context;
    const PROBE_RULE *rule = ProbeRule(Data->Iopb->MajorFunction);
    PROBE_EVENT unlogged, *event = &unlogged;
    FLT_POSTOP_CALLBACK_STATUS status;
    PFLT_DEFERRED_IO_WORKITEM item;

    if (rule->Logged) {
        event = ProbeLog(ProbePost, Data->Iopb->MajorFunction);
        ProbeFill(event, Data);
        event->CallFlags = Flags;
    }
    if (passage != NULL) {
        ProbeCheck(passage->Major == Data->Iopb->MajorFunction);
        if (passage->Buffer != NULL) {
            ProbeSwapOut(Data, rule, passage);
        }
        ExFreePoolWithTag(passage, PROBE_TAG);
    }
    if (Flags & FLTFL_POST_OPERATION_DRAINING) {
        ProbeCheck(FltIsOperationSynchronous(Data) || !FltIsCallbackDataDirty(Data));
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    ProbeDo(Data, FltObjects, rule, rule->PostDo, event);
    if (rule->PostDo & PROBE_STATUS) {
        Data->IoStatus.Status = rule->Status;
    }
    switch (rule->Post) {
    case ProbePostPendEarly:
        FltCompletePendedPostOperation(Data);
        return FLT_POSTOP_MORE_PROCESSING_REQUIRED;
    case ProbePostPend:
        item = FltAllocateDeferredIoWorkItem();
        if (item == NULL || !NT_SUCCESS(FltQueueDeferredIoWorkItem(item, Data, ProbeCompletePost,
                                                                   DelayedWorkQueue, NULL))) {
            if (item != NULL) {
                FltFreeDeferredIoWorkItem(item);
            }
            return FLT_POSTOP_FINISHED_PROCESSING;
        }
        return FLT_POSTOP_MORE_PROCESSING_REQUIRED;
    case ProbePostSafe:
        if (!FltDoCompletionProcessingWhenSafe(Data, FltObjects, NULL, Flags, ProbeSafePost,
                                               &status)) {
            return FLT_POSTOP_FINISHED_PROCESSING;
        }
        return status;
    default:
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
}
