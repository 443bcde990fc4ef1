/*
 * A cluster in a box: N nodes, each with the driver's own role (kernel/oneip/role.c, the source as
 * it stands) and around it what the driver and its machine are to it, in virtual time:
 *
 *   - the glue: a call's actions are carried out after it, in steps (a frame each, the
 * confirmation, the announcement), between which the node can freeze or crash and other events can
 * come;
 *   - the timer: every beacon interval of the node's own clock, which drifts; late, and collapsed
 *     into one while the node does not run;
 *   - the network: every directed pair a link that is up or down; frames take a time, or get lost;
 *     beacons go through the driver's own codec with its MAC;
 *   - the disk: epoch counters become durable some time after they were asked for; a crash leaves
 *     only what was durable.
 *
 * Whatever is not determined is asked of a policy (struct policy). check.h looks on.
 *
 * A world is one block of memory without pointers into itself, so that the exhaustive search can
 * copy it. Times are in 100 ns, as the driver's.
 */
#pragma once
#include <ntddk.h>

#include <stdbool.h>
#include <stdint.h>

#include "role.h"

enum { MAX_NODES = 5, MAX_EVENTS = 192 };

#define MS    10000ull
#define NEVER UINT64_MAX

enum event_kind {
    EV_TICK,    /* node's timer */
    EV_FRAME,   /* a beacon reaches the node's adapter */
    EV_STEP,    /* the next step of an action list */
    EV_DURABLE, /* the disk has a counter */
    EV_BOOT,    /* a crashed node comes up */
    EV_THAW,    /* what waits while a node is frozen is looked at again */
    EV_FAULT    /* of the policy's */
};

struct event {
    uint64_t at;
    uint32_t order; /* among events of the same time */
    uint8_t kind;
    uint8_t node;
    uint8_t from;         /* EV_FRAME */
    uint8_t announce;     /* EV_STEP: an announcement is left */
    uint8_t farewell;     /* EV_STEP: the last beacon of an orderly stop */
    uint64_t posted;      /* EV_FRAME: sent */
    uint32_t incarnation; /* of the node; 0: a frame on its way */
    uint64_t targets;     /* EV_STEP: frames that are left */
    uint64_t value; /* EV_STEP: what to confirm; EV_DURABLE: counter; EV_FAULT: the policy's */
    UINT8 payload[OIP_BEACON_BYTES];
};

/* A time as dispatcher, with one epoch. */
struct stint {
    bool active;
    bool acted;      /* has acted, ... */
    bool ceased;     /* ... and does not any more */
    bool by_command; /* SetPrimary */
    uint8_t knew;    /* set of nodes of whose stint at that time this one had heard */
    ONEIP_EPOCH epoch;
    uint64_t promoted;
};

struct node {
    bool up;
    bool started;       /* adapter running and connected: the role and its timer run */
    bool media, paused; /* what started follows from */
    bool flushing;
    uint32_t incarnation;
    uint64_t frozen_until; /* 0: runs */
    bool overflows;        /* what arrives while it is frozen is lost */
    uint64_t durable;      /* epoch counter on disk */
    uint64_t last_counter; /* of its last epoch, over all incarnations */
    uint64_t clock_base;
    int64_t drift_ppm;
    uint64_t next_tick; /* on the timer's grid, global time */
    struct stint stint;
    /* Epoch of each node's dispatcher beacon that this one has handled last. */
    ONEIP_EPOCH heard[MAX_NODES];
    uint64_t announced; /* global time of its last announcement */
    uint64_t generation;
    bool wants_veto; /* user mode's wish, over restarts */
    bool commanded;  /* SetPrimary is accepted but not done yet */
    OIP_ROLE role;
};

struct world {
    unsigned count;
    uint64_t now;
    uint64_t generation; /* the newest */
    uint32_t next_order;
    bool failed;
    char why[256];

