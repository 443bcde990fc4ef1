/* Every call of the filters that may fail, fails once. */
#include "bench.h"
#include <fltpass.h>
#include <nthost/fs.h>
#include <nthost/nt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Operations with everything that fltprobe can do; what fails must not harm. */
static void scenario(struct bench *b)
{
    HANDLE file;
    if (!NT_SUCCESS(bench_load(b, UPPER)))
        return;
    for (unsigned i = 0; i < 2; i++) {
        PROBE_RULE *r = rule(b, UPPER, i ? IRP_MJ_WRITE : IRP_MJ_READ);
        r->Action = i ? ProbePend : ProbeWatch;
        r->Then = FLT_PREOP_SUCCESS_WITH_CALLBACK;
        r->Post = ProbePostPend;
        r->Do = PROBE_NAME | PROBE_OWN_IO | PROBE_CONTEXTS | PROBE_SWAP | (i ? PROBE_LOCK : 0);
        r->NameOptions = FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT;
    }
    if (NT_SUCCESS(file_create("\\a.txt", FILE_OPEN_IF, 0, &file))) {
        char text[16];
        file_write(file, 0, "text");
        file_read(file, 0, text, sizeof(text));
        ZwClose(file);
    }
    bench_unload(b, UPPER);
}

NT_TEST(fault_sweep)
{
    unsigned rounds = 0;
    vf_fault_sweep_begin(false);
    do {
        struct bench b;
        bench_open(&b, NT_DETERMINISTIC, tap_seed());
        vf_fault_round_begin();
        scenario(&b);
        /* What the test driver itself does not get is no error of the filter manager's. */
        b.shared->Failed = 0;
        bench_close(&b);
        rounds++;
    } while (vf_fault_round_end() && rounds < 200);
    ok(vf_fault_stacks() > 12, "%zu stacks", vf_fault_stacks());
    diag("%zu call stacks failed once each, in %u rounds", vf_fault_stacks(), rounds);
}

NT_TEST(skipped_paging_io)
{
    struct bench b;
    PDRIVER_OBJECT pass;
    struct flt_client *client;
    char folder[80], error[256] = "";
    NTSTATUS status;
    UINT32 code = FltPassCounters;
    FLTPASS_COUNTERS c = {0};
    ULONG returned;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    bench_register("fltpass", "Instances", "370010", 0);
    need(NT_SUCCESS(driver_load("fltpass", driver_path("fltpass"), &pass, error, sizeof(error))));
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    snprintf(folder, sizeof(folder), "%s/backing", b.dir);
    mkdir(folder, 0700);
    struct fs_mount_options options = {
        .folder = folder, .drive = 'X', .cache = {.on = true, .delay_ms = 1000}};
    struct fs_volume *volume = fs_mount(&options, &status, error, sizeof(error));
    need(volume != NULL, "%s", error);
    watch(&b, LOWER, IRP_MJ_WRITE);
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\??\\X:\\a");
    struct nt_create create = {.name = &name,
                               .access = FILE_ALL_ACCESS,
                               .disposition = FILE_CREATE,
                               .options = FILE_SYNCHRONOUS_IO_NONALERT};
    need(NT_SUCCESS(nt_create(&create)));
    LONGLONG zero = 0;
    is_status(nt_write(create.file, "x", 1, &zero, NULL), STATUS_SUCCESS);
    nt_close(create.file);
    fs_cache_drain(volume);
    is_int(events(&b, ProbePre, LOWER, IRP_MJ_WRITE), 2, "the write, and its paging write");
    need(NT_SUCCESS(flt_client_connect("\\FltPass", NULL, 0, &client)));
    is_status(flt_client_send(client, &code, sizeof(code), &c, sizeof(c), &returned),
              STATUS_SUCCESS);
    is_int(c.Pre[IRP_MJ_WRITE], 1, "fltpass asked not to see paging I/O");
    is_int(c.Post[IRP_MJ_WRITE], 1);
    flt_client_disconnect(client);
    is_status(fs_unmount(volume), STATUS_SUCCESS);
    is_status(driver_unload(pass), STATUS_SUCCESS);
    bench_close(&b);
}
