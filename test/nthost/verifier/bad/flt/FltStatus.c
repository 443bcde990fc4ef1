/* STATUS_PENDING is no status to complete with. */
#include "fltbad.h"

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    Data->IoStatus.Status = Bad ? STATUS_PENDING : STATUS_SUCCESS;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}
FLT_BAD(IRP_MJ_WRITE, Pre, NoPost, NoStop)
