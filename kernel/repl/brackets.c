/*
 * Brackets: the list of those that are open, and bookmarks.
 *
 * A bracket is open from the moment its record has a number to the one at which the record that
 * closes it has one. The list outlives its readers. It is not kept over a restart of the driver:
 * with one open, a restart counts as a crash, and one bracket of all sets takes their place
 * (role.c).
 */
#include "brackets.h"

#include "configure.h"
#include "lost.h"
#include "state.h"
#include "wait.h"

static BOOLEAN RplIsLossy(_In_ UINT32 Reason)
{
    return Reason == ReplBracketLost || Reason == ReplBracketCrash;
}

BOOLEAN RplBracketRoom(_In_ BOOLEAN Lossy)
{
    return Stream.BracketCount < REPL_MAX_BRACKETS - (Lossy ? 0 : RPL_BRACKETS_RESERVED);
}

VOID RplBracketAdd(_In_ UINT64 Sequence, _In_ UINT32 SetId, _In_ UINT32 Reason,
                   _In_opt_ const UINT8 *FileId)
{
    RPL_OPEN_BRACKET *bracket = &Stream.Brackets[Stream.BracketCount++];

    RtlZeroMemory(bracket, sizeof(*bracket));
    bracket->Sequence = Sequence;
    bracket->SetId = SetId;
    bracket->Reason = Reason;
    if (FileId != NULL)
    {
        RtlCopyMemory(bracket->FileId, FileId, sizeof(bracket->FileId));
    }
}

static RPL_OPEN_BRACKET *RplBracketFind(_In_ UINT64 Sequence)
{
    for (ULONG i = 0; i < Stream.BracketCount; i++)
    {
        if (Stream.Brackets[i].Sequence == Sequence)
        {
            return &Stream.Brackets[i];
        }
    }
    return NULL;
}

BOOLEAN RplBracketRemove(_In_ UINT64 Sequence)
{
    RPL_OPEN_BRACKET *bracket = RplBracketFind(Sequence);

    if (bracket == NULL)
    {
        return FALSE;
    }
    Stream.BracketCount--;
    RtlMoveMemory(bracket, bracket + 1,
                  (UCHAR *)&Stream.Brackets[Stream.BracketCount] - (UCHAR *)bracket);
    return TRUE;
}

UINT64 RplBracketLossy(VOID)
{
    for (ULONG i = Stream.BracketCount; i-- != 0;)
    {
        if (RplIsLossy(Stream.Brackets[i].Reason))
        {
            return Stream.Brackets[i].Sequence;
        }
    }
    return 0;
}

/* Why nothing can be recorded now. */
static NTSTATUS RplRefuseRecord(_Inout_ RPL_CALL *Call)
{
    BOOLEAN capturing;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    capturing = Stream.Capturing;
    KeReleaseSpinLock(&Stream.Lock, irql);
    return capturing ? RplRefuse(Call, ReplRefusalRing, STATUS_DEVICE_NOT_READY)
                     : RplRefuse(Call, ReplRefusalRole, STATUS_INVALID_DEVICE_STATE);
}

static NTSTATUS RplAnswerSequence(_Inout_ RPL_CALL *Call, _In_ UINT64 Sequence)
{
    if (Sequence == 0)
    {
        return RplRefuseRecord(Call);
    }
    ((REPL_SEQUENCE *)Call->Buffer)->Sequence = Sequence;
    Call->Written = sizeof(REPL_SEQUENCE);
    return STATUS_SUCCESS;
}

NTSTATUS RplBookmark(_Inout_ RPL_CALL *Call)
{
    const REPL_BOOKMARK *bookmark = Call->Buffer;
    RPL_INTENT intent = {0};

    if (bookmark->Reserved != 0)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    if (bookmark->LabelLength != Call->InputBytes - sizeof(*bookmark) ||
        bookmark->LabelLength % sizeof(WCHAR) != 0 || bookmark->LabelLength == 0)
    {
        return RplRefuse(Call, ReplRefusalLength, STATUS_INVALID_PARAMETER);
    }
    intent.Type = ReplRecordBookmark;
    intent.Name.Buffer = (PWCH)(bookmark + 1);
    intent.Name.Length = (USHORT)bookmark->LabelLength;
    intent.Name.MaximumLength = intent.Name.Length;
    return RplAnswerSequence(Call, RplRecordNow(&intent, NULL));
}

