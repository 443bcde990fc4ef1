/*
 * The control device: ntswift/oneip.h over IRPs.
 *
 * All control codes are METHOD_BUFFERED: input and output share one system buffer, so input is
 * read in full before output is written. The I/O manager has already checked that the handle may
 * read or write, as the code demands. A table says how long input and output must at least be, so
 * no handler has to ask.
 *
 * Handlers run at PASSIVE_LEVEL under ControlLock, but WAIT_EVENT, which pends.
 */
#include "control.h"

#include <wdmsec.h>

#include "cluster.h"
#include "config.h"
#include "dispatch.h"
#include "event.h"
#include "flows.h"
#include "fragment.h"
#include "stats.h"

static DRIVER_DISPATCH OipCreate;
static DRIVER_DISPATCH OipCleanup;
static DRIVER_DISPATCH OipClose;
static DRIVER_DISPATCH OipDeviceControl;

typedef NTSTATUS OIP_HANDLER(_Inout_ OIP_CALL *Call);

static NTSTATUS OipGetVersion(_Inout_ OIP_CALL *Call)
{
    ONEIP_VERSION *version = Call->Buffer;

    RtlZeroMemory(version, sizeof(*version));
    version->Contract = ONEIP_CONTRACT_VERSION;
    version->DriverVersion = OIP_DRIVER_VERSION;
    version->TableSlots = ONEIP_TABLE_SLOTS;
    version->MaxMembers = ONEIP_MAX_MEMBERS;
    version->MaxAddresses = ONEIP_MAX_ADDRESSES;
    Call->Written = sizeof(*version);
    return STATUS_SUCCESS;
}

static NTSTATUS OipSetConfig(_Inout_ OIP_CALL *Call)
{
    OIP_CONFIGURATION *config;
    OIP_FLOW_TABLE *flows;
    BOOLEAN resetReplay;
    NTSTATUS status = OipConfigBuild(Call->Buffer, Call->InputBytes, Oip.Config, &config,
                                     &resetReplay, &Call->Fault);

    if (!NT_SUCCESS(status) || config == NULL)
    {
        return status;
    }
    flows = OipFlowsFor(&config->Header, config->Header.BeaconKey);
    if (flows == NULL)
    {
        ExFreePoolWithTag(config, OIP_TAG_CONFIG);
        return OipRefuse(Call, OneIpReasonNoMemory, STATUS_INSUFFICIENT_RESOURCES);
    }
    OipFlowsUse(flows, &config->Header);
    OipClusterConfigure(config, resetReplay);
    return STATUS_SUCCESS;
}

static NTSTATUS OipClearConfig(_Inout_ OIP_CALL *Call)
{
    if (Oip.Config == NULL)
    {
        return OipRefuse(Call, OneIpReasonNotConfigured, STATUS_INVALID_DEVICE_STATE);
    }
    OipClusterConfigure(NULL, TRUE);
    OipFlowsUse(NULL, NULL);
    return STATUS_SUCCESS;
}

static NTSTATUS OipGetConfig(_Inout_ OIP_CALL *Call)
{
    if (Oip.Config == NULL)
    {
        return OipRefuse(Call, OneIpReasonNotConfigured, STATUS_INVALID_DEVICE_STATE);
    }
    if (Call->OutputBytes < OipConfigBytes(Oip.Config))
    {
        return OipRefuse(Call, OneIpReasonOutputTooShort, STATUS_BUFFER_TOO_SMALL);
    }
    OipConfigWrite(Oip.Config, Call->Buffer);
    Call->Written = OipConfigBytes(Oip.Config);
    return STATUS_SUCCESS;
}

static NTSTATUS OipGetStatus(_Inout_ OIP_CALL *Call)
{
    ONEIP_STATUS *status = Call->Buffer;
    ULONG members = Oip.Config == NULL ? 0 : Oip.Config->Header.MemberCount;

    if (Call->OutputBytes < sizeof(*status) + members * sizeof(ONEIP_MEMBER_STATUS))
    {
        return OipRefuse(Call, OneIpReasonOutputTooShort, STATUS_BUFFER_TOO_SMALL);
    }
    OipClusterStatus(status, (ONEIP_MEMBER_STATUS *)(status + 1));
    Call->Written = sizeof(*status) + members * (ULONG)sizeof(ONEIP_MEMBER_STATUS);
    return STATUS_SUCCESS;
}

