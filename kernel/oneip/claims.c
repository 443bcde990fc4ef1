/*
 * Claims (claim.h): made of this node's exceptions, and taken from others.
 *
 * After every change of the dispatcher or the table a work item walks over the flow table and
 * claims what is served here and would be sent elsewhere, a chunk of buckets at a time.
 */
#include "claim.h"
#include "dispatch.h"
#include "flows.h"
#include "packet.h"
#include "stats.h"
#include "work.h"

/* Buckets walked over while the data path is kept from changing. */
#define OIP_CLAIM_CHUNK 32

static IO_WORKITEM_ROUTINE OipClaimWork;
static OIP_WORK ClaimWork;
static volatile LONG64 ClaimSequence;

/* What was heard of each member, by handle. */
static KSPIN_LOCK ReplayLock;
static OIP_REPLAY Replays[256];

NTSTATUS OipFlowsCreate(VOID)
{
    KeInitializeSpinLock(&ReplayLock);
    return OipWorkCreate(&ClaimWork, OipClaimWork);
}

VOID OipFlowsDestroy(VOID)
{
    OipWorkDestroy(&ClaimWork);
}

_Use_decl_annotations_ VOID OipFlowsClaim(VOID)
{
    OipWorkQueue(&ClaimWork);
}

VOID OipClaimsReset(VOID)
{
    KIRQL irql;

    KeAcquireSpinLock(&ReplayLock, &irql);
    RtlZeroMemory(Replays, sizeof(Replays));
    KeReleaseSpinLock(&ReplayLock, irql);
}

_Use_decl_annotations_ VOID OipClaimsAppend(OIP_FILTER *Filter, const OIP_CONFIGURATION *Config,
                                            const OIP_FLOW_KEY *Flows, ULONG Count,
                                            OIP_SENDS *Sends)
{
    OIP_CLAIM claim = {0};
    PNET_BUFFER_LIST nbl;
    UCHAR *data;

    if (Count == 0 || Config->Followed == OIP_TABLE_NONE || Config->Followed == Config->Local ||
        !OipSendsReserve(Filter, 1, Sends))
    {
        return;
    }
    nbl = OipAllocateSend(Filter, OIP_ETHERNET_BYTES + OIP_CLAIM_BYTES(Count), &data);
    if (nbl == NULL)
    {
        return;
    }
    RtlCopyMemory(data, Config->Members[Config->Followed].Mac, 6);
    RtlCopyMemory(data + 6, Filter->Mac, 6);
    OipWrite16(data + 12, OIP_BEACON_ETHERTYPE);
    claim.Sender = Config->Header.LocalNode;
    claim.Boot = Oip.Role.Boot;
    claim.Sequence = (UINT64)InterlockedIncrement64(&ClaimSequence);
    claim.Count = Count;
    OipClaimEncode(&claim, Flows, Config->Header.ClusterId, &Config->BeaconKey,
                   data + OIP_ETHERNET_BYTES);
    OipSendsAppend(Sends, nbl);
    OipCount(ClaimsSent, Count);
}

static BOOLEAN OipIsClusterKey(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_FLOW_KEY *Key)
{
    return OipFlowFamily(Key) == OneIpFamilyIpv4 ? OipIsClusterIpv4(Config, OipFlowCluster(Key))
                                                 : OipIsClusterIpv6(Config, OipFlowCluster(Key));
}

