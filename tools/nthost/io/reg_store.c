/* The registry's log file; see reg_store.h. */
#include "reg_store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOG_NAME      "registry.log"
#define TEMP_NAME     "registry.new"
#define MAGIC         0x31474552u /* "REG1" */
#define MAX_PAYLOAD   (64u << 20)
#define COMPACT_ABOVE (1u << 20)

struct record {
    uint32_t magic;
    uint32_t bytes;
    uint64_t sequence;
    uint64_t durable;
    uint32_t own_check; /* of this record alone */
    uint32_t check;     /* carries on from the record before */
};
_Static_assert(sizeof(struct record) == 32, "record header");

struct reg_store {
    int dir, fd;
    uint64_t size;      /* of the log: the end of the last good record */
    uint64_t base_size; /* after the last compaction */
    uint64_t sequence, last_change, durable;
    uint32_t check;
    bool broken;
};

static uint32_t crc_table[256];

static void crc_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? 0x82f63b78u ^ c >> 1 : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    crc = ~crc;
    while (bytes--)
        crc = crc_table[(crc ^ *p++) & 0xff] ^ crc >> 8;
    return ~crc;
}

/* start 0 gives own_check; the check of the record before gives check. */
static uint32_t record_check(uint32_t start, const struct record *record, const void *payload)
{
    uint32_t crc = crc32c(start, record, offsetof(struct record, own_check));
    return crc32c(crc, payload, record->bytes);
}

static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

static void fail(char *error, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(char *error, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error, size, format, list);
    va_end(list);
}

/* The record at `at`, verified; NULL if it is none. */
static const struct record *record_at(const uint8_t *log, size_t size, size_t at, uint64_t sequence,
                                      uint32_t previous)
{
    const struct record *record = (const struct record *)(log + at);
    if (size - at < sizeof(*record) || record->magic != MAGIC || record->bytes > MAX_PAYLOAD ||
        padded(record->bytes) > size - at - sizeof(*record) || record->sequence != sequence ||
        record_check(0, record, record + 1) != record->own_check ||
        record_check(previous, record, record + 1) != record->check)
        return NULL;
    return record;
}

/* Beyond a record that does not verify: does any later one say that the lost one was on disk? */
static bool was_durable(const uint8_t *log, size_t size, size_t torn, uint64_t sequence)
{
    for (size_t at = torn; at + sizeof(struct record) <= size; at += 8) {
        const struct record *record = (const struct record *)(log + at);
        if (record->magic == MAGIC && record->durable >= sequence &&
            padded(record->bytes) <= size - at - sizeof(struct record) &&
            record_check(0, record, record + 1) == record->own_check)
            return true;
    }
    return false;
}

static bool replay_log(struct reg_store *store, const uint8_t *log, size_t size,
                       reg_store_replay *replay, void *context, char *error, size_t error_size)
{
    size_t at = 0;
    for (;;) {
        const struct record *record = record_at(log, size, at, store->sequence + 1, store->check);
        if (record == NULL)
            break;
        if (record->bytes != 0 && !replay(context, (const uint8_t *)(record + 1), record->bytes)) {
            fail(error, error_size, LOG_NAME ": no sense in the record at byte %zu", at);
            return false;
        }
        store->sequence = record->sequence;
        store->check = record->check;
        if (record->durable > store->durable)
            store->durable = record->durable;
        at += sizeof(*record) + padded(record->bytes);
    }
    store->last_change = store->sequence;
    if (was_durable(log, size, at, store->sequence + 1)) {
        fail(error, error_size,
             LOG_NAME ": damaged at byte %zu, in data that was safely on disk; restore the file, "
                      "or move it away to start with an empty registry",
             at);
        return false;
    }
    store->size = at;
    return true;
}

