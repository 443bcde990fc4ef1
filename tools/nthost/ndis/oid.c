/*
 * OID requests on their way down the stack, and their completion back to who made them.
 *
 * WDK: NdisFOidRequest, NdisFOidRequestComplete, FilterOidRequest, NdisFDirectOidRequest,
 * NdisAllocateCloneOidRequest, "Filter Module OID Requests", "Filter Module Direct OID Requests".
 *
 * A node has one request at a time; others wait in its queue and have answered NDIS_STATUS_PENDING.
 * Direct requests are not queued. Where a request comes from and who has it is noted in its
 * NdisReserved area while it is out. Both count it, until its completion has been delivered: a
 * module is not detached before.
 */
#include "stack.h"
#include <stdlib.h>
#include <string.h>

#define ROUTE_MAGIC 0x4449304fu

struct oid_route {
    ULONG magic;
    bool direct;
    struct ndis_node *source; /* gets it back */
    struct ndis_node *target; /* has it */
    LIST_ENTRY queue;
    PKEVENT done; /* the protocol waits */
    NDIS_STATUS status;
    struct track_entry *clone; /* of NdisAllocateCloneOidRequest; survives the trip */
};

static struct oid_route *route_of(PNDIS_OID_REQUEST request)
{
    _Static_assert(sizeof(struct oid_route) <= sizeof(request->NdisReserved), "");
    return (struct oid_route *)request->NdisReserved;
}

void oid_target_init(struct oid_target *target)
{
    KeInitializeSpinLock(&target->lock);
    target->busy = NULL;
    InitializeListHead(&target->queue);
    rundown_init(&target->requests);
}

static NDIS_OID oid_of(const NDIS_OID_REQUEST *request)
{
    return request->DATA.QUERY_INFORMATION.Oid;
}

static void dispatch_queued(struct ndis_node *node);

static void count(struct ndis_node *source, struct ndis_node *target, long change)
{
    if (change > 0) {
        rundown_add(&source->oids.requests, change);
        rundown_add(&target->oids.requests, change);
    } else {
        rundown_drop(&target->oids.requests, -change);
        rundown_drop(&source->oids.requests, -change);
    }
}

/* To who made the request; it is gone afterwards. */
static void deliver(PNDIS_OID_REQUEST request, NDIS_STATUS status)
{
    struct oid_route *route = route_of(request);
    struct ndis_node *source = route->source, *target = route->target;
    struct ndis_module *module = source->module;
    route->magic = 0;
    if (!module) {
        route->status = status;
        KeSetEvent(route->done, IO_NO_INCREMENT, FALSE);
    } else {
        const NDIS_FILTER_DRIVER_CHARACTERISTICS *handlers = &module->driver->handlers;
        struct vf_call call =
            vf_call_begin_of("FilterOidRequestComplete", handlers->OidRequestCompleteHandler);
        if (route->direct)
            handlers->DirectOidRequestCompleteHandler(module->context, request, status);
        else
            handlers->OidRequestCompleteHandler(module->context, request, status);
        vf_call_end(&call);
    }
    count(source, target, -1);
}

/* The target is done with its request: the next may come. */
static void release_target(struct ndis_node *node)
{
    KIRQL irql;
    KeAcquireSpinLock(&node->oids.lock, &irql);
    node->oids.busy = NULL;
    KeReleaseSpinLock(&node->oids.lock, irql);
}

/* The miniport answers at PASSIVE_LEVEL, if need be on a thread of NDIS's. */
static void run_miniport(void *context)
{
    PNDIS_OID_REQUEST request = context;
    struct ndis_node *node = route_of(request)->target;
    NDIS_STATUS status = miniport_oid(node->adapter, request);
    if (status != NDIS_STATUS_PENDING)
        ndis_lower_oid_complete(node->adapter, request, status);
}

