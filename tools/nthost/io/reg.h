/*
 * The registry's inside: one tree, one lock, one log. The lock is a host mutex and is never held
 * across a call into the kernel's exports.
 */
#pragma once
#include "reg_tree.h"
#include <nthost/registry.h>
#include <stdio.h>

/* dir NULL: memory only. False and a message: the log cannot be used. */
bool reg_start(const char *dir, char *error, size_t error_size);
void reg_stop(void);

extern struct reg_key *reg_root;
void reg_lock(void);
void reg_unlock(void);

/* Carries out one change and logs it. The lock is held. */
NTSTATUS reg_change(struct reg_op *op);
/* The path with its parents; *created: the last one did not exist. The lock is held. */
NTSTATUS reg_create_path(const WCHAR *path, unsigned chars, bool is_volatile, bool *created);
NTSTATUS reg_flush_locked(void);

/* What follows "\Registry\" in an NT path; false if that is not what it begins with. */
bool reg_strip_root(const WCHAR **path, unsigned *chars);
