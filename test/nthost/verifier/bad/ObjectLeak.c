/* Takes a reference on an object and does not give it back. */
#include "bad.h"

static KSTART_ROUTINE Routine;
static PVOID Thread;

static VOID Routine(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
}

static VOID Run(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL,
                                         Routine, NULL)))
        return;
    if (!NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                              &Thread, NULL)))
        Thread = NULL;
    ZwClose(handle);
    if (Thread)
        KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
}

static VOID Stop(VOID)
{
    if (!Bad && Thread)
        ObDereferenceObject(Thread);
}

BAD_DRIVER(Run, Stop)
