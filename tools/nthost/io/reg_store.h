/*
 * The registry's file: an append-only log of records, compacted by replacing the whole file.
 *
 *     record: header {magic, bytes, sequence, durable, own_check, check} payload, padded to 8
 *
 * The checks are CRC-32Cs of header and payload; `check` starts from the record before, so that
 * records of an earlier life of the file never continue a later one. `durable` is the highest
 * sequence that was on disk when the record was written; a record without payload exists to say
 * only that.
 *
 * What does not verify at the end of the log is the tear of a power cut and is cut off, unless a
 * later record says that it was durable: then the medium has lost data, and opening fails rather
 * than go back in time. Not thread-safe: the registry's lock guards it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reg_store;

typedef bool reg_store_replay(void *context, const uint8_t *payload, size_t bytes);
/* Replays the log; creates it if there is none. NULL and a message on failure. */
struct reg_store *reg_store_open(const char *dir, reg_store_replay *replay, void *context,
                                 char *error, size_t error_size);
void reg_store_close(struct reg_store *store); /* flushes */

/* False: nothing was appended (no space, I/O error). */
bool reg_store_append(struct reg_store *store, const void *payload, size_t bytes);
/* False: what was appended since the last flush may be lost; all later calls fail too. */
bool reg_store_flush(struct reg_store *store);

/* Due when the log has grown to many times what it says. `dump` appends the whole state by
 * reg_store_append; the new file takes the old one's place in one step. */
bool reg_store_compaction_due(const struct reg_store *store);
bool reg_store_compact(struct reg_store *store, bool (*dump)(void *context), void *context);
