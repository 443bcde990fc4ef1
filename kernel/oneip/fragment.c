/*
 * Fragments: see fragment.h.
 */
#include "fragment.h"

#include "flow.h"
#include "stats.h"

#define OIP_FRAGMENT_PATIENCE (2 * 10000000ULL)  /* for the first */
#define OIP_FRAGMENT_MEMORY   (30 * 10000000ULL) /* of where the first went: RFC 8200, 4.5 */
#define OIP_FRAGMENT_WHOLE    (1000000ULL)       /* the same when all seems to have come: 100 ms */

typedef struct OIP_DATAGRAM
{
    OIP_FLOW_KEY Key; /* addresses; the ID where ports would be */
    UINT64 At;        /* its first frame came; 0 free */
    UINT64 Until;     /* remembered */
    UINT8 Handle;     /* OIP_FLOW_NOBODY: the first fragment has not come */
    ULONG Received;   /* bytes */
    ULONG Total;      /* bytes; 0 the last fragment has not come */
    ULONG Count;      /* held */
    PNET_BUFFER_LIST First;
    PNET_BUFFER_LIST *Last;
} OIP_DATAGRAM;

struct OIP_FRAGMENTS
{
    KSPIN_LOCK Lock;
    BOOLEAN Closed;
    volatile ULONG Held;
    OIP_DATAGRAM Datagrams[OIP_FRAGMENT_SETS][OIP_FRAGMENT_WAYS];
};

OIP_FRAGMENTS *OipFragmentsCreate(VOID)
{
    OIP_FRAGMENTS *fragments =
        ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*fragments), OIP_TAG_FILTER);

    if (fragments != NULL)
    {
        KeInitializeSpinLock(&fragments->Lock);
        fragments->Closed = TRUE;
        for (ULONG i = 0; i < OIP_FRAGMENT_SETS * OIP_FRAGMENT_WAYS; i++)
        {
            OIP_DATAGRAM *datagram = &fragments->Datagrams[0][0] + i;

            datagram->Last = &datagram->First;
        }
    }
    return fragments;
}

_Use_decl_annotations_ VOID OipFragmentsDestroy(OIP_FRAGMENTS *Fragments)
{
    if (Fragments != NULL)
    {
        NT_ASSERT(Fragments->Held == 0);
        ExFreePoolWithTag(Fragments, OIP_TAG_FILTER);
    }
}

static ULONG OipDatagramSet(_In_ const OIP_FLOW_KEY *Key)
{
    UINT64 sum = Key->Word[0] ^ Key->Word[1] ^ Key->Word[2] ^ Key->Word[3] ^ Key->Word[4];

    /* Whoever aims at a set shortens the memory of datagrams, its own among them; no more. */
    return (ULONG)((sum * 0x9E3779B97F4A7C15ULL) >> 32) % OIP_FRAGMENT_SETS;
}

/* Takes all that is held of a datagram. */
static PNET_BUFFER_LIST OipDatagramTake(_Inout_ OIP_FRAGMENTS *Fragments,
                                        _Inout_ OIP_DATAGRAM *Datagram)
{
    PNET_BUFFER_LIST held = Datagram->First;

    Fragments->Held -= Datagram->Count;
    Datagram->First = NULL;
    Datagram->Last = &Datagram->First;
    Datagram->Count = 0;
    return held;
}

/* Frees a chain of held copies and counts them as dropped. Not under the lock. */
static VOID OipDropHeld(_In_ OIP_FILTER *Filter, _In_opt_ PNET_BUFFER_LIST Held)
{
    ULONG count = OipFreeSends(Held);

    if (count != 0)
    {
        OipCountDropAnyIrql(OneIpDropFragment, count);
        ExReleaseRundownProtectionCacheAwareEx(Filter->Sends, count);
    }
}

/* The datagram of a frame; where there is none yet, the oldest of its set made free for it, with
 * what was held of that in *Dropped. */
