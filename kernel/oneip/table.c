/*
 * The dispatch table. Invariants and reasons stand in table.h; here is how they are kept.
 *
 * Every change is made of the same three steps:
 *
 *  1. targets: how many slots each member is to have, by largest remainders between bounds
 *     (OipTargets). The bounds say what the change may do: in a new configuration nothing is bound;
 *     where members died nobody loses a slot; where members returned only they gain, and nobody
 *     loses a slot that is at home.
 *  2. pool: the slots that have to go elsewhere, gathered in the order of a fixed permutation, so
 *     that what moves is scattered over the table.
 *  3. placing (OipPlace): each slot of the pool asks the members of other, pseudo-random slots in
 *     turn and takes the first that has room. So members come up by weight, and a slightly
 *     different table leads to a slightly different result.
 *
 * Shares of groups. Slots in the pool are grouped by their member in the base table, and each
 * group is spread over the takers in proportion to what they need (OipSpread), so that when that
 * member comes home it takes from all in proportion.
 */
#include "table.h"

#include "siphash.h"

/* Slots in the order i * OIP_TABLE_STEP modulo the (prime) number of slots. */
#define OIP_TABLE_STEP 40503u

/* So many slots are asked before one looks for room anywhere. */
#define OIP_TABLE_PROBES 8

C_ASSERT(OIP_TABLE_STEP % ONEIP_TABLE_SLOTS != 0);
C_ASSERT(ONEIP_TABLE_SLOTS < (1u << 24)); /* a pool entry: slot, and its taker in the top byte */

static UINT32 OipPoolEntry(_In_ ULONG Slot, _In_ ULONG Member)
{
    return Slot | ((UINT32)Member << 24);
}

static ULONG OipNextSlot(_In_ ULONG Slot)
{
    Slot += OIP_TABLE_STEP;
    return Slot >= ONEIP_TABLE_SLOTS ? Slot - ONEIP_TABLE_SLOTS : Slot;
}

static ULONG OipBin(_In_ UINT8 Member)
{
    return Member < ONEIP_MAX_MEMBERS ? Member : ONEIP_MAX_MEMBERS;
}

VOID OipTableCount(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Table,
                   _Out_writes_(ONEIP_MAX_MEMBERS + 1) UINT32 *Slots)
{
    ULONG slot;

    RtlZeroMemory(Slots, (ONEIP_MAX_MEMBERS + 1) * sizeof(*Slots));
    for (slot = 0; slot < ONEIP_TABLE_SLOTS; slot += 1)
    {
        Slots[OipBin(Table[slot])] += 1;
    }
}

UINT64 OipTableDigest(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Table)
{
    static const OIP_SIP_KEY zero = {0, 0};

    return OipSipHash64(&zero, Table, ONEIP_TABLE_SLOTS);
}

/* May a member take the slot that the rounding left over before another? First who already has it
 * (nothing moves), then the larger remainder, then the lower NodeId. */
static BOOLEAN OipBefore(_In_ const OIP_TABLE_SCRATCH *Scratch, _In_ ULONG Left, _In_ ULONG Right)
{
    BOOLEAN leftHas = Scratch->Have[Left] > Scratch->Target[Left];
    BOOLEAN rightHas = Scratch->Have[Right] > Scratch->Target[Right];

    if (leftHas != rightHas)
    {
        return leftHas;
    }
    if (Scratch->Remainder[Left] != Scratch->Remainder[Right])
    {
        return Scratch->Remainder[Left] > Scratch->Remainder[Right];
    }
    return Scratch->NodeId[Left] < Scratch->NodeId[Right];
}

