/*
 * SET_CONFIG and GET_CONFIG, and the configuration over a restart: a value of the driver's
 * persistent registry state, the bytes of SET_CONFIG as they came. It is read in DriverEntry, so
 * that capture begins before any service runs; a root whose volume is not there yet is left out
 * until it comes.
 */
#include "configure.h"

#include "drain.h"
#include "role.h"
#include "wait.h"

static const UNICODE_STRING RplConfigurationName = RTL_CONSTANT_STRING(L"Configuration");

static NTSTATUS RplConfigureKey(_In_ ACCESS_MASK Access, _Out_ HANDLE *Key)
{
    return IoOpenDriverRegistryKey(Repl.DriverObject, DriverRegKeyPersistentState, Access, 0, Key);
}

/* On disk when it returns. */
static NTSTATUS RplConfigureStore(_In_ const REPL_CONFIG *Input)
{
    NTSTATUS status;
    HANDLE key;

    status = RplConfigureKey(KEY_READ | KEY_WRITE, &key);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = ZwSetValueKey(key, (PUNICODE_STRING)&RplConfigurationName, 0, REG_BINARY, (PVOID)Input,
                           Input->Bytes);
    if (NT_SUCCESS(status))
    {
        status = ZwFlushKey(key);
    }
    (VOID) ZwClose(key);
    return status;
}

/* The value's data, in memory of its own, aligned; NULL and success: there is none. */
static NTSTATUS RplConfigureFetch(_Outptr_result_maybenull_ VOID **Data, _Out_ ULONG *Bytes)
{
    KEY_VALUE_PARTIAL_INFORMATION *value = NULL;
    ULONG bytes = 0;
    NTSTATUS status;
    HANDLE key;

    *Data = NULL;
    *Bytes = 0;
    status = RplConfigureKey(KEY_READ, &key);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = ZwQueryValueKey(key, (PUNICODE_STRING)&RplConfigurationName,
                             KeyValuePartialInformation, NULL, 0, &bytes);
    if (status == STATUS_BUFFER_TOO_SMALL || status == STATUS_BUFFER_OVERFLOW)
    {
        value = ExAllocatePool2(POOL_FLAG_PAGED, bytes, RPL_TAG);
        status = value == NULL ? STATUS_INSUFFICIENT_RESOURCES
                               : ZwQueryValueKey(key, (PUNICODE_STRING)&RplConfigurationName,
                                                 KeyValuePartialInformation, value, bytes, &bytes);
    }
    (VOID) ZwClose(key);
    if (NT_SUCCESS(status) &&
        (value == NULL || value->Type != REG_BINARY || value->DataLength < sizeof(REPL_CONFIG)))
    {
        status = STATUS_REGISTRY_CORRUPT;
    }
    if (NT_SUCCESS(status))
    {
        *Bytes = value->DataLength;
        RtlMoveMemory(value, value->Data, *Bytes);
        *Data = value;
        return STATUS_SUCCESS;
    }
    if (value != NULL)
    {
        ExFreePoolWithTag(value, RPL_TAG);
    }
    return status == STATUS_OBJECT_NAME_NOT_FOUND ? STATUS_SUCCESS : status;
}

NTSTATUS RplConfigureLoad(VOID)
{
    static const REPL_CONFIG none = {.Contract = REPL_CONTRACT_VERSION, .Bytes = sizeof(none)};
    RPL_CONFIGURATION *configuration;
    REPL_REFUSAL_REASON reason;
    REPL_REFUSAL refusal;
    NTSTATUS status;
    VOID *value;
    ULONG bytes;

    status = RplConfigureFetch(&value, &bytes);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    if (value == NULL)
    {
        status = RplConfigurationBuild(&none, sizeof(none), TRUE, &refusal, &configuration);
    }
    else
    {
        status = RplConfigurationBuild(value, bytes, TRUE, &refusal, &configuration);
        ExFreePoolWithTag(value, RPL_TAG);
    }
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = RplDrainResize(configuration->Input->StagingBytes, configuration->Input->JournalBytes,
                            &reason);
    if (!NT_SUCCESS(status) && reason == ReplRefusalJournal)
    {
        /* Without one, what finds no room is dirty: better than not to capture. */
        status = RplDrainResize(configuration->Input->StagingBytes, 0, &reason);
        RplDrainWant(configuration->Input->JournalBytes);
    }
    if (!NT_SUCCESS(status))
    {
        RplConfigurationRelease(configuration);
        return status;
    }
    RplConfigurationPublish(configuration);
    return STATUS_SUCCESS;
}

VOID RplConfigureDestroy(VOID)
{
    RplConfigurationPublish(NULL);
}

VOID RplConfigureResolve(VOID)
{
    const RPL_CONFIGURATION *present;
    RPL_CONFIGURATION *configuration;
    REPL_REFUSAL refusal;

    RplControlLock();
    present = RplConfigurationAcquire();
    if (present->RootCount != present->SetCount &&
        NT_SUCCESS(RplConfigurationBuild(present->Input, present->Input->Bytes, TRUE, &refusal,
                                         &configuration)))
    {
        RplConfigurationPublish(configuration);
    }
    RplConfigurationRelease(present);
    RplControlUnlock();
}

