/*
 * Task offloads: what OID_TCP_OFFLOAD_PARAMETERS makes of what the hardware can do.
 *
 * WDK: OID_TCP_OFFLOAD_PARAMETERS, NDIS_OFFLOAD_PARAMETERS, NDIS_OFFLOAD,
 * NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG.
 */
#include "stack.h"
#include <string.h>

void offload_none(NDIS_OFFLOAD *offload)
{
    memset(offload, 0, sizeof(*offload));
    offload->Header.Type = NDIS_OBJECT_TYPE_OFFLOAD;
    offload->Header.Revision = NDIS_OFFLOAD_REVISION_7;
    offload->Header.Size = NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_7;
}

static bool known(UCHAR value, UCHAR most)
{
    return value <= most;
}

static bool valid(const NDIS_OFFLOAD_PARAMETERS *p)
{
    return known(p->IPv4Checksum, NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED) &&
           known(p->TCPIPv4Checksum, NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED) &&
           known(p->UDPIPv4Checksum, NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED) &&
           known(p->TCPIPv6Checksum, NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED) &&
           known(p->UDPIPv6Checksum, NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED) &&
           known(p->LsoV2IPv4, NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED) &&
           known(p->LsoV2IPv6, NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED) &&
           known(p->RscIPv4, NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED) &&
           known(p->RscIPv6, NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED) &&
           known(p->UdpSegmentation.IPv4, NDIS_OFFLOAD_PARAMETERS_USO_ENABLED) &&
           known(p->UdpSegmentation.IPv6, NDIS_OFFLOAD_PARAMETERS_USO_ENABLED);
}

static bool transmits(UCHAR value)
{
    return value == NDIS_OFFLOAD_PARAMETERS_TX_ENABLED_RX_DISABLED ||
           value == NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED;
}

static bool receives(UCHAR value)
{
    return value == NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED ||
           value == NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED;
}

/* A bit field that is on where it is wanted and the hardware can. */
#define CHECKSUM(value, version, field)                                                            \
    do {                                                                                           \
        if (value) {                                                                               \
            now->version##Transmit.field = transmits(value) ? can->version##Transmit.field : 0;    \
            now->version##Receive.field = receives(value) ? can->version##Receive.field : 0;       \
        }                                                                                          \
    } while (0)

static void set_checksums(NDIS_TCP_IP_CHECKSUM_OFFLOAD *now,
                          const NDIS_TCP_IP_CHECKSUM_OFFLOAD *can, const NDIS_OFFLOAD_PARAMETERS *p)
{
    CHECKSUM(p->IPv4Checksum, IPv4, IpChecksum);
    CHECKSUM(p->TCPIPv4Checksum, IPv4, TcpChecksum);
    CHECKSUM(p->UDPIPv4Checksum, IPv4, UdpChecksum);
    CHECKSUM(p->TCPIPv6Checksum, IPv6, TcpChecksum);
    CHECKSUM(p->UDPIPv6Checksum, IPv6, UdpChecksum);
}

#define ENABLED 2
#define SWITCH(value, field)                                                                       \
    do {                                                                                           \
        if ((value) == ENABLED)                                                                    \
            now->field = can->field;                                                               \
        else if (value)                                                                            \
            memset(&now->field, 0, sizeof(now->field));                                            \
    } while (0)

static void set_segmentation(NDIS_OFFLOAD *now, const NDIS_OFFLOAD *can,
                             const NDIS_OFFLOAD_PARAMETERS *p)
{
    SWITCH(p->LsoV2IPv4, LsoV2.IPv4);
    SWITCH(p->LsoV2IPv6, LsoV2.IPv6);
    SWITCH(p->RscIPv4, Rsc.IPv4);
    SWITCH(p->RscIPv6, Rsc.IPv6);
    SWITCH(p->UdpSegmentation.IPv4, UdpSegmentation.IPv4);
    SWITCH(p->UdpSegmentation.IPv6, UdpSegmentation.IPv6);
}

NDIS_STATUS offload_set(struct ndis_adapter *adapter, const NDIS_OFFLOAD_PARAMETERS *parameters,
                        ULONG bytes)
{
    if (bytes < NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1)
        return NDIS_STATUS_INVALID_LENGTH;
    NDIS_OFFLOAD_PARAMETERS p = {0};
    ULONG size = parameters->Header.Size;
    if (parameters->Header.Type != NDIS_OBJECT_TYPE_DEFAULT || size > bytes ||
        size < NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_1)
        return NDIS_STATUS_INVALID_DATA;
    memcpy(&p, parameters, size < sizeof(p) ? size : sizeof(p));
    if (!valid(&p))
        return NDIS_STATUS_INVALID_DATA;
    NDIS_OFFLOAD now = adapter->current;
    set_checksums(&now.Checksum, &adapter->hardware.Checksum, &p);
    set_segmentation(&now, &adapter->hardware, &p);
    if (adapter->lower_ops->offload)
        adapter->lower_ops->offload(adapter->lower_context, &now);
    ndis_lower_offload(adapter, &now);
    return NDIS_STATUS_SUCCESS;
}