/* Largest remainders: Slots over the members of Free by weight, into Target. */
static VOID OipApportion(_Inout_ OIP_TABLE_SCRATCH *Scratch, _In_ UINT64 Free, _In_ UINT32 Slots)
{
    UINT64 weights = 0;
    UINT32 left = Slots;
    UINT64 open = 0;
    ULONG i;

    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        if ((Free >> i & 1) != 0)
        {
            weights += Scratch->Weight[i];
        }
    }
    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        UINT64 product;

        if ((Free >> i & 1) == 0)
        {
            continue;
        }
        product = (UINT64)Slots * Scratch->Weight[i];
        Scratch->Target[i] = weights == 0 ? 0 : (UINT32)(product / weights);
        Scratch->Remainder[i] = weights == 0 ? 0 : product % weights;
        left -= Scratch->Target[i];
        if (Scratch->Remainder[i] != 0)
        {
            open |= 1ULL << i;
        }
    }
    if (weights == 0)
    {
        return;
    }

    /* Remainders are below one slot each and add up to `left`, so there are enough of them. */
    while (left != 0)
    {
        ULONG best = ONEIP_MAX_MEMBERS;

        for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
        {
            if ((open >> i & 1) != 0 && (best == ONEIP_MAX_MEMBERS || OipBefore(Scratch, i, best)))
            {
                best = i;
            }
        }
        open &= ~(1ULL << best);
        Scratch->Target[best] += 1;
        left -= 1;
    }
}

/*
 * Target[] for the members of Alive, between Low[] and High[], ONEIP_TABLE_SLOTS in all, as even by
 * weight as the bounds allow. Where a share lies outside of its bounds it is fixed at the bound and
 * the rest is apportioned anew; only the kind of violation that outweighs the other is fixed in one
 * round, since fixing one kind can heal the other. (The same as flexible lengths in CSS.) Each
 * round fixes a member, so it ends.
 */
static VOID OipTargets(_Inout_ OIP_TABLE_SCRATCH *Scratch, _In_ UINT64 Alive)
{
    UINT64 free = Alive;
    UINT32 slots = ONEIP_TABLE_SLOTS;

    for (;;)
    {
        UINT64 low = 0;
        UINT64 high = 0;
        LONG64 balance = 0;
        UINT64 fix;
        ULONG i;

        OipApportion(Scratch, free, slots);
        for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
        {
            if ((free >> i & 1) == 0)
            {
                continue;
            }
            if (Scratch->Target[i] < Scratch->Low[i])
            {
                low |= 1ULL << i;
                balance += (LONG64)Scratch->Low[i] - Scratch->Target[i];
            }
            else if (Scratch->Target[i] > Scratch->High[i])
            {
                high |= 1ULL << i;
                balance -= (LONG64)Scratch->Target[i] - Scratch->High[i];
            }
        }
        if ((low | high) == 0)
        {
            return;
        }

        fix = balance > 0 ? low : balance < 0 ? high : low | high;
        for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
        {
            if ((fix >> i & 1) != 0)
            {
                Scratch->Target[i] = (low >> i & 1) != 0 ? Scratch->Low[i] : Scratch->High[i];
                slots -= Scratch->Target[i];
            }
        }
        free &= ~fix;
    }
}

/* Where the running sum of a row starts, below One: multiples of the golden ratio, so that rounding
 * favours nobody over many rows. */
static UINT64 OipPhase(_In_ ULONG Row, _In_ UINT32 One)
{
    return (UINT64)(Row * 40503u % 65536u) * One >> 16;
}

/*
 * Share[group][taker]: how many slots of each group of the pool a taker gets. The rows add up to
 * Group[], the columns to Need[]. Row by row in proportion to what is still needed; a running sum
 * is rounded down, so each entry is its exact value rounded down or up, and no taker gets more than
 * it needs. Each row's running sum starts at another phase.
 */
static VOID OipSpread(_Inout_ OIP_TABLE_SCRATCH *Scratch)
{
    UINT32 total = Scratch->PoolCount;
    ULONG group;
    ULONG i;

    for (group = 0; group < ONEIP_MAX_MEMBERS; group += 1)
    {
        UINT64 running = OipPhase(group, total);
        UINT32 given = 0;

        if (Scratch->Group[group] == 0)
        {
            continue;
        }
        for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
        {
            UINT32 upTo;

            running += (UINT64)Scratch->Group[group] * Scratch->Need[i];
            upTo = (UINT32)(running / total);
            Scratch->Share[group][i] = upTo - given;
            given = upTo;
        }
        for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
        {
            Scratch->Need[i] -= Scratch->Share[group][i];
        }
        total -= Scratch->Group[group];
    }
}

