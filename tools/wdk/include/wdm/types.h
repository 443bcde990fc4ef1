/*
 * Objects and small types that every part of the kernel's interface uses.
 */
#pragma once

#include <devioctl.h>
#include <ntdef.h>
#include <ntstatus.h>

#ifndef _NTDDK_
#define _WDMDDK_
#endif

typedef struct _DEVICE_OBJECT *PDEVICE_OBJECT;
typedef struct _DRIVER_OBJECT *PDRIVER_OBJECT;
typedef struct _FILE_OBJECT *PFILE_OBJECT;
typedef struct _IRP *PIRP;
typedef struct _MDL *PMDL;
typedef struct _VPB *PVPB;
typedef struct _KTHREAD *PKTHREAD, *PRKTHREAD;
typedef struct _ETHREAD *PETHREAD;
typedef struct _KPROCESS *PKPROCESS, *PRKPROCESS;
typedef struct _EPROCESS *PEPROCESS;
typedef struct _EJOB *PEJOB;
typedef struct _OBJECT_TYPE *POBJECT_TYPE;
typedef struct _ACCESS_STATE *PACCESS_STATE;
typedef struct _IO_TIMER *PIO_TIMER;
typedef struct _IO_WORKITEM *PIO_WORKITEM;
typedef struct _EX_TIMER *PEX_TIMER;
typedef struct _CALLBACK_OBJECT *PCALLBACK_OBJECT;
typedef struct _ECP_LIST *PECP_LIST;
typedef struct _IORING_OBJECT *PIORING_OBJECT;
typedef struct _TXN_PARAMETER_BLOCK *PTXN_PARAMETER_BLOCK;

typedef UCHAR KIRQL, *PKIRQL;
typedef CCHAR KPROCESSOR_MODE;
typedef LONG KPRIORITY;
typedef ULONG_PTR KSPIN_LOCK, *PKSPIN_LOCK;
typedef ULONG_PTR ERESOURCE_THREAD, *PERESOURCE_THREAD;
typedef ULONG DEVICE_TYPE;

typedef enum _MODE { KernelMode, UserMode, MaximumMode } MODE;

#define PASSIVE_LEVEL  0
#define LOW_LEVEL      0
#define APC_LEVEL      1
#define DISPATCH_LEVEL 2
#define CMCI_LEVEL     5
#define CLOCK_LEVEL    13
#define IPI_LEVEL      14
#define DRS_LEVEL      14
#define POWER_LEVEL    14
#define PROFILE_LEVEL  15
#define HIGH_LEVEL     15

#define LOW_PRIORITY          0
#define LOW_REALTIME_PRIORITY 16
#define HIGH_PRIORITY         31
#define MAXIMUM_PRIORITY      32

#define PAGE_SIZE           0x1000
#define PAGE_SHIFT          12
#define BYTES_TO_PAGES(n)   (((n) >> PAGE_SHIFT) + (((n) & (PAGE_SIZE - 1)) != 0))
#define BYTE_OFFSET(va)     ((ULONG)((LONG_PTR)(va) & (PAGE_SIZE - 1)))
#define PAGE_ALIGN(va)      ((PVOID)((ULONG_PTR)(va) & ~(ULONG_PTR)(PAGE_SIZE - 1)))
#define ROUND_TO_PAGES(n)   (((ULONG_PTR)(n) + PAGE_SIZE - 1) & ~(ULONG_PTR)(PAGE_SIZE - 1))
#define ROUND_TO_SIZE(n, a) ((((ULONG_PTR)(n)) + ((a) - 1)) & ~(ULONG_PTR)((a) - 1))
#define ADDRESS_AND_SIZE_TO_SPAN_PAGES(va, n)                                                      \
    ((BYTE_OFFSET(va) + ((SIZE_T)(n)) + (PAGE_SIZE - 1)) >> PAGE_SHIFT)
#define ALIGN_DOWN_BY(n, a)         ((ULONG_PTR)(n) & ~((ULONG_PTR)(a) - 1))
#define ALIGN_UP_BY(n, a)           ALIGN_DOWN_BY((ULONG_PTR)(n) + (a) - 1, a)
#define ALIGN_DOWN_POINTER_BY(p, a) ((PVOID)ALIGN_DOWN_BY(p, a))
#define ALIGN_UP_POINTER_BY(p, a)   ((PVOID)ALIGN_UP_BY(p, a))
#define ALIGN_DOWN(n, type)         ALIGN_DOWN_BY(n, sizeof(type))
#define ALIGN_UP(n, type)           ALIGN_UP_BY(n, sizeof(type))

typedef enum _POOL_TYPE {
    NonPagedPool,
    NonPagedPoolExecute = NonPagedPool,
    PagedPool,
    NonPagedPoolMustSucceed = NonPagedPool + 2,
    DontUseThisType,
    NonPagedPoolCacheAligned = NonPagedPool + 4,
    PagedPoolCacheAligned,
    NonPagedPoolCacheAlignedMustS = NonPagedPool + 6,
    MaxPoolType,
    NonPagedPoolBase = 0,
    NonPagedPoolBaseMustSucceed = NonPagedPoolBase + 2,
    NonPagedPoolBaseCacheAligned = NonPagedPoolBase + 4,
    NonPagedPoolBaseCacheAlignedMustS = NonPagedPoolBase + 6,
    NonPagedPoolNx = 512,
    NonPagedPoolNxCacheAligned = NonPagedPoolNx + 4,
    NonPagedPoolSession = 32,
    PagedPoolSession,
    NonPagedPoolMustSucceedSession,
    DontUseThisTypeSession,
    NonPagedPoolCacheAlignedSession,
    PagedPoolCacheAlignedSession,
    NonPagedPoolCacheAlignedMustSSession,
    NonPagedPoolSessionNx = NonPagedPoolNx + 32,
} POOL_TYPE;

