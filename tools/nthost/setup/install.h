/* What install.c and control.c share. */
#pragma once
#include "store.h"

#define DRIVER_DATABASE "\\Registry\\Machine\\System\\DriverDatabase"
#define DRIVER_PACKAGES DRIVER_DATABASE "\\DriverPackages"
#define DRIVER_INFS     DRIVER_DATABASE "\\DriverInfFiles"
#define EVENT_LOGS      REGISTRY_SERVICES "\\EventLog"
#define NETWORK_SERVICES                                                                           \
    "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Network\\{4D36E974-E325-11CE-BFC1-"  \
    "08002BE10318}"

/* Setup's operations exclude each other. Both enter and leave driver context. */
void setup_lock(void);
void setup_unlock(void);

NTSTATUS setup_fail(struct setup_error *error, NTSTATUS status, const char *file,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Is the service loaded? Under the lock. */
bool control_running(const char *service);
void control_start(void);
void control_stop(void);
/* Tells NDIS of the filter that is kept below that key of NETWORK_SERVICES. */
bool install_publish_filter(const char *instance_id);