static OIP_DATAGRAM *OipDatagramOf(_Inout_ OIP_FRAGMENTS *Fragments, _In_ const OIP_FRAME *Frame,
                                   _In_ UINT64 Now, _Out_ PNET_BUFFER_LIST *Dropped)
{
    OIP_FLOW_KEY key;
    OIP_DATAGRAM *set;
    OIP_DATAGRAM *oldest;

    /* The protocol belongs to the identity in IPv4 only (RFC 8200, 4.5). */
    OipFlowKey(&key, Frame->Family, Frame->Source, Frame->Destination,
               Frame->Family == OneIpFamilyIpv4 ? Frame->Protocol : 0, Frame->FragmentId);
    set = Fragments->Datagrams[OipDatagramSet(&key)];
    oldest = set;
    *Dropped = NULL;
    for (ULONG i = 0; i < OIP_FRAGMENT_WAYS; i++)
    {
        if (set[i].At != 0 && Now < set[i].Until && RtlEqualMemory(&set[i].Key, &key, sizeof(key)))
        {
            return &set[i];
        }
        if (set[i].At < oldest->At)
        {
            oldest = &set[i];
        }
    }
    *Dropped = OipDatagramTake(Fragments, oldest);
    oldest->Key = key;
    oldest->At = Now;
    oldest->Until = Now + OIP_FRAGMENT_MEMORY;
    oldest->Handle = OIP_FLOW_NOBODY;
    oldest->Received = 0;
    oldest->Total = 0;
    return oldest;
}

/* When all has come the ID may be used anew; soon, since some may have come twice. */
static VOID OipDatagramCount(_Inout_ OIP_DATAGRAM *Datagram, _In_ const OIP_FRAME *Frame,
                             _In_ UINT64 Now)
{
    Datagram->Received += Frame->FragmentBytes;
    if (!Frame->MoreFragments)
    {
        Datagram->Total = Frame->FragmentStart + Frame->FragmentBytes;
    }
    if (Datagram->Handle != OIP_FLOW_NOBODY && Datagram->Total != 0 &&
        Datagram->Received >= Datagram->Total)
    {
        Datagram->Until = Now + OIP_FRAGMENT_WHOLE;
    }
}

_Use_decl_annotations_ PNET_BUFFER_LIST OipFragmentFirst(OIP_FILTER *Filter, const OIP_FRAME *Frame,
                                                         UINT8 Handle, UINT64 Now)
{
    OIP_FRAGMENTS *fragments = Filter->Fragments;
    PNET_BUFFER_LIST dropped;
    PNET_BUFFER_LIST held;
    OIP_DATAGRAM *datagram;
    KIRQL irql;

    KeAcquireSpinLock(&fragments->Lock, &irql);
    datagram = OipDatagramOf(fragments, Frame, Now, &dropped);
    datagram->Handle = Handle;
    held = OipDatagramTake(fragments, datagram);
    OipDatagramCount(datagram, Frame, Now);
    KeReleaseSpinLock(&fragments->Lock, irql);
    OipDropHeld(Filter, dropped);
    return held;
}

/* A copy that waits, with a reference to Filter->Sends. NULL: no memory, or the filter pauses. */
static PNET_BUFFER_LIST OipHoldCopy(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                                    _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame)
{
    PNET_BUFFER_LIST copy;
    UCHAR *data;

    if (Frame->Length > Filter->BufferBytes ||
        !ExAcquireRundownProtectionCacheAwareEx(Filter->Sends, 1))
    {
        return NULL;
    }
    copy = OipAllocateSend(Filter, Frame->Length, &data);
    if (copy != NULL && !OipCopyFrame(Nb, Frame->Length, data))
    {
        OipFreeSend(copy);
        copy = NULL;
    }
    if (copy == NULL)
    {
        ExReleaseRundownProtectionCacheAwareEx(Filter->Sends, 1);
        return NULL;
    }
    NET_BUFFER_LIST_INFO(copy, Ieee8021QNetBufferListInfo) =
        NET_BUFFER_LIST_INFO(Nbl, Ieee8021QNetBufferListInfo);
    return copy;
}

