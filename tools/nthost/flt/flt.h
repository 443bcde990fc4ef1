/*
 * The filter manager's inside: filters, volumes, instances.
 *
 *     volume    a device of the filter manager's, attached on top of a file system's device
 *     filter    a registered minifilter
 *     instance  a filter on a volume, at an altitude
 *
 * A volume has a view: which callbacks there are for each kind of operation, from the highest
 * altitude to the lowest. Views do not change; attaching and detaching replace them. An operation
 * (op.h) works with the view that was there when it began, and asks each instance's rundown before
 * it calls it: a closed one is passed over.
 *
 * Locks. flt_lock() guards the lists of filters, volumes and instances and what they say; it is a
 * host mutex and nothing is called under it, no export and nothing that changes the IRQL.
 * flt_gate_enter() orders attaching, detaching and unloading; drivers are called inside it, and the
 * same thread may enter again.
 */
#pragma once
#include <fltKernel.h>
#include "../ndis/rundown.h"
#include <nthost/export.h>
#include <nthost/flt.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define FLT_MAX_INSTANCES 32 /* on a volume */
#define FLT_MAX_NAME      256

/* Kinds of operations: the major functions of IRPs, then those that are none, by 0xFF - major. */
#define FLT_IRP_KINDS (IRP_MJ_MAXIMUM_FUNCTION + 1)
#define FLT_KINDS     (FLT_IRP_KINDS + FLT_INTERNAL_OPERATION_COUNT)
static inline unsigned flt_kind(UCHAR major)
{
    return major < FLT_IRP_KINDS ? major : FLT_IRP_KINDS + (0xffu - major);
}
static inline bool flt_is_major(UCHAR major)
{
    return major < FLT_IRP_KINDS || major > 0xff - FLT_INTERNAL_OPERATION_COUNT;
}

enum flt_object_type { FLT_TYPE_FILTER = 0x466c7446, FLT_TYPE_VOLUME, FLT_TYPE_INSTANCE };

/* What a PFLT_FILTER, PFLT_VOLUME and PFLT_INSTANCE begin with. */
struct flt_object {
    uint32_t type;
    atomic_long memory;     /* references that keep the memory only */
    atomic_long references; /* FltObjectReference and the like: for the verifier */
    struct rundown rundown; /* those, and callbacks that run or are pended */
};

struct flt_instance_definition {
    UNICODE_STRING name, altitude;
    ULONG flags; /* 1: no automatic attachment, 2: no manual one */
};

struct _FLT_FILTER {
    struct flt_object object;
    PDRIVER_OBJECT driver;
    UNICODE_STRING name; /* of the service */
    FLT_REGISTRATION registration;
    struct flt_operation {
        PFLT_PRE_OPERATION_CALLBACK pre;
        PFLT_POST_OPERATION_CALLBACK post;
        FLT_OPERATION_REGISTRATION_FLAGS flags;
        bool registered;
    } operations[FLT_KINDS];
    FLT_CONTEXT_REGISTRATION *contexts; /* with the FLT_CONTEXT_END */
    unsigned context_count;
    struct flt_instance_definition *definitions;
    unsigned definition_count, default_definition;
    bool started, unloading;
    LIST_ENTRY link;         /* flt_filters */
    LIST_ENTRY all_contexts; /* struct flt_context.of_filter, under the contexts' lock */
    LIST_ENTRY ports;
    atomic_long names; /* FLT_FILE_NAME_INFORMATIONs that it holds */
    char image[32];    /* as vf_owner() has it */
};

/* The pre- and post-operation of an instance for one kind. */
struct flt_callback {
    PFLT_INSTANCE instance;
    PFLT_PRE_OPERATION_CALLBACK pre;
    PFLT_POST_OPERATION_CALLBACK post;
    FLT_OPERATION_REGISTRATION_FLAGS flags;
    unsigned position; /* of the instance in the view */
};

struct flt_list {
    unsigned count;
    struct flt_callback *calls;
};

struct flt_view {
    atomic_long references;
    unsigned count;
    PFLT_INSTANCE instances[FLT_MAX_INSTANCES]; /* from the top */
    struct flt_list lists[FLT_KINDS];
    struct flt_callback calls[];
};

struct _FLT_INSTANCE {
    struct flt_object object;
    PFLT_FILTER filter;
    PFLT_VOLUME volume;
    UNICODE_STRING name, altitude;
    bool torn_down;         /* no new contexts; under the contexts' lock */
    bool detaching;         /* under flt_lock() */
    LIST_ENTRY contexts;    /* struct flt_context.of_instance */
    LIST_ENTRY own_context; /* the one that is set on it */
};

