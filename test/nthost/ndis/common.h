/* What the NDIS tests share: a host with a test edge and filters, and frames. */
#pragma once
#include "tap.h"
#include <ndis.h>
#include <ndispass.h>
#include <ndisprobe.h>
#include <nthost/client.h>
#include <nthost/edge.h>
#include <nthost/filters.h>
#include <nthost/loader.h>
#include <nthost/sched.h>
#include <stdlib.h>
#include <string.h>

/* A running host with one adapter, "eth0", and no filter yet. */
struct bench {
    struct test_edge *edge;
    struct ndis_adapter *adapter;
    struct io_client *client;
    PDRIVER_OBJECT pass, probe;
    io_handle pass_device, probe_device;
};

extern const UCHAR bench_mac[6], peer_mac[6];

/* The adapter offers everything; change `config` before bench_open_with(). */
struct ndis_adapter_config bench_config(void);
void bench_open(struct bench *bench, uint64_t seed);
void bench_open_with(struct bench *bench, uint64_t seed, const struct ndis_adapter_config *config);
void bench_close(struct bench *bench);
/* Installs and loads; false if the driver refused. Both wait until NDIS has bound them. */
bool bench_load_pass(struct bench *bench);
bool bench_load_probe(struct bench *bench);
void bench_unload_pass(struct bench *bench);
void bench_unload_probe(struct bench *bench);
void bench_install_pass(void);
void bench_install_probe(enum filter_run_type run_type, const char *filter_class);

NDISPASS_COUNTERS pass_counters(struct bench *bench);
PROBE_STATE probe_state(struct bench *bench);
void probe_behave(struct bench *bench, ULONG flags);
NTSTATUS probe_command(struct bench *bench, ULONG code, const void *in, ULONG bytes);

/* Lets time pass until nothing more happens. */
void settle(void);

/* Frames; free() them. */
struct test_frame *frame_new(const void *data, ULONG bytes);
/* IPv4 or IPv6 from the peer to us (or from us), complete checksums, numbered payload. */
struct frame_spec {
    int ip;       /* 4, 6 */
    int protocol; /* 6, 17 */
    ULONG payload;
    bool from_us;
    unsigned number; /* in the payload, and the source port */
};
struct test_frame *frame_make(const struct frame_spec *spec);
/* TCP, 60 bytes of payload, number n. */
struct test_frame *frame_numbered(unsigned n, bool from_us);
bool frame_same(const struct test_frame *a, const struct test_frame *b);
/* Frames that came out, counted and freed; the first `count` of `expected` must be among them in
 * order. */
unsigned drain_wire(struct bench *bench);
unsigned drain_stack(struct bench *bench);

/* An OID request of the protocol. */
NDIS_STATUS oid_query(struct bench *bench, NDIS_OID oid, void *buffer, ULONG bytes, ULONG *written);
NDIS_STATUS oid_set(struct bench *bench, NDIS_OID oid, const void *buffer, ULONG bytes);
