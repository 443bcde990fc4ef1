/*
 * NET_BUFFER and NET_BUFFER_LIST: what a packet is, out-of-band data, pools, clones, data
 * positions.
 */
#pragma once

typedef struct _NET_BUFFER NET_BUFFER, *PNET_BUFFER;
typedef struct _NET_BUFFER_LIST NET_BUFFER_LIST, *PNET_BUFFER_LIST;
typedef struct _NET_BUFFER_LIST_CONTEXT NET_BUFFER_LIST_CONTEXT, *PNET_BUFFER_LIST_CONTEXT;
typedef struct _SCATTER_GATHER_LIST SCATTER_GATHER_LIST, *PSCATTER_GATHER_LIST;
typedef struct _NET_BUFFER_SHARED_MEMORY NET_BUFFER_SHARED_MEMORY, *PNET_BUFFER_SHARED_MEMORY;
typedef PHYSICAL_ADDRESS NDIS_PHYSICAL_ADDRESS, *PNDIS_PHYSICAL_ADDRESS;

typedef struct _NET_BUFFER_DATA {
    PNET_BUFFER Next;
    PMDL CurrentMdl;
    ULONG CurrentMdlOffset;
    union {
        ULONG DataLength;
        SIZE_T stDataLength;
    };
    PMDL MdlChain;
    ULONG DataOffset;
} NET_BUFFER_DATA, *PNET_BUFFER_DATA;

typedef union _NET_BUFFER_HEADER {
    struct {
        PNET_BUFFER Next;
        PMDL CurrentMdl;
        ULONG CurrentMdlOffset;
        union {
            ULONG DataLength;
            SIZE_T stDataLength;
        };
        PMDL MdlChain;
        ULONG DataOffset;
    };
    SLIST_HEADER Link;
} NET_BUFFER_HEADER, *PNET_BUFFER_HEADER;

struct _NET_BUFFER {
    union {
        struct {
            PNET_BUFFER Next;
            PMDL CurrentMdl;
            ULONG CurrentMdlOffset;
            union {
                ULONG DataLength;
                SIZE_T stDataLength;
            };
            PMDL MdlChain;
            ULONG DataOffset;
        };
        SLIST_HEADER Link;
        NET_BUFFER_HEADER NetBufferHeader;
    };
    USHORT ChecksumBias;
    USHORT Reserved;
    NDIS_HANDLE NdisPoolHandle;
    DECLSPEC_ALIGN(16) PVOID NdisReserved[2];
    DECLSPEC_ALIGN(16) PVOID ProtocolReserved[6];
    DECLSPEC_ALIGN(16) PVOID MiniportReserved[4];
    NDIS_PHYSICAL_ADDRESS DataPhysicalAddress;
    union {
        PNET_BUFFER_SHARED_MEMORY SharedMemoryInfo;
        PSCATTER_GATHER_LIST ScatterGatherList;
    };
};

struct DECLSPEC_ALIGN(16) _NET_BUFFER_LIST_CONTEXT {
    PNET_BUFFER_LIST_CONTEXT Next;
    USHORT Size;
    USHORT Offset;
    DECLSPEC_ALIGN(16) UCHAR ContextData[];
};

