/* IRPs through filters: statuses of pre- and post-operations, order, dirtying, buffers. */
#include "bench.h"

static const enum nt_scheduler det = NT_DETERMINISTIC;

NT_TEST(volume_without_filters_works)
{
    struct bench b;
    char text[32];
    bench_open(&b, det, tap_seed());
    HANDLE file = file_new("\\a.txt");
    is_status(file_write(file, 0, "hello"), STATUS_SUCCESS);
    is_status(file_read(file, 0, text, sizeof(text)), STATUS_SUCCESS);
    is_str(text, "hello");
    is_status(ZwClose(file), STATUS_SUCCESS);
    bench_close(&b);
}

NT_TEST(operations_go_through_filters_by_altitude)
{
    struct bench b;
    bench_open(&b, det, tap_seed());
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    for (unsigned i = 0; i < 2; i++) {
        watch(&b, i, IRP_MJ_WRITE);
        watch(&b, i, IRP_MJ_CREATE);
    }
    HANDLE file = file_new("\\a.txt");
    is_status(file_write(file, 3, "hello"), STATUS_SUCCESS);
    const PROBE_EVENT *pre[2], *post[2];
    for (unsigned i = 0; i < 2; i++) {
        pre[i] = event(&b, ProbePre, i, IRP_MJ_WRITE, 0);
        post[i] = event(&b, ProbePost, i, IRP_MJ_WRITE, 0);
        need(pre[i] && post[i]);
        is_int(pre[i]->Offset, 3);
        is_int(pre[i]->Length, 5);
        is_hex(pre[i]->Flags & 0xffff, FLTFL_CALLBACK_DATA_IRP_OPERATION);
        ok(post[i]->Flags & FLTFL_CALLBACK_DATA_POST_OPERATION);
        is_int(post[i]->Information, 5);
        is_status(post[i]->Status, STATUS_SUCCESS);
        is_int(events(&b, ProbePre, i, IRP_MJ_CREATE), 1);
        is_int(events(&b, ProbePost, i, IRP_MJ_CREATE), 1);
    }
    ok(pre[UPPER]->Order < pre[LOWER]->Order);
    ok(pre[LOWER]->Order < post[LOWER]->Order);
    ok(post[LOWER]->Order < post[UPPER]->Order);
    ZwClose(file);
    bench_close(&b);
}

/* Every way to say what a write does, in both filters: the data arrives all the same. */
static void one_way(struct bench *b, UINT32 action, UINT32 post, unsigned which)
{
    char text[32];
    PROBE_RULE *r = watch(b, which, IRP_MJ_WRITE);
    r->Action = action;
    r->Then = FLT_PREOP_SUCCESS_WITH_CALLBACK;
    r->Post = post;
    forget(b);
    tap_at("action %u, post %u, filter %u", action, post, which);
    HANDLE file = file_new("\\ways.txt");
    is_status(file_write(file, 0, "way"), STATUS_SUCCESS);
    is_status(file_read(file, 0, text, sizeof(text)), STATUS_SUCCESS);
    is_str(text, "way");
    is_int(events(b, ProbePre, which, IRP_MJ_WRITE), 1);
    is_int(events(b, ProbePost, which, IRP_MJ_WRITE), action == ProbePass     ? 0
                                                      : post == ProbePostSafe ? 2
                                                                              : 1);
    is_status(ZwClose(file), STATUS_SUCCESS);
}

