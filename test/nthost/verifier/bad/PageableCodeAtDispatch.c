/* Runs a pageable function at DISPATCH_LEVEL. */
#include "bad.h"

static VOID Pageable(VOID);
#ifdef ALLOC_PRAGMA
#pragma alloc_text(PAGE, Pageable)
#endif

static DECLSPEC_NOINLINE VOID Pageable(VOID)
{
    PAGED_CODE();
}

static VOID Run(VOID)
{
    KIRQL irql;

    KeRaiseIrql(Bad ? DISPATCH_LEVEL : APC_LEVEL, &irql);
    Pageable();
    KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
