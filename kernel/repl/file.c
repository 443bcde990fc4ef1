/* Files; see file.h. */
#include "file.h"

#include "counters.h"
#include "links.h"
#include "operation.h"
#include "role.h"
#include "stream.h"
#include "trust.h"
#include "volume.h"

#define RPL_TAG_PATH 'plpR'
#define RPL_TAG_NAME 'nlpR'

static volatile LONG64 RplRenames;

UINT64 RplMembershipEpoch(VOID)
{
    return RplConfigurationGeneration() + (UINT64)RplRenames;
}

VOID RplMembershipMoved(VOID)
{
    InterlockedIncrement64(&RplRenames);
}

_Use_decl_annotations_ VOID RplFileCleanup(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE ContextType)
{
    RPL_FILE *file = Context;

    UNREFERENCED_PARAMETER(ContextType);
    RplStreamNameFree(file->StreamName);
}

/* Names of streams */

_Use_decl_annotations_ NTSTATUS RplStreamNameMake(const UNICODE_STRING *Stream,
                                                  RPL_STREAM_NAME **Name)
{
    const USHORT chars = Stream->Length / sizeof(WCHAR);
    RPL_STREAM_NAME *name;
    USHORT end = 1;

    *Name = NULL;
    while (end < chars && Stream->Buffer[end] != L':')
    {
        end++;
    }
    if (chars < 2 || end < 2)
    {
        return STATUS_SUCCESS;
    }
    name = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*name) + end * sizeof(WCHAR), RPL_TAG_NAME);
    if (name == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    name->Name.Buffer = (PWCH)(name + 1);
    name->Name.Length = (USHORT)(end * sizeof(WCHAR));
    name->Name.MaximumLength = name->Name.Length;
    RtlCopyMemory(name->Name.Buffer, Stream->Buffer, name->Name.Length);
    *Name = name;
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID RplStreamNameFree(RPL_STREAM_NAME *Name)
{
    while (Name != NULL)
    {
        RPL_STREAM_NAME *old = Name->Old;
        ExFreePoolWithTag(Name, RPL_TAG_NAME);
        Name = old;
    }
}

_Use_decl_annotations_ VOID RplFileRenameStream(RPL_FILE *File, RPL_STREAM_NAME *Name)
{
    Name->Old = File->StreamName;
    KeMemoryBarrier();
    File->StreamName = Name;
}

/* Paths */

_Use_decl_annotations_ VOID RplPathFree(RPL_PATH *Path)
{
    if (Path->Pool != NULL)
    {
        ExFreePoolWithTag(Path->Pool, RPL_TAG_PATH);
    }
    RtlZeroMemory(Path, sizeof(*Path));
}

_Use_decl_annotations_ NTSTATUS RplPathOfName(const UNICODE_STRING *Name, BOOLEAN Directory,
                                              UINT64 Size, RPL_PATH *Path)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    UNICODE_STRING path;
    const RPL_SET *set = RplConfigurationMatch(configuration, Name, Directory, Size, &path);
    NTSTATUS status = STATUS_SUCCESS;

    RtlZeroMemory(Path, sizeof(*Path));
    if (set != NULL)
    {
        Path->Pool =
            ExAllocatePool2(POOL_FLAG_PAGED, RPL_MAX(path.Length, sizeof(WCHAR)), RPL_TAG_PATH);
        if (Path->Pool == NULL)
        {
            status = STATUS_INSUFFICIENT_RESOURCES;
        }
        else
        {
            RtlCopyMemory(Path->Pool, path.Buffer, path.Length);
            Path->Path.Buffer = Path->Pool;
            Path->Path.Length = path.Length;
            Path->Path.MaximumLength = path.Length;
            Path->SetId = set->SetId;
            Path->Mode = set->Mode;
            Path->ExcludesProcesses = set->ExcludesProcesses;
            Path->NamesFolders = set->NamesFolders;
        }
    }
    RplConfigurationRelease(configuration);
    return status;
}

/* What FltMgr says the file is called, less the stream. Information is parsed. */
static NTSTATUS RplPathFromInformation(_In_ PFLT_FILE_NAME_INFORMATION Information,
                                       BOOLEAN Directory, UINT64 Size, _Out_ RPL_PATH *Path)
{
    UNICODE_STRING name = Information->Name;

    name.Length = (USHORT)(name.Length - Information->Stream.Length);
    return RplPathOfName(&name, Directory, Size, Path);
}

_Use_decl_annotations_ NTSTATUS RplPathOf(PFLT_CALLBACK_DATA Data, BOOLEAN Directory,
                                          RPL_PATH *Path)
{
    PFLT_FILE_NAME_INFORMATION information;
    NTSTATUS status = FltGetFileNameInformation(
        Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &information);

    RtlZeroMemory(Path, sizeof(*Path));
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = FltParseFileNameInformation(information);
    if (NT_SUCCESS(status))
    {
        status = RplPathFromInformation(information, Directory, 0, Path);
    }
    FltReleaseFileNameInformation(information);
    return status;
}

