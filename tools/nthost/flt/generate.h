/*
 * Operations of the filters' own, and of the filter manager's: they enter below the instance that
 * makes them, or straight at the file system.
 */
#pragma once
#include "op.h"
#include "../io/file.h"

/* An operation with callback data to be filled in; the caller has a hold. NULL: no memory.
 * `initiator`: it goes to the instances below this one; NULL: to the top. */
struct flt_op *flt_generate(PFLT_VOLUME volume, PFLT_INSTANCE initiator, PFILE_OBJECT file);
/* Runs it to its end. bottom: past all filters. IoStatus is in the data. PASSIVE_LEVEL or
 * APC_LEVEL. */
NTSTATUS flt_generate_wait(struct flt_op *op, bool bottom);

/* QUERY_INFORMATION of the file system itself. */
NTSTATUS flt_bottom_query(PFLT_VOLUME volume, PFILE_OBJECT file, FILE_INFORMATION_CLASS what,
                          void *data, ULONG bytes, ULONG *returned);
/* Opens; known only to the instances below `instance` (NULL: to all). */
NTSTATUS flt_open(PFLT_INSTANCE instance, struct file_open *open);
/* What flt_open opened: IRP_MJ_CLEANUP, and the reference goes. */
void flt_close_file(struct file_open *open);
