/* A context of a size that was not registered. */
#include "fltbad.h"

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    PFLT_CONTEXT context;

    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    if (NT_SUCCESS(FltAllocateContext(Filter, FLT_STREAM_CONTEXT,
                                      sizeof(BAD_CONTEXT) + (Bad ? 8 : 0), NonPagedPoolNx,
                                      &context))) {
        FltReleaseContext(context);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
FLT_BAD(IRP_MJ_WRITE, Pre, NoPost, NoStop)
