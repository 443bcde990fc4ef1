/*
 * Operations: what the filter manager knows of one while it goes through the filters.
 *
 * Pre-operations are called from the top to the bottom, post-operations from the bottom to the top;
 * a node is one filter's part. What a node's state may be, and who moves it on:
 *
 *     None
 *     InPre       its pre-operation runs           -> Pended, Below, None by the thread that calls
 *                                                  -> PreEarly by who completes it before it
 * returned PrePended   FLT_PREOP_PENDING was returned   -> by FltCompletePendedPreOperation Below
 * the operation is further down    -> InPost by who completes it
 *                                                  -> Draining by who tears the instance down
 *     InPost      its post-operation runs          -> None, PostPended; PostEarly
 *     PostPended                                   -> by FltCompletePendedPostOperation
 *     Draining    its post-operation runs with FLTFL_POST_OPERATION_DRAINING
 *                                                  -> None; Overtaken: the operation went by
 *
 * A state is stored together with the instance, so that who looks for an instance's operations may
 * look at any memory that was ever an operation: their memory stays theirs until the host stops.
 *
 * A runner is a thread that will call post-operations itself (FLT_PREOP_SYNCHRONIZE, and all of
 * IRP_MJ_CREATE): completion hands the operation over to it where it comes to such a node.
 *
 * WDK: "Writing Preoperation Callback Routines", "Writing Postoperation Callback Routines".
 */
#pragma once
#include "flt.h"
#include "../io/irp.h"

enum flt_node_state {
    NodeNone,
    NodeInPre,
    NodePreEarly,
    NodePrePended,
    NodeBelow,
    NodeBelowSync,
    NodeInPost,
    NodePostEarly,
    NodePostPended,
    NodeDraining,
    NodeOvertaken
};
#define FLT_STATE(instance, state) ((uintptr_t)(instance) | (state))
#define FLT_STATE_OF(word)         ((word) & 15)

struct flt_runner {
    KEVENT event;
    unsigned nodes; /* that wait for it */
    unsigned at;    /* where it goes on */
};

struct flt_node {
    _Atomic uintptr_t state;
    PVOID context;                   /* of the completion */
    struct flt_runner *runner;       /* NULL: whoever completes it */
    bool dirty;                      /* the filter changed parameters: `saved` are those of above */
    bool swapped, retained;          /* among them a buffer of the IRP's; its MDL is the filter's */
    FLT_PREOP_CALLBACK_STATUS early; /* with NodePreEarly */
    PMDL swapped_mdl;
    FLT_IO_PARAMETER_BLOCK saved;
};

enum flt_op_kind { FltOpIrp, FltOpGenerated, FltOpFastIo, FltOpFsFilter };

/* The memory that filters see. With the verifier it lies on pages of its own. */
struct flt_op_data {
    struct flt_op *op;
    FLT_CALLBACK_DATA data;
    FLT_IO_PARAMETER_BLOCK iopb;
};

struct flt_op {
    struct flt_op *next; /* free */
    atomic_long holds;
    enum flt_op_kind kind;
    unsigned table; /* flt_kind() of its major function when it began */
    PFLT_VOLUME volume;
    struct flt_view *view;
    struct flt_list list;  /* of the view */
    unsigned first, depth; /* nodes first .. depth - 1 have been visited */
    unsigned current;      /* whose callback runs, or is pended */
    struct flt_op_data *memory, own;
    PIRP irp; /* of IRP operations and generated ones */
    bool own_irp;
    bool marked;    /* the IRP is marked pending: dispatch returns STATUS_PENDING */
    bool dirty;     /* the parameters are not those of the IRP any more */
    bool completes; /* it needs a completion routine */
    bool in_post, ended;
    bool generated;             /* a filter's: GENERATED_IO */
    int rename;                 /* a change of names is under way; enum flt_rename */
    struct flt_stream *renamed; /* whose; NULL: a folder */
    struct flt_name *created;   /* a create's normalized name, if it will be the file's; names.c */
    long created_renames;       /* volume->all_renames before it was made */
    NTSTATUS outcome;           /* once ended */
    /* The bottom of fast I/O and FsFilter operations. */
    void (*bottom)(struct flt_op *op);
    /* A generated one has ended. */
    void (*finish)(struct flt_op *op);
    void *finish_context;
    PFLT_INSTANCE initiator; /* of a generated one, held */
    atomic_int done;
    KEVENT event;
    /* queues, work items and cancellation */
    PFLT_COMPLETE_CANCELED_CALLBACK cancelled;
    PFLT_CALLBACK_DATA_QUEUE queue;
    PFLT_CALLBACK_DATA_QUEUE_IO_CONTEXT queue_context;
    PFLT_COMPLETED_ASYNC_IO_CALLBACK async;
    PVOID async_context;
    PMDL own_mdl;  /* of a generated one: the caller's, not to be freed */
    PMDL made_mdl; /* which the filter manager made for it */
    struct flt_node nodes[FLT_MAX_INSTANCES];
};

