/*
 * A KMDF driver inside the test: bound through the entry stub as any driver is, with a control
 * device \Device\Fixture, and clients of it.
 */
#pragma once
#include "tap.h"
#include <nthost/client.h>
#include <nthost/sched.h>
#include <ntddk.h>
#include <wdf.h>

/* Starts the host and the driver. What follows up to fixture_stop() is in driver context. */
void fixture_start(enum nt_scheduler scheduler, uint64_t seed);
/* Unloads the driver, which must leave nothing, and stops the host. */
void fixture_stop(void);
PDRIVER_OBJECT fixture_driver_object(void);

/* The device, made of what is not NULL; its default queue comes with it. */
struct fixture_device {
    PWDF_IO_QUEUE_CONFIG queue;
    PWDF_OBJECT_ATTRIBUTES queue_attributes, device_attributes, request_attributes;
    PWDF_FILEOBJECT_CONFIG file;
    PWDF_OBJECT_ATTRIBUTES file_attributes;
    WDF_DEVICE_IO_TYPE io_type;
    PFN_WDF_IO_IN_CALLER_CONTEXT in_caller;
};
WDFDEVICE fixture_device(const struct fixture_device *options);

/* A client with the device open. */
struct fixture_file {
    struct io_client *client;
    io_handle handle;
};
NTSTATUS fixture_open(struct fixture_file *file);
void fixture_close(struct fixture_file *file);

/* An IOCTL under way. */
#define FIXTURE_IOCTL(n, method) CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900 + (n), method, FILE_ANY_ACCESS)
struct fixture_request {
    struct io_request *request;
    bool done;
    unsigned times; /* that done was called: once */
    NTSTATUS status;
    ULONG_PTR information;
    unsigned char output[64];
};
void fixture_send(struct fixture_file *file, struct fixture_request *request, ULONG code,
                  const void *input, ULONG bytes);
NTSTATUS fixture_cancel(struct fixture_file *file, struct fixture_request *request);
/* Lets other threads and timers run until the request is done, at most a second. */
void fixture_wait(struct fixture_request *request);
void fixture_release(struct fixture_request *request);
/* Other threads and timers, for so long. */
void fixture_run(unsigned milliseconds);
