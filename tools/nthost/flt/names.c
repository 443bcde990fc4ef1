/*
 * FltGetFileNameInformation and what goes with it; see names.h.
 *
 * WDK: FltGetFileNameInformation, FltGetFileNameInformationUnsafe, FltGetTunneledName,
 * FltReleaseFileNameInformation.
 */
#include "names.h"
#include "generate.h"
#include "../io/file.h"
#include <nthost/object.h>
#include <stdlib.h>
#include <string.h>

#define METHOD_OF(options) ((options) & FLT_VALID_FILE_NAME_QUERY_METHODS)

static struct flt_name *name_of(PFLT_FILE_NAME_INFORMATION info)
{
    return CONTAINING_RECORD(info, struct flt_name, info);
}

NTSTATUS flt_name_hand_out(struct flt_name *name, PFLT_INSTANCE instance,
                           PFLT_FILE_NAME_INFORMATION *out)
{
    if (vf_enabled && instance != NULL) {
        unsigned head = instance->volume->name.Length / sizeof(WCHAR);
        unsigned chars = name->info.Name.Length / sizeof(WCHAR);
        struct flt_name *copy = flt_name_create(instance->volume, chars > head ? chars : head);
        if (copy != NULL) {
            copy->info.Name.Length = 0;
            flt_name_append(copy, name->text, chars);
            copy->info.Volume.Length = name->info.Volume.Length;
            copy->info.Format = name->info.Format;
            copy->holder = instance->filter;
            flt_hold(copy->holder);
            atomic_fetch_add(&copy->holder->names, 1);
        }
        flt_name_release(name);
        name = copy;
    }
    *out = name ? &name->info : NULL;
    return name ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

/* Of an open file: the cache, and the file system where it may be asked now. */
static NTSTATUS name_of_open(PFLT_VOLUME volume, PFILE_OBJECT file, FLT_FILE_NAME_OPTIONS options,
                             bool safe, struct flt_name **out)
{
    unsigned format = FltGetFileNameFormat(options), method = METHOD_OF(options);
    bool may_look = method != FLT_FILE_NAME_QUERY_FILESYSTEM_ONLY &&
                    (safe || method != FLT_FILE_NAME_QUERY_DEFAULT);
    *out = may_look ? flt_names_find(volume, file, format) : NULL;
    if (*out != NULL)
        return STATUS_SUCCESS;
    if (method == FLT_FILE_NAME_QUERY_CACHE_ONLY)
        return STATUS_FLT_NAME_CACHE_MISS;
    if (!safe)
        return STATUS_FLT_INVALID_NAME_REQUEST;
    struct flt_generation generation = flt_names_generation(volume, file);
    NTSTATUS status = flt_name_query(volume, file, format, out);
    if (NT_SUCCESS(status) && !(options & FLT_FILE_NAME_DO_NOT_CACHE))
        flt_names_keep(volume, file, format, *out, generation);
    return status;
}

/* The path behind the volume that a file object is to be opened by; RtlFreeUnicodeString-like: free
 * its Buffer. */
static NTSTATUS opened_path(PFLT_VOLUME volume, PFILE_OBJECT file, bool parent, UNICODE_STRING *out)
{
    struct flt_name *base = NULL;
    NTSTATUS status = STATUS_SUCCESS;
    if (file->RelatedFileObject != NULL)
        status = name_of_open(volume, file->RelatedFileObject,
                              FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, true, &base);
    if (!NT_SUCCESS(status))
        return status;
    const UNICODE_STRING *tail = &file->FileName;
    unsigned head = base ? base->info.Name.Length - base->info.Volume.Length : 0;
    *out = (UNICODE_STRING){0, (USHORT)(head + tail->Length + sizeof(WCHAR)), NULL};
    out->Buffer = malloc(out->MaximumLength);
    if (out->Buffer != NULL) {
        if (base != NULL)
            memcpy(out->Buffer, (UCHAR *)base->text + base->info.Volume.Length, head);
        out->Length = (USHORT)head;
        bool joins = tail->Length != 0 && tail->Buffer[0] == ':'; /* a stream of the base */
        bool slash = head != 0 && out->Buffer[head / sizeof(WCHAR) - 1] == '\\';
        if (base != NULL && tail->Length != 0 && !joins && !slash) {
            out->Buffer[out->Length / sizeof(WCHAR)] = '\\';
            out->Length += sizeof(WCHAR);
        }
        memcpy((UCHAR *)out->Buffer + out->Length, tail->Buffer, tail->Length);
        out->Length = (USHORT)(out->Length + tail->Length);
    }
    if (base != NULL)
        flt_name_release(base);
    if (out->Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    while (parent && out->Length > sizeof(WCHAR)) { /* SL_OPEN_TARGET_DIRECTORY */
        out->Length -= sizeof(WCHAR);
        if (out->Buffer[out->Length / sizeof(WCHAR)] == '\\')
            break;
    }
    return STATUS_SUCCESS;
}

/* A component in a folder that is open: that one's name is known. */
static NTSTATUS name_in_folder(struct flt_op *op, struct flt_name **out)
{
    PFILE_OBJECT file = flt_iopb(op)->TargetFileObject;
    struct flt_name *folder;
    NTSTATUS status =
        name_of_open(op->volume, file->RelatedFileObject,
                     FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, true, &folder);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING path = folder->info.Name;
    path.Buffer += folder->info.Volume.Length / sizeof(WCHAR);
    path.Length = (USHORT)(path.Length - folder->info.Volume.Length);
    *out = flt_name_join(op->volume, &path, &file->FileName);
    flt_name_release(folder);
    return *out ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static bool is_component(PCUNICODE_STRING text)
{
    for (unsigned i = 0; i < text->Length / sizeof(WCHAR); i++)
        if (text->Buffer[i] == '\\')
            return false;
    return text->Length != 0 && text->Buffer[0] != ':';
}

static NTSTATUS name_before_create(struct flt_op *op, PFLT_INSTANCE instance, unsigned format,
                                   struct flt_name **out)
{
    const FLT_IO_PARAMETER_BLOCK *iopb = flt_iopb(op);
    UNICODE_STRING path;
    *out = NULL;
    if (format == FLT_FILE_NAME_SHORT || iopb->Parameters.Create.Options & FILE_OPEN_BY_FILE_ID)
        return STATUS_FLT_INVALID_NAME_REQUEST;
    if (format == FLT_FILE_NAME_NORMALIZED && iopb->TargetFileObject->RelatedFileObject != NULL &&
        !(iopb->OperationFlags & SL_OPEN_TARGET_DIRECTORY) &&
        is_component(&iopb->TargetFileObject->FileName))
        return name_in_folder(op, out);
    NTSTATUS status = opened_path(op->volume, iopb->TargetFileObject,
                                  iopb->OperationFlags & SL_OPEN_TARGET_DIRECTORY, &path);
    if (!NT_SUCCESS(status))
        return status;
    if (format == FLT_FILE_NAME_NORMALIZED) {
        status = flt_name_normalize(op->volume, instance, &path, out);
    } else {
        *out = flt_name_create(op->volume, path.Length / sizeof(WCHAR));
        status = *out ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
        if (*out != NULL) {
            flt_name_append(*out, path.Buffer, path.Length / sizeof(WCHAR));
            (*out)->info.Format = format;
        }
    }
    free(path.Buffer);
    return status;
}

bool flt_name_options_valid(FLT_FILE_NAME_OPTIONS options)
{
    unsigned format = FltGetFileNameFormat(options), method = METHOD_OF(options);
    return format >= FLT_FILE_NAME_NORMALIZED && format <= FLT_FILE_NAME_SHORT &&
           method >= FLT_FILE_NAME_QUERY_DEFAULT &&
           method <= FLT_FILE_NAME_QUERY_ALWAYS_ALLOW_CACHE_LOOKUP;
}

/*
 * A create that compares case has, once it succeeded, the name that it asked for: no need to ask
 * the file system, if nothing was renamed since.
 */
static void keep_created(struct flt_op *op, struct flt_name *name, long renames)
{
    if (op->created == NULL && flt_iopb(op)->OperationFlags & SL_CASE_SENSITIVE) {
        atomic_fetch_add(&name->references, 1);
        op->created_renames = renames;
        op->created = name;
    }
}

static void use_created(struct flt_op *op)
{
    struct flt_name *name = op->created;
    PFILE_OBJECT file = flt_iopb(op)->TargetFileObject;
    op->created = NULL;
    struct flt_generation generation = flt_names_generation(op->volume, file);
    if (atomic_load(&op->volume->all_renames) == op->created_renames)
        flt_names_keep(op->volume, file, FLT_FILE_NAME_NORMALIZED, name, generation);
    flt_name_release(name);
}

/* Why the file system cannot be asked for a name in this operation; NULL: it can. */
static const char *why_unsafe(const struct flt_op *op)
{
    const FLT_IO_PARAMETER_BLOCK *iopb = &op->memory->iopb;
    NTSTATUS status = op->memory->data.IoStatus.Status;
    if (IoGetTopLevelIrp() != NULL)
        return "the thread's top-level IRP is not NULL";
    if (iopb->IrpFlags & IRP_PAGING_IO &&
        (iopb->MajorFunction == IRP_MJ_READ || iopb->MajorFunction == IRP_MJ_WRITE))
        return "it is paging I/O";
    if (op->kind == FltOpFsFilter)
        return "the memory or the cache manager holds the file's locks";
    if (op->in_post && iopb->MajorFunction == IRP_MJ_CREATE &&
        (!NT_SUCCESS(status) || status == STATUS_REPARSE))
        return "the create has failed, no file is open";
    if (iopb->MajorFunction == IRP_MJ_CLOSE)
        return "the file is being closed";
    return NULL;
}

static NTSTATUS get_name(PFLT_CALLBACK_DATA data, FLT_FILE_NAME_OPTIONS options,
                         PFLT_FILE_NAME_INFORMATION *out)
{
    struct flt_op *op = flt_op_of(data, "FltGetFileNameInformation");
    PFLT_INSTANCE instance = data->Iopb->TargetInstance;
    PFILE_OBJECT file = data->Iopb->TargetFileObject;
    unsigned format = FltGetFileNameFormat(options);
    const char *unsafe = why_unsafe(op);
    struct flt_name *name = NULL;
    NTSTATUS status;
    if (vf_enabled && unsafe != NULL && METHOD_OF(options) != FLT_FILE_NAME_QUERY_CACHE_ONLY &&
        METHOD_OF(options) != FLT_FILE_NAME_QUERY_ALWAYS_ALLOW_CACHE_LOOKUP)
        vf_violation(VfFltName, "FltGetFileNameInformation by %s, major function 0x%02x: %s",
                     instance ? instance->filter->image : "a filter", data->Iopb->MajorFunction,
                     unsafe);
    if (file == NULL)
        return STATUS_INVALID_PARAMETER;
    bool creating = data->Iopb->MajorFunction == IRP_MJ_CREATE && !op->in_post;
    if (creating && METHOD_OF(options) == FLT_FILE_NAME_QUERY_CACHE_ONLY)
        return STATUS_FLT_NAME_CACHE_MISS;
    if (creating && unsafe != NULL)
        return STATUS_FLT_INVALID_NAME_REQUEST;
    long renames = atomic_load(&op->volume->all_renames);
    if (creating)
        status = name_before_create(op, instance, format, &name);
    if (creating && NT_SUCCESS(status) && format == FLT_FILE_NAME_NORMALIZED)
        keep_created(op, name, renames);
    if (!creating && unsafe == NULL && op->created != NULL)
        use_created(op);
    if (!creating)
        status = name_of_open(op->volume, file, options, unsafe == NULL, &name);
    return NT_SUCCESS(status) ? flt_name_hand_out(name, instance, out) : status;
}

/* Exports */

NTSTATUS NTAPI FltGetFileNameInformation(PFLT_CALLBACK_DATA CallbackData,
                                         FLT_FILE_NAME_OPTIONS NameOptions,
                                         PFLT_FILE_NAME_INFORMATION *FileNameInformation)
{
    VF_ENTRY(APC_LEVEL);
    *FileNameInformation = NULL;
    if (!flt_name_options_valid(NameOptions))
        return STATUS_INVALID_PARAMETER;
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return get_name(CallbackData, NameOptions, FileNameInformation);
}
NT_EXPORT(FLTMGR, FltGetFileNameInformation);

NTSTATUS NTAPI FltGetFileNameInformationUnsafe(PFILE_OBJECT FileObject, PFLT_INSTANCE Instance,
                                               FLT_FILE_NAME_OPTIONS NameOptions,
                                               PFLT_FILE_NAME_INFORMATION *FileNameInformation)
{
    struct flt_name *name;
    VF_ENTRY(APC_LEVEL);
    *FileNameInformation = NULL;
    if (!flt_name_options_valid(NameOptions))
        return STATUS_INVALID_PARAMETER;
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    flt_lock();
    PFLT_VOLUME volume =
        Instance ? Instance->volume : flt_volume_of_device(FileObject->DeviceObject);
    flt_unlock();
    if (volume == NULL)
        return STATUS_FLT_VOLUME_NOT_FOUND;
    NTSTATUS status = name_of_open(volume, FileObject, NameOptions, true, &name);
    return NT_SUCCESS(status) ? flt_name_hand_out(name, Instance, FileNameInformation) : status;
}
NT_EXPORT(FLTMGR, FltGetFileNameInformationUnsafe);

VOID NTAPI FltReferenceFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation)
{
    VF_ENTRY(DISPATCH_LEVEL);
    atomic_fetch_add(&name_of(FileNameInformation)->references, 1);
}
NT_EXPORT(FLTMGR, FltReferenceFileNameInformation);

VOID NTAPI FltReleaseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation)
{
    VF_ENTRY(APC_LEVEL);
    flt_name_release(name_of(FileNameInformation));
}
NT_EXPORT(FLTMGR, FltReleaseFileNameInformation);

/* A file system without short names tunnels none: the name that was found is the name. */
NTSTATUS NTAPI FltGetTunneledName(PFLT_CALLBACK_DATA CallbackData,
                                  PFLT_FILE_NAME_INFORMATION FileNameInformation,
                                  PFLT_FILE_NAME_INFORMATION *RetTunneledFileNameInformation)
{
    VF_ENTRY(APC_LEVEL);
    UNREFERENCED_PARAMETER(FileNameInformation);
    flt_op_of(CallbackData, __func__);
    *RetTunneledFileNameInformation = NULL;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltGetTunneledName);

NTSTATUS NTAPI FltPurgeFileNameInformationCache(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    flt_names_purge(Instance->volume, FileObject);
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltPurgeFileNameInformationCache);
