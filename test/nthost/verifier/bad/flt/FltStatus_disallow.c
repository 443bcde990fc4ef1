/* FLT_PREOP_DISALLOW_FASTIO for an IRP. */
#include "fltbad.h"

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    return Bad || FLT_IS_FASTIO_OPERATION(Data) ? FLT_PREOP_DISALLOW_FASTIO
                                                : FLT_PREOP_SUCCESS_NO_CALLBACK;
}
FLT_BAD(IRP_MJ_WRITE, Pre, NoPost, NoStop)
