/*
 * The registry in memory: keys with sorted subkeys and values. Names compare without case and keep
 * theirs. Guarded by the registry's lock (registry.c); nothing here calls out.
 *
 * A key stays valid while it is referenced, also after it was deleted (as a handle on it does).
 */
#pragma once
#include <nthost/utf.h>
#include <ntdef.h>
#include <ntstatus.h>
#include <stdbool.h>

struct reg_value {
    WCHAR *name;
    unsigned chars;
    ULONG type;
    ULONG bytes;
    UCHAR *data;
};

struct reg_key {
    unsigned references;
    bool is_volatile, deleted;
    struct reg_key *parent; /* referenced; NULL for the root */
    WCHAR *name;
    unsigned chars;
    LONGLONG last_write;
    struct reg_key **keys;
    unsigned key_count, key_room;
    struct reg_value **values;
    unsigned value_count, value_room;
};

#define REG_MAX_KEY_CHARS   255u
#define REG_MAX_VALUE_CHARS 16383u
#define REG_MAX_DATA        (1u << 20)
#define REG_MAX_PATH_CHARS  16383u

struct reg_key *reg_root_create(void);
void reg_reference(struct reg_key *key);
void reg_release(struct reg_key *key);
void reg_destroy(struct reg_key *root); /* the whole tree; nothing is referenced any more */

struct reg_key *reg_find_key(const struct reg_key *key, const WCHAR *name, unsigned chars);
struct reg_value *reg_find_value(const struct reg_key *key, const WCHAR *name, unsigned chars);
/* A path below `key`, separated by single backslashes; NULL if there is none. Not referenced. */
struct reg_key *reg_walk(struct reg_key *key, const WCHAR *path, unsigned chars);

/* One change; what the log records. Paths are relative to \Registry. */
enum reg_op_kind {
    REG_OP_CREATE_KEY = 1,
    REG_OP_DELETE_KEY,
    REG_OP_SET_VALUE,
    REG_OP_DELETE_VALUE
};
struct reg_op {
    enum reg_op_kind kind;
    const WCHAR *path;
    unsigned path_chars;
    LONGLONG time;
    bool is_volatile;  /* CREATE_KEY; set for all kinds by reg_check from the key they are about */
    const WCHAR *name; /* of a value */
    unsigned name_chars;
    ULONG type;
    const UCHAR *data;
    ULONG bytes;
};
/* Would it succeed? Sets is_volatile. DELETE_KEY only for keys without subkeys. */
NTSTATUS reg_check(struct reg_key *root, struct reg_op *op);
/* After reg_check; fails only for want of memory, and then without effect. */
NTSTATUS reg_apply(struct reg_key *root, const struct reg_op *op);

/* The path of a key below the root; free() it. */
WCHAR *reg_path_of(const struct reg_key *key, unsigned *chars);
