/*
 * From record to record. See walk.h.
 */
#include "walk.h"

_Use_decl_annotations_ const REPL_RECORD *RplWalkNext(RPL_WALK *Walk)
{
    while (Walk->Left >= RPL_RECORD_UNIT)
    {
        const REPL_RECORD *record = (const REPL_RECORD *)Walk->At;

        if (record->Magic != REPL_RECORD_MAGIC || record->Length < RPL_RECORD_UNIT ||
            record->Length > Walk->Left || record->Length % RPL_RECORD_UNIT != 0)
        {
            break;
        }
        Walk->At += record->Length;
        Walk->Left -= record->Length;
        if (!RplRecordIsPad(record))
        {
            return record;
        }
    }
    return NULL;
}

_Use_decl_annotations_ NTSTATUS RplWalkCopy(RPL_WALK *Walk, UINT64 After, UINT64 Last,
                                            UCHAR *Output, ULONG Room, ULONG *Bytes)
{
    const REPL_RECORD *record;

    *Bytes = 0;
    while ((record = RplWalkNext(Walk)) != NULL)
    {
        if (record->Sequence <= After)
        {
            continue;
        }
        if (record->Sequence > Last)
        {
            return *Bytes == 0 ? STATUS_END_OF_FILE : STATUS_SUCCESS;
        }
        if (record->Length > Room - *Bytes)
        {
            return *Bytes == 0 ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS;
        }
        RtlCopyMemory(Output + *Bytes, record, record->Length);
        *Bytes += record->Length;
    }
    return STATUS_SUCCESS;
}
