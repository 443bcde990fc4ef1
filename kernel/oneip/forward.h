/*
 * Forwarding: own NET_BUFFER_LISTs that carry a received frame on to the chosen server.
 */
#pragma once

#include "filter.h"
#include "packet.h"

/*
 * Own NBLs that were made and wait to be sent. Every one of them holds Filter->Sends (rundown
 * protection, whose end FilterPause waits for); the references are taken ahead, for a whole batch
 * at once: that is the credit.
 */
/* What decided where a client's frame goes. */
typedef enum OIP_DECISION
{
    OipByTable,  /* the rules and the table, or the list of modulo */
    OipByFlow,   /* a known flow, or the datagram of a fragment */
    OipByFormer, /* the second chance */
    OipBySender  /* the member that sent it here */
} OIP_DECISION;

typedef struct OIP_SENDS
{
    PNET_BUFFER_LIST First;
    PNET_BUFFER_LIST *Last;
    ULONG Count;
    ULONG Credit;
    UINT64
    Sent; /* the role's: to be confirmed when these are with the adapter (role.h, R3); or 0 */
} OIP_SENDS;

/* In the context area of every own NBL. */
typedef struct DECLSPEC_ALIGN(MEMORY_ALLOCATION_ALIGNMENT) OIP_SEND_CONTEXT
{
    PNET_BUFFER_LIST Original; /* received NBL that this one lends its payload from, or NULL */
    PMDL Partial;              /* describes the rest of the MDL that the headers end in, or NULL */
    BOOLEAN Forwarded;         /* a client's frame, not one of our own */
    UINT8 Decision;            /* OIP_DECISION, where Forwarded; with it the generation of the
                                  configuration: for debuggers and tests */
    UINT64 Generation;
} OIP_SEND_CONTEXT;

/*
 * Makes an own NBL with Bytes of contiguous data (at most Filter->BufferBytes), to be written by
 * the caller. NULL: no memory. IRQL <= DISPATCH_LEVEL.
 */
_Must_inspect_result_ PNET_BUFFER_LIST OipAllocateSend(_In_ OIP_FILTER *Filter, _In_ ULONG Bytes,
                                                       _Outptr_result_bytebuffer_(Bytes)
                                                           UCHAR **Data);
VOID OipFreeSend(_In_ PNET_BUFFER_LIST Nbl);

/* A chain of them; returns how many. */
ULONG OipFreeSends(_In_opt_ PNET_BUFFER_LIST Nbls);

/* The data of an own NBL: the pool's memory is one piece of non-paged pool, and mapped. */
FORCEINLINE UCHAR *OipSendData(_In_ PNET_BUFFER Nb)
{
    return (UCHAR *)NET_BUFFER_CURRENT_MDL(Nb)->MappedSystemVa + NET_BUFFER_CURRENT_MDL_OFFSET(Nb);
}

FORCEINLINE VOID OipSendsAppend(_Inout_ OIP_SENDS *Sends, _In_ PNET_BUFFER_LIST Nbl)
{
    NT_ASSERT(Sends->Count < Sends->Credit);
    *Sends->Last = Nbl;
    Sends->Last = &NET_BUFFER_LIST_NEXT_NBL(Nbl);
    Sends->Count++;
}

/*
 * Appends to Sends what carries the frame to TargetMac, from the filter's own MAC. The received
 * NBL stays the caller's unless *Kept becomes TRUE: then it is returned when the send completes.
 * Returns OneIpDropReasons for success, else why the frame is lost; then Sends is as before.
 * Under DataLock (shared), at DISPATCH_LEVEL.
 */
_Must_inspect_result_ ONEIP_DROP OipForward(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                                            _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                                            _In_reads_bytes_(6) const UCHAR *TargetMac,
                                            _In_ OIP_DECISION Decision, _In_ BOOLEAN Resources,
                                            _Inout_ OIP_SENDS *Sends, _Out_ BOOLEAN *Kept);

/* For the fast path, of a frame of TCP or UDP over IPv4 without tags and options. If the receiver's
 * hardware vouched for its checksum, does the adapter make a new one? */
BOOLEAN OipOffloadPlainReady(_In_ const OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                             _In_ UCHAR Protocol);

/* Then Copy, which has the frame at Data, is sent with that offload. */
VOID OipOffloadPlain(_In_ PNET_BUFFER_LIST Nbl, _In_ PNET_BUFFER_LIST Copy, _Inout_ UCHAR *Data);

/* Begins a batch; it has no credit yet. */
FORCEINLINE VOID OipSendsBegin(_Out_ OIP_SENDS *Sends)
{
    Sends->First = NULL;
    Sends->Last = &Sends->First;
    Sends->Count = 0;
    Sends->Credit = 0;
    Sends->Sent = 0;
}

/*
 * Makes sure of credit for Count more. FALSE: the filter pauses or is paused, nothing may be made.
 * IRQL <= DISPATCH_LEVEL.
 */
_Must_inspect_result_ BOOLEAN OipSendsReserve(_In_ OIP_FILTER *Filter, _In_ ULONG Count,
                                              _Inout_ OIP_SENDS *Sends);

/* Sends the batch and gives back what is left of its credit. Without locks, at DISPATCH_LEVEL. */
VOID OipSubmit(_In_ OIP_FILTER *Filter, _Inout_ OIP_SENDS *Sends);

/* Appends a held copy (fragment.h), with the reference that it has, to TargetMac. DataLock
 * (shared).
 */
VOID OipForwardHeld(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                    _In_reads_bytes_(6) const UCHAR *TargetMac, _Inout_ OIP_SENDS *Sends);

/* Takes own NBLs out of a chain. */
VOID OipSplitOwn(_In_ const OIP_FILTER *Filter, _Inout_ PNET_BUFFER_LIST *Nbls,
                 _Out_ PNET_BUFFER_LIST *Own);

/* FILTER_SEND_NET_BUFFER_LISTS_COMPLETE's part for own NBLs: counts, returns originals, frees. */
VOID OipSendsCompleted(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbls, _In_ ULONG Flags);
