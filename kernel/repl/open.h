/*
 * REPL's own opens, below itself: no share mode holds them off, and none of them holds off others.
 */
#pragma once

#include "repl.h"

typedef struct RPL_OPENED
{
    HANDLE Handle;
    PFILE_OBJECT FileObject;
} RPL_OPENED;

/* Opens what has the name ("\Device\HarddiskVolume3\shop\a.db"), or the identity, as it is: a
 * reparse point itself. PASSIVE_LEVEL. */
NTSTATUS RplOpenName(_In_ PFLT_INSTANCE Instance, _In_ const UNICODE_STRING *Name,
                     ACCESS_MASK Access, _Out_ RPL_OPENED *Handle);
NTSTATUS RplOpenId(_In_ PFLT_INSTANCE Instance, _In_ const UNICODE_STRING *VolumeRoot,
                   _In_reads_bytes_(IdBytes) const UINT8 *FileId, ULONG IdBytes, ACCESS_MASK Access,
                   _Out_ RPL_OPENED *Handle);
/* "\Device\HarddiskVolume3\" in paged pool, for RplOpenId; RplOpenRootFree. */
NTSTATUS RplOpenRoot(_In_ PFLT_INSTANCE Instance, _Out_ UNICODE_STRING *Root);
VOID RplOpenRootFree(_Inout_ UNICODE_STRING *Root);
VOID RplOpenClose(_Inout_ RPL_OPENED *Handle);
