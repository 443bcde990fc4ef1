/* The driver host as a library: start it, load drivers into it, stop it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum nt_scheduler { NT_REALTIME, NT_DETERMINISTIC };

struct nt_options {
    enum nt_scheduler scheduler;
    uint64_t seed;       /* deterministic: of every choice */
    unsigned processors; /* virtual processors, 1 .. 64; 0: as many as the machine has, at most 4 */
    const char *state_dir; /* registry and driver store; NULL: memory only */
    bool verifier;         /* all rules */
    bool special_pool;     /* every pool allocation ends at a guard page */
};

/* Both on the caller's thread, which becomes an attached thread at PASSIVE_LEVEL.
 * nt_stop() unloads what is still loaded and, with the verifier, reports what leaked. */
void nt_start(const struct nt_options *options);
void nt_stop(void);

/* The system is about to stop: IRP_MJ_SHUTDOWN to all devices that want it. nt_stop() does the same
 * where it was not done. */
void nt_shutdown(void);
