/*
 * Operations that change names: a rename ends the generation of the names that it may concern,
 * before it goes to the file system and again when it has been done; see names.h.
 */
#include "names.h"
#include "generate.h"

bool flt_is_rename(FILE_INFORMATION_CLASS what)
{
    switch ((ULONG)what) {
    case FileRenameInformation:
    case FileRenameInformationEx:
    case FileRenameInformationBypassAccessCheck:
    case FileRenameInformationExBypassAccessCheck:
    case FileShortNameInformation:
        return true;
    default:
        return false;
    }
}

static void next_generation(struct flt_op *op)
{
    atomic_fetch_add(&op->volume->all_renames, 1);
    if (op->renamed != NULL)
        atomic_fetch_add(&op->renamed->renames, 1);
    else
        atomic_fetch_add(&op->volume->renames, 1);
}

void flt_names_before(struct flt_op *op)
{
    FILE_STANDARD_INFORMATION standard = {.Directory = TRUE};
    if (flt_iopb(op)->TargetFileObject == NULL)
        return;
    NTSTATUS status = flt_bottom_query(op->volume, flt_iopb(op)->TargetFileObject,
                                       FileStandardInformation, &standard, sizeof(standard), NULL);
    op->rename = NT_SUCCESS(status) && !standard.Directory ? FltRenameFile : FltRenameFolder;
    if (op->rename == FltRenameFile)
        op->renamed = flt_stream_of(op->volume, flt_iopb(op)->TargetFileObject, true);
    next_generation(op);
}

/* The file system has done it: post-operations ask for new names, and let others go on who do. */
void flt_names_changed(struct flt_op *op)
{
    next_generation(op);
}

void flt_names_after(struct flt_op *op)
{
    next_generation(op);
    op->rename = FltRenameNone;
}
