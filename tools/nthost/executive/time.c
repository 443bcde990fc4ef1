/*
 * Time.
 *
 * WDK: KeQueryInterruptTimePrecise, KeQuerySystemTimePrecise, KeQueryUnbiasedInterruptTime,
 * KeQueryTimeIncrement, KeQueryPerformanceCounter, KeStallExecutionProcessor. Interrupt time is the
 * scheduler's clock; system time runs with it from the time of day at which the host started. The
 * performance counter counts 100 ns units of interrupt time, as where its source is the
 * hypervisor's. What is not "precise" changes at clock ticks.
 */
#include "dispatcher.h"
#include <time.h>

static uint64_t read_clock(void)
{
    if (__builtin_expect(sched_det, 0)) {
        sched->point(nt_self);
        sched->time_was_read(nt_self);
    }
    return sched->now();
}

ULONG64 NTAPI KeQueryInterruptTimePrecise(PULONG64 QpcTimeStamp)
{
    uint64_t now = read_clock();
    *QpcTimeStamp = now;
    return now;
}

ULONG64 NTAPI KeQueryUnbiasedInterruptTimePrecise(PULONG64 QpcTimeStamp)
{
    uint64_t now = read_clock();
    *QpcTimeStamp = now;
    return now;
}

ULONGLONG NTAPI KeQueryUnbiasedInterruptTime(VOID)
{
    return read_clock() / SCHED_TICK * SCHED_TICK;
}

VOID NTAPI KeQuerySystemTimePrecise(PLARGE_INTEGER CurrentTime)
{
    read_clock();
    CurrentTime->QuadPart = (LONGLONG)sched_system_time();
}

ULONG NTAPI KeQueryTimeIncrement(VOID)
{
    return SCHED_TICK;
}

ULONG NTAPI ExSetTimerResolution(ULONG DesiredTime, BOOLEAN SetResolution)
{
    VF_ENTRY(APC_LEVEL);
    (void)DesiredTime;
    (void)SetResolution;
    return SCHED_TICK; /* a request: the tick stays as it is */
}

VOID NTAPI ExSystemTimeToLocalTime(PLARGE_INTEGER SystemTime, PLARGE_INTEGER LocalTime)
{
    time_t seconds = (time_t)((SystemTime->QuadPart - 116444736000000000ll) / 10000000);
    struct tm local;
    LONGLONG offset = !sched_det && localtime_r(&seconds, &local) ? local.tm_gmtoff : 0;
    LocalTime->QuadPart = SystemTime->QuadPart + offset * 10000000;
}

/* hal.dll's; not declared where a driver could call them inline. */
LARGE_INTEGER NTAPI nt_query_performance_counter(PLARGE_INTEGER frequency);
VOID NTAPI nt_stall_execution_processor(ULONG microseconds);

LARGE_INTEGER NTAPI nt_query_performance_counter(PLARGE_INTEGER frequency)
{
    LARGE_INTEGER counter = {.QuadPart = (LONGLONG)read_clock()};
    if (frequency)
        frequency->QuadPart = 10000000;
    return counter;
}

VOID NTAPI nt_stall_execution_processor(ULONG microseconds)
{
    sched->stall(nt_self, microseconds * 10ull);
}

NT_EXPORT(NTOSKRNL, KeQueryInterruptTimePrecise);
NT_EXPORT(NTOSKRNL, KeQueryUnbiasedInterruptTimePrecise);
NT_EXPORT(NTOSKRNL, KeQueryUnbiasedInterruptTime);
NT_EXPORT(NTOSKRNL, KeQuerySystemTimePrecise);
NT_EXPORT(NTOSKRNL, KeQueryTimeIncrement);
NT_EXPORT(NTOSKRNL, ExSetTimerResolution);
NT_EXPORT(NTOSKRNL, ExSystemTimeToLocalTime);
NT_EXPORT_AS("hal.dll", KeQueryPerformanceCounter, nt_query_performance_counter);
NT_EXPORT_AS("hal.dll", KeStallExecutionProcessor, nt_stall_execution_processor);
