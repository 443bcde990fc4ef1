/* Many threads on few names: nothing leaks, nothing hangs, and both sides see the same in the end.
 */
#include "spy.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct actor {
    struct fixture *f;
    uint64_t random;
    unsigned steps, done[8];
};

static unsigned pick(struct actor *a, unsigned n)
{
    a->random = a->random * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((a->random >> 33) % n);
}

static void pick_name(struct actor *a, char name[32])
{
    static const char *const folders[] = {"", "d0\\", "d1\\", "d0\\e\\"};
    snprintf(name, 32, "%sn%u%s", folders[pick(a, 4)], pick(a, 4), pick(a, 8) ? "" : ":s");
}

static void act(void *context)
{
    struct actor *a = context;
    char name[32], to[32];
    UCHAR buffer[1024];
    nt_enter();
    for (unsigned i = 0; i < a->steps; i++) {
        PFILE_OBJECT file;
        pick_name(a, name);
        struct opening o = {.name = name,
                            .access = FILE_ALL_ACCESS,
                            .share = SHARE_ALL,
                            .disposition = pick(a, 2) ? FILE_OPEN_IF : FILE_OPEN,
                            .options = SYNC,
                            .case_sensitive = pick(a, 2) == 0};
        if (pick(a, 12) == 0) {
            o.name = pick(a, 2) ? "d0\\e" : "d1";
            o.options |= FILE_DIRECTORY_FILE;
        }
        if (!NT_SUCCESS(fs_open(a->f, &o, &file)))
            continue;
        unsigned kind = pick(a, 8);
        NTSTATUS status = STATUS_UNSUCCESSFUL;
        LONGLONG at = pick(a, 10000);
        if (kind == 0)
            status = nt_write(file, buffer, 1 + pick(a, 1000), &at, NULL);
        else if (kind == 1)
            status = nt_query_information(file, FileAllInformation, buffer, sizeof(buffer), NULL);
        else if (kind == 2 || kind == 3) {
            pick_name(a, to);
            char full[64];
            snprintf(full, sizeof(full), "\\??\\X:\\%s", strtok(to, ":"));
            status = fs_move(file, NULL, full, pick(a, 4));
        } else if (kind == 4)
            status = nt_dispose(file, pick(a, 4));
        else if (kind == 5)
            status = nt_query_directory(file, FileIdFullDirectoryInformation, buffer,
                                        sizeof(buffer), NULL, 0, NULL);
        else if (kind == 6)
            status =
                nt_query_information(file, FileStreamInformation, buffer, sizeof(buffer), NULL);
        else
            status = nt_set_end_of_file(file, at);
        a->done[kind] += NT_SUCCESS(status);
        nt_close(file);
    }
    nt_leave();
}

/* Names of a folder as Linux has them, and as the volume lists them. */
static void compare_folder(struct fixture *f, const char *unix_name, const char *nt_name)
{
    char path[128];
    unsigned count = 0;
    snprintf(path, sizeof(path), "%s/%s", f->folder, unix_name);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    if (dir == NULL)
        return;
    closedir(dir);
    PFILE_OBJECT folder = fs_make(f, nt_name, FILE_OPEN, FILE_DIRECTORY_FILE);
    if (folder == NULL)
        return;
    const char *list = fs_list(folder);
    unsigned listed = list[0] != 0;
    for (; *list != 0; list++)
        listed += *list == ' ';
    is_int(listed, count, "%s", unix_name);
    nt_close(folder);
}

static const struct fs_mount_options cached = {.cache = {.on = true, .delay_ms = 1}};

