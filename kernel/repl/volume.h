/*
 * The volumes that REPL is attached to: the context of each instance.
 */
#pragma once

#include "callback.h"

typedef struct RPL_VOLUME
{
    LIST_ENTRY Link;
    PFLT_INSTANCE Instance; /* referenced by its context's life */
    UNICODE_STRING Name;    /* "\Device\HarddiskVolume3" */
    UINT64 Generation;      /* of the configuration that Used is of */
    BOOLEAN Used;           /* some set's root is on it */
    BOOLEAN Listed;
} RPL_VOLUME;

NTSTATUS NTAPI RplInstanceSetup(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                _In_ FLT_INSTANCE_SETUP_FLAGS Flags,
                                _In_ DEVICE_TYPE VolumeDeviceType,
                                _In_ FLT_FILESYSTEM_TYPE VolumeFilesystemType);
NTSTATUS NTAPI RplInstanceQueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                        _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags);
VOID NTAPI RplInstanceTeardownStart(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                    _In_ FLT_INSTANCE_TEARDOWN_FLAGS Reason);
RPL_CONTEXT_CLEANUP RplVolumeCleanup;

VOID RplVolumesInitialize(VOID);

/* The system ends: that volumes do is no loss any more. */
VOID RplVolumesEnd(VOID);

/* Whether any set is on the instance's volume. Any IRQL <= APC_LEVEL. */
_IRQL_requires_max_(APC_LEVEL) BOOLEAN RplVolumeUsed(_In_ PFLT_INSTANCE Instance);

/* The instance on the volume of this name's first component ("\Device\HarddiskVolume3\shop"),
 * referenced (FltObjectDereference); NULL: REPL is not attached there. PASSIVE_LEVEL. */
_IRQL_requires_(PASSIVE_LEVEL) PFLT_INSTANCE RplVolumeInstance(_In_ const UNICODE_STRING *Name);
