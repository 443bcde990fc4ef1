/*
 * IRP_MJ_DIRECTORY_CONTROL: enumeration.
 *
 * The names are read whole and sorted when a scan begins; what goes meanwhile is left out, what
 * comes is not seen until the next scan. The pattern is that of the first call.
 *
 * WDK: IRP_MN_QUERY_DIRECTORY; [MS-FSA] 2.1.5.6.3, FsRtlIsNameInExpression.
 */
#include "fsp.h"
#include <nthost/utf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Names against patterns: '*' any, '?' one, and those of DOS, which programs make of "*.*". */
static bool matches(const WCHAR *pattern, unsigned pattern_chars, const WCHAR *name, unsigned chars,
                    bool fold)
{
    while (pattern_chars != 0) {
        WCHAR p = *pattern;
        if (p == '*' || p == DOS_STAR) {
            if (p == DOS_STAR) { /* up to the last dot */
                unsigned last = 0;
                for (unsigned i = 0; i < chars; i++)
                    if (name[i] == '.')
                        last = i + 1;
                for (unsigned i = 0; i <= (last ? last - 1 : chars); i++)
                    if (matches(pattern + 1, pattern_chars - 1, name + i, chars - i, fold))
                        return true;
            }
            for (unsigned i = 0; p == '*' && i <= chars; i++)
                if (matches(pattern + 1, pattern_chars - 1, name + i, chars - i, fold))
                    return true;
            return false;
        }
        if (p == DOS_QM) {
            if (chars != 0 && *name != '.')
                name++, chars--;
        } else if (p == DOS_DOT) {
            if (chars != 0 && *name != '.')
                return false;
            if (chars != 0)
                name++, chars--;
        } else {
            if (chars == 0)
                return false;
            if (p != '?' && (fold ? utf16_upcase(p) != utf16_upcase(*name) : p != *name))
                return false;
            name++, chars--;
        }
        pattern++, pattern_chars--;
    }
    return chars == 0;
}

static void scan_reset(struct scan *scan)
{
    for (unsigned i = 0; i < scan->count; i++)
        free(scan->names[i]);
    free(scan->names);
    scan->names = NULL;
    scan->count = scan->at = 0;
    scan->started = false;
}

static bool scan_add(struct scan *scan, unsigned *room, const char *name)
{
    if (scan->count == *room) {
        unsigned more = *room ? *room * 2 : 64;
        char **names = realloc(scan->names, more * sizeof(*names));
        if (names == NULL)
            return false;
        scan->names = names;
        *room = more;
    }
    scan->names[scan->count] = strdup(name);
    if (scan->names[scan->count] == NULL)
        return false;
    scan->count++;
    return true;
}

/* About the order of NTFS: by name, without case. It does not depend on the backing. */
static int by_name(const void *a, const void *b)
{
    const char *first = *(const char *const *)a, *second = *(const char *const *)b;
    int order = strcasecmp(first, second);
    return order ? order : strcmp(first, second);
}