typedef enum _MEMORY_CACHING_TYPE_ORIG { MmFrameBufferCached = 2 } MEMORY_CACHING_TYPE_ORIG;
typedef enum _MEMORY_CACHING_TYPE {
    MmNonCached = FALSE,
    MmCached = TRUE,
    MmWriteCombined = MmFrameBufferCached,
    MmHardwareCoherentCached,
    MmNonCachedUnordered,
    MmUSWCCached,
    MmMaximumCacheType,
    MmNotMapped = -1
} MEMORY_CACHING_TYPE;

typedef struct _KSYSTEM_TIME {
    ULONG LowPart;
    LONG High1Time;
    LONG High2Time;
} KSYSTEM_TIME, *PKSYSTEM_TIME;

typedef struct _CLIENT_ID {
    HANDLE UniqueProcess;
    HANDLE UniqueThread;
} CLIENT_ID, *PCLIENT_ID;

typedef struct _IO_STATUS_BLOCK {
    union {
        NTSTATUS Status;
        PVOID Pointer;
    };
    ULONG_PTR Information;
} IO_STATUS_BLOCK, *PIO_STATUS_BLOCK;

typedef struct _OBJECT_HANDLE_INFORMATION {
    ULONG HandleAttributes;
    ACCESS_MASK GrantedAccess;
} OBJECT_HANDLE_INFORMATION, *POBJECT_HANDLE_INFORMATION;

/* Access rights */
#define DELETE                        0x00010000
#define READ_CONTROL                  0x00020000
#define WRITE_DAC                     0x00040000
#define WRITE_OWNER                   0x00080000
#define SYNCHRONIZE                   0x00100000
#define STANDARD_RIGHTS_REQUIRED      0x000F0000
#define STANDARD_RIGHTS_READ          0x00020000
#define STANDARD_RIGHTS_WRITE         0x00020000
#define STANDARD_RIGHTS_EXECUTE       0x00020000
#define STANDARD_RIGHTS_ALL           0x001F0000
#define SPECIFIC_RIGHTS_ALL           0x0000FFFF
#define ACCESS_SYSTEM_SECURITY        0x01000000
#define MAXIMUM_ALLOWED               0x02000000
#define GENERIC_READ                  0x80000000
#define GENERIC_WRITE                 0x40000000
#define GENERIC_EXECUTE               0x20000000
#define GENERIC_ALL                   0x10000000
#define FILE_READ_DATA                0x00000001
#define FILE_LIST_DIRECTORY           0x00000001
#define FILE_WRITE_DATA               0x00000002
#define FILE_ADD_FILE                 0x00000002
#define FILE_APPEND_DATA              0x00000004
#define FILE_ADD_SUBDIRECTORY         0x00000004
#define FILE_CREATE_PIPE_INSTANCE     0x00000004
#define FILE_READ_EA                  0x00000008
#define FILE_WRITE_EA                 0x00000010
#define FILE_EXECUTE                  0x00000020
#define FILE_TRAVERSE                 0x00000020
#define FILE_DELETE_CHILD             0x00000040
#define FILE_READ_ATTRIBUTES          0x00000080
#define FILE_WRITE_ATTRIBUTES         0x00000100
#define FILE_ALL_ACCESS               0x001F01FF
#define FILE_GENERIC_READ             0x00120089
#define FILE_GENERIC_WRITE            0x00120116
#define FILE_GENERIC_EXECUTE          0x001200A0
#define EVENT_QUERY_STATE             0x00000001
#define EVENT_MODIFY_STATE            0x00000002
#define EVENT_ALL_ACCESS              0x001F0003
#define DIRECTORY_QUERY               0x00000001
#define DIRECTORY_TRAVERSE            0x00000002
#define DIRECTORY_CREATE_OBJECT       0x00000004
#define DIRECTORY_CREATE_SUBDIRECTORY 0x00000008
#define DIRECTORY_ALL_ACCESS          0x000F000F
#define SYMBOLIC_LINK_QUERY           0x00000001
#define SYMBOLIC_LINK_ALL_ACCESS      0x000F0001
#define KEY_QUERY_VALUE               0x00000001
#define KEY_SET_VALUE                 0x00000002
#define KEY_CREATE_SUB_KEY            0x00000004
#define KEY_ENUMERATE_SUB_KEYS        0x00000008
#define KEY_NOTIFY                    0x00000010
#define KEY_CREATE_LINK               0x00000020
#define KEY_WOW64_32KEY               0x00000200
#define KEY_WOW64_64KEY               0x00000100
#define KEY_READ                      0x00020019
#define KEY_WRITE                     0x00020006
#define KEY_EXECUTE                   0x00020019
#define KEY_ALL_ACCESS                0x000F003F
#define THREAD_TERMINATE              0x00000001
#define THREAD_SUSPEND_RESUME         0x00000002
#define THREAD_ALERT                  0x00000004
#define THREAD_GET_CONTEXT            0x00000008
#define THREAD_SET_CONTEXT            0x00000010
#define THREAD_SET_INFORMATION        0x00000020
#define THREAD_ALL_ACCESS             0x001FFFFF
#define PROCESS_DUP_HANDLE            0x00000040
#define PROCESS_ALL_ACCESS            0x001FFFFF
#define SECTION_QUERY                 0x00000001
#define SECTION_MAP_WRITE             0x00000002
#define SECTION_MAP_READ              0x00000004
#define SECTION_MAP_EXECUTE           0x00000008
#define SECTION_ALL_ACCESS            0x000F001F
