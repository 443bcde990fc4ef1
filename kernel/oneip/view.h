/*
 * Views: what the liveness of the members makes of a configuration, and what is remembered of the
 * view before.
 */
#pragma once

#include "cluster.h"

/* Who lives and who takes new clients. */
typedef struct OIP_SERVING
{
    const OIP_LIVENESS *Liveness; /* with those that drain as if they were dead */
    UINT64 Set;                   /* the same as a set */
    UINT64 Alive;                 /* all that live */
} OIP_SERVING;

/*
 * Makes the view of Config in View. Before is the view that it follows, in the same indexes, or
 * NULL. A slot that changes hands remembers the one that it had, if that one lives. RoleLock;
 * View is not in force.
 */
VOID OipViewMake(_Inout_ OIP_CONFIGURATION *Config, _In_ const OIP_SERVING *Serving,
                 _In_opt_ const OIP_VIEW *Before, _Out_ OIP_VIEW *View);

/* Would both send every client to the same slot, list place or rule? */
BOOLEAN OipViewSameFunction(_In_ const OIP_CONFIGURATION *Left,
                            _In_ const OIP_CONFIGURATION *Right);

/* A view of another configuration of the same function in this one's indexes: Map[old] is the new
 * index or OIP_TABLE_NONE. */
VOID OipViewMap(_In_ const OIP_VIEW *From, _In_reads_(ONEIP_MAX_MEMBERS) const UINT8 *Map,
                _Out_ OIP_VIEW *To);
