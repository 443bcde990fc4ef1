/*
 * Configurations: from the bytes of an IOCTL to an OIP_CONFIGURATION, and back.
 */
#pragma once

#include "cluster.h"
#include "control.h"

/*
 * Validates Input in full and builds a configuration of it; its table, where the input has none,
 * is that of Old moved minimally. Changes nothing else. PASSIVE_LEVEL, ControlLock.
 * STATUS_SUCCESS: *Config is the caller's, to be put in force or freed with OIP_TAG_CONFIG; NULL
 * where the input equals what is in force. Else *Fault tells why.
 */
NTSTATUS OipConfigBuild(_In_reads_bytes_(Bytes) const VOID *Input, _In_ ULONG Bytes,
                        _In_opt_ const OIP_CONFIGURATION *Old,
                        _Outptr_result_maybenull_ OIP_CONFIGURATION **Config,
                        _Out_ BOOLEAN *ResetReplay, _Out_ OIP_FAULT *Fault);

/* Bytes that OipConfigWrite writes. */
ULONG OipConfigBytes(_In_ const OIP_CONFIGURATION *Config);

/* Header, arrays, base table and what is remembered of the slots, as SET_CONFIG takes them but for
 * the beacon key. ControlLock. */
VOID OipConfigWrite(_In_ const OIP_CONFIGURATION *Config,
                    _Out_writes_bytes_(OipConfigBytes(Config)) VOID *Output);
