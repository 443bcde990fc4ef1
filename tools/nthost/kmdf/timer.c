/*
 * Timers. WDK: wdftimer.h, "Using Timers".
 *
 * A timer's DPC calls the driver, or, where callbacks are to be passive, begins an errand that
 * does. Stopping with a wait, and deletion, wait for both.
 */
#include "api.h"

typedef struct FX_TIMER {
    FX_OBJECT Object;
    WDF_TIMER_CONFIG Config;
    FX_CALLBACK_LOCK *CallbackLock;
    KTIMER Timer;
    KDPC Dpc;
    PEX_TIMER High;    /* instead of Timer and Dpc */
    FX_ERRAND *Errand; /* passive callbacks */
    KSPIN_LOCK Lock;
    BOOLEAN Disposed;
    PKTHREAD Calling;
} FX_TIMER;

static void TimerDispose(FX_OBJECT *Object);
static void TimerDestroy(FX_OBJECT *Object);
static KDEFERRED_ROUTINE TimerDpc;
static EXT_CALLBACK HighTimer;

const FX_CLASS FxTimerClass = {"WDFTIMER", sizeof(FX_TIMER), TRUE,
                               TRUE,       TimerDispose,     TimerDestroy};

static void CallDriver(FX_OBJECT *Object)
{
    FX_TIMER *timer = (FX_TIMER *)Object;

    FxCallbackLockAcquire(timer->CallbackLock);
    timer->Calling = KeGetCurrentThread();
    FX_CALL("EvtTimerFunc", timer->Config.EvtTimerFunc(FX_HANDLE(timer)));
    timer->Calling = NULL;
    FxCallbackLockRelease(timer->CallbackLock);
}

static void Expired(FX_TIMER *Timer)
{
    if (Timer->Errand != NULL)
        FxErrandBegin(Timer->Errand);
    else
        CallDriver(&Timer->Object);
}

static VOID TimerDpc(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    Expired(Context);
}

static VOID HighTimer(PEX_TIMER Timer, PVOID Context)
{
    UNREFERENCED_PARAMETER(Timer);
    Expired(Context);
}

static BOOLEAN Cancel(FX_TIMER *Timer)
{
    return Timer->High != NULL ? ExCancelTimer(Timer->High, NULL) : KeCancelTimer(&Timer->Timer);
}

/* Until no callback runs that was due before. */
static void WaitForCallback(FX_TIMER *Timer)
{
    if (Timer->Calling == KeGetCurrentThread())
        return;
    KeFlushQueuedDpcs();
    if (Timer->Errand != NULL)
        FxErrandFlush(Timer->Errand);
}

static void TimerDispose(FX_OBJECT *Object)
{
    FX_TIMER *timer = (FX_TIMER *)Object;
    KIRQL irql;

    KeAcquireSpinLock(&timer->Lock, &irql);
    timer->Disposed = TRUE; /* no start from now on */
    KeReleaseSpinLock(&timer->Lock, irql);
    if (timer->High != NULL)
        ExDeleteTimer(timer->High, TRUE, TRUE, NULL); /* waits for its callback */
    else
        Cancel(timer);
    timer->High = NULL;
    WaitForCallback(timer);
    if (timer->Errand != NULL)
        FxErrandFinish(timer->Errand);
}

static void TimerDestroy(FX_OBJECT *Object)
{
    FX_TIMER *timer = (FX_TIMER *)Object;

    if (timer->High != NULL) /* never published */
        ExDeleteTimer(timer->High, TRUE, FALSE, NULL);
    FxErrandFree(timer->Errand);
}

