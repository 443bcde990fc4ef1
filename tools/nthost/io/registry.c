/*
 * The registry: changes go to the tree in memory and to the log, or, while a group is open, to the
 * log when it is committed. Every change takes its own undo information along, so that what cannot
 * be logged does not happen, and a group can be taken back.
 */
#include "reg.h"
#include "reg_codec.h"
#include "reg_store.h"
#include <nthost/sched.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct undo {
    struct undo *next;
    struct reg_buffer ops;
};

/* An open group; `undo` is newest first. */
struct group {
    struct group *next;
    const void *owner;
    struct reg_buffer redo;
    struct undo *undo;
};

struct reg_key *reg_root;
static struct reg_store *store; /* NULL: memory only */
static struct group *groups;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void reg_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void reg_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static const void *this_thread(void)
{
    const void *thread = nt_current();
    return thread ? thread : (const void *)pthread_self();
}

static struct group **group_of(const void *owner)
{
    struct group **link = &groups;
    while (*link != NULL && (*link)->owner != owner)
        link = &(*link)->next;
    return link;
}

bool reg_strip_root(const WCHAR **path, unsigned *chars)
{
    static const WCHAR root[] = L"\\REGISTRY";
    const unsigned length = sizeof(root) / sizeof(root[0]) - 1;
    if (*chars < length || utf16_compare(*path, length, root, length) != 0 ||
        (*chars > length && (*path)[length] != '\\'))
        return false;
    unsigned skip = *chars > length ? length + 1 : length;
    *path += skip;
    *chars -= skip;
    return true;
}

/* Undo */

static bool undo_set(struct reg_buffer *out, const struct reg_op *op, const struct reg_key *key,
                     const struct reg_value *value)
{
    struct reg_op set = {.kind = REG_OP_SET_VALUE,
                         .path = op->path,
                         .path_chars = op->path_chars,
                         .time = key->last_write,
                         .is_volatile = key->is_volatile,
                         .name = value->name,
                         .name_chars = value->chars,
                         .type = value->type,
                         .data = value->data,
                         .bytes = value->bytes};
    return reg_encode(out, &set);
}

/* What takes `op` back, from the state before it. */
static bool make_undo(struct reg_buffer *out, const struct reg_op *op)
{
    const struct reg_key *key = reg_walk(reg_root, op->path, op->path_chars);
    struct reg_op back = *op;
    const struct reg_value *value;
    bool done = true;
    switch (op->kind) {
    case REG_OP_CREATE_KEY:
        back.kind = REG_OP_DELETE_KEY;
        return reg_encode(out, &back);
    case REG_OP_DELETE_KEY:
        back.kind = REG_OP_CREATE_KEY;
        back.time = key->last_write;
        done = reg_encode(out, &back);
        for (unsigned i = 0; done && i < key->value_count; i++)
            done = undo_set(out, op, key, key->values[i]);
        return done;
    default:
        value = reg_find_value(key, op->name, op->name_chars);
        if (value != NULL)
            return undo_set(out, op, key, value);
        back.kind = REG_OP_DELETE_VALUE;
        back.bytes = 0;
        return reg_encode(out, &back);
    }
}

static void apply_undo(const struct reg_buffer *ops)
{
    const uint8_t *at = ops->data, *end = ops->data + ops->bytes;
    struct reg_op op;
    while (at < end && reg_decode(&at, end, &op))
        if (NT_SUCCESS(reg_check(reg_root, &op)))
            reg_apply(reg_root, &op);
}

/* Changes */

static NTSTATUS log_op(const struct reg_op *op)
{
    struct reg_buffer buffer = {0};
    NTSTATUS status = STATUS_SUCCESS;
    if (store == NULL)
        return STATUS_SUCCESS;
    if (!reg_encode(&buffer, op))
        status = STATUS_INSUFFICIENT_RESOURCES;
    else if (!reg_store_append(store, buffer.data, buffer.bytes))
        status = STATUS_REGISTRY_IO_FAILED;
    free(buffer.data);
    return status;
}

NTSTATUS reg_change(struct reg_op *op)
{
    struct group *group = *group_of(this_thread());
    struct undo *undo = calloc(1, sizeof(*undo));
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    op->time = (now.tv_sec + 11644473600ll) * 10000000 + now.tv_nsec / 100;
    NTSTATUS status = undo == NULL ? STATUS_INSUFFICIENT_RESOURCES : reg_check(reg_root, op);
    if (NT_SUCCESS(status) && !make_undo(&undo->ops, op))
        status = STATUS_INSUFFICIENT_RESOURCES;
    if (NT_SUCCESS(status))
        status = reg_apply(reg_root, op);
    if (NT_SUCCESS(status)) {
        if (group == NULL && !op->is_volatile)
            status = log_op(op);
        else if (group != NULL && !op->is_volatile && !reg_encode(&group->redo, op))
            status = STATUS_INSUFFICIENT_RESOURCES;
        if (!NT_SUCCESS(status)) {
            apply_undo(&undo->ops);
        } else if (group != NULL) {
            undo->next = group->undo;
            group->undo = undo;
            return status;
        }
    }
    if (undo != NULL)
        free(undo->ops.data);
    free(undo);
    return status;
}

NTSTATUS reg_create_path(const WCHAR *path, unsigned chars, bool is_volatile, bool *created)
{
    NTSTATUS status = STATUS_OBJECT_NAME_INVALID;
    *created = false;
    for (unsigned end = 1; end <= chars; end++) {
        if (end < chars && path[end] != '\\')
            continue;
        *created = false;
        struct reg_key *key = reg_walk(reg_root, path, end);
        if (key != NULL) {
            status = STATUS_SUCCESS;
            continue;
        }
        struct reg_op op = {
            .kind = REG_OP_CREATE_KEY, .path = path, .path_chars = end, .is_volatile = is_volatile};
        status = reg_change(&op);
        if (!NT_SUCCESS(status))
            return status;
        *created = true;
    }
    return status;
}

