/* A name is asked for in the post-operation of a create that failed. */
#include "fltbad.h"

static FLT_POSTOP_CALLBACK_STATUS Post(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects)
{
    PFLT_FILE_NAME_INFORMATION name;

    UNREFERENCED_PARAMETER(Objects);
    if ((Bad || NT_SUCCESS(Data->IoStatus.Status)) &&
        NT_SUCCESS(FltGetFileNameInformation(
            Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &name))) {
        FltReleaseFileNameInformation(name);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}
FLT_BAD(IRP_MJ_CREATE, NoPre, Post, NoStop)
