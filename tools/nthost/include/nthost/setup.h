/*
 * Device installation: INF files in, services and filter bindings out. What the INF says is what
 * runs: image, start type, registry values, filter class and media of NDIS filters.
 */
#pragma once
#include <ntddk.h>
#include <stdio.h>

struct setup_error {
    char file[256];
    unsigned line;     /* 1 ..; 0: the file as a whole */
    char rule[48];     /* name of the rule that is broken, see setup/rules.c */
    char message[512]; /* what is wrong and what to do */
};

/* Parses and checks an INF without installing anything; all errors found, at most `max`.
 * Returns how many. */
unsigned setup_check(const char *inf_path, struct setup_error *errors, unsigned max);

/* Installs a driver package: checks the INF, copies it and its image (found beside the INF, or in
 * image_dir where that is not NULL) to the driver store under the state directory, writes the
 * service and its values to the registry, registers NDIS filters. Nothing is changed on failure.
 * image_flavor: ".so" or ".sys" replaces the image's extension (the host runs both builds). */
NTSTATUS setup_install(const char *inf_path, const char *image_dir, const char *image_flavor,
                       char service[64], struct setup_error *error);
NTSTATUS setup_uninstall(const char *service, struct setup_error *error);

/* The service control manager's part. */
NTSTATUS setup_start(const char *service, struct setup_error *error);
NTSTATUS setup_stop(const char *service, struct setup_error *error);

/* Writes the state of all (service NULL) or one service as a JSON array of objects:
 * {"service","displayName","inf","image","state":"stopped"|"running","start","class","version","filter":{...}|null} */
NTSTATUS setup_list(const char *service, FILE *json);
