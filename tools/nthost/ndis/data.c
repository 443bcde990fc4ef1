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

VOID NTAPI NdisFSendNetBufferLists(NDIS_HANDLE NdisFilterHandle, PNET_BUFFER_LIST NetBufferList,
                                   NDIS_PORT_NUMBER PortNumber, ULONG SendFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_cast(NdisFilterHandle);
    if (__builtin_expect(vf_enabled, 0)) {
        verify_send(module_of(module, __func__), NetBufferList, PortNumber, SendFlags);
        return;
    }
    module->links.send.call(module->links.send.context, NetBufferList, PortNumber, SendFlags);
}
NT_EXPORT(NDIS, NdisFSendNetBufferLists);

VOID NTAPI NdisFSendNetBufferListsComplete(NDIS_HANDLE NdisFilterHandle,
                                           PNET_BUFFER_LIST NetBufferList, ULONG SendCompleteFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_cast(NdisFilterHandle);
    if (__builtin_expect(vf_enabled, 0)) {
        verify_send_complete(module_of(module, __func__), NetBufferList, SendCompleteFlags);
        return;
    }
    module->links.send_complete.call(module->links.send_complete.context, NetBufferList,
                                     SendCompleteFlags);
}
NT_EXPORT(NDIS, NdisFSendNetBufferListsComplete);

VOID NTAPI NdisFIndicateReceiveNetBufferLists(NDIS_HANDLE NdisFilterHandle,
                                              PNET_BUFFER_LIST NetBufferLists,
                                              NDIS_PORT_NUMBER PortNumber,
                                              ULONG NumberOfNetBufferLists, ULONG ReceiveFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_cast(NdisFilterHandle);
    if (__builtin_expect(vf_enabled, 0)) {
        verify_receive(module_of(module, __func__), NetBufferLists, PortNumber,
                       NumberOfNetBufferLists, ReceiveFlags);
        return;
    }
    module->links.receive.call(module->links.receive.context, NetBufferLists, PortNumber,
                               NumberOfNetBufferLists, ReceiveFlags);
}
NT_EXPORT(NDIS, NdisFIndicateReceiveNetBufferLists);

VOID NTAPI NdisFReturnNetBufferLists(NDIS_HANDLE NdisFilterHandle, PNET_BUFFER_LIST NetBufferLists,
                                     ULONG ReturnFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_cast(NdisFilterHandle);
    if (__builtin_expect(vf_enabled, 0)) {
        verify_return(module_of(module, __func__), NetBufferLists, ReturnFlags);
        return;
    }
    module->links.give_back.call(module->links.give_back.context, NetBufferLists, ReturnFlags);
}
NT_EXPORT(NDIS, NdisFReturnNetBufferLists);

VOID NTAPI NdisFCancelSendNetBufferLists(NDIS_HANDLE NdisFilterHandle, PVOID CancelId)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    module->links.cancel.call(module->links.cancel.context, CancelId);
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

static struct adapter_counters *counters(struct ndis_adapter *adapter)
{
    return &adapter->counters[ndis_processor()];
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
    struct adapter_counters *c = counters(adapter);
    c->out_frames += frames;
    c->out_bytes += bytes;
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
    struct adapter_counters *c = counters(adapter);
    c->in_frames += frames;
    c->in_bytes += bytes;
    return count;
}

static bool at_dispatch(void)
{
    return nt_self->irql >= DISPATCH;
}

void ndis_upper_send(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG send_flags)
{
    unsigned count = count_nbls(nbls);
    rundown_add(&adapter->calls, 1);
    if (!adapter->upper_open || !rundown_take(&adapter->sends, count)) {
        for (PNET_BUFFER_LIST nbl = nbls; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
            NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_PAUSED;
        adapter->upper_ops->send_complete(
            adapter->upper_context, nbls,
            at_dispatch() ? NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL : 0);
    } else {
        sched_point();
        if (__builtin_expect(vf_enabled, 0))
            verify_upper_send(adapter, nbls, send_flags);
        else
            adapter->upper.send.call(adapter->upper.send.context, nbls, NDIS_DEFAULT_PORT_NUMBER,
                                     send_flags);
    }
    rundown_drop(&adapter->calls, 1);
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
    rundown_add(&adapter->calls, 1);
    sched_point();
    if (__builtin_expect(vf_enabled, 0))
        verify_lower_send_complete(adapter, nbls, flags);
    else
        adapter->lower.send_complete.call(adapter->lower.send_complete.context, nbls, flags);
    rundown_drop(&adapter->calls, 1);
}

void ndis_lower_indicate(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG count,
                         ULONG receive_flags)
{
    rundown_add(&adapter->calls, 1);
    unsigned counted = count_in(adapter, nbls);
    if (!(receive_flags & NDIS_RECEIVE_FLAGS_RESOURCES))
        rundown_add(&adapter->receives, counted);
    sched_point();
    if (__builtin_expect(vf_enabled, 0))
        verify_lower_indicate(adapter, nbls, count, receive_flags);
    else
        adapter->lower.receive.call(adapter->lower.receive.context, nbls, NDIS_DEFAULT_PORT_NUMBER,
                                    count, receive_flags);
    rundown_drop(&adapter->calls, 1);
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
    if (adapter->upper_open)
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
    rundown_add(&adapter->calls, 1);
    sched_point();
    if (__builtin_expect(vf_enabled, 0))
        verify_upper_return(adapter, nbls, return_flags);
    else
        adapter->upper.give_back.call(adapter->upper.give_back.context, nbls, return_flags);
    rundown_drop(&adapter->calls, 1);
}

void ndis_upper_cancel_send(struct ndis_adapter *adapter, PVOID cancel_id)
{
    nt_enter();
    rundown_add(&adapter->calls, 1);
    adapter->upper.cancel.call(adapter->upper.cancel.context, cancel_id);
    rundown_drop(&adapter->calls, 1);
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
