/*
 * Records: written, read back, and damaged in every way that the contract rules out.
 */
#include "tap.h"

#include <ntddk.h>

#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "record.h"
#include "sample.h"

static RPL_RECORD_FAULT check(const REPL_RECORD *record)
{
    ULONG length;

    return RplRecordCheck(record, record->Length, &length);
}

NT_TEST(record_of_each_type_is_valid)
{
    for (unsigned type = 1; type < SAMPLE_TYPES; type++) {
        REPL_RECORD *record = sample(type);
        ULONG length;

        is_int(RplRecordCheck(record, record->Length, &length), RplRecordOk, "type %u", type);
        is_int(length, record->Length);
        ok(!RplRecordIsPad(record));
        free(record);
    }
}

/* Byte for byte, so that a change of the layout does not go unseen. */
NT_TEST(record_layout)
{
    static const uint8_t expected[] = {
        'R',  'P',  'L',  'R',  128, 0,   0,   0,    5,    0,    0,    4,
        0,    0,    0,    0, /* Write, WRITE_THROUGH */
        0x2A, 0,    0,    0,    0,   0,   0,   0,    3,    0,    0,    0,
        0,    0,    0,    0, /* Sequence, Epoch */
        8,    7,    6,    5,    4,   3,   2,   1,    0x11, 0x12, 0x13, 0x14,
        0,    0,    0,    0, /* Time, FileId */
        0,    0,    0,    0,    0,   0,   0,   0x20, 9,    0,    0,    0,
        4,    0,    0,    0, /* SetId, NameLength */
        0,    16,   0,    0,    0,   0,   0,   0,    9,    0,    0,    0,
        0,    0,    0,    0,                                              /* Offset, Range */
        0,    0,    0,    0,    0,   0,   0,   0,    9,    0,    0,    0, /* Bracket, DataLength */
        0x83, 0x92, 0x06, 0xE3,                                           /* "123456789" */
        0,    0,    0,    0,    0,   0,   0,   0,    'a',  0,    'b',  0,
        0,    0,    0,    0, /* HeaderChecksum comes below */
        '1',  '2',  '3',  '4',  '5', '6', '7', '8',  '9',  0,    0,    0,
        0,    0,    0,    0};
    REPL_RECORD header = {.Type = ReplRecordWrite,
                          .Flags = REPL_FLAG_WRITE_THROUGH,
                          .Sequence = 42,
                          .Epoch = 3,
                          .Time = 0x0102030405060708,
                          .FileId = {0x11, 0x12, 0x13, 0x14, [15] = 0x20},
                          .SetId = 9,
                          .NameLength = 4,
                          .Offset = 4096,
                          .Range = 9,
                          .DataLength = 9};
    uint8_t all[128], name_and_header[108];
    UINT32 checksum;

    is_int(sizeof expected, RplRecordBytes(4, 9));
    memset(all, 0xFF, sizeof all);
    memcpy(RplRecordBegin((REPL_RECORD *)all, &header, L"ab"), "123456789", 9);
    is_int(RplRecordEnd((REPL_RECORD *)all, sizeof all, 4, 9), sizeof all);
    memcpy(name_and_header, expected, 108);
    checksum = RplCrc32c(0, name_and_header, 108);
    is_mem(all, expected, 96);
    is_mem(all + 96, &checksum, 4);
    is_mem(all + 100, expected + 100, sizeof all - 100);
}

NT_TEST(record_shorter_than_its_room_leaves_a_pad)
{
    static const unsigned shorter[] = {4096, 4095, 4088, 4087, 4080, 100, 1, 0};

    for (unsigned i = 0; i < sizeof shorter / sizeof *shorter; i++) {
        REPL_RECORD header = {.Type = ReplRecordWrite,
                              .Sequence = 1,
                              .Epoch = 1,
                              .Time = 1,
                              .FileId = {1},
                              .SetId = 1,
                              .DataLength = 4096};
        ULONG room = RplRecordBytes(0, 4096), length, used;
        REPL_RECORD *record = malloc(room);

        memset(record, 0xEE, room);
        memset(RplRecordBegin(record, &header, NULL), 0x77, 4096);
        record->Range = shorter[i];
        used = RplRecordEnd(record, room, 0, shorter[i]);
        is_int(used, RplRecordBytes(0, shorter[i]));
        is_int(RplRecordCheck(record, room, &length), RplRecordOk, "%u bytes", shorter[i]);
        is_int(length, used);
        is_int(record->DataLength, shorter[i]);
        if (used < room) {
            REPL_RECORD *pad = (REPL_RECORD *)((char *)record + used);

            is_int(RplRecordCheck(pad, room - used, &length), RplRecordOk, "%u", shorter[i]);
            is_int(length, room - used);
            ok(RplRecordIsPad(pad));
        }
        free(record);
    }
}

NT_TEST(record_aborted)
{
    REPL_RECORD *record = sample(ReplRecordRename), *pad;
    ULONG room = record->Length, length;

    is_int(RplRecordAbort(record, room), sizeof *record);
    is_int(RplRecordCheck(record, room, &length), RplRecordOk);
    is_int(length, sizeof *record);
    is_int(record->Type, ReplRecordAborted);
    is_int(record->Sequence, 42);
    pad = record + 1;
    is_int(RplRecordCheck(pad, room - length, &length), RplRecordOk);
    is_int(length, room - sizeof *record);
    free(record);
}

