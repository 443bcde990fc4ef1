/*
 * What a file is, but its data: times, attributes, sizes, security, extended attributes, reparse
 * point. REPL_METADATA in pool.
 */
#pragma once

#include "file.h"

typedef struct RPL_METADATA_BUFFER
{
    REPL_METADATA *Metadata; /* and what follows it; paged pool */
    ULONG Bytes;
} RPL_METADATA_BUFFER;

/* Of an open file (any access). What the file system does not have is left out; a failure: no
 * memory, or the file is gone. PASSIVE_LEVEL. */
NTSTATUS RplMetadataGet(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                        _Out_ RPL_METADATA_BUFFER *Buffer);
VOID RplMetadataFree(_Inout_ RPL_METADATA_BUFFER *Buffer);
