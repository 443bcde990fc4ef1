/*
 * The miniport as OIDs see it: the same for every edge. An edge's own oid() is asked first.
 *
 * WDK: "Mandatory OIDs", OID_GEN_CURRENT_PACKET_FILTER, OID_802_3_MULTICAST_LIST,
 * OID_TCP_OFFLOAD_PARAMETERS, OID_GEN_STATISTICS, NDIS_RESTART_GENERAL_ATTRIBUTES.
 */
#include "frame.h"
#include "stack.h"
#include <stdlib.h>
#include <string.h>

#define PACKET_FILTERS                                                                             \
    (NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_MULTICAST | NDIS_PACKET_TYPE_ALL_MULTICAST |     \
     NDIS_PACKET_TYPE_BROADCAST | NDIS_PACKET_TYPE_PROMISCUOUS)
#define STATISTICS                                                                                 \
    (NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_RCV | NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV |     \
     NDIS_STATISTICS_FLAGS_VALID_RCV_DISCARDS | NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_XMIT | \
     NDIS_STATISTICS_FLAGS_VALID_BYTES_XMIT | NDIS_STATISTICS_FLAGS_VALID_XMIT_ERROR |             \
     NDIS_STATISTICS_FLAGS_VALID_XMIT_DISCARDS)

static const NDIS_OID supported[] = {OID_GEN_SUPPORTED_LIST,
                                     OID_GEN_HARDWARE_STATUS,
                                     OID_GEN_MAXIMUM_LOOKAHEAD,
                                     OID_GEN_MAXIMUM_FRAME_SIZE,
                                     OID_GEN_TRANSMIT_BLOCK_SIZE,
                                     OID_GEN_RECEIVE_BLOCK_SIZE,
                                     OID_GEN_VENDOR_ID,
                                     OID_GEN_VENDOR_DESCRIPTION,
                                     OID_GEN_CURRENT_PACKET_FILTER,
                                     OID_GEN_CURRENT_LOOKAHEAD,
                                     OID_GEN_MAXIMUM_TOTAL_SIZE,
                                     OID_GEN_MAC_OPTIONS,
                                     OID_GEN_MEDIA_CONNECT_STATUS,
                                     OID_GEN_LINK_STATE,
                                     OID_GEN_STATISTICS,
                                     OID_GEN_XMIT_OK,
                                     OID_GEN_RCV_OK,
                                     OID_GEN_XMIT_ERROR,
                                     OID_GEN_RCV_ERROR,
                                     OID_GEN_RCV_NO_BUFFER,
                                     OID_GEN_PHYSICAL_MEDIUM,
                                     OID_802_3_PERMANENT_ADDRESS,
                                     OID_802_3_CURRENT_ADDRESS,
                                     OID_802_3_MULTICAST_LIST,
                                     OID_802_3_MAXIMUM_LIST_SIZE,
                                     OID_802_3_ADD_MULTICAST_ADDRESS,
                                     OID_802_3_DELETE_MULTICAST_ADDRESS,
                                     OID_PNP_SET_POWER,
                                     OID_PNP_QUERY_POWER,
                                     OID_OFFLOAD_ENCAPSULATION,
                                     OID_TCP_OFFLOAD_CURRENT_CONFIG,
                                     OID_TCP_OFFLOAD_PARAMETERS,
                                     OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES};

static ULONG mac_options(const struct ndis_adapter *adapter)
{
    return NDIS_MAC_OPTION_COPY_LOOKAHEAD_DATA | NDIS_MAC_OPTION_TRANSFERS_NOT_PEND |
           NDIS_MAC_OPTION_NO_LOOPBACK |
           (adapter->config.vlan ? NDIS_MAC_OPTION_8021P_PRIORITY | NDIS_MAC_OPTION_8021Q_VLAN : 0);
}

void miniport_init(struct ndis_adapter *adapter)
{
    adapter->packet_filter =
        NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_MULTICAST | NDIS_PACKET_TYPE_BROADCAST;
    adapter->lookahead = 256;
}

