/*
 * fsx FOLDER [--seed=N] [--seeds=N] [--operations=N] [--verbose]: random operations on a file, each
 * compared with a model; TAP, a test point a seed. What differs prints the operations that led
 * there. The same seed is the same run.
 */
#include "model.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY 64

struct run {
    struct model model;
    struct step history[HISTORY];
    unsigned done;
    int fd, direct; /* direct -1: the file system has none */
    const char *path;
    bool refused[OPERATIONS]; /* said EOPNOTSUPP once */
};

static struct run run;
static uint8_t *buffer;
static bool verbose;

static bool complain(const char *what, int error)
{
    printf("# %s: %s\n", what, error != 0 ? strerror(error) : "wrong");
    return false;
}

static bool same(const uint8_t *got, const uint8_t *wanted, uint32_t offset, uint32_t bytes)
{
    if (memcmp(got, wanted, bytes) == 0)
        return true;
    uint32_t i = 0, last = bytes - 1;
    while (got[i] == wanted[i])
        i++;
    while (got[last] == wanted[last])
        last--;
    printf("# bytes differ from 0x%05x to 0x%05x; there 0x%02x, not 0x%02x; size 0x%05x\n",
           offset + i, offset + last, got[i], wanted[i], run.model.size);
    return false;
}

static bool open_file(void)
{
    run.fd = open(run.path, O_RDWR);
    run.direct = open(run.path, O_RDWR | O_DIRECT);
    return run.fd >= 0 || complain(run.path, errno);
}

static void close_file(void)
{
    close(run.fd);
    if (run.direct >= 0)
        close(run.direct);
}

static bool reading(const struct step *step, int fd)
{
    ssize_t got = pread(fd, buffer, step->bytes, step->offset);
    uint32_t there = step->offset < run.model.size ? run.model.size - step->offset : 0;
    uint32_t wanted = step->bytes < there ? step->bytes : there;
    if (got != (ssize_t)wanted) {
        printf("# read %zd bytes, not %u\n", got, wanted);
        return false;
    }
    return wanted == 0 || same(buffer, run.model.bytes + step->offset, step->offset, wanted);
}

static bool writing(const struct step *step, int fd)
{
    step_data(step, buffer);
    ssize_t put = pwrite(fd, buffer, step->bytes, step->offset);
    return put == (ssize_t)step->bytes || complain("write", put < 0 ? errno : 0);
}

static bool appending(const struct step *step)
{
    step_data(step, buffer);
    int fd = open(run.path, O_WRONLY | O_APPEND);
    ssize_t put = fd < 0 ? -1 : write(fd, buffer, step->bytes);
    int error = errno;
    if (fd >= 0)
        close(fd);
    return put == (ssize_t)step->bytes || complain("append", put < 0 ? error : 0);
}

static bool mapping(const struct step *step, bool write)
{
    if (step->bytes == 0)
        return true;
    uint32_t from = step->offset / PAGE * PAGE, bytes = step->offset + step->bytes - from;
    uint8_t *at = mmap(NULL, bytes, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED, run.fd, from);
    if (at == MAP_FAILED)
        return complain("mmap", errno);
    bool good = true;
    if (write)
        step_data(step, at + step->offset - from);
    else
        good = same(at, run.model.bytes + from, from, bytes);
    /* Sometimes the stores are written now, else whenever. */
    if (write && (step->fill & 0x300) == 0 && msync(at, bytes, MS_SYNC) != 0)
        good = complain("msync", errno);
    munmap(at, bytes);
    return good;
}

static bool allocating(const struct step *step, int mode)
{
    if (step->bytes == 0)
        return true;
    if (fallocate(run.fd, mode, step->offset, step->bytes) == 0)
        return true;
    if (errno != EOPNOTSUPP)
        return complain("fallocate", errno);
    run.refused[step->operation] = true;
    return true;
}

static bool copying(const struct step *step)
{
    loff_t in = step->from, out = step->offset;
    uint32_t left = step->bytes;
    while (left > 0) {
        ssize_t bytes = copy_file_range(run.fd, &in, run.fd, &out, left, 0);
        if (bytes <= 0)
            return complain("copy_file_range", bytes < 0 ? errno : 0);
        left -= (uint32_t)bytes;
    }
    return true;
}

