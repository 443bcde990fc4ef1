/*
 * The Kernel-Mode Driver Framework, as far as non-PnP drivers with control devices need it, written
 * on WDM calls alone. WDK: "Using Control Device Objects", "Framework Objects".
 *
 * Objects. A handle is the complement of its object's address, so that a driver that takes it for a
 * pointer faults at once. Each object has a parent (the driver has none), which it keeps in memory
 * and whose deletion deletes it. References keep memory, not life: deletion happens once, in this
 * order: children, activity stopped (Dispose), EvtCleanup, and, with the last reference,
 * EvtDestroy and the memory.
 *
 * Locks. FX_OBJECT.Lock guards an object's children and state; of two, a child's is taken under its
 * parent's. FX_QUEUE.QueueLock guards a queue and the requests on it. Neither is held while the
 * driver is called, and QueueLock is taken before no other.
 */
#pragma once

#include <ntddk.h>

#include <wdf.h>
#include <wdfldr.h>

#include "platform.h"

#define FX_TAG           'xFdW'
#define FX_OBJECT_ALIVE  0x4f786657u /* "WfxO" */
#define FX_OBJECT_DEAD   0x64786657u
#define FX_CONTEXT_ALIVE 0x43786657u
#define FX_QUARANTINE    64

typedef struct FX_OBJECT FX_OBJECT;
typedef struct FX_DRIVER FX_DRIVER;
typedef struct FX_DEVICE FX_DEVICE;
typedef struct FX_QUEUE FX_QUEUE;
typedef struct FX_REQUEST FX_REQUEST;
typedef struct FX_FILE FX_FILE;

/* One bound driver. */
typedef struct FX_GLOBALS {
    WDF_DRIVER_GLOBALS Public; /* the driver's view: first */
    PDRIVER_OBJECT DriverObject;
    FX_DRIVER *Driver;
    KSPIN_LOCK Lock;
    ULONG Objects;                        /* alive, or referenced after deletion */
    LIST_ENTRY Live;                      /* FX_OBJECT.LiveLink, for the leak report */
    FX_OBJECT *Quarantine[FX_QUARANTINE]; /* the last ones destroyed: use after free is named */
    ULONG QuarantineNext;
    LIST_ENTRY Deferred; /* FX_OBJECT.DeferLink: to be disposed of at PASSIVE_LEVEL */
    struct FX_ERRAND *DeferredErrand;
} FX_GLOBALS;

typedef struct FX_CONTEXT {
    ULONG Signature;
    struct FX_CONTEXT *Next;
    FX_OBJECT *Object;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO Type;
    PFN_WDF_OBJECT_CONTEXT_CLEANUP EvtCleanup;
    PFN_WDF_OBJECT_CONTEXT_DESTROY EvtDestroy;
    DECLSPEC_ALIGN(16) UCHAR Data[];
} FX_CONTEXT;

typedef struct FX_CLASS {
    PCSTR Name; /* "WDFTIMER" */
    SIZE_T Size;
    BOOLEAN DriverDeletes;  /* WdfObjectDelete is allowed */
    BOOLEAN PassiveDispose; /* Dispose and EvtCleanup only at PASSIVE_LEVEL */
    VOID (*Dispose)(FX_OBJECT *Object);
    VOID (*Destroy)(FX_OBJECT *Object);
} FX_CLASS;

extern const FX_CLASS FxObjectClass, FxDriverClass, FxDeviceClass, FxQueueClass, FxRequestClass,
    FxFileClass, FxMemoryClass, FxLookasideClass, FxTimerClass, FxDpcClass, FxWorkItemClass,
    FxSpinLockClass, FxWaitLockClass, FxCollectionClass, FxStringClass, FxKeyClass;

typedef enum FX_STATE { FxAlive, FxDisposing, FxDisposed } FX_STATE;

