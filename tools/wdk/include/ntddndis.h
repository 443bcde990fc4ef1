/*
 * What NDIS shares with user mode: object headers, media, OIDs, status indications, offload
 * configuration.
 */
#pragma once

#include <ifdef.h>
#include <ndis/version.h>
#include <ntstatus.h>

typedef int NDIS_STATUS, *PNDIS_STATUS;
typedef PVOID NDIS_HANDLE, *PNDIS_HANDLE;
typedef ULONG NDIS_OID, *PNDIS_OID;
typedef ULONG NDIS_PORT_NUMBER, *PNDIS_PORT_NUMBER;
typedef ULONG NDIS_SWITCH_PORT_ID, NDIS_NIC_SWITCH_ID, *PNDIS_NIC_SWITCH_ID,
    NDIS_NIC_SWITCH_VPORT_ID;
typedef NET_IF_MEDIA_CONNECT_STATE NDIS_MEDIA_CONNECT_STATE;
typedef NET_IF_MEDIA_DUPLEX_STATE NDIS_MEDIA_DUPLEX_STATE;

#define NDIS_DEFAULT_PORT_NUMBER     ((NDIS_PORT_NUMBER)0)
#define NDIS_DEFAULT_SWITCH_ID       ((NDIS_NIC_SWITCH_ID)0)
#define NDIS_DEFAULT_VPORT_ID        ((NDIS_NIC_SWITCH_VPORT_ID)0)
#define NDIS_MAX_PHYS_ADDRESS_LENGTH IF_MAX_PHYS_ADDRESS_LENGTH
#define NDIS_LINK_SPEED_UNKNOWN      ((ULONG64)(-1))

typedef struct _NDIS_OBJECT_HEADER {
    UCHAR Type;
    UCHAR Revision;
    USHORT Size;
} NDIS_OBJECT_HEADER, *PNDIS_OBJECT_HEADER;

#define NDIS_OBJECT_TYPE_PROTOCOL_RESTART_PARAMETERS    0xA3
#define NDIS_OBJECT_TYPE_DEFAULT                        0x80
#define NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES       0x85
#define NDIS_OBJECT_TYPE_RSS_CAPABILITIES               0x88
#define NDIS_OBJECT_TYPE_RSS_PARAMETERS                 0x89
#define NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS  0x8B
#define NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS 0x8C
#define NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES              0x8D
#define NDIS_OBJECT_TYPE_OID_REQUEST                    0x96
#define NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS          0x97
#define NDIS_OBJECT_TYPE_STATUS_INDICATION              0x98
#define NDIS_OBJECT_TYPE_FILTER_ATTACH_PARAMETERS       0x99
#define NDIS_OBJECT_TYPE_FILTER_PAUSE_PARAMETERS        0x9A
#define NDIS_OBJECT_TYPE_FILTER_RESTART_PARAMETERS      0x9B
#define NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES     0xA2
#define NDIS_OBJECT_TYPE_OFFLOAD                        0xA7
#define NDIS_OBJECT_TYPE_OFFLOAD_ENCAPSULATION          0xA8
#define NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT           0xA9
#define NDIS_OBJECT_TYPE_RSS_PARAMETERS_V2              0xC8

typedef enum _NDIS_MEDIUM {
    NdisMedium802_3,
    NdisMedium802_5,
    NdisMediumFddi,
    NdisMediumWan,
    NdisMediumLocalTalk,
    NdisMediumDix,
    NdisMediumArcnetRaw,
    NdisMediumArcnet878_2,
    NdisMediumAtm,
    NdisMediumWirelessWan,
    NdisMediumIrda,
    NdisMediumBpc,
    NdisMediumCoWan,
    NdisMedium1394,
    NdisMediumInfiniBand,
    NdisMediumTunnel,
    NdisMediumNative802_11,
    NdisMediumLoopback,
    NdisMediumWiMAX,
    NdisMediumIP,
    NdisMediumMax
} NDIS_MEDIUM,
    *PNDIS_MEDIUM;

