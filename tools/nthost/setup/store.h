/*
 * The driver store: a folder a package, under <state>/files/Windows/System32/DriverStore, named
 * "oneip.inf_amd64_<hash>" as on Windows. Without a state directory the store is a temporary folder
 * that ends with the host.
 *
 * A package is built in a folder of another name and renamed when complete, so that a folder with a
 * package's name is whole; one that no registry key mentions is left over and is removed.
 */
#pragma once
#include "package.h"

/* Called as the host starts and stops; also removes what a crash left. */
void store_start(void);
void store_stop(void);

/* Copies the INF and the package's files; `image_dir` NULL: they lie beside the INF. `name`: of the
 * package. False: nothing is left of it, `error` tells why. */
bool store_add(const struct inf *inf, const struct package *package, const char *image_dir,
               const char *flavor, char name[128], char *error, size_t error_size);
/* False if the folder cannot be removed. */
bool store_remove(const char *name);

/* "\SystemRoot\System32\x" -> host path. False: the path is none of the host's. */
bool store_host_path(const char *nt_path, char *path, size_t size);
/* The INF's file name with the extension of the flavor where it is an image. */
const char *store_image_name(struct arena *arena, const char *name, const char *flavor);
#define STORE_NT_PATH "\\SystemRoot\\System32\\DriverStore\\FileRepository"
