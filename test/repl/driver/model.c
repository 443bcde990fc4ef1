#include "model.h"

#include <nthost/nt.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct stream {
    struct stream *next;
    UNICODE_STRING name; /* empty: the unnamed one */
    UCHAR *data;
    size_t size, room;
};

struct file {
    struct file *next;
    UINT8 id[16];
    UINT32 set_id;
    UINT64 since; /* Sequence at which it came to be known */
    bool directory;
    unsigned names;
    struct stream *streams;
    char *target; /* of a symbolic link */
    bool has_mode;
    ULONG mode;
};

/* Paths as UTF-8 with '/'. */
struct name {
    struct name *next;
    UINT32 set_id;
    char *path;
    struct file *file;
};

struct model {
    struct file *files;
    struct name *names;
    UINT64 brackets[REPL_MAX_BRACKETS];
    unsigned bracket_count;
    UINT64 sequence;
    /* A folder's listing that comes in several records. */
    char **listed;
    unsigned listed_count;
};

static bool wrong(char *why, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool wrong(char *why, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(why, size, format, list);
    va_end(list);
    return false;
}

struct model *model_new(void)
{
    return calloc(1, sizeof(struct model));
}

static void stream_free(struct stream *stream)
{
    free(stream->name.Buffer);
    free(stream->data);
    free(stream);
}

static void file_free(struct file *file)
{
    while (file->streams) {
        struct stream *stream = file->streams;
        file->streams = stream->next;
        stream_free(stream);
    }
    free(file->target);
    free(file);
}

static void listing_free(struct model *model)
{
    for (unsigned i = 0; i < model->listed_count; i++)
        free(model->listed[i]);
    free(model->listed);
    model->listed = NULL;
    model->listed_count = 0;
}

void model_free(struct model *model)
{
    while (model->names) {
        struct name *name = model->names;
        model->names = name->next;
        free(name->path);
        free(name);
    }
    while (model->files) {
        struct file *file = model->files;
        model->files = file->next;
        file_free(file);
    }
    listing_free(model);
    free(model);
}

unsigned model_brackets(const struct model *model)
{
    return model->bracket_count;
}

UINT64 model_sequence(const struct model *model)
{
    return model->sequence;
}

/* Parts of a record */

static const UCHAR *record_name(const REPL_RECORD *record)
{
    return (const UCHAR *)(record + 1);
}

static const UCHAR *record_data(const REPL_RECORD *record)
{
    return record_name(record) + ((record->NameLength + 7) & ~7u);
}

/* A path as UTF-8 with '/', malloc'd. */
static char *path_of(const void *name, ULONG bytes)
{
    const WCHAR *from = name;
    char *path = calloc(1, (size_t)bytes * 2 + 2);
    size_t at = 0;
    for (unsigned i = 0; i < bytes / sizeof(WCHAR);) {
        unsigned end = i;
        while (end < bytes / sizeof(WCHAR) && from[end] != '\\')
            end++;
        int length = nt_name_to_unix(from + i, end - i, path + at, (unsigned)(bytes * 2 + 2 - at));
        at += length > 0 ? (size_t)length : 0;
        if (end < bytes / sizeof(WCHAR))
            path[at++] = '/';
        i = end + 1;
    }
    path[at] = 0;
    return path;
}

/* Finding */

static struct file *find_file(const struct model *model, UINT32 set_id, const UINT8 *id)
{
    struct file *file = model->files;
    while (file && (file->set_id != set_id || memcmp(file->id, id, 16) != 0))
        file = file->next;
    return file;
}

bool model_knew(const struct model *model, UINT32 set_id, const UINT8 *id, UINT64 sequence)
{
    const struct file *file = find_file(model, set_id, id);
    return file != NULL && file->since < sequence;
}

static struct name **find_name(struct model *model, UINT32 set_id, const char *path)
{
    struct name **at = &model->names;
    while (*at && ((*at)->set_id != set_id || strcmp((*at)->path, path) != 0))
        at = &(*at)->next;
    return at;
}

static bool below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (length == 0 || path[length] == '/');
}

