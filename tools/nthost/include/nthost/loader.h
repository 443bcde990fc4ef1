/* Driver images: ELF modules and PE32+ .sys files, told apart by their first bytes. */
#pragma once
#include <ntddk.h>
#include <stdbool.h>
#include <stddef.h>

struct nt_image;

/* Maps and relocates an image and resolves its imports; what is unresolved is named in `error`. */
struct nt_image *image_load(const char *path, char *error, size_t error_size);
void image_unload(struct nt_image *image);
PDRIVER_INITIALIZE image_entry(const struct nt_image *image);
const char *image_name(const struct nt_image *image); /* file name without its extension */
/* What it imports of the host, by name; NULL behind the last. */
const char *image_import(const struct nt_image *image, unsigned index);
void image_extent(const struct nt_image *image, void **base, size_t *bytes);
/* After DriverEntry: the discardable sections of a PE image (INIT) go. */
void image_discard_init(struct nt_image *image);
/* NULL if the address lies in no image. Any IRQL, no locks. */
const struct nt_image *image_of(const void *address);
/* Is it code of a PAGE section? (PE only; ELF modules have none.) */
bool image_is_pageable(const void *code);
/* Return addresses from the caller outwards, through ELF and PE frames (.pdata). Any IRQL. */
unsigned image_backtrace(void **frames, unsigned count);

/* Print where images are loaded, for debuggers. */
extern bool driver_announce;

/* Services: load calls DriverEntry with a driver object and \Registry\Machine\...\Services\<name>;
 * unload calls DriverUnload and frees it; STATUS_PENDING: once the last file on its devices is
 * closed, no new ones are opened. Both at PASSIVE_LEVEL in the system process. */
NTSTATUS driver_load(const char *service, const char *image_path, PDRIVER_OBJECT *driver,
                     char *error, size_t error_size);
NTSTATUS driver_unload(PDRIVER_OBJECT driver);
