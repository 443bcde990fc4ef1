/* Waits with a time-out at DISPATCH_LEVEL, where only looking is allowed. */
#include "bad.h"

static VOID Run(VOID)
{
    KEVENT event;
    LARGE_INTEGER timeout = {.QuadPart = Bad ? -10000 : 0};
    KIRQL irql;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &timeout);
    KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
