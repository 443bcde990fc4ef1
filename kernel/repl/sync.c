/*
 * Synchronisation: the state of a folder, a file or a range of it as a record, in its place in the
 * order.
 *
 * A folder is listed under the names gate, a range is read while writers are held off it, so that
 * the record says what was true at its number, and what changes later has a higher one.
 */
#include "sync.h"

#include "bracket.h"
#include "cleanup.h"
#include "gate.h"
#include "join.h"
#include "metadata.h"
#include "open.h"
#include "operation.h"
#include "record.h"
#include "role.h"
#include "volume.h"

#define RPL_TAG_SYNC 'slpR'

/* Of a listing in one record; a longer one is several, inside of a bracket. */
#define RPL_LISTING_BYTES 524288

/* What a SYNC call is about. */
typedef struct RPL_SYNC_TARGET
{
    const REPL_SYNC *Sync;
    UNICODE_STRING Path; /* in the set; as given, or found */
    RPL_PATH Found;
    PFLT_INSTANCE Instance;
    RPL_OPENED Opened;
    RPL_FILE *File;
    BOOLEAN Gate;
} RPL_SYNC_TARGET;

static VOID RplSyncClose(_Inout_ RPL_SYNC_TARGET *Target)
{
    if (Target->File != NULL && !Target->Gate)
    {
        RplCleanupOwn(Target->Instance, &Target->Opened, Target->File);
    }
    RplOpenClose(&Target->Opened);
    if (Target->File != NULL)
    {
        FltReleaseContext(Target->File);
    }
    if (Target->Instance != NULL)
    {
        FltObjectDereference(Target->Instance);
    }
    if (Target->Gate)
    {
        RplGateLeave();
    }
    RplPathFree(&Target->Found);
}

static NTSTATUS RplSyncOpenName(_Inout_ RPL_SYNC_TARGET *Target, _In_ const RPL_SET *Set,
                                ACCESS_MASK Access)
{
    UNICODE_STRING name;
    NTSTATUS status = RplJoin(&Set->Root, &Target->Path, &name);

    if (NT_SUCCESS(status))
    {
        status = RplOpenName(Target->Instance, &name, Access, &Target->Opened);
        RplJoinFree(&name);
    }
    return status;
}

static NTSTATUS RplSyncOpenId(_Inout_ RPL_SYNC_TARGET *Target, ACCESS_MASK Access)
{
    UNICODE_STRING root;
    NTSTATUS status = RplOpenRoot(Target->Instance, &root);

    if (NT_SUCCESS(status))
    {
        status = RplOpenId(Target->Instance, &root, Target->Sync->FileId,
                           sizeof(Target->Sync->FileId), Access, &Target->Opened);
        RplOpenRootFree(&root);
    }
    return status;
}

/* Opened by identity: what it is called in the set. */
static NTSTATUS RplSyncFindPath(_Inout_ RPL_SYNC_TARGET *Target)
{
    PFLT_FILE_NAME_INFORMATION information;
    NTSTATUS status = FltGetFileNameInformationUnsafe(
        Target->Opened.FileObject, Target->Instance,
        FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &information);

    if (NT_SUCCESS(status))
    {
        status = RplPathOfName(&information->Name, Target->File->Directory, 0, &Target->Found);
        FltReleaseFileNameInformation(information);
        Target->Path = Target->Found.Path;
    }
    return status;
}

static NTSTATUS RplSyncOpen(_Inout_ RPL_SYNC_TARGET *Target, ACCESS_MASK Access)
{
    static const UINT8 none[16];
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    const BOOLEAN named =
        RtlCompareMemory(Target->Sync->FileId, none, sizeof(none)) == sizeof(none);
    NTSTATUS status = STATUS_OBJECT_NAME_NOT_FOUND;
    ULONG i;

    for (i = 0; i < configuration->SetCount; i++)
    {
        const RPL_SET *set = &configuration->Sets[i];
        if (set->SetId != Target->Sync->SetId)
        {
            continue;
        }
        Target->Instance = RplVolumeInstance(&set->Root);
        status = Target->Instance == NULL ? STATUS_NO_SUCH_DEVICE
                 : named                  ? RplSyncOpenName(Target, set, Access)
                                          : RplSyncOpenId(Target, Access);
    }
    RplConfigurationRelease(configuration);
    if (NT_SUCCESS(status))
    {
        status = RplFileOf(Target->Instance, Target->Opened.FileObject, &Target->File);
    }
    if (NT_SUCCESS(status) && Target->File->SetId != Target->Sync->SetId)
    {
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    }
    if (NT_SUCCESS(status) && !named)
    {
        status = RplSyncFindPath(Target);
    }
    return status;
}

