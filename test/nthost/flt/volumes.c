/* Volumes of the file system driver: fast I/O, paging I/O, sections, coming and going. */
#include "bench.h"
#include <nthost/fs.h>
#include <nthost/nt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct mounted {
    struct bench b;
    struct fs_volume *volume;
    char folder[80];
};

static bool mounted_open(struct mounted *m, enum nt_scheduler scheduler, uint64_t seed)
{
    char error[256] = "";
    NTSTATUS status;
    bench_open(&m->b, scheduler, seed);
    snprintf(m->folder, sizeof(m->folder), "%s/backing", m->b.dir);
    mkdir(m->folder, 0700);
    if (!NT_SUCCESS(bench_load(&m->b, UPPER)) || !NT_SUCCESS(bench_load(&m->b, LOWER)))
        return false;
    forget(&m->b);
    struct fs_mount_options options = {
        .folder = m->folder,
        .drive = 'X',
        .cache = {.on = true, .delay_ms = 1000, .mapped_delay_ms = 1000}};
    m->volume = fs_mount(&options, &status, error, sizeof(error));
    return ok(m->volume != NULL, "%s", error);
}

static void mounted_close(struct mounted *m)
{
    is_status(fs_unmount(m->volume), STATUS_SUCCESS);
    bench_close(&m->b);
}

static PFILE_OBJECT open_x(const WCHAR *path, ULONG disposition, ULONG options)
{
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, path);
    struct nt_create create = {.name = &name,
                               .access = FILE_ALL_ACCESS,
                               .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                               .disposition = disposition,
                               .options = options | FILE_SYNCHRONOUS_IO_NONALERT};
    is_status(nt_create(&create), STATUS_SUCCESS);
    return create.file;
}

static NTSTATUS put(PFILE_OBJECT file, LONGLONG offset, const char *text)
{
    return nt_write(file, text, (ULONG)strlen(text), &offset, NULL);
}

NT_TEST(volumes_come_and_go)
{
    struct mounted m;
    need(mounted_open(&m, NT_DETERMINISTIC, tap_seed()));
    const PROBE_EVENT *e = event(&m.b, ProbeSetup, UPPER, FILE_DEVICE_DISK_FILE_SYSTEM, 0);
    need(e);
    is_hex(e->CallFlags,
           FLTFL_INSTANCE_SETUP_AUTOMATIC_ATTACHMENT | FLTFL_INSTANCE_SETUP_NEWLY_MOUNTED_VOLUME);
    is_status(fs_unmount(m.volume), STATUS_SUCCESS);
    e = event(&m.b, ProbeTeardownComplete, UPPER, 0, 0);
    need(e);
    is_hex(e->CallFlags, FLTFL_INSTANCE_TEARDOWN_VOLUME_DISMOUNT);
    is_int(events(&m.b, ProbeTeardownComplete, LOWER, 0), 1);
    bench_close(&m.b);
}

NT_TEST(fast_io_is_an_operation_of_its_own)
{
    struct mounted m;
    char text[16];
    LONGLONG zero = 0;
    ULONG_PTR got;
    need(mounted_open(&m, NT_DETERMINISTIC, tap_seed()));
    PFILE_OBJECT file = open_x(L"\\??\\X:\\a.txt", FILE_CREATE, 0);
    is_status(put(file, 0, "first"), STATUS_SUCCESS); /* starts caching */
    PROBE_RULE *upper = watch(&m.b, UPPER, IRP_MJ_WRITE), *lower = watch(&m.b, LOWER, IRP_MJ_WRITE);
    is_status(put(file, 0, "fast"), STATUS_SUCCESS);
    is_int(events(&m.b, ProbePre, UPPER, IRP_MJ_WRITE), 1);
    const PROBE_EVENT *pre = event(&m.b, ProbePre, LOWER, IRP_MJ_WRITE, 0);
    const PROBE_EVENT *post = event(&m.b, ProbePost, UPPER, IRP_MJ_WRITE, 0);
    need(pre && post);
    is_hex(pre->Flags & 7, FLTFL_CALLBACK_DATA_FAST_IO_OPERATION);
    is_int(post->Information, 4);
    /* Disallowed: an IRP follows. */
    forget(&m.b);
    lower->Action = ProbeDisallow;
    is_status(put(file, 0, "slow"), STATUS_SUCCESS);
    is_int(events(&m.b, ProbePre, UPPER, IRP_MJ_WRITE), 2);
    is_status(event(&m.b, ProbePost, UPPER, IRP_MJ_WRITE, 0)->Status, STATUS_FLT_DISALLOW_FAST_IO);
    is_hex(event(&m.b, ProbePre, UPPER, IRP_MJ_WRITE, 1)->Flags & 7,
           FLTFL_CALLBACK_DATA_IRP_OPERATION);
    /* Completed: the file system hears nothing. */
    forget(&m.b);
    lower->Action = ProbeComplete;
    lower->Status = STATUS_SUCCESS;
    is_status(put(file, 0, "none"), STATUS_SUCCESS);
    is_int(events(&m.b, ProbePre, UPPER, IRP_MJ_WRITE), 1);
    is_status(nt_read(file, text, sizeof(text), &zero, &got), STATUS_SUCCESS);
    is_mem(text, "slowt", 5);
    /* Parameters and buffers that are changed */
    lower->Action = ProbeWatch;
    lower->Do = PROBE_SWAP;
    lower->Key = 0x20;
    upper->Do = PROBE_MOVE;
    upper->Amount = 2;
    is_status(put(file, 0, "ab"), STATUS_SUCCESS);
    is_status(nt_read(file, text, sizeof(text), &zero, &got), STATUS_SUCCESS);
    is_mem(text, "slABt", 5);
    nt_close(file);
    mounted_close(&m);
}

