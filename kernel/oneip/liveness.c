/* The liveness log: see liveness.h. */
#include "liveness.h"

UINT64 OipLivenessBatch(_In_ const OIP_LIVENESS *Liveness, _Inout_ ULONG *Next)
{
    UINT64 set = 0;

    do
    {
        set |= 1ULL << (Liveness->Log[*Next] & ~OIP_LIVENESS_JOINED);
        *Next += 1;
    } while (*Next < Liveness->Length && (Liveness->Log[*Next] & OIP_LIVENESS_JOINED) != 0);
    return set;
}

UINT64 OipLivenessAlive(_In_ const OIP_LIVENESS *Liveness, _In_ ULONG MemberCount)
{
    UINT64 alive = OipMemberSet(MemberCount);
    ULONG i;

    for (i = 0; i < Liveness->Length; i += 1)
    {
        alive ^= 1ULL << (Liveness->Log[i] & ~OIP_LIVENESS_JOINED);
    }
    return alive;
}

BOOLEAN OipLivenessValid(_In_ const OIP_LIVENESS *Liveness, _In_ ULONG MemberCount)
{
    UINT64 batch = 0;
    ULONG i;

    if (Liveness->Length > OIP_LIVENESS_LOG || MemberCount == 0 || MemberCount > ONEIP_MAX_MEMBERS)
    {
        return FALSE;
    }
    for (i = 0; i < Liveness->Length; i += 1)
    {
        BOOLEAN joined = (Liveness->Log[i] & OIP_LIVENESS_JOINED) != 0;
        ULONG member = Liveness->Log[i] & ~OIP_LIVENESS_JOINED;

        if (member >= MemberCount || (joined && (i == 0 || (batch >> member & 1) != 0)))
        {
            return FALSE;
        }
        batch = (joined ? batch : 0) | 1ULL << member;
    }
    return Liveness->Length == 0 ||
           OipLivenessAlive(Liveness, MemberCount) != OipMemberSet(MemberCount);
}

/* Appends a batch, lower indexes first. FALSE: no room, nothing done. */
static BOOLEAN OipLivenessAppend(_Inout_ OIP_LIVENESS *Liveness, _In_ UINT64 Set)
{
    ULONG length = Liveness->Length;
    ULONG i;

    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        if ((Set >> i & 1) == 0)
        {
            continue;
        }
        if (length == OIP_LIVENESS_LOG)
        {
            return FALSE;
        }
        Liveness->Log[length] = (UINT8)(length == Liveness->Length ? i : i | OIP_LIVENESS_JOINED);
        length += 1;
    }
    Liveness->Length = (UINT8)length;
    return TRUE;
}

VOID OipLivenessToggle(_Inout_ OIP_LIVENESS *Liveness, _In_ ULONG MemberCount, _In_ UINT64 Toggle)
{
    UINT64 all = OipMemberSet(MemberCount);
    UINT64 alive = OipLivenessAlive(Liveness, MemberCount) ^ (Toggle & all);
    ULONG last = Liveness->Length;
    ULONG next;

    if ((Toggle & all) == 0)
    {
        return;
    }
    if (alive == all)
    {
        Liveness->Length = 0;
        return;
    }
    if (last != 0)
    {
        do
        {
            last -= 1;
        } while ((Liveness->Log[last] & OIP_LIVENESS_JOINED) != 0);
        next = last;
        if (OipLivenessBatch(Liveness, &next) == (Toggle & all))
        {
            Liveness->Length = (UINT8)last;
            return;
        }
    }
    if (!OipLivenessAppend(Liveness, Toggle & all))
    {
        Liveness->Length = 0;
        (VOID) OipLivenessAppend(Liveness, all & ~alive);
    }
}

VOID OipLivenessRemap(_Inout_ OIP_LIVENESS *Liveness,
                      _In_reads_(ONEIP_MAX_MEMBERS) const UINT8 *Map, _In_ ULONG NewCount)
{
    OIP_LIVENESS old = *Liveness;
    ULONG next = 0;
    ULONG i;

    Liveness->Length = 0;
    while (next < old.Length)
    {
        UINT64 set = OipLivenessBatch(&old, &next);
        UINT64 mapped = 0;

        for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
        {
            if ((set >> i & 1) != 0 && Map[i] < NewCount)
            {
                mapped |= 1ULL << Map[i];
            }
        }
        OipLivenessToggle(Liveness, NewCount, mapped);
    }
}