struct FX_OBJECT {
    ULONG Signature;
    FX_STATE State;
    const FX_CLASS *Class;
    FX_GLOBALS *Globals;
    volatile LONG References;
    BOOLEAN PassiveDispose; /* its own, or a child's */
    BOOLEAN Published;      /* known to its parent: callbacks happen */
    KSPIN_LOCK Lock;
    FX_OBJECT *Parent;
    LIST_ENTRY Children, Sibling;
    FX_CONTEXT *Contexts, **LastContext; /* grows only */
    LIST_ENTRY LiveLink, DeferLink;
};

/* Serializes callbacks: WDK "Using Automatic Synchronization". Recursive. */
typedef struct FX_CALLBACK_LOCK {
    BOOLEAN Passive; /* waits; else raises to DISPATCH_LEVEL */
    KSPIN_LOCK Spin;
    KEVENT Free;
    PKTHREAD Owner;
    ULONG Depth;
    KIRQL Irql;
} FX_CALLBACK_LOCK;

struct FX_DRIVER {
    FX_OBJECT Object;
    PFN_WDF_DRIVER_UNLOAD EvtUnload;
    UNICODE_STRING RegistryPath;
    WDF_EXECUTION_LEVEL Level;
    WDF_SYNCHRONIZATION_SCOPE Scope;
};

#define FX_MAJOR_FUNCTIONS (IRP_MJ_MAXIMUM_FUNCTION + 1)

/* Also what WDFDEVICE_INIT collects. */
typedef struct FX_DEVICE_CONFIG {
    UNICODE_STRING Name, Sddl;
    DEVICE_TYPE Type;
    ULONG Characteristics;
    BOOLEAN Exclusive;
    WDF_DEVICE_IO_TYPE ReadWriteIo;
    WDF_FILEOBJECT_CONFIG File;
    WDF_OBJECT_ATTRIBUTES FileAttributes, RequestAttributes;
    PFN_WDF_IO_IN_CALLER_CONTEXT EvtInCallerContext;
    PFN_WDFDEVICE_WDM_IRP_PREPROCESS Preprocess[FX_MAJOR_FUNCTIONS];
    UCHAR *PreprocessMinors[FX_MAJOR_FUNCTIONS]; /* NULL: all */
    ULONG PreprocessMinorCount[FX_MAJOR_FUNCTIONS];
} FX_DEVICE_CONFIG;

struct WDFDEVICE_INIT {
    FX_DRIVER *Driver;
    FX_DEVICE_CONFIG Config;
};

struct FX_DEVICE {
    FX_OBJECT Object;
    FX_DEVICE_CONFIG Config;
    PDEVICE_OBJECT DeviceObject;
    UNICODE_STRING Link;
    BOOLEAN Finished;      /* WdfControlFinishInitializing */
    BOOLEAN DeletePending; /* under Object.Lock, as is OpenFiles */
    ULONG OpenFiles;       /* creates under way and files not yet closed */
    WDF_EXECUTION_LEVEL Level;
    WDF_SYNCHRONIZATION_SCOPE Scope;
    FX_CALLBACK_LOCK CallbackLock;
    FX_QUEUE *DefaultQueue;
    FX_QUEUE *Queues[FX_MAJOR_FUNCTIONS]; /* WdfDeviceConfigureRequestDispatching */
    LIST_ENTRY QueueList, FileList;       /* under Object.Lock */
};

/* The WDM device object's extension. */
typedef struct FX_DEVICE_EXTENSION {
    ULONG Signature;
    FX_DEVICE *Device;
} FX_DEVICE_EXTENSION;

struct FX_FILE {
    FX_OBJECT Object;
    FX_DEVICE *Device;
    PFILE_OBJECT FileObject;
    LIST_ENTRY DeviceLink;
    ULONG ProcessId;
};

/* A thread that is handing out a queue's requests: a frame of its stack. */
typedef struct FX_DISPATCHER {
    LIST_ENTRY Link;
    PKTHREAD Thread;
} FX_DISPATCHER;

typedef struct FX_WATCHER {
    LIST_ENTRY Link;
    KEVENT Changed;
} FX_WATCHER;

