/*
 * Named streams: a hidden folder at the root has one folder for each file that has some, named by
 * the file's identity (inode number and generation), with a file for each stream. So a stream has
 * all that a file has. volume->names is held.
 */
#include "fsp.h"
#include <nthost/utf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void folder_name(struct node *node, char name[40])
{
    snprintf(name, 40, "%016llx-%08x", (unsigned long long)node->inode, node_generation(node));
}

/* The file's folder in the store, or -1 and errno. */
static int open_store(struct node *node, bool create)
{
    struct fs_volume *volume = node->volume;
    char name[40];
    if (volume->store_fd < 0 && create) {
        if (mkdirat(volume->root_fd, FS_STORE, 0700) != 0 && errno != EEXIST)
            return -1;
        volume->store_fd =
            openat(volume->root_fd, FS_STORE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (volume->store_fd < 0) {
        errno = ENOENT;
        return -1;
    }
    folder_name(node, name);
    if (create && mkdirat(volume->store_fd, name, 0700) != 0 && errno != EEXIST)
        return -1;
    return openat(volume->store_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Stream names compare without case. */
static void spell(int store, const char *stream, char name[FS_NAME_MAX])
{
    WCHAR wanted[FS_NAME_MAX], other[FS_NAME_MAX];
    snprintf(name, FS_NAME_MAX, "%s", stream);
    if (faccessat(store, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return;
    int wanted_chars = nt_name_from_unix(stream, strlen(stream), false, wanted, FS_NAME_MAX);
    int fd = openat(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; wanted_chars > 0 && (entry = readdir(dir)) != NULL;) {
        int chars =
            nt_name_from_unix(entry->d_name, strlen(entry->d_name), false, other, FS_NAME_MAX);
        if (chars == wanted_chars &&
            utf16_compare(wanted, (unsigned)chars, other, (unsigned)chars) == 0)
            snprintf(name, FS_NAME_MAX, "%s", entry->d_name);
    }
    closedir(dir);
}

NTSTATUS streams_open(struct node *node, char stream[FS_NAME_MAX], int flags, int *fd)
{
    char name[FS_NAME_MAX];
    int store = open_store(node, (flags & O_CREAT) != 0);
    if (store < 0)
        return fs_status_of(errno);
    spell(store, stream, name);
    *fd = openat(store, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = errno;
    close(store);
    if (*fd >= 0)
        memcpy(stream, name, sizeof(name));
    return *fd >= 0 ? STATUS_SUCCESS : fs_status_of(error);
}

NTSTATUS streams_remove(struct node *node, const char *stream)
{
    char name[40];
    int store = open_store(node, false);
    if (store < 0)
        return fs_status_of(errno);
    NTSTATUS status = unlinkat(store, stream, 0) == 0 ? STATUS_SUCCESS : fs_status_of(errno);
    close(store);
    folder_name(node, name);
    unlinkat(node->volume->store_fd, name, AT_REMOVEDIR); /* if it was the last */
    return status;
}

NTSTATUS streams_rename(struct node *node, const char *from, const char *to, bool replace)
{
    int store = open_store(node, false);
    if (store < 0)
        return fs_status_of(errno);
    NTSTATUS status = renameat2(store, from, store, to, replace ? 0 : RENAME_NOREPLACE) == 0
                          ? STATUS_SUCCESS
                          : fs_status_of(errno);
    close(store);
    return status;
}

NTSTATUS streams_list(struct node *node, char ***names, unsigned *count)
{
    int store = open_store(node, false);
    *names = NULL;
    *count = 0;
    if (store < 0)
        return errno == ENOENT ? STATUS_SUCCESS : fs_status_of(errno);
    DIR *dir = fdopendir(store);
    if (dir == NULL) {
        close(store);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char **more = realloc(*names, (*count + 1) * sizeof(**names));
        if (more == NULL)
            break;
        *names = more;
        more[*count] = strdup(entry->d_name);
        if (more[*count] != NULL)
            (*count)++;
    }
    closedir(dir);
    return STATUS_SUCCESS;
}

void streams_list_free(char **names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

void streams_remove_all(struct node *node)
{
    char **names, folder[40];
    unsigned count;
    if (node->volume->store_fd < 0 || !NT_SUCCESS(streams_list(node, &names, &count)) || count == 0)
        return;
    int store = open_store(node, false);
    for (unsigned i = 0; i < count && store >= 0; i++)
        unlinkat(store, names[i], 0);
    if (store >= 0)
        close(store);
    streams_list_free(names, count);
    folder_name(node, folder);
    unlinkat(node->volume->store_fd, folder, AT_REMOVEDIR);
}

/* FileRenameInformation with a name ":new:$DATA". names held. */
NTSTATUS fs_rename_stream(struct open *open, const WCHAR *name, unsigned chars, bool replace)
{
    struct stream *stream = open->stream;
    char to[FS_NAME_MAX];
    unsigned end = 1;
    while (end < chars && name[end] != ':')
        end++;
    if (stream->name[0] == 0 || end == 1)
        return STATUS_INVALID_PARAMETER; /* the default stream keeps its name */
    if (nt_name_to_unix(name + 1, end - 1, to, FS_NAME_MAX) < 0)
        return STATUS_OBJECT_NAME_INVALID;
    for (const struct stream *other = stream->node->streams; other != NULL; other = other->next)
        if (other != stream && !other->deleted && strcmp(other->name, to) == 0)
            return STATUS_ACCESS_DENIED; /* in use */
    NTSTATUS status = streams_rename(stream->node, stream->name, to, replace);
    if (NT_SUCCESS(status))
        memcpy(stream->name, to, sizeof(to));
    return status;
}
