/* A filter device above the volume that sees what passes; for tests. */
#pragma once
#include "fixture.h"

struct spied {
    LONGLONG offset;
    ULONG bytes, flags; /* of the IRP */
    bool after_cleanup;
    PFILE_OBJECT file;
};
struct spy {
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT device, below;
    struct spied paging[4096];
    unsigned paging_count, cleanups, closes, acquires_flush, acquires_mod, acquires_section;
    ULONG section_protection;
    UCHAR *image; /* what paging writes brought, by offset */
    size_t image_bytes;
    NTSTATUS fail; /* paging writes fail with this, if it is not success */
    bool fast;     /* lets fast I/O pass */
    ULONG creator; /* process ID of the last create */
};
bool spy_attach(struct spy *spy, struct fixture *f);
void spy_detach(struct spy *spy);
