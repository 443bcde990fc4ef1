/*
 * The members as the role sees them: when each was heard, who is alive and what that makes of the
 * liveness log, and the beacons and events that tell of it. Only role.c calls these.
 */
#pragma once

#include "role.h"

#define OIP_MILLISECOND 10000ULL

FORCEINLINE UINT64 OipMin(_In_ UINT64 Left, _In_ UINT64 Right)
{
    return Left < Right ? Left : Right;
}

FORCEINLINE UINT64 OipMax(_In_ UINT64 Left, _In_ UINT64 Right)
{
    return Left > Right ? Left : Right;
}

VOID OipResetActions(_Out_ OIP_ROLE_ACTIONS *Actions);

VOID OipRoleEvent(_Inout_ OIP_ROLE_ACTIONS *Actions, _In_ UINT32 Kind, _In_ UINT32 Node,
                  _In_ UINT64 Value, _In_ const ONEIP_EPOCH *Epoch);

/* A member's beacon interval, or our own if that is longer. */
UINT64 OipMemberInterval(_In_ const OIP_ROLE *Role, _In_ ULONG Member);

/* The silence after which a member is down. */
UINT64 OipMemberLimit(_In_ const OIP_ROLE *Role, _In_ ULONG Member);

/* All members but this node. */
UINT64 OipOthers(_In_ const OIP_ROLE *Role);

/* An authentic beacon of a member came in: what it says of itself. */
VOID OipNoteMember(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member,
                   _In_ const OIP_BEACON *Beacon, _Inout_ OIP_ROLE_ACTIONS *Actions);

/* It counts as a sign of life. (One of a dispatcher with a lower epoch does not: if it were well
 * it would have heard us.) */
VOID OipSeen(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member);

/* Nobody is to blame for silence while this node itself was not listening. */
VOID OipExcuseMembers(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now);

/* Whom a node without a dispatcher takes for alive: by the last dispatcher's word and by ear. */
UINT64 OipBelievedAlive(_In_ const OIP_ROLE *Role, _In_ UINT64 Now);

/* The dispatcher's alone: makes Alive the set of the living, in the log, with events. */
VOID OipSetAlive(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Alive,
                 _Inout_ OIP_ROLE_ACTIONS *Actions);

/* The dispatcher's tick: who fell silent, left or returned. TRUE: somebody returned. */
BOOLEAN OipUpdateAlive(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Inout_ OIP_ROLE_ACTIONS *Actions);

/* The word of Role->Dispatcher, where its configuration has the same members. */
VOID OipAdoptAlive(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const OIP_BEACON *Beacon,
                   _Inout_ OIP_ROLE_ACTIONS *Actions);

/* Members that take no new clients; whether this node is one of them is its own word. */
VOID OipSetDraining(_Inout_ OIP_ROLE *Role, _In_ UINT64 Draining,
                    _Inout_ OIP_ROLE_ACTIONS *Actions);

/* Nothing is known; all count as alive. */
VOID OipForgetAlive(_Inout_ OIP_ROLE *Role, _Inout_ OIP_ROLE_ACTIONS *Actions);

/* Does a dispatcher's beacon say that it hears none of the others? */
BOOLEAN OipHearsNobody(_In_ const OIP_ROLE *Role, _In_ ULONG Dispatcher,
                       _In_ const OIP_BEACON *Beacon);

/* Makes the beacon of an action. */
VOID OipMakeBeacon(_Inout_ OIP_ROLE *Role, _In_ UINT8 Kind, _In_ UINT8 Flags, _In_ UINT64 Targets,
                   _Inout_ OIP_ROLE_ACTIONS *Actions);

/* Members[], and everything that is by index, for another configuration. Forget: what was heard. */
VOID OipChangeMembers(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const ONEIP_CONFIG *Config,
                      _In_reads_(Config->MemberCount) const ONEIP_MEMBER *Members,
                      _In_ BOOLEAN Forget);