static ULONG64 address_word(const UCHAR *address)
{
    ULONG64 word = 0;
    memcpy(&word, address, 6);
    return word;
}

bool miniport_wants(const struct ndis_adapter *adapter, const UCHAR *destination)
{
    ULONG filter = atomic_load_explicit(&adapter->packet_filter, memory_order_relaxed);
    if (filter & NDIS_PACKET_TYPE_PROMISCUOUS)
        return true;
    if (!(destination[0] & 1))
        return (filter & NDIS_PACKET_TYPE_DIRECTED) && !memcmp(destination, adapter->mac, 6);
    static const UCHAR broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (!memcmp(destination, broadcast, 6))
        return filter & NDIS_PACKET_TYPE_BROADCAST;
    if (filter & NDIS_PACKET_TYPE_ALL_MULTICAST)
        return true;
    if (!(filter & NDIS_PACKET_TYPE_MULTICAST))
        return false;
    ULONG count = atomic_load_explicit(&adapter->multicast_count, memory_order_relaxed), at = 0;
    ULONG64 word = address_word(destination);
    while (at < count &&
           atomic_load_explicit(&adapter->multicast[at], memory_order_relaxed) != word)
        at++;
    return at < count;
}

/* Restart attributes */

PNDIS_RESTART_ATTRIBUTES miniport_restart_attributes(struct ndis_adapter *adapter)
{
    PNDIS_RESTART_ATTRIBUTES attributes =
        NdisAllocateMemoryWithTagPriority(adapter,
                                          (UINT)(FIELD_OFFSET(NDIS_RESTART_ATTRIBUTES, Data) +
                                                 sizeof(NDIS_RESTART_GENERAL_ATTRIBUTES)),
                                          NDIS_POOL_TAG, NormalPoolPriority);
    if (!attributes)
        return NULL;
    attributes->Next = NULL;
    attributes->Oid = OID_GEN_MINIPORT_RESTART_ATTRIBUTES;
    attributes->DataLength = sizeof(NDIS_RESTART_GENERAL_ATTRIBUTES);
    NDIS_RESTART_GENERAL_ATTRIBUTES general = {
        .Header = {NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES,
                   NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_2,
                   NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_2},
        .MtuSize = adapter->mtu,
        .MaxXmitLinkSpeed = adapter->config.link_speed,
        .MaxRcvLinkSpeed = adapter->config.link_speed,
        .LookaheadSize = adapter->lookahead,
        .MacOptions = mac_options(adapter),
        .SupportedPacketFilters = PACKET_FILTERS,
        .MaxMulticastListSize = ARRAYSIZE(adapter->multicast),
        .AccessType = NET_IF_ACCESS_BROADCAST,
        .ConnectionType = NET_IF_CONNECTION_DEDICATED,
        .SupportedStatistics = STATISTICS,
        .SupportedOidList = (PNDIS_OID)supported,
        .SupportedOidListLength = sizeof(supported),
    };
    memcpy(attributes->Data, &general, sizeof(general));
    return attributes;
}

void restart_attributes_free(PNDIS_RESTART_ATTRIBUTES attributes)
{
    while (attributes) {
        PNDIS_RESTART_ATTRIBUTES next = attributes->Next;
        NdisFreeMemory(attributes, 0, 0);
        attributes = next;
    }
}

/* Queries */

