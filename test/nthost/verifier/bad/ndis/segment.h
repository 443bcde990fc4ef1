/* A TCP segment over IPv4 of the driver's own, for what is asked of the adapter. */
#pragma once
#include "ndisbad.h"

static __attribute__((unused)) PNET_BUFFER_LIST BadMakeSegment(ULONG Data)
{
    PNET_BUFFER_LIST nbl = BadMakeFrame(54 + Data);
    PUCHAR d = MmGetMdlVirtualAddress(NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(nbl)));
    ULONG total = 40 + Data;

    d[12] = 0x08;
    d[13] = 0x00;
    d[14] = 0x45;
    d[16] = (UCHAR)(total >> 8);
    d[17] = (UCHAR)total;
    d[22] = 64;
    d[23] = 6;
    d[26] = d[30] = 10; /* 10.0.0.0 to 10.0.0.0 */
    d[46] = 0x50;
    return nbl;
}

/* The pseudo header's sum: 10.0.0.0 twice, protocol 6, the length. */
static __attribute__((unused)) VOID BadSetSum(PNET_BUFFER_LIST NetBufferList, ULONG Length)
{
    PUCHAR d =
        MmGetMdlVirtualAddress(NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(NetBufferList)));
    ULONG sum = 0x0a00u + 0x0a00u + 6u + Length;

    d[50] = (UCHAR)(sum >> 8);
    d[51] = (UCHAR)sum;
}

static __attribute__((unused)) VOID BadSetLso(PNET_BUFFER_LIST NetBufferList, ULONG Mss)
{
    NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO info;

    info.Value = NULL;
    info.LsoV2Transmit.MSS = Mss;
    info.LsoV2Transmit.TcpHeaderOffset = 34;
    info.LsoV2Transmit.Type = NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE;
    info.LsoV2Transmit.IPVersion = NDIS_TCP_LARGE_SEND_OFFLOAD_IPv4;
    NET_BUFFER_LIST_INFO(NetBufferList, TcpLargeSendNetBufferListInfo) = info.Value;
}
