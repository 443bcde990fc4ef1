/*
 * The registry, for host code (setup, services). Drivers use Zw*Key. Paths are UTF-8 NT paths such
 * as "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\oneip"; names compare without case.
 *
 * Everything below is atomic against power loss one call at a time, or, between registry_begin and
 * registry_commit, all together; registry_flush makes what was done durable. All at PASSIVE_LEVEL,
 * in or out of driver context.
 */
#pragma once
#include <ntddk.h>
#include <stdbool.h>
#include <stddef.h>

#define REGISTRY_SERVICES "\\Registry\\Machine\\System\\CurrentControlSet\\Services"

NTSTATUS registry_create_key(const char *path); /* with its parents; success if it exists */
NTSTATUS registry_delete_tree(const char *path);
bool registry_key_exists(const char *path);

/* Sets a value, creating the key. value "": the key's default value. */
NTSTATUS registry_set(const char *path, const char *value, ULONG type, const void *data,
                      ULONG bytes);
NTSTATUS registry_set_dword(const char *path, const char *value, ULONG data);
/* REG_SZ or REG_EXPAND_SZ out of UTF-8. */
NTSTATUS registry_set_string(const char *path, const char *value, ULONG type, const char *text);
/* REG_MULTI_SZ out of `count` UTF-8 strings. */
NTSTATUS registry_set_multi(const char *path, const char *value, const char *const *texts,
                            unsigned count);
NTSTATUS registry_delete_value(const char *path, const char *value);

/* *bytes: room in, size out (also with STATUS_BUFFER_OVERFLOW). type may be NULL. */
NTSTATUS registry_get(const char *path, const char *value, ULONG *type, void *data, ULONG *bytes);
NTSTATUS registry_get_dword(const char *path, const char *value, ULONG *data);
/* REG_SZ, REG_EXPAND_SZ as UTF-8; of a REG_MULTI_SZ the string `index`. */
NTSTATUS registry_get_string(const char *path, const char *value, unsigned index, char *text,
                             size_t size);

/* STATUS_NO_MORE_ENTRIES at the end. In order of their names. */
NTSTATUS registry_enum_key(const char *path, unsigned index, char *name, size_t size);
NTSTATUS registry_enum_value(const char *path, unsigned index, char *name, size_t size,
                             ULONG *type);

/* One group a thread; nothing of it is on disk until commit. Abort undoes it. */
NTSTATUS registry_begin(void);
NTSTATUS registry_commit(void); /* flushes too */
void registry_abort(void);

NTSTATUS registry_flush(void);
