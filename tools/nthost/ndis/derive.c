/*
 * Lists made out of lists: clones, fragments, reassembled ones. They describe the data of the
 * original by MDLs of their own (or, clones on request, by the original's).
 *
 * WDK: NdisAllocateCloneNetBufferList, NdisAllocateFragmentNetBufferList,
 * NdisAllocateReassembledNetBufferList, NdisCopyReceiveNetBufferListInfo,
 * NdisCopySendNetBufferListInfo.
 *
 * Without a pool of the caller they come from pools of NDIS's own. A derived list's MDLs are
 * partial ones, made here; MDL_PARTIAL in the chain says so when it is freed.
 */
#include "pool.h"
#include "stack.h"
#include "verify.h"
#include <stdlib.h>
#include <string.h>

enum { DerivedClone = 1, DerivedCloneOriginalMdls, DerivedFragment, DerivedReassembled };

static struct nb_pool *own_lists, *own_buffers;

/* Made on first use; the two that lose a race are never used and stay. */
static NDIS_HANDLE default_list_pool(void)
{
    if (!own_lists) {
        NET_BUFFER_LIST_POOL_PARAMETERS parameters = {.fAllocateNetBuffer = TRUE,
                                                      .PoolTag = NDIS_POOL_TAG};
        struct nb_pool *expected = NULL, *pool = pool_create_list(&parameters);
        if (pool && !__atomic_compare_exchange_n(&own_lists, &expected, pool, false,
                                                 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            pool_destroy(pool);
    }
    return own_lists;
}

static NDIS_HANDLE default_buffer_pool(void)
{
    if (!own_buffers) {
        struct nb_pool *expected = NULL, *pool = pool_create_buffers(NDIS_POOL_TAG);
        if (pool && !__atomic_compare_exchange_n(&own_buffers, &expected, pool, false,
                                                 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            pool_destroy(pool);
    }
    return own_buffers;
}

void derive_stop(void)
{
    if (own_lists)
        pool_destroy(own_lists);
    if (own_buffers)
        pool_destroy(own_buffers);
    own_lists = own_buffers = NULL;
}

/* Partial MDLs over `bytes` of the data of a buffer, from `offset` on, appended to *link. */
static bool partial_mdls(PNET_BUFFER nb, ULONG offset, ULONG bytes, PMDL *link)
{
    PMDL mdl = nb->CurrentMdl;
    ULONG at = nb->CurrentMdlOffset + offset;
    while (*link)
        link = &(*link)->Next;
    while (bytes) {
        if (at >= mdl->ByteCount) {
            at -= mdl->ByteCount;
            mdl = mdl->Next;
            continue;
        }
        ULONG here = mdl->ByteCount - at < bytes ? mdl->ByteCount - at : bytes;
        PMDL partial = malloc(sizeof(MDL) + (here / PAGE_SIZE + 2) * sizeof(PFN_NUMBER));
        if (!partial)
            return false;
        mdl_init(partial, mdl_data(mdl) + at, here);
        partial->MdlFlags |= MDL_PARTIAL;
        *link = partial;
        link = &partial->Next;
        bytes -= here;
        at = 0;
        mdl = mdl->Next;
    }
    return true;
}

static void free_partial_mdls(PMDL mdl)
{
    while (mdl) {
        PMDL next = mdl->Next;
        if (mdl->MdlFlags & MDL_PARTIAL)
            free(mdl);
        mdl = next;
    }
}

static void set_chain(PNET_BUFFER nb, PMDL chain, ULONG offset, ULONG bytes)
{
    nb->MdlChain = chain;
    nb->DataOffset = offset;
    nb->DataLength = bytes;
    NdisAdjustNetBufferCurrentMdl(nb);
}

/* Buffers of a derived list: the first may be the list's own. */
static void free_list(PNET_BUFFER_LIST nbl, bool own_mdls)
{
    struct nb_pool *pool = nbl->NdisPoolHandle;
    PNET_BUFFER own = pool->with_buffer ? (PNET_BUFFER)((char *)block_of(nbl) + pool->nb_at) : NULL;
    for (PNET_BUFFER nb = nbl->FirstNetBuffer; nb;) {
        PNET_BUFFER next = nb->Next;
        if (own_mdls)
            free_partial_mdls(nb->MdlChain);
        if (nb != own)
            NdisFreeNetBuffer(nb);
        nb = next;
    }
    NdisFreeNetBufferList(nbl);
}

/* A list, and a way to get buffers for it one after the other. */
struct maker {
    PNET_BUFFER_LIST nbl;
    NDIS_HANDLE buffers;
    PNET_BUFFER own; /* the list's own buffer, while it is not used */
    PNET_BUFFER *link;
};

static bool maker_start(struct maker *maker, NDIS_HANDLE lists, NDIS_HANDLE buffers)
{
    struct nb_pool *pool = lists ? lists : default_list_pool();
    maker->buffers = buffers ? buffers : default_buffer_pool();
    if (!pool || !maker->buffers)
        return false;
    maker->nbl = pool->with_buffer && !pool->data_bytes
                     ? NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, NULL, 0, 0)
                     : NdisAllocateNetBufferList(pool, 0, 0);
    if (!maker->nbl)
        return false;
    maker->own = pool->data_bytes ? NULL : maker->nbl->FirstNetBuffer;
    maker->nbl->FirstNetBuffer = NULL;
    maker->link = &maker->nbl->FirstNetBuffer;
    return true;
}

static PNET_BUFFER maker_buffer(struct maker *maker)
{
    PNET_BUFFER nb = maker->own ? maker->own : NdisAllocateNetBuffer(maker->buffers, NULL, 0, 0);
    maker->own = NULL;
    if (nb) {
        *maker->link = nb;
        maker->link = &nb->Next;
    }
    return nb;
}

/* Clones */

PNET_BUFFER_LIST NTAPI NdisAllocateCloneNetBufferList(PNET_BUFFER_LIST OriginalNetBufferList,
                                                      NDIS_HANDLE NetBufferListPoolHandle,
                                                      NDIS_HANDLE NetBufferPoolHandle,
                                                      ULONG AllocateCloneFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    bool original_mdls = AllocateCloneFlags & NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS;
    struct maker maker;
    if (vf_fault(VfFaultNdis) || !maker_start(&maker, NetBufferListPoolHandle, NetBufferPoolHandle))
        return NULL;
    for (PNET_BUFFER from = OriginalNetBufferList->FirstNetBuffer; from; from = from->Next) {
        PNET_BUFFER to = maker_buffer(&maker);
        if (!to)
            goto fail;
        if (original_mdls) {
            /* From the start of the used data: what lies before it is not the clone's. */
            to->MdlChain = to->CurrentMdl = from->CurrentMdl;
            to->DataOffset = to->CurrentMdlOffset = from->CurrentMdlOffset;
            to->DataLength = from->DataLength;
        } else {
            PMDL chain = NULL;
            bool made = partial_mdls(from, 0, from->DataLength, &chain);
            set_chain(to, chain, 0, from->DataLength);
            if (!made)
                goto fail;
        }
        to->ChecksumBias = from->ChecksumBias;
    }
    block_of(maker.nbl)->derived = original_mdls ? DerivedCloneOriginalMdls : DerivedClone;
    return maker.nbl;
fail:
    free_list(maker.nbl, !original_mdls);
    return NULL;
}
NT_EXPORT(NDIS, NdisAllocateCloneNetBufferList);

static void check_derived(PNET_BUFFER_LIST nbl, ULONG derived, const char *function)
{
    struct nb_block *block = block_check(nbl, PoolNbl, function);
    if (vf_enabled && block->derived != derived)
        vf_violation(VfNblMalformed,
                     "%s: %p was not made by the function (and flags) that goes with it", function,
                     (void *)nbl);
}

VOID NTAPI NdisFreeCloneNetBufferList(PNET_BUFFER_LIST CloneNetBufferList, ULONG FreeCloneFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    bool original_mdls = FreeCloneFlags & NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS;
    check_derived(CloneNetBufferList, original_mdls ? DerivedCloneOriginalMdls : DerivedClone,
                  __func__);
    free_list(CloneNetBufferList, !original_mdls);
}
NT_EXPORT(NDIS, NdisFreeCloneNetBufferList);

/* Fragments */

PNET_BUFFER_LIST NTAPI NdisAllocateFragmentNetBufferList(PNET_BUFFER_LIST OriginalNetBufferList,
                                                         NDIS_HANDLE NetBufferListPool,
                                                         NDIS_HANDLE NetBufferPool,
                                                         ULONG StartOffset, ULONG MaximumLength,
                                                         ULONG DataOffsetDelta, ULONG DataBackFill,
                                                         ULONG AllocateFragmentFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)AllocateFragmentFlags;
    struct maker maker;
    if (vf_fault(VfFaultNdis) || !MaximumLength ||
        !maker_start(&maker, NetBufferListPool, NetBufferPool))
        return NULL;
    for (PNET_BUFFER from = OriginalNetBufferList->FirstNetBuffer; from; from = from->Next) {
        for (ULONG at = StartOffset; at < from->DataLength; at += MaximumLength) {
            ULONG bytes =
                from->DataLength - at < MaximumLength ? from->DataLength - at : MaximumLength;
            PNET_BUFFER to = maker_buffer(&maker);
            PMDL chain = NULL;
            bool made = to && partial_mdls(from, at, bytes, &chain);
            if (to)
                set_chain(to, chain, 0, bytes);
            if (!made || NdisRetreatNetBufferDataStart(to, DataOffsetDelta, DataBackFill, NULL) !=
                             NDIS_STATUS_SUCCESS)
                goto fail;
        }
    }
    block_of(maker.nbl)->derived = DerivedFragment;
    return maker.nbl;
fail:
    for (PNET_BUFFER nb = maker.nbl->FirstNetBuffer; nb; nb = nb->Next)
        if (nb->MdlChain && (nb->MdlChain->MdlFlags & MDL_NETWORK_HEADER))
            NdisAdvanceNetBufferDataStart(nb, DataOffsetDelta, TRUE, NULL);
    free_list(maker.nbl, true);
    return NULL;
}
NT_EXPORT(NDIS, NdisAllocateFragmentNetBufferList);

VOID NTAPI NdisFreeFragmentNetBufferList(PNET_BUFFER_LIST FragmentNetBufferList,
                                         ULONG DataOffsetDelta, ULONG FreeFragmentFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)FreeFragmentFlags;
    check_derived(FragmentNetBufferList, DerivedFragment, __func__);
    NdisAdvanceNetBufferListDataStart(FragmentNetBufferList, DataOffsetDelta, TRUE, NULL);
    free_list(FragmentNetBufferList, true);
}
NT_EXPORT(NDIS, NdisFreeFragmentNetBufferList);

/* Reassembly */

PNET_BUFFER_LIST NTAPI NdisAllocateReassembledNetBufferList(
    PNET_BUFFER_LIST FragmentNetBufferList, NDIS_HANDLE NetBufferAndNetBufferListPool,
    ULONG StartOffset, ULONG DataOffsetDelta, ULONG DataBackFill, ULONG AllocateReassembleFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)AllocateReassembleFlags;
    struct maker maker;
    if (vf_fault(VfFaultNdis) || !maker_start(&maker, NetBufferAndNetBufferListPool, NULL))
        return NULL;
    PNET_BUFFER to = maker_buffer(&maker);
    PMDL chain = NULL;
    ULONG bytes = 0;
    bool made = to != NULL;
    for (PNET_BUFFER from = FragmentNetBufferList->FirstNetBuffer; made && from;
         from = from->Next) {
        if (from->DataLength <= StartOffset)
            continue;
        made = partial_mdls(from, StartOffset, from->DataLength - StartOffset, &chain);
        bytes += from->DataLength - StartOffset;
    }
    if (to)
        set_chain(to, chain, 0, bytes);
    if (!made || NdisRetreatNetBufferDataStart(to, DataOffsetDelta, DataBackFill, NULL) !=
                     NDIS_STATUS_SUCCESS) {
        free_list(maker.nbl, true);
        return NULL;
    }
    block_of(maker.nbl)->derived = DerivedReassembled;
    return maker.nbl;
}
NT_EXPORT(NDIS, NdisAllocateReassembledNetBufferList);