typedef enum _NDIS_PHYSICAL_MEDIUM {
    NdisPhysicalMediumUnspecified,
    NdisPhysicalMediumWirelessLan,
    NdisPhysicalMediumCableModem,
    NdisPhysicalMediumPhoneLine,
    NdisPhysicalMediumPowerLine,
    NdisPhysicalMediumDSL,
    NdisPhysicalMediumFibreChannel,
    NdisPhysicalMedium1394,
    NdisPhysicalMediumWirelessWan,
    NdisPhysicalMediumNative802_11,
    NdisPhysicalMediumBluetooth,
    NdisPhysicalMediumInfiniband,
    NdisPhysicalMediumWiMax,
    NdisPhysicalMediumUWB,
    NdisPhysicalMedium802_3,
    NdisPhysicalMedium802_5,
    NdisPhysicalMediumIrda,
    NdisPhysicalMediumWiredWAN,
    NdisPhysicalMediumWiredCoWan,
    NdisPhysicalMediumOther,
    NdisPhysicalMediumNative802_15_4,
    NdisPhysicalMediumMax
} NDIS_PHYSICAL_MEDIUM,
    *PNDIS_PHYSICAL_MEDIUM;

typedef enum _NDIS_MEDIA_STATE {
    NdisMediaStateConnected,
    NdisMediaStateDisconnected
} NDIS_MEDIA_STATE;

typedef enum _NDIS_DEVICE_POWER_STATE {
    NdisDeviceStateUnspecified,
    NdisDeviceStateD0,
    NdisDeviceStateD1,
    NdisDeviceStateD2,
    NdisDeviceStateD3,
    NdisDeviceStateMaximum
} NDIS_DEVICE_POWER_STATE,
    *PNDIS_DEVICE_POWER_STATE;

typedef enum _NDIS_SUPPORTED_PAUSE_FUNCTIONS {
    NdisPauseFunctionsUnsupported,
    NdisPauseFunctionsSendOnly,
    NdisPauseFunctionsReceiveOnly,
    NdisPauseFunctionsSendAndReceive,
    NdisPauseFunctionsUnknown
} NDIS_SUPPORTED_PAUSE_FUNCTIONS,
    *PNDIS_SUPPORTED_PAUSE_FUNCTIONS;

typedef enum _NDIS_REQUEST_TYPE {
    NdisRequestQueryInformation,
    NdisRequestSetInformation,
    NdisRequestQueryStatistics,
    NdisRequestOpen,
    NdisRequestClose,
    NdisRequestSend,
    NdisRequestTransferData,
    NdisRequestReset,
    NdisRequestGeneric1,
    NdisRequestGeneric2,
    NdisRequestGeneric3,
    NdisRequestGeneric4,
    NdisRequestMethod = 12
} NDIS_REQUEST_TYPE,
    *PNDIS_REQUEST_TYPE;

