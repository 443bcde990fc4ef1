/*
 * Device installation: INF files in, services and filter bindings out. What the INF says is what
 * runs: image, start type, registry values, filter class and media of NDIS filters.
 *
 * The host is Windows 11 24H2 (build 26100, x64, U.S. English) to an INF. Everything is to be
 * called on an attached thread at PASSIVE_LEVEL.
 */
#pragma once
#include <ntddk.h>
#include <stdbool.h>
#include <stdio.h>

struct setup_error {
    char file[256];
    unsigned line;     /* 1 ..; 0: the file as a whole */
    char rule[48];     /* name of the rule that is broken, see setup/rules.h; "": no rule of INFs */
    char message[512]; /* what is wrong and what to do */
};

/* Parses and checks an INF without installing anything; all errors found, at most `max`, by line.
 * Returns how many there are. */
unsigned setup_check(const char *inf_path, struct setup_error *errors, unsigned max);

/* The rules, by number from 0: false beyond the last. page: the WDK page that states the rule. */
bool setup_rule(unsigned index, const char **name, const char **page, const char **text);

/* Installs a driver package: checks the INF, copies it and its image (found beside the INF, or in
 * image_dir where that is not NULL) to the driver store under the state directory, writes the
 * service and its values to the registry, registers NDIS filters. Nothing is changed on failure.
 * image_flavor: ".so" or ".sys" replaces the image's extension (the host runs both builds). */
NTSTATUS setup_install(const char *inf_path, const char *image_dir, const char *image_flavor,
                       char service[64], struct setup_error *error);
/* The whole package that brought the service; its services must be stopped. */
NTSTATUS setup_uninstall(const char *service, struct setup_error *error);

/* The service control manager's part. */
NTSTATUS setup_start(const char *service, struct setup_error *error);
NTSTATUS setup_stop(const char *service, struct setup_error *error);

/* What the system does when it boots: starts the services with StartType 0 and 1, in that order.
 * Failures are told on `log` and do not keep others from starting. */
void setup_boot(FILE *log);

/* Writes the state of all (service NULL) or one service as a JSON array of objects:
 * {"service","displayName","inf","image","state":"stopped"|"running","start","class","version",
 *  "provider","date","package","filter":{...}|null,"kmdf":"1.33"|null}
 * start: "boot", "system", "demand". STATUS_OBJECT_NAME_NOT_FOUND if there is no such service. */
NTSTATUS setup_list(const char *service, FILE *json);
