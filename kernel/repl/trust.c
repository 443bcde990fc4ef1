/*
 * Trusted processes: a short list under a spin lock, each with the handle that said so. A process
 * that ends closes its handles, so a number that is used again is not trusted.
 */
#include "trust.h"

#define RPL_MAX_TRUSTED 64

typedef struct RPL_TRUSTED
{
    PFILE_OBJECT FileObject;
    UINT32 ProcessId;
} RPL_TRUSTED;

static struct
{
    KSPIN_LOCK Lock;
    volatile LONG Count; /* read without the lock: mostly nobody is */
    RPL_TRUSTED Entries[RPL_MAX_TRUSTED];
} Trusted;

NTSTATUS RplTrustCreate(VOID)
{
    RtlZeroMemory(&Trusted, sizeof(Trusted));
    KeInitializeSpinLock(&Trusted.Lock);
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ NTSTATUS RplTrustProcess(RPL_CALL *Call)
{
    const REPL_TRUST *trust = Call->Buffer;
    UINT32 process =
        trust->ProcessId != 0 ? trust->ProcessId : (UINT32)IoGetRequestorProcessId(Call->Irp);
    NTSTATUS status = STATUS_SUCCESS;
    LONG i;
    KIRQL irql;

    if (trust->Reserved != 0)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    KeAcquireSpinLock(&Trusted.Lock, &irql);
    for (i = 0; i < Trusted.Count && (Trusted.Entries[i].ProcessId != process ||
                                      Trusted.Entries[i].FileObject != Call->FileObject);
         i++)
    {
    }
    if (i == RPL_MAX_TRUSTED)
    {
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    else if (i == Trusted.Count)
    {
        Trusted.Entries[i].FileObject = Call->FileObject;
        Trusted.Entries[i].ProcessId = process;
        WriteRelease(&Trusted.Count, i + 1);
    }
    KeReleaseSpinLock(&Trusted.Lock, irql);
    return NT_SUCCESS(status) ? status : RplRefuseAt(Call, ReplRefusalCount, 0, status, status);
}

_Use_decl_annotations_ VOID RplTrustEnd(PFILE_OBJECT FileObject)
{
    KIRQL irql;

    KeAcquireSpinLock(&Trusted.Lock, &irql);
    for (LONG i = Trusted.Count; i-- != 0;)
    {
        if (Trusted.Entries[i].FileObject == FileObject)
        {
            WriteRelease(&Trusted.Count, Trusted.Count - 1);
            Trusted.Entries[i] = Trusted.Entries[Trusted.Count];
        }
    }
    KeReleaseSpinLock(&Trusted.Lock, irql);
}

BOOLEAN RplProcessTrusted(UINT32 ProcessId)
{
    BOOLEAN found = FALSE;
    KIRQL irql;

    if (ReadAcquire(&Trusted.Count) == 0)
    {
        return FALSE;
    }
    KeAcquireSpinLock(&Trusted.Lock, &irql);
    for (LONG i = 0; i < Trusted.Count && !found; i++)
    {
        found = Trusted.Entries[i].ProcessId == ProcessId;
    }
    KeReleaseSpinLock(&Trusted.Lock, irql);
    return found;
}
