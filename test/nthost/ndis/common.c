#include "common.h"
#include "frame.h"
#include <nthost/io.h>

const UCHAR bench_mac[6] = {0x02, 0x00, 0x5e, 0x10, 0x00, 0x01};
const UCHAR peer_mac[6] = {0x02, 0x00, 0x5e, 0x10, 0x00, 0x02};

struct ndis_adapter_config bench_config(void)
{
    struct ndis_adapter_config config = {
        .name = "eth0",
        .mtu = 1500,
        .medium = NdisMedium802_3,
        .physical = NdisPhysicalMedium802_3,
        .link_speed = 10000000000ull,
        .connected = true,
        .vlan = true,
    };
    memcpy(config.mac, bench_mac, 6);
    NDIS_OFFLOAD *o = &config.offload;
    o->Header = (NDIS_OBJECT_HEADER){NDIS_OBJECT_TYPE_OFFLOAD, NDIS_OFFLOAD_REVISION_7,
                                     NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7};
    ULONG ethernet = NDIS_ENCAPSULATION_IEEE_802_3;
    o->Checksum.IPv4Transmit.Encapsulation = o->Checksum.IPv4Receive.Encapsulation = ethernet;
    o->Checksum.IPv6Transmit.Encapsulation = o->Checksum.IPv6Receive.Encapsulation = ethernet;
    o->Checksum.IPv4Transmit.IpChecksum = o->Checksum.IPv4Receive.IpChecksum = 1;
    o->Checksum.IPv4Transmit.TcpChecksum = o->Checksum.IPv4Receive.TcpChecksum = 1;
    o->Checksum.IPv4Transmit.UdpChecksum = o->Checksum.IPv4Receive.UdpChecksum = 1;
    o->Checksum.IPv6Transmit.TcpChecksum = o->Checksum.IPv6Receive.TcpChecksum = 1;
    o->Checksum.IPv6Transmit.UdpChecksum = o->Checksum.IPv6Receive.UdpChecksum = 1;
    o->LsoV2.IPv4.Encapsulation = o->LsoV2.IPv6.Encapsulation = ethernet;
    o->LsoV2.IPv4.MaxOffLoadSize = o->LsoV2.IPv6.MaxOffLoadSize = 62000;
    o->LsoV2.IPv4.MinSegmentCount = o->LsoV2.IPv6.MinSegmentCount = 1;
    o->Rsc.IPv4.Enabled = o->Rsc.IPv6.Enabled = TRUE;
    return config;
}

static void install(const char *service, const char *unique, const char *filter_class,
                    enum filter_run_type run_type)
{
    struct filter_install filter = {
        .type = FILTER_TYPE_MODIFYING, .run_type = run_type, .order = 1};
    snprintf(filter.service, sizeof(filter.service), "%s", service);
    snprintf(filter.component, sizeof(filter.component), "nts_%s", service);
    snprintf(filter.unique_name, sizeof(filter.unique_name), "%s", unique);
    snprintf(filter.filter_class, sizeof(filter.filter_class), "%s", filter_class);
    snprintf(filter.media, sizeof(filter.media), "ethernet");
    filters_install(&filter);
}

void bench_install_probe(enum filter_run_type run_type, const char *filter_class)
{
    install("ndisprobe", "{7D2B0B9E-2F0C-4B45-8F0A-0D5F2B9C1E21}", filter_class, run_type);
}

void bench_install_pass(void)
{
    install("ndispass", "{0f4f8a5b-5d1a-4c57-9d0e-6d1e2f3a4b5c}", "compression",
            FILTER_RUN_OPTIONAL);
}

void bench_open_with(struct bench *bench, uint64_t seed, const struct ndis_adapter_config *config)
{
    memset(bench, 0, sizeof(*bench));
    tap_start(NT_DETERMINISTIC, seed);
    bench_install_pass();
    bench_install_probe(FILTER_RUN_OPTIONAL, "custom");
    bench->edge = test_edge_create(config);
    bench->adapter = test_edge_adapter(bench->edge);
    bench->client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4242);
    ndis_adapter_start(bench->adapter);
}

