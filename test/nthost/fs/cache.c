/* The cache manager: what comes back as paging writes, and when. */
#include "spy.h"
#include <stdio.h>
#include <stdlib.h>

static const struct fs_mount_options cached = {
    .cache = {.on = true, .delay_ms = 100, .mapped_delay_ms = 200}};
static const struct fs_mount_options lazy = {
    .cache = {.on = true, .delay_ms = 3600000, .mapped_delay_ms = 3600000}};

/* The spy's requests have no stack location for it in files opened before it came: open anew. */
static bool begin(struct fixture *f, struct spy *spy)
{
    memset(spy, 0, sizeof(*spy));
    nt_close(f->root);
    f->root = NULL;
    if (!spy_attach(spy, f))
        return false;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\??\\X:\\");
    struct nt_create create = {.name = &name,
                               .access = FILE_ALL_ACCESS,
                               .share = SHARE_ALL,
                               .disposition = FILE_OPEN,
                               .options = FILE_DIRECTORY_FILE | SYNC};
    is_status(nt_create(&create), STATUS_SUCCESS);
    f->root = create.file;
    return f->root != NULL;
}

static void end(struct fixture *f, struct spy *spy)
{
    fs_cache_drain(f->volume);
    nt_close(f->root);
    f->root = NULL;
    spy_detach(spy);
}

static struct fs_statistics statistics(struct fixture *f)
{
    struct fs_statistics s;
    fs_statistics(f->volume, &s);
    return s;
}

FS_TEST(cache_writes_come_after_cleanup, &lazy)
{
    static struct spy spy;
    UCHAR data[10000];
    need(begin(f, &spy));
    spy.fast = true;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (UCHAR)(i * 7);
    is_status(fs_put(file, 0, data, 5000), STATUS_SUCCESS);
    is_status(fs_put(file, 5000, data + 5000, 5000), STATUS_SUCCESS);
    is_int(statistics(f).fast_writes, 1);
    is_int(statistics(f).dirty_pages, 3);
    is_int(spy.paging_count, 0);
    nt_close(file);
    is_int(spy.cleanups, 1);
    is_int(spy.closes, 0, "the cache keeps the file object");
    ok(fs_cache_scan(f->volume));
    is_int(spy.paging_count, 1);
    is_int(spy.paging[0].offset, 0);
    is_int(spy.paging[0].bytes, 3 * 4096, "whole pages");
    ok(spy.paging[0].after_cleanup);
    is_hex(spy.paging[0].flags & (IRP_PAGING_IO | IRP_NOCACHE), IRP_PAGING_IO | IRP_NOCACHE);
    is_mem(spy.image, data, sizeof(data));
    is_int(spy.image[10000], 0, "zeros behind the end");
    is_int(spy.closes, 1, "then it is closed");
    struct fs_statistics s = statistics(f);
    is_int(s.after_cleanup, 1);
    is_int(s.lazy_pages, 3);
    is_int(s.dirty_pages, 0);
    is_int(s.paging_writes, 1);
    is_int(s.paging_writes_of_others, 0);
    is_int(spy.acquires_flush, 1);
    UCHAR back[10001];
    is_int(fs_backing(f, "a", back, sizeof(back)), 10000, "not longer");
    end(f, &spy);
}

/* By itself, after its delay. */
FS_TEST(cache_lazy_writer_runs, &cached)
{
    static struct spy spy;
    need(begin(f, &spy));
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(fs_put(file, 8192, "x", 1), STATUS_SUCCESS);
    nt_close(file);
    is_int(spy.closes, 0);
    LARGE_INTEGER tick = {.QuadPart = -200000};
    for (unsigned i = 0; i < 500 && __atomic_load_n(&spy.closes, __ATOMIC_ACQUIRE) == 0; i++)
        KeDelayExecutionThread(KernelMode, FALSE, &tick);
    is_int(spy.closes, 1);
    ok(spy.paging_count >= 1);
    is_int(spy.image[8192], 'x');
    end(f, &spy);
}

/* Runs are cut at run_pages and at gaps. */
FS_TEST(cache_runs, &lazy)
{
    static struct spy spy;
    UCHAR *data = calloc(1, 40 * 4096);
    need(begin(f, &spy));
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(nt_set_end_of_file(file, 200 * 4096), STATUS_SUCCESS);
    is_status(fs_put(file, 0, data, 40 * 4096), STATUS_SUCCESS);
    is_status(fs_put(file, 63 * 4096 + 1, data, 4096), STATUS_SUCCESS);
    is_status(fs_put(file, 199 * 4096, data, 10), STATUS_SUCCESS);
    fs_cache_scan(f->volume);
    static const LONGLONG expected[][2] = {{0, 16}, {16, 16}, {32, 8}, {63, 2}, {199, 1}};
    is_int(spy.paging_count, ARRAYSIZE(expected));
    for (unsigned i = 0; i < ARRAYSIZE(expected) && i < spy.paging_count; i++) {
        is_int(spy.paging[i].offset, expected[i][0] * 4096);
        is_int(spy.paging[i].bytes, expected[i][1] * 4096);
    }
    nt_close(file);
    free(data);
    end(f, &spy);
}