struct _FLT_VOLUME {
    struct flt_object object;
    PDEVICE_OBJECT device, below, file_system;
    UNICODE_STRING name;
    struct flt_view *_Atomic view;
    struct rundown entering;  /* threads that are about to reference the view */
    _Atomic uint64_t handled; /* a bit a kind: somebody has callbacks for it */
    unsigned count;
    PFLT_INSTANCE instances[FLT_MAX_INSTANCES]; /* from the top; under flt_lock() */
    LIST_ENTRY link;                            /* flt_volumes */
    LIST_ENTRY contexts;                        /* struct flt_context.in_holder */
    struct flt_names *names;                    /* of directories; name_cache.c */
    atomic_long renames;                        /* of directories: generation of cached names */
    atomic_long all_renames;                    /* of files, too */
    bool detaching;
};

extern PDRIVER_OBJECT flt_driver;
extern LIST_ENTRY flt_filters, flt_volumes;
void flt_lock(void);
void flt_unlock(void);
void flt_gate_enter(void);
void flt_gate_leave(void);

/* object.c */
void flt_object_init(struct flt_object *object, uint32_t type);
/* A reference that keeps the object from being torn down. False: it is being. */
bool flt_take(void *object);
void flt_drop(void *object);
void flt_hold(void *object); /* memory only */
void flt_release(void *object);
/* An object that was found and held under flt_lock(), for a driver: referenced, or why not. */
NTSTATUS flt_return(void *held, NTSTATUS missing, void **out);
/* Exits with a violation where a driver's pointer is none of the type. */
void flt_check(const void *object, uint32_t type, const char *function);
/* Waits until nothing refers to the object any more but memory. */
void flt_object_close(struct flt_object *object, const char *what, const char *driver);

/* text.c */
NTSTATUS flt_copy_name(UNICODE_STRING *to, PCUNICODE_STRING from);
void flt_free_name(UNICODE_STRING *name);
bool flt_same_name(PCUNICODE_STRING a, PCUNICODE_STRING b);
/* For FltGet...Name: STATUS_BUFFER_TOO_SMALL, *needed in bytes. */
NTSTATUS flt_return_name(PCUNICODE_STRING name, PUNICODE_STRING out, PULONG needed);
/* As numbers: "370030" < "370030.5" < "1000000". */
int flt_compare_altitudes(PCUNICODE_STRING a, PCUNICODE_STRING b);
bool flt_is_altitude(PCUNICODE_STRING text);

/* definitions.c: Instances or Parameters\Instances of the service's key. */
NTSTATUS flt_read_definitions(PFLT_FILTER filter);
void flt_free_definitions(PFLT_FILTER filter);
const struct flt_instance_definition *flt_definition(PFLT_FILTER filter, PCUNICODE_STRING name);

/* view.c */
NTSTATUS flt_view_replace(PFLT_VOLUME volume); /* out of volume->instances; in the gate */
void flt_view_forget(PFLT_VOLUME volume);
struct flt_view *flt_view_take(PFLT_VOLUME volume);
void flt_view_drop(struct flt_view *view);
/* The first callback of a list for an operation that starts below `instance` (NULL: at the top). */
unsigned flt_view_below(const struct flt_view *view, unsigned kind, PFLT_INSTANCE instance);

/* instance.c: all in the gate, at PASSIVE_LEVEL. */
NTSTATUS flt_instance_attach(PFLT_FILTER filter, PFLT_VOLUME volume,
                             const struct flt_instance_definition *definition,
                             PCUNICODE_STRING altitude, FLT_INSTANCE_SETUP_FLAGS flags,
                             PFLT_INSTANCE *out);
void flt_instance_detach(PFLT_INSTANCE instance, FLT_INSTANCE_TEARDOWN_FLAGS reason);
/* All automatic ones of a filter on a volume. */
void flt_attach_automatic(PFLT_FILTER filter, PFLT_VOLUME volume, FLT_INSTANCE_SETUP_FLAGS flags);
PFLT_INSTANCE flt_find_instance(PFLT_FILTER filter, PFLT_VOLUME volume, PCUNICODE_STRING name);
FLT_RELATED_OBJECTS flt_related(PFLT_INSTANCE instance, PFILE_OBJECT file);

/* volume.c */
PFLT_VOLUME flt_volume_of_device(PDEVICE_OBJECT device); /* any in its stack; flt_lock() is held */
static inline PFLT_VOLUME flt_volume_of(PDEVICE_OBJECT device)
{
    return *(PFLT_VOLUME *)device->DeviceExtension;
}

/* verify.c */
void flt_verify_start(void);
