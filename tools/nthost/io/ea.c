/*
 * Lists of extended attributes.
 *
 * WDK: IoCheckEaBufferValidity, FILE_FULL_EA_INFORMATION.
 */
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <ntifs.h>

NTSTATUS NTAPI IoCheckEaBufferValidity(PFILE_FULL_EA_INFORMATION EaBuffer, ULONG EaLength,
                                       PULONG ErrorOffset)
{
    VF_ENTRY(APC_LEVEL);
    const ULONG head = FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName);
    ULONG at = 0;
    for (;;) {
        const FILE_FULL_EA_INFORMATION *entry = (const void *)((const UCHAR *)EaBuffer + at);
        ULONG rest = EaLength - at,
              needed = rest < head ? head : head + entry->EaNameLength + 1u + entry->EaValueLength;
        *ErrorOffset = at;
        if (rest < needed || entry->EaName[entry->EaNameLength] != 0)
            return STATUS_EA_LIST_INCONSISTENT;
        if (entry->NextEntryOffset == 0)
            return STATUS_SUCCESS;
        if ((entry->NextEntryOffset & 3) != 0 || entry->NextEntryOffset < needed ||
            entry->NextEntryOffset > rest)
            return STATUS_EA_LIST_INCONSISTENT;
        at += entry->NextEntryOffset;
    }
}
NT_EXPORT(NTOSKRNL, IoCheckEaBufferValidity);
