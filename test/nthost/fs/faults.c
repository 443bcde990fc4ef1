/*
 * Calls that fail under the file system: no descriptor left at each point of a scenario in turn,
 * and a backing file that cannot grow. Nothing may leak, half of an operation may not stay.
 */
#include "fixture.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Descriptors are given out from below. */
static unsigned lowest_free_fd(void)
{
    int fd = dup(0);
    close(fd);
    return (unsigned)fd;
}

static unsigned count_fds(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

/* How many of its steps went well. */
static unsigned scenario(struct fixture *f)
{
    static const char *const names[] = {"new", "d\\file", "d\\file:stream", "OTHER", "d\\deep\\x"};
    unsigned good = 0;
    UCHAR buffer[512];
    for (unsigned i = 0; i < ARRAYSIZE(names); i++) {
        struct opening o = {.name = names[i],
                            .access = FILE_ALL_ACCESS,
                            .share = SHARE_ALL,
                            .disposition = FILE_OPEN_IF,
                            .options = SYNC};
        PFILE_OBJECT file;
        if (!NT_SUCCESS(fs_open(f, &o, &file)))
            continue;
        good++;
        good += NT_SUCCESS(fs_put(file, 0, "data", 4));
        good += NT_SUCCESS(
            nt_query_information(file, FileStreamInformation, buffer, sizeof(buffer), NULL));
        good += NT_SUCCESS(fs_move(file, f->root, "moved", FILE_RENAME_REPLACE_IF_EXISTS));
        good += NT_SUCCESS(nt_flush(file, 0));
        good += NT_SUCCESS(nt_dispose(file, FILE_DISPOSITION_DELETE));
        nt_close(file);
    }
    struct opening o = {.name = "d",
                        .access = FILE_ALL_ACCESS,
                        .share = SHARE_ALL,
                        .disposition = FILE_OPEN,
                        .options = SYNC};
    PFILE_OBJECT folder;
    if (NT_SUCCESS(fs_open(f, &o, &folder))) {
        good += NT_SUCCESS(nt_query_directory(folder, FileNamesInformation, buffer, sizeof(buffer),
                                              NULL, 0, NULL));
        nt_close(folder);
        good++;
    }
    return good;
}

NT_TEST_FORKED(faults_no_descriptors)
{
    struct fixture f;
    struct rlimit limit, low;
    need(fs_begin(&f, NT_DETERMINISTIC, tap_seed(), NULL));
    is_status(fs_try(&f, "d", FILE_CREATE, FILE_DIRECTORY_FILE), STATUS_SUCCESS);
    is_status(fs_try(&f, "d\\deep", FILE_CREATE, FILE_DIRECTORY_FILE), STATUS_SUCCESS);
    is_status(fs_try(&f, "other", FILE_CREATE, 0), STATUS_SUCCESS);
    getrlimit(RLIMIT_NOFILE, &limit);
    unsigned all = scenario(&f), before = count_fds(), failed = 0, good = 0;
    low = limit;
    for (unsigned room = 0; room < 40 && good < all; room++) {
        struct fs_statistics s;
        low.rlim_cur = lowest_free_fd() + room;
        setrlimit(RLIMIT_NOFILE, &low);
        good = scenario(&f);
        setrlimit(RLIMIT_NOFILE, &limit);
        failed += good < all;
        fs_statistics(f.volume, &s);
        is_int(s.open_files, 1, "room for %u", room);
        is_int(s.open_streams, 1);
        is_int(count_fds(), before, "room for %u", room);
    }
    ok(failed >= 3, "%u rounds had a failure", failed);
    ok(good >= all - 2, "%u of %u in the end", good, all);
    fs_end(&f);
}

NT_TEST_FORKED(faults_file_cannot_grow)
{
    static UCHAR data[16384];
    static const struct fs_mount_options cached = {.cache = {.on = true, .delay_ms = 3600000}};
    struct fixture f;
    struct rlimit limit, low;
    ULONG_PTR got;
    need(fs_begin(&f, NT_DETERMINISTIC, tap_seed(), &cached));
    signal(SIGXFSZ, SIG_IGN);
    PFILE_OBJECT file = fs_make(&f, "a", FILE_CREATE, 0);
    need(file != NULL);
    memset(data, 'a', sizeof(data));
    is_status(fs_put(file, 0, data, 8192), STATUS_SUCCESS);
    getrlimit(RLIMIT_FSIZE, &limit);
    low = limit;
    low.rlim_cur = 12288;
    setrlimit(RLIMIT_FSIZE, &low);
    LONGLONG at = 8192;
    NTSTATUS status = nt_write(file, data, 8192, &at, &got);
    NTSTATUS longer = nt_set_end_of_file(file, 20000);
    setrlimit(RLIMIT_FSIZE, &limit);
    ok(!NT_SUCCESS(status), "0x%08x", status);
    ok(!NT_SUCCESS(longer), "0x%08x", longer);
    is_int(fs_length(file), 8192, "no part of it stays");
    is_status(fs_put(file, NT_APPEND, "z", 1), STATUS_SUCCESS);
    is_int(fs_length(file), 8193);
    nt_close(file);
    is_int(fs_backing(&f, "a", data, sizeof(data)), 8193);
    is_int(data[8192], 'z');
    fs_end(&f);
}
