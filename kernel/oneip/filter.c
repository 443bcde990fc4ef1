/*
 * Filter modules: attach, restart, pause, detach, status, power.
 *
 *      attach --> paused --> restart --> running --> pause --> paused --> detach
 *
 * NDIS calls attach, restart, pause, detach and PnP events at PASSIVE_LEVEL, one at a time for a
 * module; status comes at any time at IRQL <= DISPATCH_LEVEL. (WDK: "Filter Module States and
 * Operations".)
 *
 * Not every adapter will do. The dispatcher sends frames that carry the cluster's address from its
 * own MAC to another station's, and expects that its own MAC is the one the adapter was attached
 * with: Wi-Fi infrastructure forbids the one, teams, virtual switches and NLB break the other.
 */
#include "oneip.h"

#include "cluster.h"
#include "event.h"
#include "fragment.h"
#include "stats.h"

#define OIP_DEFAULT_MTU 1500

/* Class of network adapters. WDK: "System-Defined Device Setup Classes Available to Vendors". */
#define OIP_NET_CLASS                                                                              \
    L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class\\"                            \
    L"{4D36E972-E325-11CE-BFC1-08002BE10318}"

/* Is Name in the REG_MULTI_SZ? Without regard to case. */
static BOOLEAN OipMultiSzContains(_In_reads_bytes_(Bytes) PCWSTR List, _In_ ULONG Bytes,
                                  _In_ PCWSTR Name)
{
    UNICODE_STRING wanted;
    ULONG count = Bytes / sizeof(WCHAR);
    ULONG start = 0;

    RtlInitUnicodeString(&wanted, Name);
    for (ULONG i = 0; i < count; i++)
    {
        if (List[i] == UNICODE_NULL)
        {
            UNICODE_STRING item;

            item.Buffer = (PWCH)&List[start];
            item.Length = (USHORT)((i - start) * sizeof(WCHAR));
            item.MaximumLength = item.Length;
            if (RtlEqualUnicodeString(&item, &wanted, TRUE))
            {
                return TRUE;
            }
            start = i + 1;
        }
    }
    return FALSE;
}

static NTSTATUS OipOpenSubkey(_In_opt_ HANDLE Parent, _In_ PCUNICODE_STRING Name, _Out_ PHANDLE Key)
{
    OBJECT_ATTRIBUTES attributes;

    InitializeObjectAttributes(&attributes, (PUNICODE_STRING)Name,
                               OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, Parent, NULL);
    return ZwOpenKey(Key, KEY_READ, &attributes);
}

/* Reads a value whole into pool; the caller frees it. NULL: there is none, or no memory. */
static PKEY_VALUE_PARTIAL_INFORMATION OipReadKeyValue(_In_ HANDLE Key, _In_ PCWSTR Name)
{
    UNICODE_STRING name;
    ULONG bytes = 0;
    PKEY_VALUE_PARTIAL_INFORMATION information;

    RtlInitUnicodeString(&name, Name);
    if (ZwQueryValueKey(Key, &name, KeyValuePartialInformation, NULL, 0, &bytes) !=
            STATUS_BUFFER_TOO_SMALL ||
        bytes > 64 * 1024)
    {
        return NULL;
    }
    information = ExAllocatePool2(POOL_FLAG_PAGED, bytes, OIP_TAG_FILTER);
    if (information != NULL && !NT_SUCCESS(ZwQueryValueKey(Key, &name, KeyValuePartialInformation,
                                                           information, bytes, &bytes)))
    {
        ExFreePoolWithTag(information, OIP_TAG_FILTER);
        information = NULL;
    }
    return information;
}

