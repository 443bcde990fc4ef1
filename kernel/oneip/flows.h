/*
 * The node's flow table: made, replaced, listed, imported, and claimed from the dispatcher.
 */
#pragma once

#include "cluster.h"
#include "control.h"

/*
 * The flow table for a configuration. The present one where it has the capacity asked for, with
 * the timeouts still to be set; else a new one with the flows of the present one in it. NULL: no
 * memory. PASSIVE_LEVEL, ControlLock.
 */
OIP_FLOW_TABLE *OipFlowsFor(_In_ const ONEIP_CONFIG *Header, _In_reads_(16) const UINT8 *Secret);

/* Puts a table in force, or none, and frees the one before. PASSIVE_LEVEL, ControlLock. */
VOID OipFlowsUse(_In_opt_ OIP_FLOW_TABLE *Table, _In_opt_ const ONEIP_CONFIG *Header);

/* Another dispatcher or another table: this node's exceptions are to be claimed. IRQL <= DISPATCH.
 */
VOID OipFlowsClaim(VOID);

/* Appends a claim of Count <= OIP_CLAIM_FLOWS flows to the dispatcher, if another node is.
 * DataLock (shared), DISPATCH_LEVEL. */
VOID OipClaimsAppend(_In_ OIP_FILTER *Filter, _In_ const OIP_CONFIGURATION *Config,
                     _In_reads_(Count) const OIP_FLOW_KEY *Flows, _In_ ULONG Count,
                     _Inout_ OIP_SENDS *Sends);

/* A received claim. FALSE: not accepted. DataLock (shared), DISPATCH_LEVEL. */
BOOLEAN OipClaimsReceive(_In_ const OIP_CONFIGURATION *Config,
                         _In_reads_bytes_(Bytes) const UCHAR *Payload, _In_ ULONG Bytes);

/* Claims of earlier boots and keys are forgotten. ControlLock. */
VOID OipClaimsReset(VOID);

NTSTATUS OipFlowsCreate(VOID);
VOID OipFlowsDestroy(VOID);

/* IOCTLs, PASSIVE_LEVEL, ControlLock. */
NTSTATUS OipGetFlows(_Inout_ OIP_CALL *Call);
NTSTATUS OipImportFlows(_Inout_ OIP_CALL *Call);
NTSTATUS OipCountFlows(_Inout_ OIP_CALL *Call);