VOID NTAPI NdisFreeReassembledNetBufferList(PNET_BUFFER_LIST ReassembledNetBufferList,
                                            ULONG DataOffsetDelta, ULONG FreeReassembleFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)FreeReassembleFlags;
    check_derived(ReassembledNetBufferList, DerivedReassembled, __func__);
    NdisAdvanceNetBufferListDataStart(ReassembledNetBufferList, DataOffsetDelta, TRUE, NULL);
    free_list(ReassembledNetBufferList, true);
}
NT_EXPORT(NDIS, NdisFreeReassembledNetBufferList);

/* Out-of-band data */

static void copy_info(PNET_BUFFER_LIST to, PNET_BUFFER_LIST from, const UCHAR *ids, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        to->NetBufferListInfo[ids[i]] = from->NetBufferListInfo[ids[i]];
}

VOID NTAPI NdisCopyReceiveNetBufferListInfo(PNET_BUFFER_LIST DestNetBufferList,
                                            PNET_BUFFER_LIST SrcNetBufferList)
{
    VF_ENTRY(DISPATCH_LEVEL);
    static const UCHAR ids[] = {TcpIpChecksumNetBufferListInfo,
                                IPsecOffloadV1NetBufferListInfo,
                                TcpReceiveNoPush,
                                Ieee8021QNetBufferListInfo,
                                MediaSpecificInformation,
                                NetBufferListFrameType,
                                NetBufferListHashValue,
                                NetBufferListHashInfo,
                                IPsecOffloadV2TunnelNetBufferListInfo,
                                IPsecOffloadV2HeaderNetBufferListInfo,
                                NetBufferListFilteringInfo,
                                TcpRecvSegCoalesceInfo,
                                RscTcpTimestampDelta,
                                UdpRecvSegCoalesceOffloadInfo};
    copy_info(DestNetBufferList, SrcNetBufferList, ids, sizeof(ids));
    DestNetBufferList->NblFlags |=
        SrcNetBufferList->NblFlags &
        (NDIS_NBL_FLAGS_IS_IPV4 | NDIS_NBL_FLAGS_IS_IPV6 | NDIS_NBL_FLAGS_IS_TCP |
         NDIS_NBL_FLAGS_IS_UDP | NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET);
}
NT_EXPORT(NDIS, NdisCopyReceiveNetBufferListInfo);

VOID NTAPI NdisCopySendNetBufferListInfo(PNET_BUFFER_LIST DestNetBufferList,
                                         PNET_BUFFER_LIST SrcNetBufferList)
{
    VF_ENTRY(DISPATCH_LEVEL);
    static const UCHAR ids[] = {TcpIpChecksumNetBufferListInfo,
                                IPsecOffloadV1NetBufferListInfo,
                                TcpLargeSendNetBufferListInfo,
                                ClassificationHandleNetBufferListInfo,
                                Ieee8021QNetBufferListInfo,
                                NetBufferListCancelId,
                                MediaSpecificInformation,
                                NetBufferListProtocolId,
                                NetBufferListHashValue,
                                NetBufferListHashInfo,
                                WfpNetBufferListInfo,
                                IPsecOffloadV2TunnelNetBufferListInfo,
                                IPsecOffloadV2HeaderNetBufferListInfo,
                                NetBufferListCorrelationId};
    copy_info(DestNetBufferList, SrcNetBufferList, ids, sizeof(ids));
}
NT_EXPORT(NDIS, NdisCopySendNetBufferListInfo);
