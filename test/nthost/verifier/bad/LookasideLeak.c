/* Leaves a lookaside list behind. */
#include "bad.h"

static LOOKASIDE_LIST_EX List;

static VOID Run(VOID)
{
    PVOID entry;

    if (!NT_SUCCESS(
            ExInitializeLookasideListEx(&List, NULL, NULL, NonPagedPoolNx, 0, 64, BAD_TAG, 0)))
        return;
    entry = ExAllocateFromLookasideListEx(&List);
    if (entry)
        ExFreeToLookasideListEx(&List, entry);
}

static VOID Stop(VOID)
{
    if (!Bad)
        ExDeleteLookasideListEx(&List);
}

BAD_DRIVER(Run, Stop)
