/*
 * The object manager: reference-counted objects with a type and perhaps a name, and handle tables.
 *
 * An object is a body behind a hidden header; everything that a driver may reference, wait on or
 * open by handle (devices, drivers, files, events, threads, processes, keys, symbolic links) is
 * made by ob_create. A waitable one begins with its DISPATCHER_HEADER.
 */
#pragma once
#include <ntddk.h>
#include <stdbool.h>
#include <stddef.h>

struct ob_type {
    const char *name; /* "Device", "Event", ... */
    /* The last reference went. Called at PASSIVE_LEVEL: put off to a system thread if need be. */
    void (*destroy)(void *object);
    /* A handle was closed; `left` are open on the object in that process and in all. */
    void (*close)(void *object, ULONG left_in_process, ULONG left);
};

/* Zeroed body of `bytes`, aligned to 16, with one reference; NULL if there is no memory. */
void *ob_create(const struct ob_type *type, size_t bytes);
void ob_reference(void *object);
bool ob_try_reference(void *object); /* false: it is being destroyed */
void ob_dereference(void *object);   /* <= DISPATCH_LEVEL */
const struct ob_type *ob_type_of(const void *object);
ULONG ob_references(const void *object);

/* Event is E/A's KEVENT, Thread begins with a KTHREAD: types that the host's parts share. */
extern const struct ob_type ob_event_type, ob_device_type, ob_driver_type, ob_file_type,
    ob_key_type, ob_link_type, ob_directory_type, ob_process_type;

/* What *PsThreadType and the like point to: registers a type under the exported variable. */
#define OB_EXPORT_TYPE(exported, type)                                                             \
    POBJECT_TYPE exported##_type_object = (POBJECT_TYPE) & (type);                                 \
    POBJECT_TYPE *exported = &exported##_type_object;                                              \
    NT_EXPORT_AS(NTOSKRNL, exported, &exported##_type_object)

/* The namespace. Names are absolute NT paths; they compare without case. A name holds a reference
 * on its object until ob_remove_name. */
NTSTATUS ob_insert(PCUNICODE_STRING name, void *object, bool open_if, void **existing);
void ob_remove_name(void *object);
/* Follows symbolic links; `rest` (may be NULL: then there must be none) gets what of the path lies
 * beyond the object, as a newly allocated string (RtlFreeUnicodeString). References the object. */
NTSTATUS ob_lookup(PCUNICODE_STRING name, void **object, UNICODE_STRING *rest);
/* The object's full name, or an empty string. Free with RtlFreeUnicodeString. */
NTSTATUS ob_name(const void *object, UNICODE_STRING *name);

/* Handle tables: one of the kernel (OBJ_KERNEL_HANDLE), one a process. */
struct ob_handles;
extern struct ob_handles *ob_kernel_handles;
struct ob_handles *ob_handles_create(void);
void ob_handles_close_all(struct ob_handles *table);
void ob_handles_destroy(struct ob_handles *table); /* closes all */
/* The table that a handle with these OBJ_ attributes goes into, for the current thread. */
struct ob_handles *ob_handles_for(ULONG attributes);
/* Takes a reference of its own on the object. The driver that asked is noted, for leaks. */
NTSTATUS ob_handle_open(struct ob_handles *table, void *object, ACCESS_MASK granted,
                        HANDLE *handle);
/* type NULL: any. References the object. `granted` may be NULL. */
NTSTATUS ob_handle_lookup(struct ob_handles *table, HANDLE handle, const struct ob_type *type,
                          void **object, ACCESS_MASK *granted);
NTSTATUS ob_handle_close(struct ob_handles *table, HANDLE handle);
/* For drivers' handles: finds the table by the handle's value and the current thread. */
NTSTATUS ob_lookup_handle(HANDLE handle, const struct ob_type *type, void **object,
                          ACCESS_MASK *granted);
