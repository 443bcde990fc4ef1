/* What a minifilter may not leave behind. */
#include "flt.h"
#include <string.h>

static void check_unload(const char *driver)
{
    flt_lock();
    for (LIST_ENTRY *e = flt_filters.Flink; e != NULL && e != &flt_filters; e = e->Flink) {
        const struct _FLT_FILTER *filter = CONTAINING_RECORD(e, struct _FLT_FILTER, link);
        if (strcmp(filter->image, driver) == 0)
            vf_violation(VfFltReferenceLeak,
                         "the driver is gone, but FltUnregisterFilter was not called");
    }
    flt_unlock();
}

void flt_verify_start(void)
{
    vf_at_unload(check_unload);
}
