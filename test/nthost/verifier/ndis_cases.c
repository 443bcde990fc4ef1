/* NDIS's rules: filters on a test edge, with frames both ways, an OID request, a status, a pause.
 */
#include "cases.h"
#include <nthost/edge.h>
#include <nthost/filters.h>
#include <nthost/sched.h>
#include <stdlib.h>
#include <string.h>

static struct test_edge *edge;

static struct ndis_adapter_config adapter_config(void)
{
    struct ndis_adapter_config config = {
        .name = "eth0",
        .mac = {2, 0, 0, 0, 0, 1},
        .mtu = 1500,
        .medium = NdisMedium802_3,
        .physical = NdisPhysicalMedium802_3,
        .link_speed = 1000000000,
        .connected = true,
    };
    NDIS_OFFLOAD *o = &config.offload;
    o->Header.Type = NDIS_OBJECT_TYPE_OFFLOAD;
    o->Header.Revision = NDIS_OFFLOAD_REVISION_7;
    o->Header.Size = NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7;
    /* TCP's checksum over IPv4, large sends: no IP header checksum, nothing of IPv6 */
    o->Checksum.IPv4Transmit.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3;
    o->Checksum.IPv4Transmit.TcpChecksum = 1;
    o->LsoV2.IPv4.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3;
    o->LsoV2.IPv4.MaxOffLoadSize = 62000;
    o->LsoV2.IPv4.MinSegmentCount = 2;
    return config;
}

static void open_edge(void)
{
    struct filter_install filter = {
        .service = "ndisbad",
        .component = "nts_ndisbad",
        .unique_name = "{5A6F3D4E-0B1C-4D2E-8F90-A1B2C3D4E5F6}",
        .filter_class = "compression",
        .media = "ethernet",
        .type = FILTER_TYPE_MODIFYING,
        .run_type = FILTER_RUN_OPTIONAL,
    };
    struct ndis_adapter_config config = adapter_config();
    filters_install(&filter);
    edge = test_edge_create(&config);
    ndis_adapter_start(test_edge_adapter(edge));
}

static void close_edge(void)
{
    test_edge_destroy(edge);
    sched_run_for(10000000);
}

/* A broadcast of 64 bytes of an unknown type, with a checksum that a receiver has found good. */
static struct test_frame *make_frame(void)
{
    struct test_frame *frame = calloc(1, sizeof(*frame) + 64);
    frame->bytes = 64;
    memset(frame->data, 0xff, 6);
    frame->data[11] = 2;
    frame->data[12] = 0x88;
    frame->data[13] = 0xb5;
    return frame;
}

static void use_filter(PDRIVER_OBJECT driver)
{
    (void)driver;
    struct ndis_adapter *adapter = test_edge_adapter(edge);
    struct test_frame *frame = make_frame();
    const struct test_frame *const frames[] = {frame, frame, frame};
    filters_settle();
    for (unsigned i = 0; i < 12; i++) {
        frame->checksum_flags = 0x28; /* TcpChecksumSucceeded, IpChecksumSucceeded */
        test_edge_wire(edge, frames, 3);
        frame->checksum_flags = 0;
        test_edge_stack(edge, frames, 3);
    }
    sched_run_for(1000000);

    UCHAR address[6];
    NDIS_OID_REQUEST request = {
        .Header = {NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                   NDIS_SIZEOF_OID_REQUEST_REVISION_1},
        .RequestType = NdisRequestQueryInformation,
    };
    request.DATA.QUERY_INFORMATION.Oid = OID_802_3_CURRENT_ADDRESS;
    request.DATA.QUERY_INFORMATION.InformationBuffer = address;
    request.DATA.QUERY_INFORMATION.InformationBufferLength = sizeof(address);
    ndis_upper_oid(adapter, &request);

    test_edge_hold_sends(edge, true); /* what a filter sends in reply stays out for a while */
    ndis_lower_link(adapter, true);
    sched_run_for(1000000);
    test_edge_hold_sends(edge, false);
    sched_run_for(1000000);

    /* The same, and pause at once. */
    test_edge_hold_sends(edge, true);
    ndis_lower_link(adapter, true);
    struct nt_thread *pause =
        nt_spawn("pause", (void (*)(void *))(uintptr_t)ndis_adapter_pause, adapter);
    sched_run_for(1000000);
    test_edge_hold_sends(edge, false);
    sched_run_for(1000000);
    nt_join(pause);
    ndis_adapter_restart(adapter);
    free(frame);
}

#define NDIS_CASE(rule, name)                                                                      \
    VF_CASE(rule, name, .before = open_edge, .exercise = use_filter, .after = close_edge)

NDIS_CASE(NblLeak, NblLeak);
NDIS_CASE(NblDoubleCompletion, NblDoubleCompletion);
NDIS_CASE(NblDoubleCompletion, NblDoubleCompletion_return);
NDIS_CASE(NblTouchedAfterSend, NblTouchedAfterSend);
NDIS_CASE(NblTouchedAfterSend, NblTouchedAfterSend_descriptor);
NDIS_CASE(NblTouchedAfterSend, NblTouchedAfterSend_freed);
NDIS_CASE(NblNotOurs, NblNotOurs);
NDIS_CASE(NblNotOurs, NblNotOurs_lent);
NDIS_CASE(NblNotOurs, NblNotOurs_flag);
NDIS_CASE(NblNotOurs, NblNotOurs_source);
NDIS_CASE(NblMalformed, NblMalformed);
NDIS_CASE(NblMalformed, NblMalformed_length);
NDIS_CASE(NblMalformed, NblMalformed_context);
NDIS_CASE(NblMalformed, NblMalformed_retreat);
NDIS_CASE(NblMalformed, NblMalformed_chain);
NDIS_CASE(NblMalformed, NblMalformed_metadata);
NDIS_CASE(NblMalformed, NblMalformed_pseudo);
NDIS_CASE(SendWhilePaused, SendWhilePaused);
NDIS_CASE(OffloadNotOffered, OffloadNotOffered);
NDIS_CASE(OffloadNotOffered, OffloadNotOffered_lso);
NDIS_CASE(OffloadNotOffered, OffloadNotOffered_checksum);
NDIS_CASE(OidLeak, OidLeak);
NDIS_CASE(OidDoubleCompletion, OidDoubleCompletion);
NDIS_CASE(OidDoubleCompletion, OidDoubleCompletion_original);
NDIS_CASE(StatusMalformed, StatusMalformed);
NDIS_CASE(FilterState, FilterState);
NDIS_CASE(FilterState, FilterState_attributes);
NDIS_CASE(FilterState, FilterState_oid);
NDIS_CASE(FilterState, FilterState_pause);
NDIS_CASE(NdisLeak, NdisLeak);
NDIS_CASE(NdisLeak, NdisLeak_timer);
NDIS_CASE(NdisLeak, NdisLeak_workitem);
NDIS_CASE(NdisLeak, NdisLeak_rwlock);
NDIS_CASE(NdisLeak, NdisLeak_mdl);
NDIS_CASE(NdisLeak, NdisLeak_registration);
NDIS_CASE(MdlMisuse, MdlMisuse_ndis);
