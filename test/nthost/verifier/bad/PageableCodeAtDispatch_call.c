/* Pageable code calls the kernel at DISPATCH_LEVEL, without PAGED_CODE to notice. Only PE images
 * have pageable code. */
#include "bad.h"

static VOID Pageable(PKEVENT Event);
#ifdef ALLOC_PRAGMA
#pragma alloc_text(PAGE, Pageable)
#endif

static DECLSPEC_NOINLINE VOID Pageable(PKEVENT Event)
{
    KeSetEvent(Event, IO_NO_INCREMENT, FALSE);
    KeClearEvent(Event);
}

static VOID Run(VOID)
{
    KEVENT event;
    KIRQL irql;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeRaiseIrql(Bad ? DISPATCH_LEVEL : APC_LEVEL, &irql);
    Pageable(&event);
    KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
