/*
 * The object namespace: directories of names, and symbolic links.
 *
 *     \                 \Device  \Driver  \FileSystem  \Callback  \BaseNamedObjects
 *     \GLOBAL??         what \?? and \DosDevices lead to: "C:", "NtsOneIp", and Global -> \GLOBAL??
 *
 * One lock for all of it; nothing is called under it. A name holds a reference on its object.
 *
 * WDK: "Object Names", "MS-DOS Device Names".
 */
#include "ob.h"
#include <nthost/export.h>
#include <nthost/utf.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define OB_TAG    'mNbO'
#define MAX_LINKS 32

struct ob_entry {
    struct ob_entry *next, **link;
    struct ob_entry *parent; /* of the directory that it is in; NULL: in the root */
    void *object;
    unsigned chars;
    WCHAR name[];
};

struct directory {
    struct ob_entry *first;
};

struct link {
    UNICODE_STRING target;
};

static void *root;
static pthread_mutex_t names_mutex = PTHREAD_MUTEX_INITIALIZER;

static void link_destroy(void *object)
{
    RtlFreeUnicodeString(&((struct link *)object)->target);
}

const struct ob_type ob_directory_type = {.name = "Directory"};
const struct ob_type ob_link_type = {.name = "SymbolicLink", .destroy = link_destroy};

