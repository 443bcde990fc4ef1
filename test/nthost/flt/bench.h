/* A host with drive C: in a folder of its own, filters, and files as kernel code uses them. */
#pragma once
#include "tap.h"
#include <fltKernel.h>
#include <fltprobe_contract.h>
#include <nthost/client.h>
#include <nthost/flt.h>
#include <nthost/loader.h>
#include <nthost/registry.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include <string.h>

#define UPPER 0
#define LOWER 1

struct bench {
    PROBE_SHARED *shared;
    PDRIVER_OBJECT driver[2]; /* fltprobe, fltlower */
    char dir[64];
    bool entered;
};

/* The host runs, the thread is in driver context. */
void bench_open(struct bench *b, enum nt_scheduler scheduler, uint64_t seed);
/* Loads fltprobe (altitude 370030) or fltlower (140000.5); their registry is written before. */
NTSTATUS bench_load(struct bench *b, unsigned which);
void bench_unload(struct bench *b, unsigned which);
void bench_close(struct bench *b);
/* What setup would write; "Instances" or "Parameters\\Instances". */
void bench_register(const char *service, const char *place, const char *altitude, ULONG flags);

PROBE_RULE *rule(struct bench *b, unsigned which, UCHAR major);
/* Watches an operation and logs it. */
PROBE_RULE *watch(struct bench *b, unsigned which, UCHAR major);
void forget(struct bench *b); /* the log */
/* The n-th event (0 ..) of a kind; NULL: there is none. */
const PROBE_EVENT *event(const struct bench *b, unsigned what, unsigned which, UCHAR major,
                         unsigned n);
unsigned events(const struct bench *b, unsigned what, unsigned which, UCHAR major);
/* In ASCII. */
const char *event_name(const PROBE_EVENT *e);

/* Files of drive C:, "\\dir\\file". */
NTSTATUS file_create(const char *path, ULONG disposition, ULONG options, HANDLE *file);
HANDLE file_new(const char *path); /* asserts */
NTSTATUS file_write(HANDLE file, LONGLONG offset, const char *text);
NTSTATUS file_read(HANDLE file, LONGLONG offset, char *text, ULONG bytes);
NTSTATUS file_rename(HANDLE file, const char *path);
void folder_new(const char *path);
PFILE_OBJECT file_object(HANDLE file); /* not referenced */
