/*
 * libFuzzer on records from a disk or a peer. What passes must hold together: lengths inside of the
 * input, and the same record built again from its parts is the same bytes. With an odd first byte
 * the checksums are made right first, so that the fuzzer gets past them.
 */
#include <ntddk.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "record.h"
#include "sample.h"

static void check(int condition)
{
    if (!condition)
        abort();
}

static void mend(REPL_RECORD *record, size_t available)
{
    ULONG length;

    if (available < sizeof *record)
        return;
    record->Magic = REPL_RECORD_MAGIC;
    record->State = record->Reserved = 0;
    if (record->NameLength > 4096 || record->DataLength > 4096)
        return;
    record->Length = RplRecordBytes(record->NameLength, record->DataLength);
    if (record->Length > available)
        return;
    memset(RplRecordNameOf(record) + record->NameLength, 0, -record->NameLength & 7);
    memset(RplRecordDataOf(record, record->NameLength) + record->DataLength, 0,
           -record->DataLength & 7);
    sample_seal(record);
    RplRecordCheckFrame(record, available, &length);
}

static void rebuild(const REPL_RECORD *record)
{
    REPL_RECORD *copy = malloc(record->Length);

    memcpy(RplRecordBegin(copy, record, RplRecordNameOf(record)),
           RplRecordDataOf(record, record->NameLength), record->DataLength);
    check(RplRecordEnd(copy, record->Length, record->NameLength, record->DataLength) ==
          record->Length);
    check(memcmp(copy, record, record->Length) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 1;

    RplCrc32cInitialize();
    while (at < size) {
        size_t available = size - at;
        uint8_t *memory = malloc(available);
        ULONG length;
        RPL_RECORD_FAULT fault;

        memcpy(memory, data + at, available);
        if (data[0] & 1)
            mend((REPL_RECORD *)memory, available);
        fault = RplRecordCheck(memory, available, &length);
        check(length % 8 == 0 && length <= available);
        if (fault == RplRecordOk) {
            check(length != 0);
            if (!RplRecordIsPad((REPL_RECORD *)memory))
                rebuild((REPL_RECORD *)memory);
        }
        free(memory);
        if (length == 0)
            break;
        at += length;
    }
    return 0;
}
