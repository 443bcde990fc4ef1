/* Is unloaded while its thread runs. */
#include "bad.h"

static KSTART_ROUTINE Routine;
static KEVENT Go;
static PVOID Thread;

static VOID Routine(PVOID Parameter)
{
    UNREFERENCED_PARAMETER(Parameter);
    KeWaitForSingleObject(&Go, Executive, KernelMode, FALSE, NULL);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID Run(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;

    KeInitializeEvent(&Go, NotificationEvent, FALSE);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL,
                                         Routine, NULL)))
        return;
    if (!NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                              &Thread, NULL)))
        Thread = NULL;
    ZwClose(handle);
}

static VOID Stop(VOID)
{
    if (!Thread)
        return;
    if (!Bad) {
        KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
        KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
    }
    ObDereferenceObject(Thread);
}

BAD_DRIVER(Run, Stop)
