/*
 * Every allocation of the two test drivers fails once, on each stack that leads to it: no driver
 * leaks, crashes or hangs, what it cannot do it says, and the stack goes on without it.
 */
#include "common.h"
#include <nthost/verifier.h>

struct sweep {
    ULONG flags;
    bool pass, probe;
};

static void exercise(struct bench *bench)
{
    for (unsigned n = 0; n < 4; n++) {
        struct test_frame *in = frame_numbered(n, false), *out = frame_numbered(n, true);
        const struct test_frame *one = in;
        test_edge_wire(bench->edge, &one, 1);
        one = out;
        test_edge_stack(bench->edge, &one, 1);
        free(in);
        free(out);
    }
    settle();
    drain_wire(bench);
    drain_stack(bench);
    UCHAR mac[6];
    NDIS_STATUS status = oid_query(bench, OID_802_3_CURRENT_ADDRESS, mac, 6, NULL);
    ok(status == NDIS_STATUS_SUCCESS || status == NDIS_STATUS_RESOURCES, "0x%08x",
       (unsigned)status);
    if (bench->probe) {
        struct test_frame *frame = frame_numbered(9, true);
        probe_command(bench, IOCTL_PROBE_SEND, frame->data, frame->bytes);
        probe_command(bench, IOCTL_PROBE_INDICATE, frame->data, frame->bytes);
        ULONG oid = OID_802_3_PERMANENT_ADDRESS;
        probe_command(bench, IOCTL_PROBE_OID, &oid, 4);
        free(frame);
    }
    ndis_lower_link(bench->adapter, false);
    ndis_lower_mtu(bench->adapter, 1400);
    settle();
}

/* Like bench_load_*, without a word about a failure. */
static void load_quietly(struct bench *bench, const char *service, PDRIVER_OBJECT *driver,
                         const char *device, io_handle *handle)
{
    char error[512];
    if (!NT_SUCCESS(driver_load(service, driver_path(service), driver, error, sizeof(error)))) {
        *driver = NULL;
        return;
    }
    filters_settle();
    if (!NT_SUCCESS(io_open(bench->client, device, GENERIC_READ | GENERIC_WRITE, handle)))
        *handle = 0;
}

static void sweep(void *argument)
{
    const struct sweep *s = argument;
    unsigned rounds = 0;
    bool more;
    vf_fault_sweep_begin(false);
    do {
        struct bench bench;
        bench_open(&bench, tap_seed());
        vf_fault_round_begin();
        if (s->pass)
            load_quietly(&bench, "ndispass", &bench.pass, "\\\\.\\NdisPass", &bench.pass_device);
        if (s->probe)
            load_quietly(&bench, "ndisprobe", &bench.probe, "\\\\.\\NdisProbe",
                         &bench.probe_device);
        if (bench.probe_device) {
            ULONG flags = s->flags;
            probe_command(&bench, IOCTL_PROBE_BEHAVE, &flags, sizeof(flags));
        }
        exercise(&bench);
        is_int(test_edge_outstanding(bench.edge), 0);
        bench_close(&bench);
        more = vf_fault_round_end();
        rounds++;
    } while (more && rounds < 1000 && !tap_failing());
    ok(!more);
    diag("%s: %zu stacks failed in %u rounds", s->pass ? "ndispass" : "ndisprobe",
         vf_fault_stacks(), rounds);
    ok(vf_fault_stacks() > 5);
}

NT_TEST(faults_in_ndispass)
{
    struct sweep s = {.pass = true};
    sweep(&s);
}

NT_TEST(faults_in_ndisprobe)
{
    static const ULONG flags[] = {0, PROBE_COPY_SENDS | PROBE_CLONE_RECEIVES, PROBE_ENCAPSULATE,
                                  PROBE_ASYNC_OIDS | PROBE_ASYNC_PAUSE};
    for (unsigned i = 0; i < ARRAYSIZE(flags) && !tap_failing(); i++) {
        struct sweep s = {.probe = true, .flags = flags[i]};
        sweep(&s);
    }
}