static void storm(enum nt_scheduler scheduler, uint64_t seed, unsigned steps)
{
    struct fixture f;
    struct actor actors[4];
    struct nt_thread *threads[4];
    tap_at("seed %llu", (unsigned long long)seed);
    fs_in_memory = true;
    if (fs_begin(&f, scheduler, seed, &cached)) {
        is_status(fs_try(&f, "d0", FILE_CREATE, FILE_DIRECTORY_FILE), STATUS_SUCCESS);
        is_status(fs_try(&f, "d0\\e", FILE_CREATE, FILE_DIRECTORY_FILE), STATUS_SUCCESS);
        is_status(fs_try(&f, "d1", FILE_CREATE, FILE_DIRECTORY_FILE), STATUS_SUCCESS);
        for (unsigned i = 0; i < 4; i++) {
            actors[i] = (struct actor){.f = &f, .random = seed * 4 + i, .steps = steps};
            threads[i] = nt_spawn("actor", act, &actors[i]);
        }
        nt_leave();
        for (unsigned i = 0; i < 4; i++)
            nt_join(threads[i]);
        nt_enter();
        for (unsigned kind = 0; kind < 8; kind++) {
            unsigned done = 0;
            for (unsigned i = 0; i < 4; i++)
                done += actors[i].done[kind];
            ok(done != 0 || steps < 200, "kind %u never went well", kind);
        }
        fs_cache_drain(f.volume);
        compare_folder(&f, "", "");
        compare_folder(&f, "d0", "d0");
        struct fs_statistics s;
        fs_statistics(f.volume, &s);
        is_int(s.open_files, 1);
        is_int(s.open_streams, 1);
        is_int(s.dirty_pages, 0);
    }
    fs_end(&f);
    fs_in_memory = false;
    tap_at(NULL);
}

NT_TEST(storm_deterministic)
{
    for (unsigned i = 0; i < 8 && !tap_failing(); i++)
        storm(NT_DETERMINISTIC, tap_seed() + i, 200);
}

NT_TEST(storm_realtime)
{
    for (unsigned i = 0; i < 3 && !tap_failing(); i++)
        storm(NT_REALTIME, tap_seed() + 100 + i, 700);
}

/* Who asks is known to filters, by the process that the thread works for. */
FS_TEST(requestor_is_known, NULL)
{
    static struct spy spy;
    char exe[512] = "";
    memset(&spy, 0, sizeof(spy));
    nt_close(f->root);
    f->root = NULL;
    need(spy_attach(&spy, f));
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\??\\X:\\");
    struct nt_create create = {
        .name = &name, .access = FILE_READ_DATA, .share = SHARE_ALL, .disposition = FILE_OPEN};
    PEPROCESS self = nt_process_of((uint32_t)getpid()), again = nt_process_of((uint32_t)getpid());
    is_ptr(self, again);
    ok(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
    is_str(nt_process_image(self), exe);
    PEPROCESS nobody = nt_process_of(0x3fffffff);
    is_str(nt_process_image(nobody), "System");
    PEPROCESS before = nt_process_enter(self);
    is_status(nt_create(&create), STATUS_SUCCESS);
    is_int(spy.creator, getpid());
    if (create.file != NULL)
        nt_close(create.file);
    nt_process_enter(before);
    is_status(nt_create(&create), STATUS_SUCCESS);
    is_int(spy.creator, 4, "the System process");
    if (create.file != NULL)
        nt_close(create.file);
    nt_process_release(self);
    nt_process_release(again);
    nt_process_release(nobody);
    spy_detach(&spy);
}

static unsigned freed;
static VOID NTAPI free_context(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    freed++;
}

/* A stream's and a file's contexts go with their control block, not before. */
FS_TEST(contexts_go_with_the_stream, NULL)
{
    static FSRTL_PER_STREAM_CONTEXT stream;
    static FSRTL_PER_FILE_CONTEXT whole;
    static int owner;
    freed = 0;
    PFILE_OBJECT one = fs_make(f, "a", FILE_CREATE, 0), two = fs_make(f, "a", FILE_OPEN, 0);
    PFILE_OBJECT folder = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE);
    need(one != NULL && two != NULL && folder != NULL);
    is_ptr(one->FsContext, two->FsContext);
    ok(FsRtlSupportsPerStreamContexts(one) && FsRtlSupportsPerStreamContexts(folder));
    stream.OwnerId = whole.OwnerId = &owner;
    stream.FreeCallback = whole.FreeCallback = free_context;
    is_status(FsRtlInsertPerStreamContext(FsRtlGetPerStreamContextPointer(one), &stream),
              STATUS_SUCCESS);
    is_status(FsRtlInsertPerFileContext(FsRtlGetPerFileContextPointer(one), &whole),
              STATUS_SUCCESS);
    is_ptr(FsRtlLookupPerStreamContext(FsRtlGetPerStreamContextPointer(two), &owner, NULL),
           &stream);
    is_ptr(FsRtlLookupPerFileContext(FsRtlGetPerFileContextPointer(two), &owner, NULL), &whole);
    nt_close(one);
    is_int(freed, 0);
    nt_close(two);
    is_int(freed, 2);
    nt_close(folder);
}