struct FX_QUEUE {
    FX_OBJECT Object;
    FX_DEVICE *Device;
    LIST_ENTRY DeviceLink;
    WDF_IO_QUEUE_CONFIG Config;
    WDF_EXECUTION_LEVEL Level;
    FX_CALLBACK_LOCK OwnCallbackLock, *CallbackLock; /* NULL: callbacks run at once */

    KSPIN_LOCK QueueLock;
    BOOLEAN Accepting, Dispatching, Disposing;
    LIST_ENTRY Waiting; /* FX_REQUEST.QueueLink, in the queue's order */
    LIST_ENTRY Owned;   /* the driver's, of this queue */
    ULONG WaitingCount, OwnedCount;
    LIST_ENTRY Dispatchers; /* FX_DISPATCHER.Link */
    PFN_WDF_IO_QUEUE_STATE EvtReady;
    WDFOBJECT ReadyContext;
    BOOLEAN BecameReady;
    PFN_WDF_IO_QUEUE_STATE EvtIdle; /* stop: no request is the driver's */
    WDFOBJECT IdleContext;
    PFN_WDF_IO_QUEUE_STATE EvtEmpty; /* drain, purge: nor waits any */
    WDFOBJECT EmptyContext;
    LIST_ENTRY Canceled;      /* cancelled while waiting, to be shown to EvtIoCanceledOnQueue */
    LIST_ENTRY Watchers;      /* threads that wait for a change: FX_WATCHER.Link */
    struct FX_ERRAND *Errand; /* for passive callbacks that come up at DISPATCH_LEVEL */
};

typedef enum FX_OWNER {
    FxOwnerFramework, /* new; on its way */
    FxOwnerQueue,
    FxOwnerDriver,
    FxOwnerNone /* completed */
} FX_OWNER;

struct FX_REQUEST {
    FX_OBJECT Object;
    PIRP Irp;
    FX_DEVICE *Device;
    FX_FILE *File;
    FX_QUEUE *Queue; /* referenced */
    LIST_ENTRY QueueLink;
    FX_OWNER Owner;
    BOOLEAN Presented;        /* the driver has had it */
    volatile LONG Cancelable; /* FX_CANCEL_ */
    PFN_WDF_REQUEST_CANCEL EvtCancel;
    ULONG_PTR Information;
    struct FX_MEMORY *Input, *Output;
    PMDL InputMdl, OutputMdl; /* made for buffered requests */
};
/* A request's way through WdfRequestMarkCancelable. */
#define FX_CANCEL_NO      0
#define FX_CANCEL_MARKED  1
#define FX_CANCEL_CALLING 2 /* EvtRequestCancel is called, or was */

/* A system thread's errand. It holds a reference on its object while it is under way. */
typedef struct FX_ERRAND {
    PIO_WORKITEM Item;
    FX_OBJECT *Object;
    VOID (*Run)(FX_OBJECT *Object);
    KSPIN_LOCK Lock;
    BOOLEAN Queued, Again, Closed;
    PKTHREAD Running;
    KEVENT Idle; /* notification */
} FX_ERRAND;

typedef struct FX_MEMORY {
    FX_OBJECT Object;
    PVOID Buffer;
    SIZE_T Size;
    PVOID Allocation; /* NULL: not ours */
    struct FX_LOOKASIDE *Lookaside;
    BOOLEAN ReadOnly;
} FX_MEMORY;

/* object.c: lifetime */
FX_OBJECT *FxObjectFrom(PCSTR Function, PVOID Handle, const FX_CLASS *Class);
#define FX_API(Type, Name)                Type NTAPI Fx##Name
#define FX_OBJECT_OF(Handle, Type, Class) ((Type *)FxObjectFrom(__func__, (Handle), &(Class)))
#define FX_ANY_OBJECT(Handle)             FxObjectFrom(__func__, (Handle), NULL)
#define FX_HANDLE(Object)                 ((PVOID) ~(ULONG_PTR)(Object))
/* Checks attributes, allocates object and context; References 1, unknown to anyone. The parent is
 * Attributes->ParentObject or else Parent. */
