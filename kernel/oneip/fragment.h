/*
 * Fragments: all of a datagram to the server of its first, which alone has ports (RFC 791, 3.2;
 * RFC 8200, 4.5). A fragment that comes before the first is held as a copy until that comes, for
 * two seconds at most.
 *
 * Bounded: OIP_FRAGMENT_SETS sets of four datagrams, OIP_FRAGMENTS_HELD copies in all and
 * OIP_FRAGMENTS_OF_ONE of one datagram. A new datagram takes the place of the oldest in its set.
 * Held copies hold Filter->Sends, so a pause first lets go of them (OipFragmentsClose).
 *
 * IRQL <= DISPATCH_LEVEL; a spin lock of its own, a leaf.
 */
#pragma once

#include "filter.h"
#include "forward.h"
#include "packet.h"

#define OIP_FRAGMENT_SETS    128
#define OIP_FRAGMENT_WAYS    4
#define OIP_FRAGMENTS_HELD   1024
#define OIP_FRAGMENTS_OF_ONE 64 /* of 1,480 bytes: more than the longest datagram has */

/* What to do with a fragment that is not the first. */
typedef enum OIP_FRAGMENT_RESULT
{
    OipFragmentKnown, /* to the server that the first went to */
    OipFragmentHeld,
    OipFragmentDropped
} OIP_FRAGMENT_RESULT;

/* NULL: no memory. PASSIVE_LEVEL. */
OIP_FRAGMENTS *OipFragmentsCreate(VOID);
VOID OipFragmentsDestroy(_In_opt_ OIP_FRAGMENTS *Fragments);

/*
 * The first fragment goes to the member with this handle. Returns what was held of its datagram, in
 * order of arrival, each with a reference to Filter->Sends.
 */
PNET_BUFFER_LIST OipFragmentFirst(_In_ OIP_FILTER *Filter, _In_ const OIP_FRAME *Frame,
                                  _In_ UINT8 Handle, _In_ UINT64 Now);

/* A later one. *Handle is set with OipFragmentKnown. */
OIP_FRAGMENT_RESULT OipFragmentLater(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                                     _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                                     _In_ UINT64 Now, _Out_ UINT8 *Handle);

/* Drops, and counts, what was held too long. Called now and then; MAXULONG64: everything. */
VOID OipFragmentsExpire(_In_ OIP_FILTER *Filter, _In_ UINT64 Now);

/* Drops everything and holds nothing more, until it is opened again. */
VOID OipFragmentsClose(_In_ OIP_FILTER *Filter);
VOID OipFragmentsOpen(_In_ OIP_FILTER *Filter);

/* Copies held now. */
ULONG OipFragmentsHeld(_In_ const OIP_FILTER *Filter);