_Use_decl_annotations_ OIP_FRAGMENT_RESULT OipFragmentLater(OIP_FILTER *Filter,
                                                            PNET_BUFFER_LIST Nbl, PNET_BUFFER Nb,
                                                            const OIP_FRAME *Frame, UINT64 Now,
                                                            UINT8 *Handle)
{
    OIP_FRAGMENTS *fragments = Filter->Fragments;
    OIP_FRAGMENT_RESULT result = OipFragmentDropped;
    PNET_BUFFER_LIST dropped;
    PNET_BUFFER_LIST copy;
    OIP_DATAGRAM *datagram;
    KIRQL irql;

    KeAcquireSpinLock(&fragments->Lock, &irql);
    datagram = OipDatagramOf(fragments, Frame, Now, &dropped);
    *Handle = datagram->Handle;
    if (datagram->Handle != OIP_FLOW_NOBODY)
    {
        result = OipFragmentKnown;
        OipDatagramCount(datagram, Frame, Now);
    }
    else if (!fragments->Closed && datagram->Count < OIP_FRAGMENTS_OF_ONE &&
             fragments->Held < OIP_FRAGMENTS_HELD)
    {
        copy = OipHoldCopy(Filter, Nbl, Nb, Frame);
        if (copy != NULL)
        {
            *datagram->Last = copy;
            datagram->Last = &NET_BUFFER_LIST_NEXT_NBL(copy);
            datagram->Count++;
            fragments->Held++;
            OipDatagramCount(datagram, Frame, Now);
            result = OipFragmentHeld;
        }
    }
    KeReleaseSpinLock(&fragments->Lock, irql);
    OipDropHeld(Filter, dropped);
    return result;
}

/* Takes what is held of datagrams that came before Before. */
static PNET_BUFFER_LIST OipTakeOld(_Inout_ OIP_FRAGMENTS *Fragments, _In_ UINT64 Before)
{
    PNET_BUFFER_LIST first = NULL;
    PNET_BUFFER_LIST *last = &first;

    for (ULONG i = 0; i < OIP_FRAGMENT_SETS * OIP_FRAGMENT_WAYS; i++)
    {
        OIP_DATAGRAM *datagram = &Fragments->Datagrams[0][0] + i;

        if (datagram->Count != 0 && datagram->At < Before)
        {
            PNET_BUFFER_LIST *end = datagram->Last;

            *last = OipDatagramTake(Fragments, datagram);
            last = end;
            datagram->At = 0;
        }
    }
    return first;
}

_Use_decl_annotations_ VOID OipFragmentsExpire(OIP_FILTER *Filter, UINT64 Now)
{
    OIP_FRAGMENTS *fragments = Filter->Fragments;
    PNET_BUFFER_LIST old;
    KIRQL irql;

    if (fragments->Held == 0 || Now < OIP_FRAGMENT_PATIENCE)
    {
        return;
    }
    KeAcquireSpinLock(&fragments->Lock, &irql);
    old = OipTakeOld(fragments, Now - OIP_FRAGMENT_PATIENCE);
    KeReleaseSpinLock(&fragments->Lock, irql);
    OipDropHeld(Filter, old);
}

_Use_decl_annotations_ VOID OipFragmentsClose(OIP_FILTER *Filter)
{
    OIP_FRAGMENTS *fragments = Filter->Fragments;
    PNET_BUFFER_LIST all;
    KIRQL irql;

    KeAcquireSpinLock(&fragments->Lock, &irql);
    fragments->Closed = TRUE;
    all = OipTakeOld(fragments, MAXULONG64);
    KeReleaseSpinLock(&fragments->Lock, irql);
    OipDropHeld(Filter, all);
}

_Use_decl_annotations_ VOID OipFragmentsOpen(OIP_FILTER *Filter)
{
    KIRQL irql;

    KeAcquireSpinLock(&Filter->Fragments->Lock, &irql);
    Filter->Fragments->Closed = FALSE;
    KeReleaseSpinLock(&Filter->Fragments->Lock, irql);
}

_Use_decl_annotations_ ULONG OipFragmentsHeld(const OIP_FILTER *Filter)
{
    return Filter->Fragments->Held;
}
