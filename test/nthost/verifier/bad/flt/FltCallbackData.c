/* Callback data is looked at after its operation was completed. */
#include "fltbad.h"

static PFLT_CALLBACK_DATA Kept;

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    Kept = Data;
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static VOID Stop(VOID)
{
    if (Bad && Kept != NULL) {
        *(volatile ULONG *)&Kept->Flags |= 0;
    }
}
FLT_BAD(IRP_MJ_WRITE, Pre, NoPost, Stop)
