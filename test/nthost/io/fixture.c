/* See fixture.h. */
#include "fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <ftw.h>

bool fixture_start(struct fixture *f, enum nt_scheduler scheduler, uint64_t seed,
                   const char *state_dir)
{
    char error[512];
    struct nt_options options = {.scheduler = scheduler,
                                 .seed = seed,
                                 .processors = 2,
                                 .state_dir = state_dir,
                                 .verifier = true,
                                 .special_pool = tap_drivers_pe()};
    memset(f, 0, sizeof(*f));
    nt_start(&options);
    if (!is_status(driver_load("iotest", driver_path("iotest"), &f->driver, error, sizeof(error)),
                   STATUS_SUCCESS, "%s", error))
        return false;
    f->client = io_client_create(IO_TOKEN_SYSTEM, 1000);
    return ok(f->client != NULL) &&
           is_status(io_open(f->client, "\\\\.\\IoTest", GENERIC_READ | GENERIC_WRITE, &f->handle),
                     STATUS_SUCCESS);
}

bool fixture_begin(struct fixture *f)
{
    return fixture_start(f, NT_DETERMINISTIC, tap_seed(), NULL);
}

void fixture_end(struct fixture *f)
{
    if (f->handle != 0)
        is_status(io_close(f->client, f->handle), STATUS_SUCCESS);
    if (f->client != NULL)
        io_client_destroy(f->client);
    if (f->driver != NULL)
        is_status(driver_unload(f->driver), STATUS_SUCCESS);
    nt_stop();
}

void fixture_stats(struct fixture *f, IOTEST_STATS *stats)
{
    ULONG_PTR information;
    memset(stats, 0, sizeof(*stats));
    is_status(io_ioctl(f->client, f->handle, IOTEST_IOCTL_STATS, NULL, 0, stats, sizeof(*stats),
                       &information),
              STATUS_SUCCESS);
}

void pending_done(void *context, NTSTATUS status, ULONG_PTR information)
{
    struct pending *p = context;
    p->calls++;
    p->status = status;
    p->information = information;
    __atomic_store_n(&p->done, true, __ATOMIC_RELEASE);
}

NTSTATUS pending_start(struct fixture *f, struct pending *p, ULONG code, const void *input,
                       ULONG bytes)
{
    memset(p, 0, sizeof(*p));
    return io_ioctl_start(f->client, f->handle, code, input, bytes, p->output, sizeof(p->output),
                          pending_done, p, &p->request);
}

bool pending_wait(struct pending *p)
{
    for (unsigned i = 0; i < 2000 && !__atomic_load_n(&p->done, __ATOMIC_ACQUIRE); i++) {
        if (sched_is_deterministic())
            sched_run_for(100000);
        else
            usleep(5000);
    }
    if (p->request != NULL && p->done)
        io_request_release(p->request);
    return p->done;
}

static char dir[64];

const char *fixture_dir(void)
{
    snprintf(dir, sizeof(dir), "/tmp/nthost-io-XXXXXX");
    return mkdtemp(dir);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void fixture_remove_dir(void)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
