/*
 * Who serves a client by the configuration alone: port rules, then hash and table. Connections that
 * are established may be served by others (flow.h).
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#include "cluster.h"
#include "packet.h"

/* What of a frame is dispatched: its own client and ports, or those of the packet that an ICMP
 * error quotes. */
typedef struct OIP_SUBJECT
{
    UCHAR Family; /* ONEIP_FAMILY */
    UCHAR Protocol;
    BOOLEAN HasPorts;
    USHORT ClientPort; /* network byte order; zero without ports */
    USHORT ClusterPort;
    const UCHAR *Client;
    const UCHAR *Cluster;
} OIP_SUBJECT;

typedef struct OIP_CHOICE
{
    ULONG Member; /* OIP_TABLE_NONE: nobody, or blocked */
    ULONG Rule;   /* OIP_RULE_NONE: none names it */
    ULONG Slot;   /* MAXULONG where no slot decided */
} OIP_CHOICE;

/* The rule for a port of the cluster (network byte order), OIP_RULE_NONE where none names it. */
FORCEINLINE ULONG OipRuleOf(_In_ const OIP_CONFIGURATION *Config, _In_ UCHAR Protocol,
                            _In_ USHORT ClusterPort)
{
    switch (Protocol)
    {
    case OIP_PROTOCOL_TCP:
        return Config->RuleByPort[0][ClusterPort];
    case OIP_PROTOCOL_UDP:
        return Config->RuleByPort[1][ClusterPort];
    default:
        return OIP_RULE_NONE;
    }
}

FORCEINLINE BOOLEAN OipIsBlocked(_In_ const OIP_CONFIGURATION *Config, _In_ ULONG Rule)
{
    return Rule != OIP_RULE_NONE && Config->Rules[Rule].Mode == OneIpRuleBlocked;
}

/* DataLock (shared), or RoleLock. */
VOID OipChoose(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_SUBJECT *Subject,
               _Out_ OIP_CHOICE *Choice);

/*
 * Who served it before the last change that concerns it: another table, list, rule or hash.
 * OIP_TABLE_NONE where that is not known, or who did is no member any more. DataLock (shared).
 */
ULONG OipChooseFormer(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_SUBJECT *Subject);
