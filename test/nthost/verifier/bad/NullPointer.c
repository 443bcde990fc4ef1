/* Not a rule: follows a null pointer. */
#include "bad.h"

static volatile ULONG Sum;

static VOID Run(VOID)
{
    ULONG value = 7;
    volatile ULONG *pointer = Bad ? NULL : &value;

    Sum += *pointer;
}

BAD_DRIVER(Run, NoUnload)
