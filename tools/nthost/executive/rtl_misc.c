/*
 * Memory comparison, random numbers, time fields, versions, and odds and ends.
 *
 * WDK: RtlCompareMemory, RtlRandomEx, RtlTimeToTimeFields, RtlGetVersion, ExUuidCreate. The system
 * is Windows Server 2022 (10.0.20348), the oldest target.
 */
#include "dispatcher.h"
#include <string.h>
#include <sys/random.h>

#define VERSION_MAJOR 10
#define VERSION_MINOR 0
#define VERSION_BUILD 20348
#define VERSION_NTDDI                                                                              \
    0x0A00000A /* Windows 10 21H1's; Server 2022 has no number of its own below this */

SIZE_T NTAPI RtlCompareMemory(const VOID *Source1, const VOID *Source2, SIZE_T Length)
{
    const UCHAR *a = Source1, *b = Source2;
    SIZE_T i = 0;
    while (i < Length && a[i] == b[i])
        i++;
    return i;
}

/* Uniform on 0 .. MAXLONG-1. Equal seeds give equal numbers; Windows promises no particular ones.
 */
ULONG NTAPI RtlRandomEx(PULONG Seed)
{
    uint64_t z = *Seed + 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    *Seed = (ULONG)(z >> 32);
    return (ULONG)((z & 0xffffffff) * MAXLONG >> 32);
}

/* Versions */

NTSTATUS NTAPI RtlGetVersion(PRTL_OSVERSIONINFOW VersionInformation)
{
    VF_ENTRY(PASSIVE_LEVEL);
    VersionInformation->dwMajorVersion = VERSION_MAJOR;
    VersionInformation->dwMinorVersion = VERSION_MINOR;
    VersionInformation->dwBuildNumber = VERSION_BUILD;
    VersionInformation->dwPlatformId = 2; /* VER_PLATFORM_WIN32_NT */
    memset(VersionInformation->szCSDVersion, 0, sizeof VersionInformation->szCSDVersion);
    /* RTL_OSVERSIONINFOEXW: service pack 0.0, no suites, a server. */
    if (VersionInformation->dwOSVersionInfoSize >= sizeof *VersionInformation + 8) {
        UCHAR *more = (UCHAR *)(VersionInformation + 1);
        memset(more, 0, 8);
        more[6] = NtProductServer;
    }
    return STATUS_SUCCESS;
}

BOOLEAN NTAPI RtlIsNtDdiVersionAvailable(ULONG Version)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return Version <= VERSION_NTDDI;
}

BOOLEAN NTAPI PsGetVersion(PULONG MajorVersion, PULONG MinorVersion, PULONG BuildNumber,
                           PUNICODE_STRING CSDVersion)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (MajorVersion)
        *MajorVersion = VERSION_MAJOR;
    if (MinorVersion)
        *MinorVersion = VERSION_MINOR;
    if (BuildNumber)
        *BuildNumber = VERSION_BUILD;
    if (CSDVersion)
        CSDVersion->Length = 0;
    return TRUE; /* a checked build would be FALSE */
}

BOOLEAN NTAPI ExIsProcessorFeaturePresent(ULONG ProcessorFeature)
{
    switch (ProcessorFeature) {
    case 2:  /* PF_COMPARE_EXCHANGE_DOUBLE */
    case 3:  /* PF_MMX_INSTRUCTIONS_AVAILABLE */
    case 6:  /* PF_XMMI_INSTRUCTIONS_AVAILABLE */
    case 8:  /* PF_RDTSC_INSTRUCTION_AVAILABLE */
    case 10: /* PF_XMMI64_INSTRUCTIONS_AVAILABLE */
    case 14: /* PF_COMPARE_EXCHANGE128 */
        return TRUE;
    case PF_SSE4_2_INSTRUCTIONS_AVAILABLE:
        return __builtin_cpu_supports("sse4.2") != 0;
    default:
        return FALSE;
    }
}

