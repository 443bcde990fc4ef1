/* What is kept of names; see names.h. */
#include "names.h"
#include <nthost/utf.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER_BUCKETS 256
#define MAX_FOLDERS    2048 /* a volume; then all are forgotten */

struct folder {
    struct folder *next;
    struct flt_name *name;
    unsigned chars;
    WCHAR path[];
};

struct flt_names {
    unsigned count;
    struct folder *buckets[FOLDER_BUCKETS];
};

static pthread_mutex_t names_mutex = PTHREAD_MUTEX_INITIALIZER;

struct flt_name *flt_name_create(PFLT_VOLUME volume, unsigned chars)
{
    unsigned head = volume->name.Length / sizeof(WCHAR);
    struct flt_name *name = calloc(1, sizeof(*name) + (head + chars + 1) * sizeof(WCHAR));
    if (name == NULL)
        return NULL;
    name->references = 1;
    name->info.Size = sizeof(name->info);
    name->info.Name.Buffer = name->text;
    name->info.Name.MaximumLength = (USHORT)((head + chars) * sizeof(WCHAR));
    flt_name_append(name, volume->name.Buffer, head);
    name->info.Volume = name->info.Name;
    name->info.Volume.MaximumLength = name->info.Volume.Length;
    return name;
}

void flt_name_append(struct flt_name *name, const WCHAR *text, unsigned chars)
{
    memcpy((UCHAR *)name->text + name->info.Name.Length, text, chars * sizeof(WCHAR));
    name->info.Name.Length = (USHORT)(name->info.Name.Length + chars * sizeof(WCHAR));
}

void flt_name_release(struct flt_name *name)
{
    long before = atomic_fetch_sub(&name->references, 1);
    if (before <= 0)
        vf_violation(VfFltName, "FLT_FILE_NAME_INFORMATION %p is released once too often",
                     (void *)&name->info);
    if (before != 1)
        return;
    if (name->holder != NULL) {
        atomic_fetch_sub(&name->holder->names, 1);
        flt_release(name->holder);
    }
    free(name);
}

/* Of file objects */

static struct flt_stream *stream_of(PFILE_OBJECT file)
{
    return file->FileObjectExtension ? flt_file_of(file, false)->stream : NULL;
}

struct flt_generation flt_names_generation(PFLT_VOLUME volume, PFILE_OBJECT file)
{
    struct flt_generation generation = {.renames = atomic_load(&volume->renames)};
    struct flt_stream *stream = file ? flt_stream_of(volume, file, true) : NULL;
    if (stream != NULL)
        generation.stream_renames = atomic_load(&stream->renames);
    return generation;
}

static bool is_good(PFLT_VOLUME volume, const struct flt_stream *stream,
                    const struct flt_name *name)
{
    return name->renames == atomic_load(&volume->renames) &&
           (stream == NULL || name->stream_renames == atomic_load(&stream->renames));
}

struct flt_name *flt_names_find(PFLT_VOLUME volume, PFILE_OBJECT file, unsigned format)
{
    struct flt_file *own = file->FileObjectExtension;
    if (own == NULL)
        return NULL;
    pthread_mutex_lock(&names_mutex);
    struct flt_name *name = own->names[format];
    if (name != NULL && is_good(volume, stream_of(file), name))
        atomic_fetch_add(&name->references, 1);
    else
        name = NULL;
    pthread_mutex_unlock(&names_mutex);
    return name;
}

void flt_names_keep(PFLT_VOLUME volume, PFILE_OBJECT file, unsigned format, struct flt_name *name,
                    struct flt_generation generation)
{
    struct flt_file *own = flt_file_of(file, true);
    UNREFERENCED_PARAMETER(volume);
    if (own == NULL)
        return;
    name->renames = generation.renames;
    name->stream_renames = generation.stream_renames;
    atomic_fetch_add(&name->references, 1);
    pthread_mutex_lock(&names_mutex);
    struct flt_name *old = own->names[format];
    own->names[format] = name;
    pthread_mutex_unlock(&names_mutex);
    if (old != NULL)
        flt_name_release(old);
}