typedef enum _NDIS_NET_BUFFER_LIST_INFO {
    TcpIpChecksumNetBufferListInfo,
    TcpOffloadBytesTransferred = TcpIpChecksumNetBufferListInfo,
    IPsecOffloadV1NetBufferListInfo,
    IPsecOffloadV2NetBufferListInfo = IPsecOffloadV1NetBufferListInfo,
    TcpLargeSendNetBufferListInfo,
    TcpReceiveNoPush = TcpLargeSendNetBufferListInfo,
    ClassificationHandleNetBufferListInfo,
    Ieee8021QNetBufferListInfo,
    NetBufferListCancelId,
    MediaSpecificInformation,
    NetBufferListFrameType,
    NetBufferListProtocolId = NetBufferListFrameType,
    NetBufferListHashValue,
    NetBufferListHashInfo,
    WfpNetBufferListInfo,
    IPsecOffloadV2TunnelNetBufferListInfo,
    IPsecOffloadV2HeaderNetBufferListInfo,
    NetBufferListCorrelationId,
    NetBufferListFilteringInfo,
    MediaSpecificInformationEx,
    NblOriginalInterfaceIfIndex,
    NblReAuthWfpFlowContext = NblOriginalInterfaceIfIndex,
    TcpReceiveBytesTransferred,
    UdpRecvSegCoalesceOffloadInfo = TcpReceiveBytesTransferred,
    SwitchForwardingReserved,
    SwitchForwardingDetail,
    VirtualSubnetInfo,
    IMReserved,
    TcpRecvSegCoalesceInfo,
    UdpSegmentationOffloadInfo = TcpRecvSegCoalesceInfo,
    TcpSendOffloadsSupplementalNetBufferListInfo,
    RscTcpTimestampDelta = TcpSendOffloadsSupplementalNetBufferListInfo,
    GftOffloadInformation,
    GftFlowEntryId,
    NetBufferListInfoReserved3,
    MaxNetBufferListInfo
} NDIS_NET_BUFFER_LIST_INFO,
    *PNDIS_NET_BUFFER_LIST_INFO;

typedef struct _NET_BUFFER_LIST_DATA {
    PNET_BUFFER_LIST Next;
    PNET_BUFFER FirstNetBuffer;
} NET_BUFFER_LIST_DATA, *PNET_BUFFER_LIST_DATA;

typedef union _NET_BUFFER_LIST_HEADER {
    struct {
        PNET_BUFFER_LIST Next;
        PNET_BUFFER FirstNetBuffer;
    };
    SLIST_HEADER Link;
} NET_BUFFER_LIST_HEADER, *PNET_BUFFER_LIST_HEADER;

struct _NET_BUFFER_LIST {
    union {
        struct {
            PNET_BUFFER_LIST Next;
            PNET_BUFFER FirstNetBuffer;
        };
        SLIST_HEADER Link;
        NET_BUFFER_LIST_HEADER NetBufferListHeader;
    };
    PNET_BUFFER_LIST_CONTEXT Context;
    PNET_BUFFER_LIST ParentNetBufferList;
    NDIS_HANDLE NdisPoolHandle;
    DECLSPEC_ALIGN(16) PVOID NdisReserved[2];
    DECLSPEC_ALIGN(16) PVOID ProtocolReserved[4];
    DECLSPEC_ALIGN(16) PVOID MiniportReserved[2];
    PVOID Scratch;
    NDIS_HANDLE SourceHandle;
    ULONG NblFlags;
    LONG ChildRefCount;
    ULONG Flags;
    union {
        NDIS_STATUS Status;
        ULONG NdisReserved2;
    };
    PVOID NetBufferListInfo[MaxNetBufferListInfo];
};

