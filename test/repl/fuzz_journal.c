/*
 * libFuzzer on a journal file: a good image with the input's patches in it, checksums made right
 * again where the first byte says so. Whatever is in it: it opens or not, reading ends, what is
 * read are whole records, and it still takes a batch.
 */
#include <ntddk.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "disk.h"
#include "journaldisk.h"
#include "record.h"

#define BYTES RPL_JOURNAL_MIN_BYTES

static struct disk disk;
static RPL_JOURNAL journal;
static RPL_STORAGE io = {disk_read, disk_write, disk_flush, &disk};
static UCHAR *scratch, *buffer, *image;

static void check(int condition)
{
    if (!condition)
        abort();
}

static ULONG put_record(UCHAR *at, UINT64 sequence, ULONG size)
{
    REPL_RECORD header = {.Type = ReplRecordWrite, .Sequence = sequence, .DataLength = size};

    memset(RplRecordBegin((REPL_RECORD *)at, &header, NULL), 0x55, size);
    return RplRecordEnd((REPL_RECORD *)at, RplRecordBytes(0, size), 0, size);
}

static NTSTATUS append(UINT64 sequence, ULONG size)
{
    return RplJournalAppend(&journal, buffer,
                            put_record(buffer + sizeof(RPL_JOURNAL_BATCH), sequence, size),
                            sequence, sequence);
}

static void make_image(void)
{
    static const UINT8 id[16] = "fuzz";

    scratch = aligned_alloc(4096, RPL_JOURNAL_MAX_BATCH);
    buffer = aligned_alloc(4096, RPL_JOURNAL_MAX_BATCH);
    disk_new(&disk, BYTES);
    RplCrc32cInitialize();
    check(RplJournalFormat(&journal, &io, BYTES, id, id, scratch) == STATUS_SUCCESS);
    for (UINT64 sequence = 1; sequence < 12; sequence++)
        check(append(sequence, 5000 * (ULONG)sequence % 9000) == STATUS_SUCCESS);
    check(RplJournalTrim(&journal, 4) == STATUS_SUCCESS);
    check(RplJournalClose(&journal) == STATUS_SUCCESS);
    image = malloc(BYTES);
    memcpy(image, disk.current, BYTES);
}

static void mend(void)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        RPL_JOURNAL_SUPER *super = (RPL_JOURNAL_SUPER *)(disk.current + slot * RPL_SECTOR);

        super->Checksum = 0;
        super->Checksum = RplCrc32c(0, super, sizeof *super);
    }
    for (uint64_t at = RPL_JOURNAL_DATA; at < BYTES; at += RPL_SECTOR) {
        RPL_JOURNAL_BATCH *batch = (RPL_JOURNAL_BATCH *)(disk.current + at);

        if (batch->Bytes > BYTES - at - sizeof *batch)
            continue;
        batch->Checksum = 0;
        batch->Checksum = RplCrc32c(RplCrc32c(0, batch, sizeof *batch), batch + 1, batch->Bytes);
    }
}

static void read_all(UINT64 after)
{
    RPL_JOURNAL_CURSOR cursor;
    const UCHAR *records;
    ULONG bytes, length;

    if (RplJournalSeek(&journal, after, &cursor) != STATUS_SUCCESS)
        return;
    while (RplJournalRead(&journal, &cursor, buffer, RPL_JOURNAL_MAX_BATCH, &records, &bytes) ==
           STATUS_SUCCESS)
        for (ULONG at = 0; at < bytes; at += length)
            check(RplRecordCheckFrame(records + at, bytes - at, &length) == RplRecordOk);
    check(RplJournalUsed(&journal) <= journal.DataBytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t how;

    if (!image)
        make_image();
    if (size == 0)
        return 0;
    memcpy(disk.current, image, BYTES);
    how = *data++, size--;
    while (size >= 4) {
        uint32_t sector = data[0] % (BYTES / RPL_SECTOR), offset = data[1] | data[2] << 8;
        uint32_t bytes = data[3] % 32;

        data += 4, size -= 4;
        if (bytes > size)
            bytes = (uint32_t)size;
        offset %= how & 2 ? 180 : RPL_SECTOR - 32; /* mostly headers */
        memcpy(disk.current + sector * RPL_SECTOR + offset, data, bytes);
        data += bytes, size -= bytes;
    }
    if (how & 1)
        mend();
    if (RplJournalOpen(&journal, &io, BYTES, scratch) == STATUS_SUCCESS) {
        NTSTATUS status;

        read_all(0);
        read_all(journal.Last - 1);
        RplJournalTrim(&journal, journal.First + 2);
        check(RplJournalUsed(&journal) <= journal.DataBytes);
        status = append(journal.Last + 1, 3000);
        check(status == STATUS_SUCCESS || status == STATUS_DISK_FULL ||
              status == STATUS_INVALID_PARAMETER);
        read_all(0);
    }
    disk_flush(&disk);
    return 0;
}
