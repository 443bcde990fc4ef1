/*
 * The dirty-region log.
 */
#include "regions.h"

_Use_decl_annotations_ NTSTATUS RplRegionsActivate(const UINT8 *FileId, UINT64 Offset,
                                                   UINT64 Length)
{
    UNREFERENCED_PARAMETER(FileId);
    UNREFERENCED_PARAMETER(Offset);
    UNREFERENCED_PARAMETER(Length);
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID RplRegionsStatus(UINT32 *Active, UINT32 *Status)
{
    *Active = 0;
    *Status = 0;
}
