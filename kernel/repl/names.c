/*
 * Renames and links.
 *
 * Under the names gate, and recorded when they have completed, still under it. What comes into a
 * set from outside opens a bracket: a small file's content follows at once and closes it; a larger
 * one and a folder are left to the reader of the stream, which asks for their content
 * (REPL_IOCTL_SYNC_FILE, ...) and closes it then.
 *
 * A renamed folder takes all below it along: contexts of files there look again.
 */
#include "names.h"

#include "bracket.h"
#include "gate.h"
#include "join.h"
#include "metadata.h"
#include "role.h"
#include "volume.h"
#include "write.h"

BOOLEAN RplIsRename(FILE_INFORMATION_CLASS Class)
{
    return Class == FileRenameInformation || Class == FileRenameInformationEx ||
           Class == FileRenameInformationBypassAccessCheck ||
           Class == FileRenameInformationExBypassAccessCheck;
}

BOOLEAN RplIsLink(FILE_INFORMATION_CLASS Class)
{
    return Class == FileLinkInformation || Class == FileLinkInformationEx ||
           Class == FileLinkInformationBypassAccessCheck ||
           Class == FileLinkInformationExBypassAccessCheck;
}

/* Rename and link information are laid out alike. */
C_ASSERT(FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName) ==
         FIELD_OFFSET(FILE_LINK_INFORMATION, FileName));

static const FILE_RENAME_INFORMATION *RplTarget(_In_ PFLT_CALLBACK_DATA Data)
{
    return Data->Iopb->Parameters.SetFileInformation.InfoBuffer;
}

static BOOLEAN RplReplaces(_In_ PFLT_CALLBACK_DATA Data)
{
    const FILE_INFORMATION_CLASS class =
        Data->Iopb->Parameters.SetFileInformation.FileInformationClass;
    const FILE_RENAME_INFORMATION *target = RplTarget(Data);

    if (class == FileRenameInformationEx || class == FileRenameInformationExBypassAccessCheck ||
        class == FileLinkInformationEx || class == FileLinkInformationExBypassAccessCheck)
    {
        return (target->Flags & FILE_RENAME_REPLACE_IF_EXISTS) != 0;
    }
    return target->ReplaceIfExists;
}

/* What follows the last '\\' of the target's name. */
static UNICODE_STRING RplTargetLast(_In_ const FILE_RENAME_INFORMATION *Target)
{
    const ULONG chars = Target->FileNameLength / sizeof(WCHAR);
    UNICODE_STRING last;
    ULONG start = chars;

    while (start > 0 && Target->FileName[start - 1] != L'\\')
    {
        start--;
    }
    last.Buffer = (PWCH)Target->FileName + start;
    last.Length = (USHORT)((chars - start) * sizeof(WCHAR));
    last.MaximumLength = last.Length;
    return last;
}

/*
 * The folder that it goes to, by the file object that was opened for it: the folder may have been
 * renamed since its name was said. None was opened for another name in the same folder.
 */
static NTSTATUS RplDestination(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                               BOOLEAN Directory, _Out_ RPL_PATH *Path)
{
    const FLT_FILE_NAME_OPTIONS options = FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT;
    PFILE_OBJECT parent = Data->Iopb->Parameters.SetFileInformation.ParentOfTarget;
    const UNICODE_STRING last = RplTargetLast(RplTarget(Data));
    PFLT_FILE_NAME_INFORMATION information;
    UNICODE_STRING folder, name;
    NTSTATUS status = parent != NULL ? FltGetFileNameInformationUnsafe(parent, FltObjects->Instance,
                                                                       options, &information)
                                     : FltGetFileNameInformation(Data, options, &information);

    RtlZeroMemory(Path, sizeof(*Path));
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    folder = information->Name;
    if (parent == NULL)
    {
        status = FltParseFileNameInformation(information);
        folder.Length = (USHORT)(folder.Length - information->Stream.Length -
                                 information->FinalComponent.Length);
    }
    if (NT_SUCCESS(status))
    {
        status = RplJoin(&folder, &last, &name);
    }
    FltReleaseFileNameInformation(information);
    if (NT_SUCCESS(status))
    {
        status = RplPathOfName(&name, Directory, 0, Path);
        RplJoinFree(&name);
    }
    return status;
}

/* Where it comes from and goes to. */
static NTSTATUS RplRenamePaths(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                               _Inout_ RPL_OPERATION *Operation)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (Operation->File->SetId != 0)
    {
        status = RplPathOf(Data, &Operation->Before);
    }
    if (NT_SUCCESS(status))
    {
        status = RplDestination(Data, FltObjects, Operation->File->Directory, &Operation->After);
    }
    return status;
}

