/* Leaves a registry key open. */
#include "bad.h"

static HANDLE Key;

static VOID Run(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;

    RtlInitUnicodeString(&name, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services");
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL,
                               NULL);
    if (!NT_SUCCESS(ZwOpenKey(&Key, KEY_READ, &attributes)))
        Key = NULL;
}

static VOID Stop(VOID)
{
    if (!Bad && Key)
        ZwClose(Key);
}

BAD_DRIVER(Run, Stop)