static void forget_file(struct model *model, struct file *file)
{
    struct file **at = &model->files;
    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    file_free(file);
}

/* Inside of a bracket a file may get another name later: it goes at the bracket's end. */
static void remove_name(struct model *model, struct name **at)
{
    struct name *name = *at;
    *at = name->next;
    if (--name->file->names == 0 && model->bracket_count == 0)
        forget_file(model, name->file);
    free(name->path);
    free(name);
}

/* The name and, of a folder, all below it. */
static void remove_path(struct model *model, UINT32 set_id, const char *path)
{
    struct name **at = &model->names;
    size_t length = strlen(path);
    while (*at) {
        if ((*at)->set_id == set_id && strncmp((*at)->path, path, length) == 0 &&
            ((*at)->path[length] == 0 || (*at)->path[length] == '/'))
            remove_name(model, at);
        else
            at = &(*at)->next;
    }
}

static void add_name(struct model *model, UINT32 set_id, const char *path, struct file *file)
{
    struct name *name = calloc(1, sizeof *name);
    name->set_id = set_id;
    name->path = strdup(path);
    name->file = file;
    name->next = model->names;
    model->names = name;
    file->names++;
}

static struct file *make_file(struct model *model, const REPL_RECORD *record)
{
    struct file *file = calloc(1, sizeof *file);
    memcpy(file->id, record->FileId, 16);
    file->set_id = record->SetId;
    file->since = record->Sequence;
    file->directory = (record->Flags & REPL_FLAG_DIRECTORY) != 0;
    file->next = model->files;
    model->files = file;
    return file;
}

/* Data */

static struct stream *find_stream(struct file *file, const REPL_RECORD *record, bool make)
{
    UNICODE_STRING name = {0};
    if (record->Flags & REPL_FLAG_STREAM) {
        name.Buffer = (PWCH)record_name(record);
        name.Length = (USHORT)record->NameLength;
    }
    struct stream *stream = file->streams;
    while (stream &&
           (stream->name.Length != name.Length ||
            (name.Length != 0 && memcmp(stream->name.Buffer, name.Buffer, name.Length) != 0)))
        stream = stream->next;
    if (!stream && make) {
        stream = calloc(1, sizeof *stream);
        stream->name.Length = name.Length;
        stream->name.Buffer = malloc(name.Length + 1u);
        if (name.Length != 0)
            memcpy(stream->name.Buffer, name.Buffer, name.Length);
        stream->next = file->streams;
        file->streams = stream;
    }
    return stream;
}

static void set_size(struct stream *stream, size_t size)
{
    if (size > stream->room) {
        size_t room = size * 2;
        stream->data = realloc(stream->data, room);
        memset(stream->data + stream->room, 0, room - stream->room);
        stream->room = room;
    }
    if (size < stream->size)
        memset(stream->data + size, 0, stream->size - size);
    stream->size = size;
}

static void write_data(struct stream *stream, UINT64 offset, const UCHAR *data, ULONG bytes)
{
    if (bytes == 0)
        return;
    if (offset + bytes > stream->size)
        set_size(stream, offset + bytes);
    memcpy(stream->data + offset, data, bytes);
}

static void zero_data(struct stream *stream, UINT64 offset, UINT64 range)
{
    if (offset < stream->size)
        memset(stream->data + offset, 0,
               range > stream->size - offset ? stream->size - offset : range);
}

/* Metadata */

static void apply_ea(struct file *file, const UCHAR *list, ULONG bytes)
{
    ULONG at = 0;
    while (at + FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) < bytes) {
        const FILE_FULL_EA_INFORMATION *ea = (const void *)(list + at);
        if (ea->EaNameLength == 6 && memcmp(ea->EaName, "$LXMOD", 6) == 0 &&
            ea->EaValueLength == 4) {
            memcpy(&file->mode, ea->EaName + ea->EaNameLength + 1, 4);
            file->has_mode = true;
        }
        if (ea->NextEntryOffset == 0)
            break;
        at += ea->NextEntryOffset;
    }
}

