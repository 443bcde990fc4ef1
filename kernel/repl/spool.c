/*
 * The journal in its file. See spool.h.
 */
#include "spool.h"

#include "folder.h"
#include "walk.h"

_Use_decl_annotations_ VOID RplSpoolDestroy(RPL_SPOOL *Spool)
{
    UCHAR *memory[] = {Spool->Batch, Spool->Scratch, Spool->Read};

    if (Spool->File != NULL)
    {
        (VOID) ZwClose(Spool->File);
    }
    for (ULONG i = 0; i < RTL_NUMBER_OF(memory); i++)
    {
        if (memory[i] != NULL)
        {
            ExFreePoolWithTag(memory[i], RPL_TAG);
        }
    }
    RtlZeroMemory(Spool, sizeof(*Spool));
}

_Use_decl_annotations_ NTSTATUS RplSpoolReset(RPL_SPOOL *Spool)
{
    static const UINT8 noStream[16];
    RPL_STORAGE storage;
    GUID id;
    NTSTATUS status;

    if (Spool->Bytes == 0)
    {
        return STATUS_SUCCESS;
    }
    Spool->Records = NULL;
    status = ExUuidCreate(&id);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    RplFolderStorage(Spool->File, &storage);
    return RplJournalFormat(&Spool->Journal, &storage, Spool->Bytes, (const UINT8 *)&id, noStream,
                            Spool->Scratch);
}

_Use_decl_annotations_ NTSTATUS RplSpoolCreate(RPL_SPOOL *Spool, UINT64 Bytes)
{
    NTSTATUS status;

    RtlZeroMemory(Spool, sizeof(*Spool));
    Spool->Bytes = Bytes;
    /* More than a page each: pool memory of this size begins on one. */
    Spool->Batch =
        ExAllocatePool2(POOL_FLAG_NON_PAGED, RplJournalBatchBytes(RPL_SPOOL_ROOM), RPL_TAG);
    Spool->Scratch = ExAllocatePool2(POOL_FLAG_NON_PAGED, RPL_JOURNAL_MAX_BATCH, RPL_TAG);
    Spool->Read = ExAllocatePool2(POOL_FLAG_NON_PAGED, RPL_JOURNAL_MAX_BATCH, RPL_TAG);
    status = Spool->Batch == NULL || Spool->Scratch == NULL || Spool->Read == NULL
                 ? STATUS_INSUFFICIENT_RESOURCES
                 : RplFolderOpen(L"journal", Bytes, &Spool->File);
    if (NT_SUCCESS(status))
    {
        status = RplSpoolReset(Spool);
    }
    if (!NT_SUCCESS(status))
    {
        RplSpoolDestroy(Spool);
    }
    return status;
}

_Use_decl_annotations_ NTSTATUS RplSpoolWrite(RPL_SPOOL *Spool, ULONG Bytes, UINT64 First,
                                              UINT64 Last)
{
    NT_ASSERT(Bytes <= RPL_SPOOL_ROOM);
    /* Not flushed: it is for memory that is short, not for a crash. */
    return RplJournalAppend(&Spool->Journal, Spool->Batch, Bytes, First, Last);
}

_Use_decl_annotations_ NTSTATUS RplSpoolRead(RPL_SPOOL *Spool, UINT64 After, UINT64 Last,
                                             UCHAR *Output, ULONG Room, ULONG *Bytes)
{
    NTSTATUS status = STATUS_SUCCESS;

    *Bytes = 0;
    if (RplSpoolIsEmpty(Spool) || After >= Spool->Journal.Last)
    {
        return STATUS_SUCCESS;
    }
    if (Spool->Records == NULL || After < Spool->ReadAfter)
    {
        Spool->Records = NULL;
        status = RplJournalSeek(&Spool->Journal, After, &Spool->Cursor);
    }
    while (NT_SUCCESS(status))
    {
        RPL_WALK walk;

        if (Spool->Records != NULL)
        {
            RplWalkBegin(&walk, Spool->Records, Spool->RecordBytes);
            status = RplWalkCopy(&walk, After, Last, Output, Room, Bytes);
            if (!NT_SUCCESS(status) || *Bytes != 0)
            {
                break;
            }
        }
        Spool->Records = NULL;
        status = RplJournalRead(&Spool->Journal, &Spool->Cursor, Spool->Read, RPL_JOURNAL_MAX_BATCH,
                                &Spool->Records, &Spool->RecordBytes);
        Spool->ReadAfter = After;
        if (status == STATUS_NOT_FOUND)
        {
            /* Acknowledged and forgotten meanwhile. */
            status = RplJournalSeek(&Spool->Journal, After, &Spool->Cursor);
        }
    }
    if (!NT_SUCCESS(status) && status != STATUS_BUFFER_TOO_SMALL)
    {
        Spool->Records = NULL;
    }
    return status == STATUS_END_OF_FILE ? STATUS_SUCCESS : status;
}

_Use_decl_annotations_ NTSTATUS RplSpoolFree(RPL_SPOOL *Spool, UINT64 Sequence)
{
    return RplSpoolIsEmpty(Spool) || Sequence < Spool->Journal.First
               ? STATUS_SUCCESS
               : RplJournalTrim(&Spool->Journal, Sequence);
}