static inline PFLT_CALLBACK_DATA flt_data(struct flt_op *op)
{
    return &op->memory->data;
}
static inline PFLT_IO_PARAMETER_BLOCK flt_iopb(struct flt_op *op)
{
    return &op->memory->iopb;
}

/* op.c: zeroed but for the nodes; one hold. NULL: no memory. */
struct flt_op *flt_op_allocate(PFLT_VOLUME volume, enum flt_op_kind kind);
void flt_op_hold(struct flt_op *op);
void flt_op_release(struct flt_op *op);
/* A driver's callback data; exits with a violation if it is none, or its operation has ended. */
struct flt_op *flt_op_of(PFLT_CALLBACK_DATA data, const char *function);
/* The data is not to be used any more; with the verifier it becomes inaccessible. */
void flt_op_retire_data(struct flt_op *op);
/* Calls the post-operations of an instance whose operations are still below, draining. */
void flt_op_drain(PFLT_INSTANCE instance);
void flt_op_start(void);
void flt_op_stop(void);

/* Sets up view and list; `below` as in flt_view_below. The major function is in the iopb. */
void flt_op_bind(struct flt_op *op, PFLT_INSTANCE below);
/* To the end or until it is pended. IRPs: what the dispatch routine returns. Others: the status. */
NTSTATUS flt_run(struct flt_op *op);
/* Straight to the bottom, past all filters. */
NTSTATUS flt_run_bottom(struct flt_op *op);

/* pre.c */
enum flt_verdict { FltSend, FltComplete, FltPended };
enum flt_verdict flt_pre(struct flt_op *op, unsigned at, struct flt_runner *runner);
/* What the pre-operation of node `op->current` said, by return or by completion. */
enum flt_verdict flt_pre_said(struct flt_op *op, FLT_PREOP_CALLBACK_STATUS status,
                              struct flt_runner *runner);

/* post.c: from node at - 1 upwards. */
enum flt_post_end { FltPostDone, FltPostHanded, FltPostPended };
enum flt_post_end flt_post(struct flt_op *op, unsigned at, struct flt_runner *runner);
/* All post-operations have been called: the operation ends. */
NTSTATUS flt_finish(struct flt_op *op);
/* Goes on where `verdict` says, in this thread. */
NTSTATUS flt_proceed(struct flt_op *op, enum flt_verdict verdict, struct flt_runner *runner);

/* params.c */
void flt_params_from_irp(struct flt_op *op);
void flt_params_to_irp(struct flt_op *op, PIO_STACK_LOCATION stack);
/* Buffer and MDL among an operation's parameters: where they are, NULL: there are none. */
struct flt_buffer {
    PVOID *buffer;
    PMDL *mdl;     /* NULL: no MDL goes with it */
    PULONG length; /* NULL: not among the parameters */
    LOCK_OPERATION access;
};
bool flt_params_buffer(PFLT_IO_PARAMETER_BLOCK iopb, struct flt_buffer *out);

/* buffers.c: a filter that changes a buffer, and the way back. */
void flt_swap_note(struct flt_op *op, struct flt_node *node);
void flt_swap_undo(struct flt_op *op, struct flt_node *node);
void flt_swap_release(struct flt_node *node); /* after its post-operation */

/* irp.c */
NTSTATUS flt_send(struct flt_op *op, struct flt_runner *runner);
PDRIVER_DISPATCH flt_dispatch_routine(void);
/* An IRP for a generated operation, out of its iopb. */
bool flt_make_irp(struct flt_op *op);
/* name_change.c: operations after which names are others. They are followed on every volume,
 * always: a name that is asked for meanwhile must not be kept. */
bool flt_is_rename(FILE_INFORMATION_CLASS what);
void flt_names_before(struct flt_op *op);
void flt_names_changed(struct flt_op *op);
void flt_names_after(struct flt_op *op);

/* fastio.c */
PFAST_IO_DISPATCH flt_fast_io_table(void);
