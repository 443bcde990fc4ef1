/*
 * Good records: see sample.h.
 */
#include "sample.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"

struct content {
    unsigned bytes;
    _Alignas(8) uint8_t data[512];
};

static void add(struct content *content, const void *data, unsigned bytes)
{
    memcpy(content->data + content->bytes, data, bytes);
    content->bytes += bytes;
}

static void pad(struct content *content)
{
    content->bytes = (content->bytes + 7) & ~7u;
}

/* O:BA, G:none, D:(A;;GA;;;BA), S:none; the SID comes twice. */
static unsigned add_security(struct content *content)
{
    static const uint8_t sid[16] = {1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0};
    static const uint8_t header[20] = {1, 0, 4, 0x80, 20, 0, 0,  0, 0, 0,
                                       0, 0, 0, 0,    0,  0, 36, 0, 0, 0};
    static const uint8_t acl[16] = {2, 0, 32, 0, 1, 0, 0, 0, 0, 0, 24, 0, 0, 0, 0, 0x10};
    unsigned start = content->bytes;

    add(content, header, sizeof header);
    add(content, sid, sizeof sid);
    add(content, acl, sizeof acl);
    add(content, sid, sizeof sid);
    return content->bytes - start;
}

static unsigned add_ea(struct content *content)
{
    static const uint8_t first[16] = {16, 0, 0, 0, 0, 2, 5, 0, 'A', 'B', 0, 1, 2, 3, 4, 5};
    static const uint8_t last[12] = {0, 0, 0, 0, 0x80, 1, 2, 0, 'C', 0, 6, 7};

    add(content, first, sizeof first);
    add(content, last, sizeof last);
    return sizeof first + sizeof last;
}

static unsigned add_reparse(struct content *content)
{
    static const uint8_t link[13] = {0x1D, 0, 0, 0xA0, 5, 0, 0, 0, 2, 0, 0, 0, 'x'};

    add(content, link, sizeof link);
    return sizeof link;
}

static void add_metadata(struct content *content)
{
    REPL_METADATA metadata = {.Basic = {1, 2, 3, 4, 0x20, 0}, .Size = 5, .Allocation = 4096};
    REPL_METADATA *in_place = (REPL_METADATA *)content->data;

    metadata.Links = 1;
    add(content, &metadata, sizeof metadata);
    in_place->SecurityLength = add_security(content);
    pad(content);
    in_place->EaLength = add_ea(content);
    pad(content);
    in_place->ReparseLength = add_reparse(content);
    pad(content);
}

static void add_listing(struct content *content)
{
    REPL_ENTRY entry = {{1}, 2, 3, 4, 0x20, 10};

    add(content, &entry, sizeof entry);
    add(content, L"a.txt", 10);
    pad(content);
    entry.FileId[3] = 9;
    entry.NameLength = 2;
    add(content, &entry, sizeof entry);
    add(content, L"b", 2);
    pad(content);
}

static void fill_data(unsigned type, struct content *content)
{
    REPL_START start = {{7}, 41, 1, 0};
    REPL_BASIC basic = {1, 2, 3, UINT64_MAX, 0x20, 0};
    REPL_BRACKET_INFO bracket = {ReplBracketResync, 0};

    switch (type) {
    case ReplRecordStart:
        add(content, &start, sizeof start);
        break;
    case ReplRecordCreate:
    case ReplRecordOverwrite:
    case ReplRecordFile:
        add_metadata(content);
        break;
    case ReplRecordWrite:
        add(content, "hello, world", 12);
        break;
    case ReplRecordRename:
    case ReplRecordLink:
        add(content, L"logs\\new.db", 22);
        break;
    case ReplRecordSetBasic:
        add(content, &basic, sizeof basic);
        break;
    case ReplRecordSetSecurity:
        add_security(content);
        break;
    case ReplRecordSetEa:
        add_ea(content);
        break;
    case ReplRecordSetReparse:
        add_reparse(content);
        break;
    case ReplRecordRenameStream:
        add(content, L":b", 4);
        break;
    case ReplRecordBracket:
        add(content, &bracket, sizeof bracket);
        break;
    case ReplRecordFolder:
        add_listing(content);
        break;
    default:
        break;
    }
}

static const WCHAR *name_of(unsigned type)
{
    switch (type) {
    case ReplRecordAborted:
    case ReplRecordStart:
    case ReplRecordWrite:
    case ReplRecordBracket:
    case ReplRecordLost:
        return L"";
    case ReplRecordDeleteStream:
    case ReplRecordRenameStream:
        return L":a";
    default:
        return L"shop\\a.db";
    }
}

static void header_of(unsigned type, REPL_RECORD *header)
{
    memset(header, 0, sizeof *header);
    header->Type = (UINT16)type;
    header->Sequence = 42;
    header->Epoch = 3;
    header->Time = 133000000000000000;
    header->SetId = 1;
    header->FileId[0] = 5;
    header->FileId[15] = 6;
    switch (type) {
    case ReplRecordStart:
    case ReplRecordLost:
    case ReplRecordBracket:
        header->Flags = REPL_FLAG_OPEN;
        header->Bracket = 42;
        header->SetId = 0;
        memset(header->FileId, 0, 16);
        break;
    case ReplRecordAborted:
    case ReplRecordBookmark:
        memset(header->FileId, 0, 16);
        break;
    case ReplRecordWrite:
        header->Offset = 4096;
        header->Range = 12;
        break;
    case ReplRecordSetSize:
    case ReplRecordSetAllocation:
        header->Offset = 1ull << 40;
        break;
    case ReplRecordZero:
        header->Offset = 8192;
        header->Range = 1ull << 40;
        break;
    case ReplRecordSetSecurity:
        header->Offset = 4;
        break;
    case ReplRecordSetSparse:
    case ReplRecordSetCompression:
        header->Offset = 1;
        break;
    case ReplRecordDeleteStream:
    case ReplRecordRenameStream:
        header->Flags = REPL_FLAG_STREAM;
        break;
    case ReplRecordFolder:
        header->Flags = REPL_FLAG_DIRECTORY;
        break;
    default:
        break;
    }
}

static unsigned characters(const WCHAR *name)
{
    unsigned count = 0;

    while (name[count] != 0)
        count++;
    return count;
}

static REPL_RECORD *make(const REPL_RECORD *header, const void *name, const void *data)
{
    ULONG bytes = RplRecordBytes(header->NameLength, header->DataLength);
    REPL_RECORD *record = malloc(bytes);

    memset(record, 0xAA, bytes);
    memcpy(RplRecordBegin(record, header, name), data, header->DataLength);
    RplRecordEnd(record, bytes, header->NameLength, header->DataLength);
    return record;
}

REPL_RECORD *sample(unsigned type)
{
    const WCHAR *name = name_of(type);
    struct content content = {0};
    REPL_RECORD header;

    header_of(type, &header);
    fill_data(type, &content);
    header.NameLength = 2 * characters(name);
    header.DataLength = content.bytes;
    return make(&header, name, content.data);
}

void sample_seal(REPL_RECORD *record)
{
    record->DataChecksum =
        RplCrc32c(0, RplRecordDataOf(record, record->NameLength), record->DataLength);
    record->HeaderChecksum = RplRecordHeaderChecksumOf(record, RplRecordNameOf(record));
}

REPL_RECORD *sample_with(REPL_RECORD *record, const void *name, unsigned name_bytes,
                         const void *data, unsigned data_bytes)
{
    REPL_RECORD header = *record, *made;

    header.NameLength = name_bytes;
    header.DataLength = data_bytes;
    made = make(&header, name, data);
    free(record);
    return made;
}
