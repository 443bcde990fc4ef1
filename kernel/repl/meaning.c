/*
 * What a record of each type may say: see the table in record.h.
 */
#include "content.h"
#include "record.h"

/* What there may be as a name. */
typedef enum RPL_NAME_RULE
{
    RplNameNone,
    RplNamePath,
    RplNamePathOrRoot,
    RplNameAny, /* a path, a stream, or none */
    RplNameCreated,
    RplNameMoved, /* a path; none if it comes from outside of the set */
    RplNameStream,
    RplNameLabel
} RPL_NAME_RULE;

typedef enum RPL_DATA_RULE
{
    RplDataNone,
    RplDataBytes,
    RplDataStart,
    RplDataMetadata,
    RplDataTarget, /* the new path; none if it leaves the set */
    RplDataStream,
    RplDataBasic,
    RplDataSecurity,
    RplDataEa,
    RplDataReparse,
    RplDataBracket,
    RplDataListing
} RPL_DATA_RULE;

/* Of a file in a set: FileId and SetId are there. */
#define RPL_OF_FILE 1
/* FileId is zero. */
#define RPL_OF_NONE 2
/* SetId is 0, too. */
#define RPL_OF_ALL 4

#define RPL_FLAGS_ANY                                                                              \
    (REPL_FLAG_DIRECTORY | REPL_FLAG_OPEN | REPL_FLAG_CLOSE | REPL_FLAG_SYNC |                     \
     REPL_FLAG_WRITE_THROUGH | REPL_FLAG_COPY)
#define RPL_FLAGS_FILE (RPL_FLAGS_ANY | REPL_FLAG_STREAM)
#define RPL_FLAGS_MOVE (RPL_FLAGS_ANY | REPL_FLAG_REPLACE | REPL_FLAG_ENTERED | REPL_FLAG_LEFT)

typedef struct RPL_TYPE_RULE
{
    UINT8 Of;
    UINT8 Name;
    UINT8 Data;
    UINT16 Flags;
    UINT64 MaxOffset;
    UINT64 MaxRange;
} RPL_TYPE_RULE;

static const RPL_TYPE_RULE RplTypeRules[] = {
    [ReplRecordAborted] = {RPL_OF_NONE, RplNameNone, RplDataNone, 0, 0, 0},
    [ReplRecordStart] = {RPL_OF_NONE | RPL_OF_ALL, RplNameNone, RplDataStart, REPL_FLAG_OPEN, 0, 0},
    [ReplRecordCreate] = {RPL_OF_FILE, RplNameCreated, RplDataMetadata, RPL_FLAGS_FILE, 0, 0},
    [ReplRecordOverwrite] = {RPL_OF_FILE, RplNameAny, RplDataMetadata,
                             RPL_FLAGS_FILE | REPL_FLAG_SUPERSEDE, 0, 0},
    [ReplRecordWrite] = {RPL_OF_FILE, RplNameAny, RplDataBytes,
                         RPL_FLAGS_FILE | REPL_FLAG_PAGING | REPL_FLAG_VERIFY, MAXLONGLONG,
                         REPL_MAX_DATA},
    [ReplRecordSetSize] = {RPL_OF_FILE, RplNameAny, RplDataNone, RPL_FLAGS_FILE, MAXLONGLONG, 0},
    [ReplRecordSetAllocation] = {RPL_OF_FILE, RplNameAny, RplDataNone, RPL_FLAGS_FILE, MAXLONGLONG,
                                 0},
    [ReplRecordZero] = {RPL_OF_FILE, RplNameAny, RplDataNone, RPL_FLAGS_FILE, MAXLONGLONG,
                        MAXLONGLONG},
    [ReplRecordRename] = {RPL_OF_FILE, RplNameMoved, RplDataTarget, RPL_FLAGS_MOVE, 0, 0},
    [ReplRecordLink] = {RPL_OF_FILE, RplNameMoved, RplDataTarget, RPL_FLAGS_MOVE & ~REPL_FLAG_LEFT,
                        0, 0},
    [ReplRecordDelete] = {RPL_OF_FILE, RplNamePath, RplDataNone,
                          RPL_FLAGS_ANY | REPL_FLAG_LAST_LINK, 0, 0},
    [ReplRecordSetBasic] = {RPL_OF_FILE, RplNameAny, RplDataBasic, RPL_FLAGS_FILE, 0, 0},
    [ReplRecordSetSecurity] = {RPL_OF_FILE, RplNameAny, RplDataSecurity, RPL_FLAGS_FILE, MAXULONG,
                               0},
    [ReplRecordSetEa] = {RPL_OF_FILE, RplNameAny, RplDataEa, RPL_FLAGS_FILE, 0, 0},
    [ReplRecordSetReparse] = {RPL_OF_FILE, RplNameAny, RplDataReparse, RPL_FLAGS_FILE, 0, 0},
    [ReplRecordDeleteReparse] = {RPL_OF_FILE, RplNameAny, RplDataNone, RPL_FLAGS_FILE, MAXULONG, 0},
    [ReplRecordSetSparse] = {RPL_OF_FILE, RplNameAny, RplDataNone, RPL_FLAGS_FILE, 1, 0},
    [ReplRecordSetCompression] = {RPL_OF_FILE, RplNameAny, RplDataNone, RPL_FLAGS_FILE, MAXUSHORT,
                                  0},
    [ReplRecordDeleteStream] = {RPL_OF_FILE, RplNameStream, RplDataNone, RPL_FLAGS_FILE, 0, 0},
    [ReplRecordRenameStream] = {RPL_OF_FILE, RplNameStream, RplDataStream,
                                RPL_FLAGS_FILE | REPL_FLAG_REPLACE, 0, 0},
    [ReplRecordBookmark] = {RPL_OF_NONE, RplNameLabel, RplDataNone, 0, 0, 0},
    [ReplRecordFlush] = {0, RplNameAny, RplDataNone, RPL_FLAGS_FILE, 0, 0},
    [ReplRecordBracket] = {0, RplNameNone, RplDataBracket, RPL_FLAGS_ANY, 0, 0},
    [ReplRecordFolder] = {RPL_OF_FILE, RplNamePathOrRoot, RplDataListing, RPL_FLAGS_ANY, 0, 0},
    [ReplRecordFile] = {RPL_OF_FILE, RplNamePathOrRoot, RplDataMetadata,
                        RPL_FLAGS_ANY | REPL_FLAG_COPIED, MAXLONGLONG, 0},
    [ReplRecordTouched] = {RPL_OF_FILE, RplNameAny, RplDataNone, RPL_FLAGS_ANY, 0, 0},
    [ReplRecordLost] = {RPL_OF_NONE, RplNameNone, RplDataNone, RPL_FLAGS_ANY, 0, 0},
};

