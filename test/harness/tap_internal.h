/* Shared by the harness's own files. */
#pragma once
#include "tap.h"

/* Prints text, line by line, as TAP comments. */
void tap_comment(const char *text);
/* In a fresh child, which answers for itself only. */
void tap_forget_failures(void);
