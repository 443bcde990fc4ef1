/* Opening and closing a mount. */
#include "edge.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#define WAKE_SIGNAL      SIGURG
#define DEFAULT_WORKERS  4
#define MOST_WORKERS     128
#define MOST_DESCRIPTORS (1 << 20) /* fs.nr_open, unless somebody has changed it */

static void on_wake(int signal)
{
    (void)signal;
}

static bool refuse(char *error, size_t size, const char *name, const char *why)
{
    snprintf(error, size, "%s: %s", name, why);
    return false;
}

/* A host that was killed leaves its mount behind, on which every call fails. */
static void clear_dead(const char *mountpoint)
{
    struct statfs fs; /* never answered from a cache */
    while (statfs(mountpoint, &fs) != 0 && (errno == ENOTCONN || errno == ECONNABORTED))
        if (umount2(mountpoint, MNT_DETACH) != 0)
            break;
}

/* One is the other, or in it. */
static bool overlaps(const char *a, const char *b)
{
    size_t n = strlen(a);
    return strncmp(a, b, n) == 0 && (b[n] == 0 || b[n] == '/' || n == 1);
}

static bool is_mounted(const char *mountpoint)
{
    char above[PATH_MAX + 4];
    struct stat here, there;
    snprintf(above, sizeof(above), "%s/..", mountpoint);
    return stat(mountpoint, &here) == 0 && stat(above, &there) == 0 &&
           (here.st_dev != there.st_dev || here.st_ino == there.st_ino);
}