/* Sizes that somebody else wrote into the record meanwhile lead nowhere. */
NT_TEST(record_end_believes_its_caller_only)
{
    REPL_RECORD *record = sample(ReplRecordCreate);
    ULONG room = record->Length, name = record->NameLength, data = record->DataLength;

    record->Length = record->NameLength = record->DataLength = 0x7FFFFFF8;
    record->Magic = 0;
    is_int(RplRecordEnd(record, room, name, data), room);
    is_int(check(record), RplRecordOk);
    free(record);
}

NT_TEST(record_any_bit_that_flips_is_noticed)
{
    for (unsigned type = 1; type < SAMPLE_TYPES; type++) {
        REPL_RECORD *record = sample(type);
        uint8_t *bytes = (uint8_t *)record;
        ULONG all = record->Length, length;
        unsigned missed = 0;

        for (unsigned bit = 0; bit < 8 * all; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (RplRecordCheckFrame(record, all, &length) == RplRecordOk && !RplRecordIsPad(record))
                missed++;
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        is_int(missed, 0, "type %u", type);
        free(record);
    }
}

NT_TEST(record_that_is_cut_off)
{
    for (unsigned type = 1; type < SAMPLE_TYPES; type++) {
        REPL_RECORD *record = sample(type);

        for (ULONG available = 0; available < record->Length; available++) {
            REPL_RECORD *part = malloc(available ? available : 1);
            ULONG length;

            memcpy(part, record, available);
            is_int(RplRecordCheck(part, available, &length), RplRecordTruncated);
            is_int(length, 0);
            free(part);
        }
        free(record);
    }
}

NT_TEST(record_pads)
{
    for (ULONG bytes = 8; bytes <= 128; bytes += 8) {
        uint8_t *memory = malloc(bytes);
        ULONG length;

        memset(memory, 0xAB, bytes);
        RplRecordPad(memory, bytes);
        is_int(RplRecordCheck(memory, bytes, &length), RplRecordOk, "%u bytes", bytes);
        is_int(length, bytes);
        ok(RplRecordIsPad((REPL_RECORD *)memory));
        is_int(RplRecordCheck(memory, bytes - 1, &length), RplRecordTruncated);
        if (bytes > 8) {
            memory[10] = 1;
            is_int(RplRecordCheck(memory, bytes, &length), RplRecordPadding);
        }
        free(memory);
    }
}

NT_TEST(record_lengths_must_agree)
{
    static const UINT32 lengths[] = {0, 4, 9, 104, 112, 128, 136, 0x7FFFFFF8, 0xFFFFFFF8};
    ULONG length;

    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        REPL_RECORD *record = sample(ReplRecordDelete);
        ULONG all = record->Length;

        if (lengths[i] == all) {
            free(record);
            continue;
        }
        record->Length = lengths[i];
        sample_seal(record);
        is_int(RplRecordCheck(record, all, &length), RplRecordLength, "%u", lengths[i]);
        record->Length = all;
        record->NameLength = 0xFFFFFFF8 + i % 8;
        is_int(RplRecordCheck(record, all, &length), RplRecordLength);
        record->NameLength = 18;
        record->DataLength = 0xFFFFFFF8 + i % 8;
        is_int(RplRecordCheck(record, all, &length), RplRecordLength);
        free(record);
    }
}

/* Limits of data: a listing may be long, the rest may not. */
NT_TEST(record_lengths_have_limits)
{
    REPL_RECORD *record = sample(ReplRecordWrite);
    void *data = calloc(1, REPL_MAX_DATA + 1);

    record->Range = REPL_MAX_DATA;
    record = sample_with(record, "", 0, data, REPL_MAX_DATA);
    is_int(check(record), RplRecordOk);
    record->Range = REPL_MAX_DATA + 1;
    record = sample_with(record, "", 0, data, REPL_MAX_DATA + 1);
    is_int(check(record), RplRecordLength);
    record->Type = ReplRecordFolder;
    record = sample_with(record, "", 0, data, REPL_MAX_DATA + 1);
    ok(check(record) != RplRecordLength);
    free(record);
    free(data);
}

NT_TEST(record_padding_is_zero)
{
    REPL_RECORD *record = sample(ReplRecordDelete); /* 18 bytes of name, 6 of padding */
    ULONG length;

    ((uint8_t *)(record + 1))[23] = 1;
    is_int(check(record), RplRecordPadding);
    ((uint8_t *)(record + 1))[23] = 0;
    record->State = 1;
    is_int(check(record), RplRecordPadding, "which the checksum does not see");
    record->State = 0;
    record->Reserved = 1;
    is_int(RplRecordCheck(record, record->Length, &length), RplRecordHeaderChecksum);
    sample_seal(record);
    is_int(check(record), RplRecordPadding);
    free(record);
    record = sample(ReplRecordWrite); /* 12 bytes of data, 4 of padding */
    ((uint8_t *)(record + 1))[15] = 1;
    is_int(check(record), RplRecordPadding);
    free(record);
}