/* A well-mixed word for a slot (the finaliser of SplitMix64: Steele, Lea, Flood 2014). */
static UINT64 OipMix(_In_ UINT64 Value)
{
    Value += 0x9E3779B97F4A7C15ULL;
    Value = (Value ^ (Value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    Value = (Value ^ (Value >> 27)) * 0x94D049BB133111EBULL;
    return Value ^ (Value >> 31);
}

/* Who takes this slot of the pool: one of Takers with room in the slot's group. */
static ULONG OipTaker(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Table, _In_ ULONG Slot,
                      _In_reads_(ONEIP_MAX_MEMBERS) const UINT32 *Room,
                      _In_reads_(Count) const UINT8 *Takers, _In_ ULONG Count)
{
    UINT64 word = 0;
    ULONG probe;
    ULONG i;

    if (Count == 1)
    {
        return Takers[0];
    }
    for (probe = 0; probe < OIP_TABLE_PROBES; probe += 1)
    {
        UINT8 member;

        /* Two slots out of each word. */
        word = probe % 2 == 0 ? OipMix(Slot + ((UINT64)probe << 32)) : word << 32;
        member = Table[(ULONG)(((word >> 32) * ONEIP_TABLE_SLOTS) >> 32)];
        if (member < ONEIP_MAX_MEMBERS && Room[member] != 0)
        {
            return member;
        }
    }

    i = (ULONG)(word >> 32) % Count;
    while (Room[Takers[i]] == 0)
    {
        i = (i + 1) % Count;
    }
    return Takers[i];
}

/*
 * Places the pool: PoolCount slots, which are OIP_TABLE_NONE in Table, by Need[], which adds up to
 * PoolCount. Base gives the groups; NULL: all in one. Nobody is asked but slots outside of the
 * pool, hence the second loop.
 */
static VOID OipPlace(_Inout_updates_(ONEIP_TABLE_SLOTS) UINT8 *Table,
                     _In_reads_opt_(ONEIP_TABLE_SLOTS) const UINT8 *Base,
                     _Inout_ OIP_TABLE_SCRATCH *Scratch)
{
    UINT8 takers[ONEIP_MAX_MEMBERS];
    ULONG count = 0;
    ULONG i;

    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        if (Scratch->Need[i] != 0)
        {
            takers[count] = (UINT8)i;
            count += 1;
        }
    }
    RtlZeroMemory(Scratch->Group, sizeof(Scratch->Group));
    for (i = 0; i < Scratch->PoolCount; i += 1)
    {
        Scratch->Group[Base == NULL ? 0 : Base[Scratch->Pool[i]]] += 1;
    }
    OipSpread(Scratch);

    for (i = 0; i < Scratch->PoolCount; i += 1)
    {
        ULONG slot = Scratch->Pool[i];
        UINT32 *room = Scratch->Share[Base == NULL ? 0 : Base[slot]];
        ULONG taker = OipTaker(Table, slot, room, takers, count);

        room[taker] -= 1;
        Scratch->Pool[i] = OipPoolEntry(slot, taker);
    }
    for (i = 0; i < Scratch->PoolCount; i += 1)
    {
        ULONG taker = Scratch->Pool[i] >> 24;

        Table[Scratch->Pool[i] & 0xFFFFFF] = (UINT8)taker;
        Scratch->Have[taker] += 1;
    }
    Scratch->Have[ONEIP_MAX_MEMBERS] -= Scratch->PoolCount;
}

/* Moves a slot into the pool. */
static VOID OipTake(_Inout_updates_(ONEIP_TABLE_SLOTS) UINT8 *Table, _In_ ULONG Slot,
                    _Inout_ OIP_TABLE_SCRATCH *Scratch)
{
    Scratch->Have[OipBin(Table[Slot])] -= 1;
    Scratch->Have[ONEIP_MAX_MEMBERS] += 1;
    Table[Slot] = OIP_TABLE_NONE;
    Scratch->Pool[Scratch->PoolCount] = Slot;
    Scratch->PoolCount += 1;
}

static VOID OipScratchMembers(_Inout_ OIP_TABLE_SCRATCH *Scratch,
                              _In_reads_(MemberCount) const ONEIP_MEMBER *Members,
                              _In_ ULONG MemberCount)
{
    ULONG i;

    RtlZeroMemory(Scratch, FIELD_OFFSET(OIP_TABLE_SCRATCH, Pool));
    for (i = 0; i < MemberCount; i += 1)
    {
        Scratch->Weight[i] = Members[i].Weight;
        Scratch->NodeId[i] = Members[i].NodeId;
    }
}

VOID OipTableMap(_In_reads_(OldCount) const ONEIP_MEMBER *Old, _In_ ULONG OldCount,
                 _In_reads_(NewCount) const ONEIP_MEMBER *New, _In_ ULONG NewCount,
                 _Out_writes_(ONEIP_MAX_MEMBERS) UINT8 *Map)
{
    ULONG i;
    ULONG j;

    RtlFillMemory(Map, ONEIP_MAX_MEMBERS, OIP_TABLE_NONE);
    for (i = 0; i < OldCount; i += 1)
    {
        for (j = 0; j < NewCount; j += 1)
        {
            if (Old[i].NodeId == New[j].NodeId)
            {
                Map[i] = (UINT8)j;
                break;
            }
        }
    }
}

ULONG OipTableMove(_In_reads_opt_(ONEIP_TABLE_SLOTS) const UINT8 *OldTable,
                   _In_reads_opt_(ONEIP_MAX_MEMBERS) const UINT8 *Map,
                   _In_reads_(MemberCount) const ONEIP_MEMBER *Members, _In_ ULONG MemberCount,
                   _Out_writes_(ONEIP_TABLE_SLOTS) UINT8 *Table, _Inout_ OIP_TABLE_SCRATCH *Scratch)
{
    UINT64 all = OipMemberSet(MemberCount);
    ULONG moved;
    ULONG slot;
    ULONG i;

    OipScratchMembers(Scratch, Members, MemberCount);
    for (slot = 0; slot < ONEIP_TABLE_SLOTS; slot += 1)
    {
        UINT8 old = OldTable == NULL ? OIP_TABLE_NONE : OldTable[slot];

        Table[slot] = old < ONEIP_MAX_MEMBERS && Map != NULL ? Map[old] : OIP_TABLE_NONE;
    }

    OipTableCount(Table, Scratch->Have);
    for (i = 0; i < MemberCount; i += 1)
    {
        Scratch->High[i] = ONEIP_TABLE_SLOTS;
    }
    OipTargets(Scratch, all);

    Scratch->PoolCount = 0;
    slot = 0;
    for (i = 0; i < ONEIP_TABLE_SLOTS; i += 1)
    {
        UINT8 member = Table[slot];

        if (member == OIP_TABLE_NONE || Scratch->Have[member] > Scratch->Target[member])
        {
            OipTake(Table, slot, Scratch);
        }
        slot = OipNextSlot(slot);
    }

    moved = 0;
    for (i = 0; i < MemberCount; i += 1)
    {
        Scratch->Need[i] = Scratch->Target[i] - Scratch->Have[i];
        moved += Scratch->Need[i];
    }
    if (moved != 0)
    {
        OipPlace(Table, NULL, Scratch);
    }
    return moved;
}

_Success_(return) BOOLEAN OipTableValidate(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Table,
                                           _In_reads_(MemberCount) const ONEIP_MEMBER *Members,
                                           _In_ ULONG MemberCount, _Out_ ULONG *Index)
{
    UINT32 slots[ONEIP_MAX_MEMBERS + 1];
    UINT64 weights = 0;
    ULONG slot;
    ULONG i;

    for (slot = 0; slot < ONEIP_TABLE_SLOTS; slot += 1)
    {
        if (Table[slot] >= MemberCount || Members[Table[slot]].Weight == 0)
        {
            *Index = slot;
            return FALSE;
        }
    }

    OipTableCount(Table, slots);
    for (i = 0; i < MemberCount; i += 1)
    {
        weights += Members[i].Weight;
    }
    for (i = 0; i < MemberCount; i += 1)
    {
        /* Both multiplied by the sum of weights: exact. */
        UINT64 have = slots[i] * weights;
        UINT64 share = (UINT64)ONEIP_TABLE_SLOTS * Members[i].Weight;
        UINT64 difference = have > share ? have - share : share - have;

        if (difference > weights && difference > share / 100)
        {
            *Index = ONEIP_TABLE_SLOTS + i;
            return FALSE;
        }
    }
    *Index = 0;
    return TRUE;
}

static BOOLEAN OipAnyWeight(_In_ const OIP_TABLE_SCRATCH *Scratch, _In_ UINT64 Members)
{
    ULONG i;

    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        if ((Members >> i & 1) != 0 && Scratch->Weight[i] != 0)
        {
            return TRUE;
        }
    }
    return FALSE;
}

