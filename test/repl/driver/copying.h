/*
 * A node whose set is in copy mode, a file in it, and what the ring tells, in words: "rename copy
 * a>b; touched copy" is a record's type, its flags, its name, ">" and the new one; and the next.
 */
#pragma once
#include "node.h"

#define COPY_BYTES 5000u /* that copy_writes writes */

struct copy {
    struct node node;
    PFILE_OBJECT file; /* of copy_open, until it is closed */
    UINT8 id[16];      /* its; other files' records say "of another file", but folders' */
    char text[1024];   /* what was read last */
    UINT64 touched;    /* number of the newest ReplRecordTouched, */
    UINT64 told;       /* of the newest ReplRecordFile, */
    UINT64 told_size;  /* and the size that it says */
};

bool copy_start(struct copy *copy, UINT32 mode);
void copy_stop(struct copy *copy);

/* Nothing is in flight: reads what there is. False and a failed assertion if something is missing,
 * or the model does not take it. */
bool copy_follow(struct copy *copy);
/* The same, and it is so. */
bool copy_tells(struct copy *copy, const char *what, const char *expected);

/* A SYNC or READ_RANGE IOCTL, of `room` bytes. */
NTSTATUS copy_call(struct copy *copy, ULONG code, const char *path, UINT32 call_flags, void *output,
                   ULONG room, ULONG_PTR *bytes);
/* SYNC_FILE of "file". */
NTSTATUS copy_sync(struct copy *copy, UINT32 call_flags);
/* The same, with flags of 0, and its record. */
bool copy_begins(struct copy *copy);
void copy_refuses(struct copy *copy, ULONG code, const char *path, UINT32 call_flags,
                  UINT32 reason);

/* Runs it in driver context. It succeeds, and what the ring tells then is so. */
bool copy_does(struct copy *copy, const char *what, NTSTATUS (*run)(struct copy *),
               const char *expected);
#define DOES(copy, run, expected) copy_does(copy, #run, run, expected)
/* In driver context. */
NTSTATUS copy_open(struct copy *copy, const char *path, ULONG disposition, ULONG options);
/* "file", and all of what copy_open opened. */
NTSTATUS copy_creates(struct copy *copy);
NTSTATUS copy_writes(struct copy *copy);
/* Outside of it: the lazy and the mapped writer write all. */
void copy_drain(struct copy *copy);