FS_TEST(cache_flush_sends_before_it_returns, &lazy)
{
    static struct spy spy;
    need(begin(f, &spy));
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(fs_put(file, 0, "abc", 3), STATUS_SUCCESS);
    is_status(nt_flush(file, 0), STATUS_SUCCESS);
    is_int(spy.paging_count, 1);
    ok(spy.paging[0].flags & IRP_SYNCHRONOUS_PAGING_IO);
    ok(!spy.paging[0].after_cleanup);
    is_status(nt_flush(file, 0), STATUS_SUCCESS);
    is_int(spy.paging_count, 1, "nothing is dirty");
    nt_close(file);
    is_int(spy.closes, 1);
    end(f, &spy);
}

/* What is cut off is not written, and a deleted file's pages are not either. */
FS_TEST(cache_truncate_and_delete, &lazy)
{
    static struct spy spy;
    UCHAR data[3 * 4096] = {0};
    need(begin(f, &spy));
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(fs_put(file, 0, data, sizeof(data)), STATUS_SUCCESS);
    is_status(nt_set_end_of_file(file, 100), STATUS_SUCCESS);
    is_int(statistics(f).dirty_pages, 1);
    nt_close(file);
    fs_cache_scan(f->volume);
    is_int(spy.paging_count, 1);
    is_int(spy.paging[0].bytes, 4096);
    file = fs_make(f, "b", FILE_CREATE, FILE_DELETE_ON_CLOSE);
    need(file != NULL);
    is_status(fs_put(file, 0, data, sizeof(data)), STATUS_SUCCESS);
    nt_close(file);
    is_int(statistics(f).dirty_pages, 0);
    is_int(spy.closes, 2);
    is_int(spy.paging_count, 1);
    end(f, &spy);
}

/* A paging write that a filter fails is sent again. */
FS_TEST(cache_failures_stay_dirty, &lazy)
{
    static struct spy spy;
    need(begin(f, &spy));
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(fs_put(file, 0, "abc", 3), STATUS_SUCCESS);
    spy.fail = STATUS_INSUFFICIENT_RESOURCES;
    fs_cache_scan(f->volume);
    is_int(statistics(f).dirty_pages, 1);
    is_int(statistics(f).paging_failures, 1);
    is_status(nt_flush(file, 0), STATUS_INSUFFICIENT_RESOURCES);
    spy.fail = STATUS_SUCCESS;
    nt_close(file);
    fs_cache_scan(f->volume);
    is_int(spy.paging_count, 1);
    is_int(statistics(f).dirty_pages, 0);
    end(f, &spy);
}

FS_TEST(cache_mapped_stores_come_late, &lazy)
{
    static struct spy spy;
    struct nt_view *view;
    UCHAR data[8192];
    size_t size;
    need(begin(f, &spy));
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    memset(data, 1, sizeof(data));
    is_status(fs_put(file, 0, data, sizeof(data)), STATUS_SUCCESS);
    fs_cache_scan(f->volume);
    unsigned before = spy.paging_count;
    is_status(nt_view_create(file, true, &view), STATUS_SUCCESS);
    is_int(spy.acquires_section, 1);
    is_hex(spy.section_protection, PAGE_READWRITE);
    is_int(MmDoesFileHaveUserWritableReferences(file->SectionObjectPointer), 1);
    const UCHAR *bytes = nt_view_bytes(view, &size);
    is_int(size, 8192);
    is_int(bytes[5000], 1);
    nt_view_store(view, 5000, "mapped", 6);
    is_status(fs_get(file, 5000, data, 6, NULL), STATUS_SUCCESS);
    is_mem(data, "mapped", 6, "a read sees it at once");
    is_int(spy.paging_count, before, "filters do not yet");
    is_int(statistics(f).dirty_mapped, 1);
    is_status(nt_set_end_of_file(file, 10), STATUS_USER_MAPPED_FILE);
    nt_close(file);
    is_int(spy.closes, 0, "the view keeps it");
    fs_cache_scan(f->volume);
    is_int(spy.paging_count, before + 1);
    is_int(spy.paging[before].offset, 4096);
    is_int(spy.paging[before].bytes, 4096);
    ok(spy.paging[before].after_cleanup);
    is_mem(spy.image + 5000, "mapped", 6);
    is_int(spy.acquires_mod, 1);
    nt_view_store(view, 0, "again", 5);
    is_status(nt_view_flush(view), STATUS_SUCCESS);
    is_mem(spy.image, "again", 5);
    nt_view_destroy(view);
    fs_cache_drain(f->volume);
    is_int(spy.closes, 1);
    end(f, &spy);
}