static NDIS_STATUS answer(PNDIS_OID_REQUEST request, const void *data, ULONG bytes)
{
    ULONG room = request->DATA.QUERY_INFORMATION.InformationBufferLength;
    request->DATA.QUERY_INFORMATION.BytesNeeded = bytes;
    if (room < bytes) {
        request->DATA.QUERY_INFORMATION.BytesWritten = 0;
        return NDIS_STATUS_BUFFER_TOO_SHORT;
    }
    if (data)
        memcpy(request->DATA.QUERY_INFORMATION.InformationBuffer, data, bytes);
    request->DATA.QUERY_INFORMATION.BytesWritten = bytes;
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS answer_ulong(PNDIS_OID_REQUEST request, ULONG value)
{
    return answer(request, &value, sizeof(value));
}

/* A counter: 64 bits where there is room, else its low 32. */
static NDIS_STATUS answer_counter(PNDIS_OID_REQUEST request, ULONG64 value)
{
    ULONG low = (ULONG)value;
    return request->DATA.QUERY_INFORMATION.InformationBufferLength < sizeof(value)
               ? answer(request, &low, sizeof(low))
               : answer(request, &value, sizeof(value));
}

void miniport_sum(const struct ndis_adapter *adapter, struct adapter_counters *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (unsigned i = 0; i <= sched_processors(); i++) {
        const struct adapter_counters *c =
            i < sched_processors() ? &adapter->counters[i] : &adapter->shared_counters;
        sum->in_frames += __atomic_load_n(&c->in_frames, __ATOMIC_RELAXED);
        sum->in_bytes += __atomic_load_n(&c->in_bytes, __ATOMIC_RELAXED);
        sum->out_frames += __atomic_load_n(&c->out_frames, __ATOMIC_RELAXED);
        sum->out_bytes += __atomic_load_n(&c->out_bytes, __ATOMIC_RELAXED);
    }
}

static NDIS_STATUS query_statistics(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    struct adapter_counters sum;
    miniport_sum(adapter, &sum);
    NDIS_STATISTICS_INFO info = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NDIS_STATISTICS_INFO_REVISION_1,
                   NDIS_SIZEOF_STATISTICS_INFO_REVISION_1},
        .SupportedStatistics = STATISTICS,
        .ifInDiscards = adapter->in_discards,
        .ifHCInOctets = sum.in_bytes,
        .ifHCInUcastPkts = sum.in_frames,
        .ifHCOutOctets = sum.out_bytes,
        .ifHCOutUcastPkts = sum.out_frames,
        .ifOutDiscards = adapter->out_discards,
    };
    return answer(request, &info, sizeof(info));
}

static ULONG list_multicast(const struct ndis_adapter *adapter, UCHAR (*list)[6])
{
    for (ULONG i = 0; i < adapter->multicast_count; i++) {
        ULONG64 word = adapter->multicast[i];
        memcpy(list[i], &word, 6);
    }
    return adapter->multicast_count;
}

static NDIS_STATUS query_multicast(const struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    UCHAR list[ARRAYSIZE(adapter->multicast)][6];
    ULONG count = list_multicast(adapter, list);
    return answer(request, list, count * 6);
}

static NDIS_STATUS query_counter(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    struct adapter_counters sum;
    miniport_sum(adapter, &sum);
    switch (request->DATA.QUERY_INFORMATION.Oid) {
    case OID_GEN_XMIT_OK:
        return answer_counter(request, sum.out_frames);
    case OID_GEN_RCV_OK:
        return answer_counter(request, sum.in_frames);
    case OID_GEN_XMIT_ERROR:
    case OID_GEN_RCV_ERROR:
        return answer_counter(request, 0);
    case OID_GEN_RCV_NO_BUFFER:
        return answer_counter(request, adapter->in_discards);
    default:
        return NDIS_STATUS_NOT_SUPPORTED;
    }
}

static NDIS_STATUS query_link(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    NDIS_LINK_STATE link = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NDIS_LINK_STATE_REVISION_1,
                   NDIS_SIZEOF_LINK_STATE_REVISION_1},
        .MediaConnectState =
            adapter->connected ? MediaConnectStateConnected : MediaConnectStateDisconnected,
        .MediaDuplexState = MediaDuplexStateFull,
        .XmitLinkSpeed = adapter->config.link_speed,
        .RcvLinkSpeed = adapter->config.link_speed,
    };
    return answer(request, &link, sizeof(link));
}

