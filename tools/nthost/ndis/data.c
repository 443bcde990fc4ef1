/*
 * The data path: sends, receives, and their way back.
 *
 * WDK: NdisFSendNetBufferLists, NdisFSendNetBufferListsComplete,
 * NdisFIndicateReceiveNetBufferLists, NdisFReturnNetBufferLists, NdisFCancelSendNetBufferLists.
 *
 * The exports are one jump each through a link of the module (stack.h). What the edges call counts
 * what is out, per virtual processor, for pause to wait on. With the verifier on, every passing of
 * an NBL goes through verify.c instead.
 */
#include "pool.h"
#include "stack.h"
#include "verify.h"
#include <stdlib.h>
#include <string.h>

/*
 * A thread in the data path of an adapter is counted in its `calls`, once, by the outermost call:
 * the edges', or that of a filter on a thread of its own. While one is under way no module goes.
 */
static struct ndis_adapter *path_enter(struct ndis_adapter *adapter)
{
    struct nt_thread *self = nt_self;
    struct ndis_adapter *before = self->ndis_adapter;
    rundown_add(&adapter->calls, 1);
    self->ndis_adapter = adapter;
    return before;
}

static void path_leave(struct ndis_adapter *adapter, struct ndis_adapter *before)
{
    nt_self->ndis_adapter = before;
    rundown_drop(&adapter->calls, 1);
}

/* In the common case an export is one jump. */
static inline bool plain_jump(const struct ndis_module *module)
{
    return __builtin_expect(nt_self->ndis_adapter == module->node.adapter && !vf_enabled, 1);
}

static struct ndis_adapter *filter_enter(struct ndis_module *module, const char *function)
{
    if (vf_enabled)
        module_of(module, function);
    struct ndis_adapter *adapter = module->node.adapter;
    return nt_self->ndis_adapter == adapter ? adapter : path_enter(adapter);
}

static void filter_leave(struct ndis_adapter *adapter, struct ndis_adapter *before)
{
    if (before != adapter)
        path_leave(adapter, before);
}

VOID NTAPI NdisFSendNetBufferLists(NDIS_HANDLE NdisFilterHandle, PNET_BUFFER_LIST NetBufferList,
                                   NDIS_PORT_NUMBER PortNumber, ULONG SendFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_cast(NdisFilterHandle);
    const struct link_send *link = &module->links.send;
    if (plain_jump(module)) {
        link->call(link->context, NetBufferList, PortNumber, SendFlags);
        return;
    }
    struct ndis_adapter *before = filter_enter(module, __func__), *adapter = module->node.adapter;
    if (vf_enabled)
        verify_send(module, NetBufferList, PortNumber, SendFlags);
    else
        link->call(link->context, NetBufferList, PortNumber, SendFlags);
    filter_leave(adapter, before);
}
NT_EXPORT(NDIS, NdisFSendNetBufferLists);

VOID NTAPI NdisFSendNetBufferListsComplete(NDIS_HANDLE NdisFilterHandle,
                                           PNET_BUFFER_LIST NetBufferList, ULONG SendCompleteFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_cast(NdisFilterHandle);
    const struct link_send_complete *link = &module->links.send_complete;
    if (plain_jump(module)) {
        link->call(link->context, NetBufferList, SendCompleteFlags);
        return;
    }
    struct ndis_adapter *before = filter_enter(module, __func__), *adapter = module->node.adapter;
    if (vf_enabled)
        verify_send_complete(module, NetBufferList, SendCompleteFlags);
    else
        link->call(link->context, NetBufferList, SendCompleteFlags);
    filter_leave(adapter, before);
}
NT_EXPORT(NDIS, NdisFSendNetBufferListsComplete);

VOID NTAPI NdisFIndicateReceiveNetBufferLists(NDIS_HANDLE NdisFilterHandle,
                                              PNET_BUFFER_LIST NetBufferLists,
                                              NDIS_PORT_NUMBER PortNumber,
                                              ULONG NumberOfNetBufferLists, ULONG ReceiveFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_cast(NdisFilterHandle);
    const struct link_receive *link = &module->links.receive;
    if (plain_jump(module)) {
        link->call(link->context, NetBufferLists, PortNumber, NumberOfNetBufferLists, ReceiveFlags);
        return;
    }
    struct ndis_adapter *before = filter_enter(module, __func__), *adapter = module->node.adapter;
    if (vf_enabled)
        verify_receive(module, NetBufferLists, PortNumber, NumberOfNetBufferLists, ReceiveFlags);
    else
        link->call(link->context, NetBufferLists, PortNumber, NumberOfNetBufferLists, ReceiveFlags);
    filter_leave(adapter, before);
}
NT_EXPORT(NDIS, NdisFIndicateReceiveNetBufferLists);

