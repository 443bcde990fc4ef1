/* Asking the file system for names; see names.h. */
#include "names.h"
#include "generate.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 512
#define MOST_BYTES  (65536 + 64)

/* FILE_NAME_INFORMATION of a class; free() it. */
static NTSTATUS ask(PFLT_VOLUME volume, PFILE_OBJECT file, FILE_INFORMATION_CLASS what,
                    PFILE_NAME_INFORMATION *out)
{
    NTSTATUS status = STATUS_BUFFER_OVERFLOW;
    *out = NULL;
    for (ULONG bytes = FIRST_BYTES; status == STATUS_BUFFER_OVERFLOW && bytes <= MOST_BYTES;) {
        PFILE_NAME_INFORMATION info = malloc(bytes);
        if (info == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        status = flt_bottom_query(volume, file, what, info, bytes, NULL);
        if (status == STATUS_SUCCESS) {
            *out = info;
            return status;
        }
        ULONG needed =
            status == STATUS_BUFFER_OVERFLOW
                ? info->FileNameLength + (ULONG)FIELD_OFFSET(FILE_NAME_INFORMATION, FileName)
                : 0;
        free(info);
        bytes = needed > bytes ? needed : bytes * 2;
    }
    return status == STATUS_BUFFER_OVERFLOW ? STATUS_NAME_TOO_LONG : status;
}

static bool is_unknown(NTSTATUS status)
{
    return status == STATUS_INVALID_PARAMETER || status == STATUS_INVALID_INFO_CLASS ||
           status == STATUS_NOT_IMPLEMENTED || status == STATUS_NOT_SUPPORTED ||
           status == STATUS_INVALID_DEVICE_REQUEST;
}

NTSTATUS flt_name_query(PFLT_VOLUME volume, PFILE_OBJECT file, unsigned format,
                        struct flt_name **out)
{
    PFILE_NAME_INFORMATION info = NULL;
    *out = NULL;
    NTSTATUS status = ask(volume, file,
                          format == FLT_FILE_NAME_SHORT        ? FileAlternateNameInformation
                          : format == FLT_FILE_NAME_NORMALIZED ? FileNormalizedNameInformation
                                                               : FileNameInformation,
                          &info);
    if (format == FLT_FILE_NAME_NORMALIZED && is_unknown(status))
        status = ask(volume, file, FileNameInformation, &info);
    if (format == FLT_FILE_NAME_SHORT && is_unknown(status))
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    if (NT_SUCCESS(status) && info == NULL)
        status = STATUS_OBJECT_NAME_INVALID;
    if (!NT_SUCCESS(status))
        return status;
    unsigned chars = info->FileNameLength / sizeof(WCHAR);
    struct flt_name *name = flt_name_create(volume, chars);
    if (name != NULL) {
        if (format == FLT_FILE_NAME_SHORT) /* the component alone */
            name->info.Name.Length = name->info.Volume.Length = 0;
        flt_name_append(name, info->FileName, chars);
        name->info.Format = format;
        *out = name;
    }
    free(info);
    return name ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

/* The folder at `path` as the file system calls it. */
static NTSTATUS folder_name(PFLT_VOLUME volume, PFLT_INSTANCE instance, PCUNICODE_STRING path,
                            struct flt_name **out)
{
    *out = flt_folders_find(volume, path);
    if (*out != NULL)
        return STATUS_SUCCESS;
    struct flt_generation generation = flt_names_generation(volume, NULL);
    UNICODE_STRING whole = {0, (USHORT)(volume->name.Length + path->Length), NULL};
    whole.Buffer = malloc(whole.MaximumLength + sizeof(WCHAR));
    if (whole.Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlAppendUnicodeStringToString(&whole, &volume->name);
    RtlAppendUnicodeStringToString(&whole, path);
    struct file_open open = {.path = whole,
                             .mode = KernelMode,
                             .access = FILE_READ_ATTRIBUTES | SYNCHRONIZE,
                             .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                             .disposition = FILE_OPEN,
                             .options = FILE_DIRECTORY_FILE | FILE_OPEN_FOR_BACKUP_INTENT};
    NTSTATUS status = flt_open(instance, &open);
    free(whole.Buffer);
    if (!NT_SUCCESS(status))
        return status == STATUS_OBJECT_NAME_NOT_FOUND || status == STATUS_NOT_A_DIRECTORY
                   ? STATUS_OBJECT_PATH_NOT_FOUND
                   : status;
    status = flt_name_query(volume, open.file, FLT_FILE_NAME_NORMALIZED, out);
    if (NT_SUCCESS(status))
        flt_folders_keep(volume, path, *out, generation);
    flt_close_file(&open);
    return status;
}

/* Of a stream's name, "$DATA" goes: "a:b:$DATA" is "a:b", "a::$DATA" is "a". */
static unsigned without_stream_type(const WCHAR *text, unsigned chars)
{
    static const WCHAR type[] = L":$DATA";
    const unsigned n = ARRAYSIZE(type) - 1;
    if (chars <= n)
        return chars;
    UNICODE_STRING tail = {n * sizeof(WCHAR), n * sizeof(WCHAR), (PWCH)text + chars - n};
    UNICODE_STRING wanted = {n * sizeof(WCHAR), n * sizeof(WCHAR), (PWCH)type};
    if (!flt_same_name(&tail, &wanted))
        return chars;
    chars -= n;
    return text[chars - 1] == ':' ? chars - 1 : chars;
}

struct flt_name *flt_name_join(PFLT_VOLUME volume, PCUNICODE_STRING folder, PCUNICODE_STRING last)
{
    unsigned head = folder->Length / sizeof(WCHAR), chars = last->Length / sizeof(WCHAR);
    struct flt_name *name = flt_name_create(volume, head + 1 + chars);
    if (name == NULL)
        return NULL;
    flt_name_append(name, folder->Buffer, head);
    if (head == 0 || folder->Buffer[head - 1] != '\\')
        flt_name_append(name, L"\\", 1);
    flt_name_append(name, last->Buffer, without_stream_type(last->Buffer, chars));
    name->info.Format = FLT_FILE_NAME_NORMALIZED;
    return name;
}

NTSTATUS flt_name_normalize(PFLT_VOLUME volume, PFLT_INSTANCE instance, PCUNICODE_STRING path,
                            struct flt_name **out)
{
    const WCHAR *text = path->Buffer;
    unsigned chars = path->Length / sizeof(WCHAR), slash;
    struct flt_name *folder = NULL;
    *out = NULL;
    while (chars > 1 && text[chars - 1] == '\\')
        chars--;
    slash = chars;
    while (slash != 0 && text[slash - 1] != '\\')
        slash--;
    if (slash == 0) { /* the volume itself */
        *out = flt_name_create(volume, 0);
        if (*out != NULL)
            (*out)->info.Format = FLT_FILE_NAME_NORMALIZED;
        return *out ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    }
    /* In the root there is nothing to ask for. */
    UNICODE_STRING parent = {(USHORT)((slash - 1) * sizeof(WCHAR)), 0, (PWCH)text};
    UNICODE_STRING last = {(USHORT)((chars - slash) * sizeof(WCHAR)), 0, (PWCH)text + slash};
    if (parent.Length != 0) {
        NTSTATUS status = folder_name(volume, instance, &parent, &folder);
        if (!NT_SUCCESS(status))
            return status;
        parent = folder->info.Name;
        parent.Buffer += folder->info.Volume.Length / sizeof(WCHAR);
        parent.Length = (USHORT)(parent.Length - folder->info.Volume.Length);
    }
    *out = flt_name_join(volume, &parent, &last);
    if (folder != NULL)
        flt_name_release(folder);
    return *out ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}
