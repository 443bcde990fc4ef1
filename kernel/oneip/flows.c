/*
 * The node's flow table, and the IOCTLs that read and fill it.
 */
#include "flows.h"

#include "dispatch.h"

/* Buckets that one GET_FLOWS looks at; the cursor goes on from there. */
#define OIP_FLOWS_EXAMINED 65536

static VOID OipFlowTimeouts(_In_ const ONEIP_CONFIG *Header, _Out_ OIP_FLOW_TIMEOUTS *Timeouts)
{
    Timeouts->Tcp = Header->TcpIdleSeconds;
    Timeouts->Udp = Header->UdpIdleSeconds;
    Timeouts->Opening = Header->OpeningSeconds;
    Timeouts->Closing = Header->ClosingSeconds;
}

_Use_decl_annotations_ OIP_FLOW_TABLE *OipFlowsFor(const ONEIP_CONFIG *Header, const UINT8 *Secret)
{
    OIP_FLOW_TIMEOUTS timeouts;
    OIP_FLOW_TABLE *table;
    UINT8 derived[OIP_SIP_KEY_BYTES];
    UINT64 message[2];
    OIP_SIP_KEY key;

    if (Oip.Flows != NULL && Oip.Flows->Capacity == Header->FlowCapacity)
    {
        return Oip.Flows;
    }
    table = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_CACHE_ALIGNED,
                            OipFlowTableBytes(Header->FlowCapacity), OIP_TAG_FLOWS);
    if (table == NULL)
    {
        return NULL;
    }
    /* Another one on each node and after each start; the beacon key makes it a secret. */
    message[0] = Oip.Role.Boot;
    message[1] = OipNow();
    OipSipKey(&key, Secret);
    OipSipHash128(&key, message, sizeof(message), derived);
    OipSipKey(&key, derived);
    OipFlowTimeouts(Header, &timeouts);
    OipFlowTableInitialize(table, Header->FlowCapacity, &key, &timeouts);
    return table;
}

/* Flows that To does not know. */
static VOID OipCopyFlows(_In_ const OIP_FLOW_TABLE *From, _Inout_ OIP_FLOW_TABLE *To)
{
    for (ULONG bucket = 0; bucket < From->Buckets; bucket++)
    {
        UINT32 time = OipFlowTime(OipNow());
        OIP_FLOW_ENTRY entries[OIP_FLOW_WAYS];
        ULONG count;
        KIRQL irql;

        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        count = OipFlowRead(From, bucket, time, entries);
        for (ULONG i = 0; i < count; i++)
        {
            UINT64 hash = OipFlowHash(To, &entries[i].Key);
            OIP_FLOW flow;

            if (!OipFlowFind(To, &entries[i].Key, hash, time, &flow))
            {
                (VOID) OipFlowInsert(To, &entries[i].Key, hash, entries[i].Owner, entries[i].State,
                                     time - entries[i].Idle);
            }
        }
        KeLowerIrql(irql);
    }
}

_Use_decl_annotations_ VOID OipFlowsUse(OIP_FLOW_TABLE *Table, const ONEIP_CONFIG *Header)
{
    OIP_FLOW_TABLE *old = Oip.Flows;
    OIP_FLOW_TIMEOUTS timeouts;
    LOCK_STATE_EX lockState;

    if (Table != NULL && Header != NULL)
    {
        OipFlowTimeouts(Header, &timeouts);
        OipFlowSetTimeouts(Table, &timeouts);
    }
    if (Table == old)
    {
        return;
    }
    if (old != NULL && Table != NULL)
    {
        OipCopyFlows(old, Table);
    }
    NdisAcquireRWLockWrite(Oip.DataLock, &lockState, 0);
    Oip.Flows = Table;
    NdisReleaseRWLock(Oip.DataLock, &lockState);
    if (old != NULL)
    {
        if (Table != NULL)
        {
            /* What was learned while the first copy was made. */
            OipCopyFlows(old, Table);
        }
        ExFreePoolWithTag(old, OIP_TAG_FLOWS);
    }
}

static UINT32 OipContractState(_In_ UINT8 State)
{
    return State == OipFlowReset ? (UINT32)OneIpFlowClosing : State;
}

