/*
 * The names that renames and links lead to; see names.h.
 *
 * WDK: FltGetDestinationFileNameInformation, FILE_RENAME_INFORMATION.
 */
#include "names.h"
#include "../io/file.h"
#include <nthost/object.h>

static void trim(UNICODE_STRING *text, unsigned chars)
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
    if (!flt_name_options_valid(NameOptions) || FileNameLength == 0 ||
        FileNameLength > MAXUSHORT - 2 || FltGetFileNameFormat(NameOptions) == FLT_FILE_NAME_SHORT)
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
    return flt_name_hand_out(name, Instance, RetFileNameInformation);
}
NT_EXPORT(FLTMGR, FltGetDestinationFileNameInformation);
