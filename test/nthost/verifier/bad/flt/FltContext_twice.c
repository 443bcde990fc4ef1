/* A context is released more often than it was referenced, while it is set. */
#include "fltbad.h"

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    PFLT_CONTEXT context;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Context);
    if (NT_SUCCESS(FltAllocateContext(Filter, FLT_STREAM_CONTEXT, sizeof(BAD_CONTEXT),
                                      NonPagedPoolNx, &context))) {
        NTSTATUS status = FltSetStreamContext(Objects->Instance, Objects->FileObject,
                                              FLT_SET_CONTEXT_KEEP_IF_EXISTS, context, NULL);

        FltReleaseContext(context);
        if (Bad && NT_SUCCESS(status)) {
            FltReleaseContext(context);
        }
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
FLT_BAD(IRP_MJ_WRITE, Pre, NoPost, NoStop)
