/* For the fault handler: is the address inside callback data whose operation has ended? */
#pragma once
#include <stdbool.h>
#include <stddef.h>

bool flt_explain_address(const void *address, char *text, size_t size);