#define NBL_FLAGS_PROTOCOL_RESERVED                          0xFFF00003
#define NBL_FLAGS_MINIPORT_RESERVED                          0x0000F000
#define NBL_FLAGS_SCRATCH                                    0x000F0000
#define NBL_FLAGS_NDIS_RESERVED                              0x00000FFC
#define NBL_PROT_RSVD_FLAGS                                  0xFFF00003
#define NDIS_NBL_FLAGS_SEND_READ_ONLY                        0x00000001
#define NDIS_NBL_FLAGS_RECV_READ_ONLY                        0x00000002
#define NDIS_NBL_FLAGS_HD_SPLIT                              0x00000100
#define NDIS_NBL_FLAGS_IS_IPV4                               0x00000200
#define NDIS_NBL_FLAGS_IS_IPV6                               0x00000400
#define NDIS_NBL_FLAGS_IS_TCP                                0x00000800
#define NDIS_NBL_FLAGS_IS_UDP                                0x00001000
#define NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_HEADER  0x00002000
#define NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_PAYLOAD 0x00004000
#define NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET                    0x00008000
#define NDIS_NBL_FLAGS_CAPTURE_TIMESTAMP_ON_TRANSMIT         0x00010000
#define NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL                    0x00000001
#define NDIS_RETURN_FLAGS_DISPATCH_LEVEL                     0x00000001
#define NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL              0x00000001
#define NDIS_SEND_FLAGS_DISPATCH_LEVEL                       0x00000001
#define NDIS_RECEIVE_FLAGS_RESOURCES                         0x00000002
#define NDIS_RETURN_FLAGS_SINGLE_QUEUE                       0x00000002
#define NDIS_SEND_COMPLETE_FLAGS_SINGLE_QUEUE                0x00000002
#define NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK                   0x00000002
#define NDIS_RETURN_FLAGS_SWITCH_SINGLE_SOURCE               0x00000004
#define NDIS_SEND_COMPLETE_FLAGS_SWITCH_SINGLE_SOURCE        0x00000004
#define NDIS_SEND_FLAGS_SINGLE_QUEUE                         0x00000004
#define NDIS_SEND_FLAGS_SWITCH_DESTINATION_GROUP             0x00000010
#define NDIS_SEND_FLAGS_SWITCH_SINGLE_SOURCE                 0x00000020
#define NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE                 0x00000100
#define NDIS_RECEIVE_FLAGS_SINGLE_VLAN                       0x00000200
#define NDIS_RECEIVE_FLAGS_PERFECT_FILTERED                  0x00000400
#define NDIS_RECEIVE_FLAGS_SINGLE_QUEUE                      0x00000800
#define NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID          0x00001000
#define NDIS_RECEIVE_FLAGS_MORE_NBLS                         0x00002000
#define NDIS_RECEIVE_FLAGS_SWITCH_DESTINATION_GROUP          0x00004000
#define NDIS_RECEIVE_FLAGS_SWITCH_SINGLE_SOURCE              0x00008000
#define NDIS_PROTOCOL_ID_DEFAULT                             0
#define NDIS_PROTOCOL_ID_TCP_IP                              2
#define NDIS_PROTOCOL_ID_IP6                                 3
#define NDIS_PROTOCOL_ID_MAX                                 15
#define NDIS_PROTOCOL_ID_MASK                                15

#define NET_BUFFER_NEXT_NB(nb)                 ((nb)->Next)
#define NET_BUFFER_FIRST_MDL(nb)               ((nb)->MdlChain)
#define NET_BUFFER_DATA_LENGTH(nb)             ((nb)->DataLength)
#define NET_BUFFER_DATA_OFFSET(nb)             ((nb)->DataOffset)
#define NET_BUFFER_CURRENT_MDL(nb)             ((nb)->CurrentMdl)
#define NET_BUFFER_CURRENT_MDL_OFFSET(nb)      ((nb)->CurrentMdlOffset)
#define NET_BUFFER_CHECKSUM_BIAS(nb)           ((nb)->ChecksumBias)
#define NET_BUFFER_PROTOCOL_RESERVED(nb)       ((nb)->ProtocolReserved)
#define NET_BUFFER_MINIPORT_RESERVED(nb)       ((nb)->MiniportReserved)
#define NET_BUFFER_LIST_NEXT_NBL(nbl)          ((nbl)->Next)
#define NET_BUFFER_LIST_FIRST_NB(nbl)          ((nbl)->FirstNetBuffer)
#define NET_BUFFER_LIST_FLAGS(nbl)             ((nbl)->Flags)
#define NET_BUFFER_LIST_NBL_FLAGS(nbl)         ((nbl)->NblFlags)
#define NET_BUFFER_LIST_STATUS(nbl)            ((nbl)->Status)
#define NET_BUFFER_LIST_INFO(nbl, id)          ((nbl)->NetBufferListInfo[(id)])
#define NET_BUFFER_LIST_PROTOCOL_RESERVED(nbl) ((nbl)->ProtocolReserved)
#define NET_BUFFER_LIST_MINIPORT_RESERVED(nbl) ((nbl)->MiniportReserved)
#define NET_BUFFER_LIST_CONTEXT_DATA_START(nbl)                                                    \
    ((PUCHAR)((nbl)->Context + 1) + (nbl)->Context->Offset)
