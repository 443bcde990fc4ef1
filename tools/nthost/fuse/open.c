/* Opening, creating and closing files. */
#include "edge.h"
#include <fcntl.h>
#include <stdlib.h>

static struct handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct handle *)(uintptr_t)fi->fh;
}

static bool reads(int flags)
{
    return (flags & O_ACCMODE) != O_WRONLY;
}

static bool writes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

/* Every open may read and set attributes, so that fchmod and the like need no other open, and work
 * on a file that has no name any more. */
static ACCESS_MASK access_of(int flags)
{
    ACCESS_MASK always =
        FILE_READ_ATTRIBUTES | FILE_READ_EA | FILE_WRITE_ATTRIBUTES | FILE_WRITE_EA | READ_CONTROL;
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return always | FILE_READ_DATA;
    case O_WRONLY:
        return always | FILE_WRITE_DATA | FILE_APPEND_DATA;
    default:
        return always | FILE_READ_DATA | FILE_WRITE_DATA | FILE_APPEND_DATA;
    }
}

static ULONG options_of(int flags)
{
    ULONG options = FILE_NON_DIRECTORY_FILE;
    if (flags & O_DIRECT)
        options |= FILE_NO_INTERMEDIATE_BUFFERING;
    if (flags & (O_SYNC | O_DSYNC))
        options |= FILE_WRITE_THROUGH;
    return options;
}

/* The handle of a file object, which is taken over. NULL: no memory. Sets whether the kernel's
 * pages of the file still are right: if nobody has it open, and it is as the last one left it. */
static struct handle *handle_make(struct node *node, PFILE_OBJECT file, struct fuse_file_info *fi)
{
    struct handle *handle = malloc(sizeof(*handle));
    struct stat st;
    bool looks_same = false;
    if (handle == NULL)
        return NULL;
    *handle = (struct handle){
        .node = node, .file = file, .readable = reads(fi->flags), .writable = writes(fi->flags)};
    if (node->left && node_fstat(node, &st) == 0)
        looks_same = st.st_size == node->left_size &&
                     st.st_mtim.tv_sec == node->left_mtime.tv_sec &&
                     st.st_mtim.tv_nsec == node->left_mtime.tv_nsec;
    pthread_mutex_lock(&node->lock);
    fi->keep_cache = node->handles != NULL || looks_same;
    handle->next = node->handles;
    node->handles = handle;
    pthread_mutex_unlock(&node->lock);
    node_pin(node);
    fi->fh = (uintptr_t)handle;
    return handle;
}

/* By its name; without one any more (by /proc/PID/fd) as somebody has it open already. */
static int open_node(fuse_req_t req, struct node *node, int flags, PFILE_OBJECT *file)
{
    struct nt_path path;
    int error = path_of(EDGE(req), node, NULL, &path);
    if (error == 0)
        error = errno_of(
            open_path(&path, access_of(flags), FILE_OPEN, options_of(flags), NULL, 0, file));
    if (error == ENOENT || error == ESTALE) {
        *file = open_handle(node, reads(flags), writes(flags));
        error = *file != NULL ? 0 : ESTALE;
    }
    return error;
}

void edge_open_file(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct mount_edge *edge = EDGE(req);
    struct node *node = node_of(edge, ino);
    PFILE_OBJECT file = NULL;
    pthread_rwlock_rdlock(&edge->names);
    PEPROCESS before = begin_nt(req);
    int error = open_node(req, node, fi->flags, &file);
    if (error == 0 && handle_make(node, file, fi) == NULL) {
        nt_close(file);
        error = ENOMEM;
    }
    end_nt(before);
    pthread_rwlock_unlock(&edge->names);
    if (error != 0)
        fuse_reply_err(req, error);
    else if (fuse_reply_open(req, fi) != 0)
        edge_release(NULL, ino, fi); /* the program was killed meanwhile */
}

void edge_create(fuse_req_t req, fuse_ino_t parent_ino, const char *name, mode_t mode,
                 struct fuse_file_info *fi)
{
    struct mount_edge *edge = EDGE(req);
    struct node *parent = node_of(edge, parent_ino), *node;
    struct fuse_entry_param entry;
    struct nt_path path;
    struct ea_list ea;
    PFILE_OBJECT file = NULL;
    pthread_rwlock_rdlock(&edge->names);
    int error = name_is_hidden(edge, parent, name) ? EACCES : path_of(edge, parent, name, &path);
    if (error == 0) {
        ea_of_new(&ea, req, parent, (mode & 07777) | S_IFREG, 0);
        PEPROCESS before = begin_nt(req);
        error = errno_of(open_path(&path, access_of(fi->flags),
                                   fi->flags & O_EXCL ? FILE_CREATE : FILE_OPEN_IF,
                                   options_of(fi->flags), ea.data, ea.bytes, &file));
        if (error == 0 && (error = node_lookup(edge, parent, name, &entry)) == 0) {
            node = node_of(edge, entry.ino);
            if (handle_make(node, file, fi) == NULL) {
                node_forget(edge, node, 1);
                error = ENOMEM;
            }
        }
        if (error != 0 && file != NULL)
            nt_close(file);
        end_nt(before);
    }
    pthread_rwlock_unlock(&edge->names);
    if (error != 0) {
        fuse_reply_err(req, error);
    } else if (fuse_reply_create(req, &entry, fi) != 0) {
        edge_release(NULL, entry.ino, fi);
        node_forget(edge, node_of(edge, entry.ino), 1);
    }
}

/* req NULL: nobody is answered. */
void edge_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct handle *handle = handle_of(fi), **at;
    struct node *node = handle->node;
    struct stat st;
    (void)ino;
    /* Before it is closed: whoever finds it in the list may duplicate it. */
    pthread_mutex_lock(&node->lock);
    for (at = &node->handles; *at != handle; at = &(*at)->next)
        ;
    *at = handle->next;
    pthread_mutex_unlock(&node->lock);
    PEPROCESS before = begin_nt(req);
    nt_close(handle->file);
    end_nt(before);
    bool known = node_fstat(node, &st) == 0;
    pthread_mutex_lock(&node->lock);
    node->left = known && node->handles == NULL;
    node->left_mtime = st.st_mtim;
    node->left_size = st.st_size;
    pthread_mutex_unlock(&node->lock);
    node_unpin(node);
    free(handle);
    if (req != NULL)
        fuse_reply_err(req, 0);
}

void handles_close(struct node *node)
{
    while (node->handles != NULL) {
        struct handle *handle = node->handles;
        node->handles = handle->next;
        nt_close(handle->file);
        free(handle);
    }
}