/* FALSE: served by nobody who is a member now. */
static BOOLEAN OipDescribeFlow(_In_ const OIP_CONFIGURATION *Config,
                               _In_ const OIP_FLOW_ENTRY *Entry, _Out_ ONEIP_FLOW *Flow)
{
    ULONG member = Config->ByHandle[Entry->Owner];
    ULONG bytes = OipAddressBytes(OipFlowFamily(&Entry->Key));

    RtlZeroMemory(Flow, sizeof(*Flow));
    if (member == OIP_TABLE_NONE)
    {
        return FALSE;
    }
    RtlCopyMemory(Flow->Client, OipFlowClient(&Entry->Key), bytes);
    RtlCopyMemory(Flow->Cluster, OipFlowCluster(&Entry->Key), bytes);
    Flow->ClientPort = OipFlowClientPort(&Entry->Key);
    Flow->ClusterPort = OipFlowClusterPort(&Entry->Key);
    Flow->Family = OipFlowFamily(&Entry->Key);
    Flow->Protocol = OipFlowProtocol(&Entry->Key);
    Flow->State = OipContractState(Entry->State);
    Flow->NodeId = Config->Members[member].NodeId;
    Flow->IdleMs = OipFlowMilliseconds(Entry->Idle);
    return TRUE;
}

static BOOLEAN OipSamePrefix(_In_ const UINT8 *Left, _In_ const UINT8 *Right, _In_ ULONG Bits)
{
    ULONG bytes = Bits / 8;
    UINT8 mask = (UINT8)(0xFF00 >> Bits % 8);

    return RtlEqualMemory(Left, Right, bytes) &&
           (Bits % 8 == 0 || ((Left[bytes] ^ Right[bytes]) & mask) == 0);
}

static BOOLEAN OipFlowMatches(_In_ const ONEIP_FLOW *Flow, _In_ const ONEIP_FLOW_QUERY *Query)
{
    return (Query->Client.Family == 0 ||
            (Query->Client.Family == Flow->Family &&
             OipSamePrefix(Query->Client.Address, Flow->Client, Query->ClientPrefix))) &&
           (Query->Cluster.Family == 0 ||
            (Query->Cluster.Family == Flow->Family &&
             RtlEqualMemory(Query->Cluster.Address, Flow->Cluster, sizeof(Flow->Cluster)))) &&
           (Query->Protocol == 0 || Query->Protocol == Flow->Protocol) &&
           (Query->ClientPort == 0 || Query->ClientPort == Flow->ClientPort) &&
           (Query->ClusterPort == 0 || Query->ClusterPort == Flow->ClusterPort) &&
           (Query->NodeId == 0 || Query->NodeId == Flow->NodeId) &&
           (Query->State == 0 || Query->State == Flow->State);
}

/* An address of a query: none, or of a family and nothing behind its bytes. */
static BOOLEAN OipIsQueryAddress(_In_ const ONEIP_ADDRESS *Address)
{
    UINT8 rest = 0;

    for (ULONG i = Address->Family == 0 ? 0 : OipAddressBytes(Address->Family); i < 16; i++)
    {
        rest |= Address->Address[i];
    }
    return rest == 0 && (Address->Family == 0 || Address->Family == OneIpFamilyIpv4 ||
                         Address->Family == OneIpFamilyIpv6);
}

static ONEIP_REASON OipQueryFault(_In_ const ONEIP_FLOW_QUERY *Query)
{
    if (Query->Reserved != 0 || Query->Client.Reserved != 0 || Query->Cluster.Reserved != 0)
    {
        return OneIpReasonReserved;
    }
    if (!OipIsQueryAddress(&Query->Client) || !OipIsQueryAddress(&Query->Cluster))
    {
        return OneIpReasonAddress;
    }
    if (Query->Cursor >= Oip.Flows->Buckets || Query->Protocol > 255 ||
        Query->State > OneIpFlowClosing ||
        Query->ClientPrefix >
            (Query->Client.Family == 0 ? 0 : 8 * OipAddressBytes(Query->Client.Family)))
    {
        return OneIpReasonValue;
    }
    return OneIpReasonNone;
}