static bool perform(const struct step *step)
{
    int keep = step->keep_size ? FALLOC_FL_KEEP_SIZE : 0;
    switch (step->operation) {
    case OP_READ:
        return reading(step, run.fd);
    case OP_WRITE:
        return writing(step, run.fd);
    case OP_MAP_READ:
        return mapping(step, false);
    case OP_MAP_WRITE:
        return mapping(step, true);
    case OP_TRUNCATE:
        return ftruncate(run.fd, step->offset) == 0 || complain("ftruncate", errno);
    case OP_PUNCH:
        return allocating(step, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    case OP_ZERO:
        return allocating(step, FALLOC_FL_ZERO_RANGE | keep);
    case OP_ALLOCATE:
        return allocating(step, keep);
    case OP_COPY:
        return copying(step);
    case OP_DIRECT_READ:
        return reading(step, run.direct >= 0 ? run.direct : run.fd);
    case OP_DIRECT_WRITE:
        return writing(step, run.direct >= 0 ? run.direct : run.fd);
    case OP_APPEND:
        return appending(step);
    case OP_SYNC:
        return fsync(run.fd) == 0 || complain("fsync", errno);
    case OP_DROP:
        return fsync(run.fd) == 0 && posix_fadvise(run.fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
    case OP_REOPEN:
        close_file();
        return open_file();
    case OPERATIONS:
        break;
    }
    return false;
}

/* The size after each step, everything now and then. */
static bool agrees(bool whole)
{
    struct stat st;
    if (fstat(run.fd, &st) != 0)
        return complain("fstat", errno);
    if (st.st_size != run.model.size) {
        printf("# the size is 0x%05llx, not 0x%05x\n", (long long)st.st_size, run.model.size);
        return false;
    }
    struct step all = {.operation = OP_READ, .bytes = MODEL_BYTES};
    return !whole || reading(&all, run.fd);
}

static bool go(uint64_t seed, unsigned operations)
{
    bool good = true;
    model_start(&run.model, seed);
    run.done = 0;
    int fd = open(run.path, O_CREAT | O_EXCL | O_RDWR, 0644);
    if (fd < 0)
        return complain(run.path, errno);
    close(fd);
    if (!open_file())
        return false;
    while (good && run.done < operations) {
        struct step step = model_draw(&run.model);
        if (run.refused[step.operation])
            continue;
        run.history[run.done++ % HISTORY] = step;
        if (verbose)
            step_print(&step, run.done, stdout);
        good = perform(&step);
        if (!run.refused[step.operation])
            model_apply(&run.model, &step);
        good = good && agrees(run.done % 100 == 0 || run.done == operations);
    }
    if (!good) {
        unsigned first = run.done > HISTORY ? run.done - HISTORY : 0;
        printf("# seed %llu; the last operations, and the one that failed:\n",
               (unsigned long long)seed);
        for (unsigned i = first; i < run.done; i++)
            step_print(&run.history[i % HISTORY], i + 1, stdout);
    }
    close_file();
    if (unlink(run.path) != 0)
        good = complain("unlink", errno);
    return good;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"seeds", required_argument, NULL, 'n'},
                                            {"operations", required_argument, NULL, 'o'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    uint64_t seed = 1, seeds = 4;
    unsigned operations = 2000, bad = 0;
    char path[4096];
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 0);
        else if (option == 'n')
            seeds = strtoull(optarg, NULL, 0);
        else if (option == 'o')
            operations = (unsigned)strtoul(optarg, NULL, 0);
        else if (option == 'v')
            verbose = true;
        else
            return 2;
    }
    if (optind + 1 != argc) {
        fputs("Usage: fsx FOLDER [--seed=N] [--seeds=N] [--operations=N] [--verbose]\n", stderr);
        return 2;
    }
    snprintf(path, sizeof(path), "%s/fsx-%d", argv[optind], getpid());
    run.path = path;
    buffer = aligned_alloc(SECTOR, MODEL_BYTES + SECTOR);
    puts("TAP version 14");
    for (uint64_t i = 0; i < seeds; i++) {
        bool good = go(seed + i, operations);
        bad += !good;
        printf("%sok %" PRIu64 " - seed %" PRIu64 "\n", good ? "" : "not ", i + 1, seed + i);
        fflush(stdout);
    }
    printf("1..%" PRIu64 "\n", seeds);
    for (unsigned i = 0; i < OPERATIONS; i++)
        if (run.refused[i])
            printf("# not supported here: %s\n", operation_names[i]);
    free(buffer);
    return bad != 0;
}
