/* Parent before child for one pair of objects, child before parent for another pair of the same
 * kinds. */
#include "bad.h"

struct object {
    LIST_ENTRY Links;
    KSPIN_LOCK Lock;
};

static struct object *Parents[2], *Children[2];

static DECLSPEC_NOINLINE struct object *Create(VOID)
{
    struct object *object = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*object), BAD_TAG);

    if (object)
        KeInitializeSpinLock(&object->Lock);
    return object;
}

static DECLSPEC_NOINLINE VOID CreatePair(ULONG Index)
{
    Parents[Index] = Create();
    Children[Index] = Create();
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
    ULONG i;

    for (i = 0; i < 2; i++)
        CreatePair(i);
    if (Parents[0] && Parents[1] && Children[0] && Children[1]) {
        Both(Parents[0], Children[0]);
        if (Bad)
            Both(Children[1], Parents[1]);
        else
            Both(Parents[1], Children[1]);
    }
    for (i = 0; i < 2; i++) {
        if (Parents[i])
            ExFreePoolWithTag(Parents[i], BAD_TAG);
        if (Children[i])
            ExFreePoolWithTag(Children[i], BAD_TAG);
    }
}

BAD_DRIVER(Run, NoUnload)