static NDIS_STATUS query(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    switch (request->DATA.QUERY_INFORMATION.Oid) {
    case OID_GEN_SUPPORTED_LIST:
        return answer(request, supported, sizeof(supported));
    case OID_GEN_HARDWARE_STATUS:
        return answer_ulong(request, 0); /* NdisHardwareStatusReady */
    case OID_GEN_MAXIMUM_LOOKAHEAD:
    case OID_GEN_MAXIMUM_FRAME_SIZE:
        return answer_ulong(request, adapter->mtu);
    case OID_GEN_CURRENT_LOOKAHEAD:
        return answer_ulong(request, adapter->lookahead);
    case OID_GEN_MAXIMUM_TOTAL_SIZE:
    case OID_GEN_TRANSMIT_BLOCK_SIZE:
    case OID_GEN_RECEIVE_BLOCK_SIZE:
        return answer_ulong(request, adapter->mtu + FRAME_ETHERNET_HEADER);
    case OID_GEN_VENDOR_ID:
        return answer_ulong(request, 0xffffff);
    case OID_GEN_VENDOR_DESCRIPTION:
        return answer(request, "nthost", sizeof("nthost"));
    case OID_GEN_CURRENT_PACKET_FILTER:
        return answer_ulong(request, adapter->packet_filter);
    case OID_GEN_MAC_OPTIONS:
        return answer_ulong(request, mac_options(adapter));
    case OID_GEN_MEDIA_CONNECT_STATUS:
        return answer_ulong(request, adapter->connected ? NdisMediaStateConnected
                                                        : NdisMediaStateDisconnected);
    case OID_GEN_LINK_STATE:
        return query_link(adapter, request);
    case OID_GEN_STATISTICS:
        return query_statistics(adapter, request);
    case OID_GEN_PHYSICAL_MEDIUM:
        return answer_ulong(request, adapter->config.physical);
    case OID_802_3_PERMANENT_ADDRESS:
        return answer(request, adapter->config.mac, 6);
    case OID_802_3_CURRENT_ADDRESS:
        return answer(request, adapter->mac, 6);
    case OID_802_3_MULTICAST_LIST:
        return query_multicast(adapter, request);
    case OID_802_3_MAXIMUM_LIST_SIZE:
        return answer_ulong(request, ARRAYSIZE(adapter->multicast));
    case OID_PNP_QUERY_POWER:
        return answer(request, NULL, 0);
    case OID_TCP_OFFLOAD_CURRENT_CONFIG:
        return answer(request, &adapter->current, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7);
    case OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES:
        return answer(request, &adapter->hardware, NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7);
    default:
        return query_counter(adapter, request);
    }
}

/* Sets */

static void tell_filter(struct ndis_adapter *adapter)
{
    UCHAR list[ARRAYSIZE(adapter->multicast)][6];
    ULONG count = list_multicast(adapter, list);
    if (adapter->lower_ops->packet_filter)
        adapter->lower_ops->packet_filter(adapter->lower_context, adapter->packet_filter,
                                          (const UCHAR(*)[6])list, count);
}