NTSTATUS RplOpenBracket(_Inout_ RPL_CALL *Call)
{
    const REPL_BRACKET *open = Call->Buffer;
    REPL_BRACKET_INFO info = {0};
    RPL_INTENT intent = {0};
    BOOLEAN room;
    KIRQL irql;

    if (open->Bracket != 0)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    /* The others are the driver's own to find out. */
    if (open->Reason != ReplBracketInitial && open->Reason != ReplBracketResync &&
        open->Reason != ReplBracketVolume)
    {
        return RplRefuse(Call, ReplRefusalBracket, STATUS_INVALID_PARAMETER);
    }
    if (open->SetId != 0 && !RplConfigureHasSet(open->SetId))
    {
        return RplRefuse(Call, ReplRefusalSetId, STATUS_INVALID_PARAMETER);
    }
    KeAcquireSpinLock(&Stream.Lock, &irql);
    room = RplBracketRoom(FALSE);
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (!room)
    {
        return RplRefuse(Call, ReplRefusalBracket, STATUS_TOO_MANY_NODES);
    }
    info.Reason = open->Reason;
    intent.Type = ReplRecordBracket;
    intent.Flags = REPL_FLAG_OPEN;
    intent.SetId = open->SetId;
    intent.Reason = open->Reason;
    intent.DataBytes = sizeof(info);
    return RplAnswerSequence(Call, RplRecordNow(&intent, &info));
}

NTSTATUS RplCloseBracket(_Inout_ RPL_CALL *Call)
{
    const REPL_BRACKET *close = Call->Buffer;
    RPL_OPEN_BRACKET found, *bracket;
    REPL_BRACKET_INFO info = {0};
    RPL_INTENT intent = {0};
    BOOLEAN busy = FALSE;
    UINT64 sequence;
    KIRQL irql;

    if (close->SetId != 0 || close->Reason != 0)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    KeAcquireSpinLock(&Stream.Lock, &irql);
    bracket = RplBracketFind(close->Bracket);
    if (bracket != NULL)
    {
        found = *bracket;
        /* What is dirty has to be taken before, else nobody would come for it. */
        busy = RplIsLossy(found.Reason) && !RplLostAllTaken();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (bracket == NULL)
    {
        return RplRefuse(Call, ReplRefusalBracket, STATUS_NOT_FOUND);
    }
    if (busy)
    {
        return RplRefuse(Call, ReplRefusalBracket, STATUS_DEVICE_BUSY);
    }
    info.Reason = found.Reason;
    intent.Type = ReplRecordBracket;
    intent.Flags = REPL_FLAG_CLOSE;
    intent.SetId = found.SetId;
    intent.Bracket = found.Sequence;
    intent.DataBytes = sizeof(info);
    /* What is marked from here on makes the state Dirty, which opens another bracket. */
    sequence = RplRecordNow(&intent, &info);
    if (sequence != 0)
    {
        KeAcquireSpinLock(&Stream.Lock, &irql);
        if (RplIsLossy(found.Reason) && RplBracketLossy() == 0)
        {
            RplLostForget();
        }
        KeReleaseSpinLock(&Stream.Lock, irql);
        RplDurableCheck();
    }
    return RplAnswerSequence(Call, sequence);
}

NTSTATUS RplListBrackets(_Inout_ RPL_CALL *Call)
{
    REPL_BRACKET_STATUS *status = Call->Buffer;
    ULONG room = Call->OutputBytes / sizeof(*status), count;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    count = Stream.BracketCount;
    for (ULONG i = 0; i < count && count <= room; i++)
    {
        status[i].Bracket = Stream.Brackets[i].Sequence;
        status[i].SetId = Stream.Brackets[i].SetId;
        status[i].Reason = Stream.Brackets[i].Reason;
        RtlCopyMemory(status[i].FileId, Stream.Brackets[i].FileId, sizeof(status[i].FileId));
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (count > room)
    {
        return RplRefuse(Call, ReplRefusalLength, STATUS_BUFFER_TOO_SMALL);
    }
    Call->Written = count * (ULONG)sizeof(*status);
    return STATUS_SUCCESS;
}