void bench_open(struct bench *bench, uint64_t seed)
{
    struct ndis_adapter_config config = bench_config();
    bench_open_with(bench, seed, &config);
}

static bool load(struct bench *bench, const char *service, PDRIVER_OBJECT *driver,
                 const char *device, io_handle *handle)
{
    char error[512] = "";
    NTSTATUS status = driver_load(service, driver_path(service), driver, error, sizeof(error));
    if (!NT_SUCCESS(status)) {
        diag("%s: 0x%08x %s", service, status, error);
        *driver = NULL;
        return false;
    }
    filters_settle();
    status = io_open(bench->client, device, GENERIC_READ | GENERIC_WRITE, handle);
    return is_status(status, STATUS_SUCCESS, "%s", device);
}

bool bench_load_pass(struct bench *bench)
{
    return load(bench, "ndispass", &bench->pass, "\\\\.\\NdisPass", &bench->pass_device);
}

bool bench_load_probe(struct bench *bench)
{
    return load(bench, "ndisprobe", &bench->probe, "\\\\.\\NdisProbe", &bench->probe_device);
}

static void unload(struct bench *bench, PDRIVER_OBJECT *driver, io_handle *handle)
{
    if (*handle)
        io_close(bench->client, *handle);
    if (*driver)
        is_status(driver_unload(*driver), STATUS_SUCCESS);
    *driver = NULL;
    *handle = 0;
}

void bench_unload_pass(struct bench *bench)
{
    unload(bench, &bench->pass, &bench->pass_device);
}

void bench_unload_probe(struct bench *bench)
{
    unload(bench, &bench->probe, &bench->probe_device);
}

void bench_close(struct bench *bench)
{
    test_edge_hold_sends(bench->edge, false);
    test_edge_hold_receives(bench->edge, false);
    bench_unload_probe(bench);
    bench_unload_pass(bench);
    io_client_destroy(bench->client);
    test_edge_destroy(bench->edge);
    nt_stop();
}

NDISPASS_COUNTERS pass_counters(struct bench *bench)
{
    NDISPASS_COUNTERS counters = {0};
    is_status(io_ioctl(bench->client, bench->pass_device, IOCTL_NDISPASS_GET_COUNTERS, NULL, 0,
                       &counters, sizeof(counters), NULL),
              STATUS_SUCCESS);
    return counters;
}

PROBE_STATE probe_state(struct bench *bench)
{
    PROBE_STATE state = {0};
    is_status(io_ioctl(bench->client, bench->probe_device, IOCTL_PROBE_STATE, NULL, 0, &state,
                       sizeof(state), NULL),
              STATUS_SUCCESS);
    return state;
}

NTSTATUS probe_command(struct bench *bench, ULONG code, const void *in, ULONG bytes)
{
    return io_ioctl(bench->client, bench->probe_device, code, in, bytes, NULL, 0, NULL);
}

void probe_behave(struct bench *bench, ULONG flags)
{
    is_status(probe_command(bench, IOCTL_PROBE_BEHAVE, &flags, sizeof(flags)), STATUS_SUCCESS);
}

void settle(void)
{
    sched_run_for(200 * 10000); /* 200 ms: longer than any timer of the drivers */
}

/* Frames */

struct test_frame *frame_new(const void *data, ULONG bytes)
{
    struct test_frame *frame = calloc(1, sizeof(*frame) + bytes);
    frame->bytes = bytes;
    memcpy(frame->data, data, bytes);
    return frame;
}

