/* Listing folders, and reading links: from the backing. Positions are the backing's own. */
#include "edge.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTING 32768

struct folder {
    int fd;
    off_t next; /* position of what is at `at` */
    size_t bytes, at;
    char entries[LISTING]; /* of getdents64 */
};

static struct folder *folder_of(const struct fuse_file_info *fi)
{
    return (struct folder *)(uintptr_t)fi->fh;
}

void edge_readlink(fuse_req_t req, fuse_ino_t ino)
{
    char target[PATH_MAX];
    int fd = node_fd(node_of(EDGE(req), ino));
    ssize_t bytes = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target) - 1);
    if (bytes < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    target[bytes] = 0;
    fuse_reply_readlink(req, target);
}

void edge_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct node *node = node_of(EDGE(req), ino);
    struct folder *folder = malloc(sizeof(*folder));
    int fd = node_fd(node);
    if (fd >= 0)
        fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 ? errno : ENOMEM;
    if (folder == NULL || fd < 0) {
        free(folder);
        if (fd >= 0)
            close(fd);
        fuse_reply_err(req, error);
        return;
    }
    folder->fd = fd;
    folder->next = 0;
    folder->bytes = folder->at = 0;
    fi->fh = (uintptr_t)folder;
    if (fuse_reply_open(req, fi) != 0)
        edge_releasedir(NULL, ino, fi);
}

void edge_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    close(folder_of(fi)->fd);
    free(folder_of(fi));
    if (req != NULL)
        fuse_reply_err(req, 0);
}

/* The entry at the present position; NULL: the end, or *error. */
static const struct dirent64 *peek(struct folder *folder, int *error)
{
    *error = 0;
    if (folder->at == folder->bytes) {
        ssize_t bytes = getdents64(folder->fd, folder->entries, sizeof(folder->entries));
        if (bytes <= 0) {
            *error = bytes < 0 ? errno : 0;
            folder->bytes = folder->at = 0;
            return NULL;
        }
        folder->bytes = (size_t)bytes;
        folder->at = 0;
    }
    return (const struct dirent64 *)(folder->entries + folder->at);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* One entry's bytes in the answer; more than `room`: it does not fit. */
static size_t put(fuse_req_t req, struct node *node, const struct dirent64 *entry, bool plus,
                  char *out, size_t room)
{
    struct fuse_entry_param full = {.attr.st_ino = entry->d_ino,
                                    .attr.st_mode = DTTOIF(entry->d_type)};
    if (!plus)
        return fuse_add_direntry(req, out, room, entry->d_name, &full.attr, entry->d_off);
    if (fuse_add_direntry_plus(req, NULL, 0, entry->d_name, &full, entry->d_off) > room)
        return room + 1;
    if (!is_dots(entry->d_name) && node_lookup(EDGE(req), node, entry->d_name, &full) != 0) {
        full.ino = 0; /* it went meanwhile: the kernel will ask by name */
        full.attr.st_ino = entry->d_ino;
        full.attr.st_mode = DTTOIF(entry->d_type);
    }
    return fuse_add_direntry_plus(req, out, room, entry->d_name, &full, entry->d_off);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t room, off_t offset,
                 struct fuse_file_info *fi, bool plus)
{
    struct mount_edge *edge = EDGE(req);
    struct node *node = node_of(edge, ino);
    struct folder *folder = folder_of(fi);
    const struct dirent64 *entry;
    char *out = (char *)worker->reply;
    size_t used = 0;
    int error = 0;
    if (room > EDGE_MAX_WRITE)
        room = EDGE_MAX_WRITE;
    /* Also at 0: a rewind sees what is new. */
    if (offset != folder->next || offset == 0) {
        folder->bytes = folder->at = 0;
        if (lseek(folder->fd, offset, SEEK_SET) < 0)
            error = errno;
        folder->next = offset;
    }
    while (error == 0 && (entry = peek(folder, &error)) != NULL) {
        if (!name_is_hidden(edge, node, entry->d_name)) {
            size_t bytes = put(req, node, entry, plus, out + used, room - used);
            if (bytes > room - used)
                break;
            used += bytes;
        }
        folder->next = entry->d_off;
        folder->at += entry->d_reclen;
    }
    if (error != 0 && used == 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_buf(req, out, used);
}

void edge_readdir(fuse_req_t req, fuse_ino_t ino, size_t room, off_t offset,
                  struct fuse_file_info *fi)
{
    list(req, ino, room, offset, fi, false);
}

void edge_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t room, off_t offset,
                      struct fuse_file_info *fi)
{
    list(req, ino, room, offset, fi, true);
}