NT_TEST(cached_data_comes_back_as_paging_io)
{
    struct mounted m;
    need(mounted_open(&m, NT_DETERMINISTIC, tap_seed()));
    PFILE_OBJECT file = open_x(L"\\??\\X:\\a.txt", FILE_CREATE, 0);
    PROBE_RULE *r = watch(&m.b, UPPER, IRP_MJ_WRITE);
    r->Do = PROBE_NAME;
    r->NameOptions = FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_ALWAYS_ALLOW_CACHE_LOOKUP;
    watch(&m.b, UPPER, IRP_MJ_ACQUIRE_FOR_CC_FLUSH);
    watch(&m.b, UPPER, IRP_MJ_RELEASE_FOR_CC_FLUSH);
    watch(&m.b, UPPER, IRP_MJ_CLEANUP);
    watch(&m.b, UPPER, IRP_MJ_CLOSE);
    is_status(put(file, 0, "dirty"), STATUS_SUCCESS);
    nt_close(file);
    fs_cache_drain(m.volume);
    const PROBE_EVENT *paging = event(&m.b, ProbePre, UPPER, IRP_MJ_WRITE, 1);
    need(paging, "the lazy writer's write");
    ok(paging->IrpFlags & IRP_PAGING_IO);
    ok(paging->IrpFlags & IRP_NOCACHE);
    is_status(paging->NameStatus, STATUS_SUCCESS, "out of the cache");
    is_str(event_name(paging), "\\Device\\HarddiskVolume2\\a.txt");
    const PROBE_EVENT *acquire = event(&m.b, ProbePre, UPPER, IRP_MJ_ACQUIRE_FOR_CC_FLUSH, 0);
    const PROBE_EVENT *release = event(&m.b, ProbePost, UPPER, IRP_MJ_RELEASE_FOR_CC_FLUSH, 0);
    need(acquire && release);
    is_hex(acquire->Flags & 7, FLTFL_CALLBACK_DATA_FS_FILTER_OPERATION);
    ok(acquire->Order < paging->Order && paging->Order < release->Order);
    is_int(events(&m.b, ProbePre, UPPER, IRP_MJ_CLEANUP), 1);
    is_int(events(&m.b, ProbePre, UPPER, IRP_MJ_CLOSE), 1);
    ok(event(&m.b, ProbePre, UPPER, IRP_MJ_CLEANUP, 0)->Order < paging->Order);
    ok(event(&m.b, ProbePre, UPPER, IRP_MJ_CLOSE, 0)->Order > paging->Order);
    mounted_close(&m);
}