NTSTATUS NTAPI ExUuidCreate(GUID *Uuid)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UCHAR *bytes = (UCHAR *)Uuid;
    if (vf_fault(VfFaultIo))
        return STATUS_RETRY;
    if (sched_det) {
        for (unsigned i = 0; i < sizeof *Uuid; i++)
            bytes[i] = (UCHAR)sched_choose(256);
    } else if (getrandom(bytes, sizeof *Uuid, 0) != sizeof *Uuid) {
        return STATUS_RETRY;
    }
    Uuid->Data3 = (USHORT)((Uuid->Data3 & 0x0fff) | 0x4000); /* version 4 */
    Uuid->Data4[0] = (UCHAR)((Uuid->Data4[0] & 0x3f) | 0x80);
    return STATUS_SUCCESS;
}

/* Time fields: proleptic Gregorian, from 1601-01-01 00:00, a Monday. */

#define TICKS_PER_MS  10000ll
#define TICKS_PER_DAY 864000000000ll

static const USHORT days_before_month[2][13] = {
    {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
    {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366},
};

static bool is_leap(LONGLONG year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1601-01-01 to the first of that year. */
static LONGLONG days_before_year(LONGLONG year)
{
    LONGLONG past = year - 1601;
    return past * 365 + past / 4 - past / 100 + past / 400;
}

VOID NTAPI RtlTimeToTimeFields(PLARGE_INTEGER Time, PTIME_FIELDS TimeFields)
{
    LONGLONG days = Time->QuadPart / TICKS_PER_DAY,
             rest = Time->QuadPart % TICKS_PER_DAY / TICKS_PER_MS;
    LONGLONG year = 1601 + days / 366;
    while (days_before_year(year + 1) <= days)
        year++;
    LONGLONG day = days - days_before_year(year);
    const USHORT *months = days_before_month[is_leap(year)];
    SHORT month = 1;
    while (months[month] <= day)
        month++;
    *TimeFields = (TIME_FIELDS){
        .Year = (CSHORT)year,
        .Month = month,
        .Day = (CSHORT)(day - months[month - 1] + 1),
        .Hour = (CSHORT)(rest / 3600000),
        .Minute = (CSHORT)(rest / 60000 % 60),
        .Second = (CSHORT)(rest / 1000 % 60),
        .Milliseconds = (CSHORT)(rest % 1000),
        .Weekday = (CSHORT)((days + 1) % 7),
    };
}

BOOLEAN NTAPI RtlTimeFieldsToTime(PTIME_FIELDS TimeFields, PLARGE_INTEGER Time)
{
    const TIME_FIELDS *f = TimeFields;
    if (f->Year < 1601 || f->Month < 1 || f->Month > 12 || f->Hour < 0 || f->Hour > 23 ||
        f->Minute < 0 || f->Minute > 59 || f->Second < 0 || f->Second > 59 || f->Milliseconds < 0 ||
        f->Milliseconds > 999)
        return FALSE;
    const USHORT *months = days_before_month[is_leap(f->Year)];
    if (f->Day < 1 || f->Day > months[f->Month] - months[f->Month - 1])
        return FALSE;
    LONGLONG days = days_before_year(f->Year) + months[f->Month - 1] + f->Day - 1;
    LONGLONG ms = ((f->Hour * 60ll + f->Minute) * 60 + f->Second) * 1000 + f->Milliseconds;
    Time->QuadPart = days * TICKS_PER_DAY + ms * TICKS_PER_MS;
    return TRUE;
}

NT_EXPORT(NTOSKRNL, RtlCompareMemory);
NT_EXPORT(NTOSKRNL, RtlRandomEx);
NT_EXPORT(NTOSKRNL, RtlGetVersion);
NT_EXPORT(NTOSKRNL, RtlIsNtDdiVersionAvailable);
NT_EXPORT(NTOSKRNL, PsGetVersion);
NT_EXPORT(NTOSKRNL, ExIsProcessorFeaturePresent);
NT_EXPORT(NTOSKRNL, ExUuidCreate);
NT_EXPORT(NTOSKRNL, RtlTimeToTimeFields);
NT_EXPORT(NTOSKRNL, RtlTimeFieldsToTime);
