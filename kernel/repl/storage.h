/*
 * What a file with a format of its own is read and written by: the journal and the dirty-region
 * log.
 *
 * Offsets and lengths are multiples of RPL_SECTOR, memory is aligned to it, so that non-cached I/O
 * can do it. Each returns when it is done; IRQL is its own.
 */
#pragma once

#include <ntddk.h>

#define RPL_SECTOR 4096

typedef struct RPL_STORAGE
{
    NTSTATUS (*Read)(_In_ PVOID Context, _In_ UINT64 Offset, _Out_ PVOID Data, _In_ ULONG Bytes);
    NTSTATUS (*Write)(_In_ PVOID Context, _In_ UINT64 Offset, _In_ const VOID *Data,
                      _In_ ULONG Bytes);
    NTSTATUS (*Flush)(_In_ PVOID Context); /* all that was written is on disk */
    PVOID Context;
} RPL_STORAGE;
