/*
 * libFuzzer on a dirty-region log's file: a good image with the input's patches in it, checksums
 * made right again where the first byte says so. Whatever is in it: it opens or not; where it does,
 * a bit that is durable is still there after a crash, bits may be cleared, and it closes clean.
 */
#include <nthost/nthost.h>
#include <nthost/sched.h>
#include <ntddk.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "disk.h"
#include "regionlog.h"

#define PARTS 3
#define BYTES (RPL_REGION_LOG_SECTORS(PARTS) * RPL_SECTOR)

/* regiondisk.c, struct RPL_REGION_SUPER and RPL_REGION_SECTOR */
#define SUPER_BYTES   64
#define SUPER_CHECK   60
#define SECTOR_CHECK  28
#define SECTOR_HEADER 32

static struct disk disk;
static RPL_STORAGE io = {disk_read, disk_write, disk_flush, &disk};
static RPL_REGION_LOG region_log;
static UCHAR *memory, *image;
static const UINT8 files[2][16] = {{1, 2, 3}, {9, 9, 9, 9}};

static void check(int condition)
{
    if (!condition)
        abort();
}

static void touch(const UINT8 *file, UINT64 offset)
{
    UINT64 ticket = RplRegionLogTouch(&region_log, file, offset, 1);

    check(RplRegionLogSync(&region_log, FALSE) == STATUS_SUCCESS);
    check(ticket == 0 || RplRegionLogIsDurable(&region_log, ticket));
}

static void make_image(void)
{
    static const UINT8 id[16] = "fuzz", secret[16] = "nobody knows";
    const struct nt_options options = {.scheduler = NT_DETERMINISTIC, .seed = 1, .processors = 1};

    nt_start(&options);
    nt_enter();

    memory = aligned_alloc(RPL_SECTOR, (RplRegionLogBytes(PARTS) + 4095) / 4096 * 4096);
    disk_new(&disk, BYTES);
    RplCrc32cInitialize();
    check(RplRegionLogFormat(&region_log, &io, PARTS, id, secret, memory) == STATUS_SUCCESS);
    for (unsigned i = 0; i < 40; i++)
        touch(files[0], i * (UINT64)REPL_REGION_BYTES);
    image = malloc(BYTES);
    memcpy(image, disk.current, BYTES);
}

static void mend_at(UCHAR *at, ULONG bytes, ULONG checksum)
{
    UINT32 crc = 0;

    memcpy(at + checksum, &crc, 4);
    crc = RplCrc32c(0, at, bytes);
    memcpy(at + checksum, &crc, 4);
}

static void mend(void)
{
    for (unsigned sector = 0; sector < RPL_REGION_LOG_SECTORS(PARTS); sector++)
        mend_at(disk.current + sector * RPL_SECTOR, sector < 2 ? SUPER_BYTES : RPL_SECTOR,
                sector < 2 ? SUPER_CHECK : SECTOR_CHECK);
}

static void ask(void)
{
    RPL_REGION_COUNTS counts;
    ULONG bit = 0, last = 0, bits = 0;

    RplRegionLogCount(&region_log, &counts);
    check(counts.Bits == PARTS * RPL_REGION_PART_BITS && counts.Set <= counts.Bits &&
          counts.Crash <= counts.Bits);
    while (bits < 100 && RplRegionLogNextCrash(&region_log, &bit)) {
        check((bits == 0 || bit > last) && bit < counts.Bits);
        last = bit++;
        bits++;
    }
    check(counts.EverythingCrash || bits == (counts.Crash < 100 ? counts.Crash : 100));
}

static void use(bool spoiled)
{
    check(!spoiled ? region_log.Unclean : true);
    for (unsigned i = 0; i < 40 && !spoiled; i++)
        check(RplRegionLogCrashed(&region_log, files[0], i * (UINT64)REPL_REGION_BYTES));
    ask();
    touch(files[1], 5 * (UINT64)REPL_REGION_BYTES);
    disk_flush(&disk);
    /* The power fails. */
    check(RplRegionLogOpen(&region_log, &io, PARTS, memory) == STATUS_SUCCESS);
    check(region_log.Unclean);
    check(RplRegionLogCrashed(&region_log, files[1], 5 * (UINT64)REPL_REGION_BYTES));
    ask();
    RplRegionLogForgetCrash(&region_log);
    RplRegionLogAge(&region_log, 10, 10);
    RplRegionLogAge(&region_log, 20, 20);
    RplRegionLogAge(&region_log, 30, 30);
    check(RplRegionLogSync(&region_log, TRUE) == STATUS_SUCCESS);
    check(RplRegionLogClose(&region_log) == STATUS_SUCCESS);
    check(RplRegionLogOpen(&region_log, &io, PARTS, memory) == STATUS_SUCCESS);
    check(!region_log.Unclean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t how;
    bool spoiled = false;

    if (!image)
        make_image();
    if (size == 0)
        return 0;
    memcpy(disk.current, image, BYTES);
    how = *data++, size--;
    while (size >= 4) {
        uint32_t sector = data[0] % RPL_REGION_LOG_SECTORS(PARTS);
        uint32_t offset = data[1] | data[2] << 8, bytes = data[3] % 32;

        data += 4, size -= 4;
        if (bytes > size)
            bytes = (uint32_t)size;
        offset %= how & 2 ? SECTOR_HEADER + 32 : RPL_SECTOR - 32; /* mostly headers */
        memcpy(disk.current + sector * RPL_SECTOR + offset, data, bytes);
        spoiled |= memcmp(disk.current, image, BYTES) != 0;
        data += bytes, size -= bytes;
    }
    if (how & 1)
        mend();
    disk_flush(&disk);
    if (RplRegionLogOpen(&region_log, &io, PARTS, memory) == STATUS_SUCCESS)
        use(spoiled);
    disk_flush(&disk);
    return 0;
}
