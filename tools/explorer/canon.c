/* Canonical hashes of worlds: see canon.h. */
#include "canon.h"

#include <string.h>

#include "siphash.h"

/* Two SipHashes over the words that come. */
struct sink {
    OIP_SIP_STATE low, high;
    uint64_t words;
};

static void put(struct sink *sink, uint64_t word)
{
    OipSipWord(&sink->low, word);
    OipSipWord(&sink->high, word);
    sink->words++;
}

/* A time as distance from now, to either side; far ones are all the same, and "never" is its own.
 */
static void put_time(struct sink *sink, uint64_t time, uint64_t now)
{
    uint64_t far = 200 * world_interval();

    if (time == 0)
        put(sink, 1);
    else if (time >= now)
        put(sink, 2 + (time - now < far ? time - now : far));
    else
        put(sink, ~(now - time < far ? now - time : far));
}

/* A counter as distance below the highest that anybody has heard, which far below does not matter.
 */
static void put_counter(struct sink *sink, uint64_t counter, uint64_t highest)
{
    if (counter == 0)
        put(sink, 0);
    else if (counter > highest)
        put(sink, 1 + (counter - highest < 24 ? counter - highest : 24));
    else
        put(sink, ~(highest - counter < 24 ? highest - counter : 24));
}

static void put_epoch(struct sink *sink, const ONEIP_EPOCH *epoch, uint64_t highest)
{
    put_counter(sink, epoch->Counter, highest);
    put(sink, epoch->NodeId);
}

static void put_liveness(struct sink *sink, const OIP_LIVENESS *liveness)
{
    put(sink, liveness->Length);
    for (unsigned i = 0; i < liveness->Length; i++)
        put(sink, liveness->Log[i]);
}

static void put_member(struct sink *sink, const OIP_ROLE_MEMBER *member, uint64_t now)
{
    put_time(sink, member->Heard, now);
    put_time(sink, member->LastSeen, now);
    put_time(sink, member->Dispatched, now);
    put(sink, member->Interval);
    put(sink, member->Generation);
    put(sink, member->BehindEvent);
    put(sink, (uint64_t)member->Ahead << 2 | (uint64_t)member->Vetoed << 1 | member->Left);
}

static void put_role(struct sink *sink, const OIP_ROLE *role, uint64_t now, uint64_t highest)
{
    put(sink, role->State | (uint64_t)role->Dispatcher << 8 | (uint64_t)role->Vetoed << 16 |
                  (uint64_t)role->PrimaryWanted << 17 | (uint64_t)role->Yielding << 18 |
                  (uint64_t)role->Starting << 19 | (uint64_t)role->Resigned << 20 |
                  (uint64_t)role->AliveKnown << 21 | (uint64_t)role->Deaf << 22 |
                  (uint64_t)role->AnnounceStep << 24);
    put(sink, role->Generation);
    put_time(sink, role->ActingUntil, now);
    put_time(sink, role->StateSince, now);
    put_epoch(sink, &role->Epoch, highest);
    put_counter(sink, role->HighestCounter, highest);
    put_counter(sink, role->UsedCounter, highest);
    put_counter(sink, role->ReservedCounter, highest);
    put_time(sink, role->LastTick, now);
    put(sink, role->TickGap);
    put_time(sink, role->RunningSince, now);
    put_time(sink, role->SilenceFrom, now);
    put_time(sink, role->LastHeard, now);
    put_time(sink, role->LastHeardDirect, now);
    put_time(sink, role->DeafSince, now);
    put_time(sink, role->StaleHeard, now);
    put_time(sink, role->StaleAnnounced, now);
    put_time(sink, role->StaleAnswered, now);
    put_time(sink, role->NextAnnounce, now);
    put_liveness(sink, &role->Liveness);
    put(sink, role->Alive);
    put(sink, role->AliveWithUs);
    put(sink, role->Gone);
    put(sink, role->PendingUp);
    put(sink, role->VetoedMembers);
    for (unsigned i = 0; i < role->MemberCount; i++)
        put_member(sink, &role->Members[i], now);
}

/* The receiver's windows only matter for what is on its way. */
static void put_payload(struct sink *sink, const struct world *world, const struct event *event,
                        uint64_t highest)
{
    OIP_BEACON beacon;

    world_decode(event->payload, &beacon);
    put(sink, beacon.Kind | (uint64_t)beacon.Flags << 8 | (uint64_t)beacon.Sender << 16);
    put(sink, beacon.HeardAgo);
    put(sink, world->nodes[beacon.Sender - 1].incarnation - beacon.Boot);
    put_epoch(sink, &beacon.Epoch, highest);
    put(sink, beacon.Generation);
    put(sink, beacon.Alive);
    put(sink, beacon.Vetoed);
    put_liveness(sink, &beacon.Liveness);
    if (event->kind == EV_FRAME) {
        const OIP_REPLAY *window =
            &world->nodes[event->node].role.Members[beacon.Sender - 1].Replay;

        put(sink, beacon.Boot < window->Boot ||
                      (beacon.Boot == window->Boot && beacon.Sequence <= window->Sequence));
    }
}

