/* Registration, instances, volumes, unloading, draining. */
#include "bench.h"
#include "flt.h"
#include <stdlib.h>

NT_TEST(altitudes_compare_as_numbers)
{
    static const struct {
        const WCHAR *a, *b;
        int order;
    } cases[] = {{L"370030", L"370030", 0},
                 {L"370030", L"1000000", -1},
                 {L"370030.5", L"370030", 1},
                 {L"370030.05", L"370030.5", -1},
                 {L"370030.50", L"370030.5", 0},
                 {L"0370030", L"370030", 0},
                 {L"2", L"10", -1},
                 {L"0", L"0.0", 0}};
    for (unsigned i = 0; i < ARRAYSIZE(cases); i++) {
        UNICODE_STRING a, b;
        tap_at("case %u", i);
        RtlInitUnicodeString(&a, cases[i].a);
        RtlInitUnicodeString(&b, cases[i].b);
        is_int(flt_compare_altitudes(&a, &b), cases[i].order);
        is_int(flt_compare_altitudes(&b, &a), -cases[i].order);
        ok(flt_is_altitude(&a));
    }
    tap_at(NULL);
    UNICODE_STRING bad[] = {RTL_CONSTANT_STRING(L""), RTL_CONSTANT_STRING(L"12a"),
                            RTL_CONSTANT_STRING(L".5"), RTL_CONSTANT_STRING(L"1.2.3")};
    for (unsigned i = 0; i < ARRAYSIZE(bad); i++)
        ok(!flt_is_altitude(&bad[i]));
}

NT_TEST(registration_needs_instance_definitions)
{
    struct bench b;
    PDRIVER_OBJECT driver;
    char error[512];
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    is_status(driver_load("fltprobe", driver_path("fltprobe"), &driver, error, sizeof(error)),
              STATUS_OBJECT_NAME_NOT_FOUND);
    registry_set_string(REGISTRY_SERVICES "\\fltprobe\\Instances", "DefaultInstance", REG_SZ, "x");
    is_status(driver_load("fltprobe", driver_path("fltprobe"), &driver, error, sizeof(error)),
              STATUS_OBJECT_NAME_NOT_FOUND);
    bench_close(&b);
}

NT_TEST(setup_may_refuse)
{
    struct bench b;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    is_status(flt_detach("fltprobe", "C:", NULL), STATUS_SUCCESS);
    is_int(events(&b, ProbeQueryTeardown, UPPER, 0), 1);
    is_int(events(&b, ProbeTeardownStart, UPPER, 0), 1);
    is_int(event(&b, ProbeTeardownComplete, UPPER, 0, 0)->CallFlags,
           FLTFL_INSTANCE_TEARDOWN_MANUAL);
    is_status(flt_detach("fltprobe", "C:", NULL), STATUS_FLT_INSTANCE_NOT_FOUND);
    b.shared->SetupStatus[UPPER] = STATUS_FLT_DO_NOT_ATTACH;
    is_status(flt_attach("fltprobe", "\\Device\\HarddiskVolume1", NULL, NULL),
              STATUS_FLT_DO_NOT_ATTACH);
    b.shared->SetupStatus[UPPER] = STATUS_SUCCESS;
    forget(&b);
    is_status(flt_attach("fltprobe", "C:", NULL, NULL), STATUS_SUCCESS);
    is_int(event(&b, ProbeSetup, UPPER, FILE_DEVICE_DISK_FILE_SYSTEM, 0)->CallFlags,
           FLTFL_INSTANCE_SETUP_MANUAL_ATTACHMENT);
    is_status(flt_attach("fltprobe", "C:", NULL, NULL), STATUS_FLT_INSTANCE_NAME_COLLISION);
    is_status(flt_attach("fltprobe", "C:", "another", "370030"),
              STATUS_FLT_INSTANCE_ALTITUDE_COLLISION);
    is_status(flt_attach("fltprobe", "Q:", NULL, NULL), STATUS_FLT_VOLUME_NOT_FOUND);
    is_status(flt_attach("nothing", "C:", NULL, NULL), STATUS_FLT_FILTER_NOT_FOUND);
    b.shared->TeardownStatus[UPPER] = STATUS_FLT_DO_NOT_DETACH;
    is_status(flt_detach("fltprobe", "C:", NULL), STATUS_FLT_DO_NOT_DETACH);
    bench_close(&b);
}

