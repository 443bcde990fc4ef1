/*
 * Pools, NET_BUFFERs and what is made of them, against a flat model: a buffer's data is what one
 * reads from its MDL chain, whatever was done to it.
 */
#include "common.h"
#include "pool.h"
#include <stdio.h>

static void start(uint64_t seed)
{
    tap_start(NT_DETERMINISTIC, seed);
    nt_enter();
}

static void stop(void)
{
    nt_leave();
    nt_stop();
}

static NDIS_HANDLE list_pool(USHORT context, BOOLEAN buffer, ULONG data)
{
    NET_BUFFER_LIST_POOL_PARAMETERS p = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = buffer,
        .ContextSize = context,
        .PoolTag = 'tseT',
        .DataSize = data,
    };
    return NdisAllocateNetBufferListPool(NULL, &p);
}

static NDIS_HANDLE buffer_pool(ULONG data)
{
    NET_BUFFER_POOL_PARAMETERS p = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1},
        .PoolTag = 'tseT',
        .DataSize = data,
    };
    return NdisAllocateNetBufferPool(NULL, &p);
}

/* A chain of 1 to 5 MDLs over one block of bytes, some of them empty or of one byte. */
struct chain {
    UCHAR *bytes;
    ULONG total;
    PMDL mdl;
};

static struct chain chain_new(ULONG total)
{
    struct chain chain = {.bytes = malloc(total + 1), .total = total};
    PMDL *link = &chain.mdl;
    ULONG at = 0;
    unsigned count = 1 + sched_choose(5);
    for (ULONG i = 0; i < total; i++)
        chain.bytes[i] = (UCHAR)(i * 31 + total);
    for (unsigned i = 0; i < count; i++) {
        ULONG left = total - at;
        ULONG here = i + 1 == count         ? left
                     : sched_choose(4) == 0 ? sched_choose(2)
                                            : sched_choose(left + 1);
        if (here > left)
            here = left;
        *link = NdisAllocateMdl(NULL, chain.bytes + at, here);
        link = &(*link)->Next;
        at += here;
    }
    return chain;
}

static void chain_free(struct chain *chain)
{
    while (chain->mdl) {
        PMDL next = chain->mdl->Next;
        NdisFreeMdl(chain->mdl);
        chain->mdl = next;
    }
    free(chain->bytes);
}

/* The data of a buffer, flat. */
static UCHAR *flat(PNET_BUFFER nb)
{
    UCHAR *to = malloc(nb->DataLength + 1);
    ULONG got = 0;
    for (PMDL mdl = nb->MdlChain; mdl; mdl = mdl->Next) {
        for (ULONG i = 0; i < mdl->ByteCount; i++, got++)
            if (got >= nb->DataOffset && got < nb->DataOffset + nb->DataLength)
                to[got - nb->DataOffset] = ((UCHAR *)mdl->MappedSystemVa)[i];
    }
    return to;
}

static void check_current(PNET_BUFFER nb)
{
    ULONG before = 0;
    PMDL mdl = nb->MdlChain;
    while (mdl && mdl != nb->CurrentMdl) {
        before += mdl->ByteCount;
        mdl = mdl->Next;
    }
    ok(mdl == nb->CurrentMdl && before + nb->CurrentMdlOffset == nb->DataOffset,
       "CurrentMdl is where DataOffset %u is", nb->DataOffset);
}

