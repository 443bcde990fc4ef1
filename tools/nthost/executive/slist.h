/* Where a pop from an interlocked list may fault, for the fault handler; see slist.c. */
#pragma once
extern const char slist_pop_fault[], slist_pop_resume[];