/* OIDs: general, statistics, Ethernet, power, offload */
#define OID_GEN_SUPPORTED_LIST                           0x00010101
#define OID_GEN_HARDWARE_STATUS                          0x00010102
#define OID_GEN_MEDIA_SUPPORTED                          0x00010103
#define OID_GEN_MEDIA_IN_USE                             0x00010104
#define OID_GEN_MAXIMUM_LOOKAHEAD                        0x00010105
#define OID_GEN_MAXIMUM_FRAME_SIZE                       0x00010106
#define OID_GEN_LINK_SPEED                               0x00010107
#define OID_GEN_TRANSMIT_BUFFER_SPACE                    0x00010108
#define OID_GEN_RECEIVE_BUFFER_SPACE                     0x00010109
#define OID_GEN_TRANSMIT_BLOCK_SIZE                      0x0001010A
#define OID_GEN_RECEIVE_BLOCK_SIZE                       0x0001010B
#define OID_GEN_VENDOR_ID                                0x0001010C
#define OID_GEN_VENDOR_DESCRIPTION                       0x0001010D
#define OID_GEN_CURRENT_PACKET_FILTER                    0x0001010E
#define OID_GEN_CURRENT_LOOKAHEAD                        0x0001010F
#define OID_GEN_DRIVER_VERSION                           0x00010110
#define OID_GEN_MAXIMUM_TOTAL_SIZE                       0x00010111
#define OID_GEN_PROTOCOL_OPTIONS                         0x00010112
#define OID_GEN_MAC_OPTIONS                              0x00010113
#define OID_GEN_MEDIA_CONNECT_STATUS                     0x00010114
#define OID_GEN_MAXIMUM_SEND_PACKETS                     0x00010115
#define OID_GEN_VENDOR_DRIVER_VERSION                    0x00010116
#define OID_GEN_SUPPORTED_GUIDS                          0x00010117
#define OID_GEN_NETWORK_LAYER_ADDRESSES                  0x00010118
#define OID_GEN_TRANSPORT_HEADER_OFFSET                  0x00010119
#define OID_GEN_MEDIA_CAPABILITIES                       0x00010201
#define OID_GEN_PHYSICAL_MEDIUM                          0x00010202
#define OID_GEN_RECEIVE_SCALE_CAPABILITIES               0x00010203
#define OID_GEN_RECEIVE_SCALE_PARAMETERS                 0x00010204
#define OID_GEN_MAC_ADDRESS                              0x00010205
#define OID_GEN_MAX_LINK_SPEED                           0x00010206
#define OID_GEN_LINK_STATE                               0x00010207
#define OID_GEN_LINK_PARAMETERS                          0x00010208
#define OID_GEN_INTERRUPT_MODERATION                     0x00010209
#define OID_GEN_ENUMERATE_PORTS                          0x0001020D
#define OID_GEN_PORT_STATE                               0x0001020E
#define OID_GEN_PHYSICAL_MEDIUM_EX                       0x00010213
#define OID_GEN_RECEIVE_SCALE_PARAMETERS_V2              0x00010214
#define OID_GEN_VLAN_ID                                  0x0001021C
#define OID_GEN_MINIPORT_RESTART_ATTRIBUTES              0x0001021D
#define OID_GEN_RECEIVE_HASH                             0x0001021F
#define OID_GEN_PROMISCUOUS_MODE                         0x00010280
#define OID_GEN_LAST_CHANGE                              0x00010281
#define OID_GEN_DISCONTINUITY_TIME                       0x00010282
#define OID_GEN_OPERATIONAL_STATUS                       0x00010283
#define OID_GEN_XMIT_LINK_SPEED                          0x00010284
#define OID_GEN_RCV_LINK_SPEED                           0x00010285
#define OID_GEN_UNKNOWN_PROTOS                           0x00010286
#define OID_GEN_INTERFACE_INFO                           0x00010287
#define OID_GEN_ADMIN_STATUS                             0x00010288
#define OID_GEN_ALIAS                                    0x00010289
#define OID_GEN_MEDIA_CONNECT_STATUS_EX                  0x0001028A
#define OID_GEN_LINK_SPEED_EX                            0x0001028B
#define OID_GEN_MEDIA_DUPLEX_STATE                       0x0001028C
#define OID_GEN_IP_OPER_STATUS                           0x0001028D
#define OID_GEN_RSS_SET_INDIRECTION_TABLE_ENTRIES        0x000102C0
#define OID_GEN_XMIT_OK                                  0x00020101
#define OID_GEN_RCV_OK                                   0x00020102
#define OID_GEN_XMIT_ERROR                               0x00020103
#define OID_GEN_RCV_ERROR                                0x00020104
#define OID_GEN_RCV_NO_BUFFER                            0x00020105
#define OID_GEN_STATISTICS                               0x00020106
#define OID_GEN_DIRECTED_BYTES_XMIT                      0x00020201
#define OID_GEN_DIRECTED_FRAMES_XMIT                     0x00020202
#define OID_GEN_MULTICAST_BYTES_XMIT                     0x00020203
#define OID_GEN_MULTICAST_FRAMES_XMIT                    0x00020204
#define OID_GEN_BROADCAST_BYTES_XMIT                     0x00020205
#define OID_GEN_BROADCAST_FRAMES_XMIT                    0x00020206
#define OID_GEN_DIRECTED_BYTES_RCV                       0x00020207
#define OID_GEN_DIRECTED_FRAMES_RCV                      0x00020208
#define OID_GEN_MULTICAST_BYTES_RCV                      0x00020209
#define OID_GEN_MULTICAST_FRAMES_RCV                     0x0002020A
#define OID_GEN_BROADCAST_BYTES_RCV                      0x0002020B
#define OID_GEN_BROADCAST_FRAMES_RCV                     0x0002020C
#define OID_GEN_RCV_CRC_ERROR                            0x0002020D
#define OID_GEN_TRANSMIT_QUEUE_LENGTH                    0x0002020E
#define OID_GEN_GET_TIME_CAPS                            0x0002020F
#define OID_GEN_GET_NETCARD_TIME                         0x00020210
#define OID_GEN_NETCARD_LOAD                             0x00020211
#define OID_GEN_DEVICE_PROFILE                           0x00020212
#define OID_GEN_INIT_TIME_MS                             0x00020213
#define OID_GEN_RESET_COUNTS                             0x00020214
#define OID_GEN_MEDIA_SENSE_COUNTS                       0x00020215
#define OID_GEN_FRIENDLY_NAME                            0x00020216
#define OID_GEN_BYTES_RCV                                0x00020219
#define OID_GEN_BYTES_XMIT                               0x0002021A
#define OID_GEN_RCV_DISCARDS                             0x0002021B
#define OID_GEN_XMIT_DISCARDS                            0x0002021C
#define OID_802_3_PERMANENT_ADDRESS                      0x01010101
#define OID_802_3_CURRENT_ADDRESS                        0x01010102
#define OID_802_3_MULTICAST_LIST                         0x01010103
#define OID_802_3_MAXIMUM_LIST_SIZE                      0x01010104
#define OID_802_3_MAC_OPTIONS                            0x01010105
#define OID_802_3_ADD_MULTICAST_ADDRESS                  0x01010208
#define OID_802_3_DELETE_MULTICAST_ADDRESS               0x01010209
#define OID_802_3_RCV_ERROR_ALIGNMENT                    0x01020101
#define OID_802_3_XMIT_ONE_COLLISION                     0x01020102
#define OID_802_3_XMIT_MORE_COLLISIONS                   0x01020103
#define OID_802_3_XMIT_DEFERRED                          0x01020201
#define OID_802_3_XMIT_MAX_COLLISIONS                    0x01020202
#define OID_802_3_RCV_OVERRUN                            0x01020203
#define OID_802_3_XMIT_UNDERRUN                          0x01020204
#define OID_802_3_XMIT_HEARTBEAT_FAILURE                 0x01020205
#define OID_802_3_XMIT_TIMES_CRS_LOST                    0x01020206
#define OID_802_3_XMIT_LATE_COLLISIONS                   0x01020207
#define OID_PNP_CAPABILITIES                             0xFD010100
#define OID_PNP_SET_POWER                                0xFD010101
#define OID_PNP_QUERY_POWER                              0xFD010102
#define OID_PNP_ADD_WAKE_UP_PATTERN                      0xFD010103
#define OID_PNP_REMOVE_WAKE_UP_PATTERN                   0xFD010104
#define OID_PNP_WAKE_UP_PATTERN_LIST                     0xFD010105
#define OID_PNP_ENABLE_WAKE_UP                           0xFD010106
#define OID_PM_CURRENT_CAPABILITIES                      0xFD010107
#define OID_PM_HARDWARE_CAPABILITIES                     0xFD010108
#define OID_PM_PARAMETERS                                0xFD010109
#define OID_PM_ADD_WOL_PATTERN                           0xFD01010A
#define OID_PM_REMOVE_WOL_PATTERN                        0xFD01010B
#define OID_PM_WOL_PATTERN_LIST                          0xFD01010C
#define OID_PM_ADD_PROTOCOL_OFFLOAD                      0xFD01010D
#define OID_PM_GET_PROTOCOL_OFFLOAD                      0xFD01010E
#define OID_PM_REMOVE_PROTOCOL_OFFLOAD                   0xFD01010F
#define OID_PM_PROTOCOL_OFFLOAD_LIST                     0xFD010110
#define OID_PNP_WAKE_UP_OK                               0xFD020200
#define OID_PNP_WAKE_UP_ERROR                            0xFD020201
#define OID_OFFLOAD_ENCAPSULATION                        0x0101010A
#define OID_TCP_OFFLOAD_CURRENT_CONFIG                   0xFC01020B
#define OID_TCP_OFFLOAD_PARAMETERS                       0xFC01020C
#define OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES            0xFC01020D
#define OID_TCP_TASK_OFFLOAD                             0xFC010201
#define OID_TCP_RSC_STATISTICS                           0x0002021D
#define OID_TCP_CONNECTION_OFFLOAD_CURRENT_CONFIG        0xFC01020E
#define OID_TCP_CONNECTION_OFFLOAD_HARDWARE_CAPABILITIES 0xFC01020F
#define OID_TCP_CONNECTION_OFFLOAD_PARAMETERS            0xFC030201