NT_TEST(pools_give_what_they_were_made_for)
{
    start(tap_seed());
    NDIS_HANDLE plain = list_pool(0, FALSE, 0), with = list_pool(32, TRUE, 0);
    NDIS_HANDLE data = list_pool(0, TRUE, 200), buffers = buffer_pool(0), sized = buffer_pool(100);
    PNET_BUFFER_LIST nbl = NdisAllocateNetBufferList(plain, 0, 0);
    ok(nbl && nbl->FirstNetBuffer == NULL && nbl->Next == NULL && nbl->Context == NULL);
    is_ptr(nbl->NdisPoolHandle, plain);
    is_ptr(NdisGetPoolFromNetBufferList(nbl), plain);
    NdisFreeNetBufferList(nbl);

    nbl = NdisAllocateNetBufferList(with, 16, 16);
    ok(nbl && nbl->FirstNetBuffer && nbl->FirstNetBuffer->Next == NULL && nbl->Context);
    ok(((ULONG_PTR)NET_BUFFER_LIST_CONTEXT_DATA_START(nbl) & 7) == 0);
    memset(NET_BUFFER_LIST_CONTEXT_DATA_START(nbl), 0x5a, 16);
    NdisFreeNetBufferListContext(nbl, 16);
    NdisFreeNetBufferList(nbl);

    nbl = NdisAllocateNetBufferList(data, 0, 0);
    PNET_BUFFER nb = nbl->FirstNetBuffer;
    ok(nb && nb->MdlChain && MmGetMdlByteCount(nb->MdlChain) == 200);
    is_int(nb->DataOffset, 200, "all of it is before the data at first");
    is_int(nb->DataLength, 0);
    is_status(NdisRetreatNetBufferDataStart(nb, 60, 0, NULL), NDIS_STATUS_SUCCESS);
    is_int(nb->DataLength, 60);
    is_int(nb->DataOffset, 140);
    check_current(nb);
    memset(NdisGetDataBuffer(nb, 60, NULL, 1, 0), 1, 60);
    NdisFreeNetBufferList(nbl);

    struct chain chain = chain_new(300);
    nbl = NdisAllocateNetBufferAndNetBufferList(with, 0, 0, chain.mdl, 7, 200);
    is_int(nbl->FirstNetBuffer->DataOffset, 7);
    is_int(nbl->FirstNetBuffer->DataLength, 200);
    check_current(nbl->FirstNetBuffer);
    NdisFreeNetBufferList(nbl);

    nb = NdisAllocateNetBuffer(buffers, chain.mdl, 299, 1);
    check_current(nb);
    is_ptr(NdisGetPoolFromNetBuffer(nb), buffers);
    NdisFreeNetBuffer(nb);
    chain_free(&chain);
    nb = NdisAllocateNetBufferMdlAndData(sized);
    ok(nb && MmGetMdlByteCount(nb->MdlChain) == 100);
    NdisFreeNetBuffer(nb);

    NdisFreeNetBufferPool(sized);
    NdisFreeNetBufferPool(buffers);
    NdisFreeNetBufferListPool(data);
    NdisFreeNetBufferListPool(with);
    NdisFreeNetBufferListPool(plain);
    stop();
}

NT_TEST(data_starts_move_back_and_forth)
{
    start(tap_seed());
    NDIS_HANDLE pool = buffer_pool(0);
    for (unsigned round = 0; round < 400 && !tap_failing(); round++) {
        struct chain chain = chain_new(1 + sched_choose(300));
        ULONG offset = sched_choose(chain.total), length = 1 + sched_choose(chain.total - offset);
        PNET_BUFFER nb = NdisAllocateNetBuffer(pool, chain.mdl, offset, length);
        UCHAR model[4096];
        UCHAR *begin = model + 2048; /* the data of the model begins here */
        memcpy(begin, chain.bytes + offset, length);
        ULONG put = 0;
        for (unsigned step = 0; step < 12; step++) {
            if (sched_choose(2)) {
                ULONG delta = 1 + sched_choose(40);
                is_status(NdisRetreatNetBufferDataStart(nb, delta, sched_choose(3) * 16, NULL),
                          NDIS_STATUS_SUCCESS);
                begin -= delta;
                length += delta;
                put += delta;
                for (ULONG i = 0; i < delta; i++) { /* writes what it has got */
                    ULONG at = nb->CurrentMdlOffset + i;
                    PMDL mdl = nb->CurrentMdl;
                    while (at >= mdl->ByteCount) {
                        at -= mdl->ByteCount;
                        mdl = mdl->Next;
                    }
                    ((UCHAR *)mdl->MappedSystemVa)[at] = begin[i] = (UCHAR)(step + i);
                }
            } else if (put) {
                ULONG delta = 1 + sched_choose(put);
                NdisAdvanceNetBufferDataStart(nb, delta, TRUE, NULL);
                begin += delta;
                length -= delta;
                put -= delta;
            }
            is_int(nb->DataLength, length, "round %u", round);
            check_current(nb);
            UCHAR *data = flat(nb);
            is_mem(data, begin, length, "round %u, step %u", round, step);
            free(data);
        }
        if (put)
            NdisAdvanceNetBufferDataStart(nb, put, TRUE, NULL);
        is_ptr(nb->MdlChain, chain.mdl, "as it was");
        NdisFreeNetBuffer(nb);
        chain_free(&chain);
    }
    NdisFreeNetBufferPool(pool);
    stop();
}

