/*
 * Data space and context space: moving the start of a buffer's data, reading and copying it.
 *
 * WDK: NdisRetreatNetBufferDataStart, NdisAdvanceNetBufferDataStart, NdisGetDataBuffer,
 * NdisCopyFromNetBufferToNetBuffer, NdisAdjustNetBufferCurrentMdl,
 * NdisAllocateNetBufferListContext, NdisAllocateMdl.
 *
 * An MDL that a retreat has put in front says so by MDL_NETWORK_HEADER, and one whose memory is
 * NDIS's by MDL_INTERNAL too: so an advance knows what it may free, and how.
 */
#include "pool.h"
#include "stack.h"
#include "verify.h"
#include <stdlib.h>
#include <string.h>

ULONG netbuffer_read(PNET_BUFFER nb, ULONG offset, void *to, ULONG bytes)
{
    if (offset >= nb->DataLength)
        return 0;
    if (bytes > nb->DataLength - offset)
        bytes = nb->DataLength - offset;
    PMDL mdl = nb->CurrentMdl;
    ULONG at = nb->CurrentMdlOffset + offset, done = 0;
    while (mdl && done < bytes) {
        if (at >= mdl->ByteCount) {
            at -= mdl->ByteCount;
        } else {
            ULONG here = mdl->ByteCount - at;
            if (here > bytes - done)
                here = bytes - done;
            memcpy((char *)to + done, mdl_data(mdl) + at, here);
            done += here;
            at = 0;
        }
        mdl = mdl->Next;
    }
    return done;
}

PUCHAR netbuffer_at(PNET_BUFFER nb, ULONG offset, ULONG bytes)
{
    if (offset > nb->DataLength || bytes > nb->DataLength - offset)
        return NULL;
    PMDL mdl = nb->CurrentMdl;
    ULONG at = nb->CurrentMdlOffset + offset;
    while (mdl && at >= mdl->ByteCount) {
        at -= mdl->ByteCount;
        mdl = mdl->Next;
    }
    return mdl && bytes <= mdl->ByteCount - at ? mdl_data(mdl) + at : NULL;
}

/* The MDL in which the data now begins. */
static void find_current(PNET_BUFFER nb)
{
    PMDL mdl = nb->MdlChain;
    ULONG offset = nb->DataOffset;
    while (mdl && mdl->Next && offset >= mdl->ByteCount) {
        offset -= mdl->ByteCount;
        mdl = mdl->Next;
    }
    nb->CurrentMdl = mdl;
    nb->CurrentMdlOffset = offset;
}

VOID NTAPI NdisAdjustNetBufferCurrentMdl(PNET_BUFFER NetBuffer)
{
    VF_ENTRY(DISPATCH_LEVEL);
    find_current(NetBuffer);
}
NT_EXPORT(NDIS, NdisAdjustNetBufferCurrentMdl);

/* Retreat */

static PMDL allocate_space(ULONG bytes, NET_BUFFER_ALLOCATE_MDL_HANDLER allocate, ULONG *got)
{
    *got = bytes;
    if (allocate)
        return allocate(got);
    PMDL mdl = malloc(sizeof(MDL) + (bytes / PAGE_SIZE + 2) * sizeof(PFN_NUMBER) + bytes);
    if (!mdl)
        return NULL;
    mdl_init(mdl, (char *)mdl + sizeof(MDL) + (bytes / PAGE_SIZE + 2) * sizeof(PFN_NUMBER), bytes);
    mdl->MdlFlags |= MDL_INTERNAL;
    return mdl;
}

static NDIS_STATUS retreat(PNET_BUFFER nb, ULONG delta, ULONG back_fill,
                           NET_BUFFER_ALLOCATE_MDL_HANDLER allocate)
{
    if (delta > nb->DataOffset) {
        ULONG missing = delta - nb->DataOffset, got;
        PMDL mdl = allocate_space(missing + back_fill, allocate, &got);
        if (!mdl)
            return NDIS_STATUS_RESOURCES;
        mdl->MdlFlags |= MDL_NETWORK_HEADER;
        mdl->Next = nb->MdlChain;
        nb->MdlChain = mdl;
        nb->DataOffset += mdl->ByteCount;
    }
    nb->DataOffset -= delta;
    nb->DataLength += delta;
    find_current(nb);
    return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS NTAPI NdisRetreatNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
                                                ULONG DataBackFill,
                                                NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    return retreat(NetBuffer, DataOffsetDelta, DataBackFill, AllocateMdlHandler);
}
NT_EXPORT(NDIS, NdisRetreatNetBufferDataStart);

/* Advance */

static void free_mdl(PMDL mdl, NET_BUFFER_FREE_MDL_HANDLER handler)
{
    if (mdl->MdlFlags & MDL_INTERNAL)
        free(mdl);
    else if (handler)
        handler(mdl);
}