/* Members died: their slots in the effective table go to those who are left, Alive. Nobody else
 * loses a slot, so where somebody has more than a share (by rounding), the others get the rest. */
static VOID OipLend(_Inout_updates_(ONEIP_TABLE_SLOTS) UINT8 *Table,
                    _In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Base, _In_ UINT64 Alive,
                    _Inout_ OIP_TABLE_SCRATCH *Scratch)
{
    ULONG slot = 0;
    ULONG i;

    Scratch->PoolCount = 0;
    for (i = 0; i < ONEIP_TABLE_SLOTS; i += 1)
    {
        if (Table[slot] != OIP_TABLE_NONE && (Alive >> Table[slot] & 1) == 0)
        {
            OipTake(Table, slot, Scratch);
        }
        slot = OipNextSlot(slot);
    }
    if (Scratch->PoolCount == 0 || !OipAnyWeight(Scratch, Alive))
    {
        return;
    }

    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        Scratch->Low[i] = Scratch->Have[i];
        Scratch->High[i] = ONEIP_TABLE_SLOTS;
    }
    OipTargets(Scratch, Alive);
    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        Scratch->Need[i] = (Alive >> i & 1) != 0 ? Scratch->Target[i] - Scratch->Have[i] : 0;
    }
    OipPlace(Table, Base, Scratch);
}

