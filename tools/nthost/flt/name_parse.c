/*
 * Taking names apart.
 *
 *     \Device\HarddiskVolume1\dir\sub\file.txt:stream
 *     Volume                 |ParentDir|Final   |Stream     Extension: txt
 *
 * WDK: FltParseFileNameInformation, FltParseFileName, FltCheckAndGrowNameControl.
 */
#include "flt.h"
#include <string.h>

static UNICODE_STRING part(PCUNICODE_STRING whole, unsigned from, unsigned to)
{
    USHORT bytes = (USHORT)((to - from) * sizeof(WCHAR));
    return (UNICODE_STRING){bytes, bytes, whole->Buffer + from};
}

struct parts {
    unsigned final, stream, extension, end; /* where each begins */
};

/* extension: behind the last point of the final component; == stream: there is none. */
static struct parts take_apart(PCUNICODE_STRING name)
{
    unsigned end = name->Length / sizeof(WCHAR), at = end;
    struct parts p = {.end = end};
    while (at != 0 && name->Buffer[at - 1] != '\\')
        at--;
    p.final = at;
    while (at < end && name->Buffer[at] != ':')
        at++;
    p.stream = p.extension = at;
    while (at > p.final && name->Buffer[at - 1] != '.')
        at--;
    if (at > p.final)
        p.extension = at;
    return p;
}

NTSTATUS NTAPI FltParseFileNameInformation(PFLT_FILE_NAME_INFORMATION FileNameInformation)
{
    VF_ENTRY(APC_LEVEL);
    PFLT_FILE_NAME_INFORMATION info = FileNameInformation;
    struct parts p = take_apart(&info->Name);
    unsigned volume = info->Volume.Length / sizeof(WCHAR);
    info->FinalComponent = part(&info->Name, p.final, p.stream);
    info->Extension = part(&info->Name, p.extension, p.stream);
    info->Stream = part(&info->Name, p.stream, p.end);
    info->NamesParsed = FLTFL_FILE_NAME_PARSED_FINAL_COMPONENT | FLTFL_FILE_NAME_PARSED_EXTENSION |
                        FLTFL_FILE_NAME_PARSED_STREAM;
    if ((info->Format & FLT_VALID_FILE_NAME_FORMATS) != FLT_FILE_NAME_SHORT) {
        if (p.final < volume) { /* the volume itself */
            info->FinalComponent = part(&info->Name, volume, volume);
            p.final = volume;
        }
        info->ParentDir = part(&info->Name, volume, p.final);
        info->NamesParsed |= FLTFL_FILE_NAME_PARSED_PARENT_DIR;
    }
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltParseFileNameInformation);

NTSTATUS NTAPI FltParseFileName(PCUNICODE_STRING FileName, PUNICODE_STRING Extension,
                                PUNICODE_STRING Stream, PUNICODE_STRING FinalComponent)
{
    VF_ENTRY(APC_LEVEL);
    struct parts p = take_apart(FileName);
    if (Extension != NULL)
        *Extension = part(FileName, p.extension, p.stream);
    if (Stream != NULL)
        *Stream = part(FileName, p.stream, p.end);
    if (FinalComponent != NULL)
        *FinalComponent = part(FileName, p.final, p.stream);
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltParseFileName);