NT_TEST(one_filter_twice_on_a_volume)
{
    struct bench b;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    is_status(flt_attach("fltprobe", "C:", "below", "20000"), STATUS_SUCCESS);
    watch(&b, UPPER, IRP_MJ_WRITE);
    HANDLE file = file_new("\\a.txt");
    file_write(file, 0, "x");
    is_int(events(&b, ProbePre, UPPER, IRP_MJ_WRITE), 2);
    is_int(events(&b, ProbePost, UPPER, IRP_MJ_WRITE), 2);
    ZwClose(file);
    bench_close(&b);
}

NT_TEST(unload_may_be_refused)
{
    struct bench b;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    b.shared->UnloadStatus[UPPER] = STATUS_FLT_DO_NOT_DETACH;
    is_status(flt_unload("fltprobe"), STATUS_FLT_DO_NOT_DETACH);
    is_int(event(&b, ProbeUnload, UPPER, 0, 0)->CallFlags, 0);
    b.shared->UnloadStatus[UPPER] = STATUS_SUCCESS;
    is_status(flt_unload("fltprobe"), STATUS_SUCCESS);
    b.driver[UPPER] = NULL;
    is_int(event(&b, ProbeTeardownComplete, UPPER, 0, 0)->CallFlags,
           FLTFL_INSTANCE_TEARDOWN_FILTER_UNLOAD);
    /* By the service control manager it is mandatory. */
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    b.shared->UnloadStatus[UPPER] = STATUS_FLT_DO_NOT_DETACH;
    forget(&b);
    bench_unload(&b, UPPER);
    is_int(event(&b, ProbeUnload, UPPER, 0, 0)->CallFlags, FLTFL_FILTER_UNLOAD_MANDATORY);
    bench_close(&b);
}

NT_TEST(enumeration)
{
    struct bench b;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    PFLT_FILTER filters[4];
    PFLT_VOLUME volumes[4];
    PFLT_INSTANCE instances[4], top, bottom, below;
    ULONG n = 0;
    is_status(FltEnumerateFilters(NULL, 0, &n), STATUS_BUFFER_TOO_SMALL);
    is_int(n, 2);
    is_status(FltEnumerateFilters(filters, 4, &n), STATUS_SUCCESS);
    is_int(n, 2);
    PFLT_FILTER upper = (PFLT_FILTER)(ULONG_PTR)b.shared->Filter[UPPER];
    is_status(FltEnumerateVolumes(upper, volumes, 4, &n), STATUS_SUCCESS);
    is_int(n, 1);
    is_status(FltEnumerateInstances(volumes[0], NULL, instances, 4, &n), STATUS_SUCCESS);
    is_int(n, 2);
    is_status(FltGetTopInstance(volumes[0], &top), STATUS_SUCCESS);
    is_status(FltGetBottomInstance(volumes[0], &bottom), STATUS_SUCCESS);
    is_status(FltGetLowerInstance(top, &below), STATUS_SUCCESS);
    is_ptr(below, bottom);
    is_ptr(instances[0], top);
    is_ptr(instances[1], bottom);
    ok(FltCompareInstanceAltitudes(top, bottom) > 0);
    is_ptr(top->filter, upper);
    PFLT_INSTANCE none;
    is_status(FltGetLowerInstance(bottom, &none), STATUS_NO_MORE_ENTRIES);
    is_status(FltGetUpperInstance(top, &none), STATUS_NO_MORE_ENTRIES);
    WCHAR text[64];
    UNICODE_STRING name = {0, sizeof(text), text},
                   expected = RTL_CONSTANT_STRING(L"\\Device\\HarddiskVolume1");
    is_status(FltGetVolumeName(volumes[0], &name, NULL), STATUS_SUCCESS);
    ok(RtlEqualUnicodeString(&name, &expected, FALSE));
    UCHAR buffer[512];
    is_status(FltGetInstanceInformation(top, InstanceFullInformation, buffer, sizeof(buffer), &n),
              STATUS_SUCCESS);
    const INSTANCE_FULL_INFORMATION *info = (const void *)buffer;
    UNICODE_STRING altitude = {info->AltitudeLength, info->AltitudeLength,
                               (PWCH)(buffer + info->AltitudeBufferOffset)};
    UNICODE_STRING wanted = RTL_CONSTANT_STRING(L"370030");
    ok(RtlEqualUnicodeString(&altitude, &wanted, FALSE));
    PVOID all[] = {filters[0],   filters[1], volumes[0], instances[0],
                   instances[1], top,        bottom,     below};
    for (unsigned i = 0; i < ARRAYSIZE(all); i++)
        FltObjectDereference(all[i]);
    bench_close(&b);
}