static NTSTATUS OipGetStats(_Inout_ OIP_CALL *Call)
{
    ONEIP_STATS *stats = Call->Buffer;
    KIRQL irql;

    OipStatsSum(stats);
    KeAcquireSpinLock(&Oip.RoleLock, &irql);
    stats->Stalls = Oip.Role.Stalls;
    stats->FragmentsHeld = Oip.Bound == NULL ? 0 : OipFragmentsHeld(Oip.Bound);
    KeReleaseSpinLock(&Oip.RoleLock, irql);
    Call->Written = sizeof(*stats);
    return STATUS_SUCCESS;
}

static NTSTATUS OipSetPrimary(_Inout_ OIP_CALL *Call)
{
    Call->Fault.Reason = OipClusterSetPrimary();
    return Call->Fault.Reason == OneIpReasonNone ? STATUS_SUCCESS : STATUS_INVALID_DEVICE_STATE;
}

static NTSTATUS OipSetVeto(_Inout_ OIP_CALL *Call)
{
    const ONEIP_VETO *veto = Call->Buffer;

    if (veto->Reserved != 0)
    {
        return OipRefuse(Call, OneIpReasonReserved, STATUS_INVALID_PARAMETER);
    }
    if (veto->Veto > 1)
    {
        return OipRefuse(Call, OneIpReasonValue, STATUS_INVALID_PARAMETER);
    }
    OipClusterSetVeto(veto->Veto != 0);
    return STATUS_SUCCESS;
}

static NTSTATUS OipSetDrain(_Inout_ OIP_CALL *Call)
{
    const ONEIP_DRAIN *drain = Call->Buffer;

    if (drain->Reserved != 0)
    {
        return OipRefuse(Call, OneIpReasonReserved, STATUS_INVALID_PARAMETER);
    }
    if (drain->Drain > 1)
    {
        return OipRefuse(Call, OneIpReasonValue, STATUS_INVALID_PARAMETER);
    }
    OipClusterSetDrain(drain->Drain != 0);
    return STATUS_SUCCESS;
}

static NTSTATUS OipGetRules(_Inout_ OIP_CALL *Call)
{
    const OIP_CONFIGURATION *config = Oip.Config;
    ONEIP_RULE_STATUS *status = Call->Buffer;
    LOCK_STATE_EX lockState;
    ULONG places;

    if (config == NULL)
    {
        return OipRefuse(Call, OneIpReasonNotConfigured, STATUS_INVALID_DEVICE_STATE);
    }
    places = config->Header.RuleCount + 1;
    if (Call->OutputBytes < places * sizeof(*status))
    {
        return OipRefuse(Call, OneIpReasonOutputTooShort, STATUS_BUFFER_TOO_SMALL);
    }
    RtlZeroMemory(status, places * sizeof(*status));
    NdisAcquireRWLockRead(Oip.DataLock, &lockState, 0);
    for (ULONG i = 0; i < places; i++)
    {
        BOOLEAN last = i == config->Header.RuleCount;
        OIP_RULE_COUNTERS sum;

        OipStatsRule(last ? ONEIP_MAX_RULES : i, &sum);
        status[i].Frames = sum.Frames;
        status[i].Bytes = sum.Bytes;
        status[i].Flows = sum.Flows;
        status[i].Dropped = sum.Dropped;
        if (last)
        {
            status[i].Rule.Affinity = config->Header.Affinity;
        }
        else
        {
            ULONG server = config->View->Single[i];

            status[i].Rule = config->Rules[i];
            status[i].NodeId = server == OIP_TABLE_NONE ? 0 : config->Members[server].NodeId;
        }
    }
    NdisReleaseRWLock(Oip.DataLock, &lockState);
    Call->Written = places * (ULONG)sizeof(*status);
    return STATUS_SUCCESS;
}

