/* Names put together; see join.h. */
#include "join.h"

_Use_decl_annotations_ NTSTATUS RplJoin(const UNICODE_STRING *Folder, const UNICODE_STRING *Last,
                                        UNICODE_STRING *Name)
{
    const ULONG bytes = Folder->Length + (ULONG)sizeof(WCHAR) + Last->Length;
    const ULONG chars = Folder->Length / sizeof(WCHAR);

    RtlZeroMemory(Name, sizeof(*Name));
    if (bytes > MAXUSHORT - 1)
    {
        return STATUS_NAME_TOO_LONG;
    }
    Name->Buffer = ExAllocatePool2(POOL_FLAG_PAGED, bytes, RPL_TAG);
    if (Name->Buffer == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Name->MaximumLength = (USHORT)bytes;
    RtlCopyUnicodeString(Name, Folder);
    if (Last->Length != 0)
    {
        if (chars == 0 || Folder->Buffer[chars - 1] != L'\\')
        {
            (VOID) RtlAppendUnicodeToString(Name, L"\\"); /* there is room */
        }
        (VOID) RtlAppendUnicodeStringToString(Name, Last);
    }
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID RplJoinFree(UNICODE_STRING *Name)
{
    if (Name->Buffer != NULL)
    {
        ExFreePoolWithTag(Name->Buffer, RPL_TAG);
    }
    RtlZeroMemory(Name, sizeof(*Name));
}