/* Membership */

_Use_decl_annotations_ VOID RplFileMoved(RPL_FILE *File, const RPL_PATH *Path)
{
    File->Mode = Path->Mode;
    File->ExcludesProcesses = Path->ExcludesProcesses;
    File->SetId = Path->SetId;
    File->MembershipEpoch = (LONG64)RplMembershipEpoch();
}

/* Whether it is in a set, and which. */
static NTSTATUS RplFileLook(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                            _In_ PFLT_FILE_NAME_INFORMATION Information, _Inout_ RPL_FILE *File)
{
    FILE_STANDARD_INFORMATION standard;
    RPL_PATH path;
    UINT64 epoch = RplMembershipEpoch();
    NTSTATUS status = FltQueryInformationFile(Instance, FileObject, &standard, sizeof(standard),
                                              FileStandardInformation, NULL);

    if (NT_SUCCESS(status))
    {
        File->Directory = standard.Directory;
        status = RplPathFromInformation(Information, standard.Directory,
                                        (UINT64)standard.EndOfFile.QuadPart, &path);
    }
    if (NT_SUCCESS(status) && path.SetId == 0 && standard.NumberOfLinks > 1 && !standard.Directory)
    {
        /* A program may write through a name outside of the set. */
        status = RplLinksFind(Instance, FileObject, (UINT64)standard.EndOfFile.QuadPart, &path);
    }
    if (NT_SUCCESS(status))
    {
        RplFileMoved(File, &path);
        File->MembershipEpoch = (LONG64)epoch;
        RplPathFree(&path);
    }
    return status;
}

static NTSTATUS RplFileMake(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                            _In_ PFLT_FILE_NAME_INFORMATION Information, _Out_ RPL_FILE **File)
{
    FILE_ID_INFORMATION id;
    RPL_STREAM_NAME *name;
    RPL_FILE *file, *other = NULL;
    NTSTATUS status = FltAllocateContext(Repl.Filter, FLT_STREAM_CONTEXT, sizeof(RPL_FILE),
                                         NonPagedPoolNx, (PFLT_CONTEXT *)&file);

    *File = NULL;
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    RtlZeroMemory(file, sizeof(*file));
    KeInitializeEvent(&file->CleanupsOver, NotificationEvent, FALSE);
    RplRangesInitialize(&file->Data);
    RplRangesInitialize(&file->Metadata);
    status =
        FltQueryInformationFile(Instance, FileObject, &id, sizeof(id), FileIdInformation, NULL);
    if (NT_SUCCESS(status))
    {
        RtlCopyMemory(file->FileId, &id.FileId, sizeof(file->FileId));
        status = RplStreamNameMake(&Information->Stream, &name);
        file->StreamName = name;
    }
    if (NT_SUCCESS(status))
    {
        status = RplFileLook(Instance, FileObject, Information, file);
    }
    if (NT_SUCCESS(status))
    {
        status = FltSetStreamContext(Instance, FileObject, FLT_SET_CONTEXT_KEEP_IF_EXISTS, file,
                                     (PFLT_CONTEXT *)&other);
    }
    if (status == STATUS_FLT_CONTEXT_ALREADY_DEFINED)
    {
        FltReleaseContext(file);
        *File = other;
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(status))
    {
        FltReleaseContext(file);
        return status;
    }
    *File = file;
    return STATUS_SUCCESS;
}

static BOOLEAN RplIsGone(NTSTATUS Status)
{
    return Status == STATUS_FILE_DELETED || Status == STATUS_DELETE_PENDING ||
           Status == STATUS_OBJECT_NAME_NOT_FOUND || Status == STATUS_OBJECT_PATH_NOT_FOUND;
}

/* Finds, makes or looks again. */
static NTSTATUS RplFileAcquire(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                               _In_opt_ PFLT_CALLBACK_DATA Data, _Out_ RPL_FILE **File)
{
    const FLT_FILE_NAME_OPTIONS options = FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT;
    PFLT_FILE_NAME_INFORMATION information;
    NTSTATUS status = FltGetStreamContext(Instance, FileObject, (PFLT_CONTEXT *)File);

    if (NT_SUCCESS(status) && (UINT64)(*File)->MembershipEpoch == RplMembershipEpoch())
    {
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(status))
    {
        *File = NULL;
    }
    status = Data != NULL
                 ? FltGetFileNameInformation(Data, options, &information)
                 : FltGetFileNameInformationUnsafe(FileObject, Instance, options, &information);
    if (NT_SUCCESS(status))
    {
        status = FltParseFileNameInformation(information);
        if (NT_SUCCESS(status))
        {
            status = *File == NULL ? RplFileMake(Instance, FileObject, information, File)
                                   : RplFileLook(Instance, FileObject, information, *File);
        }
        FltReleaseFileNameInformation(information);
    }
    if (*File != NULL && RplIsGone(status))
    {
        return STATUS_SUCCESS; /* a file without a name stays what it was */
    }
    if (!NT_SUCCESS(status) && *File != NULL)
    {
        FltReleaseContext(*File);
        *File = NULL;
    }
    return status;
}

