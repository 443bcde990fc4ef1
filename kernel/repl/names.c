/*
 * Renames and links.
 *
 * Under the names gate, and recorded when they have completed, still under it. What comes into a
 * set from outside opens a bracket: a small file's content follows at once and closes it; a larger
 * one and a folder are left to the reader of the stream, which asks for their content
 * (REPL_IOCTL_SYNC_FILE, ...) and closes it then.
 *
 * A renamed folder takes all below it along: contexts of files there look again. Where a rule of
 * the set looks at folders, they may find that a file is in the set now, or is not any more: the
 * record opens a bracket, in which the folder is listed and compared as if it had come in.
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
                               BOOLEAN Directory, UINT64 Size, _Out_ RPL_PATH *Path)
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
        status = RplPathOfName(&name, Directory, Size, Path);
        RplJoinFree(&name);
    }
    return status;
}

/* Where it comes from and goes to. */
static NTSTATUS RplRenamePaths(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                               _Inout_ RPL_OPERATION *Operation)
{
    FILE_STANDARD_INFORMATION standard = {0}; /* what is in a set may be of any size */
    NTSTATUS status = STATUS_SUCCESS;

    if (Operation->File->SetId == 0)
    {
        status = FltQueryInformationFile(FltObjects->Instance, FltObjects->FileObject, &standard,
                                         sizeof(standard), FileStandardInformation, NULL);
    }
    else
    {
        status = RplPathOf(Data, Operation->File->Directory, &Operation->Before);
    }
    if (NT_SUCCESS(status))
    {
        status = RplDestination(Data, FltObjects, Operation->File->Directory,
                                (UINT64)standard.EndOfFile.QuadPart, &Operation->After);
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

/* Nothing is recorded of the stream while nobody can say what it is called. */
static NTSTATUS RplPrepareStreamRename(_In_ PFLT_CALLBACK_DATA Data,
                                       _Inout_ RPL_OPERATION *Operation)
{
    const FILE_RENAME_INFORMATION *target = RplTarget(Data);
    const UNICODE_STRING name = {.Buffer = (PWCH)target->FileName,
                                 .Length = (USHORT)target->FileNameLength,
                                 .MaximumLength = (USHORT)target->FileNameLength};
    NTSTATUS status = RplStreamNameMake(&name, &Operation->StreamName);

    if (NT_SUCCESS(status))
    {
        (VOID) RplOperationLock(Operation, &Operation->File->Data, 0, RPL_TO_END);
    }
    return status;
}

/*
 * It cannot be told what is renamed to what. The file system may well carry it out; but what the
 * file's context calls a stream would be wrong from then on, so that one fails.
 */
static FLT_PREOP_CALLBACK_STATUS RplRenameUnprepared(_Inout_ PFLT_CALLBACK_DATA Data,
                                                     _In_opt_ RPL_OPERATION *Operation,
                                                     NTSTATUS Status,
                                                     _Out_ PVOID *CompletionContext)
{
    RplOperationEnd(Operation);
    if (RplIsStreamRename(Data))
    {
        Data->IoStatus.Status = Status;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    return RplGoUnrecorded(0, NULL, 0, RPL_TO_END, FALSE, CompletionContext);
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
        status = RplFileLookup(FltObjects, Data, &operation->File);
    }
    if (operation != NULL && NT_SUCCESS(status))
    {
        if (RplIsStreamRename(Data))
        {
            verdict = RplJudge(operation->File, Data);
            status = verdict == RplCapture ? RplPrepareStreamRename(Data, operation) : status;
        }
        else
        {
            status = RplRenamePaths(Data, FltObjects, operation);
            verdict = NT_SUCCESS(status) ? RplJudgeRename(operation, Data) : RplCapture;
        }
    }
    if (!NT_SUCCESS(status))
    {
        return RplRenameUnprepared(Data, operation, status, CompletionContext);
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
    intent.Flags = (UINT16)((intent.Flags & (REPL_FLAG_DIRECTORY | REPL_FLAG_COPY)) | Flags);
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
    RPL_INTENT intent = RplIntent(Operation->File, ReplRecordFile);
    NTSTATUS status;

    intent.Name = Operation->After.Path;
    intent.Flags = REPL_FLAG_SYNC;
    status = RplMetadataRecord(FltObjects->Instance, FltObjects->FileObject, &intent, NULL);
    return !NT_SUCCESS(status) || Size == 0
               ? status
               : RplRecordRange(FltObjects->Instance, FltObjects->FileObject, Operation->File, 0,
                                Size, REPL_FLAG_SYNC);
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
    if (file->Directory || file->Mode == ReplModeCopy || bracket == 0)
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
        /* What is below a folder may come in or go out by its new name. */
        const BOOLEAN opens = Operation->File->Directory && after->NamesFolders;

        RplRecordName(Operation, ReplRecordRename, (UINT16)(flags | (opens ? REPL_FLAG_OPEN : 0)),
                      before->SetId, &before->Path, &after->Path);
        RplFileMoved(Operation->File, after);
        /* Not where it opens a bracket, which may take as long as all that is in the folder. */
        Operation->Durable = before->SetId != 0 && !Operation->File->Directory &&
                             Operation->File->Mode == ReplModeDurable;
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

static VOID RplStreamRenamed(_Inout_ RPL_OPERATION *Operation)
{
    RPL_INTENT intent = RplIntent(Operation->File, ReplRecordRenameStream);
    const UNICODE_STRING *name;

    if (Operation->StreamName == NULL || intent.Name.Length == 0)
    {
        /* The unnamed stream became a named one, or the other way round: too rare to say so. */
        RplMarkLost(Operation->File->SetId, Operation->File->FileId, 0, RPL_TO_END, FALSE);
    }
    else
    {
        name = &Operation->StreamName->Name;
        RplRecord(&intent, name->Buffer, name->Length);
    }
    if (Operation->StreamName != NULL)
    {
        RplFileRenameStream(Operation->File, Operation->StreamName);
        Operation->StreamName = NULL;
    }
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostRename(PFLT_CALLBACK_DATA Data,
                                                                PCFLT_RELATED_OBJECTS FltObjects,
                                                                PVOID CompletionContext,
                                                                FLT_POST_OPERATION_FLAGS Flags)
{
    RPL_OPERATION *operation = CompletionContext;
    const FILE_INFORMATION_CLASS class =
        Data->Iopb->Parameters.SetFileInformation.FileInformationClass;

    if (CompletionContext == RPL_UNRECORDED)
    {
        RplMembershipMoved(); /* of a folder, perhaps */
        (VOID) RplEndedUnrecorded(CompletionContext);
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
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
        RplStreamRenamed(operation);
    }
    else if (RplIsLink(class))
    {
        RplLinked(Data, FltObjects, operation);
    }
    else
    {
        RplRenamed(Data, FltObjects, operation);
    }
    RplOperationEndDurably(operation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}
