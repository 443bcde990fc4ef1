/* Asks for a TCP checksum and leaves a whole one in the field. */
#define BAD_STATUS Status
#include "segment.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    PNET_BUFFER_LIST nbl = BadMakeSegment(100);
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;

    info.Value = NULL;
    info.Transmit.IsIPv4 = 1;
    info.Transmit.TcpChecksum = 1;
    info.Transmit.TcpHeaderOffset = 34;
    NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
    BadSetSum(nbl, Bad ? 4711 : 120);
    BadSendFrame(nbl);
    BadStatus(Context, Indication);
}