_Use_decl_annotations_ RPL_FILE *RplFileFind(PCFLT_RELATED_OBJECTS FltObjects)
{
    RPL_FILE *file;

    return NT_SUCCESS(FltGetStreamContext(FltObjects->Instance, FltObjects->FileObject,
                                          (PFLT_CONTEXT *)&file))
               ? file
               : NULL;
}

_Use_decl_annotations_ NTSTATUS RplFileLookup(PCFLT_RELATED_OBJECTS FltObjects,
                                              PFLT_CALLBACK_DATA Data, RPL_FILE **File)
{
    *File = NULL;
    return RplVolumeUsed(FltObjects->Instance)
               ? RplFileAcquire(FltObjects->Instance, FltObjects->FileObject, Data, File)
               : STATUS_SUCCESS;
}

_Use_decl_annotations_ RPL_FILE *RplFileToChange(PCFLT_RELATED_OBJECTS FltObjects,
                                                 PFLT_CALLBACK_DATA Data, PVOID *CompletionContext)
{
    RPL_FILE *file = NULL;
    NTSTATUS status;

    if (CompletionContext != NULL)
    {
        *CompletionContext = NULL;
    }
    if (RplRole() == ReplRoleNone || !RplVolumeUsed(FltObjects->Instance))
    {
        return NULL;
    }
    status = RplFileAcquire(FltObjects->Instance, FltObjects->FileObject, Data, &file);
    if (!NT_SUCCESS(status) && CompletionContext != NULL)
    {
        (VOID) RplGoUnrecorded(0, NULL, 0, RPL_TO_END, FALSE, CompletionContext);
        return NULL;
    }
    if (!NT_SUCCESS(status) || file == NULL)
    {
        RplMarkLost(0, NULL, 0, RPL_TO_END, FALSE);
        return NULL;
    }
    if (file->SetId == 0)
    {
        FltReleaseContext(file);
        return NULL;
    }
    return file;
}

_Use_decl_annotations_ NTSTATUS RplFileOf(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                          RPL_FILE **File)
{
    return RplFileAcquire(Instance, FileObject, NULL, File);
}

/* Verdicts */

/* Whether the process is left out by a rule of the set. */
static BOOLEAN RplExcluded(UINT32 SetId, _In_ PFLT_CALLBACK_DATA Data)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    PEPROCESS process = FltGetRequestorProcess(Data);
    UNICODE_STRING *image;
    BOOLEAN excluded = FALSE;
    ULONG i;

    for (i = 0; i < configuration->SetCount && process != NULL; i++)
    {
        const RPL_SET *set = &configuration->Sets[i];
        if (set->SetId == SetId && NT_SUCCESS(SeLocateProcessImageName(process, &image)))
        {
            excluded = RplConfigurationExcludes(configuration, set, image);
            ExFreePool(image);
        }
    }
    RplConfigurationRelease(configuration);
    return excluded;
}

static RPL_VERDICT RplJudgeSet(UINT32 SetId, UINT32 Mode, BOOLEAN Excludes,
                               _In_ PFLT_CALLBACK_DATA Data)
{
    UINT32 role = RplRole();

    if (SetId == 0 || role == ReplRoleNone || RplProcessTrusted(FltGetRequestorProcessId(Data)))
    {
        return RplIgnore;
    }
    if (role == ReplRoleBackup)
    {
        return RplForbid;
    }
    if (Excludes && RplExcluded(SetId, Data))
    {
        return RplIgnore;
    }
    return Mode == ReplModeCopy ? RplTouch : RplCapture;
}

_Use_decl_annotations_ RPL_VERDICT RplJudge(const RPL_FILE *File, PFLT_CALLBACK_DATA Data)
{
    RPL_VERDICT verdict = RplJudgeSet(File->SetId, File->Mode, File->ExcludesProcesses, Data);

    return verdict == RplTouch && File->Directory ? RplCapture : verdict;
}

_Use_decl_annotations_ RPL_VERDICT RplJudgePath(const RPL_PATH *Path, PFLT_CALLBACK_DATA Data)
{
    return RplJudgeSet(Path->SetId, Path->Mode, Path->ExcludesProcesses, Data);
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplRefuseOperation(PFLT_CALLBACK_DATA Data)
{
    InterlockedIncrement64(&RplCounters.Refused);
    Data->IoStatus.Status = STATUS_MEDIA_WRITE_PROTECTED;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}
