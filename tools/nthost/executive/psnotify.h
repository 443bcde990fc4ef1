/* Telling drivers of threads; see psnotify.c. */
#pragma once
#include "thread.h"

void ps_notify_thread(struct nt_thread *thread, bool created);