NT_TEST(data_is_read_and_copied)
{
    start(tap_seed());
    NDIS_HANDLE pool = buffer_pool(0);
    for (unsigned round = 0; round < 600 && !tap_failing(); round++) {
        struct chain a = chain_new(2 + sched_choose(200)), b = chain_new(2 + sched_choose(200));
        ULONG oa = sched_choose(a.total), ob = sched_choose(b.total);
        PNET_BUFFER na = NdisAllocateNetBuffer(pool, a.mdl, oa, a.total - oa);
        PNET_BUFFER nb = NdisAllocateNetBuffer(pool, b.mdl, ob, b.total - ob);
        ULONG want = 1 + sched_choose(na->DataLength);
        UCHAR storage[256];
        PUCHAR data = NdisGetDataBuffer(na, want, storage, 1, 0);
        ok(data && !memcmp(data, a.bytes + oa, want), "%u bytes", want);
        if (data != storage)
            is_ptr(data, (PUCHAR)MmGetMdlVirtualAddress(na->CurrentMdl) + na->CurrentMdlOffset,
                   "where they are");
        else
            is_ptr(NdisGetDataBuffer(na, want, NULL, 1, 0), NULL, "not contiguous");
        is_ptr(NdisGetDataBuffer(na, na->DataLength + 1, storage, 1, 0), NULL, "too many");
        UINT align = 1u << sched_choose(4);
        _Alignas(16) UCHAR aligned[256];
        data = NdisGetDataBuffer(na, want, aligned, align, 0);
        ok(data && ((ULONG_PTR)data & (align - 1)) == 0 && !memcmp(data, a.bytes + oa, want),
           "aligned to %u", align);

        ULONG from = sched_choose(na->DataLength), to = sched_choose(nb->DataLength);
        ULONG bytes = sched_choose(250), copied = 77;
        ULONG expected = bytes;
        if (expected > na->DataLength - from)
            expected = na->DataLength - from;
        if (expected > nb->DataLength - to)
            expected = nb->DataLength - to;
        UCHAR model[256];
        memcpy(model, b.bytes, b.total);
        memcpy(model + ob + to, a.bytes + oa + from, expected);
        is_status(NdisCopyFromNetBufferToNetBuffer(nb, to, bytes, na, from, &copied),
                  NDIS_STATUS_SUCCESS);
        is_int(copied, expected);
        is_mem(b.bytes, model, b.total);
        NdisFreeNetBuffer(na);
        NdisFreeNetBuffer(nb);
        chain_free(&a);
        chain_free(&b);
    }
    NdisFreeNetBufferPool(pool);
    stop();
}

/* A list of `count` buffers over chains of their own. */
struct lists {
    PNET_BUFFER_LIST nbl;
    struct chain chains[4];
    unsigned count;
};

static struct lists lists_new(NDIS_HANDLE lists, NDIS_HANDLE buffers)
{
    struct lists l = {.nbl = NdisAllocateNetBufferList(lists, 0, 0), .count = 1 + sched_choose(4)};
    PNET_BUFFER *link = &l.nbl->FirstNetBuffer;
    for (unsigned i = 0; i < l.count; i++, link = &(*link)->Next) {
        l.chains[i] = chain_new(40 + sched_choose(200));
        ULONG offset = sched_choose(30);
        *link = NdisAllocateNetBuffer(buffers, l.chains[i].mdl, offset, l.chains[i].total - offset);
    }
    return l;
}