#define NET_BUFFER_LIST_CONTEXT_DATA_SIZE(nbl) ((nbl)->Context->Size)
#define NBL_SET_FLAG(nbl, flag)                ((nbl)->Flags |= (flag))
#define NBL_CLEAR_FLAG(nbl, flag)              ((nbl)->Flags &= ~(flag))
#define NBL_TEST_FLAG(nbl, flag)               (((nbl)->Flags & (flag)) != 0)
#define NdisTestNblFlag(nbl, flag)             (((nbl)->NblFlags & (flag)) != 0)
#define NdisSetNblFlag(nbl, flag)              ((nbl)->NblFlags |= (flag))
#define NdisClearNblFlag(nbl, flag)            ((nbl)->NblFlags &= ~(flag))
#define NDIS_SET_NET_BUFFER_LIST_CANCEL_ID(nbl, id)                                                \
    (NET_BUFFER_LIST_INFO(nbl, NetBufferListCancelId) = (id))
#define NDIS_GET_NET_BUFFER_LIST_CANCEL_ID(nbl) (NET_BUFFER_LIST_INFO(nbl, NetBufferListCancelId))
#define NET_BUFFER_LIST_GET_HASH_VALUE(nbl)                                                        \
    ((ULONG)(ULONG_PTR)NET_BUFFER_LIST_INFO(nbl, NetBufferListHashValue))
#define NET_BUFFER_LIST_SET_HASH_VALUE(nbl, value)                                                 \
    (NET_BUFFER_LIST_INFO(nbl, NetBufferListHashValue) = (PVOID)(ULONG_PTR)(value))
#define NET_BUFFER_LIST_GET_HASH_TYPE(nbl)                                                         \
    ((ULONG)(ULONG_PTR)NET_BUFFER_LIST_INFO(nbl, NetBufferListHashInfo) & NDIS_HASH_TYPE_MASK)
#define NET_BUFFER_LIST_GET_HASH_FUNCTION(nbl)                                                     \
    ((ULONG)(ULONG_PTR)NET_BUFFER_LIST_INFO(nbl, NetBufferListHashInfo) & NDIS_HASH_FUNCTION_MASK)
#define NET_BUFFER_LIST_COALESCED_SEG_COUNT(nbl)                                                   \
    (((PNDIS_RSC_NBL_INFO) & NET_BUFFER_LIST_INFO(nbl, TcpRecvSegCoalesceInfo))                    \
         ->Info.CoalescedSegCount)
#define NET_BUFFER_LIST_DUP_ACK_COUNT(nbl)                                                         \
    (((PNDIS_RSC_NBL_INFO) & NET_BUFFER_LIST_INFO(nbl, TcpRecvSegCoalesceInfo))->Info.DupAckCount)
#define NDIS_TEST_SEND_FLAG(flags, flag) (((flags) & (flag)) == (flag))
#define NDIS_TEST_SEND_AT_DISPATCH_LEVEL(flags)                                                    \
    NDIS_TEST_SEND_FLAG(flags, NDIS_SEND_FLAGS_DISPATCH_LEVEL)
#define NDIS_TEST_SEND_COMPLETE_AT_DISPATCH_LEVEL(flags)                                           \
    NDIS_TEST_SEND_FLAG(flags, NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL)
