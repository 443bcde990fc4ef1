/*
 * The driver's own files, in \SystemRoot\ntswift\repl.
 */
#pragma once

#include "repl.h"

#include "storage.h"

/* Opens the file, made if it is not there, of exactly so many bytes, without buffering. Nobody
 * else may write it. PASSIVE_LEVEL. */
NTSTATUS RplFolderOpen(_In_ PCWSTR Name, _In_ UINT64 Bytes, _Out_ HANDLE *File);

/* The file as journal.c and regionlog.c read and write it. PASSIVE_LEVEL. */
VOID RplFolderStorage(_In_ HANDLE File, _Out_ RPL_STORAGE *Storage);