_Use_decl_annotations_ BOOLEAN OipClaimsReceive(const OIP_CONFIGURATION *Config,
                                                const UCHAR *Payload, ULONG Bytes)
{
    UINT32 time = OipFlowTime(OipNow());
    const UINT8 *flows;
    OIP_CLAIM claim;
    BOOLEAN fresh;
    UINT8 handle;
    ULONG member;
    KIRQL irql;

    if (OipClaimDecode(Payload, Bytes, Config->Header.ClusterId, &Config->BeaconKey, &claim,
                       &flows) != OipBeaconOk)
    {
        return FALSE;
    }
    member = OipMemberByNode(Config, claim.Sender);
    if (member == OIP_TABLE_NONE || member == Config->Local)
    {
        return FALSE;
    }
    handle = Config->Handle[member];
    KeAcquireSpinLock(&ReplayLock, &irql);
    fresh = OipReplayAccept(&Replays[handle], claim.Boot, claim.Sequence);
    KeReleaseSpinLock(&ReplayLock, irql);
    if (!fresh)
    {
        return FALSE;
    }
    for (ULONG i = 0; i < claim.Count; i++)
    {
        OIP_FLOW_KEY key;

        RtlCopyMemory(&key, flows + i * sizeof(key), sizeof(key));
        if (OipIsClusterKey(Config, &key))
        {
            (VOID) OipFlowInsert(Oip.Flows, &key, OipFlowHash(Oip.Flows, &key), handle,
                                 OipFlowEstablished, time);
        }
    }
    OipCount(ClaimsReceived, claim.Count);
    return TRUE;
}

/* Is the flow served here, and would the table send it elsewhere? */
static BOOLEAN OipIsException(_In_ const OIP_CONFIGURATION *Config,
                              _In_ const OIP_FLOW_ENTRY *Entry)
{
    OIP_SUBJECT subject;
    OIP_CHOICE choice;

    if (Entry->Owner != Config->Handle[Config->Local])
    {
        return FALSE;
    }
    subject.Family = OipFlowFamily(&Entry->Key);
    subject.Protocol = OipFlowProtocol(&Entry->Key);
    subject.HasPorts = TRUE;
    subject.Client = OipFlowClient(&Entry->Key);
    subject.Cluster = OipFlowCluster(&Entry->Key);
    subject.ClientPort = OipFlowClientPort(&Entry->Key);
    subject.ClusterPort = OipFlowClusterPort(&Entry->Key);
    OipChoose(Config, &subject, &choice);
    return choice.Member != Config->Local;
}

/* Claims the exceptions of some buckets from First on. Returns the next one, 0 at the end. */
static ULONG OipClaimChunk(_In_ ULONG First)
{
    const OIP_CONFIGURATION *config;
    OIP_FLOW_KEY keys[OIP_CLAIM_FLOWS];
    LOCK_STATE_EX lockState;
    OIP_FILTER *filter;
    OIP_SENDS sends;
    ULONG count = 0;
    ULONG next = 0;
    KIRQL irql;

    C_ASSERT(sizeof(keys) <= 1536);
    OipSendsBegin(&sends);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    NdisAcquireRWLockRead(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
    config = Oip.Config;
    filter = Oip.Bound;
    if (config != NULL && filter != NULL && config->Followed != OIP_TABLE_NONE &&
        config->Followed != config->Local)
    {
        ULONG end = OIP_MIN(First + OIP_CLAIM_CHUNK, Oip.Flows->Buckets);
        UINT32 time = OipFlowTime(OipNow());

        for (ULONG bucket = First; bucket < end; bucket++)
        {
            OIP_FLOW_ENTRY entries[OIP_FLOW_WAYS];
            ULONG found = OipFlowRead(Oip.Flows, bucket, time, entries);

            for (ULONG i = 0; i < found; i++)
            {
                if (!OipIsException(config, &entries[i]))
                {
                    continue;
                }
                keys[count++] = entries[i].Key;
                if (count == OIP_CLAIM_FLOWS)
                {
                    OipClaimsAppend(filter, config, keys, count, &sends);
                    count = 0;
                }
            }
        }
        OipClaimsAppend(filter, config, keys, count, &sends);
        next = end < Oip.Flows->Buckets ? end : 0;
    }
    NdisReleaseRWLock(Oip.DataLock, &lockState);
    if (filter != NULL)
    {
        OipSubmit(filter, &sends);
    }
    KeLowerIrql(irql);
    return next;
}

_Use_decl_annotations_ static VOID OipClaimWork(PDEVICE_OBJECT Device, PVOID Context)
{
    ULONG seen = 1;

    UNREFERENCED_PARAMETER(Device);
    do
    {
        ULONG bucket = 0;

        do
        {
            bucket = OipClaimChunk(bucket);
        } while (bucket != 0);
    } while (OipWorkAgain(Context, &seen));
}