struct test_frame *frame_make(const struct frame_spec *spec)
{
    ULONG l3 = spec->ip == 4 ? 20 : 40, l4 = spec->protocol == 6 ? 20 : 8;
    ULONG bytes = 14 + l3 + l4 + spec->payload;
    struct test_frame *frame = calloc(1, sizeof(*frame) + bytes);
    UCHAR *d = frame->data, *ip = d + 14, *tcp = ip + l3, *payload = tcp + l4;
    frame->bytes = bytes;
    memcpy(d, spec->from_us ? peer_mac : bench_mac, 6);
    memcpy(d + 6, spec->from_us ? bench_mac : peer_mac, 6);
    frame_put16(d + 12, spec->ip == 4 ? 0x0800 : 0x86dd);
    UCHAR us = 1, peer = 2;
    if (spec->ip == 4) {
        ip[0] = 0x45;
        frame_put16(ip + 2, (uint16_t)(bytes - 14));
        frame_put16(ip + 4, (uint16_t)spec->number);
        ip[8] = 64;
        ip[9] = (UCHAR)spec->protocol;
        frame_put32(ip + 12, 0x0a000000u | (spec->from_us ? us : peer));
        frame_put32(ip + 16, 0x0a000000u | (spec->from_us ? peer : us));
        uint16_t sum = (uint16_t)~sum_fold(sum_bytes(ip, 20, 0));
        memcpy(ip + 10, &sum, 2);
    } else {
        ip[0] = 0x60;
        frame_put16(ip + 4, (uint16_t)(l4 + spec->payload));
        ip[6] = (UCHAR)spec->protocol;
        ip[7] = 64;
        ip[8] = ip[24] = 0xfd;
        ip[23] = spec->from_us ? us : peer;
        ip[39] = spec->from_us ? peer : us;
    }
    frame_put16(tcp, (uint16_t)(1024 + spec->number % 60000));
    frame_put16(tcp + 2, 80);
    if (spec->protocol == 6) {
        tcp[12] = 0x50;
        tcp[13] = 0x18;
    } else {
        frame_put16(tcp + 4, (uint16_t)(8 + spec->payload));
    }
    for (ULONG i = 0; i < spec->payload; i++)
        payload[i] = (UCHAR)(spec->number + i);
    if (spec->payload >= 4)
        frame_put32(payload, spec->number);
    struct frame_layers layers;
    if (!frame_parse(d, bytes, bytes, &layers))
        abort();
    uint64_t pseudo = frame_pseudo_sum(d, &layers, layers.l4_bytes);
    uint16_t check = (uint16_t)~sum_fold(sum_bytes(tcp, layers.l4_bytes, pseudo));
    memcpy(d + frame_checksum_offset(&layers), &check, 2);
    return frame;
}

struct test_frame *frame_numbered(unsigned n, bool from_us)
{
    struct frame_spec spec = {
        .ip = 4, .protocol = 6, .payload = 60, .from_us = from_us, .number = n};
    return frame_make(&spec);
}

bool frame_same(const struct test_frame *a, const struct test_frame *b)
{
    return a->bytes == b->bytes && !memcmp(a->data, b->data, a->bytes);
}

unsigned drain_wire(struct bench *bench)
{
    unsigned count = 0;
    struct test_frame *frame;
    for (; (frame = test_edge_take_wire(bench->edge)) != NULL; count++)
        free(frame);
    return count;
}

unsigned drain_stack(struct bench *bench)
{
    unsigned count = 0;
    struct test_frame *frame;
    for (; (frame = test_edge_take_stack(bench->edge)) != NULL; count++)
        free(frame);
    return count;
}

/* OIDs */

static NDIS_STATUS oid(struct bench *bench, NDIS_REQUEST_TYPE type, NDIS_OID oid_code, void *buffer,
                       ULONG bytes, ULONG *done)
{
    NDIS_OID_REQUEST request = {
        .Header = {NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                   NDIS_SIZEOF_OID_REQUEST_REVISION_1},
        .RequestType = type,
    };
    request.DATA.QUERY_INFORMATION.Oid = oid_code;
    request.DATA.QUERY_INFORMATION.InformationBuffer = buffer;
    request.DATA.QUERY_INFORMATION.InformationBufferLength = bytes;
    NDIS_STATUS status = ndis_upper_oid(bench->adapter, &request);
    if (done)
        *done = request.DATA.QUERY_INFORMATION.BytesWritten;
    return status;
}

NDIS_STATUS oid_query(struct bench *bench, NDIS_OID code, void *buffer, ULONG bytes, ULONG *written)
{
    return oid(bench, NdisRequestQueryInformation, code, buffer, bytes, written);
}

NDIS_STATUS oid_set(struct bench *bench, NDIS_OID code, const void *buffer, ULONG bytes)
{
    return oid(bench, NdisRequestSetInformation, code, (void *)(ULONG_PTR)buffer, bytes, NULL);
}