static NDIS_STATUS call_target(struct ndis_node *node, PNDIS_OID_REQUEST request, bool direct)
{
    struct ndis_module *module = node->module;
    if (!module) {
        /* Deterministic: sometimes late, so that drivers meet both ways. */
        bool late = nt_self->irql > PASSIVE_LEVEL || (sched_is_deterministic() && sched_choose(2));
        if (!late)
            return miniport_oid(node->adapter, request);
        ndis_queue(NdisOidThread, run_miniport, request);
        return NDIS_STATUS_PENDING;
    }
    const NDIS_FILTER_DRIVER_CHARACTERISTICS *handlers = &module->driver->handlers;
    struct vf_call call = vf_call_begin_of("FilterOidRequest", handlers->OidRequestHandler);
    rundown_add(&node->oids.requests, 1); /* it may be completed before the handler returns */
    NDIS_STATUS status = direct ? handlers->DirectOidRequestHandler(module->context, request)
                                : handlers->OidRequestHandler(module->context, request);
    vf_call_end(&call);
    rundown_drop(&node->oids.requests, 1);
    return status;
}

/* NULL: the source is being attached. */
static struct ndis_node *next_below(struct ndis_adapter *adapter, const struct module_view *view,
                                    const struct ndis_node *source, bool direct)
{
    unsigned place = source->module ? view_place(view, source->module) : view->count;
    if (source->module && place == view->count) {
        if (!source->module->leaving)
            return NULL;
        place = source->module->left_place;
    }
    while (place-- > 0) {
        struct ndis_module *module = view->modules[place];
        if (direct ? module->driver->handlers.DirectOidRequestHandler
                   : module->driver->handlers.OidRequestHandler)
            return &module->node;
    }
    return &adapter->lower_node;
}

static NDIS_STATUS send_to(struct ndis_node *target, PNDIS_OID_REQUEST request, bool direct)
{
    if (direct)
        return call_target(target, request, true);
    KIRQL irql;
    KeAcquireSpinLock(&target->oids.lock, &irql);
    bool wait = target->oids.busy != NULL;
    if (wait)
        InsertTailList(&target->oids.queue, &route_of(request)->queue);
    else
        target->oids.busy = request;
    KeReleaseSpinLock(&target->oids.lock, irql);
    return wait ? NDIS_STATUS_PENDING : call_target(target, request, false);
}

NDIS_STATUS oid_send(struct ndis_adapter *adapter, struct ndis_node *source,
                     PNDIS_OID_REQUEST request, bool direct)
{
    struct oid_route *route = route_of(request);
    unsigned line;
    const struct module_view *view = stack_view(adapter, &line);
    struct ndis_node *target = next_below(adapter, view, source, direct);
    if (!target) {
        stack_unview(adapter, line);
        return NDIS_STATUS_FAILURE;
    }
    route->magic = ROUTE_MAGIC;
    route->direct = direct;
    route->source = source;
    route->target = target;
    count(source, target, 1);
    stack_unview(adapter, line);
    NDIS_STATUS status = send_to(target, request, direct);
    if (status == NDIS_STATUS_PENDING)
        return status;
    route->magic = 0;
    if (!direct) {
        release_target(target);
        dispatch_queued(target);
    }
    count(source, target, -1);
    return status;
}

/* Hands the node what has queued up, one after the other. */
static void dispatch_queued(struct ndis_node *node)
{
    for (;;) {
        PNDIS_OID_REQUEST request = NULL;
        KIRQL irql;
        KeAcquireSpinLock(&node->oids.lock, &irql);
        if (!node->oids.busy && !IsListEmpty(&node->oids.queue)) {
            struct oid_route *route =
                CONTAINING_RECORD(RemoveHeadList(&node->oids.queue), struct oid_route, queue);
            request = CONTAINING_RECORD(route, NDIS_OID_REQUEST, NdisReserved);
            node->oids.busy = request;
        }
        KeReleaseSpinLock(&node->oids.lock, irql);
        if (!request)
            return;
        NDIS_STATUS status = call_target(node, request, false);
        if (status == NDIS_STATUS_PENDING)
            return;
        release_target(node);
        deliver(request, status);
    }
}

/* Completion by the node that has it. */
static void complete(struct ndis_node *node, PNDIS_OID_REQUEST request, NDIS_STATUS status,
                     bool direct, const char *function)
{
    struct oid_route *route = route_of(request);
    bool ours = route->magic == ROUTE_MAGIC && route->target == node && route->direct == direct &&
                (direct || node->oids.busy == request);
    if (!ours || status == NDIS_STATUS_PENDING)
        vf_violation(VfOidDoubleCompletion,
                     "%s by %s: request %p is not with it, or the status 0x%x is no final one",
                     function, node->name, (void *)request, status);
    rundown_add(&node->oids.requests, 1); /* while its queue is looked at */
    if (!direct)
        release_target(node);
    deliver(request, status);
    if (!direct)
        dispatch_queued(node);
    rundown_drop(&node->oids.requests, 1);
}

