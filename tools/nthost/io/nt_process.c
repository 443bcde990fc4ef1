/*
 * Process objects of Linux processes, for those who make requests on their behalf; nthost/nt.h.
 *
 * A process is known by its pid and the time it started: a pid that was used again is another one.
 * That is looked at when it was not for a while; what has ended goes at the same occasion.
 */
#include "process.h"
#include <nthost/export.h>
#include <nthost/module.h>
#include <nthost/nt.h>
#include <nthost/sched.h>
#include <nthost/utf.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS 256
#define FRESH   1000000ull  /* 100 ns: so long an entry is believed */
#define SWEEP   50000000ull /* between looks at all entries */

struct known {
    struct known *next;
    uint32_t pid;
    uint64_t started, checked;
    struct _EPROCESS *process; /* its first reference */
};

static struct known *buckets[BUCKETS];
static uint64_t swept;
static pthread_mutex_t known_mutex = PTHREAD_MUTEX_INITIALIZER;

/* 0: there is no such process. In clock ticks since boot, plus 1. */
static uint64_t start_of(uint32_t pid)
{
    char path[32], text[1024];
    unsigned long long started = 0;
    snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = 0;
    char *at = strrchr(text, ')'); /* the name before it may hold anything */
    if (at == NULL || sscanf(at + 1,
                             " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                             "%*s %*s %*s %*s %*s %llu",
                             &started) != 1)
        return 0;
    return started + 1;
}

static void image_of(uint32_t pid, char image[512])
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/%u/exe", pid);
    ssize_t bytes = readlink(path, image, 511);
    if (bytes > 0)
        image[bytes] = 0;
    else
        snprintf(image, 512, "process %u", pid);
}

static void forget(struct known *list)
{
    while (list != NULL) {
        struct known *next = list->next;
        process_exit(list->process);
        free(list);
        list = next;
    }
}

/* Those that have ended, unlinked. The table is locked. */
static struct known *sweep(uint64_t now)
{
    struct known *ended = NULL;
    if (now - swept < SWEEP)
        return NULL;
    swept = now;
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct known **at = &buckets[i]; *at != NULL;) {
            struct known *entry = *at;
            if (start_of(entry->pid) == entry->started) {
                entry->checked = now;
                at = &entry->next;
                continue;
            }
            *at = entry->next;
            entry->next = ended;
            ended = entry;
        }
    return ended;
}

/* Referenced; NULL: not known, or another one by now, which is unlinked into *ended. */
static struct _EPROCESS *find(uint32_t pid, uint64_t now, struct known **ended)
{
    for (struct known **at = &buckets[pid % BUCKETS]; *at != NULL; at = &(*at)->next) {
        struct known *entry = *at;
        if (entry->pid != pid)
            continue;
        if (now - entry->checked >= FRESH && start_of(pid) != entry->started) {
            *at = entry->next;
            entry->next = *ended;
            *ended = entry;
            return NULL;
        }
        if (now - entry->checked >= FRESH)
            entry->checked = now;
        ob_reference(entry->process);
        return entry->process;
    }
    return NULL;
}

PEPROCESS nt_process_of(uint32_t pid)
{
    char image[512];
    uint64_t now = sched_interrupt_time();
    if (pid == 0) {
        ob_reference(system_process);
        return system_process;
    }
    pthread_mutex_lock(&known_mutex);
    struct known *ended = sweep(now);
    struct _EPROCESS *process = find(pid, now, &ended);
    pthread_mutex_unlock(&known_mutex);
    forget(ended);
    if (process != NULL)
        return process;
    uint64_t started = start_of(pid);
    image_of(pid, image);
    struct known *entry = started ? calloc(1, sizeof(*entry)) : NULL;
    process = entry ? process_create(pid, image, IO_TOKEN_USER) : NULL;
    if (process == NULL) {
        free(entry);
        ob_reference(system_process);
        return system_process;
    }
    *entry = (struct known){.pid = pid, .started = started, .checked = now, .process = process};
    ended = NULL;
    pthread_mutex_lock(&known_mutex);
    process = find(pid, now, &ended); /* somebody else may have been as quick */
    if (process == NULL) {
        entry->next = buckets[pid % BUCKETS];
        buckets[pid % BUCKETS] = entry;
        process = entry->process;
        ob_reference(process);
    } else {
        entry->next = ended;
        ended = entry;
    }
    pthread_mutex_unlock(&known_mutex);
    forget(ended);
    return process;
}

PEPROCESS nt_process_create(uint32_t pid, const char *image)
{
    return process_create(pid, image, IO_TOKEN_USER);
}

void nt_process_exit(PEPROCESS process)
{
    process_exit(process);
}

void nt_process_release(PEPROCESS process)
{
    ob_dereference(process);
}

const char *nt_process_image(PEPROCESS process)
{
    return process->image;
}

NTSTATUS NTAPI SeLocateProcessImageName(PEPROCESS Process, PUNICODE_STRING *pImageFileName)
{
    VF_ENTRY(PASSIVE_LEVEL);
    unsigned chars;
    WCHAR *wide;
    *pImageFileName = NULL;
    if (vf_fault(VfFaultIo))
        return STATUS_NO_MEMORY;
    wide = utf16_from_utf8(Process->image, strlen(Process->image), &chars);
    /* One block, which the caller frees by ExFreePool. */
    PUNICODE_STRING name =
        ExAllocatePool2(POOL_FLAG_PAGED, sizeof(*name) + (chars + 1) * sizeof(WCHAR), 'cPeS');
    if (wide == NULL || name == NULL) {
        free(wide);
        if (name != NULL)
            ExFreePool(name);
        return STATUS_NO_MEMORY;
    }
    name->Buffer = (PWCH)(name + 1);
    name->Length = (USHORT)(chars * sizeof(WCHAR));
    name->MaximumLength = (USHORT)(name->Length + sizeof(WCHAR));
    memcpy(name->Buffer, wide, name->Length);
    free(wide);
    *pImageFileName = name;
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, SeLocateProcessImageName);

PEPROCESS nt_process_enter(PEPROCESS process)
{
    return process_switch(process);
}

static void start(const struct nt_options *options)
{
    UNREFERENCED_PARAMETER(options);
    swept = 0;
}

static void stop(void)
{
    nt_enter();
    for (unsigned i = 0; i < BUCKETS; i++) {
        forget(buckets[i]);
        buckets[i] = NULL;
    }
    nt_leave();
}

NT_MODULE(nt_processes, NT_ORDER_IO + 1, start, stop);
