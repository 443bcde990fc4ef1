/* Counters; see counters.h. */
#include "counters.h"

RPL_COUNTERS RplCounters;

VOID RplCountBlock(UINT64 Since)
{
    LONG64 span = (LONG64)(RplNow() - Since);
    LONG64 longest = RplCounters.LongestBlock;

    InterlockedIncrement64(&RplCounters.Blocked);
    while (span > longest)
    {
        LONG64 found = InterlockedCompareExchange64(&RplCounters.LongestBlock, span, longest);
        if (found == longest)
        {
            break;
        }
        longest = found;
    }
}
