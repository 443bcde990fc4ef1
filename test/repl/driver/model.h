/*
 * What a backup would have: a tree in memory that REPL's records are applied to, the plainest way
 * that says what each means, and which is compared with a folder.
 */
#pragma once
#include <ntddk.h>
#include <ntswift/repl.h>
#include <stdbool.h>
#include <stddef.h>

struct model;

struct model *model_new(void);
void model_free(struct model *model);

/* One record. False: it means nothing in the present state; why says what. */
bool model_apply(struct model *model, const REPL_RECORD *record, char *why, size_t size);

/* Brackets that are open. The tree says something only where there are none. */
unsigned model_brackets(const struct model *model);
UINT64 model_sequence(const struct model *model);

/* Whether the file was known before the record of that number. */
bool model_knew(const struct model *model, UINT32 set_id, const UINT8 *id, UINT64 sequence);

/* Whether the folder has what the model's set has: names, kinds, sizes, content, links, targets of
 * symbolic links and modes. False: the first difference in why. */
bool model_compare(const struct model *model, UINT32 set_id, const char *folder, char *why,
                   size_t size);
/* The same of a set with rules: what is left out by them must not be in the model. path: with '/'
 */
bool model_compare_rules(const struct model *model, UINT32 set_id, const char *folder,
                         bool (*in_set)(const char *path, bool directory), char *why, size_t size);
