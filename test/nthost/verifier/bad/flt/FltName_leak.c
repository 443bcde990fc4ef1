/* A name is not released. */
#include "fltbad.h"

static FLT_PREOP_CALLBACK_STATUS Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                     PVOID *Context)
{
    PFLT_FILE_NAME_INFORMATION name;

    UNREFERENCED_PARAMETER(Objects);
    UNREFERENCED_PARAMETER(Context);
    if (NT_SUCCESS(FltGetFileNameInformation(
            Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &name)) &&
        !Bad) {
        FltReleaseFileNameInformation(name);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
FLT_BAD(IRP_MJ_CREATE, Pre, NoPost, NoStop)
