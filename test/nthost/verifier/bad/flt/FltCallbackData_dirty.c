/* A parameter is changed, but the data not marked dirty. */
#include "fltbad.h"

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    Data->Iopb->Parameters.Write.ByteOffset.QuadPart += 16;
    if (!Bad) {
        FltSetCallbackDataDirty(Data);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
FLT_BAD(IRP_MJ_WRITE, Pre, NoPost, NoStop)