static void all_ways(uint64_t seed)
{
    static const UINT32 actions[] = {ProbePass, ProbeWatch, ProbeSynchronize, ProbePend,
                                     ProbePendEarly};
    static const UINT32 posts[] = {ProbeFinish, ProbePostPend, ProbePostPendEarly, ProbePostSafe};
    struct bench b;
    bench_open(&b, det, seed);
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    for (unsigned i = 0; i < ARRAYSIZE(actions); i++)
        for (unsigned j = 0; j < ARRAYSIZE(posts); j++)
            for (unsigned which = 0; which < 2; which++)
                for (unsigned other = 0; other < ARRAYSIZE(actions); other++) {
                    PROBE_RULE *r = watch(&b, !which, IRP_MJ_WRITE);
                    r->Action = actions[other];
                    r->Then = FLT_PREOP_SYNCHRONIZE;
                    if (actions[other] == ProbePendEarly)
                        r->Then = FLT_PREOP_SUCCESS_WITH_CALLBACK;
                    r->Post = posts[(j + other) % 4];
                    one_way(&b, actions[i], posts[j], which);
                }
    tap_at(NULL);
    bench_close(&b);
}

NT_TEST(every_status_of_both_filters)
{
    for (unsigned i = 0; i < 3; i++)
        all_ways(tap_seed() + i);
}

