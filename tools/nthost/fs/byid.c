/*
 * Opening by identity, and all names of an inode.
 *
 * Linux finds a file by its inode number for the superuser only, and then without a name. A file
 * that is in use is found at once, any other by the index of hint.c.
 */
#include "create.h"
#include "hint.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_ROOM 8192

struct walk {
    struct fs_volume *volume;
    uint64_t inode;
    bool (*found)(void *context, const char *path, uint64_t parent_inode);
    void *context;
    char path[PATH_ROOM];
};

/* False: enough. `fd` is closed. */
static bool walk_folder(struct walk *w, int fd, size_t length, unsigned depth)
{
    struct stat st;
    DIR *dir = fdopendir(fd);
    bool on = true;
    if (dir == NULL || fstat(fd, &st) != 0) {
        if (dir != NULL)
            closedir(dir);
        else
            close(fd);
        return true;
    }
    for (struct dirent *entry; on && (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            (depth == 0 && strcmp(name, FS_STORE) == 0))
            continue;
        size_t bytes = strlen(name);
        if (length + bytes + 2 > sizeof(w->path))
            continue;
        memcpy(w->path + length, name, bytes + 1);
        hint_put(w->volume, entry->d_ino, st.st_ino, name);
        if (entry->d_ino == w->inode)
            on = w->found(w->context, w->path, st.st_ino);
        if (on && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && depth < 255) {
            int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (below >= 0) {
                w->path[length + bytes] = '/';
                on = walk_folder(w, below, length + bytes + 1, depth + 1);
            }
        }
    }
    closedir(dir);
    return on;
}

void fs_walk_names(struct fs_volume *volume, uint64_t inode,
                   bool (*found)(void *context, const char *path, uint64_t parent_inode),
                   void *context)
{
    struct walk *w = calloc(1, sizeof(*w));
    int fd = openat(volume->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w != NULL && fd >= 0) {
        w->volume = volume;
        w->inode = inode;
        w->found = found;
        w->context = context;
        walk_folder(w, fd, 0, 0);
    } else if (fd >= 0) {
        close(fd);
    }
    free(w);
}

static bool take_path(void *context, const char *path, uint64_t parent_inode)
{
    UNREFERENCED_PARAMETER(parent_inode);
    snprintf(context, PATH_ROOM, "%s", path);
    return false;
}

/* The link of a path that the walk found. */
static NTSTATUS link_of_path(struct creation *c, char *path)
{
    struct node *here = c->volume->root;
    struct link *link = NULL, *next;
    for (char *at = path, *end; at != NULL; at = end) {
        char name[FS_NAME_MAX];
        end = strchr(at, '/');
        if (end != NULL)
            *end++ = 0;
        snprintf(name, sizeof(name), "%s", at);
        NTSTATUS status = link_lookup(here, link, name, true, &next);
        if (link != NULL)
            link_release(link);
        if (!NT_SUCCESS(status))
            return status;
        link = next;
        here = link->node;
    }
    c->link = link;
    return STATUS_SUCCESS;
}

/* The link that the index leads to; STATUS_OBJECT_NAME_NOT_FOUND: the index is wrong about it. */
static NTSTATUS link_of_hint(struct creation *c, uint64_t inode, const struct hint *hint)
{
    char *path = malloc(PATH_ROOM);
    size_t at = PATH_ROOM - 1;
    NTSTATUS status = STATUS_OBJECT_NAME_NOT_FOUND;
    if (path == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    path[at] = 0;
    for (; hint != NULL && hint->parent != 0; hint = hint_find(c->volume, hint->parent)) {
        size_t bytes = strlen(hint->name);
        if (bytes + 1 > at)
            break;
        at -= bytes;
        memcpy(path + at, hint->name, bytes);
        if (hint->parent == c->volume->root->inode) {
            status = link_of_path(c, path + at);
            break;
        }
        path[--at] = '/';
    }
    free(path);
    if (NT_SUCCESS(status) && c->link->node->inode != inode) {
        link_release(c->link);
        c->link = NULL;
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    }
    return status == STATUS_OBJECT_PATH_NOT_FOUND ? STATUS_OBJECT_NAME_NOT_FOUND : status;
}

/* Nobody has it open: by the index, or by a walk that also mends the index. */
static NTSTATUS find_unused(struct creation *c, uint64_t inode)
{
    if (!hint_ready(c->volume))
        return STATUS_INSUFFICIENT_RESOURCES;
    const struct hint *hint = hint_find(c->volume, inode);
    if (hint == NULL)
        return STATUS_INVALID_PARAMETER; /* there is no such file */
    NTSTATUS status = link_of_hint(c, inode, hint);
    if (status != STATUS_OBJECT_NAME_NOT_FOUND)
        return status;
    char *path = calloc(1, PATH_ROOM);
    if (path == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    fs_walk_names(c->volume, inode, take_path, path);
    status = path[0] ? link_of_path(c, path) : STATUS_INVALID_PARAMETER;
    free(path);
    return status == STATUS_OBJECT_NAME_NOT_FOUND ? STATUS_INVALID_PARAMETER : status;
}

NTSTATUS create_find_by_id(struct creation *c)
{
    const UNICODE_STRING *name = &c->file->FileName;
    uint64_t index, generation = 0;
    if (name->Length != 8 && name->Length != 16)
        return STATUS_INVALID_PARAMETER;
    memcpy(&index, name->Buffer, 8);
    if (name->Length == 16)
        memcpy(&generation, (const UCHAR *)name->Buffer + 8, 8);
    uint64_t inode = index & 0xffffffffffffull;
    struct node *node = node_find(c->volume, inode);
    if (node == NULL) {
        NTSTATUS status = find_unused(c, inode);
        if (!NT_SUCCESS(status))
            return status;
        node = c->link->node;
    } else if (!node->root) {
        c->link = node->links;
        while (c->link != NULL && c->link->unlinked)
            c->link = c->link->next;
        if (c->link != NULL)
            link_reference(c->link);
        else if (node->gone)
            return STATUS_INVALID_PARAMETER;         /* deleted, though in use */
        else if (!NT_SUCCESS(find_unused(c, inode))) /* by a name that nobody has open */
            return STATUS_INVALID_PARAMETER;
    }
    if ((node_generation(node) & 0xffff) != index >> 48 ||
        (name->Length == 16 && generation != node_generation(node)))
        return STATUS_INVALID_PARAMETER; /* another file than that */
    c->node = node;
    c->parent = c->link ? c->link->parent : node;
    return STATUS_SUCCESS;
}
