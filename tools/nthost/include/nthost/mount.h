/*
 * A mount: the upper edge of a volume. Linux programs see the backing folder at the mount point by
 * FUSE; what they change or transfer becomes NT operations at the top of the volume's device stack.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct mount_edge;
struct mount_options {
    const char *backing;    /* an existing folder */
    const char *mountpoint; /* an existing folder, where nothing is mounted; a mount whose host died
                               is cleared away */
    char drive;             /* 'X': the volume is \??\X:, too; 0: no letter */
    unsigned workers;       /* threads that answer requests, to begin with; 0: 4 */
};
/* Mounts the volume (fs.h), then the folder; NULL and a message in `error`. The caller's thread is
 * attached and outside driver context. */
struct mount_edge *mount_open(const struct mount_options *options, char *error, size_t error_size);
/* Unmounts; what is still in use is detached, and its programs get ENOTCONN. The volume stays: to
 * its drivers it ends with mount_close. */
void mount_detach(struct mount_edge *edge);
/* The same, if it is not done yet, and ends the volume. */
void mount_close(struct mount_edge *edge);
