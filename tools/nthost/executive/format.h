/* printf as the NT kernel has it; see format.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Formats into `room` code units (char or 16-bit WCHAR), never terminated; returns how many the
 * whole text has. */
size_t nt_format(void *out, size_t room, bool wide, const void *format,
                 __builtin_ms_va_list arguments);