VOID NTAPI NdisFReturnNetBufferLists(NDIS_HANDLE NdisFilterHandle, PNET_BUFFER_LIST NetBufferLists,
                                     ULONG ReturnFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_cast(NdisFilterHandle);
    const struct link_return *link = &module->links.give_back;
    if (plain_jump(module)) {
        link->call(link->context, NetBufferLists, ReturnFlags);
        return;
    }
    struct ndis_adapter *before = filter_enter(module, __func__), *adapter = module->node.adapter;
    if (vf_enabled)
        verify_return(module, NetBufferLists, ReturnFlags);
    else
        link->call(link->context, NetBufferLists, ReturnFlags);
    filter_leave(adapter, before);
}
NT_EXPORT(NDIS, NdisFReturnNetBufferLists);

VOID NTAPI NdisFCancelSendNetBufferLists(NDIS_HANDLE NdisFilterHandle, PVOID CancelId)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    struct ndis_adapter *before = filter_enter(module, __func__), *adapter = module->node.adapter;
    module->links.cancel.call(module->links.cancel.context, CancelId);
    filter_leave(adapter, before);
}
NT_EXPORT(NDIS, NdisFCancelSendNetBufferLists);

/* The edges' side */

NDIS_HANDLE ndis_lower_handle(struct ndis_adapter *adapter)
{
    return &adapter->lower_node;
}

NDIS_HANDLE ndis_upper_handle(struct ndis_adapter *adapter)
{
    return &adapter->upper_node;
}

static unsigned count_nbls(PNET_BUFFER_LIST nbls)
{
    unsigned count = 0;
    for (; nbls; nbls = NET_BUFFER_LIST_NEXT_NBL(nbls))
        count++;
    return count;
}

static void tally(ULONG64 *counter, ULONG64 more, bool shared)
{
    if (shared)
        __atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
    else
        __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + more,
                         __ATOMIC_RELAXED);
}

/* A processor's line is written at DISPATCH_LEVEL only: it has one writer. What threads at
 * PASSIVE_LEVEL count goes to a line of their own. */
static struct adapter_counters *counters(struct ndis_adapter *adapter, bool *shared)
{
    *shared = nt_self->irql < DISPATCH;
    return *shared ? &adapter->shared_counters : &adapter->counters[ndis_processor()];
}

static void count_out(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls)
{
    ULONG64 frames = 0, bytes = 0;
    for (; nbls; nbls = NET_BUFFER_LIST_NEXT_NBL(nbls)) {
        for (PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(nbls); nb; nb = NET_BUFFER_NEXT_NB(nb)) {
            frames++;
            bytes += NET_BUFFER_DATA_LENGTH(nb);
        }
    }
    bool shared;
    struct adapter_counters *c = counters(adapter, &shared);
    tally(&c->out_frames, frames, shared);
    tally(&c->out_bytes, bytes, shared);
}

static unsigned count_in(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls)
{
    unsigned count = 0;
    ULONG64 frames = 0, bytes = 0;
    for (; nbls; nbls = NET_BUFFER_LIST_NEXT_NBL(nbls)) {
        count++;
        for (PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(nbls); nb; nb = NET_BUFFER_NEXT_NB(nb)) {
            frames++;
            bytes += NET_BUFFER_DATA_LENGTH(nb);
        }
    }
    bool shared;
    struct adapter_counters *c = counters(adapter, &shared);
    tally(&c->in_frames, frames, shared);
    tally(&c->in_bytes, bytes, shared);
    return count;
}

static bool at_dispatch(void)
{
    return nt_self->irql >= DISPATCH;
}

static bool is_open(const struct ndis_adapter *adapter)
{
    return __atomic_load_n(&adapter->upper_open, __ATOMIC_RELAXED);
}

