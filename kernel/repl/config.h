/*
 * The configuration in force: sets and rules. Immutable once published; whoever uses it holds a
 * reference. Generation moves with each one, so that contexts notice that theirs is old.
 */
#pragma once

#include "repl.h"

typedef struct RPL_SET
{
    UINT32 SetId;
    UINT32 Mode;         /* REPL_MODE */
    UINT32 Flags;        /* REPL_SET_FLAG_* */
    UNICODE_STRING Root; /* normalised: "\Device\HarddiskVolume3\shop", no trailing '\' */
    ULONG FirstRule;
    ULONG RuleCount;
} RPL_SET;

struct RPL_CONFIGURATION
{
    EX_RUNDOWN_REF Rundown; /* or a reference count; its owner's choice */
    UINT64 Generation;
    UINT8 StreamId[16];
    UINT32 BlockMs;
    UINT32 DurableWaitMs;
    ULONG SetCount;
    RPL_SET Sets[REPL_MAX_SETS];
    /* rules, names: see config.c */
};

/* The present one, referenced; never NULL once the driver runs (no sets: SetCount 0). Any IRQL. */
const RPL_CONFIGURATION *RplConfigurationAcquire(VOID);
VOID RplConfigurationRelease(_In_ const RPL_CONFIGURATION *Configuration);
UINT64 RplConfigurationGeneration(VOID);

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