NTSTATUS FxObjectAllocate(FX_GLOBALS *Globals, const FX_CLASS *Class,
                          _In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes, _In_opt_ FX_OBJECT *Parent,
                          _Out_ FX_OBJECT **Object);
/* Links it to its parent; from now on callbacks happen. Fails if the parent is being deleted. */
NTSTATUS FxObjectPublish(FX_OBJECT *Object, _In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes);
/* Of an object that was not published: no callbacks. */
VOID FxObjectDiscard(FX_OBJECT *Object);
/* Deletes; FALSE if that has been done. Deferred to PASSIVE_LEVEL where the class says so. */
BOOLEAN FxObjectDelete(FX_OBJECT *Object);
VOID FxObjectReference(FX_OBJECT *Object);
VOID FxObjectDereference(FX_OBJECT *Object);
NTSTATUS FxAttributesCheck(_In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes);
FX_CONTEXT *FxContextFind(FX_OBJECT *Object, PCWDF_OBJECT_CONTEXT_TYPE_INFO Type);
NTSTATUS FxContextAdd(FX_OBJECT *Object, PWDF_OBJECT_ATTRIBUTES Attributes, _Out_ PVOID *Data);
/* The nearest parent of that class, itself included, or NULL. */
FX_OBJECT *FxObjectAncestor(FX_OBJECT *Object, const FX_CLASS *Class);
NTSTATUS FxDeferredCreate(FX_GLOBALS *Globals, FX_OBJECT *Driver);
VOID FxDeferredFlush(FX_GLOBALS *Globals);
ULONG FxTag(const FX_GLOBALS *Globals);
NTSTATUS FxStringDuplicate(_Out_ PUNICODE_STRING To, _In_opt_ PCUNICODE_STRING From);
VOID FxStringFree(_Inout_ PUNICODE_STRING String);
NTSTATUS FxStringAssign(FX_OBJECT *String, PCUNICODE_STRING Text); /* of a WDFSTRING */
FORCEINLINE FX_GLOBALS *FxGlobals(PWDF_DRIVER_GLOBALS DriverGlobals)
{
    return (FX_GLOBALS *)DriverGlobals;
}

/* callback.c: automatic synchronization */
VOID FxCallbackLockInitialize(_Out_ FX_CALLBACK_LOCK *Lock, BOOLEAN Passive);
VOID FxCallbackLockAcquire(_Inout_opt_ FX_CALLBACK_LOCK *Lock);
VOID FxCallbackLockRelease(_Inout_opt_ FX_CALLBACK_LOCK *Lock);
/* What Attributes say, or the parent if they inherit. */
VOID FxCallbackInherit(_In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes, WDF_EXECUTION_LEVEL ParentLevel,
                       WDF_SYNCHRONIZATION_SCOPE ParentScope, _Out_ WDF_EXECUTION_LEVEL *Level,
                       _Out_ WDF_SYNCHRONIZATION_SCOPE *Scope);
/* The lock that serializes with callbacks of `Parent` (a device, a queue or below one). */
NTSTATUS FxCallbackParentLock(FX_OBJECT *Parent, _Out_ FX_CALLBACK_LOCK **Lock,
                              _Out_ FX_DEVICE **Device);

/* errand.c. Begin coalesces: FALSE if it is queued already (one that runs is run once more).
 * Finish waits, except for the caller itself, and lets no more begin. */
NTSTATUS FxErrandCreate(FX_OBJECT *Object, VOID (*Run)(FX_OBJECT *), _Out_ FX_ERRAND **Errand);
BOOLEAN FxErrandBegin(FX_ERRAND *Errand);
VOID FxErrandFlush(FX_ERRAND *Errand);
VOID FxErrandFinish(FX_ERRAND *Errand);
VOID FxErrandFree(_In_opt_ FX_ERRAND *Errand);

