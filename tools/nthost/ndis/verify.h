/*
 * The verifier's part in NDIS: who owns which NET_BUFFER_LIST, what was changed behind the owner's
 * back, who sends when it must not, and what a driver has not given back.
 *
 * Only with vf_enabled. Each NBL has a track: the stack of those who have passed it on, newest
 * last, each with a checksum of the descriptor as it was then.
 */
#pragma once
#include "stack.h"

struct nb_pool;
struct nb_block;

/* Data path, in place of the plain jump. */
void verify_send(struct ndis_module *module, PNET_BUFFER_LIST nbls, NDIS_PORT_NUMBER port,
                 ULONG flags);
void verify_send_complete(struct ndis_module *module, PNET_BUFFER_LIST nbls, ULONG flags);
void verify_receive(struct ndis_module *module, PNET_BUFFER_LIST nbls, NDIS_PORT_NUMBER port,
                    ULONG count, ULONG flags);
void verify_return(struct ndis_module *module, PNET_BUFFER_LIST nbls, ULONG flags);
void verify_upper_send(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG flags);
void verify_upper_return(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG flags);
void verify_lower_send_complete(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG flags);
void verify_lower_indicate(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG count,
                           ULONG flags);

/* FilterPause has completed: nothing of it, and nothing with it, is out. */
void verify_paused(struct ndis_module *module);

/* Blocks of pools, one allocation each. */
struct nb_block *verify_block_get(struct nb_pool *pool, void *caller);
void verify_block_put(struct nb_block *block);
void verify_nbl_free(PNET_BUFFER_LIST nbl, const char *function);
void verify_pool_free(struct nb_pool *pool);
/* A driver was unloaded: a leak in one of its pools is a violation. */
void verify_pool_leaks(struct nb_pool *pool, const char *driver);
void verify_blocks_unloaded(const char *driver);

/* verify_send.c: a frame that a filter has originated, against what the adapter offers now. */
void verify_offload(const struct ndis_module *module, PNET_BUFFER_LIST nbl);

void track_start(void);
void track_stop(void);
void derive_stop(void);
void device_stop(void);
void verify_blocks_stop(void);
void stack_describe(void *const *stack, unsigned depth, char *text, size_t size);
void filters_reset(void);
const char *filters_registered_by(const char *image);