void flt_names_drop_file(struct flt_file *own)
{
    for (unsigned i = 0; i < ARRAYSIZE(own->names); i++)
        if (own->names[i] != NULL)
            flt_name_release(own->names[i]);
}

void flt_names_purge(PFLT_VOLUME volume, PFILE_OBJECT file)
{
    struct flt_stream *stream = file ? stream_of(file) : NULL;
    if (stream != NULL)
        atomic_fetch_add(&stream->renames, 1);
    else
        atomic_fetch_add(&volume->renames, 1);
}

/* Of folders. The mutex is held. */

static struct folder **bucket_of(struct flt_names *names, PCUNICODE_STRING path)
{
    ULONG hash = 5381;
    for (unsigned i = 0; i < path->Length / sizeof(WCHAR); i++)
        hash = hash * 33 + path->Buffer[i];
    return &names->buckets[hash % FOLDER_BUCKETS];
}

static void forget_all(struct flt_names *names)
{
    for (unsigned i = 0; i < FOLDER_BUCKETS; i++)
        while (names->buckets[i] != NULL) {
            struct folder *folder = names->buckets[i];
            names->buckets[i] = folder->next;
            flt_name_release(folder->name);
            free(folder);
        }
    names->count = 0;
}

static struct folder *find_folder(struct flt_names *names, PCUNICODE_STRING path)
{
    unsigned chars = path->Length / sizeof(WCHAR);
    for (struct folder *f = *bucket_of(names, path); f != NULL; f = f->next)
        if (f->chars == chars && memcmp(f->path, path->Buffer, path->Length) == 0)
            return f;
    return NULL;
}

struct flt_name *flt_folders_find(PFLT_VOLUME volume, PCUNICODE_STRING path)
{
    struct flt_name *name = NULL;
    pthread_mutex_lock(&names_mutex);
    struct folder *folder = volume->names ? find_folder(volume->names, path) : NULL;
    if (folder != NULL && is_good(volume, NULL, folder->name)) {
        name = folder->name;
        atomic_fetch_add(&name->references, 1);
    }
    pthread_mutex_unlock(&names_mutex);
    return name;
}

static struct folder *make_folder(struct flt_names *names, PCUNICODE_STRING path)
{
    struct folder *folder = malloc(sizeof(*folder) + path->Length);
    if (folder == NULL)
        return NULL;
    struct folder **bucket = bucket_of(names, path);
    folder->chars = path->Length / sizeof(WCHAR);
    memcpy(folder->path, path->Buffer, path->Length);
    folder->name = NULL;
    folder->next = *bucket;
    *bucket = folder;
    names->count++;
    return folder;
}

void flt_folders_keep(PFLT_VOLUME volume, PCUNICODE_STRING path, struct flt_name *name,
                      struct flt_generation generation)
{
    struct flt_name *old = NULL;
    name->renames = generation.renames;
    pthread_mutex_lock(&names_mutex);
    if (volume->names == NULL)
        volume->names = calloc(1, sizeof(*volume->names));
    if (volume->names != NULL && volume->names->count >= MAX_FOLDERS)
        forget_all(volume->names);
    struct folder *folder = volume->names ? find_folder(volume->names, path) : NULL;
    if (folder == NULL && volume->names != NULL)
        folder = make_folder(volume->names, path);
    if (folder != NULL) {
        old = folder->name;
        folder->name = name;
        atomic_fetch_add(&name->references, 1);
    }
    pthread_mutex_unlock(&names_mutex);
    if (old != NULL)
        flt_name_release(old);
}

void flt_names_forget(PFLT_VOLUME volume)
{
    pthread_mutex_lock(&names_mutex);
    struct flt_names *names = volume->names;
    volume->names = NULL;
    if (names != NULL)
        forget_all(names);
    pthread_mutex_unlock(&names_mutex);
    free(names);
}
