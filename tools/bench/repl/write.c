/*
 * bench-write FILE NAME=VALUE...: writes into one file, and says when each write had completed.
 *
 *   bytes=N    of a write; default 4096
 *   span=N     bytes of the file that the writes fall into; default 64 MiB
 *   count=N    writes; default 10000
 *   rate=N     writes a second; 0, the default: as fast as they go
 *   order=random|forward   where the next one goes
 *   times=FILE gets the time of each completion: 8 bytes, nanoseconds of CLOCK_MONOTONIC
 *   hold=1     waits for the end of its input before the file is closed
 *
 * Prints "ready", waits for a line, writes, and prints one line of JSON: seconds, and nanoseconds
 * of a write (p50, p99, most). A write that is late against the rate is not left out: the next ones
 * follow without a pause until it is made up for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    const char *file;
    const char *times;
    uint64_t bytes;
    uint64_t span;
    uint64_t count;
    uint64_t rate;
    bool forward;
    bool hold;
} settings;

static void die(const char *what)
{
    fprintf(stderr, "bench-write: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void wait_until(uint64_t due)
{
    struct timespec time = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

static settings parse(int argc, char **argv)
{
    settings set = {.bytes = 4096, .span = 64u << 20, .count = 10000};
    if (argc < 2) {
        fprintf(stderr, "usage: bench-write FILE NAME=VALUE...\n");
        exit(2);
    }
    set.file = argv[1];
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) {
            fprintf(stderr, "bench-write: %s is no NAME=VALUE\n", argv[i]);
            exit(2);
        }
        *value++ = 0;
        uint64_t number = strtoull(value, NULL, 10);
        if (strcmp(argv[i], "bytes") == 0)
            set.bytes = number;
        else if (strcmp(argv[i], "span") == 0)
            set.span = number;
        else if (strcmp(argv[i], "count") == 0)
            set.count = number;
        else if (strcmp(argv[i], "rate") == 0)
            set.rate = number;
        else if (strcmp(argv[i], "order") == 0)
            set.forward = strcmp(value, "forward") == 0;
        else if (strcmp(argv[i], "times") == 0)
            set.times = value;
        else if (strcmp(argv[i], "hold") == 0)
            set.hold = number != 0;
        else {
            fprintf(stderr, "bench-write: there is no %s\n", argv[i]);
            exit(2);
        }
    }
    if (set.bytes < 8 || set.span < set.bytes || set.count == 0) {
        fprintf(stderr, "bench-write: bytes, span or count are too small\n");
        exit(2);
    }
    return set;
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void write_all(const char *file, const void *data, size_t bytes)
{
    FILE *out = fopen(file, "w");
    if (!out || fwrite(data, 1, bytes, out) != bytes || fclose(out) != 0)
        die(file);
}

int main(int argc, char **argv)
{
    settings set = parse(argc, argv);
    int fd = open(set.file, O_RDWR | O_CREAT, 0600);
    uint8_t *data = malloc(set.bytes);
    uint64_t *ends = calloc(set.count, sizeof *ends);
    uint64_t *took = calloc(set.count, sizeof *took);
    if (fd < 0 || !data || !ends || !took)
        die(set.file);
    for (uint64_t i = 0; i < set.bytes; i++)
        data[i] = (uint8_t)(i * 131 + 7);
    printf("ready\n");
    fflush(stdout);
    char line[16];
    if (!fgets(line, sizeof line, stdin))
        return 1;

    uint64_t places = set.span / set.bytes, place = 0, state = 88172645463325252u;
    uint64_t begin = now();
    for (uint64_t i = 0; i < set.count; i++) {
        if (set.rate != 0) {
            uint64_t due = begin + i * 1000000000u / set.rate;
            if (now() < due)
                wait_until(due);
        }
        memcpy(data, &i, sizeof i);
        if (set.forward)
            place = i % places;
        else {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            place = state % places;
        }
        uint64_t before = now();
        if (pwrite(fd, data, set.bytes, (off_t)(place * set.bytes)) != (ssize_t)set.bytes)
            die(set.file);
        ends[i] = now();
        took[i] = ends[i] - before;
    }
    double seconds = (double)(ends[set.count - 1] - begin) / 1e9;
    if (set.times)
        write_all(set.times, ends, set.count * sizeof *ends);
    qsort(took, set.count, sizeof *took, by_size);
    printf("{\"seconds\":%.6f,\"p50\":%llu,\"p99\":%llu,\"most\":%llu}\n", seconds,
           (unsigned long long)took[set.count / 2],
           (unsigned long long)took[set.count - 1 - set.count / 100],
           (unsigned long long)took[set.count - 1]);
    fflush(stdout);
    while (set.hold && fgets(line, sizeof line, stdin))
        ;
    return 0;
}
