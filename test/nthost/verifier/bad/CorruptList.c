/* Not a rule: removes a list entry twice, which fails fast. */
#include "bad.h"

static VOID Run(VOID)
{
    LIST_ENTRY head, entry;

    InitializeListHead(&head);
    InsertTailList(&head, &entry);
    RemoveEntryList(&entry);
    entry.Flink = entry.Blink = Bad ? &head : &entry;
    RemoveEntryList(&entry);
}

BAD_DRIVER(Run, NoUnload)
