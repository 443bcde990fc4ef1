/* The lock order graph; see locks.c. */
#pragma once
void vf_locks_reset(void);
/* Locks in the image's data are forgotten: another image may be loaded there. */
void vf_locks_driver_gone(const char *driver);
