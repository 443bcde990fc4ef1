/*
 * FltGetFileNameInformation and what goes with it; see names.h.
 *
 * WDK: FltGetFileNameInformation, FltGetFileNameInformationUnsafe,
 * FltGetDestinationFileNameInformation, FltGetTunneledName, FltReleaseFileNameInformation.
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

/* For a driver: with the verifier a copy that is known to be its own. Takes `name` over. */
static NTSTATUS hand_out(struct flt_name *name, PFLT_INSTANCE instance,
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

static bool is_valid(FLT_FILE_NAME_OPTIONS options)
{
    unsigned format = FltGetFileNameFormat(options), method = METHOD_OF(options);
    return format >= FLT_FILE_NAME_NORMALIZED && format <= FLT_FILE_NAME_SHORT &&
           method >= FLT_FILE_NAME_QUERY_DEFAULT &&
           method <= FLT_FILE_NAME_QUERY_ALWAYS_ALLOW_CACHE_LOOKUP;
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
    if (creating)
        status = name_before_create(op, instance, format, &name);
    else
        status = name_of_open(op->volume, file, options, unsafe == NULL, &name);
    return NT_SUCCESS(status) ? hand_out(name, instance, out) : status;
}

/* Exports */

NTSTATUS NTAPI FltGetFileNameInformation(PFLT_CALLBACK_DATA CallbackData,
                                         FLT_FILE_NAME_OPTIONS NameOptions,
                                         PFLT_FILE_NAME_INFORMATION *FileNameInformation)
{
    VF_ENTRY(APC_LEVEL);
    *FileNameInformation = NULL;
    if (!is_valid(NameOptions))
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
    if (!is_valid(NameOptions))
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
    return NT_SUCCESS(status) ? hand_out(name, Instance, FileNameInformation) : status;
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

VOID static trim(UNICODE_STRING *text, unsigned chars)
{
    text->Buffer += chars;
    text->Length = (USHORT)(text->Length - chars * sizeof(WCHAR));
}

/* A full NT path: what of it is behind the volume. It must be this volume. */
static NTSTATUS behind_volume(PFLT_VOLUME volume, PCUNICODE_STRING path, UNICODE_STRING *rest)
{
    void *device;
    NTSTATUS status = ob_lookup(path, &device, rest);
    if (!NT_SUCCESS(status))
        return status;
    if (device != (void *)volume->file_system) {
        RtlFreeUnicodeString(rest);
        status = STATUS_NOT_SAME_DEVICE;
    }
    ob_dereference(device);
    return status;
}

/* `tail` in the folder of an open file, or in an open folder. */
static NTSTATUS path_in(PFLT_VOLUME volume, PFILE_OBJECT file, bool beside, PCUNICODE_STRING tail,
                        UNICODE_STRING *out)
{
    struct flt_name *base;
    NTSTATUS status = flt_name_query(volume, file, FLT_FILE_NAME_NORMALIZED, &base);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING head = base->info.Name;
    trim(&head, base->info.Volume.Length / sizeof(WCHAR));
    unsigned chars = head.Length / sizeof(WCHAR);
    while (beside && chars != 0 && head.Buffer[chars - 1] != '\\')
        chars--;
    bool slash = chars == 0 || head.Buffer[chars - 1] != '\\';
    *out = (UNICODE_STRING){
        0, (USHORT)((chars + slash) * sizeof(WCHAR) + tail->Length),
        ExAllocatePool2(POOL_FLAG_PAGED, (chars + slash) * sizeof(WCHAR) + tail->Length, 'mNlF')};
    if (out->Buffer != NULL) {
        head.Length = (USHORT)(chars * sizeof(WCHAR));
        RtlAppendUnicodeStringToString(out, &head);
        if (slash)
            RtlAppendUnicodeToString(out, L"\\");
        RtlAppendUnicodeStringToString(out, tail);
    }
    flt_name_release(base);
    return out->Buffer ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

NTSTATUS NTAPI FltGetDestinationFileNameInformation(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, HANDLE RootDirectory, PWSTR FileName,
    ULONG FileNameLength, FLT_FILE_NAME_OPTIONS NameOptions,
    PFLT_FILE_NAME_INFORMATION *RetFileNameInformation)
{
    UNICODE_STRING given = {(USHORT)FileNameLength, (USHORT)FileNameLength, FileName}, path;
    struct flt_name *name = NULL;
    PFILE_OBJECT root;
    NTSTATUS status;
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    *RetFileNameInformation = NULL;
    if (!is_valid(NameOptions) || FileNameLength == 0 || FileNameLength > MAXUSHORT - 2 ||
        FltGetFileNameFormat(NameOptions) == FLT_FILE_NAME_SHORT)
        return STATUS_INVALID_PARAMETER;
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (RootDirectory != NULL) {
        status = ob_lookup_handle(RootDirectory, &ob_file_type, (void **)&root, NULL);
        if (!NT_SUCCESS(status))
            return status;
        status = path_in(Instance->volume, root, false, &given, &path);
        ob_dereference(root);
    } else if (FileName[0] == '\\') {
        status = behind_volume(Instance->volume, &given, &path);
    } else {
        status = path_in(Instance->volume, FileObject, true, &given, &path);
    }
    if (!NT_SUCCESS(status))
        return status;
    if (FltGetFileNameFormat(NameOptions) == FLT_FILE_NAME_NORMALIZED) {
        status = flt_name_normalize(Instance->volume, Instance, &path, &name);
    } else {
        name = flt_name_create(Instance->volume, path.Length / sizeof(WCHAR));
        if (name != NULL)
            flt_name_append(name, path.Buffer, path.Length / sizeof(WCHAR));
        status = name ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlFreeUnicodeString(&path);
    if (!NT_SUCCESS(status))
        return status;
    name->info.Format = FltGetFileNameFormat(NameOptions);
    return hand_out(name, Instance, RetFileNameInformation);
}
NT_EXPORT(FLTMGR, FltGetDestinationFileNameInformation);

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