/* driver.c, device.c, dispatch.c, file.c */
VOID FxDriverTearDown(FX_GLOBALS *Globals);
DRIVER_DISPATCH FxDispatch;
NTSTATUS FxDispatchIrp(FX_DEVICE *Device, PIRP Irp);
VOID FxDeviceInitRelease(PWDFDEVICE_INIT Init);
VOID FxDeviceConfigFree(FX_DEVICE_CONFIG *Config);
/* At once, or when the last file is closed. */
VOID FxDeviceDelete(FX_DEVICE *Device);
/* One open file less; the last one of a deleted device lets it go. */
VOID FxDeviceFileClosed(FX_DEVICE *Device);
NTSTATUS FxFileCreate(FX_DEVICE *Device, PFILE_OBJECT FileObject, _Out_ FX_FILE **File);
FX_FILE *FxFileFind(FX_DEVICE *Device, _In_opt_ PFILE_OBJECT FileObject);
VOID FxFileForget(FX_FILE *File);

/* queue.c, queue_state.c: a queue and its requests */
VOID FxQueueInsert(FX_QUEUE *Queue, FX_REQUEST *Request); /* of a new request */
VOID FxQueueDispatch(FX_QUEUE *Queue);
/* The driver has no longer this request of the queue's. */
VOID FxQueueReleaseOwned(FX_QUEUE *Queue);
VOID FxQueueCancelFile(FX_QUEUE *Queue, PFILE_OBJECT FileObject);
VOID FxQueueCancelWaiting(FX_QUEUE *Queue);
VOID FxQueueStop(FX_QUEUE *Queue);
BOOLEAN FxQueueEvents(FX_QUEUE *Queue, KIRQL *Irql);
/* Out of the queue, unless it is being cancelled. QueueLock is held. */
BOOLEAN FxQueueTake(FX_QUEUE *Queue, FX_REQUEST *Request);
VOID FxQueueGive(FX_QUEUE *Queue, FX_REQUEST *Request);
/* Puts it last (or first) and makes it cancelable; FALSE: it was cancelled, and is the caller's. */
BOOLEAN FxQueuePut(FX_QUEUE *Queue, FX_REQUEST *Request, BOOLEAN First);

/* request.c, cancel.c */
NTSTATUS FxRequestCreateFor(FX_DEVICE *Device, PIRP Irp, _In_opt_ FX_FILE *File,
                            _Out_ FX_REQUEST **Request);
VOID FxRequestFinish(FX_REQUEST *Request, NTSTATUS Status, ULONG_PTR Information, CCHAR Boost);
/* A request that the driver may act on now. */
FX_REQUEST *FxRequestOwned(PCSTR Function, WDFREQUEST Handle);
VOID FxRequestParameters(const FX_REQUEST *Request, PWDF_REQUEST_PARAMETERS Parameters);
WDF_REQUEST_TYPE FxRequestType(const FX_REQUEST *Request);
VOID FxRequestReleaseBuffers(FX_REQUEST *Request);
VOID FxRequestCallCancel(FX_REQUEST *Request);
/* TRUE: the caller has taken the right to complete it from its cancel routine. */
BOOLEAN FxRequestTakeCancel(FX_REQUEST *Request);
FORCEINLINE PIO_STACK_LOCATION FxStack(const FX_REQUEST *Request)
{
    return IoGetCurrentIrpStackLocation(Request->Irp);
}

/* bind.c: WdfVersionBind and WdfVersionUnbind */
NTSTATUS NTAPI FxVersionBind(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath,
                             PWDF_BIND_INFO BindInfo, PWDF_COMPONENT_GLOBALS *ComponentGlobals);
NTSTATUS NTAPI FxVersionUnbind(PUNICODE_STRING RegistryPath, PWDF_BIND_INFO BindInfo,
                               PWDF_COMPONENT_GLOBALS ComponentGlobals);

/* table.c */
extern const WDFFUNC FxFunctionTable[WdfFunctionTableNumEntries];
