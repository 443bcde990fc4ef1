/* fltprobe: a minifilter that does what its rules say; see fltprobe_contract.h. */
#pragma once
#include <fltKernel.h>
#include "fltprobe_contract.h"

#define PROBE_TAG 'borP'

typedef struct PROBE_CONTEXT {
    ULONG Number;
    FLT_CONTEXT_TYPE Type;
} PROBE_CONTEXT, *PPROBE_CONTEXT;

/* Between a pre-operation and its post-operation. */
typedef struct PROBE_PASSAGE {
    PVOID Buffer; /* PROBE_SWAP */
    PMDL Mdl;     /* with PROBE_RETAIN */
    ULONG Major;
} PROBE_PASSAGE, *PPROBE_PASSAGE;

typedef struct PROBE_GLOBALS {
    PFLT_FILTER Filter;
    PDEVICE_OBJECT Device;
    PROBE_SHARED *Shared;
    ULONG Index; /* 1: fltlower */
    PFLT_CALLBACK_DATA Held;
    PROBE_RULE None;
} PROBE_GLOBALS;
extern PROBE_GLOBALS Probe;

PROBE_RULE *ProbeRule(ULONG Major);
PROBE_EVENT *ProbeLog(ULONG What, ULONG Major);

FLT_PREOP_CALLBACK_STATUS NTAPI ProbePreOperation(_Inout_ PFLT_CALLBACK_DATA Data,
                                                  _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                  _Outptr_result_maybenull_ PVOID *Context);
FLT_POSTOP_CALLBACK_STATUS NTAPI ProbePostOperation(_Inout_ PFLT_CALLBACK_DATA Data,
                                                    _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                    _In_opt_ PVOID Context,
                                                    _In_ FLT_POST_OPERATION_FLAGS Flags);
VOID NTAPI ProbeContextCleanup(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE Type);

/* swap.c */
NTSTATUS ProbeSwapIn(_Inout_ PFLT_CALLBACK_DATA Data, _In_ const PROBE_RULE *Rule,
                     _Inout_ PPROBE_PASSAGE Passage);
VOID ProbeSwapOut(_Inout_ PFLT_CALLBACK_DATA Data, _In_ const PROBE_RULE *Rule,
                  _Inout_ PPROBE_PASSAGE Passage);