/*
 * Share[holder][base member]: how many of the slots that a holder has on loan from a dead member it
 * gives up; in proportion to what it has from each, so that it stays so. Rounded as in OipSpread.
 */
static VOID OipGiveUp(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Table,
                      _In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Base, _In_ UINT64 Holders,
                      _Inout_ OIP_TABLE_SCRATCH *Scratch)
{
    ULONG slot;
    ULONG i;
    ULONG j;

    RtlZeroMemory(Scratch->Share, sizeof(Scratch->Share));
    for (slot = 0; slot < ONEIP_TABLE_SLOTS; slot += 1)
    {
        if (Table[slot] != Base[slot] && Table[slot] != OIP_TABLE_NONE)
        {
            Scratch->Share[Table[slot]][Base[slot]] += 1;
        }
    }

    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        UINT32 surplus = (Holders >> i & 1) != 0 ? Scratch->Have[i] - Scratch->Target[i] : 0;
        UINT32 lent = Scratch->Have[i] - Scratch->Home[i];
        UINT64 running = OipPhase(i, lent);
        UINT32 given = 0;

        if ((Holders >> i & 1) == 0 || surplus == 0)
        {
            RtlZeroMemory(Scratch->Share[i], sizeof(Scratch->Share[i]));
            continue;
        }
        for (j = 0; j < ONEIP_MAX_MEMBERS; j += 1)
        {
            UINT32 upTo;

            running += (UINT64)surplus * Scratch->Share[i][j];
            upTo = (UINT32)(running / lent);
            Scratch->Share[i][j] = upTo - given;
            given = upTo;
        }
    }
}