static RPL_VERDICT RplJudgeRename(_In_ const RPL_OPERATION *Operation, _In_ PFLT_CALLBACK_DATA Data)
{
    const RPL_VERDICT before = RplJudgePath(&Operation->Before, Data);
    const RPL_VERDICT after = RplJudgePath(&Operation->After, Data);

    return RPL_MAX(before, after); /* RplForbid is the highest */
}

/* A named stream's rename; its new name begins with ':'. */
static BOOLEAN RplIsStreamRename(_In_ PFLT_CALLBACK_DATA Data)
{
    const FILE_RENAME_INFORMATION *target = RplTarget(Data);

    return target->FileNameLength >= sizeof(WCHAR) && target->FileName[0] == L':';
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreRename(PFLT_CALLBACK_DATA Data,
                                                              PCFLT_RELATED_OBJECTS FltObjects,
                                                              PVOID *CompletionContext)
{
    RPL_OPERATION *operation;
    RPL_VERDICT verdict = RplCapture;
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    PAGED_CODE();
    *CompletionContext = NULL;
    if (RplRole() == ReplRoleNone || !RplVolumeUsed(FltObjects->Instance))
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    operation = RplOperationNew();
    if (operation != NULL)
    {
        operation->Gate = RplGateEnter(0);
        operation->File = RplFileFind(FltObjects, Data);
    }
    if (operation != NULL && operation->File != NULL)
    {
        status = STATUS_SUCCESS;
        if (RplIsStreamRename(Data))
        {
            verdict = RplJudge(operation->File, Data);
        }
        else
        {
            status = RplRenamePaths(Data, FltObjects, operation);
            verdict = NT_SUCCESS(status) ? RplJudgeRename(operation, Data) : RplCapture;
        }
    }
    if (!NT_SUCCESS(status))
    {
        /* The file system may well carry it out. */
        RplMarkLost(0, NULL, 0, RPL_TO_END, FALSE);
        verdict = RplIgnore;
    }
    if (verdict == RplCapture || verdict == RplTouch)
    {
        *CompletionContext = operation;
        return FLT_PREOP_SYNCHRONIZE;
    }
    RplOperationEnd(operation);
    return verdict == RplForbid ? RplRefuseOperation(Data) : FLT_PREOP_SUCCESS_NO_CALLBACK;
}

/* The record of a rename or link; Name: what it was called in the set, or NULL. */
static UINT64 RplRecordName(_In_ const RPL_OPERATION *Operation, UINT16 Type, UINT16 Flags,
                            UINT32 SetId, _In_opt_ const UNICODE_STRING *Name,
                            _In_opt_ const UNICODE_STRING *NewName)
{
    RPL_INTENT intent = RplIntent(Operation->File, Type);

    intent.SetId = SetId;
    intent.Flags = (UINT16)((intent.Flags & REPL_FLAG_DIRECTORY) | Flags);
    intent.NamesOnly = TRUE;
    intent.Name.Length = 0;
    if (Name != NULL)
    {
        intent.Name = *Name;
    }
    return RplRecord(&intent, NewName == NULL ? NULL : NewName->Buffer,
                     NewName == NULL ? 0 : NewName->Length);
}

/* The content of a small file, inside of the bracket that its entry opened. */
static NTSTATUS RplRecordContent(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                 _Inout_ RPL_OPERATION *Operation, UINT64 Size)
{
    RPL_METADATA_BUFFER metadata;
    RPL_INTENT intent = RplIntent(Operation->File, ReplRecordFile);
    NTSTATUS status = RplMetadataGet(FltObjects->Instance, FltObjects->FileObject, &metadata);

    if (!NT_SUCCESS(status))
    {
        return status;
    }
    intent.Name = Operation->After.Path;
    intent.Flags = REPL_FLAG_SYNC;
    RplRecord(&intent, metadata.Metadata, metadata.Bytes);
    RplMetadataFree(&metadata);
    return Size == 0 ? status
                     : RplRecordRange(FltObjects->Instance, FltObjects->FileObject, Operation->File,
                                      0, Size, REPL_FLAG_SYNC);
}

static VOID RplEntered(_In_ PCFLT_RELATED_OBJECTS FltObjects, _Inout_ RPL_OPERATION *Operation,
                       UINT16 Type, UINT16 Flags)
{
    RPL_FILE *file = Operation->File;
    FILE_STANDARD_INFORMATION standard;
    UINT64 bracket;
    NTSTATUS status;

    RplFileMoved(file, &Operation->After);
    bracket = RplRecordName(Operation, Type, (UINT16)(Flags | REPL_FLAG_ENTERED | REPL_FLAG_OPEN),
                            Operation->After.SetId, NULL, &Operation->After.Path);
    if (file->Directory || bracket == 0)
    {
        return;
    }
    RplOperationLock(Operation, &file->Data, 0, RPL_TO_END);
    status = FltQueryInformationFile(FltObjects->Instance, FltObjects->FileObject, &standard,
                                     sizeof(standard), FileStandardInformation, NULL);
    if (NT_SUCCESS(status) && standard.EndOfFile.QuadPart <= REPL_MAX_DATA &&
        NT_SUCCESS(RplRecordContent(FltObjects, Operation, (UINT64)standard.EndOfFile.QuadPart)))
    {
        RplBracketEnd(Operation->After.SetId, bracket);
    }
}

static VOID RplRenamed(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                       _Inout_ RPL_OPERATION *Operation)
{
    const UINT16 flags = RplReplaces(Data) ? REPL_FLAG_REPLACE : 0;
    const RPL_PATH *before = &Operation->Before;
    const RPL_PATH *after = &Operation->After;

    if (Operation->File->Directory)
    {
        RplMembershipMoved();
    }
    if (before->SetId == after->SetId)
    {
        RplRecordName(Operation, ReplRecordRename, flags, before->SetId, &before->Path,
                      &after->Path);
        RplFileMoved(Operation->File, after);
        return;
    }
    if (before->SetId != 0)
    {
        RplRecordName(Operation, ReplRecordRename, REPL_FLAG_LEFT, before->SetId, &before->Path,
                      NULL);
    }
    if (after->SetId != 0)
    {
        RplEntered(FltObjects, Operation, ReplRecordRename, flags);
        return;
    }
    /* It may have another name in a set. */
    InterlockedExchange64(&Operation->File->MembershipEpoch, -1);
}

static VOID RplLinked(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                      _Inout_ RPL_OPERATION *Operation)
{
    const UINT16 flags = RplReplaces(Data) ? REPL_FLAG_REPLACE : 0;
    const RPL_PATH *after = &Operation->After;

    if (after->SetId == 0)
    {
        return;
    }
    if (Operation->File->SetId == after->SetId)
    {
        RplRecordName(Operation, ReplRecordLink, flags, after->SetId,
                      Operation->Before.SetId == after->SetId ? &Operation->Before.Path : NULL,
                      &after->Path);
        return;
    }
    RplEntered(FltObjects, Operation, ReplRecordLink, flags);
}

static VOID RplStreamRenamed(_In_ PFLT_CALLBACK_DATA Data, _In_ const RPL_FILE *File)
{
    const FILE_RENAME_INFORMATION *target = RplTarget(Data);
    RPL_INTENT intent = RplIntent(File, ReplRecordRenameStream);
    USHORT chars = 1;

    /* Without the type, ":b:$DATA". */
    while (chars < target->FileNameLength / sizeof(WCHAR) && target->FileName[chars] != L':')
    {
        chars++;
    }
    if (intent.Name.Length == 0)
    {
        /* The unnamed stream became a named one: too rare to say so. */
        RplMarkLost(File->SetId, File->FileId, 0, RPL_TO_END, FALSE);
        return;
    }
    RplRecord(&intent, target->FileName, chars * sizeof(WCHAR));
    RplMembershipMoved();
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostRename(PFLT_CALLBACK_DATA Data,
                                                                PCFLT_RELATED_OBJECTS FltObjects,
                                                                PVOID CompletionContext,
                                                                FLT_POST_OPERATION_FLAGS Flags)
{
    RPL_OPERATION *operation = CompletionContext;
    const FILE_INFORMATION_CLASS class =
        Data->Iopb->Parameters.SetFileInformation.FileInformationClass;

    if (Flags & FLTFL_POST_OPERATION_DRAINING)
    {
        RplMarkLost(0, NULL, 0, RPL_TO_END, FALSE);
    }
    else if (!NT_SUCCESS(Data->IoStatus.Status))
    {
        /* nothing happened */
    }
    else if (RplIsStreamRename(Data))
    {
        RplStreamRenamed(Data, operation->File);
    }
    else if (RplIsLink(class))
    {
        RplLinked(Data, FltObjects, operation);
    }
    else
    {
        RplRenamed(Data, FltObjects, operation);
    }
    RplOperationEnd(operation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}
