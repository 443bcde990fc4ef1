/*
 * What an NBL costs: real time, verifier off, edges that do nothing. The figures are printed; the
 * ceilings only catch an order of magnitude.
 */
#include "common.h"
#include <time.h>

#define CHAIN 64

struct null_edge {
    struct ndis_adapter *adapter;
    PNET_BUFFER_LIST first;
    unsigned home;
};

static void null_send(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct null_edge *edge = context;
    (void)flags;
    ndis_lower_send_complete(edge->adapter, nbls, NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL);
}

static void null_return(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct null_edge *edge = context;
    (void)flags;
    edge->first = nbls;
    edge->home++;
}

static void nothing(void *context)
{
    (void)context;
}

static void null_receive(void *context, PNET_BUFFER_LIST nbls, ULONG count, ULONG flags)
{
    struct null_edge *edge = context;
    (void)count;
    (void)flags;
    ndis_upper_return(edge->adapter, nbls, NDIS_RETURN_FLAGS_DISPATCH_LEVEL);
}

static const struct ndis_lower_ops lower = {
    .send = null_send, .return_nbls = null_return, .pause = nothing, .restart = nothing};
static const struct ndis_upper_ops upper = {.receive = null_receive, .send_complete = null_return};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static NDIS_HANDLE pool;
static UCHAR frame_data[1514];

static PNET_BUFFER_LIST make_chain(NDIS_HANDLE source, unsigned count)
{
    PNET_BUFFER_LIST first = NULL;
    for (unsigned i = 0; i < count; i++) {
        PMDL mdl = NdisAllocateMdl(NULL, frame_data, sizeof(frame_data));
        PNET_BUFFER_LIST nbl =
            NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, mdl, 0, sizeof(frame_data));
        nbl->SourceHandle = source;
        nbl->Next = first;
        first = nbl;
    }
    return first;
}

static void free_chain(PNET_BUFFER_LIST nbl)
{
    while (nbl) {
        PNET_BUFFER_LIST next = nbl->Next;
        NdisFreeMdl(nbl->FirstNetBuffer->MdlChain);
        NdisFreeNetBufferList(nbl);
        nbl = next;
    }
}

static double measure(struct null_edge *edge, bool receive, unsigned chain, unsigned rounds)
{
    edge->first = make_chain(
        receive ? ndis_lower_handle(edge->adapter) : ndis_upper_handle(edge->adapter), chain);
    double best = 1e9;
    for (unsigned r = 0; r < 5; r++) {
        nt_enter_dispatch(0);
        uint64_t start = now_ns();
        for (unsigned i = 0; i < rounds; i++) {
            if (receive)
                ndis_lower_indicate(edge->adapter, edge->first, chain,
                                    NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
            else
                ndis_upper_send(edge->adapter, edge->first, NDIS_SEND_FLAGS_DISPATCH_LEVEL);
        }
        double each = (double)(now_ns() - start) / rounds / chain;
        nt_leave_dispatch();
        if (each < best)
            best = each;
    }
    free_chain(edge->first);
    return best;
}

static void measure_pool(void)
{
    enum { ROUNDS = 200000 };
    PMDL mdl = NdisAllocateMdl(NULL, frame_data, sizeof(frame_data));
    nt_enter_dispatch(0);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < ROUNDS; i++)
        NdisFreeNetBufferList(
            NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, mdl, 0, sizeof(frame_data)));
    uint64_t end = now_ns();
    nt_leave_dispatch();
    NdisFreeMdl(mdl);
    diag("allocate and free an NBL with its NB: %.1f ns", (double)(end - start) / ROUNDS);
    ok((end - start) / ROUNDS < 5000);

    PNDIS_RW_LOCK_EX lock = NdisAllocateRWLock(NULL);
    LOCK_STATE_EX state;
    nt_enter_dispatch(0);
    start = now_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        NdisAcquireRWLockRead(lock, &state, NDIS_RWL_AT_DISPATCH_LEVEL);
        NdisReleaseRWLock(lock, &state);
    }
    end = now_ns();
    nt_leave_dispatch();
    NdisFreeRWLock(lock);
    diag("acquire and release a read lock: %.1f ns", (double)(end - start) / ROUNDS);
    ok((end - start) / ROUNDS < 5000);
}

static void load(const char *service, PDRIVER_OBJECT *driver)
{
    char error[256] = "";
    NTSTATUS status = driver_load(service, driver_path(service), driver, error, sizeof(error));
    is_status(status, STATUS_SUCCESS, "%s", error);
    filters_settle();
}

NT_TEST(cost_of_an_nbl)
{
    struct nt_options options = {.scheduler = NT_REALTIME, .processors = 2};
    struct ndis_adapter_config config = bench_config();
    struct null_edge edge = {0};
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1},
        .fAllocateNetBuffer = TRUE,
        .PoolTag = 'tsoC',
    };
    static const char *const services[] = {NULL, "ndispass", "ndisprobe"};
    PDRIVER_OBJECT drivers[3] = {0};
    nt_start(&options);
    bench_install_pass();
    bench_install_probe(FILTER_RUN_OPTIONAL, "custom");
    pool = NdisAllocateNetBufferListPool(NULL, &parameters);
    edge.adapter = ndis_adapter_create(&config, &lower, &edge, &upper, &edge);
    ndis_adapter_start(edge.adapter);
    for (unsigned filters = 0; filters < 3; filters++) {
        if (filters)
            load(services[filters], &drivers[filters]);
        double one = measure(&edge, true, 1, 50000);
        double receive = measure(&edge, true, CHAIN, 2000);
        double send = measure(&edge, false, CHAIN, 2000);
        diag("%u filter(s): receive and return %.1f ns alone, %.1f ns in chains of %u; "
             "send and complete %.1f ns",
             filters, one, receive, CHAIN, send);
        ok(receive < 20000 && send < 20000);
    }
    measure_pool();
    for (unsigned filters = 3; filters-- > 1;)
        is_status(driver_unload(drivers[filters]), STATUS_SUCCESS);
    ndis_adapter_destroy(edge.adapter);
    NdisFreeNetBufferListPool(pool);
    nt_stop();
}