NT_TEST(section_synchronisation)
{
    struct mounted m;
    need(mounted_open(&m, NT_DETERMINISTIC, tap_seed()));
    PFILE_OBJECT file = open_x(L"\\??\\X:\\a.txt", FILE_CREATE, 0);
    watch(&m.b, UPPER, IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION);
    PROBE_RULE *lower = watch(&m.b, LOWER, IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION);
    is_status(put(file, 0, "x"), STATUS_SUCCESS);
    is_status(nt_section_notice(file, PAGE_READWRITE), STATUS_SUCCESS);
    const PROBE_EVENT *e =
        event(&m.b, ProbePre, LOWER, IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION, 0);
    need(e);
    is_int(e->Offset, PAGE_READWRITE);
    is_int(e->Length, SyncTypeCreateSection);
    is_int(events(&m.b, ProbePost, UPPER, IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION), 1);
    lower->Action = ProbeComplete;
    lower->Status = STATUS_ACCESS_DENIED;
    is_status(nt_section_notice(file, PAGE_READWRITE), STATUS_ACCESS_DENIED);
    is_status(event(&m.b, ProbePost, UPPER, IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION, 1)->Status,
              STATUS_ACCESS_DENIED);
    nt_close(file);
    mounted_close(&m);
}

NT_TEST(contexts_and_names_of_ntfs)
{
    struct mounted m;
    need(mounted_open(&m, NT_DETERMINISTIC, tap_seed()));
    PFILE_OBJECT folder = open_x(L"\\??\\X:\\Dir", FILE_CREATE, FILE_DIRECTORY_FILE);
    nt_close(folder);
    PFILE_OBJECT file = open_x(L"\\??\\X:\\dir\\File.txt", FILE_CREATE, 0);
    PFILE_OBJECT stream = open_x(L"\\??\\X:\\dir\\File.txt:more", FILE_CREATE, 0);
    PROBE_RULE *r = watch(&m.b, UPPER, IRP_MJ_WRITE);
    r->Do = PROBE_CONTEXTS | PROBE_NAME;
    r->NameOptions = FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT;
    is_status(put(file, 0, "x"), STATUS_SUCCESS);
    is_int(m.b.shared->Contexts, 5);
    is_str(event_name(event(&m.b, ProbePre, UPPER, IRP_MJ_WRITE, 0)),
           "\\Device\\HarddiskVolume2\\Dir\\File.txt");
    is_status(put(stream, 0, "x"), STATUS_SUCCESS);
    ok(m.b.shared->Contexts >= 7, "a stream and a handle more");
    is_str(event_name(event(&m.b, ProbePre, UPPER, IRP_MJ_WRITE, 1)),
           "\\Device\\HarddiskVolume2\\Dir\\File.txt:more");
    r->Do = 0; /* a name cannot be asked for in the paging writes that follow */
    nt_close(stream);
    nt_close(file);
    fs_cache_drain(m.volume);
    is_int(m.b.shared->Contexts, 2, "those of the volume and of the instance are left");
    mounted_close(&m);
}

/* Names that are asked for while folders are renamed: what is kept is what the file system says. */
struct renamer {
    struct mounted *m;
    bool done;
};

static void rename_folder(void *context)
{
    struct renamer *r = context;
    nt_enter();
    UNICODE_STRING to = RTL_CONSTANT_STRING(L"\\??\\X:\\two");
    PFILE_OBJECT folder = open_x(L"\\??\\X:\\one", FILE_OPEN, FILE_DIRECTORY_FILE);
    is_status(nt_rename(folder, NULL, &to, FILE_RENAME_POSIX_SEMANTICS), STATUS_SUCCESS);
    nt_close(folder);
    r->done = true;
    nt_leave();
}

static void open_and_write(PFILE_OBJECT folder)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"file");
    struct nt_create create = {.root = folder,
                               .name = &name,
                               .access = FILE_ALL_ACCESS,
                               .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                               .disposition = FILE_OPEN_IF,
                               .options = FILE_SYNCHRONOUS_IO_NONALERT,
                               .case_sensitive = true};
    need(NT_SUCCESS(nt_create(&create)));
    put(create.file, 0, "x");
    nt_close(create.file);
}

static void compare_names(PFILE_OBJECT file)
{
    PFLT_FILE_NAME_INFORMATION kept = NULL, asked = NULL;
    is_status(FltGetFileNameInformationUnsafe(
                  file, NULL, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &kept),
              STATUS_SUCCESS);
    is_status(
        FltGetFileNameInformationUnsafe(
            file, NULL, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_FILESYSTEM_ONLY, &asked),
        STATUS_SUCCESS);
    need(kept && asked);
    ok(RtlEqualUnicodeString(&kept->Name, &asked->Name, FALSE));
    FltReleaseFileNameInformation(kept);
    FltReleaseFileNameInformation(asked);
}