static bool open_folders(struct mount_edge *edge, const struct mount_options *options, char *error,
                         size_t size)
{
    char backing[PATH_MAX];
    struct stat st;
    edge->root_fd = open(options->backing, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (edge->root_fd < 0 || realpath(options->backing, backing) == NULL)
        return refuse(error, size, options->backing, strerror(errno));
    clear_dead(options->mountpoint);
    edge->mountpoint = realpath(options->mountpoint, NULL);
    if (edge->mountpoint == NULL || stat(edge->mountpoint, &st) != 0)
        return refuse(error, size, options->mountpoint, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return refuse(error, size, options->mountpoint, strerror(ENOTDIR));
    if (is_mounted(edge->mountpoint))
        return refuse(error, size, options->mountpoint, "something is mounted there");
    if (overlaps(backing, edge->mountpoint) || overlaps(edge->mountpoint, backing))
        return refuse(error, size, options->mountpoint,
                      "the mount point and the backing folder must not contain each other");
    if (strlen(backing) >= sizeof(edge->prefix))
        return refuse(error, size, options->backing, strerror(ENAMETOOLONG));
    memcpy(edge->prefix, backing, strlen(backing) + 1);
    if (!nodes_open(edge))
        return refuse(error, size, options->backing, strerror(ENOMEM));
    return true;
}

static bool open_volume(struct mount_edge *edge, const struct mount_options *options, char *error,
                        size_t size)
{
    struct fs_mount_options volume = {
        .folder = edge->prefix,
        .drive = options->drive,
        .cache = {.on = true, .delay_ms = 1000, .mapped_delay_ms = 1000},
    };
    NTSTATUS status;
    nt_enter();
    edge->volume = fs_mount(&volume, &status, error, size);
    nt_leave();
    if (edge->volume == NULL)
        return false;
    const UNICODE_STRING *name = fs_device_name(edge->volume);
    edge->device_chars = name->Length / sizeof(WCHAR);
    if (edge->device_chars > ARRAYSIZE(edge->device))
        return refuse(error, size, options->backing, strerror(ENAMETOOLONG));
    memcpy(edge->device, name->Buffer, name->Length);
    return true;
}

static bool watch(struct mount_edge *edge, char *error, size_t size)
{
    return changes_open(edge) || refuse(error, size, edge->mountpoint, strerror(ENOMEM));
}

/* "\\Device\\HarddiskVolume2", of ASCII alone. */
static void device_name(const struct mount_edge *edge, char *text, size_t size)
{
    const UNICODE_STRING *name = fs_device_name(edge->volume);
    size_t at = 0;
    for (; at < name->Length / sizeof(WCHAR) && at + 1 < size; at++)
        text[at] = (char)name->Buffer[at];
    text[at] = 0;
}

static bool open_mount(struct mount_edge *edge, char *error, size_t size)
{
    char options[256], source[64];
    edge->fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (edge->fuse_fd < 0)
        return refuse(error, size, "/dev/fuse", strerror(errno));
    if (!session_open(edge))
        return refuse(error, size, edge->mountpoint, "no FUSE session");
    snprintf(options, sizeof(options),
             "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other",
             edge->fuse_fd, geteuid(), getegid());
    /* /proc/self/mountinfo tells by it which volume this is. */
    device_name(edge, source, sizeof(source));
    if (mount(source, edge->mountpoint, "fuse.nthost", 0, options) != 0)
        return refuse(error, size, edge->mountpoint, strerror(errno));
    edge->mounted = true;
    return true;
}

/* edge->more_workers is held. */
static bool start_worker(struct mount_edge *edge)
{
    struct worker *one = &edge->workers[edge->worker_count];
    char name[16];
    snprintf(name, sizeof(name), "mount-%u", edge->worker_count);
    one->edge = edge;
    one->running = true;
    edge->idle_workers++; /* before it takes a request, by which it may become the last one */
    one->thread = nt_spawn(name, worker_run, one);
    if (one->thread == NULL) {
        edge->idle_workers--;
        return false;
    }
    edge->worker_count++;
    return true;
}

void edge_more_workers(struct mount_edge *edge)
{
    pthread_mutex_lock(&edge->more_workers);
    if (edge->idle_workers == 0 && edge->worker_count < MOST_WORKERS && !edge->stopping)
        start_worker(edge); /* if it fails those that are there go on */
    pthread_mutex_unlock(&edge->more_workers);
}

static bool start_workers(struct mount_edge *edge, unsigned count, char *error, size_t size)
{
    struct sigaction wake = {.sa_handler = on_wake};
    bool started = true;
    sigaction(WAKE_SIGNAL, &wake, NULL);
    edge->workers = calloc(MOST_WORKERS, sizeof(*edge->workers));
    if (edge->workers == NULL)
        return refuse(error, size, edge->mountpoint, strerror(ENOMEM));
    pthread_mutex_lock(&edge->more_workers);
    while (started && edge->worker_count < count && edge->worker_count < MOST_WORKERS)
        started = start_worker(edge);
    pthread_mutex_unlock(&edge->more_workers);
    return started || refuse(error, size, edge->mountpoint, "no thread");
}

/* The kernel has asked for FUSE_INIT and got an answer: the mount works. */
static bool first_use(struct mount_edge *edge, char *error, size_t size)
{
    struct stat st;
    if (stat(edge->mountpoint, &st) != 0)
        return refuse(error, size, edge->mountpoint, strerror(errno));
    return true;
}

struct mount_edge *mount_open(const struct mount_options *options, char *error, size_t error_size)
{
    struct mount_edge *edge = calloc(1, sizeof(*edge));
    struct rlimit files;
    pthread_rwlockattr_t fair;
    if (edge == NULL) {
        snprintf(error, error_size, "no memory");
        return NULL;
    }
    /* As many as may be, or, without the right to that, as were allowed. */
    files.rlim_cur = files.rlim_max = MOST_DESCRIPTORS;
    if (setrlimit(RLIMIT_NOFILE, &files) && getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    /* Half of them for nodes: open files need one or two. */
    edge->most_open = (unsigned)(files.rlim_cur / 2);
    edge->root_fd = edge->fuse_fd = -1;
    /* Whoever renames must not wait for ever while others open. */
    pthread_rwlockattr_init(&fair);
    pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&edge->names, &fair);
    pthread_rwlockattr_destroy(&fair);
    pthread_mutex_init(&edge->table, NULL);
    pthread_mutex_init(&edge->more_workers, NULL);
    if (open_folders(edge, options, error, error_size) &&
        open_volume(edge, options, error, error_size) && watch(edge, error, error_size) &&
        open_mount(edge, error, error_size) &&
        start_workers(edge, options->workers != 0 ? options->workers : DEFAULT_WORKERS, error,
                      error_size) &&
        first_use(edge, error, error_size))
        return edge;
    mount_close(edge);
    return NULL;
}

static void stop_workers(struct mount_edge *edge)
{
    edge->stopping = true;
    /* No more come after who is starting one. */
    pthread_mutex_lock(&edge->more_workers);
    pthread_mutex_unlock(&edge->more_workers);
    for (unsigned i = 0; i < edge->worker_count; i++) {
        struct worker *one = &edge->workers[i];
        while (one->running) {
            if (one->pthread != 0)
                pthread_kill(one->pthread, WAKE_SIGNAL);
            usleep(200);
        }
        nt_join(one->thread);
    }
    free(edge->workers);
}

/* The workers answer what unmounting still writes. */
static void unmount(struct mount_edge *edge)
{
    if (umount2(edge->mountpoint, 0) == 0)
        return;
    fprintf(stderr, "nthost: %s is in use; it is detached\n", edge->mountpoint);
    int fd = open(edge->mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        syncfs(fd);
        close(fd);
    }
    umount2(edge->mountpoint, MNT_DETACH);
}

void mount_detach(struct mount_edge *edge)
{
    if (edge->detached)
        return;
    edge->detached = true;
    if (edge->mounted)
        unmount(edge);
    changes_stop(edge);
    stop_workers(edge);
    if (edge->session != NULL)
        fuse_session_destroy(edge->session);
    else if (edge->fuse_fd >= 0)
        close(edge->fuse_fd);
    nodes_close(edge);
    nt_enter();
    if (edge->volume != NULL)
        fs_cache_drain(edge->volume);
    nt_leave();
}

void mount_close(struct mount_edge *edge)
{
    NTSTATUS status = STATUS_SUCCESS;
    mount_detach(edge);
    nt_enter();
    if (edge->volume != NULL)
        status = fs_unmount(edge->volume);
    nt_leave();
    if (!NT_SUCCESS(status)) { /* it still has the watch */
        fprintf(stderr, "nthost: %s: the volume is in use (0x%08x)\n", edge->mountpoint,
                (unsigned)status);
        return;
    }
    changes_free(edge);
    if (edge->root_fd >= 0)
        close(edge->root_fd);
    free(edge->mountpoint);
    free(edge);
}