/* Who else is bound to the adapter whose class key this is? 0: nobody who minds. */
static UINT64 OipUpperBindRefusal(_In_ HANDLE AdapterKey)
{
    static const struct
    {
        PCWSTR Service;
        ONEIP_BIND_REFUSAL Refusal;
    } upper[] = {
        {L"NdisImPlatform", OneIpBindTeamMember}, /* LBFO's multiplexor protocol */
        {L"VMSP", OneIpBindVirtualSwitch},        /* Hyper-V's switch protocol */
        {L"WLBS", OneIpBindNlb},                  /* Network Load Balancing */
    };
    static const UNICODE_STRING linkage = RTL_CONSTANT_STRING(L"Linkage");
    PKEY_VALUE_PARTIAL_INFORMATION value;
    UINT64 refusal = 0;
    HANDLE key;

    if (!NT_SUCCESS(OipOpenSubkey(AdapterKey, &linkage, &key)))
    {
        return 0;
    }
    value = OipReadKeyValue(key, L"UpperBind");
    if (value != NULL)
    {
        for (ULONG i = 0; i < RTL_NUMBER_OF(upper) && value->Type == REG_MULTI_SZ; i++)
        {
            if (OipMultiSzContains((PCWSTR)value->Data, value->DataLength, upper[i].Service))
            {
                refusal = upper[i].Refusal;
                break;
            }
        }
        ExFreePoolWithTag(value, OIP_TAG_FILTER);
    }
    ZwClose(key);
    return refusal;
}

/* Finds the adapter's class key by its NetCfgInstanceId, which ends the miniport's device name. */
static UINT64 OipBindingRefusal(_In_ PCUNICODE_STRING MiniportName)
{
    static const UNICODE_STRING className = RTL_CONSTANT_STRING(OIP_NET_CLASS);
    union
    {
        KEY_BASIC_INFORMATION Information;
        UCHAR Bytes[FIELD_OFFSET(KEY_BASIC_INFORMATION, Name) + 32 * sizeof(WCHAR)];
    } sub;
    UINT64 refusal = 0;
    HANDLE classKey;
    ULONG bytes;

    PAGED_CODE();
    if (!NT_SUCCESS(OipOpenSubkey(NULL, &className, &classKey)))
    {
        return 0;
    }
    for (ULONG index = 0;; index++)
    {
        NTSTATUS status =
            ZwEnumerateKey(classKey, index, KeyBasicInformation, &sub, sizeof(sub), &bytes);
        PKEY_VALUE_PARTIAL_INFORMATION id;
        UNICODE_STRING name;
        HANDLE adapter;

        if (status == STATUS_BUFFER_OVERFLOW)
        {
            continue; /* "Properties" and the like are longer than an instance's number */
        }
        if (!NT_SUCCESS(status))
        {
            break;
        }
        name.Buffer = sub.Information.Name;
        name.Length = name.MaximumLength = (USHORT)sub.Information.NameLength;
        if (!NT_SUCCESS(OipOpenSubkey(classKey, &name, &adapter)))
        {
            continue;
        }
        id = OipReadKeyValue(adapter, L"NetCfgInstanceId");
        if (id != NULL && id->Type == REG_SZ && id->DataLength >= sizeof(WCHAR))
        {
            UNICODE_STRING guid;
            UNICODE_STRING end;

            guid.Buffer = (PWCH)id->Data;
            guid.Length = guid.MaximumLength = (USHORT)(id->DataLength - sizeof(WCHAR));
            if (guid.Length != 0 && guid.Length <= MiniportName->Length)
            {
                end.Buffer =
                    MiniportName->Buffer + (MiniportName->Length - guid.Length) / sizeof(WCHAR);
                end.Length = end.MaximumLength = guid.Length;
                if (RtlEqualUnicodeString(&guid, &end, TRUE))
                {
                    refusal = OipUpperBindRefusal(adapter);
                }
            }
        }
        if (id != NULL)
        {
            ExFreePoolWithTag(id, OIP_TAG_FILTER);
        }
        ZwClose(adapter);
    }
    ZwClose(classKey);
    return refusal;
}

static UINT64 OipAttachRefusal(_In_ const NDIS_FILTER_ATTACH_PARAMETERS *Parameters)
{
    if (Parameters->MiniportMediaType != NdisMedium802_3 || Parameters->MacAddressLength != 6)
    {
        return OneIpBindNotEthernet;
    }
    if (Parameters->MiniportPhysicalMediaType == NdisPhysicalMediumNative802_11 ||
        Parameters->MiniportPhysicalMediaType == NdisPhysicalMediumWirelessLan)
    {
        return OneIpBindWifi;
    }
    return OipBindingRefusal(Parameters->BaseMiniportName);
}

