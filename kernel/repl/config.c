/*
 * The configuration in force: who has it, and what it says of a name.
 *
 * A reference is taken under a spin lock that is held for two instructions, so no reader ever waits
 * for somebody who changes the configuration.
 */
#include "config.h"

#include "configure.h"

static struct
{
    KSPIN_LOCK Lock;
    RPL_CONFIGURATION *Present;
    volatile UINT64 Generation;
    volatile ULONG BlockMs;
} Configurations;

_Use_decl_annotations_ VOID RplConfigurationPublish(RPL_CONFIGURATION *Configuration)
{
    RPL_CONFIGURATION *old;
    KIRQL irql;

    if (Configuration != NULL)
    {
        Configuration->Generation = Configurations.Generation + 1;
    }
    KeAcquireSpinLock(&Configurations.Lock, &irql);
    old = Configurations.Present;
    Configurations.Present = Configuration;
    if (Configuration != NULL)
    {
        WriteULongNoFence(&Configurations.BlockMs, Configuration->BlockMs);
        WriteULong64Release(&Configurations.Generation, Configuration->Generation);
    }
    KeReleaseSpinLock(&Configurations.Lock, irql);
    if (old != NULL)
    {
        RplConfigurationRelease(old);
    }
}

const RPL_CONFIGURATION *RplConfigurationAcquire(VOID)
{
    RPL_CONFIGURATION *present;
    KIRQL irql;

    KeAcquireSpinLock(&Configurations.Lock, &irql);
    present = Configurations.Present;
    InterlockedIncrement(&present->References);
    KeReleaseSpinLock(&Configurations.Lock, irql);
    return present;
}

_Use_decl_annotations_ VOID RplConfigurationRelease(const RPL_CONFIGURATION *Configuration)
{
    RPL_CONFIGURATION *configuration = (RPL_CONFIGURATION *)Configuration;

    if (InterlockedDecrement(&configuration->References) == 0)
    {
        ExFreePoolWithTag(configuration, RPL_TAG);
    }
}

UINT64 RplConfigurationGeneration(VOID)
{
    return ReadULong64Acquire(&Configurations.Generation);
}

UINT32 RplConfigurationBlockMs(VOID)
{
    return ReadULongNoFence(&Configurations.BlockMs);
}

_Use_decl_annotations_ const RPL_SET *RplConfigurationMatch(const RPL_CONFIGURATION *Configuration,
                                                            const UNICODE_STRING *Name,
                                                            BOOLEAN Directory, UINT64 Size,
                                                            UNICODE_STRING *Path)
{
    ULONG root = RplRootFind(Configuration->Roots, Configuration->RootCount, Name, Path);
    const RPL_SET *set;

    if (root == RPL_ROOT_NONE)
    {
        return NULL;
    }
    set = &Configuration->Sets[Configuration->RootSet[root]];
    return RplRulesSelect(&Configuration->Rules[set->FirstRule], set->RuleCount, Path, Directory,
                          Size)
               ? set
               : NULL;
}

_Use_decl_annotations_ BOOLEAN RplConfigurationUsesVolume(const RPL_CONFIGURATION *Configuration,
                                                          const UNICODE_STRING *Volume)
{
    for (ULONG i = 0; i < Configuration->RootCount; i++)
    {
        if (RplRootContains(Volume, &Configuration->Roots[i].Name))
        {
            return TRUE;
        }
    }
    return FALSE;
}

_Use_decl_annotations_ BOOLEAN RplConfigurationExcludes(const RPL_CONFIGURATION *Configuration,
                                                        const RPL_SET *Set,
                                                        const UNICODE_STRING *Image)
{
    return Set->ExcludesProcesses &&
           RplRulesExcludeProcess(&Configuration->Rules[Set->FirstRule], Set->RuleCount, Image);
}