static void lists_free(struct lists *l)
{
    PNET_BUFFER nb = l->nbl->FirstNetBuffer;
    for (unsigned i = 0; i < l->count; i++) {
        PNET_BUFFER next = nb->Next;
        NdisFreeNetBuffer(nb);
        chain_free(&l->chains[i]);
        nb = next;
    }
    l->nbl->FirstNetBuffer = NULL;
    NdisFreeNetBufferList(l->nbl);
}

static void same_data(PNET_BUFFER_LIST a, PNET_BUFFER_LIST b, const char *what)
{
    PNET_BUFFER na = a->FirstNetBuffer, nb = b->FirstNetBuffer;
    for (; na && nb; na = na->Next, nb = nb->Next) {
        UCHAR *da = flat(na), *db = flat(nb);
        ok(na->DataLength == nb->DataLength && !memcmp(da, db, na->DataLength), "%s", what);
        check_current(nb);
        free(da);
        free(db);
    }
    ok(!na && !nb, "%s: as many buffers", what);
}

NT_TEST(clones_describe_the_same_data)
{
    start(tap_seed());
    NDIS_HANDLE lists = list_pool(0, FALSE, 0), with = list_pool(0, TRUE, 0),
                buffers = buffer_pool(0);
    for (unsigned round = 0; round < 300 && !tap_failing(); round++) {
        struct lists l = lists_new(lists, buffers);
        ULONG flags = sched_choose(2) ? NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS : 0;
        bool own = sched_choose(2);
        PNET_BUFFER_LIST clone =
            NdisAllocateCloneNetBufferList(l.nbl, own ? with : NULL, own ? buffers : NULL, flags);
        need(clone != NULL);
        same_data(l.nbl, clone, "a clone");
        ok((clone->FirstNetBuffer->CurrentMdl == l.nbl->FirstNetBuffer->CurrentMdl) == (flags != 0),
           "with the original's MDLs or with others");
        if (!flags) { /* a clone's space is its own */
            is_status(NdisRetreatNetBufferListDataStart(clone, 14, 0, NULL, NULL),
                      NDIS_STATUS_SUCCESS);
            NdisAdvanceNetBufferListDataStart(clone, 14, TRUE, NULL);
            same_data(l.nbl, clone, "a clone, back and forth");
        }
        NdisFreeCloneNetBufferList(clone, flags);
        lists_free(&l);
    }
    NdisFreeNetBufferPool(buffers);
    NdisFreeNetBufferListPool(with);
    NdisFreeNetBufferListPool(lists);
    stop();
}

NT_TEST(fragments_and_what_is_put_together_again)
{
    start(tap_seed());
    NDIS_HANDLE lists = list_pool(0, FALSE, 0), buffers = buffer_pool(0);
    for (unsigned round = 0; round < 300 && !tap_failing(); round++) {
        struct lists l = lists_new(lists, buffers);
        ULONG start_at = sched_choose(9), longest = 10 + sched_choose(60);
        PNET_BUFFER_LIST fragments =
            NdisAllocateFragmentNetBufferList(l.nbl, NULL, NULL, start_at, longest, 0, 0, 0);
        need(fragments != NULL);
        /* Each buffer's data from start_at on, cut into pieces. */
        PNET_BUFFER piece = fragments->FirstNetBuffer;
        for (PNET_BUFFER nb = l.nbl->FirstNetBuffer; nb; nb = nb->Next) {
            UCHAR *whole = flat(nb);
            for (ULONG at = start_at; at < nb->DataLength && piece; piece = piece->Next) {
                ULONG expected = nb->DataLength - at < longest ? nb->DataLength - at : longest;
                UCHAR *data = flat(piece);
                is_int(piece->DataLength, expected);
                is_mem(data, whole + at, expected);
                free(data);
                at += expected;
            }
            free(whole);
        }
        is_ptr(piece, NULL, "no more pieces");
        PNET_BUFFER_LIST again = NdisAllocateReassembledNetBufferList(fragments, NULL, 0, 0, 0, 0);
        need(again != NULL && again->FirstNetBuffer && !again->FirstNetBuffer->Next);
        ULONG total = 0;
        for (PNET_BUFFER nb = fragments->FirstNetBuffer; nb; nb = nb->Next)
            total += nb->DataLength;
        is_int(again->FirstNetBuffer->DataLength, total, "one buffer of all");
        UCHAR *data = flat(again->FirstNetBuffer);
        ULONG at = 0;
        for (PNET_BUFFER nb = fragments->FirstNetBuffer; nb; nb = nb->Next) {
            UCHAR *part = flat(nb);
            is_mem(data + at, part, nb->DataLength);
            at += nb->DataLength;
            free(part);
        }
        free(data);
        NdisFreeReassembledNetBufferList(again, 0, 0);
        NdisFreeFragmentNetBufferList(fragments, 0, 0);
        lists_free(&l);
    }
    NdisFreeNetBufferPool(buffers);
    NdisFreeNetBufferListPool(lists);
    stop();
}

