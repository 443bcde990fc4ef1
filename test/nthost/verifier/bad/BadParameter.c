/* Sets an event that it did not initialize. */
#include "bad.h"

static KEVENT Event;

static VOID Run(VOID)
{
    if (!Bad)
        KeInitializeEvent(&Event, NotificationEvent, FALSE);
    KeSetEvent(&Event, IO_NO_INCREMENT, FALSE);
}

BAD_DRIVER(Run, NoUnload)
