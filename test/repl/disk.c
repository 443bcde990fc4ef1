/*
 * A disk in memory that loses power: see disk.h.
 */
#include "disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void disk_new(struct disk *disk, size_t bytes)
{
    memset(disk, 0, sizeof *disk);
    disk->bytes = bytes;
    disk->flushed = calloc(1, bytes);
    disk->current = calloc(1, bytes);
    disk->last = &disk->writes;
    disk->cut = UINT64_MAX;
}

static void forget_writes(struct disk *disk)
{
    while (disk->writes != NULL) {
        struct disk_write *write = disk->writes;

        disk->writes = write->next;
        free(write->data);
        free(write);
    }
    disk->last = &disk->writes;
}

void disk_free(struct disk *disk)
{
    forget_writes(disk);
    free(disk->flushed);
    free(disk->current);
}

static void check(const struct disk *disk, UINT64 offset, const void *data, ULONG bytes)
{
    if (offset % 4096 || bytes % 4096 || bytes == 0 || (uintptr_t)data % 4096 ||
        offset > disk->bytes || bytes > disk->bytes - offset) {
        fprintf(stderr, "bad access: %u bytes at %llu, memory %p\n", bytes,
                (unsigned long long)offset, data);
        abort();
    }
}

/* Takes so much of what is to be written as there is power for. */
static uint64_t power(struct disk *disk, uint64_t wanted)
{
    uint64_t left = disk->cut - disk->written;

    if (wanted > left) {
        disk->dead = true;
        wanted = left;
    }
    disk->written += wanted;
    return wanted;
}

NTSTATUS disk_read(void *context, UINT64 offset, void *data, ULONG bytes)
{
    struct disk *disk = context;

    check(disk, offset, data, bytes);
    if (disk->dead)
        return STATUS_DEVICE_NOT_CONNECTED;
    memcpy(data, disk->current + offset, bytes);
    return STATUS_SUCCESS;
}

NTSTATUS disk_write(void *context, UINT64 offset, const void *data, ULONG bytes)
{
    struct disk *disk = context;
    struct disk_write *write;

    check(disk, offset, data, bytes);
    if (disk->dead)
        return STATUS_DEVICE_NOT_CONNECTED;
    write = malloc(sizeof *write);
    write->offset = offset;
    write->bytes = (uint32_t)power(disk, bytes);
    write->data = malloc(bytes);
    memcpy(write->data, data, write->bytes);
    write->next = NULL;
    *disk->last = write;
    disk->last = &write->next;
    memcpy(disk->current + offset, data, write->bytes);
    return disk->dead ? STATUS_DEVICE_NOT_CONNECTED : STATUS_SUCCESS;
}

NTSTATUS disk_flush(void *context)
{
    struct disk *disk = context;

    if (disk->dead || power(disk, 1) == 0)
        return STATUS_DEVICE_NOT_CONNECTED;
    for (struct disk_write *write = disk->writes; write; write = write->next)
        memcpy(disk->flushed + write->offset, write->data, write->bytes);
    forget_writes(disk);
    disk->flushes++;
    return STATUS_SUCCESS;
}

/* Of one sector: the writes to it reach the disk in order, and any number of the last do not. */
static void keep_any(struct disk *disk, uint64_t sector, uint64_t *word)
{
    unsigned touching = 0, kept;

    for (struct disk_write *write = disk->writes; write; write = write->next)
        touching += write->offset <= sector && sector < write->offset + write->bytes;
    if (touching == 0)
        return;
    *word ^= *word << 13, *word ^= *word >> 7, *word ^= *word << 17;
    kept = (unsigned)(*word >> 20) % (touching + 1);
    for (struct disk_write *write = disk->writes; write && kept; write = write->next) {
        uint64_t in = sector - write->offset;

        if (write->offset <= sector && in < write->bytes) {
            uint64_t bytes = write->bytes - in < DISK_SECTOR ? write->bytes - in : DISK_SECTOR;

            memcpy(disk->flushed + sector, write->data + in, bytes);
            kept--;
        }
    }
}

void disk_crash(struct disk *disk, enum disk_loss loss, uint64_t *word)
{
    if (loss == DISK_KEEPS_ALL)
        memcpy(disk->flushed, disk->current, disk->bytes);
    else if (loss == DISK_KEEPS_ANY && disk->writes)
        for (uint64_t sector = 0; sector < disk->bytes; sector += DISK_SECTOR)
            keep_any(disk, sector, word);
    memcpy(disk->current, disk->flushed, disk->bytes);
    forget_writes(disk);
    disk->dead = false;
    disk->cut = UINT64_MAX;
}