BOOLEAN RplConfigureHasSet(_In_ UINT32 SetId)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    BOOLEAN found = FALSE;

    for (ULONG i = 0; i < configuration->SetCount && !found; i++)
    {
        found = configuration->Sets[i].SetId == SetId;
    }
    RplConfigurationRelease(configuration);
    return found;
}

/* A set's number stands for one root for ever: who has records of it must not meet another tree. */
static BOOLEAN RplKeepsRoots(_In_ const RPL_CONFIGURATION *Old, _In_ const RPL_CONFIGURATION *New,
                             _Out_ ULONG *Index)
{
    for (ULONG i = 0; i < New->SetCount; i++)
    {
        for (ULONG j = 0; j < Old->SetCount; j++)
        {
            if (New->Sets[i].SetId == Old->Sets[j].SetId && Old->Sets[j].Root.Length != 0 &&
                !RtlEqualUnicodeString(&New->Sets[i].Root, &Old->Sets[j].Root, TRUE))
            {
                *Index = i;
                return FALSE;
            }
        }
    }
    return TRUE;
}

/* Puts a configuration that is valid in force. */
static NTSTATUS RplConfigureUse(_Inout_ RPL_CALL *Call, _In_ const RPL_CONFIGURATION *Old,
                                _In_ RPL_CONFIGURATION *New)
{
    REPL_REFUSAL_REASON reason;
    NTSTATUS status, below;

    status = RplDrainResize(New->Input->StagingBytes, New->Input->JournalBytes, &reason);
    if (NT_SUCCESS(status))
    {
        reason = ReplRefusalNone;
        status = RplConfigureStore(New->Input);
    }
    if (!NT_SUCCESS(status))
    {
        REPL_REFUSAL_REASON ignored;

        /* What was resized goes back as far as it can; Old has the sizes that it had. */
        (VOID) RplDrainResize(Old->Input->StagingBytes, Old->Input->JournalBytes, &ignored);
        RplConfigurationRelease(New);
        return RplRefuseAt(Call, reason, 0, status, status);
    }
    InterlockedIncrement(&New->References);
    RplConfigurationPublish(New);
    below = RplRoleConfigured();
    if (NT_SUCCESS(below))
    {
        RplConfigurationRelease(New);
        RplDurableReconfigured();
        return STATUS_SUCCESS;
    }
    /* The old one is in force again. On disk, too, or the next start of the driver takes the new
     * one: it is valid, and nothing was promised to who asked for it. */
    InterlockedIncrement(&((RPL_CONFIGURATION *)Old)->References);
    RplConfigurationPublish((RPL_CONFIGURATION *)Old);
    (VOID) RplDrainResize(Old->Input->StagingBytes, Old->Input->JournalBytes, &reason);
    (VOID) RplConfigureStore(Old->Input);
    RplConfigurationRelease(New);
    return RplRefuseAt(Call, ReplRefusalRole, 0, below, below);
}

_Use_decl_annotations_ NTSTATUS RplSetConfig(RPL_CALL *Call)
{
    const RPL_CONFIGURATION *old = RplConfigurationAcquire();
    REPL_CONFIG *input = Call->Buffer;
    RPL_CONFIGURATION *configuration;
    NTSTATUS status;
    ULONG index;

    if (input->Contract == REPL_CONTRACT_VERSION && input->Generation != old->Input->Generation)
    {
        status = RplRefuse(Call, ReplRefusalGeneration, STATUS_REVISION_MISMATCH);
        RplConfigurationRelease(old);
        return status;
    }
    status = RplConfigurationBuild(input, Call->InputBytes, FALSE, &Call->Refusal, &configuration);
    if (!NT_SUCCESS(status))
    {
        RplConfigurationRelease(old);
        return status;
    }
    ((REPL_CONFIG *)configuration->Input)->Generation = old->Input->Generation + 1;
    if (!RplKeepsRoots(old, configuration, &index))
    {
        status = RplRefuseAt(Call, ReplRefusalSetId, index, 0, STATUS_INVALID_PARAMETER);
    }
    else if (!RplRoleAllowsStream(configuration->StreamId))
    {
        status = RplRefuse(Call, ReplRefusalRole, STATUS_INVALID_DEVICE_STATE);
    }
    if (NT_SUCCESS(status))
    {
        status = RplConfigureUse(Call, old, configuration);
    }
    else
    {
        RplConfigurationRelease(configuration);
    }
    RplConfigurationRelease(old);
    return status;
}

_Use_decl_annotations_ NTSTATUS RplGetConfig(RPL_CALL *Call)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    NTSTATUS status = STATUS_SUCCESS;

    if (Call->OutputBytes < configuration->Input->Bytes)
    {
        status = RplRefuse(Call, ReplRefusalLength, STATUS_BUFFER_TOO_SMALL);
    }
    else
    {
        RtlCopyMemory(Call->Buffer, configuration->Input, configuration->Input->Bytes);
        Call->Written = configuration->Input->Bytes;
    }
    RplConfigurationRelease(configuration);
    return status;
}
