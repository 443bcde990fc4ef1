/* Reads and writes through a buffer of the filter's own; what is in it is ^ Key. */
#include "probe.h"

static VOID ProbeMix(_Out_writes_bytes_(Bytes) PUCHAR To, _In_reads_bytes_(Bytes) const UCHAR *From,
                     ULONG_PTR Bytes, UCHAR Key)
{
    for (ULONG_PTR i = 0; i < Bytes; i++) {
        To[i] = From[i] ^ Key;
    }
}

NTSTATUS ProbeSwapIn(_Inout_ PFLT_CALLBACK_DATA Data, _In_ const PROBE_RULE *Rule,
                     _Inout_ PPROBE_PASSAGE Passage)
{
    PFLT_IO_PARAMETER_BLOCK iopb = Data->Iopb;
    ULONG length = iopb->Parameters.Read.Length;
    PVOID buffer;
    PMDL mdl;

    if (length == 0) {
        return STATUS_SUCCESS;
    }
    buffer = ExAllocatePool2(POOL_FLAG_NON_PAGED, length, PROBE_TAG);
    if (buffer == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    mdl = IoAllocateMdl(buffer, length, FALSE, FALSE, NULL);
    if (mdl == NULL) {
        ExFreePoolWithTag(buffer, PROBE_TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmBuildMdlForNonPagedPool(mdl);
    if (iopb->MajorFunction == IRP_MJ_WRITE) {
        ProbeMix(buffer, iopb->Parameters.Write.WriteBuffer, length, Rule->Key);
    }
    iopb->Parameters.Read.ReadBuffer = buffer;
    iopb->Parameters.Read.MdlAddress = mdl;
    FltSetCallbackDataDirty(Data);
    Passage->Buffer = buffer;
    Passage->Mdl = mdl;
    return STATUS_SUCCESS;
}

/* The data has the buffer of above again. */
VOID ProbeSwapOut(_Inout_ PFLT_CALLBACK_DATA Data, _In_ const PROBE_RULE *Rule,
                  _Inout_ PPROBE_PASSAGE Passage)
{
    PFLT_IO_PARAMETER_BLOCK iopb = Data->Iopb;

    if (iopb->Parameters.Read.ReadBuffer == Passage->Buffer ||
        FltGetSwappedBufferMdlAddress(Data) != Passage->Mdl) {
        Probe.Shared->Failed++;
    }
    if (iopb->MajorFunction == IRP_MJ_READ && NT_SUCCESS(Data->IoStatus.Status)) {
        ProbeMix(iopb->Parameters.Read.ReadBuffer, Passage->Buffer, Data->IoStatus.Information,
                 Rule->Key);
    }
    if (Rule->Do & PROBE_RETAIN) {
        FltRetainSwappedBufferMdlAddress(Data);
        IoFreeMdl(Passage->Mdl);
    }
    ExFreePoolWithTag(Passage->Buffer, PROBE_TAG);
}
