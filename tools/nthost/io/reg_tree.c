/* Keys and values in memory; see reg_tree.h. */
#include "reg_tree.h"
#include <stdlib.h>
#include <string.h>

struct reg_key *reg_root_create(void)
{
    struct reg_key *root = calloc(1, sizeof(*root));
    if (root != NULL)
        root->references = 1;
    return root;
}

void reg_reference(struct reg_key *key)
{
    key->references++;
}

static void free_value(struct reg_value *value)
{
    free(value->name);
    free(value->data);
    free(value);
}

void reg_release(struct reg_key *key)
{
    while (key != NULL && --key->references == 0) {
        struct reg_key *parent = key->parent;
        for (unsigned i = 0; i < key->value_count; i++)
            free_value(key->values[i]);
        free(key->keys);
        free(key->values);
        free(key->name);
        free(key);
        key = parent; /* a key references its parent, so it has no subkeys left here */
    }
}

void reg_destroy(struct reg_key *root)
{
    while (root->key_count != 0)
        reg_destroy(root->keys[--root->key_count]);
    reg_release(root);
}

/* Where `name` is, or belongs. */
static unsigned key_slot(const struct reg_key *key, const WCHAR *name, unsigned chars, bool *found)
{
    unsigned low = 0, high = key->key_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = utf16_compare(name, chars, key->keys[middle]->name, key->keys[middle]->chars);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *found = false;
    return low;
}

static unsigned value_slot(const struct reg_key *key, const WCHAR *name, unsigned chars,
                           bool *found)
{
    unsigned low = 0, high = key->value_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order =
            utf16_compare(name, chars, key->values[middle]->name, key->values[middle]->chars);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *found = false;
    return low;
}

struct reg_key *reg_find_key(const struct reg_key *key, const WCHAR *name, unsigned chars)
{
    bool found;
    unsigned slot = key_slot(key, name, chars, &found);
    return found ? key->keys[slot] : NULL;
}

struct reg_value *reg_find_value(const struct reg_key *key, const WCHAR *name, unsigned chars)
{
    bool found;
    unsigned slot = value_slot(key, name, chars, &found);
    return found ? key->values[slot] : NULL;
}

static unsigned component(const WCHAR *path, unsigned chars)
{
    unsigned n = 0;
    while (n < chars && path[n] != '\\')
        n++;
    return n;
}

struct reg_key *reg_walk(struct reg_key *key, const WCHAR *path, unsigned chars)
{
    while (key != NULL && chars != 0) {
        unsigned n = component(path, chars);
        key = reg_find_key(key, path, n);
        path += n;
        chars -= n;
        if (chars != 0) {
            path++;
            chars--;
        }
    }
    return key;
}

/* The key that the last component of `path` is to be made in, or is in. */
static struct reg_key *parent_of(struct reg_key *root, const WCHAR *path, unsigned chars,
                                 const WCHAR **last, unsigned *last_chars)
{
    unsigned at = chars;
    while (at > 0 && path[at - 1] != '\\')
        at--;
    *last = path + at;
    *last_chars = chars - at;
    return reg_walk(root, path, at == 0 ? 0 : at - 1);
}

