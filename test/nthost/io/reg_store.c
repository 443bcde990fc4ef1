/*
 * The registry's file under damage: cut at every byte, changed at every byte, torn in the middle of
 * what was not flushed yet. What comes back is what was there after some number of changes, never
 * fewer than were flushed, or the file is refused.
 */
#include "reg_store.h"
#include "fixture.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct seen {
    unsigned count;
    bool in_order;
};

/* Payloads are {number, number * 3, ...}: how many came, and were they whole? */
static bool see(void *context, const uint8_t *payload, size_t bytes)
{
    struct seen *seen = context;
    uint32_t number;
    if (bytes < 4)
        return false;
    memcpy(&number, payload, 4);
    seen->in_order = seen->in_order && number == seen->count && bytes == 4 + number % 13;
    for (size_t i = 4; i < bytes; i++)
        seen->in_order = seen->in_order && payload[i] == (uint8_t)(number * 3 + i);
    seen->count++;
    return true;
}

static bool append(struct reg_store *store, uint32_t number)
{
    uint8_t payload[32];
    memcpy(payload, &number, 4);
    for (size_t i = 4; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(number * 3 + i);
    return reg_store_append(store, payload, 4 + number % 13);
}

static struct reg_store *open_store(const char *dir, struct seen *seen, char error[256])
{
    *seen = (struct seen){0, true};
    error[0] = 0;
    return reg_store_open(dir, see, seen, error, 256);
}

struct log {
    uint8_t *bytes;
    size_t size;
    unsigned changes, flushed;
    size_t ends[64]; /* of each change's record */
};

static void log_path(const char *dir, char path[128])
{
    snprintf(path, 128, "%s/registry.log", dir);
}

static void write_log(const char *dir, const uint8_t *bytes, size_t size)
{
    char path[128];
    log_path(dir, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ok(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

static void read_log(const char *dir, struct log *log)
{
    char path[128];
    struct stat st = {0};
    log_path(dir, path);
    int fd = open(path, O_RDONLY);
    ok(fd >= 0 && fstat(fd, &st) == 0);
    log->size = (size_t)st.st_size;
    log->bytes = realloc(log->bytes, log->size + 1);
    ok(read(fd, log->bytes, log->size) == (ssize_t)log->size);
    close(fd);
}

/* 10 changes flushed, 10 more flushed, 5 that are not. */
static void make_log(const char *dir, struct log *log)
{
    char error[256], path[128];
    struct seen seen;
    struct stat st;
    struct reg_store *store = open_store(dir, &seen, error);
    memset(log, 0, sizeof(*log));
    log_path(dir, path);
    ok(store != NULL, "%s", error);
    for (unsigned i = 0; i < 25; i++) {
        ok(append(store, i));
        ok(stat(path, &st) == 0);
        log->ends[log->changes++] = (size_t)st.st_size;
        if (i == 9 || i == 19) {
            ok(reg_store_flush(store));
            log->flushed = i + 1;
        }
    }
    read_log(dir, log); /* before closing, which flushes the rest */
    reg_store_close(store);
}

NT_TEST(store_cut_at_every_byte)
{
    struct log log;
    const char *dir = fixture_dir();
    make_log(dir, &log);
    for (size_t cut = 0; cut <= log.size; cut++) {
        struct seen seen;
        char error[256];
        unsigned whole = 0;
        while (whole < log.changes && log.ends[whole] <= cut)
            whole++;
        write_log(dir, log.bytes, cut);
        struct reg_store *store = open_store(dir, &seen, error);
        if (!ok(store != NULL, "cut at %zu: %s", cut, error))
            break;
        if (!ok(seen.in_order && seen.count == whole, "cut at %zu: %u of %u", cut, seen.count,
                whole))
            break;
        /* And it goes on from there. */
        ok(append(store, seen.count) && reg_store_flush(store));
        reg_store_close(store);
        store = open_store(dir, &seen, error);
        ok(store != NULL && seen.in_order && seen.count == whole + 1);
        reg_store_close(store);
    }
    free(log.bytes);
    fixture_remove_dir();
}

NT_TEST(store_changed_at_every_byte)
{
    struct log log;
    unsigned refused = 0, shorter = 0;
    const char *dir = fixture_dir();
    make_log(dir, &log);
    for (size_t at = 0; at < log.size; at++) {
        struct seen seen;
        char error[256];
        log.bytes[at] ^= 1 << at % 8;
        write_log(dir, log.bytes, log.size);
        log.bytes[at] ^= 1 << at % 8;
        struct reg_store *store = open_store(dir, &seen, error);
        /* A change that was on disk is never silently lost. */
        bool durable = at < log.ends[log.flushed - 1];
        if (store == NULL) {
            refused++;
            if (!ok(durable && strstr(error, "damaged") != NULL, "at %zu: %s", at, error))
                break;
            continue;
        }
        /* Padding may change: then nothing is missing. */
        shorter += seen.count < log.changes;
        if (!ok(seen.in_order &&
                    (seen.count == log.changes || (!durable && seen.count >= log.flushed)),
                "at %zu: %u changes", at, seen.count))
            break;
        reg_store_close(store);
    }
    diag("%u refused, %u shorter", refused, shorter);
    ok(refused > 0 && shorter > 0);
    free(log.bytes);
    fixture_remove_dir();
}

/* A power cut may write any of the blocks that were not flushed, and not the others. */
NT_TEST(store_torn_anywhere_behind_the_last_flush)
{
    struct log log;
    const char *dir = fixture_dir();
    make_log(dir, &log);
    size_t start = log.ends[log.flushed - 1];
    for (size_t from = start; from < log.size; from++)
        for (size_t length = 1; from + length <= log.size; length += 7) {
            struct seen seen;
            char error[256];
            uint8_t *torn = malloc(log.size);
            memcpy(torn, log.bytes, log.size);
            memset(torn + from, 0, length);
            write_log(dir, torn, log.size);
            free(torn);
            struct reg_store *store = open_store(dir, &seen, error);
            if (!ok(store != NULL && seen.in_order && seen.count >= log.flushed,
                    "zeros at %zu for %zu: %u changes, %s", from, length, seen.count, error))
                goto done;
            reg_store_close(store);
        }
done:
    free(log.bytes);
    fixture_remove_dir();
}

/* What follows a tear is gone for good, although its bytes were fine. */
NT_TEST(store_does_not_resurrect_what_followed_a_tear)
{
    struct log log;
    struct seen seen;
    char error[256];
    const char *dir = fixture_dir();
    make_log(dir, &log);
    log.bytes[log.ends[20] - 1] ^= 0xff; /* the last byte of change 20's padding or data */
    log.bytes[log.ends[20] - 9] ^= 0xff;
    write_log(dir, log.bytes, log.size);
    struct reg_store *store = open_store(dir, &seen, error);
    need(store != NULL, "%s", error);
    is_int(seen.count, 20);
    ok(append(store, 20));
    reg_store_close(store);
    store = open_store(dir, &seen, error);
    need(store != NULL, "%s", error);
    ok(seen.in_order);
    is_int(seen.count, 21);
    reg_store_close(store);
    free(log.bytes);
    fixture_remove_dir();
}

static struct reg_store *dumping;

static bool dump(void *context)
{
    for (unsigned i = 0; i < *(unsigned *)context; i++)
        if (!append(dumping, i))
            return false;
    return true;
}

static bool dump_fails(void *context)
{
    (void)context;
    return append(dumping, 0) && false;
}

NT_TEST(store_compaction_replaces_the_file_or_leaves_it)
{
    struct seen seen;
    char error[256];
    unsigned keep = 7;
    const char *dir = fixture_dir();
    dumping = open_store(dir, &seen, error);
    need(dumping != NULL, "%s", error);
    for (unsigned i = 0; i < 20; i++)
        ok(append(dumping, i));
    ok(!reg_store_compact(dumping, dump_fails, NULL));
    ok(append(dumping, 20));
    reg_store_close(dumping);
    dumping = open_store(dir, &seen, error);
    need(dumping != NULL, "%s", error);
    is_int(seen.count, 21);
    ok(reg_store_compact(dumping, dump, &keep));
    ok(append(dumping, 7));
    reg_store_close(dumping);
    dumping = open_store(dir, &seen, error);
    need(dumping != NULL, "%s", error);
    ok(seen.in_order);
    is_int(seen.count, 8);
    reg_store_close(dumping);
    fixture_remove_dir();
}

NT_TEST(store_survives_a_full_disk)
{
    struct seen seen;
    char error[256];
    const char *dir = fixture_dir();
    struct reg_store *store = open_store(dir, &seen, error);
    need(store != NULL, "%s", error);
    ok(append(store, 0));
    /* No more room: writes beyond the limit fail, in part. */
    struct rlimit old = {0}, limit;
    struct stat st;
    char path[128];
    log_path(dir, path);
    ok(stat(path, &st) == 0 && getrlimit(RLIMIT_FSIZE, &old) == 0);
    limit = old;
    limit.rlim_cur = (rlim_t)st.st_size + 20;
    signal(SIGXFSZ, SIG_IGN);
    ok(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    ok(!append(store, 1));
    ok(setrlimit(RLIMIT_FSIZE, &old) == 0);
    ok(append(store, 1));
    reg_store_close(store);
    store = open_store(dir, &seen, error);
    need(store != NULL, "%s", error);
    ok(seen.in_order);
    is_int(seen.count, 2);
    reg_store_close(store);
    fixture_remove_dir();
}