/* What of an offload configuration matters to us. */
static VOID OipReadOffload(_In_opt_ const NDIS_OFFLOAD *From, _Out_ OIP_OFFLOAD *To)
{
    RtlZeroMemory(To, sizeof(*To));
    if (From == NULL || From->Header.Size < NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1)
    {
        return;
    }
    To->ChecksumTcp4 = From->Checksum.IPv4Transmit.TcpChecksum == NDIS_OFFLOAD_SUPPORTED &&
                       From->Checksum.IPv4Transmit.TcpOptionsSupported == NDIS_OFFLOAD_SUPPORTED;
    To->ChecksumUdp4 = From->Checksum.IPv4Transmit.UdpChecksum == NDIS_OFFLOAD_SUPPORTED;
    To->ChecksumTcp6 = From->Checksum.IPv6Transmit.TcpChecksum == NDIS_OFFLOAD_SUPPORTED &&
                       From->Checksum.IPv6Transmit.TcpOptionsSupported == NDIS_OFFLOAD_SUPPORTED;
    To->ChecksumUdp6 = From->Checksum.IPv6Transmit.UdpChecksum == NDIS_OFFLOAD_SUPPORTED;
    if ((From->LsoV2.IPv4.Encapsulation & NDIS_ENCAPSULATION_IEEE_802_3) != 0)
    {
        To->LsoMax4 = From->LsoV2.IPv4.MaxOffLoadSize;
        To->LsoMin4 = From->LsoV2.IPv4.MinSegmentCount;
    }
    if ((From->LsoV2.IPv6.Encapsulation & NDIS_ENCAPSULATION_IEEE_802_3) != 0 &&
        From->LsoV2.IPv6.TcpOptionsSupported == NDIS_OFFLOAD_SUPPORTED)
    {
        To->LsoMax6 = From->LsoV2.IPv6.MaxOffLoadSize;
        To->LsoMin6 = From->LsoV2.IPv6.MinSegmentCount;
    }
    if (From->Header.Revision >= NDIS_OFFLOAD_REVISION_3 &&
        From->Header.Size >= NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_3)
    {
        To->Rsc4 = From->Rsc.IPv4.Enabled;
        To->Rsc6 = From->Rsc.IPv6.Enabled;
    }
}

/* Own NBLs and their data for the adapter's MTU. The filter is paused. */
static NDIS_STATUS OipCreatePool(_Inout_ OIP_FILTER *Filter, _In_ ULONG Mtu)
{
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {0};
    NDIS_HANDLE pool;

    if (Filter->Pool != NULL && Filter->Mtu == Mtu)
    {
        return NDIS_STATUS_SUCCESS;
    }
    parameters.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    parameters.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    parameters.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    parameters.ProtocolId = NDIS_PROTOCOL_ID_DEFAULT;
    parameters.fAllocateNetBuffer = TRUE;
    parameters.ContextSize = sizeof(OIP_SEND_CONTEXT);
    parameters.PoolTag = OIP_TAG_PACKET;
    parameters.DataSize = Mtu + OIP_ETHERNET_BYTES + OIP_MAX_VLAN_TAGS * OIP_VLAN_TAG_BYTES;
    pool = NdisAllocateNetBufferListPool(Filter->Handle, &parameters);
    if (pool == NULL)
    {
        return NDIS_STATUS_RESOURCES;
    }
    if (Filter->Pool != NULL)
    {
        NdisFreeNetBufferListPool(Filter->Pool);
    }
    Filter->Pool = pool;
    Filter->Mtu = Mtu;
    Filter->BufferBytes = parameters.DataSize;
    return NDIS_STATUS_SUCCESS;
}