static void apply_reparse(struct file *file, const UCHAR *data, ULONG bytes)
{
    const REPARSE_DATA_BUFFER *buffer = (const void *)data;
    free(file->target);
    file->target = NULL;
    if (bytes >= 12 && buffer->ReparseTag == IO_REPARSE_TAG_LX_SYMLINK)
        file->target = strndup((const char *)data + 12, bytes - 12);
}

static bool apply_metadata(struct file *file, const REPL_RECORD *record)
{
    const REPL_METADATA *metadata = (const void *)record_data(record);
    const UCHAR *at = (const UCHAR *)(metadata + 1);
    if (record->DataLength < sizeof *metadata)
        return false;
    at += (metadata->SecurityLength + 7) & ~7u;
    apply_ea(file, at, metadata->EaLength);
    at += (metadata->EaLength + 7) & ~7u;
    if (metadata->ReparseLength)
        apply_reparse(file, at, metadata->ReparseLength);
    return true;
}

/* Brackets */

static void forget_nameless(struct model *model)
{
    for (struct file *file = model->files, *next; file; file = next) {
        next = file->next;
        if (file->names == 0)
            forget_file(model, file);
    }
}

static bool apply_bracket(struct model *model, const REPL_RECORD *record, char *why, size_t size)
{
    if (record->Type == ReplRecordAborted)
        return true; /* what it was to open is not open */
    if (record->Flags & REPL_FLAG_OPEN) {
        model->brackets[model->bracket_count++] = record->Sequence;
        return true;
    }
    if (!(record->Flags & REPL_FLAG_CLOSE))
        return true;
    for (unsigned i = 0; i < model->bracket_count; i++)
        if (model->brackets[i] == record->Bracket) {
            model->brackets[i] = model->brackets[--model->bracket_count];
            if (model->bracket_count == 0)
                forget_nameless(model);
            return true;
        }
    return wrong(why, size, "closes bracket %llu, which is not open",
                 (unsigned long long)record->Bracket);
}

/* Records. Inside of a bracket names may contradict what is known: what was lost is not. */

static bool strict(const struct model *model)
{
    return model->bracket_count == 0;
}

static bool apply_create(struct model *model, const REPL_RECORD *record, const char *path,
                         char *why, size_t size)
{
    struct file *file = find_file(model, record->SetId, record->FileId);
    if (record->Flags & REPL_FLAG_STREAM) {
        if (!file)
            return !strict(model) || wrong(why, size, "a stream of an unknown file");
        find_stream(file, record, true);
        return true;
    }
    if (*find_name(model, record->SetId, path)) {
        if (strict(model))
            return wrong(why, size, "creates %s, which exists", path);
        remove_path(model, record->SetId, path);
    }
    if (file && strict(model))
        return wrong(why, size, "creates %s with the identity of another file", path);
    if (!file)
        file = make_file(model, record);
    add_name(model, record->SetId, path, file);
    return apply_metadata(file, record) || wrong(why, size, "metadata are short");
}

/* A file as it is: made or renamed to be so. */
static bool apply_file(struct model *model, const REPL_RECORD *record, const char *path, char *why,
                       size_t size)
{
    struct file *file = find_file(model, record->SetId, record->FileId);
    struct name **at = find_name(model, record->SetId, path);
    const REPL_METADATA *metadata = (const void *)record_data(record);
    if (*at && (*at)->file != file)
        remove_path(model, record->SetId, path);
    if (!file)
        file = make_file(model, record);
    if (!*find_name(model, record->SetId, path))
        add_name(model, record->SetId, path, file);
    if (!apply_metadata(file, record))
        return wrong(why, size, "metadata are short");
    if (!file->directory)
        set_size(find_stream(file, record, true), metadata->Size);
    return true;
}