_Use_decl_annotations_ NTSTATUS OipGetFlows(OIP_CALL *Call)
{
    ONEIP_FLOW_QUERY query = *(const ONEIP_FLOW_QUERY *)Call->Buffer;
    ONEIP_FLOW_PAGE *page = Call->Buffer;
    ONEIP_FLOW *flows = (ONEIP_FLOW *)(page + 1);
    ULONG room = (Call->OutputBytes - (ULONG)sizeof(*page)) / (ULONG)sizeof(*flows);
    UINT32 time = OipFlowTime(OipNow());
    ULONG count = 0;
    ULONG bucket;
    ULONG end;
    ONEIP_REASON reason;

    if (Oip.Config == NULL)
    {
        return OipRefuse(Call, OneIpReasonNotConfigured, STATUS_INVALID_DEVICE_STATE);
    }
    reason = OipQueryFault(&query);
    if (reason != OneIpReasonNone)
    {
        return OipRefuse(Call, reason, STATUS_INVALID_PARAMETER);
    }
    end = OIP_MIN((ULONG)query.Cursor + OIP_FLOWS_EXAMINED, Oip.Flows->Buckets);
    for (bucket = (ULONG)query.Cursor; bucket < end && room - count >= OIP_FLOW_WAYS; bucket++)
    {
        OIP_FLOW_ENTRY entries[OIP_FLOW_WAYS];
        ULONG found = OipFlowRead(Oip.Flows, bucket, time, entries);

        for (ULONG i = 0; i < found; i++)
        {
            if (OipDescribeFlow(Oip.Config, &entries[i], &flows[count]) &&
                OipFlowMatches(&flows[count], &query))
            {
                count++;
            }
        }
    }
    page->Cursor = bucket < Oip.Flows->Buckets ? bucket : 0;
    page->Count = count;
    page->Reserved = 0;
    Call->Written = (ULONG)(sizeof(*page) + count * sizeof(*flows));
    return STATUS_SUCCESS;
}

static BOOLEAN OipIsImportable(_In_ const OIP_CONFIGURATION *Config, _In_ const ONEIP_FLOW *Flow)
{
    ONEIP_ADDRESS client = {Flow->Family, 0, {0}};
    ONEIP_ADDRESS cluster = {Flow->Family, 0, {0}};

    RtlCopyMemory(client.Address, Flow->Client, sizeof(client.Address));
    RtlCopyMemory(cluster.Address, Flow->Cluster, sizeof(cluster.Address));
    return Flow->Family != 0 && OipIsQueryAddress(&client) && OipIsQueryAddress(&cluster) &&
           (Flow->Family == OneIpFamilyIpv4 ? OipIsClusterIpv4(Config, Flow->Cluster)
                                            : OipIsClusterIpv6(Config, Flow->Cluster)) &&
           (Flow->Protocol == OIP_PROTOCOL_TCP || Flow->Protocol == OIP_PROTOCOL_UDP) &&
           Flow->State >= OneIpFlowOpening && Flow->State <= OneIpFlowClosing;
}

static OIP_FLOW_RESULT OipImportFlow(_In_ const ONEIP_FLOW *Flow, _In_ UINT8 Handle)
{
    UINT64 now = OipNow();
    UINT64 idle = (UINT64)Flow->IdleMs * 10000;
    OIP_FLOW_RESULT result;
    OIP_FLOW_KEY key;
    UINT64 hash;
    KIRQL irql;

    OipFlowKey(&key, (UCHAR)Flow->Family, Flow->Client, Flow->Cluster, (UINT8)Flow->Protocol,
               Flow->ClientPort | ((UINT32)Flow->ClusterPort << 16));
    hash = OipFlowHash(Oip.Flows, &key);
    do
    {
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        result = OipFlowInsert(Oip.Flows, &key, hash, Handle, (UINT8)Flow->State,
                               OipFlowTime(now) - OipFlowTime(idle));
        KeLowerIrql(irql);
    } while (result == OipFlowBusy);
    return result;
}

