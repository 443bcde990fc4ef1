/*
 * The configuration in force: sets and rules. Immutable once published; whoever uses it holds a
 * reference. Generation moves with each one, so that contexts notice that theirs is old.
 */
#pragma once

#include "repl.h"

#include "rule.h"

typedef struct RPL_SET
{
    UINT32 SetId;
    UINT32 Mode;         /* REPL_MODE */
    UNICODE_STRING Root; /* normalised: "\Device\HarddiskVolume3\shop", no trailing '\'; empty: its
                            volume is not there yet */
    BOOLEAN ExcludesProcesses; /* some rule does */
    BOOLEAN NamesFolders;      /* some rule looks at the folders that a file is in */
    ULONG FirstRule;
    ULONG RuleCount;
} RPL_SET;

struct RPL_CONFIGURATION
{
    volatile LONG References;
    UINT64 Generation; /* of this driver's life, not that of the contract */
    UINT8 StreamId[16];
    UINT32 BlockMs;
    UINT32 DurableWaitMs;
    ULONG SetCount;
    RPL_SET Sets[REPL_MAX_SETS];
    RPL_ROOT Roots[REPL_MAX_SETS]; /* of the sets whose volume is there */
    ULONG RootSet[REPL_MAX_SETS];  /* index of its set */
    ULONG RootCount;
    RPL_RULE Rules[REPL_MAX_RULES]; /* those of a set together */
    const REPL_CONFIG *Input;       /* as it was set, Generation its own */
};

/* The present one, referenced; never NULL once the driver runs (no sets: SetCount 0). Any IRQL
 * <= DISPATCH_LEVEL. */
const RPL_CONFIGURATION *RplConfigurationAcquire(VOID);
VOID RplConfigurationRelease(_In_ const RPL_CONFIGURATION *Configuration);
UINT64 RplConfigurationGeneration(VOID);
/* How long an operation may wait for REPL, ms. */
UINT32 RplConfigurationBlockMs(VOID);

/* The set that a file of this normalised name ("\Device\HarddiskVolume3\shop\a.db") is in, and its
 * path in the set (points into Name); NULL: none. Image: the process's, for exclusions, or NULL.
 * Size: when first opened, for ReplRuleMaxSize. PASSIVE_LEVEL. */
const RPL_SET *RplConfigurationMatch(_In_ const RPL_CONFIGURATION *Configuration,
                                     _In_ const UNICODE_STRING *Name, BOOLEAN Directory,
                                     UINT64 Size, _Out_ UNICODE_STRING *Path);
/* Whether some set's root is on this volume ("\Device\HarddiskVolume3"). */
BOOLEAN RplConfigurationUsesVolume(_In_ const RPL_CONFIGURATION *Configuration,
                                   _In_ const UNICODE_STRING *Volume);
/* Whether the process's image (NT path) is excluded from the set. */
BOOLEAN RplConfigurationExcludes(_In_ const RPL_CONFIGURATION *Configuration,
                                 _In_ const RPL_SET *Set, _In_ const UNICODE_STRING *Image);

/* Takes the place of the present one, which goes with its last reference. Configuration: with one
 * reference, which is the callee's. NULL: none is in force any more (unload). Under ControlLock. */
VOID RplConfigurationPublish(_In_opt_ RPL_CONFIGURATION *Configuration);