/* OID_GEN_CURRENT_PACKET_FILTER */
#define NDIS_PACKET_TYPE_DIRECTED       0x00000001
#define NDIS_PACKET_TYPE_MULTICAST      0x00000002
#define NDIS_PACKET_TYPE_ALL_MULTICAST  0x00000004
#define NDIS_PACKET_TYPE_BROADCAST      0x00000008
#define NDIS_PACKET_TYPE_SOURCE_ROUTING 0x00000010
#define NDIS_PACKET_TYPE_PROMISCUOUS    0x00000020
#define NDIS_PACKET_TYPE_SMT            0x00000040
#define NDIS_PACKET_TYPE_ALL_LOCAL      0x00000080
#define NDIS_PACKET_TYPE_GROUP          0x00001000
#define NDIS_PACKET_TYPE_ALL_FUNCTIONAL 0x00002000
#define NDIS_PACKET_TYPE_FUNCTIONAL     0x00004000
#define NDIS_PACKET_TYPE_MAC_FRAME      0x00008000
#define NDIS_PACKET_TYPE_NO_LOCAL       0x00010000

/* OID_GEN_MAC_OPTIONS */
#define NDIS_MAC_OPTION_COPY_LOOKAHEAD_DATA            0x00000001
#define NDIS_MAC_OPTION_RECEIVE_SERIALIZED             0x00000002
#define NDIS_MAC_OPTION_TRANSFERS_NOT_PEND             0x00000004
#define NDIS_MAC_OPTION_NO_LOOPBACK                    0x00000008
#define NDIS_MAC_OPTION_FULL_DUPLEX                    0x00000010
#define NDIS_MAC_OPTION_EOTX_INDICATION                0x00000020
#define NDIS_MAC_OPTION_8021P_PRIORITY                 0x00000040
#define NDIS_MAC_OPTION_SUPPORTS_MAC_ADDRESS_OVERWRITE 0x00000080
#define NDIS_MAC_OPTION_RECEIVE_AT_DPC                 0x00000100
#define NDIS_MAC_OPTION_8021Q_VLAN                     0x00000200
#define NDIS_MAC_OPTION_RESERVED                       0x80000000