static bool apply_rename(struct model *model, const REPL_RECORD *record, const char *path,
                         char *why, size_t size)
{
    if (record->Flags & REPL_FLAG_LEFT) {
        remove_path(model, record->SetId, path);
        return true;
    }
    char *to = path_of(record_data(record), record->DataLength);
    struct file *file = find_file(model, record->SetId, record->FileId);
    struct name **target = find_name(model, record->SetId, to);
    bool same = *target && (*target)->file == file;
    bool done = true;
    if (record->Flags & REPL_FLAG_ENTERED) {
        if (*target && !same)
            remove_path(model, record->SetId, to);
        if (!file)
            file = make_file(model, record);
        if (!*find_name(model, record->SetId, to))
            add_name(model, record->SetId, to, file);
    } else if (!*find_name(model, record->SetId, path) && !strict(model)) {
        if (*target && !same)
            remove_path(model, record->SetId, to);
        if (!file)
            file = make_file(model, record);
        if (!*find_name(model, record->SetId, to))
            add_name(model, record->SetId, to, file);
    } else if (!*find_name(model, record->SetId, path)) {
        done = wrong(why, size, "renames %s, which is not there, to %s", path, to);
    } else if (strcmp(path, to) != 0) {
        if (*target && !(record->Flags & REPL_FLAG_REPLACE) && strict(model))
            done = wrong(why, size, "renames %s to %s, which exists", path, to);
        if (*target)
            remove_path(model, record->SetId, to);
        for (struct name *name = model->names; name && done; name = name->next) {
            if (name->set_id != record->SetId ||
                (strcmp(name->path, path) != 0 && !below(name->path, path)))
                continue;
            char *moved = malloc(strlen(to) + strlen(name->path) + 1);
            strcpy(moved, to);
            strcat(moved, name->path + strlen(path));
            free(name->path);
            name->path = moved;
        }
    }
    free(to);
    return done;
}

/* The file has the name from here on, whoever had it. */
static void take_name(struct model *model, UINT32 set_id, const char *path, struct file *file)
{
    if (*find_name(model, set_id, path)) {
        file->names++; /* it must not go with the name that is replaced */
        remove_path(model, set_id, path);
        file->names--;
    }
    add_name(model, set_id, path, file);
}

static bool apply_link(struct model *model, const REPL_RECORD *record, char *why, size_t size)
{
    char *to = path_of(record_data(record), record->DataLength);
    struct file *file = find_file(model, record->SetId, record->FileId);
    bool done = true;
    if (!file && ((record->Flags & REPL_FLAG_ENTERED) || !strict(model)))
        file = make_file(model, record);
    if (!file) {
        done = wrong(why, size, "links an unknown file to %s", to);
    } else {
        take_name(model, record->SetId, to, file);
    }
    free(to);
    return done;
}

/* Two handles of one file may both find that it has lost its name. */
static void apply_delete(struct model *model, const REPL_RECORD *record, const char *path)
{
    struct name **at = find_name(model, record->SetId, path);
    if (*at && memcmp((*at)->file->id, record->FileId, 16) == 0)
        remove_name(model, at);
}

static bool listed(const struct model *model, const char *name)
{
    for (unsigned i = 0; i < model->listed_count; i++)
        if (strcmp(model->listed[i], name) == 0)
            return true;
    return false;
}

/* Names in the folder that the listing has not are gone, or another file's. */
static void apply_listing(struct model *model, UINT32 set_id, const char *folder)
{
    for (struct name *name = model->names; name;) {
        const char *last = name->path + strlen(folder) + (*folder ? 1 : 0);
        if (name->set_id == set_id && below(name->path, folder) &&
            strlen(name->path) > strlen(folder) && !strchr(last, '/') && !listed(model, last)) {
            char *path = strdup(name->path);
            remove_path(model, set_id, path);
            free(path);
            name = model->names;
        } else {
            name = name->next;
        }
    }
}

/* A file that is known has the name, whatever other names its own record tells. */
static void apply_entry(struct model *model, UINT32 set_id, const char *folder,
                        const REPL_ENTRY *entry, const char *name)
{
    struct file *file = find_file(model, set_id, entry->FileId);
    if (!file || file->directory)
        return;
    char *path = malloc(strlen(folder) + strlen(name) + 2);
    sprintf(path, "%s%s%s", folder, *folder ? "/" : "", name);
    take_name(model, set_id, path, file);
    free(path);
}

