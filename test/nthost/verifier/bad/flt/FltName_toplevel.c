/* A name is asked for while the thread has a top-level IRP. */
#include "fltbad.h"

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    PFLT_FILE_NAME_INFORMATION name;
    PIRP top = IoGetTopLevelIrp();

    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    if (Bad) {
        IoSetTopLevelIrp((PIRP)(ULONG_PTR)1 /* FSRTL_FSP_TOP_LEVEL_IRP */);
    }
    if (NT_SUCCESS(FltGetFileNameInformation(
            Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &name))) {
        FltReleaseFileNameInformation(name);
    }
    IoSetTopLevelIrp(top);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
FLT_BAD(IRP_MJ_WRITE, Pre, NoPost, NoStop)
