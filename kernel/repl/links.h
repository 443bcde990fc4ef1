/* The other names of a file. See links.c. */
#pragma once

#include "file.h"

/* A name of the file that is in a set, and which; SetId 0: none is. PASSIVE_LEVEL. */
NTSTATUS RplLinksFind(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject, UINT64 Size,
                      _Out_ RPL_PATH *Path);
