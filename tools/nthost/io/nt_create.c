/*
 * Opening and closing files without handles; nthost/nt.h. The count of handles is the object's own:
 * nt_create and nt_duplicate add to it as if they had made one.
 */
#include "file.h"
#include "ob.h"
#include <nthost/nt.h>

NTSTATUS nt_create(struct nt_create *create)
{
    struct file_open open = {.root = create->root,
                             .mode = create->mode,
                             .access = create->access | FILE_READ_ATTRIBUTES | SYNCHRONIZE,
                             .attributes = create->attributes,
                             .share = create->share,
                             .disposition = create->disposition,
                             .options = create->options,
                             .ea = create->ea,
                             .ea_bytes = create->ea_bytes,
                             .allocation = create->allocation,
                             .descriptor = create->security};
    create->file = NULL;
    create->information = 0;
    create->granted = 0;
    if (create->case_sensitive)
        open.stack_flags |= SL_CASE_SENSITIVE;
    if (create->target_directory)
        open.stack_flags |= SL_OPEN_TARGET_DIRECTORY;
    if (create->id != NULL) {
        if (create->root == NULL)
            return STATUS_INVALID_PARAMETER;
        open.options |= FILE_OPEN_BY_FILE_ID;
        open.path = (UNICODE_STRING){(USHORT)create->id_bytes, (USHORT)create->id_bytes,
                                     (PWCH)(ULONG_PTR)create->id};
    } else if (create->name != NULL) {
        open.path = *create->name;
    }
    if (create->disposition > FILE_MAXIMUM_DISPOSITION ||
        (create->root != NULL && create->id == NULL && open.path.Length != 0 &&
         open.path.Buffer[0] == '\\'))
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = file_open_wait(&open);
    create->information = open.information;
    if (!NT_SUCCESS(status))
        return status;
    atomic_fetch_add(&ob_header_of(open.file)->handles, 1);
    open.file->Flags |= FO_HANDLE_CREATED;
    create->file = open.file;
    create->granted = open.granted;
    return status;
}

void nt_duplicate(PFILE_OBJECT file)
{
    atomic_fetch_add(&ob_header_of(file)->handles, 1);
    ob_reference(file);
}

void nt_close(PFILE_OBJECT file)
{
    ULONG left = (ULONG)atomic_fetch_sub(&ob_header_of(file)->handles, 1) - 1;
    ob_file_type.close(file, left, left);
    ob_dereference(file);
}
