/* Forgets a timer object. */
#define BAD_DETACHING() Detaching()
#include <ntddk.h>
static VOID Detaching(VOID);
#include "ndisbad.h"

static NDIS_TIMER_FUNCTION Expired;
static VOID Expired(PVOID SystemSpecific1, PVOID Context, PVOID SystemSpecific2,
                    PVOID SystemSpecific3)
{
    UNREFERENCED_PARAMETER(SystemSpecific1);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(SystemSpecific2);
    UNREFERENCED_PARAMETER(SystemSpecific3);
}

static VOID Detaching(VOID)
{
    NDIS_TIMER_CHARACTERISTICS characteristics = {0};
    NDIS_HANDLE timer;

    characteristics.Header.Type = NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS;
    characteristics.Header.Revision = NDIS_TIMER_CHARACTERISTICS_REVISION_1;
    characteristics.Header.Size = NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1;
    characteristics.TimerFunction = Expired;
    if (NdisAllocateTimerObject(BadModule.Handle, &characteristics, &timer) ==
            NDIS_STATUS_SUCCESS &&
        !Bad) {
        NdisFreeTimerObject(timer);
    }
}