#define NDIS_TEST_RECEIVE_FLAG(flags, flag) (((flags) & (flag)) == (flag))
#define NDIS_TEST_RECEIVE_AT_DISPATCH_LEVEL(flags)                                                 \
    NDIS_TEST_RECEIVE_FLAG(flags, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL)
#define NDIS_TEST_RECEIVE_CANNOT_PEND(flags)                                                       \
    NDIS_TEST_RECEIVE_FLAG(flags, NDIS_RECEIVE_FLAGS_RESOURCES)
#define NDIS_TEST_RECEIVE_CAN_PEND(flags)  (!NDIS_TEST_RECEIVE_CANNOT_PEND(flags))
#define NDIS_TEST_RETURN_FLAG(flags, flag) (((flags) & (flag)) == (flag))
#define NDIS_TEST_RETURN_AT_DISPATCH_LEVEL(flags)                                                  \
    NDIS_TEST_RETURN_FLAG(flags, NDIS_RETURN_FLAGS_DISPATCH_LEVEL)
#define NDIS_SET_SEND_FLAG(flags, flag)          ((flags) |= (flag))
#define NDIS_SET_SEND_COMPLETE_FLAG(flags, flag) ((flags) |= (flag))
#define NDIS_SET_RETURN_FLAG(flags, flag)        ((flags) |= (flag))
#define NDIS_SET_RECEIVE_FLAG(flags, flag)       ((flags) |= (flag))

FORCEINLINE VOID NET_BUFFER_LIST_SET_HASH_TYPE(PNET_BUFFER_LIST NetBufferList, ULONG HashType)
{
    ULONG_PTR info = (ULONG_PTR)NET_BUFFER_LIST_INFO(NetBufferList, NetBufferListHashInfo);

    NET_BUFFER_LIST_INFO(NetBufferList, NetBufferListHashInfo) =
        (PVOID)((info & ~(ULONG_PTR)NDIS_HASH_TYPE_MASK) | (HashType & NDIS_HASH_TYPE_MASK));
}

FORCEINLINE VOID NET_BUFFER_LIST_SET_HASH_FUNCTION(PNET_BUFFER_LIST NetBufferList,
                                                   ULONG HashFunction)
{
    ULONG_PTR info = (ULONG_PTR)NET_BUFFER_LIST_INFO(NetBufferList, NetBufferListHashInfo);

    NET_BUFFER_LIST_INFO(NetBufferList, NetBufferListHashInfo) =
        (PVOID)((info & ~(ULONG_PTR)NDIS_HASH_FUNCTION_MASK) |
                (HashFunction & NDIS_HASH_FUNCTION_MASK));
}

/* Pools */
typedef struct _NET_BUFFER_LIST_POOL_PARAMETERS {
    NDIS_OBJECT_HEADER Header;
    UCHAR ProtocolId;
    BOOLEAN fAllocateNetBuffer;
    USHORT ContextSize;
    ULONG PoolTag;
    ULONG DataSize;
} NET_BUFFER_LIST_POOL_PARAMETERS, *PNET_BUFFER_LIST_POOL_PARAMETERS;
#define NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 1
#define NET_BUFFER_POOL_PARAMETERS_REVISION_1      1
#define NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1                                     \
    RTL_SIZEOF_THROUGH_FIELD(NET_BUFFER_LIST_POOL_PARAMETERS, DataSize)

typedef struct _NET_BUFFER_POOL_PARAMETERS {
    NDIS_OBJECT_HEADER Header;
    ULONG PoolTag;
    ULONG DataSize;
} NET_BUFFER_POOL_PARAMETERS, *PNET_BUFFER_POOL_PARAMETERS;
#define NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1                                          \
    RTL_SIZEOF_THROUGH_FIELD(NET_BUFFER_POOL_PARAMETERS, DataSize)

typedef PMDL(NTAPI *NET_BUFFER_ALLOCATE_MDL_HANDLER)(_Inout_ PULONG BufferSize);
typedef VOID(NTAPI *NET_BUFFER_FREE_MDL_HANDLER)(PMDL Mdl);