FX_API(NTSTATUS, WdfTimerCreate)(PWDF_DRIVER_GLOBALS DriverGlobals, PWDF_TIMER_CONFIG Config,
                                 PWDF_OBJECT_ATTRIBUTES Attributes, WDFTIMER *Timer)
{
    FX_OBJECT *object, *parent;
    FX_CALLBACK_LOCK *lock;
    FX_DEVICE *device;
    FX_TIMER *timer;
    NTSTATUS status;
    BOOLEAN passive;

    FX_ENTER(DISPATCH_LEVEL);
    *Timer = NULL;
    if (Config->Size != sizeof(*Config))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Config->EvtTimerFunc == NULL ||
        (Config->UseHighResolutionTimer && Config->TolerableDelay != 0))
        return STATUS_INVALID_PARAMETER;
    status = FxAttributesCheck(Attributes);
    if (!NT_SUCCESS(status))
        return status;
    if (Attributes == NULL || Attributes->ParentObject == NULL)
        return STATUS_WDF_PARENT_NOT_SPECIFIED;
    parent = FxObjectFrom(__func__, Attributes->ParentObject, NULL);
    status = FxCallbackParentLock(parent, &lock, &device);
    if (!NT_SUCCESS(status))
        return status;
    passive = Attributes->ExecutionLevel == WdfExecutionLevelPassive;
    /* A DPC cannot take a lock that waits. */
    if (Config->AutomaticSerialization && lock != NULL && lock->Passive && !passive)
        return STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;
    if (passive && Config->AutomaticSerialization && lock != NULL && !lock->Passive)
        return STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;

    status = FxObjectAllocate(FxGlobals(DriverGlobals), &FxTimerClass, Attributes, NULL, &object);
    if (!NT_SUCCESS(status))
        return status;
    timer = (FX_TIMER *)object;
    timer->Config = *Config;
    timer->CallbackLock = Config->AutomaticSerialization ? lock : NULL;
    KeInitializeSpinLock(&timer->Lock);
    KeInitializeTimerEx(&timer->Timer, NotificationTimer);
    KeInitializeDpc(&timer->Dpc, TimerDpc, timer);
    if (Config->UseHighResolutionTimer) {
        timer->High = ExAllocateTimer(HighTimer, timer, EX_TIMER_HIGH_RESOLUTION);
        if (timer->High == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
    }
    if (NT_SUCCESS(status) && passive)
        status = FxErrandCreate(object, CallDriver, &timer->Errand);
    if (NT_SUCCESS(status))
        status = FxObjectPublish(object, Attributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    *Timer = FX_HANDLE(timer);
    return STATUS_SUCCESS;
}

FX_API(BOOLEAN, WdfTimerStart)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFTIMER Timer, LONGLONG DueTime)
{
    BOOLEAN queued = FALSE;
    LARGE_INTEGER due;
    FX_TIMER *timer;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    timer = FX_OBJECT_OF(Timer, FX_TIMER, FxTimerClass);
    if (timer->High != NULL && DueTime > 0)
        FxViolation(FxRuleBadParameter,
                    "WdfTimerStart: a high-resolution timer has no absolute due time");
    due.QuadPart = DueTime;
    KeAcquireSpinLock(&timer->Lock, &irql);
    if (!timer->Disposed)
        queued =
            timer->High != NULL
                ? ExSetTimer(timer->High, DueTime, (LONGLONG)timer->Config.Period * 10000, NULL)
                : KeSetCoalescableTimer(&timer->Timer, due, timer->Config.Period,
                                        timer->Config.TolerableDelay, &timer->Dpc);
    KeReleaseSpinLock(&timer->Lock, irql);
    return queued;
}

FX_API(BOOLEAN, WdfTimerStop)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFTIMER Timer, BOOLEAN Wait)
{
    BOOLEAN queued;
    FX_TIMER *timer;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(Wait ? PASSIVE_LEVEL : DISPATCH_LEVEL);
    timer = FX_OBJECT_OF(Timer, FX_TIMER, FxTimerClass);
    queued = Cancel(timer);
    if (Wait)
        WaitForCallback(timer);
    return queued;
}

FX_API(WDFOBJECT, WdfTimerGetParentObject)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFTIMER Timer)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_HANDLE(FX_OBJECT_OF(Timer, FX_TIMER, FxTimerClass)->Object.Parent);
}