static bool apply_folder(struct model *model, const REPL_RECORD *record, const char *path,
                         char *why, size_t size)
{
    const UCHAR *at = record_data(record), *end = at + record->DataLength;
    while (at < end) {
        const REPL_ENTRY *entry = (const void *)at;
        model->listed = realloc(model->listed, (model->listed_count + 1) * sizeof *model->listed);
        char *name = path_of(entry + 1, entry->NameLength);
        model->listed[model->listed_count++] = name;
        apply_entry(model, record->SetId, path, entry, name);
        at += sizeof *entry + ((entry->NameLength + 7) & ~7u);
    }
    if (model->listed_count > record->Range)
        return wrong(why, size, "%u entries of %llu", model->listed_count,
                     (unsigned long long)record->Range);
    if (model->listed_count == record->Range) {
        apply_listing(model, record->SetId, path);
        listing_free(model);
    }
    return true;
}

/* Those that change a file that must be known. A file that has lost its last name is nobody's. */
static bool apply_to_file(struct model *model, const REPL_RECORD *record)
{
    ULONG bytes = record->DataLength;
    struct file *file = find_file(model, record->SetId, record->FileId);
    if (!file)
        return true;
    struct stream *stream = find_stream(file, record, true);
    switch (record->Type) {
    case ReplRecordOverwrite:
        set_size(stream, 0);
        return apply_metadata(file, record);
    case ReplRecordWrite:
        /* What a mapping stores makes no file longer. */
        if ((record->Flags & REPL_FLAG_PAGING) && model->bracket_count == 0)
            bytes = record->Offset >= stream->size ? 0
                    : bytes < stream->size - record->Offset
                        ? bytes
                        : (ULONG)(stream->size - record->Offset);
        if (!(record->Flags & REPL_FLAG_VERIFY))
            write_data(stream, record->Offset, record_data(record), bytes);
        return true;
    case ReplRecordSetSize:
        set_size(stream, record->Offset);
        return true;
    case ReplRecordSetAllocation:
        if (record->Offset < stream->size)
            set_size(stream, record->Offset);
        return true;
    case ReplRecordZero:
        zero_data(stream, record->Offset, record->Range);
        return true;
    case ReplRecordSetEa:
        apply_ea(file, record_data(record), record->DataLength);
        return true;
    case ReplRecordSetReparse:
        apply_reparse(file, record_data(record), record->DataLength);
        return true;
    default:
        return true;
    }
}

bool model_apply(struct model *model, const REPL_RECORD *record, char *why, size_t size)
{
    if (model->sequence && record->Sequence != model->sequence + 1 &&
        record->Type != ReplRecordStart && record->Type != ReplRecordLost)
        return wrong(why, size, "number %llu after %llu", (unsigned long long)record->Sequence,
                     (unsigned long long)model->sequence);
    model->sequence = record->Sequence;
    if (!apply_bracket(model, record, why, size))
        return false;
    char *path = record->Flags & REPL_FLAG_STREAM
                     ? strdup("")
                     : path_of(record_name(record), record->NameLength);
    bool done;
    switch (record->Type) {
    case ReplRecordCreate:
        done = apply_create(model, record, path, why, size);
        break;
    case ReplRecordFile:
        done = apply_file(model, record, path, why, size);
        break;
    case ReplRecordRename:
        done = apply_rename(model, record, path, why, size);
        break;
    case ReplRecordLink:
        done = apply_link(model, record, why, size);
        break;
    case ReplRecordDelete:
        apply_delete(model, record, path);
        done = true;
        break;
    case ReplRecordFolder:
        done = apply_folder(model, record, path, why, size);
        break;
    default:
        done = apply_to_file(model, record) || wrong(why, size, "metadata are short");
        break;
    }
    free(path);
    return done;
}

/* Comparing */

struct comparison {
    const struct model *model;
    UINT32 set_id;
    bool (*in_set)(const char *path, bool directory); /* NULL: all is */
};

