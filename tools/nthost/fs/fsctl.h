/* Control codes; each with volume->names held. */
#pragma once
#include "fsp.h"

NTSTATUS fsctl_get_reparse(struct open *open, void *buffer, ULONG room, ULONG_PTR *bytes);
NTSTATUS fsctl_set_reparse(struct open *open, const void *input, ULONG bytes);
NTSTATUS fsctl_delete_reparse(struct open *open, const void *input, ULONG bytes);