C_ASSERT(RTL_NUMBER_OF(RplTypeRules) == ReplRecordLost + 1);

static BOOLEAN RplHas(_In_ const REPL_RECORD *Record, _In_ ULONG Flag)
{
    return (Record->Flags & Flag) != 0;
}

static BOOLEAN RplHasFileId(_In_ const REPL_RECORD *Record)
{
    for (ULONG i = 0; i < sizeof(Record->FileId); i++)
    {
        if (Record->FileId[i] != 0)
        {
            return TRUE;
        }
    }
    return FALSE;
}

/* Flags that need each other or a type, after those that the type may not have. */
static BOOLEAN RplFlagsAgree(_In_ const REPL_RECORD *Record)
{
    switch (Record->Type)
    {
    case ReplRecordBracket:
        return RplHas(Record, REPL_FLAG_OPEN) != RplHas(Record, REPL_FLAG_CLOSE);
    case ReplRecordLost:
        return RplHas(Record, REPL_FLAG_OPEN);
    case ReplRecordDeleteStream:
    case ReplRecordRenameStream:
        return RplHas(Record, REPL_FLAG_STREAM);
    case ReplRecordFolder:
        return RplHas(Record, REPL_FLAG_DIRECTORY);
    case ReplRecordWrite:
        return !RplHas(Record, REPL_FLAG_VERIFY) || RplHas(Record, REPL_FLAG_SYNC);
    case ReplRecordFile:
        return !RplHas(Record, REPL_FLAG_COPIED) || RplHas(Record, REPL_FLAG_COPY);
    default:
        return !(RplHas(Record, REPL_FLAG_ENTERED) && RplHas(Record, REPL_FLAG_LEFT));
    }
}

static BOOLEAN RplBracketAgrees(_In_ const REPL_RECORD *Record)
{
    if (RplHas(Record, REPL_FLAG_OPEN))
    {
        return !RplHas(Record, REPL_FLAG_CLOSE) && Record->Bracket == Record->Sequence;
    }
    if (RplHas(Record, REPL_FLAG_CLOSE) || RplHas(Record, REPL_FLAG_ENTERED))
    {
        return Record->Bracket != 0 && Record->Bracket < Record->Sequence;
    }
    return Record->Bracket < Record->Sequence;
}

/* Who it is about. */
static BOOLEAN RplSubjectAgrees(_In_ const REPL_RECORD *Record, _In_ ULONG Of)
{
    if (Record->SetId == MAXULONG || ((Of & RPL_OF_ALL) != 0 && Record->SetId != 0))
    {
        return FALSE;
    }
    if ((Of & RPL_OF_FILE) != 0)
    {
        return Record->SetId != 0 && RplHasFileId(Record);
    }
    return (Of & RPL_OF_NONE) == 0 || !RplHasFileId(Record);
}