NTKERNELAPI NDIS_HANDLE NTAPI NdisAllocateNetBufferListPool(
    _In_opt_ NDIS_HANDLE NdisHandle, PNET_BUFFER_LIST_POOL_PARAMETERS Parameters);
NTKERNELAPI VOID NTAPI NdisFreeNetBufferListPool(NDIS_HANDLE PoolHandle);
NTKERNELAPI PNET_BUFFER_LIST NTAPI NdisAllocateNetBufferList(NDIS_HANDLE PoolHandle,
                                                             USHORT ContextSize,
                                                             USHORT ContextBackFill);
NTKERNELAPI VOID NTAPI NdisFreeNetBufferList(PNET_BUFFER_LIST NetBufferList);
NTKERNELAPI PNET_BUFFER_LIST NTAPI NdisAllocateNetBufferAndNetBufferList(
    NDIS_HANDLE PoolHandle, USHORT ContextSize, USHORT ContextBackFill, _In_opt_ PMDL MdlChain,
    ULONG DataOffset, SIZE_T DataLength);
NTKERNELAPI NDIS_HANDLE NTAPI NdisAllocateNetBufferPool(_In_opt_ NDIS_HANDLE NdisHandle,
                                                        PNET_BUFFER_POOL_PARAMETERS Parameters);
NTKERNELAPI VOID NTAPI NdisFreeNetBufferPool(NDIS_HANDLE PoolHandle);
NTKERNELAPI PNET_BUFFER NTAPI NdisAllocateNetBuffer(NDIS_HANDLE PoolHandle, _In_opt_ PMDL MdlChain,
                                                    ULONG DataOffset, SIZE_T DataLength);
NTKERNELAPI PNET_BUFFER NTAPI NdisAllocateNetBufferMdlAndData(NDIS_HANDLE PoolHandle);
NTKERNELAPI VOID NTAPI NdisFreeNetBuffer(PNET_BUFFER NetBuffer);
NTKERNELAPI NDIS_HANDLE NTAPI NdisGetPoolFromNetBufferList(PNET_BUFFER_LIST NetBufferList);
NTKERNELAPI NDIS_HANDLE NTAPI NdisGetPoolFromNetBuffer(PNET_BUFFER NetBuffer);
NTKERNELAPI NDIS_STATUS NTAPI NdisAllocateNetBufferListContext(PNET_BUFFER_LIST NetBufferList,
                                                               USHORT ContextSize,
                                                               USHORT ContextBackFill,
                                                               ULONG PoolTag);
NTKERNELAPI VOID NTAPI NdisFreeNetBufferListContext(PNET_BUFFER_LIST NetBufferList,
                                                    USHORT ContextSize);

/* Derived lists */
#define NDIS_CLONE_FLAGS_RESERVED          0x00000001
#define NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS 0x00000002
NTKERNELAPI PNET_BUFFER_LIST NTAPI NdisAllocateCloneNetBufferList(
    PNET_BUFFER_LIST OriginalNetBufferList, _In_opt_ NDIS_HANDLE NetBufferListPoolHandle,
    _In_opt_ NDIS_HANDLE NetBufferPoolHandle, ULONG AllocateCloneFlags);
NTKERNELAPI VOID NTAPI NdisFreeCloneNetBufferList(PNET_BUFFER_LIST CloneNetBufferList,
                                                  ULONG FreeCloneFlags);
NTKERNELAPI PNET_BUFFER_LIST NTAPI NdisAllocateFragmentNetBufferList(
    PNET_BUFFER_LIST OriginalNetBufferList, _In_opt_ NDIS_HANDLE NetBufferListPool,
    _In_opt_ NDIS_HANDLE NetBufferPool, ULONG StartOffset, ULONG MaximumLength,
    ULONG DataOffsetDelta, ULONG DataBackFill, ULONG AllocateFragmentFlags);