NT_TEST(contexts_stack)
{
    start(tap_seed());
    NDIS_HANDLE pool = list_pool(16, FALSE, 0);
    PNET_BUFFER_LIST nbl = NdisAllocateNetBufferList(pool, 0, 0);
    UCHAR *data[20];
    USHORT sizes[20];
    for (unsigned round = 0; round < 50; round++) {
        unsigned depth = 1 + sched_choose(20);
        for (unsigned i = 0; i < depth; i++) {
            sizes[i] = (USHORT)(16 * (1 + sched_choose(8)));
            is_status(NdisAllocateNetBufferListContext(nbl, sizes[i],
                                                       (USHORT)(16 * sched_choose(3)), 'tseT'),
                      NDIS_STATUS_SUCCESS);
            data[i] = NET_BUFFER_LIST_CONTEXT_DATA_START(nbl);
            memset(data[i], (int)i, sizes[i]);
        }
        for (unsigned i = depth; i-- > 0;) {
            is_ptr(NET_BUFFER_LIST_CONTEXT_DATA_START(nbl), data[i]);
            ok(data[i][0] == i && data[i][sizes[i] - 1] == i, "nobody wrote to it");
            NdisFreeNetBufferListContext(nbl, sizes[i]);
        }
    }
    NdisFreeNetBufferList(nbl);
    NdisFreeNetBufferListPool(pool);
    stop();
}

/* Without the verifier, what one processor frees it gets again, and processors do not starve. */
NT_TEST(caches_of_processors)
{
    const struct nt_options options = {.scheduler = NT_DETERMINISTIC, .processors = 4};
    nt_start(&options);
    nt_enter();
    NDIS_HANDLE pool = list_pool(0, TRUE, 0);
    nt_leave();
    static PNET_BUFFER_LIST all[3000];
    for (unsigned round = 0; round < 20; round++) {
        nt_enter_dispatch(round % 4);
        for (unsigned i = 0; i < ARRAYSIZE(all); i++)
            all[i] = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, NULL, 0, 0);
        nt_leave_dispatch();
        nt_enter_dispatch((round + 1 + round / 4) % 4); /* another one gives them back */
        for (unsigned i = 0; i < ARRAYSIZE(all); i++)
            NdisFreeNetBufferList(all[i]);
        nt_leave_dispatch();
    }
    nt_enter();
    for (unsigned i = 0; i < ARRAYSIZE(all); i++)
        all[i] = NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, NULL, 0, 0);
    for (unsigned i = 1; i < ARRAYSIZE(all); i++)
        for (unsigned j = i > 50 ? i - 50 : 0; j < i; j++)
            if (all[i] == all[j])
                fail("given out twice");
    for (unsigned i = 0; i < ARRAYSIZE(all); i++)
        NdisFreeNetBufferList(all[i]);
    NdisFreeNetBufferListPool(pool);
    nt_leave();
    nt_stop();
}
