/*
 * What records of each type may say: each rule of record.h's table is broken once.
 */
#include "tap.h"

#include <ntddk.h>

#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "record.h"
#include "sample.h"

static RPL_RECORD_FAULT check(REPL_RECORD *record)
{
    ULONG length;

    sample_seal(record);
    return RplRecordCheck(record, record->Length, &length);
}

/* The sample of a type with one field changed. */
#define is_fault(type, change, fault)                                                              \
    do {                                                                                           \
        REPL_RECORD *r = sample(type);                                                             \
        change;                                                                                    \
        is_int(check(r), fault, "type %u: %s", type, #change);                                     \
        free(r);                                                                                   \
    } while (0)

NT_TEST(meaning_of_no_type)
{
    is_fault(ReplRecordDelete, r->Type = ReplRecordLost + 1, RplRecordType);
    is_fault(ReplRecordDelete, r->Type = 0xFFFF, RplRecordType);
}

/* The flags that a type may have, as a set, against a list written by hand. */
NT_TEST(meaning_flags_by_type)
{
    enum {
        ANY = 0x24E1,
        FILE = ANY | 0x10,
    };
    static const UINT16 allowed[SAMPLE_TYPES] = {
        [ReplRecordStart] = 0x20,
        [ReplRecordCreate] = FILE,
        [ReplRecordOverwrite] = FILE | 4,
        [ReplRecordWrite] = FILE | 8 | 0x100,
        [ReplRecordSetSize] = FILE,
        [ReplRecordSetAllocation] = FILE,
        [ReplRecordZero] = FILE,
        [ReplRecordRename] = ANY | 2 | 0x800 | 0x1000,
        [ReplRecordLink] = ANY | 2 | 0x800,
        [ReplRecordDelete] = ANY | 0x200,
        [ReplRecordSetBasic] = FILE,
        [ReplRecordSetSecurity] = FILE,
        [ReplRecordSetEa] = FILE,
        [ReplRecordSetReparse] = FILE,
        [ReplRecordDeleteReparse] = FILE,
        [ReplRecordSetSparse] = FILE,
        [ReplRecordSetCompression] = FILE,
        [ReplRecordDeleteStream] = FILE,
        [ReplRecordRenameStream] = FILE | 2,
        [ReplRecordFlush] = FILE,
        [ReplRecordBracket] = ANY,
        [ReplRecordFolder] = ANY,
        [ReplRecordFile] = ANY | 0x4000,
        [ReplRecordTouched] = ANY,
        [ReplRecordLost] = ANY,
    };

    for (unsigned type = 1; type < SAMPLE_TYPES; type++) {
        for (unsigned bit = 0; bit < 16; bit++) {
            UINT16 flag = (UINT16)(1 << bit);
            REPL_RECORD *record = sample(type);
            RPL_RECORD_FAULT fault;

            record->Flags |= flag;
            fault = check(record);
            if (!(allowed[type] & flag))
                is_int(fault, RplRecordFlags, "type %u, flag %x", type, flag);
            /* With some the rest of the record has to agree; OPEN and CLOSE are tested below. */
            else if (!(flag & 0x5970))
                is_int(fault, RplRecordOk, "type %u, flag %x", type, flag);
            free(record);
        }
    }
}

NT_TEST(meaning_flags_that_belong_together)
{
    is_fault(ReplRecordWrite, r->Flags = REPL_FLAG_VERIFY, RplRecordFlags);
    is_fault(ReplRecordWrite, r->Flags = REPL_FLAG_VERIFY | REPL_FLAG_SYNC, RplRecordOk);
    is_fault(ReplRecordFile, r->Flags = REPL_FLAG_COPIED, RplRecordFlags);
    is_fault(ReplRecordFile, r->Flags = REPL_FLAG_COPIED | REPL_FLAG_COPY, RplRecordOk);
    is_fault(ReplRecordBracket, r->Flags = 0, RplRecordFlags);
    is_fault(ReplRecordLost, r->Flags = 0, RplRecordFlags);
    is_fault(ReplRecordFolder, r->Flags = 0, RplRecordFlags);
    is_fault(ReplRecordDeleteStream, r->Flags = 0, RplRecordFlags);
    is_fault(ReplRecordRename, r->Flags = REPL_FLAG_ENTERED | REPL_FLAG_LEFT, RplRecordFlags);
}

NT_TEST(meaning_brackets)
{
    is_fault(ReplRecordBracket, r->Bracket = 41, RplRecordField);
    is_fault(ReplRecordBracket, r->Flags = REPL_FLAG_CLOSE, RplRecordField);
    is_fault(ReplRecordBracket, (r->Flags = REPL_FLAG_CLOSE, r->Bracket = 41), RplRecordOk);
    is_fault(ReplRecordBracket, (r->Flags = REPL_FLAG_CLOSE, r->Bracket = 0), RplRecordField);
    is_fault(ReplRecordWrite, r->Bracket = 41, RplRecordOk);
    is_fault(ReplRecordWrite, r->Bracket = 42, RplRecordField);
    is_fault(ReplRecordWrite, (r->Flags = REPL_FLAG_OPEN, r->Bracket = 42), RplRecordOk);
    is_fault(ReplRecordWrite, (r->Flags = REPL_FLAG_OPEN | REPL_FLAG_CLOSE, r->Bracket = 42),
             RplRecordField);
    is_fault(ReplRecordRename, r->Flags = REPL_FLAG_ENTERED, RplRecordField);
    is_fault(ReplRecordRename, (r->Flags = REPL_FLAG_ENTERED, r->Bracket = 7), RplRecordOk);
}

NT_TEST(meaning_numbers)
{
    for (unsigned type = 1; type < SAMPLE_TYPES; type++) {
        is_fault(type, (r->Sequence = 0, r->Bracket = 0), RplRecordField);
        is_fault(type, r->Epoch = 0, RplRecordField);
        is_fault(type, r->Time = 0, RplRecordField);
        is_fault(type, r->Time = UINT64_MAX, RplRecordField);
        is_fault(type, r->SetId = 0xFFFFFFFF, RplRecordField);
    }
    is_fault(ReplRecordWrite, r->SetId = 0, RplRecordField);
    is_fault(ReplRecordWrite, memset(r->FileId, 0, 16), RplRecordField);
    is_fault(ReplRecordAborted, r->FileId[9] = 1, RplRecordField);
    is_fault(ReplRecordStart, r->SetId = 1, RplRecordField);
    is_fault(ReplRecordFlush, (r->SetId = 0, memset(r->FileId, 0, 16)), RplRecordOk);
}

NT_TEST(meaning_offsets_and_ranges)
{
    is_fault(ReplRecordWrite, r->Range = 11, RplRecordField);
    is_fault(ReplRecordWrite, r->Range = 13, RplRecordField);
    is_fault(ReplRecordWrite, (r->Flags = REPL_FLAG_SYNC, r->Range = 13), RplRecordOk);
    is_fault(ReplRecordWrite, r->Offset = MAXLONGLONG - 12, RplRecordOk);
    is_fault(ReplRecordWrite, r->Offset = MAXLONGLONG - 11, RplRecordField);
    is_fault(ReplRecordWrite, r->Offset = UINT64_MAX, RplRecordField);
    is_fault(ReplRecordSetSize, r->Offset = MAXLONGLONG, RplRecordOk);
    is_fault(ReplRecordSetSize, r->Offset = 1ull << 63, RplRecordField);
    is_fault(ReplRecordSetSize, r->Range = 1, RplRecordField);
    is_fault(ReplRecordZero, r->Range = 0, RplRecordField);
    is_fault(ReplRecordZero, r->Range = MAXLONGLONG, RplRecordField);
    is_fault(ReplRecordDelete, r->Offset = 1, RplRecordField);
    is_fault(ReplRecordSetSecurity, r->Offset = 0, RplRecordField);
    is_fault(ReplRecordSetSecurity, r->Offset = 1ull << 32, RplRecordField);
    is_fault(ReplRecordSetSparse, r->Offset = 2, RplRecordField);
    is_fault(ReplRecordSetCompression, r->Offset = 0x10000, RplRecordField);
}

NT_TEST(meaning_names)
{
    static const struct {
        const WCHAR *name;
        bool path, component, stream;
    } cases[] = {
        {L"", false, false, false},       {L"a", true, true, false},
        {L"a\\b", true, false, false},    {L"\\a", false, false, false},
        {L"a\\", false, false, false},    {L"a\\\\b", false, false, false},
        {L".", false, false, false},      {L"..", false, false, false},
        {L"...", true, true, false},      {L"..a", true, true, false},
        {L"a\\..", false, false, false},  {L"a\\..\\b", false, false, false},
        {L"..\\b", false, false, false},  {L"a\\.\\b", false, false, false},
        {L"a/b", false, false, false},    {L"a:b", false, false, false},
        {L"a:b\\c", false, false, false}, {L":", false, false, false},
        {L":a", false, false, true},      {L":.", false, false, true},
        {L":a:", false, false, false},    {L":a\\b", false, false, false},
        {L"*.db?", true, true, false},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned bytes = 0;

        while (cases[i].name[bytes / 2] != 0)
            bytes += 2;
        is_int(RplContentIsPath(cases[i].name, bytes), cases[i].path, "case %u", i);
        is_int(RplContentIsComponent(cases[i].name, bytes), cases[i].component, "case %u", i);
        is_int(RplContentIsStream(cases[i].name, bytes), cases[i].stream, "case %u", i);
    }
    ok(!RplContentIsPath(L"ab", 3), "odd");
    ok(!RplContentIsPath(L"a\0b", 6), "a zero");
    ok(!RplContentIsStream(L":\0b", 6), "a zero");
}

NT_TEST(meaning_names_by_type)
{
    enum { NONE = 1, PATH = 2, STREAM = 4, LABEL = 8 };
    static const uint8_t may[SAMPLE_TYPES] = {
        [ReplRecordAborted] = NONE,
        [ReplRecordStart] = NONE,
        [ReplRecordCreate] = PATH,
        [ReplRecordRename] = PATH,
        [ReplRecordLink] = PATH,
        [ReplRecordDelete] = PATH,
        [ReplRecordDeleteStream] = STREAM,
        [ReplRecordRenameStream] = STREAM,
        [ReplRecordBookmark] = NONE | PATH | STREAM | LABEL,
        [ReplRecordBracket] = NONE,
        [ReplRecordLost] = NONE,
    };
    static const struct {
        unsigned bit;
        const WCHAR *name;
        unsigned bytes;
    } names[] = {{NONE, L"", 0}, {PATH, L"a\\b", 6}, {STREAM, L":a", 4}, {LABEL, L"a:\\b", 8}};

    for (unsigned type = 1; type < SAMPLE_TYPES; type++) {
        unsigned allowed = may[type] ? may[type] : NONE | PATH;

        for (unsigned i = 0; i < 4; i++) {
            REPL_RECORD *r = sample(type);
            uint8_t *data = malloc(r->DataLength + 1u);
            unsigned bytes = r->DataLength;

            memcpy(data, RplRecordDataOf(r, r->NameLength), bytes);
            r = sample_with(r, names[i].name, names[i].bytes, data, bytes);
            is_int(check(r), allowed & names[i].bit ? RplRecordOk : RplRecordName,
                   "type %u, name %u", type, i);
            free(r);
            free(data);
        }
    }
}

/* Data of another length than the type's: shorter and longer by each few bytes. */
NT_TEST(meaning_data_has_its_length)
{
    for (unsigned type = 1; type < SAMPLE_TYPES; type++) {
        REPL_RECORD *good = sample(type);
        unsigned bytes = good->DataLength;

        for (unsigned other = 0; other <= bytes + 16; other++) {
            REPL_RECORD *r = sample(type);
            uint8_t *data = calloc(1, bytes + 32);
            RPL_RECORD_FAULT fault;

            memcpy(data, RplRecordDataOf(good, good->NameLength), bytes);
            r = sample_with(r, RplRecordNameOf(good), good->NameLength, data, other);
            fault = check(r);
            if (other == bytes)
                is_int(fault, RplRecordOk);
            else if (type == ReplRecordWrite)
                is_int(fault, RplRecordField);
            /* Spare bytes behind a descriptor or an EA list do no harm, nor does a listing end
             * between two entries; a shorter path is a path. */
            else if (other < bytes && type != ReplRecordFolder && type != ReplRecordRename &&
                     type != ReplRecordLink)
                is_int(fault, RplRecordData, "type %u, %u of %u", type, other, bytes);
            else if (other > bytes && type != ReplRecordSetSecurity && type != ReplRecordSetEa)
                is_int(fault, RplRecordData, "type %u, %u of %u", type, other, bytes);
            free(r);
            free(data);
        }
        free(good);
    }
}

#define is_bad_data(type, at, value)                                                               \
    do {                                                                                           \
        REPL_RECORD *r = sample(type);                                                             \
        RplRecordDataOf(r, r->NameLength)[at] = value;                                             \
        is_int(check(r), RplRecordData, "type %u, byte %u = %u", type, (unsigned)(at), value);     \
        free(r);                                                                                   \
    } while (0)

NT_TEST(meaning_of_structures)
{
    is_bad_data(ReplRecordStart, 16, 42);   /* Previous */
    is_bad_data(ReplRecordStart, 24, 2);    /* Unclean */
    is_bad_data(ReplRecordStart, 28, 1);    /* Reserved */
    is_bad_data(ReplRecordBracket, 0, 0);   /* Reason */
    is_bad_data(ReplRecordBracket, 0, 8);   /* Reason */
    is_bad_data(ReplRecordBracket, 4, 1);   /* Reserved */
    is_bad_data(ReplRecordSetBasic, 36, 1); /* Reserved */
    is_fault(ReplRecordStart, (r->Flags = 0, r->Bracket = 0), RplRecordData);
}

NT_TEST(meaning_of_metadata)
{
    is_bad_data(ReplRecordCreate, 36, 1);          /* Reserved */
    is_bad_data(ReplRecordCreate, 47, 0x80);       /* Size */
    is_bad_data(ReplRecordCreate, 55, 0x80);       /* Allocation */
    is_bad_data(ReplRecordCreate, 60, 255);        /* SecurityLength */
    is_bad_data(ReplRecordCreate, 63, 255);        /* of 4 GB */
    is_bad_data(ReplRecordCreate, 64, 0);          /* EaLength */
    is_bad_data(ReplRecordCreate, 68, 14);         /* ReparseLength */
    is_bad_data(ReplRecordCreate, 72 + 68 + 3, 1); /* padding of the descriptor */
    is_bad_data(ReplRecordCreate, 72, 2);          /* Revision of the descriptor */
    is_bad_data(ReplRecordCreate, 72 + 72, 2);     /* Next of the first EA */
    is_bad_data(ReplRecordFolder, 44, 0);          /* NameLength */
    is_bad_data(ReplRecordFolder, 44, 9);          /* odd */
    is_bad_data(ReplRecordFolder, 47, 255);        /* huge */
    is_bad_data(ReplRecordFolder, 0, 0);           /* FileId */
    is_bad_data(ReplRecordFolder, 48, '\\');       /* a path */
    is_bad_data(ReplRecordFolder, 63, 1);          /* padding */
}

NT_TEST(meaning_of_security_ea_and_reparse)
{
    is_bad_data(ReplRecordSetSecurity, 0, 2);       /* Revision */
    is_bad_data(ReplRecordSetSecurity, 3, 0);       /* not self-relative */
    is_bad_data(ReplRecordSetSecurity, 4, 8);       /* owner inside of the header */
    is_bad_data(ReplRecordSetSecurity, 4, 64);      /* owner beyond the end */
    is_bad_data(ReplRecordSetSecurity, 7, 0xFF);    /* far beyond */
    is_bad_data(ReplRecordSetSecurity, 20, 2);      /* revision of the SID */
    is_bad_data(ReplRecordSetSecurity, 21, 16);     /* subauthorities */
    is_bad_data(ReplRecordSetSecurity, 36 + 2, 36); /* length of the ACL */
    is_bad_data(ReplRecordSetSecurity, 36 + 2, 4);
    is_bad_data(ReplRecordSetSecurity, 36 + 4, 2);   /* entries of the ACL */
    is_bad_data(ReplRecordSetSecurity, 36 + 10, 28); /* length of the entry */
    is_bad_data(ReplRecordSetSecurity, 36 + 10, 0);
    is_bad_data(ReplRecordSetSecurity, 16, 37); /* alignment of the ACL */
    is_bad_data(ReplRecordSetEa, 0, 12);        /* Next: inside of the first */
    is_bad_data(ReplRecordSetEa, 0, 18);        /* alignment */
    is_bad_data(ReplRecordSetEa, 0, 28);        /* nothing there */
    is_bad_data(ReplRecordSetEa, 3, 0xFF);
    is_bad_data(ReplRecordSetEa, 5, 0);         /* no name */
    is_bad_data(ReplRecordSetEa, 10, 'x');      /* no zero after it */
    is_bad_data(ReplRecordSetEa, 16 + 6, 3);    /* value */
    is_bad_data(ReplRecordSetReparse, 4, 4);    /* length */
    is_bad_data(ReplRecordSetReparse, 3, 0x20); /* somebody's tag needs a GUID */
}

NT_TEST(meaning_of_renames)
{
    REPL_RECORD *r = sample(ReplRecordRename);

    r->Flags = REPL_FLAG_LEFT;
    r = sample_with(r, L"a", 2, L"b", 2);
    is_int(check(r), RplRecordData);
    r = sample_with(r, L"a", 2, L"", 0);
    is_int(check(r), RplRecordOk);
    r->Flags = REPL_FLAG_ENTERED;
    r->Bracket = 7;
    r = sample_with(r, L"", 0, L"b", 2);
    is_int(check(r), RplRecordOk);
    r->Flags = 0;
    is_int(check(r), RplRecordName);
    r->Flags = REPL_FLAG_REPLACE;
    r = sample_with(r, L"a", 2, L"b\\", 4);
    is_int(check(r), RplRecordData);
    free(r);
}
