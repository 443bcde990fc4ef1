/* Not a rule: follows a null pointer. */
#include "bad.h"

static volatile ULONG Sum;
static volatile ULONG_PTR Member = 16; /* of an object that is not there */

static VOID Run(VOID)
{
    ULONG value = 7;
    volatile ULONG *pointer = Bad ? (volatile ULONG *)Member : &value;

    Sum += *pointer;
}

BAD_DRIVER(Run, NoUnload)