NT_TEST(names_while_folders_are_renamed)
{
    for (unsigned seed = 0; seed < 30; seed++) {
        struct mounted m;
        tap_at("seed %u", (unsigned)tap_seed() + seed);
        need(mounted_open(&m, NT_DETERMINISTIC, tap_seed() + seed));
        PFILE_OBJECT folder = open_x(L"\\??\\X:\\one", FILE_CREATE, FILE_DIRECTORY_FILE);
        PFILE_OBJECT file = open_x(L"\\??\\X:\\one\\other", FILE_CREATE, 0);
        PROBE_RULE *create = rule(&m.b, UPPER, IRP_MJ_CREATE);
        create->Action = ProbeWatch;
        create->Do = create->PostDo = PROBE_NAME;
        rule(&m.b, UPPER, IRP_MJ_WRITE)->Do = PROBE_NAME;
        create->NameOptions = rule(&m.b, UPPER, IRP_MJ_WRITE)->NameOptions =
            FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_ALWAYS_ALLOW_CACHE_LOOKUP;
        /* Held up on its way, so that others ask while it is under way. */
        rule(&m.b, LOWER, IRP_MJ_SET_INFORMATION)->Action = ProbePend;
        rule(&m.b, LOWER, IRP_MJ_SET_INFORMATION)->Then = FLT_PREOP_SUCCESS_NO_CALLBACK;
        struct renamer r = {&m, false};
        nt_leave();
        struct nt_thread *thread = nt_spawn("renamer", rename_folder, &r);
        nt_enter();
        for (unsigned i = 0; i < 3; i++) {
            open_and_write(folder);
            put(file, 0, "y");
        }
        nt_leave();
        for (unsigned i = 0; i < 100 && !r.done; i++)
            sched_run_for(1000000);
        nt_join(thread);
        nt_enter();
        compare_names(file);
        compare_names(folder);
        rule(&m.b, UPPER, IRP_MJ_WRITE)->Do = 0;
        nt_close(file);
        nt_close(folder);
        fs_cache_drain(m.volume);
        mounted_close(&m);
    }
    tap_at(NULL);
}

/* All of it at real time, from several threads. */
struct worker {
    struct mounted *m;
    unsigned number;
    bool done;
};

static void work(void *context)
{
    struct worker *w = context;
    WCHAR path[32] = L"\\??\\X:\\w0.txt";
    char text[8] = "text";
    path[8] = (WCHAR)('0' + w->number);
    nt_enter();
    for (unsigned i = 0; i < 60; i++) {
        PFILE_OBJECT file = open_x(path, FILE_OPEN_IF, 0);
        for (unsigned n = 0; n < 4; n++)
            is_status(put(file, n * 4, text), STATUS_SUCCESS);
        nt_close(file);
    }
    nt_leave();
    w->done = true;
}

NT_TEST(real_time)
{
    struct mounted m;
    need(mounted_open(&m, NT_REALTIME, tap_seed()));
    for (unsigned i = 0; i < 2; i++) {
        PROBE_RULE *r = rule(&m.b, i, IRP_MJ_WRITE);
        r->Action = i ? ProbeWatch : ProbeSynchronize;
        r->Do = PROBE_CONTEXTS;
        rule(&m.b, i, IRP_MJ_CREATE)->Action = i ? ProbePend : ProbeWatch;
        rule(&m.b, i, IRP_MJ_CREATE)->Post = i ? ProbePostPend : ProbeFinish;
    }
    /* Fast I/O cannot be pended or synchronized: IRPs only. */
    rule(&m.b, UPPER, IRP_MJ_WRITE)->Action = ProbeWatch;
    struct worker w[3];
    struct nt_thread *threads[3];
    nt_leave();
    for (unsigned i = 0; i < 3; i++) {
        w[i] = (struct worker){&m, i, false};
        threads[i] = nt_spawn("worker", work, &w[i]);
    }
    nt_enter();
    for (unsigned i = 0; i < 6; i++) {
        const char *name = i & 1 ? "fltprobe" : "fltlower";
        is_status(flt_detach(name, "X:", NULL), STATUS_SUCCESS);
        is_status(flt_attach(name, "X:", NULL, NULL), STATUS_SUCCESS);
    }
    nt_leave();
    for (unsigned i = 0; i < 3; i++) {
        nt_join(threads[i]);
        ok(w[i].done);
    }
    nt_enter();
    fs_cache_drain(m.volume);
    mounted_close(&m);
}
