/*
 * The upper real edge: a TAP interface, whose TCP/IP stack is the node's. It stands where Windows
 * has its protocol driver: it sets the packet filter, follows the offloads that the stack below
 * offers (TUNSETOFFLOAD), the link state (the TAP's carrier) and the MTU.
 *
 * Multicast: the TAP does not tell which groups its stack has joined, so the packet filter asks for
 * all.
 */
#include "edge_real.h"
#include "vnet.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define TAP_PIECES 24

static bool interface_ioctl(struct edge_pair *edge, unsigned long code, struct ifreq *request)
{
    snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", edge->tap);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && !ioctl(fd, code, request);
    if (fd >= 0)
        close(fd);
    return ok;
}

void tap_set_mtu(struct edge_pair *edge, unsigned mtu)
{
    struct ifreq request = {.ifr_mtu = (int)mtu};
    interface_ioctl(edge, SIOCSIFMTU, &request);
}

static void set_carrier(struct edge_pair *edge, bool up)
{
    int value = up;
    edge->tap_up = up;
    ioctl(edge->tap_fd, TUNSETCARRIER, &value);
}

static void set_offloads(struct edge_pair *edge, const NDIS_OFFLOAD *offload)
{
    const NDIS_TCP_IP_CHECKSUM_OFFLOAD *c = &offload->Checksum;
    unsigned flags = 0;
    if (c->IPv4Transmit.TcpChecksum && c->IPv4Transmit.UdpChecksum && c->IPv6Transmit.TcpChecksum &&
        c->IPv6Transmit.UdpChecksum)
        flags |= TUN_F_CSUM;
    if ((flags & TUN_F_CSUM) && offload->LsoV2.IPv4.Encapsulation)
        flags |= TUN_F_TSO4 | TUN_F_TSO_ECN;
    if ((flags & TUN_F_CSUM) && offload->LsoV2.IPv6.Encapsulation)
        flags |= TUN_F_TSO6 | TUN_F_TSO_ECN;
    ioctl(edge->tap_fd, TUNSETOFFLOAD, flags);
}

bool tap_open(struct edge_pair *edge, char *error, size_t error_size)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", edge->tap);
    edge->tap_fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (edge->tap_fd < 0 || ioctl(edge->tap_fd, TUNSETIFF, &request)) {
        snprintf(error, error_size, "TAP %s: %s", edge->tap, strerror(errno));
        return false;
    }
    int bytes = (int)VNET_BYTES;
    ioctl(edge->tap_fd, TUNSETVNETHDRSZ, &bytes);
    struct ifreq address = {0};
    address.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(address.ifr_hwaddr.sa_data, edge->mac, 6);
    if (!interface_ioctl(edge, SIOCSIFHWADDR, &address)) {
        snprintf(error, error_size, "TAP %s: setting its MAC address: %s", edge->tap,
                 strerror(errno));
        return false;
    }
    tap_set_mtu(edge, edge->mtu);
    set_carrier(edge, false);
    return true;
}

/* Up: from the stack of filters to the TAP */

static int pieces(PNET_BUFFER nb, uint32_t skip, uint32_t bytes, struct iovec *iov, int room)
{
    PMDL mdl = nb->CurrentMdl;
    uint32_t at = nb->CurrentMdlOffset + skip;
    int count = 0;
    while (bytes) {
        if (at >= mdl->ByteCount) {
            at -= mdl->ByteCount;
            mdl = mdl->Next;
            continue;
        }
        uint32_t here = mdl->ByteCount - at < bytes ? mdl->ByteCount - at : bytes;
        if (count == room)
            return -1;
        iov[count].iov_base = mdl_data(mdl) + at;
        iov[count++].iov_len = here;
        bytes -= here;
        at = 0;
        mdl = mdl->Next;
    }
    return count;
}

/* The segment size that the interface told, where the NBL is the interface's own. */
static uint16_t known_segment(struct edge_pair *edge, PNET_BUFFER_LIST nbl)
{
    return nbl->NdisPoolHandle == edge->rx_slots.pool ? slot_of(nbl)->gso_size : 0;
}