NTSTATUS reg_check(struct reg_key *root, struct reg_op *op)
{
    const WCHAR *last;
    unsigned chars;
    struct reg_key *key;
    if (op->path_chars == 0 || op->path_chars > REG_MAX_PATH_CHARS)
        return STATUS_OBJECT_NAME_INVALID;
    if (op->kind == REG_OP_CREATE_KEY) {
        key = parent_of(root, op->path, op->path_chars, &last, &chars);
        if (chars == 0 || chars > REG_MAX_KEY_CHARS)
            return STATUS_OBJECT_NAME_INVALID;
        if (key == NULL)
            return STATUS_OBJECT_NAME_NOT_FOUND;
        if (key->is_volatile && !op->is_volatile)
            return STATUS_CHILD_MUST_BE_VOLATILE;
        return reg_find_key(key, last, chars) ? STATUS_OBJECT_NAME_COLLISION : STATUS_SUCCESS;
    }
    key = reg_walk(root, op->path, op->path_chars);
    if (key == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    op->is_volatile = key->is_volatile;
    switch (op->kind) {
    case REG_OP_DELETE_KEY:
        /* The roots of hives cannot go. */
        return key->key_count != 0 || key->parent == root || key->parent->parent == root
                   ? STATUS_CANNOT_DELETE
                   : STATUS_SUCCESS;
    case REG_OP_SET_VALUE:
        if (op->name_chars > REG_MAX_VALUE_CHARS)
            return STATUS_INVALID_PARAMETER;
        return op->bytes > REG_MAX_DATA ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
    case REG_OP_DELETE_VALUE:
        return reg_find_value(key, op->name, op->name_chars) ? STATUS_SUCCESS
                                                             : STATUS_OBJECT_NAME_NOT_FOUND;
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

/* Room for one more pointer; doubles. */
static bool grow(void **array, unsigned count, unsigned *room)
{
    if (count < *room)
        return true;
    unsigned more = *room ? *room * 2 : 4;
    void *bigger = realloc(*array, more * sizeof(void *));
    if (bigger == NULL)
        return false;
    *array = bigger;
    *room = more;
    return true;
}

static WCHAR *copy_name(const WCHAR *name, unsigned chars)
{
    WCHAR *copy = malloc((chars + 1) * sizeof(WCHAR));
    if (copy != NULL) {
        if (chars != 0)
            memcpy(copy, name, chars * sizeof(WCHAR));
        copy[chars] = 0;
    }
    return copy;
}

static NTSTATUS apply_create(struct reg_key *root, const struct reg_op *op)
{
    const WCHAR *last;
    unsigned chars;
    bool found;
    struct reg_key *parent = parent_of(root, op->path, op->path_chars, &last, &chars);
    unsigned slot = key_slot(parent, last, chars, &found);
    struct reg_key *key = calloc(1, sizeof(*key));
    if (key == NULL || (key->name = copy_name(last, chars)) == NULL ||
        !grow((void **)&parent->keys, parent->key_count, &parent->key_room)) {
        if (key != NULL)
            free(key->name);
        free(key);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    key->references = 1; /* the parent's */
    key->chars = chars;
    key->is_volatile = op->is_volatile;
    key->last_write = op->time;
    key->parent = parent;
    reg_reference(parent);
    memmove(parent->keys + slot + 1, parent->keys + slot,
            (parent->key_count - slot) * sizeof(parent->keys[0]));
    parent->keys[slot] = key;
    parent->key_count++;
    parent->last_write = op->time;
    return STATUS_SUCCESS;
}

static void apply_delete_key(struct reg_key *key, LONGLONG time)
{
    bool found;
    struct reg_key *parent = key->parent;
    unsigned slot = key_slot(parent, key->name, key->chars, &found);
    memmove(parent->keys + slot, parent->keys + slot + 1,
            (parent->key_count - slot - 1) * sizeof(parent->keys[0]));
    parent->key_count--;
    parent->last_write = time;
    key->deleted = true;
    reg_release(key);
}

static NTSTATUS apply_set(struct reg_key *key, const struct reg_op *op)
{
    bool found;
    unsigned slot = value_slot(key, op->name, op->name_chars, &found);
    UCHAR *data = malloc(op->bytes + 1u);
    if (data == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (op->bytes != 0)
        memcpy(data, op->data, op->bytes);
    if (!found) {
        struct reg_value *value = calloc(1, sizeof(*value));
        if (value == NULL || (value->name = copy_name(op->name, op->name_chars)) == NULL ||
            !grow((void **)&key->values, key->value_count, &key->value_room)) {
            if (value != NULL)
                free(value->name);
            free(value);
            free(data);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        value->chars = op->name_chars;
        memmove(key->values + slot + 1, key->values + slot,
                (key->value_count - slot) * sizeof(key->values[0]));
        key->values[slot] = value;
        key->value_count++;
    }
    struct reg_value *value = key->values[slot];
    free(value->data);
    value->data = data;
    value->bytes = op->bytes;
    value->type = op->type;
    key->last_write = op->time;
    return STATUS_SUCCESS;
}

static void apply_delete_value(struct reg_key *key, const struct reg_op *op)
{
    bool found;
    unsigned slot = value_slot(key, op->name, op->name_chars, &found);
    free_value(key->values[slot]);
    memmove(key->values + slot, key->values + slot + 1,
            (key->value_count - slot - 1) * sizeof(key->values[0]));
    key->value_count--;
    key->last_write = op->time;
}

NTSTATUS reg_apply(struct reg_key *root, const struct reg_op *op)
{
    if (op->kind == REG_OP_CREATE_KEY)
        return apply_create(root, op);
    struct reg_key *key = reg_walk(root, op->path, op->path_chars);
    switch (op->kind) {
    case REG_OP_DELETE_KEY:
        apply_delete_key(key, op->time);
        return STATUS_SUCCESS;
    case REG_OP_SET_VALUE:
        return apply_set(key, op);
    default:
        apply_delete_value(key, op);
        return STATUS_SUCCESS;
    }
}

WCHAR *reg_path_of(const struct reg_key *key, unsigned *chars)
{
    unsigned total = 0;
    for (const struct reg_key *k = key; k->parent != NULL; k = k->parent)
        total += k->chars + 1;
    WCHAR *path = malloc((total + 1) * sizeof(WCHAR));
    if (path == NULL)
        return NULL;
    *chars = total ? total - 1 : 0;
    path[*chars] = 0;
    unsigned at = total ? total - 1 : 0;
    for (const struct reg_key *k = key; k->parent != NULL; k = k->parent) {
        at -= k->chars;
        memcpy(path + at, k->name, k->chars * sizeof(WCHAR));
        if (at != 0)
            path[--at] = '\\';
    }
    return path;
}
