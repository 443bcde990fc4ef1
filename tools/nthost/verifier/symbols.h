/* Names of functions that are not exported; see symbols.c. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The function of the ELF file that contains this address (relative to where the file is loaded),
 * and how far it lies inside. False: no symbol table, or no function there. */
bool symbol_in_file(const char *path, uint64_t address, char *name, size_t size, uint64_t *offset);
