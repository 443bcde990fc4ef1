/* The object manager's inside. */
#pragma once
#include <nthost/object.h>
#include <stdatomic.h>

struct ob_entry;

struct ob_header {
    const struct ob_type *type; /* NULL: destroyed */
    _Atomic LONG references;
    _Atomic LONG handles;
    struct ob_entry *entry; /* its name, under the namespace's lock */
    struct ob_header *next, **link;
    struct ob_header *next_deferred;
    char driver[32]; /* who made it: its image's name, or "" */
} __attribute__((aligned(16)));

static inline struct ob_header *ob_header_of(void *object)
{
    return (struct ob_header *)object - 1;
}

void ob_for_each(void (*visit)(void *context, void *object, const struct ob_header *header),
                 void *context);

/* The innermost driver on the stack, or "". Nothing where the verifier is off. */
void ob_note_driver(char driver[32]);

/* namespace.c */
void ob_namespace_start(void);
void ob_namespace_stop(void);
/* The object's name in UTF-8, "" if it has none or it cannot be told. Takes no memory. */
void ob_describe(const void *object, char *text, size_t size);
/* A symbolic link object; target is copied. */
NTSTATUS ob_link_create(PCUNICODE_STRING name, PCUNICODE_STRING target);
const UNICODE_STRING *ob_link_target(const void *link);
/* The link itself, not what it leads to; referenced. */
NTSTATUS ob_lookup_link(PCUNICODE_STRING name, void **link);

/* Copies of counted strings, from host memory that RtlFreeUnicodeString can free. */
NTSTATUS ob_copy_string(UNICODE_STRING *out, const WCHAR *text, size_t chars);

/* handle.c: the first handle that a driver left open in this table, or 0; its object's type. */
HANDLE ob_handle_left_by(struct ob_handles *table, const char *driver, const char **type);