static bool read_log(struct reg_store *store, reg_store_replay *replay, void *context, char *error,
                     size_t error_size)
{
    struct stat st;
    if (fstat(store->fd, &st) != 0) {
        fail(error, error_size, LOG_NAME ": %s", strerror(errno));
        return false;
    }
    size_t size = (size_t)st.st_size, done = 0;
    uint8_t *log = calloc(1, padded(size) + 8);
    while (log != NULL && done < size) {
        ssize_t n = pread(store->fd, log + done, size - done, (off_t)done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    bool good = log != NULL && done == size;
    if (!good)
        fail(error, error_size, LOG_NAME ": cannot be read: %s", strerror(errno));
    else
        good = replay_log(store, log, size, replay, context, error, error_size);
    /* The tear goes before anything is appended, so that it cannot come back. */
    if (good && store->size < size &&
        (ftruncate(store->fd, (off_t)store->size) != 0 || fsync(store->fd) != 0)) {
        fail(error, error_size, LOG_NAME ": %s", strerror(errno));
        good = false;
    }
    free(log);
    return good;
}

struct reg_store *reg_store_open(const char *dir, reg_store_replay *replay, void *context,
                                 char *error, size_t error_size)
{
    struct reg_store *store = calloc(1, sizeof(*store));
    crc_init();
    if (store == NULL) {
        fail(error, error_size, "no memory");
        return NULL;
    }
    store->fd = -1;
    store->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir >= 0) {
        unlinkat(store->dir, TEMP_NAME, 0);
        store->fd = openat(store->dir, LOG_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    if (store->fd < 0 || fsync(store->dir) != 0)
        fail(error, error_size, "%s/" LOG_NAME ": %s", dir, strerror(errno));
    else if (read_log(store, replay, context, error, error_size)) {
        return store; /* base_size 0: a long log is compacted soon */
    }
    if (store->fd >= 0)
        close(store->fd);
    if (store->dir >= 0)
        close(store->dir);
    free(store);
    return NULL;
}

bool reg_store_append(struct reg_store *store, const void *payload, size_t bytes)
{
    static const uint8_t zeros[8];
    struct record record;
    if (store->broken || bytes > MAX_PAYLOAD)
        return false;
    memset(&record, 0, sizeof(record));
    record.magic = MAGIC;
    record.bytes = (uint32_t)bytes;
    record.sequence = store->sequence + 1;
    record.durable = store->durable;
    record.own_check = record_check(0, &record, payload);
    record.check = record_check(store->check, &record, payload);
    struct iovec parts[3] = {{&record, sizeof(record)},
                             {(void *)(uintptr_t)payload, bytes},
                             {(void *)(uintptr_t)zeros, padded(bytes) - bytes}};
    size_t total = sizeof(record) + padded(bytes);
    ssize_t written = pwritev(store->fd, parts, 3, (off_t)store->size);
    if (written != (ssize_t)total) {
        /* A short record must not stay: the next append would follow it. */
        if (ftruncate(store->fd, (off_t)store->size) != 0)
            store->broken = true;
        return false;
    }
    store->size += total;
    store->sequence = record.sequence;
    store->check = record.check;
    if (bytes != 0)
        store->last_change = record.sequence;
    return true;
}

bool reg_store_flush(struct reg_store *store)
{
    if (store->broken)
        return false;
    if (store->durable >= store->last_change)
        return true;
    /* After a failed fsync nobody knows what is on disk: nothing more is promised. */
    if (fdatasync(store->fd) != 0) {
        store->broken = true;
        return false;
    }
    store->durable = store->sequence;
    /* The note that it is durable need not be durable itself. */
    reg_store_append(store, NULL, 0);
    return !store->broken;
}

bool reg_store_compaction_due(const struct reg_store *store)
{
    return !store->broken && store->size > COMPACT_ABOVE && store->size > store->base_size * 4;
}

bool reg_store_compact(struct reg_store *store, bool (*dump)(void *context), void *context)
{
    struct reg_store old = *store;
    int fd = openat(store->dir, TEMP_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (store->broken || fd < 0) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    store->fd = fd;
    store->size = store->sequence = store->last_change = store->durable = 0;
    store->check = 0;
    if (dump(context) && reg_store_flush(store) && fsync(fd) == 0 &&
        renameat(store->dir, TEMP_NAME, store->dir, LOG_NAME) == 0) {
        close(old.fd);
        store->base_size = store->size;
        store->broken = fsync(store->dir) != 0;
        return !store->broken;
    }
    /* The old file is still the registry. */
    close(fd);
    unlinkat(old.dir, TEMP_NAME, 0);
    *store = old;
    return false;
}

void reg_store_close(struct reg_store *store)
{
    if (store == NULL)
        return;
    reg_store_flush(store);
    close(store->fd);
    close(store->dir);
    free(store);
}
