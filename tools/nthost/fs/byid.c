/*
 * Opening by identity, and all names of an inode.
 *
 * Linux finds a file by its inode number for the superuser only, and then without a name; so what
 * is not in use is looked for in the tree. A file that is in use is found at once.
 */
#include "create.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct walk {
    uint64_t inode;
    bool root;
    bool (*found)(void *context, const char *path, uint64_t parent_inode);
    void *context;
    char path[4096];
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
    snprintf(context, 4096, "%s", path);
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
        char *path = calloc(1, 4096);
        if (path == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        fs_walk_names(c->volume, inode, take_path, path);
        NTSTATUS status = path[0] ? link_of_path(c, path) : STATUS_INVALID_PARAMETER;
        free(path);
        if (!NT_SUCCESS(status))
            return status == STATUS_OBJECT_NAME_NOT_FOUND ? STATUS_INVALID_PARAMETER : status;
        node = c->link->node;
    } else if (!node->root) {
        c->link = node->links;
        while (c->link != NULL && c->link->unlinked)
            c->link = c->link->next;
        if (c->link != NULL)
            link_reference(c->link);
        else if (is_directory(node) || node->gone)
            return STATUS_INVALID_PARAMETER; /* deleted, though in use */
    }
    if ((node_generation(node) & 0xffff) != index >> 48 ||
        (name->Length == 16 && generation != node_generation(node)))
        return STATUS_INVALID_PARAMETER; /* another file than that */
    c->node = node;
    c->parent = c->link ? c->link->parent : node;
    return STATUS_SUCCESS;
}
