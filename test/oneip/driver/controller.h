/*
 * A process that controls the driver, at random and all the time. It opens and closes the device
 * for each call; where the driver is away it fails, and is not surprised.
 */
#pragma once

#include "fixture.h"

#include <stdatomic.h>

#define CONTROLLER_MEMBERS 4

/* Short, so that the node takes the role again soon after a change took it away. */
#define CONTROLLER_BEACON_MS 4

struct controller {
    uint64_t generation; /* the last that anybody used */
    unsigned calls;
    atomic_bool stop;
    atomic_uint rest, resting; /* it stands still while `rest` */
    struct nt_thread *thread;
};

void controller_start(struct controller *controller);
void controller_stop(struct controller *controller);

/* A random configuration of the next generation. */
NTSTATUS controller_set_config(struct controller *controller, struct io_client *client,
                               io_handle device);
