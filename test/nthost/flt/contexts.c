/* Contexts: set once, found again, cleaned up when what they are on goes. */
#include "bench.h"

static unsigned cleaned(const struct bench *b, FLT_CONTEXT_TYPE type)
{
    return events(b, ProbeCleanedUp, UPPER, (UCHAR)type);
}

NT_TEST(contexts_of_every_kind)
{
    struct bench b;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    HANDLE other = file_new("\\other.txt");
    watch(&b, UPPER, IRP_MJ_WRITE)->Do = PROBE_CONTEXTS | PROBE_CONTEXT_GET;
    HANDLE file = file_new("\\a.txt"), again = NULL;
    is_status(file_write(file, 0, "x"), STATUS_SUCCESS);
    is_int(b.shared->Contexts, 5);
    ULONG number = event(&b, ProbePre, UPPER, IRP_MJ_WRITE, 0)->Context;
    is_status(file_write(file, 0, "y"), STATUS_SUCCESS);
    is_int(b.shared->Contexts, 5, "KEEP_IF_EXISTS kept them");
    is_int(event(&b, ProbePre, UPPER, IRP_MJ_WRITE, 1)->Context, number);
    /* Another handle: the same stream, a handle context of its own. */
    is_status(file_create("\\a.txt", FILE_OPEN, 0, &again), STATUS_SUCCESS);
    is_status(file_write(again, 0, "z"), STATUS_SUCCESS);
    is_int(event(&b, ProbePre, UPPER, IRP_MJ_WRITE, 2)->Context, number);
    is_int(b.shared->Contexts, 6);
    forget(&b);
    PROBE_RULE *close = watch(&b, UPPER, IRP_MJ_CLOSE);
    close->Do = close->PostDo = PROBE_CONTEXT_GET;
    ZwClose(file);
    is_int(event(&b, ProbePre, UPPER, IRP_MJ_CLOSE, 0)->Context, number);
    is_int(event(&b, ProbePost, UPPER, IRP_MJ_CLOSE, 0)->Context, 0, "not after the close");
    is_int(cleaned(&b, FLT_STREAMHANDLE_CONTEXT), 1);
    is_int(cleaned(&b, FLT_STREAM_CONTEXT), 0, "the stream is still open");
    ZwClose(again);
    is_int(cleaned(&b, FLT_STREAMHANDLE_CONTEXT), 2);
    is_int(cleaned(&b, FLT_STREAM_CONTEXT), 1);
    is_int(cleaned(&b, FLT_FILE_CONTEXT), 1);
    is_int(cleaned(&b, FLT_INSTANCE_CONTEXT), 0);
    is_status(file_write(other, 0, "x"), STATUS_SUCCESS);
    is_int(b.shared->Contexts, 5);
    forget(&b);
    bench_unload(&b, UPPER);
    is_int(cleaned(&b, FLT_INSTANCE_CONTEXT), 1);
    is_int(cleaned(&b, FLT_VOLUME_CONTEXT), 1);
    is_int(cleaned(&b, FLT_STREAM_CONTEXT), 1, "the instance's detach ends them, too");
    ZwClose(other);
    bench_close(&b);
}

/* A filter's functions, called as by a filter that is loaded. */
static NTSTATUS context(struct bench *b, FLT_CONTEXT_TYPE type, ULONG number, PFLT_CONTEXT *out)
{
    struct probe_context {
        ULONG number;
        FLT_CONTEXT_TYPE type;
    } *made;
    NTSTATUS status = FltAllocateContext((PFLT_FILTER)(ULONG_PTR)b->shared->Filter[UPPER], type,
                                         sizeof(*made), NonPagedPoolNx, (PFLT_CONTEXT *)&made);
    if (NT_SUCCESS(status)) {
        made->number = number;
        made->type = type;
        b->shared->Contexts++;
        *out = made;
    }
    return status;
}

NT_TEST(set_replace_delete)
{
    struct bench b;
    PFLT_CONTEXT first, second, old, got;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    PFLT_INSTANCE instance;
    PFLT_FILTER filter = (PFLT_FILTER)(ULONG_PTR)b.shared->Filter[UPPER];
    PFLT_VOLUME volume;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"C:");
    need(NT_SUCCESS(FltGetVolumeFromName(filter, &name, &volume)));
    need(NT_SUCCESS(FltGetVolumeInstanceFromName(filter, volume, NULL, &instance)));
    HANDLE file = file_new("\\a.txt");
    PFILE_OBJECT object = file_object(file);
    is_status(FltGetStreamContext(instance, object, &got), STATUS_NOT_FOUND);
    need(NT_SUCCESS(context(&b, FLT_STREAM_CONTEXT, 1, &first)));
    need(NT_SUCCESS(context(&b, FLT_STREAM_CONTEXT, 2, &second)));
    is_status(FltSetStreamContext(instance, object, FLT_SET_CONTEXT_KEEP_IF_EXISTS, first, &old),
              STATUS_SUCCESS);
    is_ptr(old, NULL);
    is_status(FltSetStreamContext(instance, object, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, first, NULL),
              STATUS_FLT_CONTEXT_ALREADY_LINKED);
    is_status(FltSetStreamContext(instance, object, FLT_SET_CONTEXT_KEEP_IF_EXISTS, second, &old),
              STATUS_FLT_CONTEXT_ALREADY_DEFINED);
    is_ptr(old, first);
    FltReleaseContext(old);
    is_status(
        FltSetStreamContext(instance, object, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, second, &old),
        STATUS_SUCCESS);
    is_ptr(old, first);
    FltReleaseContext(old);
    is_int(cleaned(&b, FLT_STREAM_CONTEXT), 0, "ours is left");
    FltReleaseContext(first);
    is_int(cleaned(&b, FLT_STREAM_CONTEXT), 1);
    is_status(FltGetStreamContext(instance, object, &got), STATUS_SUCCESS);
    is_ptr(got, second);
    FltReleaseContext(got);
    FltDeleteContext(second);
    is_status(FltGetStreamContext(instance, object, &got), STATUS_NOT_FOUND);
    is_int(cleaned(&b, FLT_STREAM_CONTEXT), 1);
    /* At DISPATCH_LEVEL the last release is put off. */
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    FltReleaseContext(second);
    KeLowerIrql(irql);
    nt_leave();
    sched_run_for(10000000);
    nt_enter();
    is_int(cleaned(&b, FLT_STREAM_CONTEXT), 2);
    is_int(event(&b, ProbeCleanedUp, UPPER, FLT_STREAM_CONTEXT, 1)->Irql, PASSIVE_LEVEL);
    is_status(FltDeleteStreamContext(instance, object, NULL), STATUS_NOT_FOUND);
    ZwClose(file);
    FltObjectDereference(instance);
    FltObjectDereference(volume);
    bench_close(&b);
}