/* FUSE_WRITE_CACHE: a paging write of somebody else is written. */
FS_TEST(cache_others_paging_writes, &lazy)
{
    static struct spy spy;
    UCHAR page[4096], data[8];
    need(begin(f, &spy));
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(fs_put(file, 0, "0123456789", 10), STATUS_SUCCESS);
    is_status(nt_section_notice(file, PAGE_READWRITE), STATUS_SUCCESS);
    is_int(spy.acquires_section, 1);
    memset(page, 'm', sizeof(page));
    is_status(nt_paging_write(file, page, 4096, 0, true, NULL), STATUS_SUCCESS);
    is_status(fs_get(file, 0, data, 8, NULL), STATUS_SUCCESS);
    is_mem(data, "mmmmmmmm", 8);
    is_int(fs_length(file), 10);
    is_int(statistics(f).paging_writes_of_others, 1);
    nt_close(file);
    end(f, &spy);
}

/* A non-cached write has what is dirty in its range flushed before. */
FS_TEST(cache_non_cached_is_coherent, &lazy)
{
    static struct spy spy;
    UCHAR data[4096] __attribute__((aligned(4096)));
    need(begin(f, &spy));
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    PFILE_OBJECT raw = fs_make(f, "a", FILE_OPEN, FILE_NO_INTERMEDIATE_BUFFERING);
    need(file != NULL && raw != NULL);
    is_status(fs_put(file, 0, "cached", 6), STATUS_SUCCESS);
    is_status(fs_put(file, 200000, "far", 3), STATUS_SUCCESS);
    memset(data, 'r', sizeof(data));
    is_status(fs_put(raw, 0, data, 4096), STATUS_SUCCESS);
    is_int(spy.paging_count, 1);
    is_mem(spy.image, "cached", 6);
    is_int(statistics(f).dirty_pages, 1, "the far one waits");
    nt_close(raw);
    nt_close(file);
    end(f, &spy);
}

struct writer {
    struct fixture *f;
    unsigned number;
    uint64_t seed;
};

static void write_much(void *context)
{
    struct writer *w = context;
    UCHAR data[6000];
    char name[16];
    nt_enter();
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "f%u", (w->number + i) % 3);
        PFILE_OBJECT file = fs_make(w->f, name, FILE_OPEN_IF, 0);
        if (file == NULL)
            break;
        memset(data, (int)(w->number * 60 + i), sizeof(data));
        for (unsigned j = 0; j < 5; j++) {
            w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
            fs_put(file, (LONGLONG)(w->seed >> 40) % 50000, data,
                   1 + (ULONG)(w->seed >> 33) % 6000);
        }
        if (i % 7 == 0)
            nt_set_end_of_file(file, (LONGLONG)(w->seed >> 45) % 50000);
        if (i % 11 == 0)
            is_status(nt_flush(file, 0), STATUS_SUCCESS);
        nt_close(file);
    }
    nt_leave();
}

/* Writers and the lazy writer at once: everything ends clean, and each dirty page was sent. */
static const struct fs_mount_options quick = {.cache = {.on = true, .delay_ms = 1, .run_pages = 4}};
FS_TEST(cache_storm, &quick)
{
    struct writer writers[3];
    struct nt_thread *threads[3];
    for (unsigned i = 0; i < 3; i++)
        is_status(fs_try(f, (char[]){'f', (char)('0' + i), 0}, FILE_CREATE, 0), STATUS_SUCCESS);
    for (unsigned i = 0; i < 3; i++) {
        writers[i] = (struct writer){f, i, tap_seed() + i};
        threads[i] = nt_spawn("writer", write_much, &writers[i]);
    }
    nt_leave();
    for (unsigned i = 0; i < 3; i++)
        nt_join(threads[i]);
    nt_enter();
    fs_cache_drain(f->volume);
    struct fs_statistics s = statistics(f);
    is_int(s.dirty_pages, 0);
    is_int(s.open_files, 1);
    is_int(s.open_streams, 1);
    ok(s.lazy_pages > 100, "%llu", (unsigned long long)s.lazy_pages);
    is_int(s.paging_writes, s.lazy_writes);
}
