/* Is unloaded while its work item waits. */
#include "bad.h"

static WORKER_THREAD_ROUTINE Routine;
static WORK_QUEUE_ITEM Item;
static KEVENT Go, Done;

static VOID Routine(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
    KeWaitForSingleObject(&Go, Executive, KernelMode, FALSE, NULL);
    KeSetEvent(&Done, IO_NO_INCREMENT, FALSE);
}

static VOID Run(VOID)
{
    KeInitializeEvent(&Go, NotificationEvent, FALSE);
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    ExInitializeWorkItem(&Item, Routine, NULL);
    ExQueueWorkItem(&Item, DelayedWorkQueue);
}

static VOID Stop(VOID)
{
    LARGE_INTEGER moment = {.QuadPart = -1};

    if (Bad)
        return;
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    /* The routine has said that it is done; it still has to return. */
    KeDelayExecutionThread(KernelMode, FALSE, &moment);
}

BAD_DRIVER(Run, Stop)
