/*
 * Synchronous OID requests: every filter previews one on its way down, and sees its end on the way
 * up, in one call that waits for nothing. WDK: NdisFSynchronousOidRequest,
 * FilterSynchronousOidRequest, FilterSynchronousOidRequestComplete.
 *
 * The OIDs of this path are those of receive-side scaling, which no adapter here has: the miniport
 * supports none.
 */
#include "stack.h"

static NDIS_STATUS preview(struct ndis_module *module, PNDIS_OID_REQUEST request, PVOID *context)
{
    FILTER_SYNCHRONOUS_OID_REQUEST *handler = module->driver->handlers.SynchronousOidRequestHandler;
    if (!handler)
        return NDIS_STATUS_SUCCESS;
    struct vf_call call = vf_call_begin_of("FilterSynchronousOidRequest", handler);
    NDIS_STATUS status = handler(module->context, request, context);
    vf_call_end(&call);
    if (vf_enabled && status == NDIS_STATUS_PENDING)
        vf_violation(VfFilterState,
                     "FilterSynchronousOidRequest of %s returned NDIS_STATUS_PENDING",
                     module->node.name);
    return status;
}

static void review(struct ndis_module *module, PNDIS_OID_REQUEST request, NDIS_STATUS *status,
                   PVOID context)
{
    FILTER_SYNCHRONOUS_OID_REQUEST_COMPLETE *handler =
        module->driver->handlers.SynchronousOidRequestCompleteHandler;
    if (!handler)
        return;
    struct vf_call call = vf_call_begin_of("FilterSynchronousOidRequestComplete", handler);
    handler(module->context, request, status, context);
    vf_call_end(&call);
}

/* Through the first `count` modules of the view, the highest first. */
static NDIS_STATUS run(const struct module_view *view, unsigned count, PNDIS_OID_REQUEST request)
{
    PVOID contexts[MAX_MODULES] = {NULL};
    NDIS_STATUS status = NDIS_STATUS_SUCCESS;
    unsigned at = count;
    while (at > 0 && status == NDIS_STATUS_SUCCESS) {
        at--;
        status = preview(view->modules[at], request, &contexts[at]);
    }
    if (status == NDIS_STATUS_SUCCESS)
        status = NDIS_STATUS_NOT_SUPPORTED; /* the miniport */
    else
        at++; /* who has answered does not see the end */
    if (status == NDIS_STATUS_ALREADY_COMPLETE)
        status = NDIS_STATUS_SUCCESS;
    for (; at < count; at++)
        review(view->modules[at], request, &status, contexts[at]);
    return status;
}

NDIS_STATUS NTAPI NdisFSynchronousOidRequest(NDIS_HANDLE NdisFilterHandle,
                                             PNDIS_OID_REQUEST OidRequest)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    struct ndis_adapter *adapter = module->node.adapter;
    unsigned line;
    const struct module_view *view = stack_view(adapter, &line);
    unsigned place = view_place(view, module);
    NDIS_STATUS status = place < view->count ? run(view, place, OidRequest) : NDIS_STATUS_FAILURE;
    stack_unview(adapter, line);
    return status;
}
NT_EXPORT(NDIS, NdisFSynchronousOidRequest);

NDIS_STATUS ndis_upper_synchronous_oid(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    unsigned line;
    nt_enter();
    const struct module_view *view = stack_view(adapter, &line);
    NDIS_STATUS status = run(view, view->count, request);
    stack_unview(adapter, line);
    nt_leave();
    return status;
}
