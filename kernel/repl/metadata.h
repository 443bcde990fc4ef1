/*
 * What a file is, but its data: times, attributes, sizes, security, extended attributes, reparse
 * point. REPL_METADATA in pool.
 */
#pragma once

#include "operation.h"

/* What an open of REPL's own needs. */
#define RPL_METADATA_ACCESS                                                                        \
    (FILE_READ_ATTRIBUTES | FILE_READ_EA | READ_CONTROL | ACCESS_SYSTEM_SECURITY)

/*
 * Records it, of an open file (any access), as the data of what Intent says. What the file system
 * does not have is left out; a failure: it could not be found out. *Sequence: 0 if it could not be
 * recorded. The caller holds off what changes it. PASSIVE_LEVEL.
 */
NTSTATUS RplMetadataRecord(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                           _Inout_ RPL_INTENT *Intent, _Out_opt_ UINT64 *Sequence);

/* A ReplRecordFile, with the file held: its size and the rest are those at the record's number.
 * FileObject: of its unnamed stream, whose context File is. PASSIVE_LEVEL. */
NTSTATUS RplMetadataRecordFile(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                               _In_ RPL_FILE *File, _Inout_ RPL_INTENT *Intent,
                               _Out_opt_ UINT64 *Sequence);