/* Checks the input and opens what it names. Flags: that it may have. */
static NTSTATUS RplSyncBegin(_Inout_ RPL_CALL *Call, _Out_ RPL_SYNC_TARGET *Target, BOOLEAN Gate,
                             UINT32 Flags, ACCESS_MASK Access)
{
    const REPL_SYNC *sync = Call->Buffer;
    NTSTATUS status;

    RtlZeroMemory(Target, sizeof(*Target));
    if (sync->NameLength > REPL_MAX_NAME_BYTES || sync->NameLength % sizeof(WCHAR) != 0 ||
        Call->InputBytes != sizeof(*sync) + sync->NameLength)
    {
        return RplRefuse(Call, ReplRefusalLength, STATUS_INVALID_BUFFER_SIZE);
    }
    if ((sync->Flags & ~Flags) != 0)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    if (RplRole() != ReplRolePrimary)
    {
        return RplRefuse(Call, ReplRefusalRole, STATUS_INVALID_DEVICE_STATE);
    }
    Target->Sync = sync;
    Target->Path.Buffer = (PWCH)(sync + 1);
    Target->Path.Length = (USHORT)sync->NameLength;
    Target->Path.MaximumLength = Target->Path.Length;
    Target->Gate = Gate && RplGateEnter(sync->SetId);
    status = RplSyncOpen(Target, Access);
    if (!NT_SUCCESS(status))
    {
        RplSyncClose(Target);
        return RplRefuseAt(Call, ReplRefusalFile, 0, status, status);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS RplSyncAnswer(_Inout_ RPL_CALL *Call, UINT64 Sequence)
{
    REPL_SEQUENCE *answer = Call->Buffer;

    answer->Sequence = Sequence;
    Call->Written = sizeof(*answer);
    return Sequence == 0 ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static RPL_INTENT RplSyncIntent(_In_ const RPL_SYNC_TARGET *Target, UINT16 Type)
{
    RPL_INTENT intent = RplIntent(Target->File, Type);

    intent.Flags |= REPL_FLAG_SYNC;
    intent.NamesOnly = TRUE;
    intent.Name = Target->Path;
    return intent;
}

/* Folders */

/* The listing as it grows: REPL_ENTRYs in chunks of up to RPL_LISTING_BYTES. */
typedef struct RPL_LISTING
{
    LIST_ENTRY Chunks;
    ULONG Count;
} RPL_LISTING;

typedef struct RPL_LISTING_CHUNK
{
    LIST_ENTRY Link;
    ULONG Bytes;
    ULONG Count;
    UCHAR Entries[RPL_LISTING_BYTES];
} RPL_LISTING_CHUNK;

static VOID RplListingFree(_Inout_ RPL_LISTING *Listing)
{
    while (!IsListEmpty(&Listing->Chunks))
    {
        ExFreePoolWithTag(
            CONTAINING_RECORD(RemoveHeadList(&Listing->Chunks), RPL_LISTING_CHUNK, Link),
            RPL_TAG_SYNC);
    }
}

static NTSTATUS RplListingAdd(_Inout_ RPL_LISTING *Listing,
                              _In_ const FILE_ID_EXTD_DIR_INFORMATION *Entry)
{
    const ULONG bytes = sizeof(REPL_ENTRY) + RPL_RECORD_PADDED(Entry->FileNameLength);
    RPL_LISTING_CHUNK *chunk = NULL;
    REPL_ENTRY *entry;

    if (!IsListEmpty(&Listing->Chunks))
    {
        chunk = CONTAINING_RECORD(Listing->Chunks.Blink, RPL_LISTING_CHUNK, Link);
    }
    if (chunk == NULL || chunk->Bytes + bytes > sizeof(chunk->Entries))
    {
        chunk = ExAllocatePool2(POOL_FLAG_PAGED, sizeof(*chunk), RPL_TAG_SYNC);
        if (chunk == NULL)
        {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        InsertTailList(&Listing->Chunks, &chunk->Link);
    }
    entry = (REPL_ENTRY *)(chunk->Entries + chunk->Bytes);
    RtlCopyMemory(entry->FileId, &Entry->FileId, sizeof(entry->FileId));
    entry->Size = (UINT64)Entry->EndOfFile.QuadPart;
    entry->LastWriteTime = (UINT64)Entry->LastWriteTime.QuadPart;
    entry->ChangeTime = (UINT64)Entry->ChangeTime.QuadPart;
    entry->Attributes = Entry->FileAttributes;
    entry->NameLength = Entry->FileNameLength;
    RtlCopyMemory(entry + 1, Entry->FileName, Entry->FileNameLength);
    chunk->Bytes += bytes;
    chunk->Count++;
    Listing->Count++;
    return STATUS_SUCCESS;
}

static BOOLEAN RplIsDots(_In_ const FILE_ID_EXTD_DIR_INFORMATION *Entry)
{
    return Entry->FileName[0] == L'.' &&
           (Entry->FileNameLength == sizeof(WCHAR) ||
            (Entry->FileNameLength == 2 * sizeof(WCHAR) && Entry->FileName[1] == L'.'));
}

/* Whether the set takes what is called so in the folder. */
static BOOLEAN RplListed(_In_ const UNICODE_STRING *Folder, UINT32 SetId,
                         _In_ const FILE_ID_EXTD_DIR_INFORMATION *Entry, _Out_ NTSTATUS *Status)
{
    UNICODE_STRING last = {.Buffer = (PWCH)Entry->FileName,
                           .Length = (USHORT)Entry->FileNameLength,
                           .MaximumLength = (USHORT)Entry->FileNameLength};
    UNICODE_STRING name;
    RPL_PATH path = {0};
    BOOLEAN listed;

    *Status = RplJoin(Folder, &last, &name);
    if (NT_SUCCESS(*Status))
    {
        *Status = RplPathOfName(&name, (Entry->FileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0,
                                (UINT64)Entry->EndOfFile.QuadPart, &path);
        RplJoinFree(&name);
    }
    listed = NT_SUCCESS(*Status) && path.SetId == SetId;
    RplPathFree(&path);
    return listed;
}

static NTSTATUS RplListingFill(_In_ const RPL_SYNC_TARGET *Target,
                               _In_ const UNICODE_STRING *Folder, _Inout_ PVOID Buffer, ULONG Bytes,
                               _Inout_ RPL_LISTING *Listing)
{
    BOOLEAN restart = TRUE;
    NTSTATUS status;
    ULONG returned;

    for (;;)
    {
        const FILE_ID_EXTD_DIR_INFORMATION *entry = Buffer;
        status =
            FltQueryDirectoryFile(Target->Instance, Target->Opened.FileObject, Buffer, Bytes,
                                  FileIdExtdDirectoryInformation, FALSE, NULL, restart, &returned);
        restart = FALSE;
        if (status == STATUS_NO_MORE_FILES || status == STATUS_NO_SUCH_FILE)
        {
            return STATUS_SUCCESS;
        }
        while (NT_SUCCESS(status))
        {
            if (!RplIsDots(entry) && RplListed(Folder, Target->Sync->SetId, entry, &status))
            {
                status = RplListingAdd(Listing, entry);
            }
            if (entry->NextEntryOffset == 0)
            {
                break;
            }
            entry = RPL_ADD(entry, entry->NextEntryOffset);
        }
        if (!NT_SUCCESS(status))
        {
            return status;
        }
    }
}

static NTSTATUS RplListingGet(_In_ const RPL_SYNC_TARGET *Target, _Out_ RPL_LISTING *Listing)
{
    const ULONG bytes = 65536;
    PFLT_FILE_NAME_INFORMATION information;
    PVOID buffer;
    NTSTATUS status;

    InitializeListHead(&Listing->Chunks);
    Listing->Count = 0;
    status = FltGetFileNameInformationUnsafe(Target->Opened.FileObject, Target->Instance,
                                             FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT,
                                             &information);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    buffer = ExAllocatePool2(POOL_FLAG_PAGED, bytes, RPL_TAG_SYNC);
    status = buffer == NULL ? STATUS_INSUFFICIENT_RESOURCES
                            : RplListingFill(Target, &information->Name, buffer, bytes, Listing);
    if (buffer != NULL)
    {
        ExFreePoolWithTag(buffer, RPL_TAG_SYNC);
    }
    FltReleaseFileNameInformation(information);
    return status;
}

/* One record a chunk: Offset is the index of its first entry, Range the number of all. */
static UINT64 RplListingRecord(_In_ const RPL_SYNC_TARGET *Target, _In_ const RPL_LISTING *Listing)
{
    RPL_INTENT intent = RplSyncIntent(Target, ReplRecordFolder);
    const UINT16 flags = intent.Flags;
    UINT64 first = 0, sequence;
    const LIST_ENTRY *entry;

    intent.Range = Listing->Count;
    if (IsListEmpty(&Listing->Chunks))
    {
        return RplRecord(&intent, NULL, 0);
    }
    for (entry = Listing->Chunks.Flink; entry != &Listing->Chunks; entry = entry->Flink)
    {
        const RPL_LISTING_CHUNK *chunk = CONTAINING_RECORD(entry, RPL_LISTING_CHUNK, Link);
        intent.Flags = flags;
        if (entry->Blink == &Listing->Chunks && entry->Flink != &Listing->Chunks)
        {
            intent.Flags |= REPL_FLAG_OPEN;
        }
        if (first != 0 && entry->Flink == &Listing->Chunks)
        {
            intent.Flags |= REPL_FLAG_CLOSE;
        }
        intent.Bracket = first;
        sequence = RplRecord(&intent, chunk->Entries, chunk->Bytes);
        first = first == 0 ? sequence : first;
        intent.Offset += chunk->Count;
        if (sequence == 0)
        {
            return 0;
        }
    }
    return first;
}

_Use_decl_annotations_ NTSTATUS RplSyncFolder(RPL_CALL *Call)
{
    RPL_SYNC_TARGET target;
    RPL_LISTING listing;
    UINT64 sequence = 0;
    NTSTATUS status =
        RplSyncBegin(Call, &target, TRUE, 0, FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES);

    if (!NT_SUCCESS(status))
    {
        return status;
    }
    if (!target.File->Directory)
    {
        RplSyncClose(&target);
        return RplRefuseAt(Call, ReplRefusalFile, 0, STATUS_NOT_A_DIRECTORY,
                           STATUS_NOT_A_DIRECTORY);
    }
    status = RplListingGet(&target, &listing);
    if (NT_SUCCESS(status))
    {
        sequence = RplListingRecord(&target, &listing);
    }
    RplListingFree(&listing);
    RplSyncClose(&target);
    return NT_SUCCESS(status) ? RplSyncAnswer(Call, sequence)
                              : RplRefuseAt(Call, ReplRefusalFile, 0, status, status);
}

/* Files */

_Use_decl_annotations_ NTSTATUS RplSyncFile(RPL_CALL *Call)
{
    RPL_SYNC_TARGET target;
    RPL_INTENT intent;
    UINT64 sequence = 0;
    NTSTATUS status = RplSyncBegin(Call, &target, TRUE, REPL_FLAG_COPIED, RPL_METADATA_ACCESS);
    BOOLEAN copied;

    if (!NT_SUCCESS(status))
    {
        return status;
    }
    copied = (target.Sync->Flags & REPL_FLAG_COPIED) != 0;
    if (copied && (target.File->Mode != ReplModeCopy || target.Sync->Offset > MAXLONGLONG))
    {
        RplSyncClose(&target);
        return RplRefuse(Call, ReplRefusalMode, STATUS_INVALID_PARAMETER);
    }
    if (!copied)
    {
        /* What changes it from now on is told again. */
        InterlockedExchange(&target.File->Touched, 0);
    }
    intent = RplSyncIntent(&target, ReplRecordFile);
    if (copied)
    {
        intent.Flags |= REPL_FLAG_COPIED;
        intent.Offset = target.Sync->Offset;
    }
    status = RplMetadataRecordFile(target.Instance, target.Opened.FileObject, target.File, &intent,
                                   &sequence);
    if (!copied && InterlockedExchange(&target.File->Touched, 0) != 0)
    {
        /* A change that began meanwhile was told, perhaps before this record: once more behind it,
         * for the record may say what was before the change, which is not told when it ends. */
        RplFileTouched(target.File);
    }
    RplSyncClose(&target);
    return NT_SUCCESS(status) ? RplSyncAnswer(Call, sequence)
                              : RplRefuseAt(Call, ReplRefusalFile, 0, status, status);
}

/* Ranges */

static NTSTATUS RplSyncRead(_In_ const RPL_SYNC_TARGET *Target, _Out_ PVOID Buffer,
                            _Out_ ULONG *Bytes)
{
    const REPL_SYNC *sync = Target->Sync;
    LARGE_INTEGER offset = {.QuadPart = (LONGLONG)sync->Offset};
    NTSTATUS status;

    *Bytes = 0;
    status = FltReadFile(Target->Instance, Target->Opened.FileObject, &offset, sync->Range, Buffer,
                         FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET, Bytes, NULL, NULL);
    if (status == STATUS_END_OF_FILE)
    {
        *Bytes = 0;
        return STATUS_SUCCESS;
    }
    return status;
}

static UINT64 RplSyncRecord(_In_ const RPL_SYNC_TARGET *Target, _Out_ NTSTATUS *Status)
{
    const REPL_SYNC *sync = Target->Sync;
    RPL_INTENT intent = RplIntent(Target->File, ReplRecordWrite);
    UINT64 sequence = 0;
    ULONG read = 0;
    RPL_SLOT *slot;

    *Status = STATUS_SUCCESS;
    intent.Flags |= REPL_FLAG_SYNC | (UINT16)sync->Flags;
    intent.Offset = sync->Offset;
    intent.Range = sync->Range;
    intent.DataBytes = sync->Range;
    slot = RplReserve(&intent);
    if (slot != NULL && slot->Data != NULL)
    {
        sequence = slot->Sequence;
        *Status = RplSyncRead(Target, slot->Data, &read);
    }
    RplCommit(slot, NT_SUCCESS(*Status) ? read : 0, sync->Offset, sync->Range);
    return sequence;
}

static BOOLEAN RplSyncIsRange(_In_ const REPL_SYNC *Sync)
{
    return Sync->Range != 0 && Sync->Range <= REPL_MAX_DATA &&
           Sync->Offset <= MAXLONGLONG - Sync->Range;
}

_Use_decl_annotations_ NTSTATUS RplSyncRange(RPL_CALL *Call)
{
    const REPL_SYNC *sync = Call->Buffer;
    RPL_SYNC_TARGET target;
    RPL_OPERATION *lock;
    UINT64 sequence = 0;
    NTSTATUS status;

    if (!RplSyncIsRange(sync))
    {
        return RplRefuse(Call, ReplRefusalLength, STATUS_INVALID_PARAMETER);
    }
    status =
        RplSyncBegin(Call, &target, FALSE, REPL_FLAG_VERIFY, FILE_READ_DATA | FILE_READ_ATTRIBUTES);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    lock = target.File->Directory ? NULL : RplOperationNew();
    if (target.File->Directory)
    {
        status = STATUS_FILE_IS_A_DIRECTORY;
    }
    else if (lock == NULL)
    {
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    else
    {
        FltReferenceContext(target.File);
        lock->File = target.File;
        RplOperationLock(lock, &target.File->Data, sync->Offset, sync->Range);
        sequence = RplSyncRecord(&target, &status);
        RplOperationEnd(lock);
    }
    RplSyncClose(&target);
    return NT_SUCCESS(status) ? RplSyncAnswer(Call, sequence)
                              : RplRefuseAt(Call, ReplRefusalFile, 0, status, status);
}

/* Nothing keeps writers off, so that none of them can keep the reader waiting. */
_Use_decl_annotations_ NTSTATUS RplReadRange(RPL_CALL *Call)
{
    const REPL_SYNC *sync = Call->Buffer;
    RPL_SYNC_TARGET target;
    PVOID output;
    NTSTATUS status;

    if (!RplSyncIsRange(sync))
    {
        return RplRefuse(Call, ReplRefusalLength, STATUS_INVALID_PARAMETER);
    }
    if (Call->OutputBytes < sync->Range)
    {
        return RplRefuse(Call, ReplRefusalLength, STATUS_BUFFER_TOO_SMALL);
    }
    output = MmGetSystemAddressForMdlSafe(Call->Irp->MdlAddress,
                                          NormalPagePriority | MdlMappingNoExecute);
    if (output == NULL)
    {
        return RplRefuse(Call, ReplRefusalNone, STATUS_INSUFFICIENT_RESOURCES);
    }
    status = RplSyncBegin(Call, &target, FALSE, 0, FILE_READ_DATA | FILE_READ_ATTRIBUTES);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = target.File->Directory ? STATUS_FILE_IS_A_DIRECTORY
                                    : RplSyncRead(&target, output, &Call->Written);
    RplSyncClose(&target);
    return NT_SUCCESS(status) ? STATUS_SUCCESS
                              : RplRefuseAt(Call, ReplRefusalFile, 0, status, status);
}