static NTSTATUS OipLookup(_Inout_ OIP_CALL *Call)
{
    ONEIP_LOOKUP lookup = *(const ONEIP_LOOKUP *)Call->Buffer;
    ONEIP_LOOKUP_RESULT *result = Call->Buffer;
    const OIP_CONFIGURATION *config = Oip.Config;
    LOCK_STATE_EX lockState;
    OIP_SUBJECT subject;
    OIP_CHOICE choice;
    OIP_FLOW_KEY key;
    OIP_FLOW flow;
    ULONG server = OIP_TABLE_NONE;

    if (config == NULL)
    {
        return OipRefuse(Call, OneIpReasonNotConfigured, STATUS_INVALID_DEVICE_STATE);
    }
    if (lookup.Client.Reserved != 0 || lookup.Cluster.Reserved != 0)
    {
        return OipRefuse(Call, OneIpReasonReserved, STATUS_INVALID_PARAMETER);
    }
    if (lookup.Protocol > 255 ||
        ((lookup.Protocol == 0 || lookup.Protocol == 1 || lookup.Protocol == 58) &&
         (lookup.ClientPort != 0 || lookup.ClusterPort != 0)))
    {
        return OipRefuse(Call, OneIpReasonValue, STATUS_INVALID_PARAMETER);
    }
    if ((lookup.Client.Family != OneIpFamilyIpv4 && lookup.Client.Family != OneIpFamilyIpv6) ||
        lookup.Client.Family != lookup.Cluster.Family ||
        !(lookup.Cluster.Family == OneIpFamilyIpv4
              ? OipIsClusterIpv4(config, lookup.Cluster.Address)
              : OipIsClusterIpv6(config, lookup.Cluster.Address)))
    {
        return OipRefuse(Call, OneIpReasonAddress, STATUS_INVALID_PARAMETER);
    }

    subject.Family = (UCHAR)lookup.Client.Family;
    subject.Protocol = (UCHAR)lookup.Protocol;
    subject.HasPorts = lookup.Protocol == OIP_PROTOCOL_TCP || lookup.Protocol == OIP_PROTOCOL_UDP;
    subject.ClientPort = lookup.ClientPort;
    subject.ClusterPort = lookup.ClusterPort;
    subject.Client = lookup.Client.Address;
    subject.Cluster = lookup.Cluster.Address;
    OipFlowKey(&key, subject.Family, subject.Client, subject.Cluster, subject.Protocol,
               subject.ClientPort | ((UINT32)subject.ClusterPort << 16));
    NdisAcquireRWLockRead(Oip.DataLock, &lockState, 0);
    OipChoose(config, &subject, &choice);
    if (subject.HasPorts &&
        OipFlowFind(Oip.Flows, &key, OipFlowHash(Oip.Flows, &key), OipFlowTime(OipNow()), &flow))
    {
        server = config->ByHandle[flow.Owner];
    }
    NdisReleaseRWLock(Oip.DataLock, &lockState);

    result->NodeId = choice.Member == OIP_TABLE_NONE ? 0 : config->Members[choice.Member].NodeId;
    result->Slot = choice.Slot;
    result->Rule = choice.Rule == OIP_RULE_NONE ? MAXULONG : choice.Rule;
    result->Flow = server == OIP_TABLE_NONE ? 0 : config->Members[server].NodeId;
    Call->Written = sizeof(*result);
    return STATUS_SUCCESS;
}

static NTSTATUS OipGetRefusal(_Inout_ OIP_CALL *Call)
{
    ONEIP_REFUSAL *refusal = Call->Buffer;
    KIRQL irql;

    KeAcquireSpinLock(&Call->Handle->Lock, &irql);
    *refusal = Call->Handle->Refusal;
    KeReleaseSpinLock(&Call->Handle->Lock, irql);
    Call->Written = sizeof(*refusal);
    return STATUS_SUCCESS;
}