/* OID_GEN_STATISTICS */
#define NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_RCV   0x00000001
#define NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_RCV  0x00000002
#define NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_RCV  0x00000004
#define NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV             0x00000008
#define NDIS_STATISTICS_FLAGS_VALID_RCV_DISCARDS          0x00000010
#define NDIS_STATISTICS_FLAGS_VALID_RCV_ERROR             0x00000020
#define NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_XMIT  0x00000040
#define NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_XMIT 0x00000080
#define NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_XMIT 0x00000100
#define NDIS_STATISTICS_FLAGS_VALID_BYTES_XMIT            0x00000200
#define NDIS_STATISTICS_FLAGS_VALID_XMIT_ERROR            0x00000400
#define NDIS_STATISTICS_FLAGS_VALID_XMIT_DISCARDS         0x00008000
#define NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_RCV    0x00010000
#define NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_RCV   0x00020000
#define NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_RCV   0x00040000
#define NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_XMIT   0x00080000
#define NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_XMIT  0x00100000
#define NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_XMIT  0x00200000
#define NDIS_STATISTICS_INFO_REVISION_1                   1
#define NDIS_SIZEOF_STATISTICS_INFO_REVISION_1                                                     \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_STATISTICS_INFO, ifHCOutBroadcastOctets)
typedef struct _NDIS_STATISTICS_INFO {
    NDIS_OBJECT_HEADER Header;
    ULONG SupportedStatistics;
    ULONG64 ifInDiscards;
    ULONG64 ifInErrors;
    ULONG64 ifHCInOctets;
    ULONG64 ifHCInUcastPkts;
    ULONG64 ifHCInMulticastPkts;
    ULONG64 ifHCInBroadcastPkts;
    ULONG64 ifHCOutOctets;
    ULONG64 ifHCOutUcastPkts;
    ULONG64 ifHCOutMulticastPkts;
    ULONG64 ifHCOutBroadcastPkts;
    ULONG64 ifOutErrors;
    ULONG64 ifOutDiscards;
    ULONG64 ifHCInUcastOctets;
    ULONG64 ifHCInMulticastOctets;
    ULONG64 ifHCInBroadcastOctets;
    ULONG64 ifHCOutUcastOctets;
    ULONG64 ifHCOutMulticastOctets;
    ULONG64 ifHCOutBroadcastOctets;
} NDIS_STATISTICS_INFO, *PNDIS_STATISTICS_INFO;