/* The drivers' side */

static NDIS_STATUS request_from_filter(NDIS_HANDLE handle, PNDIS_OID_REQUEST request, bool direct,
                                       const char *function)
{
    struct ndis_module *module = module_of(handle, function);
    if (request->Header.Type != NDIS_OBJECT_TYPE_OID_REQUEST ||
        request->Header.Size < NDIS_SIZEOF_OID_REQUEST_REVISION_1)
        return NDIS_STATUS_INVALID_PARAMETER;
    if (vf_enabled) {
        if (module->state == ModuleAttaching || module->state == ModuleDetached)
            vf_violation(VfFilterState, "%s(0x%x) by %s, and it is %s", function, oid_of(request),
                         module->node.name, module_state_name(module->state));
        if (route_of(request)->magic == ROUTE_MAGIC)
            vf_violation(VfOidDoubleCompletion, "%s by %s: request %p is out already%s", function,
                         module->node.name, (void *)request,
                         route_of(request)->target == &module->node
                             ? ": a request from above is passed on by a clone"
                             : "");
        if (!(direct ? module->driver->handlers.DirectOidRequestCompleteHandler
                     : module->driver->handlers.OidRequestCompleteHandler))
            vf_violation(VfFilterState, "%s by %s, which has no FilterOidRequestComplete", function,
                         module->node.name);
    }
    return oid_send(module->node.adapter, &module->node, request, direct);
}

NDIS_STATUS NTAPI NdisFOidRequest(NDIS_HANDLE NdisFilterHandle, PNDIS_OID_REQUEST OidRequest)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    return request_from_filter(NdisFilterHandle, OidRequest, false, __func__);
}
NT_EXPORT(NDIS, NdisFOidRequest);

NDIS_STATUS NTAPI NdisFDirectOidRequest(NDIS_HANDLE NdisFilterHandle, PNDIS_OID_REQUEST OidRequest)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    return request_from_filter(NdisFilterHandle, OidRequest, true, __func__);
}
NT_EXPORT(NDIS, NdisFDirectOidRequest);

VOID NTAPI NdisFOidRequestComplete(NDIS_HANDLE NdisFilterHandle, PNDIS_OID_REQUEST OidRequest,
                                   NDIS_STATUS Status)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    complete(&module->node, OidRequest, Status, false, __func__);
}
NT_EXPORT(NDIS, NdisFOidRequestComplete);

VOID NTAPI NdisFDirectOidRequestComplete(NDIS_HANDLE NdisFilterHandle, PNDIS_OID_REQUEST OidRequest,
                                         NDIS_STATUS Status)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    complete(&module->node, OidRequest, Status, true, __func__);
}
NT_EXPORT(NDIS, NdisFDirectOidRequestComplete);

void ndis_lower_oid_complete(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request,
                             NDIS_STATUS status)
{
    complete(&adapter->lower_node, request, status, route_of(request)->direct,
             "NdisMOidRequestComplete");
}

/* Cancelling: a request that waits in a queue is completed, else who has it is told. */

static PNDIS_OID_REQUEST take_queued(struct ndis_node *target, const struct ndis_node *source,
                                     PVOID request_id)
{
    PNDIS_OID_REQUEST found = NULL;
    KIRQL irql;
    KeAcquireSpinLock(&target->oids.lock, &irql);
    for (LIST_ENTRY *e = target->oids.queue.Flink; e != &target->oids.queue; e = e->Flink) {
        struct oid_route *route = CONTAINING_RECORD(e, struct oid_route, queue);
        PNDIS_OID_REQUEST request = CONTAINING_RECORD(route, NDIS_OID_REQUEST, NdisReserved);
        if (route->source == source && request->RequestId == request_id) {
            RemoveEntryList(e);
            found = request;
            break;
        }
    }
    KeReleaseSpinLock(&target->oids.lock, irql);
    return found;
}

