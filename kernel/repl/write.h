/* Writes: cached, non-cached and paging. See write.c. */
#pragma once

#include "operation.h"

RPL_PRE_OPERATION RplPreWrite;
RPL_POST_OPERATION RplPostWrite;

/* PrepareMdlWrite by fast I/O: not on files in a set. */
RPL_PRE_OPERATION RplPrePrepareMdlWrite;

/* Locks what is behind the end of the file, so that its size stays what it is: that. As
 * RplOperationLock. */
UINT64 RplLockEnd(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                  _Inout_ RPL_OPERATION *Operation);

/*
 * Records what the file has in a range now, in records of up to REPL_MAX_DATA inside of a bracket,
 * the caller holding off writers. Flags: REPL_FLAG_SYNC, or 0 for what a program wrote.
 * PASSIVE_LEVEL.
 */
NTSTATUS RplRecordRange(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                        _In_ const RPL_FILE *File, UINT64 Offset, UINT64 Length, UINT16 Flags);

/* The same of what an operation has changed and still holds: Length bytes, or to the end of file.
 * <= DISPATCH_LEVEL; above PASSIVE_LEVEL it only marks them. */
VOID RplRecordAgain(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ RPL_OPERATION *Operation,
                    UINT64 Length);
