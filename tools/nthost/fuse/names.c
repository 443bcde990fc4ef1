/*
 * Making, removing, linking and renaming names.
 *
 * RENAME_EXCHANGE is refused (EINVAL, as by file systems that do not have it): NT has no such
 * operation, and three renames are not one.
 */
#include "edge.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#endif

/*
 * Nobody finds out a path meanwhile: until names_unlock, or until the file system has done what
 * changes it. A filter may keep the request for long after that, and everybody else out with it.
 */
static void names_lock(struct mount_edge *edge)
{
    pthread_rwlock_wrlock(&edge->names);
    worker->has_names = true;
    worker->changes_names_of = NULL;
}

static void names_unlock(struct mount_edge *edge)
{
    if (worker->has_names)
        pthread_rwlock_unlock(&edge->names);
    worker->has_names = false;
}

void edge_names_changed(void *context, PFILE_OBJECT file)
{
    if (worker == NULL || worker->edge != context || !worker->has_names ||
        worker->changes_names_of != file)
        return;
    if (worker->new_name != NULL)
        node_renamed(context, worker->new_parent, worker->new_name);
    names_unlock(context);
}

/* One NT create, and what else makes the name whole; then the kernel's own lookup. */
static void make(fuse_req_t req, fuse_ino_t parent_ino, const char *name, mode_t mode, dev_t rdev,
                 const char *target)
{
    struct mount_edge *edge = EDGE(req);
    struct node *parent = node_of(edge, parent_ino);
    struct fuse_entry_param entry;
    struct nt_path path;
    PFILE_OBJECT file;
    struct ea_list ea;
    pthread_rwlock_rdlock(&edge->names);
    int error = name_is_hidden(edge, parent, name) ? EACCES : path_of(edge, parent, name, &path);
    if (error == 0) {
        ea_of_new(&ea, req, parent, mode, rdev);
        if (target != NULL)
            ea_add(&ea, "$LXTARGET", target, (USHORT)strlen(target));
        PEPROCESS before = begin_nt(req);
        error = errno_of(open_path(&path, FILE_READ_ATTRIBUTES, FILE_CREATE,
                                   S_ISDIR(mode) ? FILE_DIRECTORY_FILE : FILE_NON_DIRECTORY_FILE,
                                   ea.data, ea.bytes, &file));
        if (error == 0)
            nt_close(file);
        end_nt(before);
        if (error == 0)
            error = node_lookup(edge, parent, name, &entry);
    }
    pthread_rwlock_unlock(&edge->names);
    if (error != 0)
        fuse_reply_err(req, error);
    else if (fuse_reply_entry(req, &entry) != 0)
        node_forget(edge, node_of(edge, entry.ino), 1);
}

void edge_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    make(req, parent, name, S_IFDIR | (mode & 07777), 0, NULL);
}

void edge_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    make(req, parent, name, mode, rdev, NULL);
}

void edge_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    make(req, parent, name, S_IFLNK | 0777, 0, target);
}

void edge_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent_ino, const char *name)
{
    struct mount_edge *edge = EDGE(req);
    struct node *node = node_of(edge, ino), *parent = node_of(edge, parent_ino);
    struct fuse_entry_param entry;
    struct nt_path from, to;
    PFILE_OBJECT file;
    pthread_rwlock_rdlock(&edge->names);
    int error = name_is_hidden(edge, parent, name) ? EACCES : path_of(edge, node, NULL, &from);
    if (error == 0)
        error = path_of(edge, parent, name, &to);
    if (error == 0) {
        PEPROCESS before = begin_nt(req);
        error = errno_of(open_path(&from, FILE_WRITE_ATTRIBUTES, FILE_OPEN, 0, NULL, 0, &file));
        if (error == 0) {
            error = errno_of(nt_link(file, NULL, &to.name, 0));
            nt_close(file);
        }
        end_nt(before);
        if (error == 0)
            error = node_lookup(edge, parent, name, &entry);
    }
    pthread_rwlock_unlock(&edge->names);
    if (error != 0)
        fuse_reply_err(req, error);
    else if (fuse_reply_entry(req, &entry) != 0)
        node_forget(edge, node, 1);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent_ino, const char *name, ULONG options)
{
    struct mount_edge *edge = EDGE(req);
    struct node *parent = node_of(edge, parent_ino);
    struct nt_path path;
    PFILE_OBJECT file;
    names_lock(edge);
    int error = name_is_hidden(edge, parent, name) ? ENOENT : path_of(edge, parent, name, &path);
    if (error == 0) {
        PEPROCESS before = begin_nt(req);
        error = errno_of(open_path(&path, DELETE, FILE_OPEN, options, NULL, 0, &file));
        if (error == 0) {
            worker->changes_names_of = file;
            worker->new_name = NULL;
            error = errno_of(nt_dispose(file, FILE_DISPOSITION_DELETE |
                                                  FILE_DISPOSITION_POSIX_SEMANTICS |
                                                  FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE));
            nt_close(file);
        }
        end_nt(before);
    }
    names_unlock(edge);
    fuse_reply_err(req, error);
}

void edge_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    remove_name(req, parent, name, FILE_NON_DIRECTORY_FILE);
}

void edge_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    remove_name(req, parent, name, FILE_DIRECTORY_FILE);
}

void edge_rename(fuse_req_t req, fuse_ino_t parent_ino, const char *name, fuse_ino_t to_parent_ino,
                 const char *to_name, unsigned flags)
{
    struct mount_edge *edge = EDGE(req);
    struct node *parent = node_of(edge, parent_ino), *to_parent = node_of(edge, to_parent_ino);
    struct nt_path from, to;
    PFILE_OBJECT file;
    ULONG how = FILE_RENAME_POSIX_SEMANTICS | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE;
    int error;
    if (flags & ~(unsigned)RENAME_NOREPLACE) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (!(flags & RENAME_NOREPLACE))
        how |= FILE_RENAME_REPLACE_IF_EXISTS;
    names_lock(edge);
    if (name_is_hidden(edge, parent, name) || name_is_hidden(edge, to_parent, to_name))
        error = EACCES;
    else if ((error = path_of(edge, parent, name, &from)) == 0)
        error = path_of(edge, to_parent, to_name, &to);
    if (error == 0) {
        PEPROCESS before = begin_nt(req);
        error = errno_of(open_path(&from, DELETE, FILE_OPEN, 0, NULL, 0, &file));
        if (error == 0) {
            worker->changes_names_of = file;
            worker->new_parent = to_parent;
            worker->new_name = to_name;
            error = errno_of(nt_rename(file, NULL, &to.name, how));
            nt_close(file);
        }
        end_nt(before);
    }
    names_unlock(edge);
    fuse_reply_err(req, error);
}
