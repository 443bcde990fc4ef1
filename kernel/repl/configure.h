/*
 * From the bytes of an IOCTL or of the registry to the configuration in force, and back.
 */
#pragma once

#include "config.h"
#include "control.h"

/* Of all names of a configuration: it has to fit a registry value. */
#define RPL_MAX_NAMES 524288

/* Of the journal: bytes. */
#define RPL_MAX_JOURNAL 0x10000000000ULL

/* Of a root, normalised. */
#define RPL_MAX_ROOT_BYTES 2048

RPL_HANDLER RplSetConfig;
RPL_HANDLER RplGetConfig;

/* What was in force when the driver ended, else one without sets. PASSIVE_LEVEL. */
NTSTATUS RplConfigureLoad(VOID);
VOID RplConfigureDestroy(VOID);

/* A volume has come: roots that were not there may be now. PASSIVE_LEVEL, not under ControlLock. */
VOID RplConfigureResolve(VOID);

/* Is there a set of this number in force? IRQL <= DISPATCH_LEVEL. */
BOOLEAN RplConfigureHasSet(_In_ UINT32 SetId);

/*
 * Validates Input in full and builds a configuration of it. Lenient: a root whose volume is not
 * there is left out (at boot). Changes nothing else. STATUS_SUCCESS: *Configuration is the
 * caller's, with one reference.
 */
NTSTATUS RplConfigurationBuild(_In_reads_bytes_(Bytes) const VOID *Input, _In_ ULONG Bytes,
                               _In_ BOOLEAN Lenient, _Out_ REPL_REFUSAL *Refusal,
                               _Outptr_ RPL_CONFIGURATION **Configuration);

/* The NT path of a folder as the volume's device names it; *Volume, its beginning, points into
 * *Normal. Normal->MaximumLength bytes are there. PASSIVE_LEVEL. */
NTSTATUS RplRootNormalise(_In_ const UNICODE_STRING *Root, _Inout_ UNICODE_STRING *Normal,
                          _Out_ UNICODE_STRING *Volume);
