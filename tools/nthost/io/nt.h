/* What nthost/nt.h's files share. */
#pragma once
#include "irp.h"
#include <stddef.h>

/* The dispatch table of a device's driver, if it reaches to `end`. */
PFAST_IO_DISPATCH nt_fast_io(PDEVICE_OBJECT device, size_t end);
/* A paging request from the top of the file's stack; `owner` goes into AuxiliaryBuffer, by which
 * the file system knows whose it is. */
NTSTATUS nt_paging(PFILE_OBJECT file, UCHAR major, void *data, ULONG bytes, LONGLONG offset,
                   ULONG flags, void *owner, ULONG_PTR *information);
