/* An operation is completed that was not pended. */
#include "fltbad.h"

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    FltCompletePendedPreOperation(Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL);
    return Bad ? FLT_PREOP_SUCCESS_NO_CALLBACK : FLT_PREOP_PENDING;
}
FLT_BAD(IRP_MJ_WRITE, Pre, NoPost, NoStop)
