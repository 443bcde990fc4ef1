/*
 * I/O request packets, from the side of the I/O manager.
 *
 * Each IRP that the host allocates has a packet, which outlives it: who made it, how it ends, and,
 * with the verifier, what has become of it. With the verifier an IRP lies against a guard page, and
 * its own page becomes inaccessible when it is freed, until many others have been.
 */
#pragma once
#include "process.h"
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdatomic.h>

#define IRP_IS_HOSTS 0x80 /* in AllocationFlags: a packet pointer lies before the IRP */

/* One call of a dispatch routine, until it has returned and its location has completed. */
struct irp_visit {
    struct irp_visit *next;
    CHAR location;
    UCHAR major;
    bool completed, pending;
    bool returned; /* with STATUS_PENDING, before the location completed */
    NTSTATUS status;
    PDRIVER_OBJECT driver;
};

struct irp_packet {
    _Atomic int references;
    PIRP irp;
    USHORT bytes;
    bool freed;                /* under the packet table's lock */
    struct _EPROCESS *process; /* referenced; whose request it is */
    char driver[32];           /* who allocated it; "" the host */
    const void *freed_by;      /* the caller that completed or freed it */
    /* Called when all locations have completed: the I/O manager's own end of it. NULL: the IRP is
     * a driver's, which takes it back in a completion routine. */
    void (*finish)(struct irp_packet *packet, PIRP irp);
    void *finish_context;
    ULONG output_bytes; /* room at UserBuffer */

    pthread_mutex_t mutex; /* the visits, and the IRP's memory while they are looked at */
    struct irp_visit *visits;

    struct irp_packet *hash_next, *quarantine_next;
    void *region; /* verifier: the IRP's own pages */
    size_t region_bytes;
};

/* NULL: no memory. The caller owns the IRP; process is the current one. */
PIRP irp_allocate(CCHAR stack_size, struct irp_packet **packet);
void irp_free(PIRP irp, const void *caller);
void irp_initialize(PIRP irp, USHORT bytes, CCHAR stack_size);
/* Referenced; NULL: not one of the host's. Safe for an IRP that is long gone, with the verifier. */
struct irp_packet *irp_packet_of(PIRP irp);
void irp_packet_release(struct irp_packet *packet);

NTSTATUS irp_call(PDEVICE_OBJECT device, PIRP irp, const void *caller);
void irp_complete(PIRP irp, const void *caller);
bool irp_cancel(PIRP irp);

/*
 * Buffers (irp_build.c). They set up the next stack location, the system buffer or MDLs, and undo
 * everything on failure. irp_finish_buffers copies back what Windows would and frees them.
 */
NTSTATUS irp_build_ioctl(struct irp_packet *packet, UCHAR major, ULONG code, const void *input,
                         ULONG input_bytes, void *output, ULONG output_bytes);
NTSTATUS irp_build_transfer(struct irp_packet *packet, PDEVICE_OBJECT device, UCHAR major,
                            void *data, ULONG bytes, LONGLONG offset);
/* QUERY_INFORMATION, SET_INFORMATION: always through a system buffer. */
NTSTATUS irp_build_information(struct irp_packet *packet, UCHAR major, void *data, ULONG bytes,
                               FILE_INFORMATION_CLASS information_class);
void irp_finish_buffers(struct irp_packet *packet, PIRP irp);

/* Sends an IRP and waits for its end; frees it. IoStatus in *iosb. PASSIVE_LEVEL, driver context.
 */
NTSTATUS irp_send_and_wait(PDEVICE_OBJECT device, struct irp_packet *packet, PIO_STATUS_BLOCK iosb);

/* MDLs for the host itself: no fault injection. mdl.c */
PMDL mdl_create(void *address, ULONG bytes, bool locked, bool write);
void mdl_destroy(PMDL mdl);
void mdl_check_unload(const char *driver);

void workitem_start(void);

void irp_start(void);
void irp_stop(void);

/* Is the address inside a freed IRP? Then the text says which. Any context, for fault handlers. */
bool irp_explain_address(const void *address, char *text, size_t size);
