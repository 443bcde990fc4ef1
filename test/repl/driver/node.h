/*
 * A machine with REPL: the driver host with a volume over a folder, FltMgr, the driver as its INF
 * installs it, a set on the volume, and a reader of the stream that applies what it reads to a
 * model.
 */
#pragma once
#include "model.h"
#include "tap.h"

#include <nthost/client.h>
#include <nthost/fs.h>
#include <nthost/nt.h>
#include <nthost/sched.h>

#define NODE_SET    7
#define NODE_FOLDER "set" /* in the volume's root */

struct node_options {
    enum nt_scheduler scheduler;
    uint64_t seed;
    UINT32 mode;       /* REPL_MODE; 0: async */
    size_t ring_bytes; /* data; 0: 4 MiB */
    const REPL_RULE *rules;
    unsigned rule_count;
    const char *rule_names[8]; /* of the rules */
    bool no_ring;
    UINT64 journal_bytes;
};

/* What TAKE_DIRTY gave. */
struct node_dirty {
    REPL_DIRTY_FILE file;
    REPL_DIRTY_RANGE ranges[16];
};

struct node {
    char state_dir[64];
    char backing[80]; /* the volume's folder */
    char folder[96];  /* the set's */
    PDRIVER_OBJECT driver;
    struct fs_volume *volume;
    struct io_client *client;
    io_handle device;
    void *ring; /* REPL_RING_HEADER and data */
    size_t ring_bytes;
    struct io_request *lent;
    UINT64 read; /* position */
    struct model *model;
    UINT64 generation;
    /* Of resync.c. */
    UINT64 wanted;      /* the record of this number, when it is applied, */
    REPL_RECORD *found; /* is kept here (malloc) */
    struct node_dirty *dirty;
    unsigned dirty_count;
};

/* Fails the test and returns false if something of it does not work. The caller's thread is then in
 * no driver context. */
bool node_start(struct node *node, const struct node_options *options);
void node_stop(struct node *node);

/* SET_CONFIG with the one set. */
NTSTATUS node_configure(struct node *node, const struct node_options *options);
NTSTATUS node_role(struct node *node, UINT32 role, UINT64 epoch);
bool node_lend(struct node *node, size_t bytes);
REPL_STATUS node_status(struct node *node);
/* A backup has all that the model has. */
NTSTATUS node_acknowledge(struct node *node);

/* Applies one record. False and a failed assertion if it means nothing. */
bool node_apply(struct node *node, const REPL_RECORD *record);
/* Applies what is in the ring to the model. False and a failed assertion if it cannot be. */
bool node_read(struct node *node);
/* Everything is at rest: reads all there is, and compares the model with the folder. */
bool node_check(struct node *node, const char *when);

/* "\Device\HarddiskVolume2\set\" + path in UTF-8 with '/', as a name for nt_create; a path that
 * begins with '/' is one of the volume. Freed by free() of Buffer. */
UNICODE_STRING node_name(struct node *node, const char *path);

/* Opens or creates below the set. mode and owner for a new one as of an ordinary Linux user. */
NTSTATUS node_open(struct node *node, const char *path, ACCESS_MASK access, ULONG disposition,
                   ULONG options, PFILE_OBJECT *file);