static NTSTATUS scan_begin(struct open *open, const UNICODE_STRING *pattern)
{
    struct scan *scan = &open->scan;
    struct node *node = open->stream->node;
    unsigned room = 0;
    bool fits = true;
    scan_reset(scan);
    if (pattern != NULL && pattern->Length != 0) {
        free(scan->pattern);
        scan->pattern_chars = 0;
        scan->pattern = malloc(pattern->Length);
        if (scan->pattern == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        memcpy(scan->pattern, pattern->Buffer, pattern->Length);
        scan->pattern_chars = pattern->Length / sizeof(WCHAR);
        if (scan->pattern_chars == 3 && memcmp(scan->pattern, L"*.*", 6) == 0)
            scan->pattern_chars = 1;
    }
    if (node->gone)
        return STATUS_NO_SUCH_FILE;
    int fd = openat(node->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        NTSTATUS status = fs_status_of(errno);
        if (fd >= 0)
            close(fd);
        return status;
    }
    if (!node->root)
        fits = scan_add(scan, &room, ".") && scan_add(scan, &room, "..");
    unsigned first = scan->count;
    for (struct dirent *entry; fits && (entry = readdir(dir)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !(node->root && strcmp(entry->d_name, FS_STORE) == 0))
            fits = scan_add(scan, &room, entry->d_name);
    closedir(dir);
    if (scan->count > first)
        qsort(scan->names + first, scan->count - first, sizeof(*scan->names), by_name);
    scan->started = fits;
    return fits ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

/* What an entry says */
struct entry {
    const WCHAR *name;
    unsigned chars;
    struct statx st;
    ULONG attributes, tag, ea_bytes;
    LONGLONG creation;
    LARGE_INTEGER index;
    FILE_ID_128 id;
};

static LONGLONG time_of(const struct statx_timestamp *time)
{
    struct timespec ts = {time->tv_sec, time->tv_nsec};
    return fs_time(&ts);
}

static bool describe(struct node *folder, const char *name, bool identity, struct entry *entry)
{
    char path[32 + FS_NAME_MAX];
    struct fs_info info;
    struct statx *st = &entry->st;
    if (statx(folder->fd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, st) != 0)
        return false; /* gone */
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", folder->fd, name);
    entry->attributes = S_ISDIR(st->stx_mode) ? 0 : FILE_ATTRIBUTE_ARCHIVE;
    entry->tag = fs_type_tag(st->stx_mode);
    entry->creation = time_of(st->stx_mask & STATX_BTIME ? &st->stx_btime : &st->stx_ctime);
    if (entry->tag == 0 && lgetxattr(path, XATTR_INFO, &info, sizeof(info)) == sizeof(info) &&
        info.version == 1) {
        entry->attributes = info.attributes & FS_KEPT_ATTRIBUTES;
        entry->tag = info.reparse_tag;
        if (info.creation != 0)
            entry->creation = info.creation;
    }
    if (S_ISDIR(st->stx_mode))
        entry->attributes |= FILE_ATTRIBUTE_DIRECTORY;
    if (entry->tag != 0)
        entry->attributes |= FILE_ATTRIBUTE_REPARSE_POINT;
    if (entry->attributes == 0)
        entry->attributes = FILE_ATTRIBUTE_NORMAL;
    if (identity) {
        uint64_t generation = fs_generation(folder->fd, name);
        entry->index.QuadPart =
            (LONGLONG)((st->stx_ino & 0xffffffffffffull) | (generation & 0xffff) << 48);
        memcpy(entry->id.Identifier, &entry->index, 8);
        memcpy(entry->id.Identifier + 8, &generation, 8);
    }
    return true;
}

static ULONG head_bytes(FILE_INFORMATION_CLASS class)
{
    switch ((int)class) {
    case FileDirectoryInformation:
        return FIELD_OFFSET(FILE_DIRECTORY_INFORMATION, FileName);
    case FileFullDirectoryInformation:
        return FIELD_OFFSET(FILE_FULL_DIR_INFORMATION, FileName);
    case FileBothDirectoryInformation:
        return FIELD_OFFSET(FILE_BOTH_DIR_INFORMATION, FileName);
    case FileNamesInformation:
        return FIELD_OFFSET(FILE_NAMES_INFORMATION, FileName);
    case FileIdFullDirectoryInformation:
        return FIELD_OFFSET(FILE_ID_FULL_DIR_INFORMATION, FileName);
    case FileIdBothDirectoryInformation:
        return FIELD_OFFSET(FILE_ID_BOTH_DIR_INFORMATION, FileName);
    case FileIdExtdDirectoryInformation:
        return FIELD_OFFSET(FILE_ID_EXTD_DIR_INFORMATION, FileName);
    case FileIdExtdBothDirectoryInformation:
        return FIELD_OFFSET(FILE_ID_EXTD_BOTH_DIR_INFORMATION, FileName);
    default:
        return 0;
    }
}

/* All but the names class begin alike. EaSize of a reparse point is its tag. */
static void write_entry(UCHAR *at, FILE_INFORMATION_CLASS class, ULONG head,
                        const struct entry *entry, ULONG name_bytes)
{
    const struct statx *st = &entry->st;
    memset(at, 0, head);
    if (class == FileNamesInformation) {
        ((FILE_NAMES_INFORMATION *)at)->FileNameLength = entry->chars * (ULONG)sizeof(WCHAR);
        memcpy(at + head, entry->name, name_bytes);
        return;
    }
    FILE_FULL_DIR_INFORMATION *info = (FILE_FULL_DIR_INFORMATION *)at;
    bool folder = S_ISDIR(st->stx_mode);
    info->CreationTime.QuadPart = entry->creation;
    info->LastAccessTime.QuadPart = time_of(&st->stx_atime);
    info->LastWriteTime.QuadPart = time_of(&st->stx_mtime);
    info->ChangeTime.QuadPart = time_of(&st->stx_ctime);
    info->EndOfFile.QuadPart = S_ISREG(st->stx_mode) ? (LONGLONG)st->stx_size : 0;
    info->AllocationSize.QuadPart = folder ? 0 : (LONGLONG)st->stx_blocks * 512;
    info->FileAttributes = entry->attributes;
    info->FileNameLength = entry->chars * (ULONG)sizeof(WCHAR);
    if (class != FileDirectoryInformation)
        info->EaSize =
            class == FileIdExtdDirectoryInformation || class == FileIdExtdBothDirectoryInformation
                ? 0
                : entry->tag;
    switch ((int)class) {
    case FileIdFullDirectoryInformation:
        ((FILE_ID_FULL_DIR_INFORMATION *)at)->FileId = entry->index;
        break;
    case FileIdBothDirectoryInformation:
        ((FILE_ID_BOTH_DIR_INFORMATION *)at)->FileId = entry->index;
        break;
    case FileIdExtdDirectoryInformation:
        ((FILE_ID_EXTD_DIR_INFORMATION *)at)->ReparsePointTag = entry->tag;
        ((FILE_ID_EXTD_DIR_INFORMATION *)at)->FileId = entry->id;
        break;
    case FileIdExtdBothDirectoryInformation:
        ((FILE_ID_EXTD_BOTH_DIR_INFORMATION *)at)->ReparsePointTag = entry->tag;
        ((FILE_ID_EXTD_BOTH_DIR_INFORMATION *)at)->FileId = entry->id;
        break;
    default:
        break;
    }
    memcpy(at + head, entry->name, name_bytes);
}

static NTSTATUS enumerate(struct open *open, FILE_INFORMATION_CLASS class, UCHAR *out, ULONG room,
                          bool single, ULONG_PTR *bytes)
{
    struct scan *scan = &open->scan;
    struct node *node = open->stream->node;
    ULONG head = head_bytes(class), at = 0, last = 0;
    bool any = false,
         identity = class != FileDirectoryInformation && class != FileFullDirectoryInformation &&
                    class != FileBothDirectoryInformation && class != FileNamesInformation;
    for (; scan->at < scan->count; scan->at++) {
        const char *text = scan->names[scan->at];
        WCHAR name[FS_NAME_MAX];
        struct entry entry = {.name = name};
        int chars = nt_name_from_unix(text, strlen(text), false, name, FS_NAME_MAX);
        if (chars <= 0)
            continue;
        entry.chars = (unsigned)chars;
        if (scan->pattern_chars != 0 &&
            !matches(scan->pattern, scan->pattern_chars, name, entry.chars, !open->case_sensitive))
            continue;
        ULONG name_bytes = entry.chars * (ULONG)sizeof(WCHAR), start = (at + 7) & ~7u;
        if (start + head + name_bytes > room && any)
            break; /* the next call's */
        if (head > room)
            return STATUS_INFO_LENGTH_MISMATCH;
        if (class == FileNamesInformation
                ? faccessat(node->fd, text, F_OK, AT_SYMLINK_NOFOLLOW) != 0
                : !describe(node, text, identity, &entry))
            continue;
        bool cut = start + head + name_bytes > room;
        if (cut)
            name_bytes = (room - head) & ~1u;
        write_entry(out + start, class, head, &entry, name_bytes);
        if (any) {
            ULONG next = start - last;
            memcpy(out + last, &next, sizeof(next));
        }
        any = true;
        last = start;
        at = start + head + name_bytes;
        if (cut) {
            *bytes = at;
            return STATUS_BUFFER_OVERFLOW;
        }
        if (single) {
            scan->at++;
            break;
        }
    }
    *bytes = at;
    return any ? STATUS_SUCCESS : STATUS_NO_MORE_FILES;
}

NTSTATUS fs_directory(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct open *open = open_of(stack->FileObject);
    FILE_INFORMATION_CLASS class = stack->Parameters.QueryDirectory.FileInformationClass;
    NTSTATUS status = STATUS_SUCCESS;
    UNREFERENCED_PARAMETER(device);
    if (stack->MinorFunction != IRP_MN_QUERY_DIRECTORY)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (open->is_volume || !is_directory(open->stream->node) || open->stream->name[0] != 0)
        return STATUS_INVALID_PARAMETER;
    if (head_bytes(class) == 0)
        return STATUS_INVALID_INFO_CLASS;
    if (open->cleaned)
        return STATUS_FILE_CLOSED;
    UCHAR *out = fs_irp_data(irp);
    if (out == NULL)
        return STATUS_INVALID_USER_BUFFER;
    pthread_mutex_lock(&open->scan_mutex);
    bool first = !open->scan.started;
    if (first || stack->Flags & SL_RESTART_SCAN)
        status = scan_begin(open, first ? stack->Parameters.QueryDirectory.FileName : NULL);
    if (NT_SUCCESS(status))
        status =
            enumerate(open, class, out, stack->Parameters.QueryDirectory.Length,
                      (stack->Flags & SL_RETURN_SINGLE_ENTRY) != 0, &irp->IoStatus.Information);
    pthread_mutex_unlock(&open->scan_mutex);
    if (status == STATUS_NO_MORE_FILES && first)
        status = STATUS_NO_SUCH_FILE; /* nothing matches at all */
    return status;
}