/* What retreats have put in front and the data no longer reaches. */
static void free_space(PNET_BUFFER nb, NET_BUFFER_FREE_MDL_HANDLER handler)
{
    while (nb->MdlChain && (nb->MdlChain->MdlFlags & MDL_NETWORK_HEADER) &&
           nb->DataOffset >= nb->MdlChain->ByteCount &&
           (nb->MdlChain->Next || nb->DataLength == 0)) {
        PMDL mdl = nb->MdlChain;
        nb->MdlChain = mdl->Next;
        nb->DataOffset -= mdl->ByteCount;
        free_mdl(mdl, handler);
    }
}

static void advance(PNET_BUFFER nb, ULONG delta, BOOLEAN free_mdls,
                    NET_BUFFER_FREE_MDL_HANDLER handler)
{
    nb->DataOffset += delta;
    nb->DataLength -= delta;
    if (free_mdls)
        free_space(nb, handler);
    find_current(nb);
}

VOID NTAPI NdisAdvanceNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta,
                                         BOOLEAN FreeMdl,
                                         NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled && DataOffsetDelta > NetBuffer->DataLength)
        vf_violation(VfNblMalformed, "NdisAdvanceNetBufferDataStart by %u of %u bytes of data",
                     DataOffsetDelta, NetBuffer->DataLength);
    advance(NetBuffer, DataOffsetDelta, FreeMdl, FreeMdlHandler);
}
NT_EXPORT(NDIS, NdisAdvanceNetBufferDataStart);

NDIS_STATUS NTAPI NdisRetreatNetBufferListDataStart(
    PNET_BUFFER_LIST NetBufferList, ULONG DataOffsetDelta, ULONG DataBackFill,
    NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler, NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    for (PNET_BUFFER nb = NetBufferList->FirstNetBuffer; nb; nb = nb->Next) {
        NDIS_STATUS status = retreat(nb, DataOffsetDelta, DataBackFill, AllocateMdlHandler);
        if (status == NDIS_STATUS_SUCCESS)
            continue;
        for (PNET_BUFFER undo = NetBufferList->FirstNetBuffer; undo != nb; undo = undo->Next)
            advance(undo, DataOffsetDelta, TRUE, FreeMdlHandler);
        return status;
    }
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisRetreatNetBufferListDataStart);

VOID NTAPI NdisAdvanceNetBufferListDataStart(PNET_BUFFER_LIST NetBufferList, ULONG DataOffsetDelta,
                                             BOOLEAN FreeMdl,
                                             NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler)
{
    VF_ENTRY(DISPATCH_LEVEL);
    for (PNET_BUFFER nb = NetBufferList->FirstNetBuffer; nb; nb = nb->Next)
        advance(nb, DataOffsetDelta, FreeMdl, FreeMdlHandler);
}
NT_EXPORT(NDIS, NdisAdvanceNetBufferListDataStart);

/* Reading */

static __attribute__((ms_abi, noinline)) PVOID gather(PNET_BUFFER nb, ULONG bytes, PVOID storage)
{
    return netbuffer_read(nb, 0, storage, bytes) == bytes ? storage : NULL;
}

PVOID NTAPI NdisGetDataBuffer(PNET_BUFFER NetBuffer, ULONG BytesNeeded, PVOID Storage,
                              UINT AlignMultiple, UINT AlignOffset)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis) || BytesNeeded > NetBuffer->DataLength || BytesNeeded == 0)
        return NULL;
    PMDL mdl = NetBuffer->CurrentMdl;
    ULONG at = NetBuffer->CurrentMdlOffset;
    if (__builtin_expect(at + BytesNeeded <= mdl->ByteCount, 1)) {
        PUCHAR data = mdl_data(mdl) + at;
        if (AlignMultiple <= 1 || (((ULONG_PTR)data - AlignOffset) & (AlignMultiple - 1)) == 0)
            return data;
    }
    return Storage ? gather(NetBuffer, BytesNeeded, Storage) : NULL;
}
NT_EXPORT(NDIS, NdisGetDataBuffer);

