/*
 * The repl driver alone, with nothing but its control device: records come from bookmarks, brackets
 * and roles. Crashes are copies of the host's state folder.
 */
#pragma once
#include <ntddk.h>

#include <nthost/client.h>
#include <nthost/fs.h>
#include <nthost/sched.h>

#include <ntswift/repl.h>

#include "tap.h"

#define RIG_MS 10000ull /* of interrupt time */

struct rig {
    char state_dir[64];
    struct fs_volume *volume; /* \\Device\\HarddiskVolume2, X: */
    PDRIVER_OBJECT driver;
    struct io_client *client; /* an administrator */
    io_handle device;
    bool host_is_ours;
};

/* The volume with the sets' roots, a folder of the state's. rig_boot and rig_halt call them. */
bool rig_mount(struct rig *rig);
void rig_unmount(struct rig *rig);

/* Starts the host on its state folder (made if there is none yet), loads the driver and opens the
 * device. False and a failed assertion: give up. */
bool rig_boot(struct rig *rig, uint64_t seed);
/* Closes the handle, unloads the driver, stops the host; the state stays. */
void rig_halt(struct rig *rig);
/* The same, and the state goes. */
void rig_end(struct rig *rig);

/* A copy of the state folder as it is now: what a crash at this moment leaves. */
bool rig_copy(const struct rig *rig, char state_dir[64]);
void rig_remove(const char *state_dir);

NTSTATUS rig_ioctl(struct rig *rig, ULONG code, const void *input, ULONG input_bytes, void *output,
                   ULONG output_bytes, ULONG_PTR *information);
REPL_REFUSAL rig_refusal(struct rig *rig);
REPL_STATUS rig_status(struct rig *rig);

/* A configuration: one set, "\??\X:\shop", its bytes changed by the caller before it is set. */
#define RIG_MAX_CONFIG 4096
struct rig_config {
    union {
        REPL_CONFIG header;
        UINT8 bytes[RIG_MAX_CONFIG];
    };
    REPL_SET *sets;
    REPL_RULE *rules;
    UINT8 *names;
};
struct rig_text {
    const char *root;
    const char *pattern; /* of a rule; NULL: no more */
};
/* Sets and rules (rule n belongs to set n) until a root is NULL. */
void rig_config(struct rig_config *config, uint64_t generation, const struct rig_text *sets,
                unsigned set_count, unsigned rule_count);
/* The standard: one set, 1 MiB of staging, a journal of the smallest size. */
void rig_standard(struct rig_config *config, uint64_t generation);
NTSTATUS rig_set_config(struct rig *rig, const struct rig_config *config);

NTSTATUS rig_role(struct rig *rig, UINT32 role, UINT64 epoch, UINT64 sequence);
/* The standard configuration and role primary, epoch 1. Both must succeed. */
bool rig_primary(struct rig *rig, bool journal);

/* Its number; 0: refused. `bytes` of label. */
UINT64 rig_bookmark(struct rig *rig, unsigned bytes);
UINT64 rig_open_bracket(struct rig *rig, UINT32 reason);
NTSTATUS rig_close_bracket(struct rig *rig, UINT64 bracket);
NTSTATUS rig_acknowledge(struct rig *rig, UINT64 sequence);

/* An IOCTL under way. */
struct rig_call {
    volatile bool done;
    unsigned calls;
    NTSTATUS status;
    ULONG_PTR information;
    struct io_request *request;
};
NTSTATUS rig_start(struct rig *rig, io_handle handle, struct rig_call *call, ULONG code,
                   const void *input, ULONG input_bytes, void *output, ULONG output_bytes);
/* Time passes until it is done; false: it is not after a virtual second. Releases the request. */
bool rig_wait(struct rig_call *call);