/* Links: NDIS_STATUS_LINK_STATE, OID_GEN_LINK_PARAMETERS, NDIS_STATUS_OPER_STATUS */
#define NDIS_LINK_STATE_XMIT_LINK_SPEED_AUTO_NEGOTIATED 0x00000001
#define NDIS_LINK_STATE_RCV_LINK_SPEED_AUTO_NEGOTIATED  0x00000002
#define NDIS_LINK_STATE_DUPLEX_AUTO_NEGOTIATED          0x00000004
#define NDIS_LINK_STATE_PAUSE_FUNCTIONS_AUTO_NEGOTIATED 0x00000008
#define NDIS_LINK_STATE_REVISION_1                      1
#define NDIS_LINK_PARAMETERS_REVISION_1                 1
#define NDIS_OPER_STATE_REVISION_1                      1
typedef struct _NDIS_LINK_STATE {
    NDIS_OBJECT_HEADER Header;
    NDIS_MEDIA_CONNECT_STATE MediaConnectState;
    NDIS_MEDIA_DUPLEX_STATE MediaDuplexState;
    ULONG64 XmitLinkSpeed;
    ULONG64 RcvLinkSpeed;
    NDIS_SUPPORTED_PAUSE_FUNCTIONS PauseFunctions;
    ULONG AutoNegotiationFlags;
} NDIS_LINK_STATE, *PNDIS_LINK_STATE;
#define NDIS_SIZEOF_LINK_STATE_REVISION_1                                                          \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_LINK_STATE, AutoNegotiationFlags)

typedef struct _NDIS_LINK_PARAMETERS {
    NDIS_OBJECT_HEADER Header;
    NDIS_MEDIA_DUPLEX_STATE MediaDuplexState;
    ULONG64 XmitLinkSpeed;
    ULONG64 RcvLinkSpeed;
    NDIS_SUPPORTED_PAUSE_FUNCTIONS PauseFunctions;
    ULONG AutoNegotiationFlags;
} NDIS_LINK_PARAMETERS, *PNDIS_LINK_PARAMETERS;

typedef struct _NDIS_OPER_STATE {
    NDIS_OBJECT_HEADER Header;
    NET_IF_OPER_STATUS OperationalStatus;
    ULONG OperationalStatusFlags;
} NDIS_OPER_STATE, *PNDIS_OPER_STATE;
#define NDIS_SIZEOF_LINK_PARAMETERS_REVISION_1                                                     \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_LINK_PARAMETERS, AutoNegotiationFlags)
#define NDIS_SIZEOF_OPER_STATE_REVISION_1                                                          \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_OPER_STATE, OperationalStatusFlags)

/* Receive-side scaling */
#define NDIS_HASH_FUNCTION_MASK                 0x000000FF
#define NDIS_HASH_TYPE_MASK                     0x00FFFF00
#define NDIS_HASH_IPV4                          0x00000100
#define NDIS_HASH_TCP_IPV4                      0x00000200
#define NDIS_HASH_IPV6                          0x00000400
#define NDIS_HASH_IPV6_EX                       0x00000800
#define NDIS_HASH_TCP_IPV6                      0x00001000
#define NDIS_HASH_TCP_IPV6_EX                   0x00002000
#define NDIS_HASH_UDP_IPV4                      0x00004000
#define NDIS_HASH_UDP_IPV6                      0x00008000
#define NDIS_HASH_UDP_IPV6_EX                   0x00010000
#define NdisHashFunctionToeplitz                0x00000001
#define NDIS_RSS_HASH_FUNC_FROM_HASH_INFO(info) ((info) & NDIS_HASH_FUNCTION_MASK)
#define NDIS_RSS_HASH_TYPE_FROM_HASH_INFO(info) ((info) & NDIS_HASH_TYPE_MASK)
typedef struct _NDIS_RECEIVE_SCALE_CAPABILITIES {
    NDIS_OBJECT_HEADER Header;
    ULONG CapabilitiesFlags;
    ULONG NumberOfInterruptMessages;
    ULONG NumberOfReceiveQueues;
    USHORT NumberOfIndirectionTableEntries;
} NDIS_RECEIVE_SCALE_CAPABILITIES, *PNDIS_RECEIVE_SCALE_CAPABILITIES;
#define NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_1 1
#define NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_2 2
#define NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_3 3
#define NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_2                                          \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_RECEIVE_SCALE_CAPABILITIES, NumberOfIndirectionTableEntries)
#define NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_3                                          \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_RECEIVE_SCALE_CAPABILITIES, NumberOfIndirectionTableEntries)

#include <ndis/status.h>
#include <ndis/offload.h>
