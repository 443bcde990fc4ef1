/*
 * From a path to the folder and name that it means; volume->names is held.
 */
#include "create.h"
#include <string.h>

/* "name:stream:$DATA" into its parts; false: no such name. */
static bool split_stream(const WCHAR *text, unsigned chars, unsigned *name_chars,
                         char stream[FS_NAME_MAX], bool *index)
{
    static const WCHAR data[] = L"$DATA", allocation[] = L"$INDEX_ALLOCATION";
    unsigned colon = 0, second;
    stream[0] = 0;
    *index = false;
    while (colon < chars && text[colon] != ':')
        colon++;
    *name_chars = colon;
    if (colon == chars)
        return true;
    second = colon + 1;
    while (second < chars && text[second] != ':')
        second++;
    if (second < chars) {
        const WCHAR *type = text + second + 1;
        unsigned type_chars = chars - second - 1;
        *index = utf16_compare(type, type_chars, allocation, ARRAYSIZE(allocation) - 1) == 0;
        if (!*index && utf16_compare(type, type_chars, data, ARRAYSIZE(data) - 1) != 0)
            return false;
    } else if (second == colon + 1) {
        return false; /* "name:" */
    }
    return *index || second == colon + 1 ||
           nt_name_to_unix(text + colon + 1, second - colon - 1, stream, FS_NAME_MAX) > 0;
}

/*
 * Follows all but the last component. On success *up is referenced (NULL: *parent is the root),
 * `name` is the last component, "" for the place where the path began. *folder: the path ended with
 * a backslash, or named an index.
 */
NTSTATUS fs_resolve_parent(struct fs_volume *volume, PFILE_OBJECT related,
                           const UNICODE_STRING *path, bool case_sensitive, struct node **parent,
                           struct link **up, char name[FS_NAME_MAX], char stream[FS_NAME_MAX],
                           bool *folder)
{
    const WCHAR *at = path->Buffer, *end = at + path->Length / sizeof(WCHAR);
    struct open *base = related ? open_of(related) : NULL;
    struct node *here = base && !base->is_volume ? base->stream->node : volume->root;
    struct link *link = base && !base->is_volume ? base->link : NULL, *next;
    NTSTATUS status = STATUS_SUCCESS;
    name[0] = stream[0] = 0;
    *folder = false;
    if (base == NULL && at < end && *at == '\\')
        at++;
    if (link != NULL)
        link_reference(link);
    while (at < end) {
        const WCHAR *start = at;
        unsigned chars;
        if (name[0] != 0) {
            status = link_lookup(here, link, name, case_sensitive, &next);
            if (link != NULL)
                link_release(link);
            link = next;
            if (!NT_SUCCESS(status))
                return status == STATUS_OBJECT_NAME_NOT_FOUND ? STATUS_OBJECT_PATH_NOT_FOUND
                                                              : status;
            here = link->node;
            if (!is_directory(here) || node_reparse_tag(here) != 0)
                status = is_directory(here) || S_ISLNK(here->type)
                             ? STATUS_IO_REPARSE_TAG_NOT_HANDLED
                             : STATUS_OBJECT_PATH_NOT_FOUND;
            else if (link->delete_pending && link->unlinked)
                status = STATUS_DELETE_PENDING;
        }
        while (at < end && *at != '\\')
            at++;
        chars = (unsigned)(at - start);
        bool last = at == end || at + 1 == end;
        if (NT_SUCCESS(status) && chars == 0)
            status = STATUS_OBJECT_NAME_INVALID;
        if (NT_SUCCESS(status) && last && !split_stream(start, chars, &chars, stream, folder))
            status = STATUS_OBJECT_NAME_INVALID;
        if (NT_SUCCESS(status) && chars != 0 &&
            nt_name_to_unix(start, chars, name, FS_NAME_MAX) < 0)
            status = STATUS_OBJECT_NAME_INVALID;
        if (!NT_SUCCESS(status)) {
            if (link != NULL)
                link_release(link);
            return status;
        }
        if (at + 1 == end) {
            *folder = true;
            at++;
        } else if (at < end) {
            at++;
        }
    }
    *parent = here;
    *up = link;
    return STATUS_SUCCESS;
}
