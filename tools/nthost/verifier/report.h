/* Prints one block with the stack and ends the process; see verifier.c. */
#pragma once
#include <nthost/verifier.h>

void __attribute__((noreturn)) vf_report(int exit_code, const char *head, const char *message);

/* In a signal handler: the stack to report is that of the interrupted code. */
void vf_report_stack(void *const *frames, unsigned count);
