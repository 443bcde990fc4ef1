/*
 * The drain: memory, journal and thread, made, changed and ended. See drain.c.
 */
#include "drainstate.h"

#include "lost.h"
#include "ring.h"

_Use_decl_annotations_ NTSTATUS RplDrainResize(ULONG StagingBytes, UINT64 JournalBytes,
                                               REPL_REFUSAL_REASON *Reason)
{
    UCHAR *staging = NULL, *old = NULL;
    RPL_SPOOL spool = {0}, oldSpool = {0};
    NTSTATUS status = STATUS_SUCCESS;
    BOOLEAN resize = StagingBytes != Stream.Staging.Bytes;
    KIRQL irql;

    if (resize && StagingBytes != 0)
    {
        staging = ExAllocatePool2(POOL_FLAG_NON_PAGED, StagingBytes, RPL_TAG);
        if (staging == NULL)
        {
            *Reason = ReplRefusalStaging;
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    (VOID) KeWaitForSingleObject(&Drain.Lock, Executive, KernelMode, FALSE, NULL);
    if (JournalBytes != Drain.Spool.Bytes)
    {
        *Reason = ReplRefusalJournal;
        if (!RplSpoolIsEmpty(&Drain.Spool))
        {
            status = STATUS_DEVICE_BUSY;
        }
        else
        {
            /* The same file: the old one has to be closed before. */
            oldSpool = Drain.Spool;
            RplSpoolDestroy(&Drain.Spool);
            status = JournalBytes == 0 ? STATUS_SUCCESS : RplSpoolCreate(&spool, JournalBytes);
            if (!NT_SUCCESS(status) && oldSpool.Bytes != 0 &&
                !NT_SUCCESS(RplSpoolCreate(&spool, oldSpool.Bytes)))
            {
                RtlZeroMemory(&spool, sizeof(spool)); /* none, until it can be made again */
            }
            Drain.Spool = spool;
        }
    }
    if (NT_SUCCESS(status) && resize)
    {
        KeAcquireSpinLock(&Stream.Lock, &irql);
        if (Stream.Staging.Tail != Stream.Staging.End)
        {
            *Reason = ReplRefusalStaging;
            status = STATUS_DEVICE_BUSY;
        }
        else
        {
            old = Stream.Staging.Data;
            RtlZeroMemory(&Stream.Staging, sizeof(Stream.Staging));
            Stream.Staging.Data = staging;
            Stream.Staging.Bytes = StagingBytes;
            Stream.StagingOld = 0;
            Drain.Cursor = 0;
            Drain.CursorAfter = 0;
        }
        KeReleaseSpinLock(&Stream.Lock, irql);
    }
    if (NT_SUCCESS(status))
    {
        Drain.Wanted = JournalBytes;
    }
    /* One that goes on as it was does not fail because its size was refused. */
    RplDrainTell(Drain.Spool.Bytes == 0 ? status : STATUS_SUCCESS);
    if (spool.Bytes != 0)
    {
        RplDrainWorks();
    }
    (VOID) KeReleaseMutex(&Drain.Lock, FALSE);
    RplWake(Drain.Spool.Bytes == 0 ? RPL_WAKE_DRAIN : 0);
    if (!NT_SUCCESS(status))
    {
        old = staging;
    }
    if (old != NULL)
    {
        ExFreePoolWithTag(old, RPL_TAG);
    }
    return status;
}

_Use_decl_annotations_ VOID RplDrainWant(UINT64 JournalBytes)
{
    (VOID) KeWaitForSingleObject(&Drain.Lock, Executive, KernelMode, FALSE, NULL);
    Drain.Wanted = JournalBytes;
    (VOID) KeReleaseMutex(&Drain.Lock, FALSE);
    RplWake(RPL_WAKE_DRAIN);
}

BOOLEAN RplDrainIsQuiet(VOID)
{
    BOOLEAN quiet;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    quiet = IsListEmpty(&Stream.InFlight) && Stream.Ring.Irp == NULL;
    KeReleaseSpinLock(&Stream.Lock, irql);
    return quiet;
}

VOID RplDrainReset(VOID)
{
    NTSTATUS status;
    KIRQL irql;

    (VOID) KeWaitForSingleObject(&Drain.Lock, Executive, KernelMode, FALSE, NULL);
    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.Staging.Tail = Stream.Staging.End;
    Stream.Staging.Head = Stream.Staging.End;
    Stream.StagingLast = 0;
    Stream.Last = 0;
    Stream.Completed = 0;
    Stream.Acknowledged = 0;
    Stream.Discarded = 0;
    Stream.BracketCount = 0;
    Stream.Lost = FALSE;
    Stream.UncleanStart = FALSE;
    RtlZeroMemory(&Stream.Lag, sizeof(Stream.Lag));
    RplLostForgetAll();
    Drain.Cursor = 0;
    Drain.CursorAfter = 0;
    KeReleaseSpinLock(&Stream.Lock, irql);
    status = RplSpoolReset(&Drain.Spool);
    if (!NT_SUCCESS(status))
    {
        /* What is in it is of another stream: rather none, until it can be made again. */
        RplSpoolDestroy(&Drain.Spool);
    }
    RplDrainTell(status);
    (VOID) KeReleaseMutex(&Drain.Lock, FALSE);
}

NTSTATUS RplDrainCreate(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    NTSTATUS status;
    HANDLE handle;

    RtlZeroMemory(&Drain, sizeof(Drain));
    KeInitializeMutex(&Drain.Lock, 0);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL,
                                  RplDrainThread, NULL);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                       (PVOID *)&Drain.Thread, NULL);
    NT_ASSERT(NT_SUCCESS(status)); /* a handle of our own, of the right type */
    (VOID) ZwClose(handle);
    return status;
}

VOID RplDrainDestroy(VOID)
{
    if (Drain.Thread == NULL)
    {
        return;
    }
    NT_ASSERT(Stream.Ring.Irp == NULL);
    Drain.Stop = TRUE;
    RplWake(RPL_WAKE_DRAIN);
    (VOID) KeWaitForSingleObject(Drain.Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Drain.Thread);
    Drain.Thread = NULL;
    RplSpoolDestroy(&Drain.Spool);
}