static NDIS_STATUS taken(PNDIS_OID_REQUEST request, ULONG bytes)
{
    request->DATA.SET_INFORMATION.BytesRead = bytes;
    request->SupportedRevision = 1;
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS set_multicast(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    ULONG bytes = request->DATA.SET_INFORMATION.InformationBufferLength;
    const UCHAR(*list)[6] = request->DATA.SET_INFORMATION.InformationBuffer;
    if (bytes % 6)
        return NDIS_STATUS_INVALID_LENGTH;
    if (bytes / 6 > ARRAYSIZE(adapter->multicast))
        return NDIS_STATUS_MULTICAST_FULL;
    for (ULONG i = 0; i < bytes / 6; i++)
        if (!(list[i][0] & 1))
            return NDIS_STATUS_INVALID_DATA;
    for (ULONG i = 0; i < bytes / 6; i++)
        adapter->multicast[i] = address_word(list[i]);
    adapter->multicast_count = bytes / 6;
    tell_filter(adapter);
    return taken(request, bytes);
}

static NDIS_STATUS change_multicast(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request,
                                    bool add)
{
    if (request->DATA.SET_INFORMATION.InformationBufferLength != 6)
        return NDIS_STATUS_INVALID_LENGTH;
    ULONG64 address = address_word(request->DATA.SET_INFORMATION.InformationBuffer);
    ULONG at = 0, count = adapter->multicast_count;
    while (at < count && adapter->multicast[at] != address)
        at++;
    if (add && at == count) {
        if (at == ARRAYSIZE(adapter->multicast))
            return NDIS_STATUS_MULTICAST_FULL;
        adapter->multicast[count] = address;
        adapter->multicast_count = count + 1;
    } else if (!add) {
        if (at == count)
            return NDIS_STATUS_MULTICAST_NOT_FOUND;
        adapter->multicast[at] = adapter->multicast[count - 1];
        adapter->multicast_count = count - 1;
    }
    tell_filter(adapter);
    return taken(request, 6);
}

static NDIS_STATUS set(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    const void *data = request->DATA.SET_INFORMATION.InformationBuffer;
    ULONG bytes = request->DATA.SET_INFORMATION.InformationBufferLength, value = 0;
    if (bytes >= sizeof(value))
        memcpy(&value, data, sizeof(value));
    switch (request->DATA.SET_INFORMATION.Oid) {
    case OID_GEN_CURRENT_PACKET_FILTER:
        if (bytes != sizeof(value))
            return NDIS_STATUS_INVALID_LENGTH;
        if (value & ~PACKET_FILTERS)
            return NDIS_STATUS_NOT_SUPPORTED;
        adapter->packet_filter = value;
        tell_filter(adapter);
        return taken(request, bytes);
    case OID_GEN_CURRENT_LOOKAHEAD:
        if (bytes != sizeof(value))
            return NDIS_STATUS_INVALID_LENGTH;
        if (value > adapter->mtu)
            return NDIS_STATUS_INVALID_DATA;
        adapter->lookahead = value;
        return taken(request, bytes);
    case OID_802_3_MULTICAST_LIST:
        return set_multicast(adapter, request);
    case OID_802_3_ADD_MULTICAST_ADDRESS:
        return change_multicast(adapter, request, true);
    case OID_802_3_DELETE_MULTICAST_ADDRESS:
        return change_multicast(adapter, request, false);
    case OID_PNP_SET_POWER:
        return bytes == sizeof(value) ? taken(request, bytes) : NDIS_STATUS_INVALID_LENGTH;
    case OID_OFFLOAD_ENCAPSULATION:
        return bytes >= NDIS_SIZEOF_OFFLOAD_ENCAPSULATION_REVISION_1 ? taken(request, bytes)
                                                                     : NDIS_STATUS_INVALID_LENGTH;
    case OID_TCP_OFFLOAD_PARAMETERS: {
        NDIS_STATUS status = offload_set(adapter, data, bytes);
        return status == NDIS_STATUS_SUCCESS ? taken(request, bytes) : status;
    }
    default:
        return NDIS_STATUS_NOT_SUPPORTED;
    }
}

NDIS_STATUS miniport_oid(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request)
{
    if (adapter->lower_ops->oid) {
        NDIS_STATUS status = adapter->lower_ops->oid(adapter->lower_context, request);
        if (status != NDIS_STATUS_NOT_SUPPORTED)
            return status;
    }
    switch (request->RequestType) {
    case NdisRequestQueryInformation:
    case NdisRequestQueryStatistics:
        return query(adapter, request);
    case NdisRequestSetInformation:
        return set(adapter, request);
    default:
        return NDIS_STATUS_NOT_SUPPORTED;
    }
}