void ndis_upper_send(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG send_flags)
{
    unsigned count = count_nbls(nbls);
    struct ndis_adapter *before = path_enter(adapter);
    if (!is_open(adapter) || !rundown_take(&adapter->sends, count)) {
        for (PNET_BUFFER_LIST nbl = nbls; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
            NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_PAUSED;
        adapter->upper_ops->send_complete(adapter->upper_context, nbls,
                                          at_dispatch() ? NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL
                                                        : 0);
    } else {
        sched_point();
        if (__builtin_expect(vf_enabled, 0))
            verify_upper_send(adapter, nbls, send_flags);
        else
            adapter->upper.send.call(adapter->upper.send.context, nbls, NDIS_DEFAULT_PORT_NUMBER,
                                     send_flags);
    }
    path_leave(adapter, before);
}

VOID NTAPI ndis_top_send_complete(NDIS_HANDLE FilterModuleContext, PNET_BUFFER_LIST NetBufferList,
                                  ULONG SendCompleteFlags)
{
    struct ndis_adapter *adapter = FilterModuleContext;
    unsigned count = count_nbls(NetBufferList);
    adapter->upper_ops->send_complete(adapter->upper_context, NetBufferList, SendCompleteFlags);
    rundown_drop(&adapter->sends, count);
}

void ndis_lower_send_complete(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct ndis_adapter *before = path_enter(adapter);
    sched_point();
    if (__builtin_expect(vf_enabled, 0))
        verify_lower_send_complete(adapter, nbls, flags);
    else
        adapter->lower.send_complete.call(adapter->lower.send_complete.context, nbls, flags);
    path_leave(adapter, before);
}

void ndis_lower_indicate(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG count,
                         ULONG receive_flags)
{
    struct ndis_adapter *before = path_enter(adapter);
    unsigned counted = count_in(adapter, nbls);
    if (!(receive_flags & NDIS_RECEIVE_FLAGS_RESOURCES))
        rundown_add(&adapter->receives, counted);
    sched_point();
    if (__builtin_expect(vf_enabled, 0))
        verify_lower_indicate(adapter, nbls, count, receive_flags);
    else
        adapter->lower.receive.call(adapter->lower.receive.context, nbls, NDIS_DEFAULT_PORT_NUMBER,
                                    count, receive_flags);
    path_leave(adapter, before);
}

VOID NTAPI ndis_bottom_return(NDIS_HANDLE FilterModuleContext, PNET_BUFFER_LIST NetBufferLists,
                              ULONG ReturnFlags)
{
    struct ndis_adapter *adapter = FilterModuleContext;
    unsigned count = count_nbls(NetBufferLists);
    adapter->lower_ops->return_nbls(adapter->lower_context, NetBufferLists, ReturnFlags);
    rundown_drop(&adapter->receives, count);
}

VOID NTAPI ndis_top_receive(NDIS_HANDLE FilterModuleContext, PNET_BUFFER_LIST NetBufferLists,
                            NDIS_PORT_NUMBER PortNumber, ULONG NumberOfNetBufferLists,
                            ULONG ReceiveFlags)
{
    struct ndis_adapter *adapter = FilterModuleContext;
    (void)PortNumber;
    if (is_open(adapter))
        adapter->upper_ops->receive(adapter->upper_context, NetBufferLists, NumberOfNetBufferLists,
                                    ReceiveFlags);
    else if (!(ReceiveFlags & NDIS_RECEIVE_FLAGS_RESOURCES))
        ndis_upper_return(adapter, NetBufferLists,
                          ReceiveFlags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL
                              ? NDIS_RETURN_FLAGS_DISPATCH_LEVEL
                              : 0);
}

void ndis_upper_return(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG return_flags)
{
    struct ndis_adapter *before = path_enter(adapter);
    sched_point();
    if (__builtin_expect(vf_enabled, 0))
        verify_upper_return(adapter, nbls, return_flags);
    else
        adapter->upper.give_back.call(adapter->upper.give_back.context, nbls, return_flags);
    path_leave(adapter, before);
}

void ndis_upper_cancel_send(struct ndis_adapter *adapter, PVOID cancel_id)
{
    nt_enter();
    struct ndis_adapter *before = path_enter(adapter);
    adapter->upper.cancel.call(adapter->upper.cancel.context, cancel_id);
    path_leave(adapter, before);
    nt_leave();
}

VOID NTAPI ndis_bottom_cancel(NDIS_HANDLE FilterModuleContext, PVOID CancelId)
{
    struct ndis_adapter *adapter = FilterModuleContext;
    if (adapter->lower_ops->cancel_send)
        adapter->lower_ops->cancel_send(adapter->lower_context, CancelId);
}

VOID NTAPI ndis_bottom_send(NDIS_HANDLE FilterModuleContext, PNET_BUFFER_LIST NetBufferList,
                            NDIS_PORT_NUMBER PortNumber, ULONG SendFlags)
{
    struct ndis_adapter *adapter = FilterModuleContext;
    (void)PortNumber;
    count_out(adapter, NetBufferList);
    if (__builtin_expect(SendFlags & NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK, 0))
        loopback_indicate(adapter, NetBufferList);
    adapter->lower_ops->send(adapter->lower_context, NetBufferList,
                             SendFlags & ~(ULONG)NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK);
}
