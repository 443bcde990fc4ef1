/*
 * The adapters of the host as JSON, for clients (WIRE_ADAPTERS). See edge.h. Without the PnP lock:
 * who asks why a pause takes so long must get an answer. The list of adapters holds still under
 * ndis_lock, the modules of each through a view.
 */
#include "stack.h"
#include <stdio.h>

static const char *state_name(const struct ndis_adapter *adapter)
{
    if (adapter->failed)
        return "failed";
    return adapter->state == AdapterRunning  ? "running"
           : adapter->state == AdapterPaused ? "paused"
                                             : "halted";
}

static void print_string(FILE *json, const char *text)
{
    fputc('"', json);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', json);
        if ((unsigned char)*text < 0x20)
            fprintf(json, "\\u%04x", *text);
        else
            fputc(*text, json);
    }
    fputc('"', json);
}

static void print_filters(FILE *json, struct ndis_adapter *adapter)
{
    unsigned line;
    const struct module_view *view = stack_view(adapter, &line);
    fprintf(json, "\"filters\":[");
    for (unsigned i = view->count; i-- > 0;) {
        const struct ndis_module *module = view->modules[i];
        fprintf(json, "{\"service\":");
        print_string(json, module->install.service);
        fprintf(json, ",\"class\":");
        print_string(json, module->install.filter_class);
        fprintf(json, ",\"state\":\"%s\"}%s", module_state_name(module->state), i ? "," : "");
    }
    fprintf(json, "],");
    stack_unview(adapter, line);
}

static const char *boolean(ULONG value)
{
    return value ? "true" : "false";
}

static void print_offloads(FILE *json, const NDIS_OFFLOAD *o)
{
    const NDIS_TCP_IP_CHECKSUM_OFFLOAD *c = &o->Checksum;
    fprintf(json,
            "\"offloads\":{\"transmitChecksumIpv4\":%s,\"transmitChecksumIpv6\":%s,"
            "\"receiveChecksumIpv4\":%s,\"receiveChecksumIpv6\":%s,"
            "\"lsoIpv4\":%s,\"lsoIpv6\":%s,\"rscIpv4\":%s,\"rscIpv6\":%s},",
            boolean(c->IPv4Transmit.TcpChecksum), boolean(c->IPv6Transmit.TcpChecksum),
            boolean(c->IPv4Receive.TcpChecksum), boolean(c->IPv6Receive.TcpChecksum),
            boolean(o->LsoV2.IPv4.Encapsulation), boolean(o->LsoV2.IPv6.Encapsulation),
            boolean(o->Rsc.IPv4.Enabled), boolean(o->Rsc.IPv6.Enabled));
}

static void print_adapter(FILE *json, struct ndis_adapter *adapter)
{
    struct adapter_counters sum;
    const UCHAR *m = adapter->mac;
    miniport_sum(adapter, &sum);
    fprintf(json, "{\"name\":");
    print_string(json, adapter->name);
    fprintf(json,
            ",\"mac\":\"%02x:%02x:%02x:%02x:%02x:%02x\",\"mtu\":%u,\"link\":%s,\"state\":\"%s\","
            "\"power\":\"D%u\",",
            m[0], m[1], m[2], m[3], m[4], m[5], adapter->mtu, boolean(adapter->connected),
            state_name(adapter), adapter->power - NdisDeviceStateD0);
    print_filters(json, adapter);
    print_offloads(json, &adapter->current);
    fprintf(json,
            "\"counters\":{\"receivedFrames\":%llu,\"receivedBytes\":%llu,"
            "\"receiveDiscards\":%llu,\"sentFrames\":%llu,\"sentBytes\":%llu,"
            "\"sendDiscards\":%llu}}",
            (unsigned long long)sum.in_frames, (unsigned long long)sum.in_bytes,
            (unsigned long long)adapter->in_discards, (unsigned long long)sum.out_frames,
            (unsigned long long)sum.out_bytes, (unsigned long long)adapter->out_discards);
}

void ndis_adapters_json(FILE *json)
{
    KIRQL irql;
    KeAcquireSpinLock(&ndis_lock, &irql);
    fputc('[', json);
    for (LIST_ENTRY *e = ndis_adapters.Flink; e != &ndis_adapters; e = e->Flink) {
        print_adapter(json, CONTAINING_RECORD(e, struct ndis_adapter, link));
        if (e->Flink != &ndis_adapters)
            fputc(',', json);
    }
    fputc(']', json);
    KeReleaseSpinLock(&ndis_lock, irql);
}
