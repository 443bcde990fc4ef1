/* The registry for host code, in UTF-8; see nthost/registry.h. */
#include "reg.h"
#include <nthost/utf.h>
#include <stdlib.h>
#include <string.h>

#define REG_SZ_TYPE    1
#define REG_MULTI_TYPE 7
#define REG_DWORD_TYPE 4

struct wide_path {
    WCHAR *text; /* free() */
    const WCHAR *path;
    unsigned chars;
};

static NTSTATUS widen(const char *path, struct wide_path *wide)
{
    wide->text = utf16_from_utf8(path, strlen(path), &wide->chars);
    if (wide->text == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    wide->path = wide->text;
    if (reg_strip_root(&wide->path, &wide->chars))
        return STATUS_SUCCESS;
    free(wide->text);
    return STATUS_OBJECT_PATH_SYNTAX_BAD;
}

NTSTATUS registry_create_key(const char *path)
{
    struct wide_path wide;
    bool created;
    NTSTATUS status = widen(path, &wide);
    if (!NT_SUCCESS(status))
        return status;
    reg_lock();
    status = reg_create_path(wide.path, wide.chars, false, &created);
    reg_unlock();
    free(wide.text);
    return status;
}

/* Leaves first. The lock is held. */
static NTSTATUS delete_below(struct reg_key *key)
{
    while (key->key_count != 0) {
        NTSTATUS status = delete_below(key->keys[key->key_count - 1]);
        if (!NT_SUCCESS(status))
            return status;
    }
    struct reg_op op = {.kind = REG_OP_DELETE_KEY};
    WCHAR *path = reg_path_of(key, &op.path_chars);
    if (path == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    op.path = path;
    NTSTATUS status = reg_change(&op);
    free(path);
    return status;
}

NTSTATUS registry_delete_tree(const char *path)
{
    struct wide_path wide;
    NTSTATUS status = widen(path, &wide);
    if (!NT_SUCCESS(status))
        return status;
    /* All or nothing, unless the caller has a group of its own. */
    bool own_group = NT_SUCCESS(registry_begin());
    reg_lock();
    struct reg_key *key = reg_walk(reg_root, wide.path, wide.chars);
    status = key ? delete_below(key) : STATUS_OBJECT_NAME_NOT_FOUND;
    reg_unlock();
    free(wide.text);
    if (own_group) {
        if (NT_SUCCESS(status))
            return registry_commit();
        registry_abort();
    }
    return status;
}

bool registry_key_exists(const char *path)
{
    struct wide_path wide;
    if (!NT_SUCCESS(widen(path, &wide)))
        return false;
    reg_lock();
    bool exists = reg_walk(reg_root, wide.path, wide.chars) != NULL;
    reg_unlock();
    free(wide.text);
    return exists;
}

NTSTATUS registry_set(const char *path, const char *value, ULONG type, const void *data,
                      ULONG bytes)
{
    struct wide_path wide;
    bool created;
    NTSTATUS status = widen(path, &wide);
    if (!NT_SUCCESS(status))
        return status;
    struct reg_op op = {.kind = REG_OP_SET_VALUE,
                        .path = wide.path,
                        .path_chars = wide.chars,
                        .type = type,
                        .data = data,
                        .bytes = bytes};
    WCHAR *name = utf16_from_utf8(value, strlen(value), &op.name_chars);
    op.name = name;
    if (name == NULL) {
        status = STATUS_INSUFFICIENT_RESOURCES;
    } else {
        reg_lock();
        status = reg_create_path(wide.path, wide.chars, false, &created);
        if (NT_SUCCESS(status))
            status = reg_change(&op);
        reg_unlock();
    }
    free(name);
    free(wide.text);
    return status;
}

NTSTATUS registry_set_dword(const char *path, const char *value, ULONG data)
{
    return registry_set(path, value, REG_DWORD_TYPE, &data, sizeof(data));
}

NTSTATUS registry_set_string(const char *path, const char *value, ULONG type, const char *text)
{
    unsigned chars;
    WCHAR *wide = utf16_from_utf8(text, strlen(text), &chars);
    if (wide == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = registry_set(path, value, type, wide, (chars + 1) * (ULONG)sizeof(WCHAR));
    free(wide);
    return status;
}

NTSTATUS registry_set_multi(const char *path, const char *value, const char *const *texts,
                            unsigned count)
{
    size_t bytes = 1;
    for (unsigned i = 0; i < count; i++)
        bytes += strlen(texts[i]) + 1;
    WCHAR *all = calloc(bytes + 1, sizeof(WCHAR));
    unsigned used = 0;
    if (all == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (unsigned i = 0; i < count; i++) {
        unsigned chars;
        WCHAR *wide = utf16_from_utf8(texts[i], strlen(texts[i]), &chars);
        if (wide == NULL) {
            free(all);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        memcpy(all + used, wide, (chars + 1) * sizeof(WCHAR));
        used += chars + 1;
        free(wide);
    }
    NTSTATUS status =
        registry_set(path, value, REG_MULTI_TYPE, all, (used + 1) * (ULONG)sizeof(WCHAR));
    free(all);
    return status;
}

NTSTATUS registry_delete_value(const char *path, const char *value)
{
    struct wide_path wide;
    NTSTATUS status = widen(path, &wide);
    if (!NT_SUCCESS(status))
        return status;
    struct reg_op op = {.kind = REG_OP_DELETE_VALUE, .path = wide.path, .path_chars = wide.chars};
    WCHAR *name = utf16_from_utf8(value, strlen(value), &op.name_chars);
    op.name = name;
    if (name == NULL) {
        status = STATUS_INSUFFICIENT_RESOURCES;
    } else {
        reg_lock();
        status = reg_change(&op);
        reg_unlock();
    }
    free(name);
    free(wide.text);
    return status;
}

NTSTATUS registry_get(const char *path, const char *value, ULONG *type, void *data, ULONG *bytes)
{
    struct wide_path wide;
    NTSTATUS status = widen(path, &wide);
    unsigned chars;
    if (!NT_SUCCESS(status))
        return status;
    WCHAR *name = utf16_from_utf8(value, strlen(value), &chars);
    reg_lock();
    struct reg_key *key = reg_walk(reg_root, wide.path, wide.chars);
    struct reg_value *found = key && name ? reg_find_value(key, name, chars) : NULL;
    if (found == NULL) {
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    } else {
        ULONG room = *bytes;
        *bytes = found->bytes;
        if (type != NULL)
            *type = found->type;
        if (found->bytes > room)
            status = STATUS_BUFFER_OVERFLOW;
        else if (found->bytes != 0)
            memcpy(data, found->data, found->bytes);
    }
    reg_unlock();
    free(name);
    free(wide.text);
    return status;
}

NTSTATUS registry_get_dword(const char *path, const char *value, ULONG *data)
{
    ULONG type, bytes = sizeof(*data);
    NTSTATUS status = registry_get(path, value, &type, data, &bytes);
    if (status == STATUS_BUFFER_OVERFLOW ||
        (NT_SUCCESS(status) && (type != REG_DWORD_TYPE || bytes != sizeof(*data))))
        return STATUS_OBJECT_TYPE_MISMATCH;
    return status;
}

/* The zero-terminated string that starts at `at`, or fewer chars where the data ends. */
static unsigned string_chars(const WCHAR *text, unsigned at, unsigned chars)
{
    unsigned end = at;
    while (end < chars && text[end] != 0)
        end++;
    return end - at;
}

NTSTATUS registry_get_string(const char *path, const char *value, unsigned index, char *text,
                             size_t size)
{
    ULONG type, bytes = 0;
    NTSTATUS status = registry_get(path, value, &type, NULL, &bytes);
    WCHAR *wide = NULL;
    while (status == STATUS_BUFFER_OVERFLOW) {
        free(wide);
        wide = malloc(bytes + 2);
        if (wide == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        status = registry_get(path, value, &type, wide, &bytes);
    }
    unsigned chars = bytes / sizeof(WCHAR), at = 0;
    if (NT_SUCCESS(status) && type != REG_SZ_TYPE && type != 2 && type != REG_MULTI_TYPE)
        status = STATUS_OBJECT_TYPE_MISMATCH;
    if (NT_SUCCESS(status) && type == REG_MULTI_TYPE) {
        for (unsigned i = 0; i < index && at < chars; i++)
            at += string_chars(wide, at, chars) + 1;
        if (at >= chars || wide[at] == 0)
            status = STATUS_NO_MORE_ENTRIES;
    } else if (NT_SUCCESS(status) && index != 0) {
        status = STATUS_NO_MORE_ENTRIES;
    }
    if (NT_SUCCESS(status)) {
        unsigned length = wide ? string_chars(wide, at, chars) : 0;
        if (!utf8_copy(text, size, wide ? wide + at : NULL, length))
            status = STATUS_BUFFER_OVERFLOW;
    }
    free(wide);
    return status;
}

NTSTATUS registry_enum_key(const char *path, unsigned index, char *name, size_t size)
{
    struct wide_path wide;
    NTSTATUS status = widen(path, &wide);
    if (!NT_SUCCESS(status))
        return status;
    reg_lock();
    struct reg_key *key = reg_walk(reg_root, wide.path, wide.chars);
    if (key == NULL)
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    else if (index >= key->key_count)
        status = STATUS_NO_MORE_ENTRIES;
    else if (!utf8_copy(name, size, key->keys[index]->name, key->keys[index]->chars))
        status = STATUS_BUFFER_OVERFLOW;
    reg_unlock();
    free(wide.text);
    return status;
}

NTSTATUS registry_enum_value(const char *path, unsigned index, char *name, size_t size, ULONG *type)
{
    struct wide_path wide;
    NTSTATUS status = widen(path, &wide);
    if (!NT_SUCCESS(status))
        return status;
    reg_lock();
    struct reg_key *key = reg_walk(reg_root, wide.path, wide.chars);
    if (key == NULL) {
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    } else if (index >= key->value_count) {
        status = STATUS_NO_MORE_ENTRIES;
    } else {
        if (!utf8_copy(name, size, key->values[index]->name, key->values[index]->chars))
            status = STATUS_BUFFER_OVERFLOW;
        if (type != NULL)
            *type = key->values[index]->type;
    }
    reg_unlock();
    free(wide.text);
    return status;
}
