/* Receive buffers. See slots.h. */
#include "slots.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static bool slot_open(struct slots *slots, struct slot *slot, uint8_t *large, NDIS_HANDLE source)
{
    memset(slot, 0, offsetof(struct slot, memory));
    slot->home = slots;
    slot->large = large;
    mdl_init(&slot->small_mdl, slot->memory, sizeof(slot->memory));
    mdl_init(&slot->large_mdl, large, SLOT_LARGE);
    slot->nbl = NdisAllocateNetBufferAndNetBufferList(slots->pool, 0, 0, &slot->small_mdl,
                                                      SLOT_HEADROOM, 1);
    if (!slot->nbl)
        return false;
    slot->nb = slot->nbl->FirstNetBuffer;
    slot->nbl->SourceHandle = source;
    NET_BUFFER_LIST_MINIPORT_RESERVED(slot->nbl)[0] = slot;
    return true;
}

bool slots_open(struct slots *slots, unsigned count, NDIS_HANDLE source)
{
    memset(slots, 0, sizeof(*slots));
    KeInitializeEvent(&slots->available, SynchronizationEvent, FALSE);
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {.fAllocateNetBuffer = TRUE, .PoolTag = 'tolS'};
    slots->pool = pool_create_list(&parameters);
    slots->all = aligned_alloc(64, count * sizeof(*slots->all));
    slots->large = mmap(NULL, (size_t)count * SLOT_LARGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!slots->pool || !slots->all || slots->large == MAP_FAILED)
        return false;
    for (; slots->count < count; slots->count++) {
        struct slot *slot = &slots->all[slots->count];
        if (!slot_open(slots, slot, slots->large + (size_t)slots->count * SLOT_LARGE, source))
            return false;
        slot->next = slots->free;
        slots->free = slot;
        slots->free_count++;
    }
    return true;
}

void slots_close(struct slots *slots)
{
    for (unsigned i = 0; i < slots->count; i++)
        NdisFreeNetBufferList(slots->all[i].nbl);
    if (slots->pool)
        pool_destroy(slots->pool);
    if (slots->large && slots->large != MAP_FAILED)
        munmap(slots->large, (size_t)slots->count * SLOT_LARGE);
    free(slots->all);
}

static void collect(struct slots *slots)
{
    struct slot *slot = atomic_exchange(&slots->returned, NULL);
    while (slot) {
        struct slot *next = slot->next;
        slot->next = slots->free;
        slots->free = slot;
        slots->free_count++;
        slot = next;
    }
}

struct slot *slots_take(struct slots *slots)
{
    if (!slots->free)
        collect(slots);
    struct slot *slot = slots->free;
    if (slot) {
        slots->free = slot->next;
        slots->free_count--;
    }
    return slot;
}

void slots_wait(struct slots *slots)
{
    for (;;) {
        slots->wanted = true;
        atomic_thread_fence(memory_order_seq_cst);
        collect(slots);
        if (slots->free)
            break;
        KeWaitForSingleObject(&slots->available, Executive, KernelMode, FALSE, NULL);
    }
    slots->wanted = false;
}

void slots_put(struct slot *slot)
{
    struct slots *slots = slot->home;
    if (slots->owner == nt_self) {
        slot->next = slots->free;
        slots->free = slot;
        slots->free_count++;
        return;
    }
    struct slot *head = atomic_load_explicit(&slots->returned, memory_order_relaxed);
    do
        slot->next = head;
    while (!atomic_compare_exchange_weak(&slots->returned, &head, slot));
    if (__builtin_expect(slots->wanted, 0))
        KeSetEvent(&slots->available, IO_NO_INCREMENT, FALSE);
}

void slot_set(struct slot *slot, uint32_t frame_bytes)
{
    PNET_BUFFER_LIST nbl = slot->nbl;
    PNET_BUFFER nb = slot->nb;
    slot->small_mdl.Next = frame_bytes > SLOT_SMALL ? &slot->large_mdl : NULL;
    nb->MdlChain = nb->CurrentMdl = &slot->small_mdl;
    nb->DataOffset = nb->CurrentMdlOffset = SLOT_HEADROOM;
    nb->DataLength = frame_bytes;
    nbl->FirstNetBuffer = nb;
    NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
    nbl->NblFlags = nbl->Flags = 0;
    slot->gso_size = 0;
    NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) = NULL;
    NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo) = NULL;
    NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) = NULL;
    NET_BUFFER_LIST_INFO(nbl, NetBufferListCancelId) = NULL;
    NET_BUFFER_LIST_INFO(nbl, TcpRecvSegCoalesceInfo) = NULL;
}
