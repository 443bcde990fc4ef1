/* Parent before child for one pair of objects, child before parent for another pair of the same
 * kinds. */
#include "bad.h"

struct object {
    LIST_ENTRY Links;
    KSPIN_LOCK Lock;
};

static struct object *Create(VOID)
{
    struct object *object = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*object), BAD_TAG);

    if (object)
        KeInitializeSpinLock(&object->Lock);
    return object;
}

static VOID Both(struct object *A, struct object *B)
{
    KIRQL irql;

    KeAcquireSpinLock(&A->Lock, &irql);
    KeAcquireSpinLockAtDpcLevel(&B->Lock);
    KeReleaseSpinLockFromDpcLevel(&B->Lock);
    KeReleaseSpinLock(&A->Lock, irql);
}

static VOID Run(VOID)
{
    struct object *parents[2], *children[2];
    ULONG i;

    for (i = 0; i < 2; i++)
        parents[i] = Create();
    for (i = 0; i < 2; i++)
        children[i] = Create();
    if (parents[0] && parents[1] && children[0] && children[1]) {
        Both(parents[0], children[0]);
        if (Bad)
            Both(children[1], parents[1]);
        else
            Both(parents[1], children[1]);
    }
    for (i = 0; i < 2; i++) {
        if (parents[i])
            ExFreePoolWithTag(parents[i], BAD_TAG);
        if (children[i])
            ExFreePoolWithTag(children[i], BAD_TAG);
    }
}

BAD_DRIVER(Run, NoUnload)
