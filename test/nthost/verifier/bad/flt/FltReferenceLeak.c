/* A volume is referenced and not given back. */
#include "fltbad.h"

static VOID Stop(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"C:");
    PFLT_VOLUME volume;
    PFLT_INSTANCE instance;

    if (NT_SUCCESS(FltGetVolumeFromName(Filter, &name, &volume))) {
        if (NT_SUCCESS(FltGetVolumeInstanceFromName(Filter, volume, NULL, &instance)) && !Bad) {
            FltObjectDereference(instance);
        }
        FltObjectDereference(volume);
    }
}
FLT_BAD(IRP_MJ_WRITE, NoPre, NoPost, Stop)
