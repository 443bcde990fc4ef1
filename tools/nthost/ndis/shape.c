/* Awkward NET_BUFFER_LISTs. See shape.h. */
#include "shape.h"
#include "frame.h"
#include "pool.h"
#include "stack.h"
#include <string.h>

#define SHAPE_TAG  'pahS'
#define MAX_PIECES 8

bool shapes_open(struct shapes *shapes)
{
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {.fAllocateNetBuffer = TRUE, .PoolTag = SHAPE_TAG};
    shapes->lists = pool_create_list(&parameters);
    shapes->buffers = pool_create_buffers(SHAPE_TAG);
    return shapes->lists && shapes->buffers;
}

void shapes_close(struct shapes *shapes)
{
    pool_destroy(shapes->lists);
    pool_destroy(shapes->buffers);
}

/* An MDL and its memory, exactly as long. */
static PMDL piece_new(ULONG bytes)
{
    PUCHAR memory = ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes ? bytes : 1, SHAPE_TAG);
    PMDL mdl = memory ? IoAllocateMdl(memory, bytes ? bytes : 1, FALSE, FALSE, NULL) : NULL;
    if (!mdl) {
        if (memory)
            ExFreePoolWithTag(memory, SHAPE_TAG);
        return NULL;
    }
    MmBuildMdlForNonPagedPool(mdl);
    mdl->ByteCount = bytes;
    return mdl;
}

static void chain_free(PMDL mdl)
{
    while (mdl) {
        PMDL next = mdl->Next;
        PVOID memory = MmGetMdlVirtualAddress(mdl);
        IoFreeMdl(mdl);
        ExFreePoolWithTag(memory, SHAPE_TAG);
        mdl = next;
    }
}

/* Where to cut: about headers for preference. Ascending, within (headers, bytes). */
static unsigned choose_cuts(ULONG bytes, ULONG headers, ULONG cuts[MAX_PIECES])
{
    static const UCHAR likely[] = {1,  6,  12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 33, 34,
                                   35, 36, 38, 42, 46, 47, 50, 53, 54, 55, 58, 62, 66, 74};
    unsigned wanted = sched_choose(2) ? 0 : 1 + sched_choose(MAX_PIECES - 2), count = 0;
    for (unsigned i = 0; i < wanted; i++) {
        ULONG cut = sched_choose(4) ? likely[sched_choose(sizeof(likely))]
                                    : 1 + sched_choose(bytes > 1 ? bytes - 1 : 1);
        if (cut <= headers || cut >= bytes)
            continue;
        unsigned at = count;
        while (at && cuts[at - 1] > cut)
            at--;
        memmove(cuts + at + 1, cuts + at, (count - at) * sizeof(cuts[0]));
        cuts[at] = cut; /* twice the same: a zero-length MDL */
        count++;
    }
    return count;
}

/* Fills a buffer's chain; false without memory. */
static bool shape_buffer(PNET_BUFFER nb, const UCHAR *frame, ULONG bytes, ULONG headers)
{
    ULONG cuts[MAX_PIECES + 1];
    unsigned pieces = choose_cuts(bytes, headers, cuts);
    cuts[pieces++] = bytes;
    ULONG unused_mdl = sched_choose(8) ? 0 : 1 + sched_choose(40);
    ULONG before = sched_choose(2) ? 0 : sched_choose(33);
    ULONG behind = sched_choose(4) ? 0 : sched_choose(20);

    PMDL chain = NULL, *link = &chain;
    if (unused_mdl) {
        if (!(*link = piece_new(unused_mdl)))
            return false;
        link = &(*link)->Next;
    }
    ULONG at = 0;
    for (unsigned i = 0; i < pieces; i++) {
        ULONG data = cuts[i] - at;
        ULONG head = i == 0 ? before : 0, tail = i + 1 == pieces ? behind : 0;
        if (!(*link = piece_new(head + data + tail))) {
            chain_free(chain);
            return false;
        }
        memcpy(mdl_data(*link) + head, frame + at, data);
        memset(mdl_data(*link) + head + data, 0xee, tail);
        link = &(*link)->Next;
        at = cuts[i];
    }
    nb->MdlChain = chain;
    nb->DataOffset = unused_mdl + before;
    nb->DataLength = bytes;
    NdisAdjustNetBufferCurrentMdl(nb);
    return true;
}

PNET_BUFFER_LIST shape_list(struct shapes *shapes, const UCHAR *frame, ULONG bytes, ULONG headers)
{
    PNET_BUFFER_LIST nbl = NdisAllocateNetBufferAndNetBufferList(shapes->lists, 0, 0, NULL, 0, 0);
    if (nbl && !shape_buffer(nbl->FirstNetBuffer, frame, bytes, headers)) {
        NdisFreeNetBufferList(nbl);
        return NULL;
    }
    return nbl;
}

bool shape_add(struct shapes *shapes, PNET_BUFFER_LIST nbl, const UCHAR *frame, ULONG bytes)
{
    PNET_BUFFER nb = NdisAllocateNetBuffer(shapes->buffers, NULL, 0, 0);
    if (!nb)
        return false;
    if (!shape_buffer(nb, frame, bytes, 0)) {
        NdisFreeNetBuffer(nb);
        return false;
    }
    PNET_BUFFER *link = &nbl->FirstNetBuffer;
    while (*link)
        link = &(*link)->Next;
    *link = nb;
    return true;
}

void shape_free(struct shapes *shapes, PNET_BUFFER_LIST nbl)
{
    PNET_BUFFER own = nbl->FirstNetBuffer;
    for (PNET_BUFFER nb = own; nb;) {
        PNET_BUFFER next = nb->Next;
        chain_free(nb->MdlChain);
        if (nb->NdisPoolHandle == shapes->buffers)
            NdisFreeNetBuffer(nb);
        nb = next;
    }
    NdisFreeNetBufferList(nbl);
}