NTSTATUS ob_copy_string(UNICODE_STRING *out, const WCHAR *text, size_t chars)
{
    if (chars > UNICODE_STRING_MAX_CHARS - 1)
        return STATUS_NAME_TOO_LONG;
    out->Buffer = ExAllocatePool2(POOL_FLAG_PAGED, (chars + 1) * sizeof(WCHAR), OB_TAG);
    if (out->Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(out->Buffer, text, chars * sizeof(WCHAR));
    out->Buffer[chars] = 0;
    out->Length = (USHORT)(chars * sizeof(WCHAR));
    out->MaximumLength = (USHORT)((chars + 1) * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

static struct ob_entry *find(const struct directory *directory, const WCHAR *name, unsigned chars)
{
    for (struct ob_entry *entry = directory->first; entry != NULL; entry = entry->next)
        if (utf16_compare(entry->name, entry->chars, name, chars) == 0)
            return entry;
    return NULL;
}

static unsigned component(const WCHAR *path, unsigned chars)
{
    unsigned n = 0;
    while (n < chars && path[n] != '\\')
        n++;
    return n;
}

/*
 * Follows one absolute path as far as directories go. Gives the entry that was found, or the
 * directory in which the name at *path is missing. *path and *chars become what is left.
 */
static NTSTATUS walk(const WCHAR **path, unsigned *chars, struct ob_entry **found,
                     struct directory **in, struct ob_entry **in_entry)
{
    struct directory *directory = root;
    *found = NULL;
    *in_entry = NULL;
    if (*chars == 0 || **path != '\\')
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    while (*chars > 1) {
        unsigned n = component(*path + 1, *chars - 1);
        *in = directory;
        if (n == 0)
            return STATUS_OBJECT_NAME_INVALID;
        struct ob_entry *entry = find(directory, *path + 1, n);
        if (entry == NULL)
            return n + 1 == *chars ? STATUS_OBJECT_NAME_NOT_FOUND : STATUS_OBJECT_PATH_NOT_FOUND;
        *path += n + 1;
        *chars -= n + 1;
        if (ob_type_of(entry->object) != &ob_directory_type || *chars <= 1) {
            *found = entry;
            return STATUS_SUCCESS;
        }
        directory = entry->object;
        *in_entry = entry;
    }
    return STATUS_OBJECT_TYPE_MISMATCH; /* the root itself */
}

/* `name` with `target` in place of all but the last `rest` chars; free() it. */
static WCHAR *substitute(const UNICODE_STRING *target, const WCHAR *rest, unsigned rest_chars,
                         unsigned *chars)
{
    unsigned head = target->Length / sizeof(WCHAR);
    WCHAR *path = malloc((head + rest_chars + 1) * sizeof(WCHAR));
    if (path == NULL)
        return NULL;
    memcpy(path, target->Buffer, head * sizeof(WCHAR));
    memcpy(path + head, rest, rest_chars * sizeof(WCHAR));
    *chars = head + rest_chars;
    return path;
}

/*
 * The whole walk, links included. follow_last: also a link that is the last component. On success
 * the object is referenced; *rest_chars of *rest are left, inside *owned (free() it).
 */
static NTSTATUS resolve(PCUNICODE_STRING name, bool follow_last, void **object, const WCHAR **rest,
                        unsigned *rest_chars, WCHAR **owned)
{
    const WCHAR *path = name->Buffer;
    unsigned chars = name->Length / sizeof(WCHAR);
    NTSTATUS status = STATUS_OBJECT_NAME_INVALID;
    struct ob_entry *found, *in_entry;
    struct directory *in;
    *owned = NULL;
    for (unsigned hops = 0; hops < MAX_LINKS; hops++) {
        pthread_mutex_lock(&names_mutex);
        status = walk(&path, &chars, &found, &in, &in_entry);
        if (NT_SUCCESS(status) && ob_type_of(found->object) == &ob_link_type &&
            (follow_last || chars != 0)) {
            WCHAR *next = substitute(&((struct link *)found->object)->target, path, chars, &chars);
            free(*owned);
            *owned = next;
            path = next;
            status = next ? STATUS_REPARSE : STATUS_INSUFFICIENT_RESOURCES;
        } else if (NT_SUCCESS(status)) {
            ob_reference(found->object);
            *object = found->object;
            *rest = path;
            *rest_chars = chars;
        }
        pthread_mutex_unlock(&names_mutex);
        if (status != STATUS_REPARSE)
            break;
        status = STATUS_OBJECT_NAME_INVALID; /* a ring of links */
    }
    if (!NT_SUCCESS(status)) {
        free(*owned);
        *owned = NULL;
    }
    return status;
}

NTSTATUS ob_lookup(PCUNICODE_STRING name, void **object, UNICODE_STRING *rest)
{
    const WCHAR *tail;
    unsigned chars;
    WCHAR *owned;
    NTSTATUS status = resolve(name, true, object, &tail, &chars, &owned);
    if (!NT_SUCCESS(status))
        return status;
    if (rest != NULL)
        status = ob_copy_string(rest, tail, chars);
    else if (chars != 0)
        status = STATUS_OBJECT_PATH_NOT_FOUND;
    free(owned);
    if (!NT_SUCCESS(status))
        ob_dereference(*object);
    return status;
}

NTSTATUS ob_lookup_link(PCUNICODE_STRING name, void **link)
{
    const WCHAR *tail;
    unsigned chars;
    WCHAR *owned;
    NTSTATUS status = resolve(name, false, link, &tail, &chars, &owned);
    if (!NT_SUCCESS(status))
        return status;
    free(owned);
    if (ob_type_of(*link) == &ob_link_type)
        return STATUS_SUCCESS;
    ob_dereference(*link);
    return STATUS_OBJECT_TYPE_MISMATCH;
}

static void insert_entry(struct directory *in, struct ob_entry *parent, struct ob_entry *entry)
{
    entry->parent = parent;
    entry->next = in->first;
    entry->link = &in->first;
    if (entry->next != NULL)
        entry->next->link = &entry->next;
    in->first = entry;
    ob_header_of(entry->object)->entry = entry;
}

/* One attempt; STATUS_REPARSE: *path was replaced by what a link on the way says. */
static NTSTATUS insert_once(const WCHAR **path, unsigned *chars, WCHAR **owned, void *object,
                            bool open_if, void **existing)
{
    struct ob_entry *found, *parent;
    struct directory *in;
    NTSTATUS status = walk(path, chars, &found, &in, &parent);
    if (NT_SUCCESS(status) && ob_type_of(found->object) == &ob_link_type && *chars != 0) {
        WCHAR *next = substitute(&((struct link *)found->object)->target, *path, *chars, chars);
        free(*owned);
        *owned = next;
        *path = next;
        return next ? STATUS_REPARSE : STATUS_INSUFFICIENT_RESOURCES;
    }
    if (NT_SUCCESS(status) && *chars != 0)
        return STATUS_OBJECT_PATH_NOT_FOUND; /* below something that is no directory */
    if (NT_SUCCESS(status)) {
        if (!open_if || ob_type_of(found->object) != ob_type_of(object))
            return STATUS_OBJECT_NAME_COLLISION;
        ob_reference(found->object);
        *existing = found->object;
        return STATUS_OBJECT_NAME_EXISTS;
    }
    if (status != STATUS_OBJECT_NAME_NOT_FOUND)
        return status;
    struct ob_entry *entry = malloc(sizeof(*entry) + *chars * sizeof(WCHAR));
    if (entry == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    entry->chars = *chars - 1;
    memcpy(entry->name, *path + 1, entry->chars * sizeof(WCHAR));
    entry->object = object;
    ob_reference(object);
    insert_entry(in, parent, entry);
    return STATUS_SUCCESS;
}

NTSTATUS ob_insert(PCUNICODE_STRING name, void *object, bool open_if, void **existing)
{
    const WCHAR *path = name->Buffer;
    unsigned chars = name->Length / sizeof(WCHAR);
    WCHAR *owned = NULL;
    NTSTATUS status = STATUS_REPARSE;
    for (unsigned hops = 0; hops < MAX_LINKS && status == STATUS_REPARSE; hops++) {
        pthread_mutex_lock(&names_mutex);
        status = insert_once(&path, &chars, &owned, object, open_if, existing);
        pthread_mutex_unlock(&names_mutex);
    }
    free(owned);
    return status == STATUS_REPARSE ? STATUS_OBJECT_NAME_INVALID : status;
}

void ob_remove_name(void *object)
{
    struct ob_header *header = ob_header_of(object);
    pthread_mutex_lock(&names_mutex);
    struct ob_entry *entry = header->entry;
    header->entry = NULL;
    if (entry != NULL) {
        *entry->link = entry->next;
        if (entry->next != NULL)
            entry->next->link = entry->link;
    }
    pthread_mutex_unlock(&names_mutex);
    if (entry == NULL)
        return;
    free(entry);
    ob_dereference(object);
}

NTSTATUS ob_name(const void *object, UNICODE_STRING *name)
{
    unsigned chars = 0, at;
    NTSTATUS status;
    pthread_mutex_lock(&names_mutex);
    const struct ob_entry *entry = ob_header_of((void *)(uintptr_t)object)->entry;
    for (const struct ob_entry *e = entry; e != NULL; e = e->parent)
        chars += e->chars + 1;
    WCHAR *text = malloc((chars + 1) * sizeof(WCHAR));
    at = chars;
    for (const struct ob_entry *e = entry; text != NULL && e != NULL; e = e->parent) {
        at -= e->chars;
        memcpy(text + at, e->name, e->chars * sizeof(WCHAR));
        text[--at] = '\\';
    }
    pthread_mutex_unlock(&names_mutex);
    status = text ? ob_copy_string(name, text, chars) : STATUS_INSUFFICIENT_RESOURCES;
    free(text);
    return status;
}

void ob_describe(const void *object, char *text, size_t size)
{
    WCHAR name[256];
    unsigned at = ARRAYSIZE(name);
    pthread_mutex_lock(&names_mutex);
    const struct ob_entry *entry = ob_header_of((void *)(uintptr_t)object)->entry;
    for (const struct ob_entry *e = entry; e != NULL && e->chars < at; e = e->parent) {
        at -= e->chars;
        memcpy(name + at, e->name, e->chars * sizeof(WCHAR));
        name[--at] = '\\';
    }
    pthread_mutex_unlock(&names_mutex);
    utf8_copy(text, size, name + at, ARRAYSIZE(name) - at);
}

const UNICODE_STRING *ob_link_target(const void *link)
{
    return &((const struct link *)link)->target;
}

NTSTATUS ob_link_create(PCUNICODE_STRING name, PCUNICODE_STRING target)
{
    struct link *link = ob_create(&ob_link_type, sizeof(*link));
    if (link == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = ob_copy_string(&link->target, target->Buffer, target->Length / sizeof(WCHAR));
    if (NT_SUCCESS(status))
        status = ob_insert(name, link, false, NULL);
    ob_dereference(link); /* the name holds it */
    return status;
}

void ob_namespace_start(void)
{
    static UNICODE_STRING directories[] = {
        RTL_CONSTANT_STRING(L"\\Device"),           RTL_CONSTANT_STRING(L"\\Driver"),
        RTL_CONSTANT_STRING(L"\\FileSystem"),       RTL_CONSTANT_STRING(L"\\GLOBAL??"),
        RTL_CONSTANT_STRING(L"\\BaseNamedObjects"), RTL_CONSTANT_STRING(L"\\Callback"),
        RTL_CONSTANT_STRING(L"\\KernelObjects")};
    static UNICODE_STRING links[][2] = {
        {RTL_CONSTANT_STRING(L"\\??"), RTL_CONSTANT_STRING(L"\\GLOBAL??")},
        {RTL_CONSTANT_STRING(L"\\DosDevices"), RTL_CONSTANT_STRING(L"\\GLOBAL??")},
        {RTL_CONSTANT_STRING(L"\\GLOBAL??\\Global"), RTL_CONSTANT_STRING(L"\\GLOBAL??")}};
    root = ob_create(&ob_directory_type, sizeof(struct directory));
    for (size_t i = 0; i < ARRAYSIZE(directories); i++) {
        void *directory = ob_create(&ob_directory_type, sizeof(struct directory));
        ob_insert(&directories[i], directory, false, NULL);
        ob_dereference(directory);
    }
    for (size_t i = 0; i < ARRAYSIZE(links); i++)
        ob_link_create(&links[i][0], &links[i][1]);
}

static void empty(struct directory *directory)
{
    while (directory->first != NULL) {
        void *object = directory->first->object;
        if (ob_type_of(object) == &ob_directory_type)
            empty(object);
        ob_remove_name(object);
    }
}

void ob_namespace_stop(void)
{
    empty(root);
    ob_dereference(root);
    root = NULL;
}

/* Exports */

NTSTATUS NTAPI IoCreateSymbolicLink(PUNICODE_STRING SymbolicLinkName, PUNICODE_STRING DeviceName)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    return ob_link_create(SymbolicLinkName, DeviceName);
}
NT_EXPORT(NTOSKRNL, IoCreateSymbolicLink);

NTSTATUS NTAPI IoCreateUnprotectedSymbolicLink(PUNICODE_STRING SymbolicLinkName,
                                               PUNICODE_STRING DeviceName)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    return ob_link_create(SymbolicLinkName, DeviceName);
}
NT_EXPORT(NTOSKRNL, IoCreateUnprotectedSymbolicLink);

NTSTATUS NTAPI IoDeleteSymbolicLink(PUNICODE_STRING SymbolicLinkName)
{
    void *link;
    VF_ENTRY(PASSIVE_LEVEL);
    NTSTATUS status = ob_lookup_link(SymbolicLinkName, &link);
    if (!NT_SUCCESS(status))
        return status;
    ob_remove_name(link);
    ob_dereference(link);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, IoDeleteSymbolicLink);

/* What an OBJECT_NAME_INFORMATION of an object takes; the name follows the structure. */
NTSTATUS NTAPI ObQueryNameString(PVOID Object, POBJECT_NAME_INFORMATION ObjectNameInfo,
                                 ULONG Length, PULONG ReturnLength)
{
    UNICODE_STRING name;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = ob_name(Object, &name);
    if (!NT_SUCCESS(status))
        return status;
    ULONG text = name.Length != 0 ? name.Length + (ULONG)sizeof(WCHAR) : 0;
    *ReturnLength = (ULONG)sizeof(*ObjectNameInfo) + text;
    if (Length < *ReturnLength) {
        status = STATUS_INFO_LENGTH_MISMATCH;
    } else {
        ObjectNameInfo->Name.Length = name.Length;
        ObjectNameInfo->Name.MaximumLength = (USHORT)text;
        ObjectNameInfo->Name.Buffer = text ? (PWCH)(ObjectNameInfo + 1) : NULL;
        if (text != 0)
            memcpy(ObjectNameInfo + 1, name.Buffer, text);
    }
    RtlFreeUnicodeString(&name);
    return status;
}
NT_EXPORT(NTOSKRNL, ObQueryNameString);