static BOOLEAN RplRangeAgrees(_In_ const REPL_RECORD *Record, _In_ const RPL_TYPE_RULE *Rule)
{
    if (Record->Offset > Rule->MaxOffset || Record->Range > Rule->MaxRange ||
        (Rule->MaxRange != 0 && Record->Range > MAXLONGLONG - Record->Offset))
    {
        return FALSE;
    }
    switch (Record->Type)
    {
    case ReplRecordWrite:
        /* What a SYNC asked for may lie beyond the end of file. */
        return Record->Range == Record->DataLength ||
               (RplHas(Record, REPL_FLAG_SYNC) && Record->Range > Record->DataLength);
    case ReplRecordZero:
        return Record->Range != 0;
    case ReplRecordSetSecurity:
        return Record->Offset != 0;
    default:
        return TRUE;
    }
}

static BOOLEAN RplNameAgrees(_In_ const REPL_RECORD *Record, _In_ ULONG Rule)
{
    const UCHAR *name = RplRecordNameOf(Record);
    ULONG length = Record->NameLength;

    switch (Rule)
    {
    case RplNameNone:
        return length == 0;
    case RplNamePath:
        return RplContentIsPath(name, length);
    case RplNamePathOrRoot:
        return length == 0 || RplContentIsPath(name, length);
    case RplNameAny:
        if (RplHas(Record, REPL_FLAG_STREAM))
        {
            return RplContentIsStream(name, length);
        }
        return length == 0 || RplContentIsPath(name, length);
    case RplNameCreated:
        return RplHas(Record, REPL_FLAG_STREAM) ? RplContentIsStream(name, length)
                                                : RplContentIsPath(name, length);
    case RplNameMoved:
        return (length == 0 && RplHas(Record, REPL_FLAG_ENTERED)) || RplContentIsPath(name, length);
    case RplNameStream:
        return RplContentIsStream(name, length);
    default:
        return length <= REPL_MAX_LABEL_BYTES && length % sizeof(WCHAR) == 0;
    }
}

static BOOLEAN RplIsStart(_In_ const REPL_RECORD *Record, _In_ const VOID *Data, _In_ ULONG Length)
{
    const REPL_START *start = Data;

    return Length == sizeof(*start) && start->Previous < Record->Sequence && start->Unclean <= 1 &&
           start->Reserved == 0 && (start->Unclean == 0 || RplHas(Record, REPL_FLAG_OPEN));
}

static BOOLEAN RplIsBracketInfo(_In_ const VOID *Data, _In_ ULONG Length)
{
    const REPL_BRACKET_INFO *info = Data;

    return Length == sizeof(*info) && info->Reason >= ReplBracketInitial &&
           info->Reason <= ReplBracketOrder && info->Reserved == 0;
}

static BOOLEAN RplDataAgrees(_In_ const REPL_RECORD *Record, _In_ ULONG Rule)
{
    const UCHAR *data = RplRecordDataOf(Record, Record->NameLength);
    ULONG length = Record->DataLength;

    switch (Rule)
    {
    case RplDataNone:
        return length == 0;
    case RplDataBytes:
        return TRUE; /* Range says how many */
    case RplDataStart:
        return RplIsStart(Record, data, length);
    case RplDataMetadata:
        return RplContentIsMetadata(data, length);
    case RplDataTarget:
        return RplHas(Record, REPL_FLAG_LEFT) ? length == 0 : RplContentIsPath(data, length);
    case RplDataStream:
        return RplContentIsStream(data, length);
    case RplDataBasic:
        return length == sizeof(REPL_BASIC) && ((const REPL_BASIC *)data)->Reserved == 0;
    case RplDataSecurity:
        return RplContentIsSecurity(data, length);
    case RplDataEa:
        return RplContentIsEa(data, length);
    case RplDataReparse:
        return RplContentIsReparse(data, length);
    case RplDataBracket:
        return RplIsBracketInfo(data, length);
    default:
        return RplContentIsListing(data, length);
    }
}

RPL_RECORD_FAULT RplRecordCheckContent(_In_ const REPL_RECORD *Record)
{
    const RPL_TYPE_RULE *rule;

    if (Record->Type == ReplRecordPad || Record->Type >= RTL_NUMBER_OF(RplTypeRules))
    {
        return RplRecordType;
    }
    rule = &RplTypeRules[Record->Type];
    if ((Record->Flags & ~rule->Flags) != 0 || !RplFlagsAgree(Record))
    {
        return RplRecordFlags;
    }
    if (Record->Sequence == 0 || Record->Epoch == 0 || Record->Time == 0 ||
        Record->Time > MAXLONGLONG || !RplBracketAgrees(Record) ||
        !RplSubjectAgrees(Record, rule->Of) || !RplRangeAgrees(Record, rule))
    {
        return RplRecordField;
    }
    if (!RplNameAgrees(Record, rule->Name))
    {
        return RplRecordName;
    }
    return RplDataAgrees(Record, rule->Data) ? RplRecordOk : RplRecordData;
}
