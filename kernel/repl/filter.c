/* Registration; see filter.h. */
#include "filter.h"

#include "change.h"
#include "cleanup.h"
#include "create.h"
#include "flush.h"
#include "fsctl.h"
#include "gate.h"
#include "setinfo.h"
#include "volume.h"
#include "write.h"

static NTSTATUS NTAPI RplFilterUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags);

static const FLT_CONTEXT_REGISTRATION RplContexts[] = {{.ContextType = FLT_INSTANCE_CONTEXT,
                                                        .ContextCleanupCallback = RplVolumeCleanup,
                                                        .Size = sizeof(RPL_VOLUME),
                                                        .PoolTag = 'vlpR'},
                                                       {.ContextType = FLT_STREAM_CONTEXT,
                                                        .ContextCleanupCallback = RplFileCleanup,
                                                        .Size = sizeof(RPL_FILE),
                                                        .PoolTag = 'flpR'},
                                                       {.ContextType = FLT_CONTEXT_END}};

static const FLT_OPERATION_REGISTRATION RplOperationTable[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = RplPreCreate, .PostOperation = RplPostCreate},
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = RplPreWrite, .PostOperation = RplPostWrite},
    {.MajorFunction = IRP_MJ_SET_INFORMATION,
     .PreOperation = RplPreSetInformation,
     .PostOperation = RplPostSetInformation},
    {.MajorFunction = IRP_MJ_SET_SECURITY,
     .PreOperation = RplPreSetSecurity,
     .PostOperation = RplPostChange},
    {.MajorFunction = IRP_MJ_SET_EA, .PreOperation = RplPreSetEa, .PostOperation = RplPostChange},
    {.MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL,
     .PreOperation = RplPreFsControl,
     .PostOperation = RplPostFsControl},
    {.MajorFunction = IRP_MJ_FLUSH_BUFFERS,
     .PreOperation = RplPreFlush,
     .PostOperation = RplPostFlush},
    {.MajorFunction = IRP_MJ_CLEANUP,
     .PreOperation = RplPreCleanup,
     .PostOperation = RplPostCleanup},
    {.MajorFunction = IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION,
     .PreOperation = RplPreAcquireForSection},
    {.MajorFunction = IRP_MJ_PREPARE_MDL_WRITE, .PreOperation = RplPrePrepareMdlWrite},
    {.MajorFunction = IRP_MJ_OPERATION_END}};

static const FLT_REGISTRATION RplRegistration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = RplContexts,
    .OperationRegistration = RplOperationTable,
    .FilterUnloadCallback = RplFilterUnload,
    .InstanceSetupCallback = RplInstanceSetup,
    .InstanceQueryTeardownCallback = RplInstanceQueryTeardown,
    .InstanceTeardownStartCallback = RplInstanceTeardownStart};

_Use_decl_annotations_ static NTSTATUS NTAPI RplFilterUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    PAGED_CODE();
    UNREFERENCED_PARAMETER(Flags);
    RplDriverEnd();
    return STATUS_SUCCESS;
}

VOID RplFilterInitialize(VOID)
{
    RplVolumesInitialize();
    RplGateInitialize();
}

NTSTATUS RplFilterRegister(VOID)
{
    NTSTATUS status;

    RplOperationsInitialize();
    status = FltRegisterFilter(Repl.DriverObject, &RplRegistration, &Repl.Filter);
    if (NT_SUCCESS(status))
    {
        status = FltStartFiltering(Repl.Filter);
        if (!NT_SUCCESS(status))
        {
            FltUnregisterFilter(Repl.Filter);
        }
    }
    if (!NT_SUCCESS(status))
    {
        Repl.Filter = NULL;
        RplOperationsDestroy();
    }
    /* The root of a file system's volume. */
    return status == STATUS_FILE_IS_A_DIRECTORY ? STATUS_SUCCESS : status;
}

VOID RplFilterUnregister(VOID)
{
    if (Repl.Filter != NULL)
    {
        FltUnregisterFilter(Repl.Filter);
        Repl.Filter = NULL;
        RplOperationsDestroy();
    }
}

_Use_decl_annotations_ NTSTATUS RplFilterCheckVolume(const UNICODE_STRING *Volume)
{
    PFLT_INSTANCE instance = RplVolumeInstance(Volume);

    if (instance == NULL)
    {
        return STATUS_NO_SUCH_DEVICE;
    }
    FltObjectDereference(instance);
    return STATUS_SUCCESS;
}
