/* Volumes; see volume.h. */
#include "volume.h"

#include "configure.h"
#include "stream.h"

#define RPL_TAG_VOLUME 'vlpR'

static LIST_ENTRY RplVolumes;
static EX_PUSH_LOCK RplVolumesLock;
static volatile BOOLEAN RplVolumesEnding;

VOID RplVolumesInitialize(VOID)
{
    RplVolumesEnding = FALSE;
    InitializeListHead(&RplVolumes);
    ExInitializePushLock(&RplVolumesLock);
}

static VOID RplVolumesAcquire(VOID)
{
    KeEnterCriticalRegion();
    ExAcquirePushLockExclusive(&RplVolumesLock);
}

static VOID RplVolumesRelease(VOID)
{
    ExReleasePushLockExclusive(&RplVolumesLock);
    KeLeaveCriticalRegion();
}

VOID RplVolumesEnd(VOID)
{
    RplVolumesEnding = TRUE;
}

_Use_decl_annotations_ VOID RplVolumeCleanup(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE ContextType)
{
    RPL_VOLUME *volume = Context;

    UNREFERENCED_PARAMETER(ContextType);
    if (volume->Listed)
    {
        RplVolumesAcquire();
        RemoveEntryList(&volume->Link);
        RplVolumesRelease();
    }
    if (volume->Name.Buffer != NULL)
    {
        ExFreePoolWithTag(volume->Name.Buffer, RPL_TAG_VOLUME);
    }
}

static NTSTATUS RplVolumeName(_In_ PFLT_VOLUME Volume, _Out_ UNICODE_STRING *Name)
{
    ULONG bytes = 0;
    NTSTATUS status = FltGetVolumeName(Volume, NULL, &bytes);

    RtlZeroMemory(Name, sizeof(*Name));
    if (status != STATUS_BUFFER_TOO_SMALL || bytes == 0 || bytes > MAXUSHORT)
    {
        return NT_SUCCESS(status) ? STATUS_OBJECT_NAME_INVALID : status;
    }
    Name->Buffer = ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes, RPL_TAG_VOLUME);
    if (Name->Buffer == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Name->MaximumLength = (USHORT)bytes;
    return FltGetVolumeName(Volume, Name, NULL);
}

/*
 * Local NTFS and ReFS volumes: their files keep their identity (FILE_ID_128), which FAT's do not,
 * and what is behind a redirector is another machine's.
 */
_Use_decl_annotations_ NTSTATUS NTAPI RplInstanceSetup(PCFLT_RELATED_OBJECTS FltObjects,
                                                       FLT_INSTANCE_SETUP_FLAGS Flags,
                                                       DEVICE_TYPE VolumeDeviceType,
                                                       FLT_FILESYSTEM_TYPE VolumeFilesystemType)
{
    RPL_VOLUME *volume;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    if (VolumeDeviceType != FILE_DEVICE_DISK_FILE_SYSTEM ||
        (VolumeFilesystemType != FLT_FSTYPE_NTFS && VolumeFilesystemType != FLT_FSTYPE_REFS))
    {
        return STATUS_FLT_DO_NOT_ATTACH;
    }
    status = FltAllocateContext(FltObjects->Filter, FLT_INSTANCE_CONTEXT, sizeof(RPL_VOLUME),
                                NonPagedPoolNx, (PFLT_CONTEXT *)&volume);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    RtlZeroMemory(volume, sizeof(*volume));
    volume->Instance = FltObjects->Instance;
    volume->Generation = RPL_TO_END;
    status = RplVolumeName(FltObjects->Volume, &volume->Name);
    if (NT_SUCCESS(status))
    {
        status = FltSetInstanceContext(FltObjects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, volume,
                                       NULL);
    }
    if (NT_SUCCESS(status))
    {
        RplVolumesAcquire();
        InsertTailList(&RplVolumes, &volume->Link);
        volume->Listed = TRUE;
        RplVolumesRelease();
    }
    FltReleaseContext(volume);
    if (NT_SUCCESS(status))
    {
        RplConfigureResolve();
    }
    return status;
}

/* Detached by hand it would miss what happens: only an unload does that, or the volume's end. */
_Use_decl_annotations_ NTSTATUS NTAPI
RplInstanceQueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    PAGED_CODE();
    return RplVolumeUsed(FltObjects->Instance) ? STATUS_FLT_DO_NOT_DETACH : STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID NTAPI RplInstanceTeardownStart(PCFLT_RELATED_OBJECTS FltObjects,
                                                           FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    PAGED_CODE();
    /* What happens to it before it is mounted again, nobody sees; nothing does where the system
     * ends. */
    if ((Reason & FLTFL_INSTANCE_TEARDOWN_VOLUME_DISMOUNT) && !RplVolumesEnding &&
        RplVolumeUsed(FltObjects->Instance))
    {
        RplMarkLost(0, NULL, 0, RPL_TO_END, FALSE);
    }
}

_Use_decl_annotations_ BOOLEAN RplVolumeUsed(PFLT_INSTANCE Instance)
{
    RPL_VOLUME *volume;
    UINT64 generation = RplConfigurationGeneration();
    BOOLEAN used;

    if (!NT_SUCCESS(FltGetInstanceContext(Instance, (PFLT_CONTEXT *)&volume)))
    {
        return FALSE;
    }
    used = volume->Used;
    if (volume->Generation != generation)
    {
        /* Two that meet here find the same; Generation is set after what it is of. */
        const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
        generation = configuration->Generation;
        used = RplConfigurationUsesVolume(configuration, &volume->Name);
        RplConfigurationRelease(configuration);
        volume->Used = used;
        KeMemoryBarrier();
        volume->Generation = generation;
    }
    FltReleaseContext(volume);
    return used;
}

_Use_decl_annotations_ PFLT_INSTANCE RplVolumeInstance(const UNICODE_STRING *Name)
{
    PFLT_INSTANCE instance = NULL;
    LIST_ENTRY *entry;

    PAGED_CODE();
    RplVolumesAcquire();
    for (entry = RplVolumes.Flink; entry != &RplVolumes && instance == NULL; entry = entry->Flink)
    {
        RPL_VOLUME *volume = CONTAINING_RECORD(entry, RPL_VOLUME, Link);
        ULONG chars = volume->Name.Length / sizeof(WCHAR);
        if (RtlPrefixUnicodeString(&volume->Name, Name, TRUE) &&
            (Name->Length == volume->Name.Length || Name->Buffer[chars] == L'\\') &&
            NT_SUCCESS(FltObjectReference(volume->Instance)))
        {
            instance = volume->Instance;
        }
    }
    RplVolumesRelease();
    return instance;
}