static void put_event(struct sink *sink, const struct world *world, const struct event *event,
                      uint64_t highest)
{
    put_time(sink, event->at, world->now);
    put(sink, event->kind | (uint64_t)event->node << 8 | (uint64_t)event->from << 16 |
                  (uint64_t)event->announce << 24 | (uint64_t)event->farewell << 25);
    if (event->incarnation != 0)
        put(sink, world->nodes[event->node].incarnation - event->incarnation);
    switch (event->kind) {
    case EV_FRAME:
        put_time(sink, event->posted, world->now);
        put_payload(sink, world, event, highest);
        break;
    case EV_STEP:
        put(sink, event->targets);
        put_time(sink, event->value, world_clock(world, event->node));
        if (event->targets != 0)
            put_payload(sink, world, event, highest);
        break;
    case EV_DURABLE:
        put_counter(sink, event->value, highest);
        break;
    case EV_FAULT:
        put(sink, event->value);
        break;
    default:
        break;
    }
}

static void put_node(struct sink *sink, const struct world *world, unsigned index, uint64_t highest)
{
    const struct node *node = &world->nodes[index];
    const struct stint *stint = &node->stint;

    put(sink, (uint64_t)node->up | (uint64_t)node->started << 1 | (uint64_t)node->media << 2 |
                  (uint64_t)node->paused << 3 | (uint64_t)node->flushing << 4 |
                  (uint64_t)node->wants_veto << 5 | (uint64_t)node->commanded << 6 |
                  (uint64_t)(node->overflows && node->frozen_until >= world->now) << 7);
    put(sink, node->generation);
    put_counter(sink, node->durable, highest);
    put_counter(sink, node->last_counter, highest);
    if (!node->up)
        return;
    put_time(sink, node->frozen_until > world->now ? node->frozen_until : 0, world->now);
    put_time(sink, node->next_tick, world->now);
    put(sink, (uint64_t)stint->active | (uint64_t)stint->acted << 1 | (uint64_t)stint->ceased << 2 |
                  (uint64_t)stint->by_command << 3 | (uint64_t)stint->knew << 8);
    if (stint->active)
        put_time(sink, stint->promoted, world->now);
    for (unsigned i = 0; i < world->count; i++)
        put(sink, world->nodes[i].stint.active &&
                      OipEpochCompare(&node->heard[i], &world->nodes[i].stint.epoch) == 0);
    put_role(sink, &node->role, world_clock(world, index), highest);
}

struct canon canon_hash(const struct world *world)
{
    static const OIP_SIP_KEY keys[2] = {{1, 2}, {3, 4}};
    unsigned order[MAX_EVENTS];
    uint64_t highest = 0;
    struct sink sink;
    struct canon canon;

    OipSipStart(&sink.low, &keys[0]);
    OipSipStart(&sink.high, &keys[1]);
    sink.words = 0;
    for (unsigned i = 0; i < world->count; i++) {
        const struct node *node = &world->nodes[i];

        if (node->last_counter > highest)
            highest = node->last_counter;
        if (node->up && node->role.HighestCounter > highest)
            highest = node->role.HighestCounter;
    }

    put_time(&sink, world->excused_until > world->now ? world->excused_until : 0, world->now);
    put(&sink, (uint64_t)world->calm | (uint64_t)(world->takeovers > 0) << 1);
    put(&sink, world->generation);
    put_time(&sink, world->overlap_since, world->now);
    for (unsigned i = 0; i < world->count; i++)
        put_node(&sink, world, i, highest);
    for (unsigned a = 0; a < world->count; a++)
        for (unsigned b = 0; b < world->count; b++)
            put(&sink, world->cut[a][b]);

    /* Events in the order of their being handled. */
    for (unsigned i = 0; i < world->event_count; i++) {
        unsigned j = i;

        for (; j > 0 && (world->events[order[j - 1]].at > world->events[i].at ||
                         (world->events[order[j - 1]].at == world->events[i].at &&
                          world->events[order[j - 1]].order > world->events[i].order));
             j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    for (unsigned i = 0; i < world->event_count; i++)
        put_event(&sink, world, &world->events[order[i]], highest);

    put(&sink, sink.words);
    canon.low = OipSipFinish64(&sink.low);
    canon.high = OipSipFinish64(&sink.high);
    return canon;
}