static VOID OipFreeFilter(_In_ OIP_FILTER *Filter)
{
    if (Filter->Pool != NULL)
    {
        NdisFreeNetBufferListPool(Filter->Pool);
    }
    OipFragmentsDestroy(Filter->Fragments);
    if (Filter->Sends != NULL)
    {
        ExFreeCacheAwareRundownProtection(Filter->Sends);
    }
    ExFreePoolWithTag(Filter, OIP_TAG_FILTER);
}

_Use_decl_annotations_ NDIS_STATUS OipFilterAttach(NDIS_HANDLE NdisFilterHandle,
                                                   NDIS_HANDLE FilterDriverContext,
                                                   PNDIS_FILTER_ATTACH_PARAMETERS AttachParameters)
{
    NDIS_FILTER_ATTRIBUTES attributes = {0};
    OIP_FILTER *filter;
    NDIS_STATUS status;
    UINT64 refusal = OipAttachRefusal(AttachParameters);

    UNREFERENCED_PARAMETER(FilterDriverContext);
    if (refusal != 0)
    {
        ONEIP_EVENT event = {0};

        event.Kind = OneIpEventBindRefused;
        event.Value = refusal;
        RtlCopyMemory(event.Mac, AttachParameters->CurrentMacAddress, sizeof(event.Mac));
        OipEventRaise(&event);
        return NDIS_STATUS_NOT_SUPPORTED;
    }

    filter = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*filter), OIP_TAG_FILTER);
    if (filter == NULL)
    {
        return NDIS_STATUS_RESOURCES;
    }
    filter->Handle = NdisFilterHandle;
    RtlCopyMemory(filter->Mac, AttachParameters->CurrentMacAddress, sizeof(filter->Mac));
    filter->Connected = AttachParameters->MediaConnectState != MediaConnectStateDisconnected;
    OipReadOffload(AttachParameters->DefaultOffloadConfiguration, &filter->Offload);
    KeInitializeSpinLock(&filter->OidLock);
    KeInitializeEvent(&filter->OidIdle, NotificationEvent, TRUE);
    KeInitializeEvent(&filter->OidDone, SynchronizationEvent, FALSE);
    filter->Sends = ExAllocateCacheAwareRundownProtection(NonPagedPoolNx, OIP_TAG_FILTER);
    filter->Fragments = OipFragmentsCreate();
    if (filter->Sends == NULL || filter->Fragments == NULL)
    {
        OipFreeFilter(filter);
        return NDIS_STATUS_RESOURCES;
    }
    /* Paused: nothing of our own may be made. */
    ExWaitForRundownProtectionReleaseCacheAware(filter->Sends);
    status = OipCreatePool(filter, OIP_DEFAULT_MTU);
    if (status == NDIS_STATUS_SUCCESS)
    {
        attributes.Header.Type = NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES;
        attributes.Header.Revision = NDIS_FILTER_ATTRIBUTES_REVISION_1;
        attributes.Header.Size = NDIS_SIZEOF_FILTER_ATTRIBUTES_REVISION_1;
        status = NdisFSetAttributes(NdisFilterHandle, filter, &attributes);
    }
    if (status != NDIS_STATUS_SUCCESS)
    {
        OipFreeFilter(filter);
        return status;
    }

    OipControlLock();
    OipClusterAttach(filter);
    OipControlUnlock();
    return NDIS_STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID OipFilterDetach(NDIS_HANDLE FilterModuleContext)
{
    OIP_FILTER *filter = FilterModuleContext;

    OipControlLock();
    OipClusterDetach(filter);
    OipControlUnlock();
    KeWaitForSingleObject(&filter->OidIdle, Executive, KernelMode, FALSE, NULL);
    OipFreeFilter(filter);
}

/* The MTU of the adapter below, as NDIS tells it on restart. */
static ULONG OipRestartMtu(_In_ const NDIS_FILTER_RESTART_PARAMETERS *Parameters)
{
    for (PNDIS_RESTART_ATTRIBUTES attribute = Parameters->RestartAttributes; attribute != NULL;
         attribute = attribute->Next)
    {
        if (attribute->Oid == OID_GEN_MINIPORT_RESTART_ATTRIBUTES &&
            attribute->DataLength >= NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_1)
        {
            return ((const NDIS_RESTART_GENERAL_ATTRIBUTES *)attribute->Data)->MtuSize;
        }
    }
    return OIP_DEFAULT_MTU;
}