NDIS_STATUS NTAPI NdisCopyFromNetBufferToNetBuffer(PNET_BUFFER Destination, ULONG DestinationOffset,
                                                   ULONG BytesToCopy, PNET_BUFFER Source,
                                                   ULONG SourceOffset, PULONG BytesCopied)
{
    VF_ENTRY(DISPATCH_LEVEL);
    *BytesCopied = 0;
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    ULONG room = DestinationOffset < Destination->DataLength
                     ? Destination->DataLength - DestinationOffset
                     : 0;
    ULONG have = SourceOffset < Source->DataLength ? Source->DataLength - SourceOffset : 0;
    ULONG bytes = BytesToCopy < room ? BytesToCopy : room;
    if (bytes > have)
        bytes = have;
    PMDL mdl = Destination->CurrentMdl;
    ULONG at = Destination->CurrentMdlOffset + DestinationOffset;
    while (mdl && *BytesCopied < bytes) {
        if (at >= mdl->ByteCount) {
            at -= mdl->ByteCount;
        } else {
            ULONG here = mdl->ByteCount - at;
            if (here > bytes - *BytesCopied)
                here = bytes - *BytesCopied;
            *BytesCopied +=
                netbuffer_read(Source, SourceOffset + *BytesCopied, mdl_data(mdl) + at, here);
            at = 0;
        }
        mdl = mdl->Next;
    }
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisCopyFromNetBufferToNetBuffer);

/* Context space */

NDIS_STATUS NTAPI NdisAllocateNetBufferListContext(PNET_BUFFER_LIST NetBufferList,
                                                   USHORT ContextSize, USHORT ContextBackFill,
                                                   ULONG PoolTag)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)PoolTag;
    if (ContextSize % sizeof(PVOID) || ContextBackFill % sizeof(PVOID)) {
        if (vf_enabled)
            vf_violation(VfBadParameter,
                         "NdisAllocateNetBufferListContext: %u + %u is not a "
                         "multiple of a pointer's size",
                         ContextSize, ContextBackFill);
        return NDIS_STATUS_FAILURE;
    }
    PNET_BUFFER_LIST_CONTEXT context = NetBufferList->Context;
    if (context && context->Offset >= ContextSize) {
        context->Offset -= ContextSize;
        return NDIS_STATUS_SUCCESS;
    }
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    USHORT bytes = (USHORT)(ContextSize + ContextBackFill);
    PNET_BUFFER_LIST_CONTEXT more = malloc(sizeof(*more) + bytes);
    if (!more)
        return NDIS_STATUS_RESOURCES;
    more->Next = context;
    more->Size = bytes;
    more->Offset = ContextBackFill;
    NetBufferList->Context = more;
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisAllocateNetBufferListContext);

VOID NTAPI NdisFreeNetBufferListContext(PNET_BUFFER_LIST NetBufferList, USHORT ContextSize)
{
    VF_ENTRY(DISPATCH_LEVEL);
    PNET_BUFFER_LIST_CONTEXT context = NetBufferList->Context;
    if (!context || context->Offset + ContextSize > context->Size) {
        if (vf_enabled)
            vf_violation(VfNblMalformed, "NdisFreeNetBufferListContext: %u bytes, %u are in use",
                         ContextSize, context ? context->Size - context->Offset : 0);
        return;
    }
    context->Offset = (USHORT)(context->Offset + ContextSize);
    struct nb_pool *pool = NetBufferList->NdisPoolHandle;
    bool own = !context->Next && pool && pool->context_bytes; /* part of the block */
    if (context->Offset == context->Size && !own) {
        NetBufferList->Context = context->Next;
        free(context);
    }
}
NT_EXPORT(NDIS, NdisFreeNetBufferListContext);

/* MDLs */

struct mdl_block {
    struct track_entry *track;
    ULONG64 mark; /* tells an MDL of NDIS from others, and from a free one */
};
#define MDL_MARK 0x4e44495320202020ull

PMDL NTAPI NdisAllocateMdl(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, UINT Length)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)NdisHandle;
    if (vf_fault(VfFaultNdis))
        return NULL;
    size_t bytes =
        sizeof(MDL) + ADDRESS_AND_SIZE_TO_SPAN_PAGES(VirtualAddress, Length) * sizeof(PFN_NUMBER);
    struct mdl_block *block = malloc(sizeof(*block) + bytes);
    if (!block)
        return NULL;
    PMDL mdl = (PMDL)(block + 1);
    mdl_init(mdl, VirtualAddress, Length);
    block->mark = MDL_MARK;
    block->track = track_add(TrackMdl, mdl, __builtin_return_address(0));
    return mdl;
}
NT_EXPORT(NDIS, NdisAllocateMdl);

/* What lies before an MDL that is not NDIS's is nobody's: not for the sanitizer to judge. */
static __attribute__((no_sanitize("address"), noinline)) bool is_ndis_mdl(struct mdl_block *block)
{
    return block->mark == MDL_MARK;
}

VOID NTAPI NdisFreeMdl(PMDL Mdl)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct mdl_block *block = (struct mdl_block *)Mdl - 1;
    if (vf_enabled && !is_ndis_mdl(block))
        vf_violation(VfMdlMisuse,
                     "NdisFreeMdl: %p was not allocated by NdisAllocateMdl, or is free",
                     (void *)Mdl);
    block->mark = 0;
    track_remove(block->track);
    free(block);
}
NT_EXPORT(NDIS, NdisFreeMdl);
