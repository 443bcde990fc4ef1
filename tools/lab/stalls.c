/*
 * Does the machine itself stand still? A hypervisor takes processors away, and what a cluster on
 * them then does is right: nobody was there.
 *
 *   lab-stalls MILLISECONDS
 *
 * A thread on each processor, above every thread of the driver host, wants to run each
 * millisecond. Whenever one is later than MILLISECONDS it prints a line: CLOCK_MONOTONIC in
 * milliseconds at the end, the processor, how late. Ends when standard input does. Needs the right
 * to real-time scheduling.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PRIORITY  90 /* the driver host has at most 10 */
#define PERIOD_NS 1000000

static double limit_ms;

static void die(const char *what, int error)
{
    fprintf(stderr, "lab-stalls: %s: %s\n", what, strerror(error));
    exit(1);
}

static void *watch(void *argument)
{
    int processor = (int)(intptr_t)argument;
    struct timespec due, now;

    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &due);
        due.tv_nsec += PERIOD_NS;
        if (due.tv_nsec >= 1000000000) {
            due.tv_nsec -= 1000000000;
            due.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        double late =
            (double)(now.tv_sec - due.tv_sec) * 1e3 + (double)(now.tv_nsec - due.tv_nsec) / 1e6;
        if (late > limit_ms)
            printf("%.3f %d %.3f\n", (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6,
                   processor, late);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    char byte, *end = NULL;
    cpu_set_t set;

    limit_ms = argc == 2 ? strtod(argv[1], &end) : 0;
    if (argc != 2 || *end || !(limit_ms > 0)) {
        fputs("usage: lab-stalls MILLISECONDS\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    mlockall(MCL_CURRENT | MCL_FUTURE);
    if (sched_getaffinity(0, sizeof set, &set))
        die("sched_getaffinity", errno);
    for (int processor = 0; processor < CPU_SETSIZE; processor++) {
        struct sched_param parameters = {.sched_priority = PRIORITY};
        pthread_attr_t attributes;
        pthread_t thread;
        cpu_set_t one;

        if (!CPU_ISSET(processor, &set))
            continue;
        CPU_ZERO(&one);
        CPU_SET(processor, &one);
        pthread_attr_init(&attributes);
        pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
        pthread_attr_setschedparam(&attributes, &parameters);
        pthread_attr_setaffinity_np(&attributes, sizeof one, &one);
        int error = pthread_create(&thread, &attributes, watch, (void *)(intptr_t)processor);
        if (error)
            die("a thread with real-time priority", error);
        pthread_attr_destroy(&attributes);
    }
    puts("ready");
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}