static const struct
{
    ULONG Code;
    ULONG MinInput;
    ULONG MaxInput;
    ULONG MinOutput;
    OIP_HANDLER *Handler; /* NULL: WAIT_EVENT, which has the IRP to itself */
} Calls[] = {
    {ONEIP_IOCTL_GET_VERSION, 0, 0, sizeof(ONEIP_VERSION), OipGetVersion},
    {ONEIP_IOCTL_SET_CONFIG, sizeof(ONEIP_CONFIG), MAXULONG, 0, OipSetConfig},
    {ONEIP_IOCTL_CLEAR_CONFIG, 0, 0, 0, OipClearConfig},
    {ONEIP_IOCTL_GET_CONFIG, 0, 0, sizeof(ONEIP_CONFIG), OipGetConfig},
    {ONEIP_IOCTL_GET_STATUS, 0, 0, sizeof(ONEIP_STATUS), OipGetStatus},
    {ONEIP_IOCTL_GET_STATS, 0, 0, sizeof(ONEIP_STATS), OipGetStats},
    {ONEIP_IOCTL_WAIT_EVENT, sizeof(ONEIP_WAIT_EVENT), sizeof(ONEIP_WAIT_EVENT),
     sizeof(ONEIP_EVENT), NULL},
    {ONEIP_IOCTL_SET_PRIMARY, 0, 0, 0, OipSetPrimary},
    {ONEIP_IOCTL_SET_VETO, sizeof(ONEIP_VETO), sizeof(ONEIP_VETO), 0, OipSetVeto},
    {ONEIP_IOCTL_LOOKUP, sizeof(ONEIP_LOOKUP), sizeof(ONEIP_LOOKUP), sizeof(ONEIP_LOOKUP_RESULT),
     OipLookup},
    {ONEIP_IOCTL_GET_REFUSAL, 0, 0, sizeof(ONEIP_REFUSAL), OipGetRefusal},
    {ONEIP_IOCTL_SET_DRAIN, sizeof(ONEIP_DRAIN), sizeof(ONEIP_DRAIN), 0, OipSetDrain},
    {ONEIP_IOCTL_GET_FLOWS, sizeof(ONEIP_FLOW_QUERY), sizeof(ONEIP_FLOW_QUERY),
     sizeof(ONEIP_FLOW_PAGE) + OIP_FLOW_WAYS * sizeof(ONEIP_FLOW), OipGetFlows},
    {ONEIP_IOCTL_IMPORT_FLOWS, sizeof(ONEIP_FLOW_IMPORT), MAXULONG, sizeof(ONEIP_FLOW_IMPORTED),
     OipImportFlows},
    {ONEIP_IOCTL_COUNT_FLOWS, 0, 0, sizeof(ONEIP_FLOW_COUNTS), OipCountFlows},
    {ONEIP_IOCTL_GET_RULES, 0, 0, sizeof(ONEIP_RULE_STATUS), OipGetRules},
};

static VOID OipRemember(_Inout_ OIP_HANDLE *Handle, _In_ ULONG Code, _In_ NTSTATUS Status,
                        _In_ const OIP_FAULT *Fault)
{
    KIRQL irql;

    KeAcquireSpinLock(&Handle->Lock, &irql);
    Handle->Refusal.Ioctl = Code;
    Handle->Refusal.Status = (UINT32)Status;
    Handle->Refusal.Reason = Fault->Reason;
    Handle->Refusal.Index = Fault->Index;
    KeReleaseSpinLock(&Handle->Lock, irql);
}