NTKERNELAPI VOID NTAPI NdisFreeFragmentNetBufferList(PNET_BUFFER_LIST FragmentNetBufferList,
                                                     ULONG DataOffsetDelta,
                                                     ULONG FreeFragmentFlags);
NTKERNELAPI PNET_BUFFER_LIST NTAPI NdisAllocateReassembledNetBufferList(
    PNET_BUFFER_LIST FragmentNetBufferList, _In_opt_ NDIS_HANDLE NetBufferAndNetBufferListPool,
    ULONG StartOffset, ULONG DataOffsetDelta, ULONG DataBackFill, ULONG AllocateReassembleFlags);
NTKERNELAPI VOID NTAPI NdisFreeReassembledNetBufferList(PNET_BUFFER_LIST ReassembledNetBufferList,
                                                        ULONG DataOffsetDelta,
                                                        ULONG FreeReassembleFlags);
NTKERNELAPI VOID NTAPI NdisCopyReceiveNetBufferListInfo(PNET_BUFFER_LIST DestNetBufferList,
                                                        PNET_BUFFER_LIST SrcNetBufferList);
NTKERNELAPI VOID NTAPI NdisCopySendNetBufferListInfo(PNET_BUFFER_LIST DestNetBufferList,
                                                     PNET_BUFFER_LIST SrcNetBufferList);

/* Data */
NTKERNELAPI NDIS_STATUS NTAPI
NdisRetreatNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta, ULONG DataBackFill,
                              _In_opt_ NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler);
NTKERNELAPI VOID NTAPI
NdisAdvanceNetBufferDataStart(PNET_BUFFER NetBuffer, ULONG DataOffsetDelta, BOOLEAN FreeMdl,
                              _In_opt_ NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler);
NTKERNELAPI NDIS_STATUS NTAPI NdisRetreatNetBufferListDataStart(
    PNET_BUFFER_LIST NetBufferList, ULONG DataOffsetDelta, ULONG DataBackFill,
    _In_opt_ NET_BUFFER_ALLOCATE_MDL_HANDLER AllocateMdlHandler,
    _In_opt_ NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler);
NTKERNELAPI VOID NTAPI NdisAdvanceNetBufferListDataStart(
    PNET_BUFFER_LIST NetBufferList, ULONG DataOffsetDelta, BOOLEAN FreeMdl,
    _In_opt_ NET_BUFFER_FREE_MDL_HANDLER FreeMdlHandler);
NTKERNELAPI VOID NTAPI NdisAdjustNetBufferCurrentMdl(PNET_BUFFER NetBuffer);
NTKERNELAPI PVOID NTAPI NdisGetDataBuffer(PNET_BUFFER NetBuffer, ULONG BytesNeeded,
                                          _Out_opt_ PVOID Storage, UINT AlignMultiple,
                                          UINT AlignOffset);
NTKERNELAPI NDIS_STATUS NTAPI NdisCopyFromNetBufferToNetBuffer(
    PNET_BUFFER Destination, ULONG DestinationOffset, ULONG BytesToCopy, PNET_BUFFER Source,
    ULONG SourceOffset, _Out_ PULONG BytesCopied);
NTKERNELAPI PMDL NTAPI NdisAllocateMdl(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, UINT Length);
NTKERNELAPI VOID NTAPI NdisFreeMdl(PMDL Mdl);
#define NDIS_MDL_LINKAGE(mdl)     ((mdl)->Next)
#define NdisGetNextMdl(mdl, next) (*(next) = (mdl)->Next)
#define NdisQueryMdl(mdl, va, length, priority)                                                    \
    do {                                                                                           \
        *(va) = MmGetSystemAddressForMdlSafe(mdl, priority);                                       \
        *(length) = MmGetMdlByteCount(mdl);                                                        \
    } while (0)
#define NdisAdjustMdlLength(mdl, length) ((mdl)->ByteCount = (length))
