/* Drive C: of the drivers; see volume.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

bool volume_start(const char *state_dir, char *error, size_t error_size);
void volume_stop(void);