_Use_decl_annotations_ NDIS_STATUS
OipFilterRestart(NDIS_HANDLE FilterModuleContext, PNDIS_FILTER_RESTART_PARAMETERS RestartParameters)
{
    OIP_FILTER *filter = FilterModuleContext;
    NDIS_STATUS status;

    OipControlLock();
    status = OipCreatePool(filter, OipRestartMtu(RestartParameters));
    if (status == NDIS_STATUS_SUCCESS)
    {
        ExReInitializeRundownProtectionCacheAware(filter->Sends);
        OipFragmentsOpen(filter);
        OipClusterRunning(filter, TRUE);
    }
    OipControlUnlock();
    return status;
}

_Use_decl_annotations_ NDIS_STATUS OipFilterPause(NDIS_HANDLE FilterModuleContext,
                                                  PNDIS_FILTER_PAUSE_PARAMETERS PauseParameters)
{
    OIP_FILTER *filter = FilterModuleContext;

    UNREFERENCED_PARAMETER(PauseParameters);
    OipControlLock();
    OipClusterRunning(filter, FALSE);
    OipControlUnlock();
    OipFragmentsClose(filter);
    /* An OID request of our own may be out. */
    KeWaitForSingleObject(&filter->OidIdle, Executive, KernelMode, FALSE, NULL);
    /* Nothing new is made from here on; what is out comes home, and with it what it was lent. */
    ExWaitForRundownProtectionReleaseCacheAware(filter->Sends);
    return NDIS_STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID OipFilterStatus(NDIS_HANDLE FilterModuleContext,
                                            PNDIS_STATUS_INDICATION StatusIndication)
{
    OIP_FILTER *filter = FilterModuleContext;

    switch (StatusIndication->StatusCode)
    {
    case NDIS_STATUS_LINK_STATE:
        if (StatusIndication->StatusBufferSize >= NDIS_SIZEOF_LINK_STATE_REVISION_1)
        {
            const NDIS_LINK_STATE *link = StatusIndication->StatusBuffer;

            OipClusterConnected(filter, link->MediaConnectState != MediaConnectStateDisconnected);
        }
        break;
    case NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG:
        if (StatusIndication->StatusBufferSize >= NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1)
        {
            OIP_OFFLOAD offload;

            OipReadOffload(StatusIndication->StatusBuffer, &offload);
            OipClusterOffload(filter, &offload);
        }
        break;
    default:
        break;
    }
    NdisFIndicateStatus(filter->Handle, StatusIndication);
}

/*
 * What NDIS tells the protocols above, before it happens: while the stack still runs there is time
 * to resign. (WDK: "Handling PnP Events and Power Management Events in a Filter Driver".)
 */
_Use_decl_annotations_ NDIS_STATUS OipFilterNetPnPEvent(
    NDIS_HANDLE FilterModuleContext, PNET_PNP_EVENT_NOTIFICATION NetPnPEventNotification)
{
    OIP_FILTER *filter = FilterModuleContext;
    const NET_PNP_EVENT *event = &NetPnPEventNotification->NetPnPEvent;

    switch (event->NetEvent)
    {
    case NetEventPause:
        OipClusterLeaving(filter, TRUE);
        break;
    case NetEventRestart:
        OipClusterLeaving(filter, FALSE);
        break;
    case NetEventSetPower:
        if (event->Buffer != NULL && event->BufferLength >= sizeof(NDIS_DEVICE_POWER_STATE))
        {
            OipClusterLeaving(filter,
                              *(const NDIS_DEVICE_POWER_STATE *)event->Buffer != NdisDeviceStateD0);
        }
        break;
    default:
        break;
    }
    return NdisFNetPnPEvent(filter->Handle, NetPnPEventNotification);
}