static bool compare_content(const struct file *file, int at, const char *path,
                            const struct stat *st, char *why, size_t size)
{
    const struct stream *stream = file->streams;
    while (stream && stream->name.Length)
        stream = stream->next;
    size_t bytes = stream ? stream->size : 0;
    if ((size_t)st->st_size != bytes)
        return wrong(why, size, "%s: %lld bytes, the records say %zu", path, (long long)st->st_size,
                     bytes);
    UCHAR *data = malloc(bytes + 1);
    int fd = openat(at, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : pread(fd, data, bytes, 0);
    if (fd >= 0)
        close(fd);
    size_t differs = 0;
    while (got == (ssize_t)bytes && differs < bytes && data[differs] == stream->data[differs])
        differs++;
    bool same = got == (ssize_t)bytes && differs == bytes;
    if (!same)
        wrong(why, size, "%s: byte %zu of %zu is %02x, the records say %02x", path, differs, bytes,
              differs < bytes ? data[differs] : 0, differs < bytes ? stream->data[differs] : 0);
    free(data);
    return same;
}

static bool compare_entry(const struct comparison *c, int at, const char *path, char *why,
                          size_t size)
{
    struct stat st, other;
    const struct model *model = c->model;
    const struct name *name = *find_name((struct model *)model, c->set_id, path);
    if (fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return wrong(why, size, "%s: cannot be read", path);
    if (c->in_set && !c->in_set(path, S_ISDIR(st.st_mode)))
        return !name || wrong(why, size, "%s is left out, the records have it", path);
    if (!name)
        return wrong(why, size, "%s is there, the records do not have it", path);
    const struct file *file = name->file;
    if (S_ISDIR(st.st_mode) != file->directory)
        return wrong(why, size, "%s is %sa folder", path, S_ISDIR(st.st_mode) ? "" : "not ");
    if (file->has_mode && (file->mode & 07777) != (st.st_mode & 07777) && !S_ISLNK(st.st_mode))
        return wrong(why, size, "%s: mode %o, the records say %o", path, st.st_mode & 07777,
                     file->mode & 07777);
    for (const struct name *twin = model->names; twin; twin = twin->next)
        if (twin->file == file && fstatat(at, twin->path, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
            other.st_ino != st.st_ino)
            return wrong(why, size, "%s and %s are one file in the records", path, twin->path);
    if (S_ISLNK(st.st_mode)) {
        char target[PATH_MAX] = "";
        ssize_t length = readlinkat(at, path, target, sizeof target - 1);
        if (length < 0 || !file->target || strcmp(target, file->target) != 0)
            return wrong(why, size, "%s -> %s, the records say %s", path, target,
                         file->target ? file->target : "no link");
        return true;
    }
    return !S_ISREG(st.st_mode) || compare_content(file, at, path, &st, why, size);
}

static bool compare_folder(const struct comparison *c, int at, const char *folder, char *why,
                           size_t size)
{
    int fd = openat(at, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool same = dir != NULL || wrong(why, size, "%s: cannot be listed", folder);
    for (struct dirent *entry; same && (entry = readdir(dir));) {
        char path[PATH_MAX];
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", entry->d_name);
        same = compare_entry(c, at, path, why, size);
        if (same && fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
            same = compare_folder(c, at, path, why, size);
    }
    if (dir)
        closedir(dir);
    return same;
}

bool model_compare(const struct model *model, UINT32 set_id, const char *folder, char *why,
                   size_t size)
{
    return model_compare_rules(model, set_id, folder, NULL, why, size);
}

bool model_compare_rules(const struct model *model, UINT32 set_id, const char *folder,
                         bool (*in_set)(const char *path, bool directory), char *why, size_t size)
{
    const struct comparison c = {.model = model, .set_id = set_id, .in_set = in_set};
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return wrong(why, size, "%s cannot be opened", folder);
    bool same = compare_folder(&c, at, "", why, size);
    for (const struct name *name = model->names; name && same; name = name->next) {
        struct stat st;
        if (name->set_id == set_id && *name->path &&
            fstatat(at, name->path, &st, AT_SYMLINK_NOFOLLOW) != 0)
            same = wrong(why, size, "%s is not there, the records have it", name->path);
    }
    close(at);
    return same;
}
