/* Asserts what is not so. */
#include "bad.h"

static volatile ULONG Two = 2;

static VOID Run(VOID)
{
    NT_ASSERT(Two == (Bad ? 3u : 2u));
}

BAD_DRIVER(Run, NoUnload)
