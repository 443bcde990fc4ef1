/* What the files of fast I/O share. */
#pragma once
#include "file_target.h"
#include "op.h"

/* What is not among the parameters. */
struct fast_call {
    BOOLEAN wait;
    PVOID extra;
};

PFAST_IO_DISPATCH fast_table_below(PFLT_VOLUME volume, size_t end);
/* The file system's function, or NULL. */
#define FAST_BELOW(volume, member)                                                                 \
    ({                                                                                             \
        PFAST_IO_DISPATCH dispatch_ =                                                              \
            fast_table_below(volume, offsetof(FAST_IO_DISPATCH, member) + sizeof(void *));         \
        dispatch_ ? dispatch_->member : NULL;                                                      \
    })

static inline bool fast_is_handled(PFLT_VOLUME volume, UCHAR major)
{
    return atomic_load_explicit(&volume->handled, memory_order_relaxed) >> flt_kind(major) & 1;
}

/* An operation whose parameters are to be filled in. NULL: no memory; an IRP will do. */
struct flt_op *fast_begin(PFLT_VOLUME volume, PFILE_OBJECT file, UCHAR major, UCHAR minor,
                          struct fast_call *call);
/* Runs it; FALSE: it was disallowed or declined. iosb may be NULL. */
BOOLEAN fast_run(struct flt_op *op, void (*bottom)(struct flt_op *op), PIO_STATUS_BLOCK iosb);
/* What the file system's function said. */
void fast_done(struct flt_op *op, BOOLEAN taken);

void flt_fast_io_locks(PFAST_IO_DISPATCH table); /* fastio_lock.c */
void flt_fast_io_mdls(PFAST_IO_DISPATCH table);  /* fastio_mdl.c */
