/*
 * File objects: what an open of a device is. The first handle's open sends IRP_MJ_CREATE, the last
 * handle's close IRP_MJ_CLEANUP, the last reference (requests hold one) IRP_MJ_CLOSE.
 */
#pragma once
#include "irp.h"

/* What another part of the host keeps with a file object (FileObjectExtension points to it): told
 * after IRP_MJ_CLOSE, or when the open failed. */
struct file_extension {
    void (*destroy)(PFILE_OBJECT file);
};

struct file_open {
    /* in */
    UNICODE_STRING path;  /* an NT path; not needed any more after file_open_send */
    PFILE_OBJECT root;    /* or NULL: `path` is relative to this directory */
    KPROCESSOR_MODE mode; /* UserMode: checked against the current process's token */
    ACCESS_MASK access;
    ULONG attributes, share, disposition, options;
    const void *ea; /* until it is concluded */
    ULONG ea_bytes;
    LONGLONG allocation;
    PSECURITY_DESCRIPTOR descriptor; /* of a new file; NULL: its default */
    UCHAR stack_flags;               /* SL_CASE_SENSITIVE, SL_OPEN_TARGET_DIRECTORY */
    /* The file object is made, its IRP_MJ_CREATE not sent yet; may be NULL. An error ends the open.
     */
    NTSTATUS (*made)(struct file_open *open);
    void *made_context;
    /* out */
    NTSTATUS status;
    ULONG_PTR information;
    ACCESS_MASK granted;
    PFILE_OBJECT file; /* on success, referenced */
    /* the request's own */
    ACCESS_STATE access_state;
    IO_SECURITY_CONTEXT security;
};

/* Makes the file object and its IRP_MJ_CREATE, for the caller to send with an end of its own, which
 * calls file_open_conclude; that frees the IRP. PASSIVE_LEVEL, driver context; `open` (but not its
 * path) must live until then. */
NTSTATUS file_open_prepare(struct file_open *open, PDEVICE_OBJECT *device,
                           struct irp_packet **packet);
void file_open_conclude(struct file_open *open, struct irp_packet *packet);
/* All of it, waiting. */
NTSTATUS file_open_wait(struct file_open *open);

/* A request on a file: stack location, process and mode; the file is referenced by its sender. */
PIRP file_request(PFILE_OBJECT file, KPROCESSOR_MODE mode, PDEVICE_OBJECT *device,
                  struct irp_packet **packet);
