/* Prints one block with the stack and ends the process; see verifier.c. */
#pragma once
#include <nthost/verifier.h>

void __attribute__((noreturn)) vf_report(int exit_code, const char *head, const char *message);