static void write_frame(struct edge_pair *edge, PNET_BUFFER_LIST nbl, PNET_BUFFER nb)
{
    struct virtio_net_hdr vnet = {0};
    struct iovec iov[TAP_PIECES];
    uint8_t tag[4], head[FRAME_MAX_HEADERS];
    int used = 1;
    NDIS_NET_BUFFER_LIST_8021Q_INFO vlan;
    vlan.Value = NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
    if (NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) ||
        NET_BUFFER_LIST_COALESCED_SEG_COUNT(nbl)) {
        uint32_t here = nb->CurrentMdl->ByteCount - nb->CurrentMdlOffset;
        const uint8_t *first = mdl_data(nb->CurrentMdl) + nb->CurrentMdlOffset;
        if (here < nb->DataLength && here < sizeof(head)) {
            here = netbuffer_read(nb, 0, head, sizeof(head));
            first = head;
        } else if (here > nb->DataLength) {
            here = nb->DataLength;
        }
        vnet_from_receive(nbl, first, here, nb->DataLength, known_segment(edge, nbl), &vnet);
    }
    iov[0].iov_base = &vnet;
    iov[0].iov_len = sizeof(vnet);
    uint32_t from = 0;
    if (vlan.Value) {
        int n = pieces(nb, 0, 12, iov + used, TAP_PIECES - used - 1);
        if (n < 0)
            return;
        used += n;
        frame_put16(tag, FRAME_ETHERTYPE_VLAN);
        frame_put16(tag + 2,
                    (uint16_t)(vlan.TagHeader.UserPriority << 13 |
                               vlan.TagHeader.CanonicalFormatId << 12 | vlan.TagHeader.VlanId));
        iov[used].iov_base = tag;
        iov[used++].iov_len = 4;
        from = 12;
        if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
            vnet.csum_start = (uint16_t)(vnet.csum_start + 4);
        if (vnet.gso_type)
            vnet.hdr_len = (uint16_t)(vnet.hdr_len + 4);
    }
    int more = pieces(nb, from, nb->DataLength - from, iov + used, TAP_PIECES - used);
    ssize_t written = more < 0 ? -1 : writev(edge->tap_fd, iov, used + more);
    if (written < 0)
        ndis_lower_discards(edge->adapter, 1, 0); /* the TAP is down, or it refused the frame */
}