    /* check.c's. */
    uint64_t excused_until; /* something has happened that explains two acting nodes */
    bool calm;              /* no takeover has a cause */
    uint64_t overlap_since; /* two act, excusably; 0: not */
    unsigned acting;        /* nodes that act now */
    unsigned takeovers;

    /* The policy's. */
    unsigned budget;
    uint64_t horizon;

    struct node nodes[MAX_NODES];
    bool cut[MAX_NODES][MAX_NODES]; /* [from][to] */

    unsigned event_count;
    struct event events[MAX_EVENTS]; /* unordered; last, since copies end with those in use */
};

/* Where a node can be interrupted. */
enum place { AT_TICK, AT_RECEIVE, AT_DISK, AT_SEND, AT_CONFIRM, AT_ANNOUNCE };

struct policy {
    /* How long a frame takes; NEVER: it is lost. */
    uint64_t (*delay)(struct world *, unsigned from, unsigned to);
    /* How late a timer is. */
    uint64_t (*lateness)(struct world *, unsigned node);
    /* May freeze or crash the node (world_freeze, world_crash) before it goes on. */
    void (*interrupt)(struct world *, unsigned node, enum place place);
    /* How long the disk takes. */
    uint64_t (*flush)(struct world *, unsigned node);
    /* In which order what waited is looked at when a node runs again: 0 .. n-1, the next one. */
    unsigned (*pick)(struct world *, unsigned n);
    /* EV_FAULT. */
    void (*fault)(struct world *, uint64_t value);
    void *context;
};

/* What a world is made of. */
struct setup {
    unsigned nodes;
    unsigned interval_ms;
    unsigned silence;
    int64_t drift_ppm[MAX_NODES];
    uint64_t phase[MAX_NODES]; /* when each is started */
};

extern const struct policy *world_policy;
/* Everything that happens, on stdout. */
extern bool world_trace;

void world_init(struct world *world, const struct setup *setup);
/* Handles the next event; false: none before `until`, and the time is `until`. */
bool world_step(struct world *world, uint64_t until);
void world_run(struct world *world, uint64_t until);

uint64_t world_interval(void); /* I of the present setup */
unsigned world_silence(void);  /* S */

/* What happens to nodes. Those that do not apply do nothing. */
/* overflow: the receive queue does not hold what comes meanwhile. Excuses nothing if the node is
 * frozen so long that it must notice. */
void world_freeze(struct world *world, unsigned node, uint64_t duration, bool overflow);
void world_crash(struct world *world, unsigned node, uint64_t downtime); /* NEVER: for good */
void world_media(struct world *world, unsigned node, bool connected);
void world_pause(struct world *world, unsigned node, bool paused, bool orderly);
void world_veto(struct world *world, unsigned node, bool veto);
OIP_PRIMARY_RESULT world_primary(struct world *world, unsigned node);
/* Puts the world's generation of the configuration in force on a node. Ranks and weights differ. */
void world_configure(struct world *world, unsigned node);

/* A beacon was lost or took too long: whoever should have heard it may be wrong about the
 * dispatcher, for as long as that can have consequences. */
void world_excuse(struct world *world);

/* A frame is handled: excuse if it was late and the node cannot have noticed that it was held up.
 */
void world_judge_way(struct world *world, unsigned node, uint64_t sent, uint64_t arrived);

/* An event of the policy's own. */
void world_post_fault(struct world *world, uint64_t at, uint64_t value);

/* A beacon's payload, by the driver's codec. False: it is none. */
bool world_decode(const UINT8 *payload, OIP_BEACON *beacon);
void world_encode(const OIP_BEACON *beacon, UINT8 *payload);

/* The configuration of a generation as a node gets it. */
void world_configuration(uint64_t generation, unsigned node, ONEIP_CONFIG *config,
                         ONEIP_MEMBER *members);

bool world_frozen(const struct world *world, unsigned node);
uint64_t world_clock(const struct world *world, unsigned node); /* the node's interrupt time */
bool world_acts(const struct world *world, unsigned node);

void world_log(const struct world *world, unsigned node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