struct writer {
    HANDLE file;
    NTSTATUS status;
    bool done;
};

static void write_held(void *context)
{
    struct writer *w = context;
    nt_enter();
    w->status = file_write(w->file, 0, "held");
    w->done = true;
    nt_leave();
}

NT_TEST(pended_operations_end_with_the_instance)
{
    struct bench b;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    struct writer w = {.file = file_new("\\a.txt")};
    watch(&b, UPPER, IRP_MJ_WRITE);
    watch(&b, LOWER, IRP_MJ_WRITE)->Action = ProbePendHold;
    nt_leave();
    struct nt_thread *thread = nt_spawn("writer", write_held, &w);
    sched_run_for(1000000);
    ok(!w.done);
    is_int(b.shared->Held, 1);
    /* The upper one is gone while its operation is below: its post-operation drains. */
    nt_enter();
    bench_unload(&b, UPPER);
    const PROBE_EVENT *post = event(&b, ProbePost, UPPER, IRP_MJ_WRITE, 0);
    need(post);
    ok(post->CallFlags & FLTFL_POST_OPERATION_DRAINING);
    ok(post->Flags & FLTFL_CALLBACK_DATA_DRAINING_IO);
    ok(!w.done);
    /* The lower one completes what it holds when it is torn down. */
    bench_unload(&b, LOWER);
    nt_leave();
    sched_run_for(1000000);
    ok(w.done);
    is_status(w.status, STATUS_CANCELLED);
    nt_join(thread);
    nt_enter();
    ZwClose(w.file);
    bench_close(&b);
}

static void write_often(void *context)
{
    struct writer *w = context;
    nt_enter();
    for (unsigned i = 0; i < 40 && NT_SUCCESS(w->status); i++)
        w->status = file_write(w->file, i, "w");
    w->done = true;
    nt_leave();
}

/* Filters come and go while operations are under way, pended at every stage. */
NT_TEST(attaching_and_detaching_under_way)
{
    for (unsigned seed = 0; seed < 12; seed++) {
        struct bench b;
        tap_at("seed %u", (unsigned)tap_seed() + seed);
        bench_open(&b, NT_DETERMINISTIC, tap_seed() + seed);
        need(NT_SUCCESS(bench_load(&b, UPPER)));
        need(NT_SUCCESS(bench_load(&b, LOWER)));
        struct writer w[2] = {{.file = file_new("\\a")}, {.file = file_new("\\b")}};
        static const UINT32 actions[] = {ProbeWatch, ProbePend, ProbeSynchronize, ProbePendEarly};
        for (unsigned i = 0; i < 2; i++) {
            PROBE_RULE *r = rule(&b, i, IRP_MJ_WRITE);
            r->Action = actions[(seed + i * 3) % 4];
            r->Then = seed & 1 ? FLT_PREOP_SUCCESS_WITH_CALLBACK : FLT_PREOP_SUCCESS_NO_CALLBACK;
            r->Post = (seed / 2 + i) % 3;
        }
        nt_leave();
        struct nt_thread *threads[2] = {nt_spawn("writer 1", write_often, &w[0]),
                                        nt_spawn("writer 2", write_often, &w[1])};
        nt_enter();
        for (unsigned i = 0; i < 6; i++) {
            const char *name = i & 1 ? "fltprobe" : "fltlower";
            is_status(flt_detach(name, "C:", NULL), STATUS_SUCCESS);
            is_status(flt_attach(name, "C:", NULL, NULL), STATUS_SUCCESS);
        }
        nt_leave();
        for (unsigned i = 0; i < 1000 && !(w[0].done && w[1].done); i++)
            sched_run_for(1000000);
        for (unsigned i = 0; i < 2; i++) {
            ok(w[i].done);
            is_status(w[i].status, STATUS_SUCCESS);
            nt_join(threads[i]);
        }
        nt_enter();
        ZwClose(w[0].file);
        ZwClose(w[1].file);
        bench_close(&b);
    }
    tap_at(NULL);
}