static NTSTATUS OipComplete(_In_ PIRP Irp, _In_ NTSTATUS Status, _In_ ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

_Use_decl_annotations_ static NTSTATUS OipDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    OIP_CALL call = {0};
    BOOLEAN pending = FALSE;
    NTSTATUS status;
    ULONG i;

    UNREFERENCED_PARAMETER(DeviceObject);
    call.Buffer = Irp->AssociatedIrp.SystemBuffer;
    call.InputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    call.OutputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    call.Handle = stack->FileObject->FsContext;

    for (i = 0; i < RTL_NUMBER_OF(Calls) && Calls[i].Code != code; i++)
    {
    }
    if (i == RTL_NUMBER_OF(Calls))
    {
        status = OipRefuse(&call, OneIpReasonUnknownIoctl, STATUS_INVALID_DEVICE_REQUEST);
    }
    else if (call.InputBytes < Calls[i].MinInput)
    {
        status = OipRefuse(&call, OneIpReasonInputTooShort, STATUS_INFO_LENGTH_MISMATCH);
    }
    else if (call.InputBytes > Calls[i].MaxInput)
    {
        status = OipRefuse(&call, OneIpReasonSize, STATUS_INFO_LENGTH_MISMATCH);
    }
    else if (call.OutputBytes < Calls[i].MinOutput)
    {
        status = OipRefuse(&call, OneIpReasonOutputTooShort, STATUS_BUFFER_TOO_SMALL);
    }
    else if (Calls[i].Handler == NULL)
    {
        /* Marked before others may complete it; so STATUS_PENDING is right in every case. */
        IoMarkIrpPending(Irp);
        pending = TRUE;
        status = OipEventWait(Irp, &call.Written, &call.Fault.Reason);
        if (status == STATUS_PENDING)
        {
            return status;
        }
    }
    else
    {
        OipControlLock();
        status = Calls[i].Handler(&call);
        OipControlUnlock();
    }

    if (!NT_SUCCESS(status))
    {
        OipRemember(call.Handle, code, status, &call.Fault);
    }
    (VOID) OipComplete(Irp, status, NT_SUCCESS(status) ? call.Written : 0);
    return pending ? STATUS_PENDING : status;
}

_Use_decl_annotations_ static NTSTATUS OipCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    OIP_HANDLE *handle = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*handle), OIP_TAG_CONTROL);

    UNREFERENCED_PARAMETER(DeviceObject);
    if (handle == NULL)
    {
        return OipComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    KeInitializeSpinLock(&handle->Lock);
    IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext = handle;
    return OipComplete(Irp, STATUS_SUCCESS, FILE_OPENED);
}

_Use_decl_annotations_ static NTSTATUS OipCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    OipEventCancel(IoGetCurrentIrpStackLocation(Irp)->FileObject);
    return OipComplete(Irp, STATUS_SUCCESS, 0);
}

_Use_decl_annotations_ static NTSTATUS OipClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;

    UNREFERENCED_PARAMETER(DeviceObject);
    ExFreePoolWithTag(file->FsContext, OIP_TAG_CONTROL);
    file->FsContext = NULL;
    return OipComplete(Irp, STATUS_SUCCESS, 0);
}

NTSTATUS OipControlCreate(VOID)
{
    static const UNICODE_STRING device = RTL_CONSTANT_STRING(ONEIP_DEVICE_NAME);
    static const UNICODE_STRING link = RTL_CONSTANT_STRING(ONEIP_LINK_NAME);
    PDRIVER_DISPATCH dispatch[IRP_MJ_MAXIMUM_FUNCTION + 1] = {0};
    NDIS_DEVICE_OBJECT_ATTRIBUTES attributes = {0};

    dispatch[IRP_MJ_CREATE] = OipCreate;
    dispatch[IRP_MJ_CLEANUP] = OipCleanup;
    dispatch[IRP_MJ_CLOSE] = OipClose;
    dispatch[IRP_MJ_DEVICE_CONTROL] = OipDeviceControl;
    attributes.Header.Type = NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES;
    attributes.Header.Revision = NDIS_DEVICE_OBJECT_ATTRIBUTES_REVISION_1;
    attributes.Header.Size = NDIS_SIZEOF_DEVICE_OBJECT_ATTRIBUTES_REVISION_1;
    attributes.DeviceName = (PNDIS_STRING)&device;
    attributes.SymbolicName = (PNDIS_STRING)&link;
    attributes.MajorFunctions = dispatch;
    attributes.DefaultSDDLString = &SDDL_DEVOBJ_SYS_ALL_ADM_ALL;
    return NdisRegisterDeviceEx(Oip.FilterDriver, &attributes, &Oip.Device, &Oip.DeviceHandle);
}

VOID OipControlDestroy(VOID)
{
    if (Oip.DeviceHandle != NULL)
    {
        NdisDeregisterDeviceEx(Oip.DeviceHandle);
        Oip.DeviceHandle = NULL;
        Oip.Device = NULL;
    }
}