static void tap_receive(void *context, PNET_BUFFER_LIST nbls, ULONG count, ULONG flags)
{
    struct edge_pair *edge = context;
    (void)count;
    for (PNET_BUFFER_LIST nbl = nbls; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
        write_frame(edge, nbl, NET_BUFFER_LIST_FIRST_NB(nbl));
    if (!(flags & NDIS_RECEIVE_FLAGS_RESOURCES))
        ndis_upper_return(
            edge->adapter, nbls,
            flags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL ? NDIS_RETURN_FLAGS_DISPATCH_LEVEL : 0);
}

/* Down: from the TAP to the stack of filters */

static void tap_send_complete(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    (void)context;
    (void)flags;
    while (nbls) {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(nbls);
        slots_put(slot_of(nbls));
        nbls = next;
    }
}

/* MiniportReserved[0] names the slot while the miniport below may use it: not ours then. */
static bool take_frame(struct slot *slot, ssize_t bytes)
{
    if (bytes < (ssize_t)(VNET_BYTES + FRAME_ETHERNET_HEADER))
        return false;
    uint32_t frame_bytes = (uint32_t)bytes - (uint32_t)VNET_BYTES;
    slot_set(slot, frame_bytes);
    struct virtio_net_hdr *vnet = slot_vnet(slot);
    if (!(vnet->flags | vnet->gso_type))
        return true;
    return vnet_to_send(vnet, slot_frame(slot), frame_bytes < SLOT_SMALL ? frame_bytes : SLOT_SMALL,
                        frame_bytes, slot->nbl);
}

void tap_thread(void *context)
{
    struct edge_pair *edge = context;
    struct slots *slots = &edge->tap_slots;
    slots->owner = nt_current();
    edge_pace_start(&edge->tap_pace, -1);
    while (!edge->stop) {
        PNET_BUFFER_LIST first = NULL, *last = &first;
        unsigned count = 0;
        while (count < EDGE_BATCH && !edge->stop) {
            struct slot *slot = slots_take(slots);
            if (!slot && count)
                break;
            if (!slot) {
                slots_wait(slots);
                continue;
            }
            struct iovec iov[2];
            slot_iov(slot, iov);
            ssize_t bytes =
                count ? preadv2(edge->tap_fd, iov, 2, -1, RWF_NOWAIT) : readv(edge->tap_fd, iov, 2);
            if (bytes <= 0) {
                slots_put(slot);
                if (count || errno == EINTR || errno == EAGAIN)
                    break;
                /* The TAP is down: it says so at once, every time. */
                struct pollfd wait = {.fd = edge->stop_event, .events = POLLIN};
                poll(&wait, 1, 50);
                break;
            }
            if (!take_frame(slot, bytes)) {
                slots_put(slot);
                continue;
            }
            *last = slot->nbl;
            last = &NET_BUFFER_LIST_NEXT_NBL(slot->nbl);
            count++;
        }
        if (!first)
            continue;
        nt_enter_dispatch(sched_processors() > 1);
        packet_plug(edge);
        ndis_upper_send(edge->adapter, first, NDIS_SEND_FLAGS_DISPATCH_LEVEL);
        packet_unplug(edge);
        nt_leave_dispatch();
        edge_pace_frames(&edge->tap_pace, count, false);
    }
}

/* What the protocol is told */

static NDIS_STATUS request(struct edge_pair *edge, NDIS_REQUEST_TYPE type, NDIS_OID oid,
                           PVOID buffer, ULONG bytes)
{
    NDIS_OID_REQUEST oid_request = {
        .Header = {NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                   NDIS_SIZEOF_OID_REQUEST_REVISION_1},
        .RequestType = type,
    };
    oid_request.DATA.SET_INFORMATION.Oid = oid;
    oid_request.DATA.SET_INFORMATION.InformationBuffer = buffer;
    oid_request.DATA.SET_INFORMATION.InformationBufferLength = bytes;
    return ndis_upper_oid(edge->adapter, &oid_request);
}

static void tap_restart(void *context, const NDIS_RESTART_GENERAL_ATTRIBUTES *attributes)
{
    struct edge_pair *edge = context;
    ULONG filter = NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST |
                   NDIS_PACKET_TYPE_MULTICAST | NDIS_PACKET_TYPE_ALL_MULTICAST;
    ULONG lookahead = 256;
    NDIS_OFFLOAD offload;
    if (attributes)
        tap_set_mtu(edge, attributes->MtuSize);
    request(edge, NdisRequestSetInformation, OID_GEN_CURRENT_LOOKAHEAD, &lookahead,
            sizeof(lookahead));
    request(edge, NdisRequestSetInformation, OID_GEN_CURRENT_PACKET_FILTER, &filter,
            sizeof(filter));
    if (request(edge, NdisRequestQueryInformation, OID_TCP_OFFLOAD_CURRENT_CONFIG, &offload,
                sizeof(offload)) != NDIS_STATUS_SUCCESS)
        offload_none(&offload);
    set_offloads(edge, &offload);
    NDIS_LINK_STATE link;
    if (request(edge, NdisRequestQueryInformation, OID_GEN_LINK_STATE, &link, sizeof(link)) ==
        NDIS_STATUS_SUCCESS)
        set_carrier(edge, link.MediaConnectState == MediaConnectStateConnected);
}

static void tap_status(void *context, PNDIS_STATUS_INDICATION status)
{
    struct edge_pair *edge = context;
    if (status->StatusCode == NDIS_STATUS_LINK_STATE &&
        status->StatusBufferSize >= NDIS_SIZEOF_LINK_STATE_REVISION_1) {
        const NDIS_LINK_STATE *link = status->StatusBuffer;
        set_carrier(edge, link->MediaConnectState == MediaConnectStateConnected);
    } else if (status->StatusCode == NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG &&
               status->StatusBufferSize >= NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1) {
        NDIS_OFFLOAD offload = {0};
        ULONG bytes = status->StatusBufferSize;
        memcpy(&offload, status->StatusBuffer, bytes < sizeof(offload) ? bytes : sizeof(offload));
        set_offloads(edge, &offload);
    }
}

const struct ndis_upper_ops tap_ops = {
    .receive = tap_receive,
    .send_complete = tap_send_complete,
    .status = tap_status,
    .restart = tap_restart,
};
