/*
 * A disk in memory that loses power. After so many bytes were written it is dead; what is on it
 * then is up to the caller: all that was written, only what was flushed, or of each sector any of
 * the versions since the flush.
 */
#pragma once

#include <ntddk.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_SECTOR 512 /* is written whole or not, but for the one at which the power fails */

enum disk_loss { DISK_KEEPS_ALL, DISK_KEEPS_FLUSHED, DISK_KEEPS_ANY };

struct disk_write {
    uint64_t offset;
    uint32_t bytes;
    uint8_t *data;
    struct disk_write *next;
};

struct disk {
    size_t bytes;
    uint8_t *flushed;
    uint8_t *current;
    struct disk_write *writes, **last; /* since the last flush */
    uint64_t written;                  /* bytes, and one for each flush */
    uint64_t cut;                      /* dead from then on; UINT64_MAX: never */
    bool dead;
    uint64_t flushes;
};

void disk_new(struct disk *disk, size_t bytes);
void disk_free(struct disk *disk);
/* Power is back: what is there now is flushed. Word: of a generator of random numbers. */
void disk_crash(struct disk *disk, enum disk_loss loss, uint64_t *word);

/* For RPL_STORAGE and the like; offset, length and memory must be aligned to 4096. */
NTSTATUS disk_read(void *disk, UINT64 offset, void *data, ULONG bytes);
NTSTATUS disk_write(void *disk, UINT64 offset, const void *data, ULONG bytes);
NTSTATUS disk_flush(void *disk);