static void tell_cancel(struct ndis_module *module, PVOID request_id, bool direct)
{
    const NDIS_FILTER_DRIVER_CHARACTERISTICS *handlers = &module->driver->handlers;
    FILTER_CANCEL_OID_REQUEST *handler =
        direct ? handlers->CancelDirectOidRequestHandler : handlers->CancelOidRequestHandler;
    if (!handler)
        return;
    struct vf_call call = vf_call_begin_of("FilterCancelOidRequest", handler);
    handler(module->context, request_id);
    vf_call_end(&call);
}

static void cancel(struct ndis_adapter *adapter, const struct ndis_node *source, PVOID request_id,
                   bool direct)
{
    unsigned line;
    const struct module_view *view = stack_view(adapter, &line);
    struct ndis_node *target = next_below(adapter, view, source, direct);
    PNDIS_OID_REQUEST queued = target && !direct ? take_queued(target, source, request_id) : NULL;
    if (queued)
        deliver(queued, NDIS_STATUS_REQUEST_ABORTED);
    else if (target && target->module)
        tell_cancel(target->module, request_id, direct);
    stack_unview(adapter, line);
}

VOID NTAPI NdisFCancelOidRequest(NDIS_HANDLE NdisFilterHandle, PVOID RequestId)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    cancel(module->node.adapter, &module->node, RequestId, false);
}
NT_EXPORT(NDIS, NdisFCancelOidRequest);

VOID NTAPI NdisFCancelDirectOidRequest(NDIS_HANDLE NdisFilterHandle, PVOID RequestId)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    cancel(module->node.adapter, &module->node, RequestId, true);
}
NT_EXPORT(NDIS, NdisFCancelDirectOidRequest);

void ndis_upper_cancel_oid(struct ndis_adapter *adapter, PVOID request_id)
{
    nt_enter();
    cancel(adapter, &adapter->upper_node, request_id, false);
    nt_leave();
}

static NDIS_STATUS request_from_protocol(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request,
                                         bool direct)
{
    KEVENT done;
    nt_enter();
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    memset(request->NdisReserved, 0, sizeof(request->NdisReserved));
    route_of(request)->done = &done;
    NDIS_STATUS status = oid_send(adapter, &adapter->upper_node, request, direct);
    if (status == NDIS_STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        status = route_of(request)->status;
    }
    nt_leave();
    return status;
}

NDIS_STATUS ndis_upper_oid(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    return request_from_protocol(adapter, request, false);
}

NDIS_STATUS ndis_upper_direct_oid(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    return request_from_protocol(adapter, request, true);
}

/* Clones */

NDIS_STATUS NTAPI NdisAllocateCloneOidRequest(NDIS_HANDLE SourceHandle,
                                              PNDIS_OID_REQUEST OidRequest, UINT PoolTag,
                                              PNDIS_OID_REQUEST *ClonedOidRequest)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)PoolTag;
    *ClonedOidRequest = NULL;
    module_of(SourceHandle, __func__);
    PNDIS_OID_REQUEST clone = vf_fault(VfFaultNdis) ? NULL : malloc(sizeof(*clone));
    if (!clone)
        return NDIS_STATUS_RESOURCES;
    ULONG bytes =
        OidRequest->Header.Size < sizeof(*clone) ? OidRequest->Header.Size : (ULONG)sizeof(*clone);
    memset(clone, 0, sizeof(*clone));
    memcpy(clone, OidRequest, bytes);
    memset(clone->NdisReserved, 0, sizeof(clone->NdisReserved));
    memset(clone->SourceReserved, 0, sizeof(clone->SourceReserved));
    memset(clone->MiniportReserved, 0, sizeof(clone->MiniportReserved));
    route_of(clone)->clone = track_add(TrackClonedOid, clone, __builtin_return_address(0));
    *ClonedOidRequest = clone;
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisAllocateCloneOidRequest);

VOID NTAPI NdisFreeCloneOidRequest(NDIS_HANDLE SourceHandle, PNDIS_OID_REQUEST Request)
{
    VF_ENTRY(DISPATCH_LEVEL);
    module_of(SourceHandle, __func__);
    if (vf_enabled && route_of(Request)->magic == ROUTE_MAGIC)
        vf_violation(VfOidDoubleCompletion, "NdisFreeCloneOidRequest: request %p is out",
                     (void *)Request);
    track_remove(route_of(Request)->clone);
    free(Request);
}
NT_EXPORT(NDIS, NdisFreeCloneOidRequest);