/* Compaction: the whole tree as creations, a record per key. */

static bool dump_key(const struct reg_key *key)
{
    struct reg_buffer buffer = {0};
    unsigned chars;
    WCHAR *path = reg_path_of(key, &chars);
    bool done = path != NULL;
    struct reg_op op = {
        .kind = REG_OP_CREATE_KEY, .path = path, .path_chars = chars, .time = key->last_write};
    if (key->is_volatile) {
        free(path);
        return true;
    }
    if (key->parent != NULL) {
        done = done && reg_encode(&buffer, &op);
        for (unsigned i = 0; done && i < key->value_count; i++)
            done = undo_set(&buffer, &op, key, key->values[i]);
        done = done && reg_store_append(store, buffer.data, buffer.bytes);
    }
    free(buffer.data);
    free(path);
    for (unsigned i = 0; done && i < key->key_count; i++)
        done = dump_key(key->keys[i]);
    return done;
}

static bool dump_tree(void *context)
{
    (void)context;
    return dump_key(reg_root);
}

NTSTATUS reg_flush_locked(void)
{
    if (store == NULL)
        return STATUS_SUCCESS;
    if (!reg_store_flush(store))
        return STATUS_REGISTRY_IO_FAILED;
    /* Not while a group is open: the tree holds changes that must not be on disk yet. */
    if (reg_store_compaction_due(store) && groups == NULL)
        reg_store_compact(store, dump_tree, NULL);
    return STATUS_SUCCESS;
}

/* Groups */

NTSTATUS registry_begin(void)
{
    struct group *group = calloc(1, sizeof(*group));
    if (group == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    group->owner = this_thread();
    reg_lock();
    NTSTATUS status = *group_of(group->owner) ? STATUS_INVALID_DEVICE_STATE : STATUS_SUCCESS;
    if (NT_SUCCESS(status)) {
        group->next = groups;
        groups = group;
    } else {
        free(group);
    }
    reg_unlock();
    return status;
}

/* Unlinks and frees the thread's group, taking its changes back or not. */
static void end_group(struct group **link, bool take_back)
{
    struct group *group = *link;
    *link = group->next;
    while (group->undo != NULL) {
        struct undo *undo = group->undo;
        group->undo = undo->next;
        if (take_back)
            apply_undo(&undo->ops);
        free(undo->ops.data);
        free(undo);
    }
    free(group->redo.data);
    free(group);
}

NTSTATUS registry_commit(void)
{
    NTSTATUS status = STATUS_SUCCESS;
    reg_lock();
    struct group **link = group_of(this_thread());
    struct group *group = *link;
    if (group == NULL) {
        status = STATUS_INVALID_DEVICE_STATE;
    } else {
        if (store != NULL && group->redo.bytes != 0 &&
            !reg_store_append(store, group->redo.data, group->redo.bytes))
            status = STATUS_REGISTRY_IO_FAILED;
        end_group(link, !NT_SUCCESS(status));
        if (NT_SUCCESS(status))
            status = reg_flush_locked();
    }
    reg_unlock();
    return status;
}

void registry_abort(void)
{
    reg_lock();
    struct group **link = group_of(this_thread());
    if (*link != NULL)
        end_group(link, true);
    reg_unlock();
}

NTSTATUS registry_flush(void)
{
    reg_lock();
    NTSTATUS status = reg_flush_locked();
    reg_unlock();
    return status;
}

/* Start and stop */

static bool replay(void *context, const uint8_t *payload, size_t bytes)
{
    const uint8_t *end = payload + bytes;
    (void)context;
    while (payload < end) {
        struct reg_op op;
        if (!reg_decode(&payload, end, &op))
            return false;
        /* What was about a key of a group that never was committed has nowhere to go. */
        if (NT_SUCCESS(reg_check(reg_root, &op)) && !NT_SUCCESS(reg_apply(reg_root, &op)))
            return false;
    }
    return true;
}

bool reg_start(const char *dir, char *error, size_t error_size)
{
    static const struct {
        const WCHAR *path;
        bool is_volatile;
    } roots[] = {{L"Machine\\System\\CurrentControlSet\\Services", false},
                 {L"Machine\\System\\CurrentControlSet\\Control", false},
                 {L"Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion", false},
                 {L"Machine\\Hardware", true},
                 {L"User\\.Default", false}};
    bool created;
    reg_root = reg_root_create();
    if (reg_root == NULL ||
        (dir != NULL && (store = reg_store_open(dir, replay, NULL, error, error_size)) == NULL)) {
        if (reg_root != NULL)
            reg_destroy(reg_root);
        reg_root = NULL;
        return false;
    }
    reg_lock();
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        unsigned chars = 0;
        while (roots[i].path[chars])
            chars++;
        reg_create_path(roots[i].path, chars, roots[i].is_volatile, &created);
    }
    NTSTATUS status = reg_flush_locked();
    reg_unlock();
    if (NT_SUCCESS(status))
        return true;
    snprintf(error, error_size, "%s: the registry cannot be written", dir);
    reg_stop();
    return false;
}

void reg_stop(void)
{
    reg_lock();
    while (groups != NULL)
        end_group(&groups, true);
    reg_flush_locked();
    reg_store_close(store);
    store = NULL;
    reg_destroy(reg_root);
    reg_root = NULL;
    reg_unlock();
}