_Use_decl_annotations_ NTSTATUS OipImportFlows(OIP_CALL *Call)
{
    const ONEIP_FLOW_IMPORT *import = Call->Buffer;
    const ONEIP_FLOW *flows = (const ONEIP_FLOW *)(import + 1);
    ONEIP_FLOW_IMPORTED imported = {0};

    if (import->Version != ONEIP_CONTRACT_VERSION)
    {
        return OipRefuse(Call, OneIpReasonVersion, STATUS_REVISION_MISMATCH);
    }
    if ((Call->InputBytes - sizeof(*import)) % sizeof(*flows) != 0 ||
        (Call->InputBytes - sizeof(*import)) / sizeof(*flows) != import->Count)
    {
        return OipRefuse(Call, OneIpReasonSize, STATUS_INVALID_PARAMETER);
    }
    if (Oip.Config == NULL)
    {
        return OipRefuse(Call, OneIpReasonNotConfigured, STATUS_INVALID_DEVICE_STATE);
    }
    for (ULONG i = 0; i < import->Count; i++)
    {
        if (!OipIsImportable(Oip.Config, &flows[i]))
        {
            Call->Fault.Index = i;
            return OipRefuse(Call, OneIpReasonFlow, STATUS_INVALID_PARAMETER);
        }
    }
    for (ULONG i = 0; i < import->Count; i++)
    {
        ULONG member = OipMemberByNode(Oip.Config, flows[i].NodeId);

        if (member == OIP_TABLE_NONE)
        {
            imported.Unknown++;
        }
        else if (OipImportFlow(&flows[i], Oip.Config->Handle[member]) == OipFlowFull)
        {
            imported.NoRoom++;
        }
        else
        {
            imported.Imported++;
        }
    }
    *(ONEIP_FLOW_IMPORTED *)Call->Buffer = imported;
    Call->Written = sizeof(imported);
    return STATUS_SUCCESS;
}

static VOID OipCountState(_Inout_ ONEIP_FLOW_COUNT *Count, _In_ UINT32 State)
{
    Count->Opening += State == OneIpFlowOpening;
    Count->Established += State == OneIpFlowEstablished;
    Count->Closing += State == OneIpFlowClosing;
}

_Use_decl_annotations_ NTSTATUS OipCountFlows(OIP_CALL *Call)
{
    const OIP_CONFIGURATION *config = Oip.Config;
    ONEIP_FLOW_COUNTS *counts = Call->Buffer;
    ONEIP_FLOW_COUNT *members = (ONEIP_FLOW_COUNT *)(counts + 1);
    UINT32 time = OipFlowTime(OipNow());
    ONEIP_FLOW_COUNT *rules;
    ULONG bytes;

    if (config == NULL)
    {
        return OipRefuse(Call, OneIpReasonNotConfigured, STATUS_INVALID_DEVICE_STATE);
    }
    rules = members + config->Header.MemberCount;
    bytes = (ULONG)sizeof(*counts) +
            (config->Header.MemberCount + config->Header.RuleCount + 1) * (ULONG)sizeof(*members);
    if (Call->OutputBytes < bytes)
    {
        return OipRefuse(Call, OneIpReasonOutputTooShort, STATUS_BUFFER_TOO_SMALL);
    }
    RtlZeroMemory(counts, bytes);
    counts->MemberCount = config->Header.MemberCount;
    counts->RuleCount = config->Header.RuleCount;
    counts->Capacity = Oip.Flows->Capacity;
    counts->Bytes = OipFlowTableBytes(Oip.Flows->Capacity);
    for (ULONG bucket = 0; bucket < Oip.Flows->Buckets; bucket++)
    {
        OIP_FLOW_ENTRY entries[OIP_FLOW_WAYS];
        ULONG found = OipFlowRead(Oip.Flows, bucket, time, entries);

        for (ULONG i = 0; i < found; i++)
        {
            ULONG member = config->ByHandle[entries[i].Owner];
            ULONG rule = OipRuleOf(config, OipFlowProtocol(&entries[i].Key),
                                   OipFlowClusterPort(&entries[i].Key));
            UINT32 state = OipContractState(entries[i].State);

            if (member != OIP_TABLE_NONE)
            {
                OipCountState(&counts->All, state);
                OipCountState(&members[member], state);
                OipCountState(&rules[OIP_MIN(rule, config->Header.RuleCount)], state);
            }
        }
    }
    Call->Written = bytes;
    return STATUS_SUCCESS;
}