NT_TEST(creates_end_in_their_thread)
{
    struct bench b;
    bench_open(&b, det, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    watch(&b, UPPER, IRP_MJ_CREATE);
    PROBE_RULE *r = watch(&b, LOWER, IRP_MJ_CREATE);
    r->Action = ProbePend;
    r->Then = FLT_PREOP_SUCCESS_WITH_CALLBACK;
    HANDLE file = file_new("\\a.txt");
    const PROBE_EVENT *pre = event(&b, ProbePre, UPPER, IRP_MJ_CREATE, 0);
    const PROBE_EVENT *post = event(&b, ProbePost, UPPER, IRP_MJ_CREATE, 0);
    need(pre && post);
    ok(pre->Thread == post->Thread, "the upper filter's post-operation is in the same thread");
    is_int(post->Irql, PASSIVE_LEVEL);
    is_int(post->Information, FILE_CREATED);
    ZwClose(file);
    bench_close(&b);
}

NT_TEST(complete_ends_the_operation)
{
    struct bench b;
    bench_open(&b, det, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    watch(&b, UPPER, IRP_MJ_WRITE);
    PROBE_RULE *r = watch(&b, LOWER, IRP_MJ_WRITE);
    HANDLE file = file_new("\\a.txt");
    static const UINT32 actions[] = {ProbeComplete, ProbePend};
    for (unsigned i = 0; i < 2; i++) {
        forget(&b);
        r->Action = actions[i];
        r->Then = FLT_PREOP_COMPLETE;
        r->Status = STATUS_DISK_FULL;
        is_status(file_write(file, 0, "no"), STATUS_DISK_FULL);
        is_int(events(&b, ProbePost, LOWER, IRP_MJ_WRITE), 0);
        const PROBE_EVENT *post = event(&b, ProbePost, UPPER, IRP_MJ_WRITE, 0);
        need(post);
        is_status(post->Status, STATUS_DISK_FULL);
    }
    r->Action = ProbeWatch;
    r->PostDo = PROBE_STATUS;
    r->Status = STATUS_ACCESS_DENIED;
    forget(&b);
    is_status(file_write(file, 0, "yes"), STATUS_ACCESS_DENIED);
    is_status(event(&b, ProbePost, UPPER, IRP_MJ_WRITE, 0)->Status, STATUS_ACCESS_DENIED);
    ZwClose(file);
    bench_close(&b);
}

NT_TEST(changed_parameters_reach_what_is_below)
{
    struct bench b;
    char text[32];
    bench_open(&b, det, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    HANDLE file = file_new("\\a.txt");
    is_status(file_write(file, 0, "0123456789"), STATUS_SUCCESS);
    PROBE_RULE *upper = watch(&b, UPPER, IRP_MJ_WRITE);
    watch(&b, LOWER, IRP_MJ_WRITE);
    upper->Do = PROBE_MOVE;
    upper->Amount = 4;
    is_status(file_write(file, 1, "xy"), STATUS_SUCCESS);
    is_int(event(&b, ProbePre, UPPER, IRP_MJ_WRITE, 0)->Offset, 1);
    is_int(event(&b, ProbePre, LOWER, IRP_MJ_WRITE, 0)->Offset, 5);
    is_int(event(&b, ProbePost, LOWER, IRP_MJ_WRITE, 0)->Offset, 5);
    is_int(event(&b, ProbePost, UPPER, IRP_MJ_WRITE, 0)->Offset, 1, "restored for it and above");
    is_status(file_read(file, 0, text, sizeof(text)), STATUS_SUCCESS);
    is_str(text, "01234xy789");
    ZwClose(file);
    bench_close(&b);
}

NT_TEST(swapped_buffers)
{
    struct bench b;
    char text[32], raw[32];
    bench_open(&b, det, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    for (unsigned i = 0; i < 2; i++)
        for (unsigned major = IRP_MJ_READ; major <= IRP_MJ_WRITE; major++) {
            PROBE_RULE *r = watch(&b, i, (UCHAR)major);
            r->Do = PROBE_SWAP | (i ? PROBE_RETAIN : 0);
            r->Key = i ? 0x20 : 0x01;
        }
    HANDLE file = file_new("\\a.txt");
    is_status(file_write(file, 0, "abcdef"), STATUS_SUCCESS);
    is_status(file_read(file, 0, text, sizeof(text)), STATUS_SUCCESS);
    is_str(text, "abcdef");
    ok(event(&b, ProbePre, UPPER, IRP_MJ_WRITE, 0)->Buffer !=
       event(&b, ProbePre, LOWER, IRP_MJ_WRITE, 0)->Buffer);
    for (unsigned i = 0; i < 2; i++)
        is_hex(event(&b, ProbePre, i, IRP_MJ_READ, 0)->Buffer,
               event(&b, ProbePost, i, IRP_MJ_READ, 0)->Buffer, "the buffer of above is back");
    memset(rule(&b, UPPER, IRP_MJ_READ), 0, sizeof(PROBE_RULE));
    memset(rule(&b, LOWER, IRP_MJ_READ), 0, sizeof(PROBE_RULE));
    is_status(file_read(file, 0, raw, sizeof(raw)), STATUS_SUCCESS);
    is_str(raw, "@CBEDG", "both keys are in the file");
    ZwClose(file);
    bench_close(&b);
}

NT_TEST(locked_user_buffers)
{
    struct bench b;
    bench_open(&b, det, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    PROBE_RULE *r = watch(&b, UPPER, IRP_MJ_WRITE);
    r->Do = PROBE_LOCK;
    HANDLE file = file_new("\\a.txt");
    is_status(file_write(file, 0, "Q"), STATUS_SUCCESS);
    is_int(event(&b, ProbePre, UPPER, IRP_MJ_WRITE, 0)->Context, 'Q');
    ZwClose(file);
    bench_close(&b);
}

NT_TEST(own_reads_enter_below_the_filter)
{
    struct bench b;
    bench_open(&b, det, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    need(NT_SUCCESS(bench_load(&b, LOWER)));
    HANDLE file = file_new("\\a.txt");
    is_status(file_write(file, 0, "some text"), STATUS_SUCCESS);
    watch(&b, UPPER, IRP_MJ_READ);
    watch(&b, LOWER, IRP_MJ_READ);
    watch(&b, UPPER, IRP_MJ_WRITE)->Do = PROBE_OWN_IO;
    is_status(file_write(file, 0, "S"), STATUS_SUCCESS);
    is_int(events(&b, ProbePre, UPPER, IRP_MJ_READ), 0);
    is_int(events(&b, ProbePre, LOWER, IRP_MJ_READ), 1);
    const PROBE_EVENT *read = event(&b, ProbePost, LOWER, IRP_MJ_READ, 0);
    need(read);
    ok(read->Flags & FLTFL_CALLBACK_DATA_GENERATED_IO);
    is_int(read->Information, 9);
    const PROBE_EVENT *write = event(&b, ProbePre, UPPER, IRP_MJ_WRITE, 0);
    is_status(write->NameStatus, STATUS_SUCCESS);
    is_int(write->Context, 9);
    ZwClose(file);
    bench_close(&b);
}