/* Members returned: what is theirs in the base table comes home, and the rest of their share comes
 * off what others have on loan from those who are still dead. */
static VOID OipReturn(_Inout_updates_(ONEIP_TABLE_SLOTS) UINT8 *Table,
                      _In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Base, _In_ UINT64 Alive,
                      _In_ UINT64 Returned, _Inout_ OIP_TABLE_SCRATCH *Scratch)
{
    ULONG slot;
    ULONG i;

    if (!OipAnyWeight(Scratch, Returned))
    {
        return;
    }
    for (slot = 0; slot < ONEIP_TABLE_SLOTS; slot += 1)
    {
        if ((Returned >> Base[slot] & 1) != 0)
        {
            Scratch->Have[OipBin(Table[slot])] -= 1;
            Scratch->Have[Base[slot]] += 1;
            Table[slot] = Base[slot];
        }
    }

    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        BOOLEAN back = (Returned >> i & 1) != 0;

        Scratch->Low[i] = Scratch->Home[i];
        Scratch->High[i] = back ? ONEIP_TABLE_SLOTS : Scratch->Have[i];
    }
    OipTargets(Scratch, Alive);
    OipGiveUp(Table, Base, Alive & ~Returned, Scratch);

    Scratch->PoolCount = 0;
    slot = 0;
    for (i = 0; i < ONEIP_TABLE_SLOTS; i += 1)
    {
        UINT8 holder = Table[slot];

        if (holder == OIP_TABLE_NONE)
        {
            OipTake(Table, slot, Scratch);
        }
        else if (holder != Base[slot] && Scratch->Share[holder][Base[slot]] != 0)
        {
            Scratch->Share[holder][Base[slot]] -= 1;
            OipTake(Table, slot, Scratch);
        }
        slot = OipNextSlot(slot);
    }
    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        Scratch->Need[i] = (Returned >> i & 1) != 0 ? Scratch->Target[i] - Scratch->Have[i] : 0;
    }
    if (Scratch->PoolCount != 0)
    {
        OipPlace(Table, Base, Scratch);
    }
}

VOID OipTableEffective(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Base,
                       _In_reads_(MemberCount) const ONEIP_MEMBER *Members, _In_ ULONG MemberCount,
                       _In_ const OIP_LIVENESS *Liveness,
                       _Out_writes_(ONEIP_TABLE_SLOTS) UINT8 *Table,
                       _Inout_ OIP_TABLE_SCRATCH *Scratch)
{
    UINT64 alive = OipMemberSet(MemberCount);
    ULONG next = 0;

    RtlCopyMemory(Table, Base, ONEIP_TABLE_SLOTS);
    if (Liveness->Length == 0)
    {
        return;
    }
    OipScratchMembers(Scratch, Members, MemberCount);
    OipTableCount(Base, Scratch->Home);
    RtlCopyMemory(Scratch->Have, Scratch->Home, sizeof(Scratch->Have));
    while (next < Liveness->Length)
    {
        UINT64 set = OipLivenessBatch(Liveness, &next);
        UINT64 died = set & alive;
        UINT64 returned = set & ~alive;

        if (died != 0)
        {
            alive &= ~died;
            OipLend(Table, Base, alive, Scratch);
        }
        if (returned != 0)
        {
            alive |= returned;
            OipReturn(Table, Base, alive, returned, Scratch);
        }
    }
}

ULONG OipModuloList(_In_reads_(MemberCount) const ONEIP_MEMBER *Members, _In_ ULONG MemberCount,
                    _In_ UINT64 Alive, _Out_writes_(ONEIP_MAX_MEMBERS) UINT8 *List)
{
    ULONG count = 0;
    ULONG i;
    ULONG j;

    for (i = 0; i < MemberCount; i += 1)
    {
        if ((Alive >> i & 1) == 0)
        {
            continue;
        }
        for (j = count; j > 0 && Members[List[j - 1]].NodeId > Members[i].NodeId; j -= 1)
        {
            List[j] = List[j - 1];
        }
        List[j] = (UINT8)i;
        count += 1;
    }
    return count;
}
