/*
 * Memory that a client lends for the time of a request: what a driver sees of it is this mapping,
 * and its MDL describes that. It is unmapped when the request has ended, whatever the client did
 * meanwhile, its death included.
 *
 * Nothing that a client does to its memory may hurt the host. A page that is not there any more
 * would be a SIGBUS; so it must be a memfd of ordinary pages (tmpfs, which only a memfd has seals
 * on) that is sealed against shrinking. Holes that are punched into it read as zeros.
 */
#include "connection.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static bool is_lendable(int fd, uint32_t bytes)
{
    struct stat info;
    struct statfs system;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && seals & F_SEAL_SHRINK && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
           (uint64_t)info.st_size >= bytes && fstatfs(fd, &system) == 0 &&
           system.f_type == TMPFS_MAGIC;
}

static bool count(struct connection *connection, uint32_t bytes)
{
    pthread_mutex_lock(&connection->mutex);
    bool allowed = connection->lent + bytes <= CONNECTION_MAX_LENT;
    if (allowed)
        connection->lent += bytes;
    pthread_mutex_unlock(&connection->mutex);
    return allowed;
}

static void uncount(struct connection *connection, size_t bytes)
{
    pthread_mutex_lock(&connection->mutex);
    connection->lent -= bytes;
    pthread_mutex_unlock(&connection->mutex);
}

NTSTATUS lend_map(struct connection *connection, int fd, uint32_t bytes, uint8_t **memory)
{
    if (!is_lendable(fd, bytes))
        return STATUS_INVALID_USER_BUFFER;
    if (!count(connection, bytes))
        return STATUS_INSUFFICIENT_RESOURCES;
    void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        /* Opened for reading only, or sealed against writing. */
        NTSTATUS status = errno == EACCES || errno == EPERM ? STATUS_INVALID_USER_BUFFER
                                                            : STATUS_INSUFFICIENT_RESOURCES;
        uncount(connection, bytes);
        return status;
    }
    *memory = mapped;
    return STATUS_SUCCESS;
}

void lend_unmap(struct connection *connection, uint8_t *memory, size_t bytes)
{
    munmap(memory, bytes);
    uncount(connection, bytes);
}
