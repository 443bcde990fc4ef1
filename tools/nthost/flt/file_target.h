/*
 * Where a file's operations enter: a file that a filter opened for itself (FltCreateFileEx) is
 * known to the instances below that filter's only, from its IRP_MJ_CREATE to its IRP_MJ_CLOSE.
 *
 * What the filter manager keeps with a file object hangs on its extension and goes with it.
 */
#pragma once
#include "flt.h"
#include "../io/file.h"

struct flt_file {
    struct file_extension extension; /* io/file.h */
    PFLT_INSTANCE target;            /* held; NULL: enters at the top */
    struct flt_stream *stream;       /* of its control block, once it was looked for */
    bool closed;                     /* its control block may be gone */
    LIST_ENTRY contexts;             /* stream handle contexts; the contexts' lock */
    struct flt_name *names[4];       /* cached, by format; names_mutex of name_cache.c */
};

/* NULL: there is none; `make`: no memory. */
struct flt_file *flt_file_of(PFILE_OBJECT file, bool make);

/* The instance below which this request enters, or NULL. */
static inline PFLT_INSTANCE flt_target_of(PIRP irp, const IO_STACK_LOCATION *stack)
{
    UNREFERENCED_PARAMETER(irp);
    if (stack->FileObject == NULL || stack->FileObject->FileObjectExtension == NULL)
        return NULL;
    return flt_file_of(stack->FileObject, false)->target;
}
