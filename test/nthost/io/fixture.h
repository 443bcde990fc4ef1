/* A host with the iotest driver in it, and a client. */
#pragma once
#include <nthost/client.h>
#include <nthost/loader.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include "iotest_contract.h"
#include "tap.h"
#include <string.h>

struct fixture {
    PDRIVER_OBJECT driver;
    struct io_client *client;
    io_handle handle; /* \\.\IoTest, read and write */
};

/* state_dir may be NULL. False: a failed assertion says why. */
bool fixture_start(struct fixture *f, enum nt_scheduler scheduler, uint64_t seed,
                   const char *state_dir);
bool fixture_begin(struct fixture *f); /* deterministic, the run's seed, memory only */
void fixture_end(struct fixture *f);   /* closes, destroys, unloads, stops */

void fixture_stats(struct fixture *f, IOTEST_STATS *stats);

/* A request under way, for the asynchronous functions. */
struct pending {
    struct io_request *request;
    volatile bool done;
    unsigned calls;
    NTSTATUS status;
    ULONG_PTR information;
    UCHAR output[64];
};
void pending_done(void *context, NTSTATUS status, ULONG_PTR information);
NTSTATUS pending_start(struct fixture *f, struct pending *p, ULONG code, const void *input,
                       ULONG bytes);
/* Runs the others until it is done (deterministic), or waits (real time); releases it. */
bool pending_wait(struct pending *p);

/* A fresh folder, removed by fixture_remove_dir. */
const char *fixture_dir(void);
void fixture_remove_dir(void);
