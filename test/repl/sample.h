/*
 * One good record of each type, for tests that damage them.
 */
#pragma once

#include <ntddk.h>

#include "record.h"

#define SAMPLE_TYPES (ReplRecordLost + 1)

/* A record of the type, whole and valid, in memory of exactly its length: free() it. Type: all but
 * ReplRecordPad. */
REPL_RECORD *sample(unsigned type);
/* Checksums anew, after a change. */
void sample_seal(REPL_RECORD *record);
/* Another name or other data: a new record in the place of the old one. */
REPL_RECORD *sample_with(REPL_RECORD *record, const void *name, unsigned name_bytes,
                         const void *data, unsigned data_bytes);
