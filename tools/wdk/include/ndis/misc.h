/*
 * Services of NDIS to all its drivers: memory, locks, timers, work items, events, configuration,
 * devices, processors.
 */
#pragma once

/* Memory and objects */
NTKERNELAPI PVOID NTAPI NdisAllocateMemoryWithTagPriority(NDIS_HANDLE NdisHandle, UINT Length,
                                                          ULONG Tag, EX_POOL_PRIORITY Priority);
NTKERNELAPI NDIS_STATUS NTAPI NdisAllocateMemoryWithTag(_Outptr_ PVOID *VirtualAddress, UINT Length,
                                                        ULONG Tag);
NTKERNELAPI VOID NTAPI NdisFreeMemory(PVOID VirtualAddress, UINT Length, UINT MemoryFlags);
NTKERNELAPI VOID NTAPI NdisFreeMemoryWithTag(PVOID VirtualAddress, ULONG Tag);
NTKERNELAPI VOID NTAPI NdisFreeMemoryWithTagPriority(NDIS_HANDLE NdisHandle, PVOID VirtualAddress,
                                                     ULONG Tag);
NTKERNELAPI NDIS_HANDLE NTAPI NdisAllocateGenericObject(_In_opt_ PDRIVER_OBJECT DriverObject,
                                                        ULONG Tag, USHORT Size);
NTKERNELAPI VOID NTAPI NdisFreeGenericObject(NDIS_HANDLE NdisObject);
#define NdisMoveMemory(d, s, n)  RtlCopyMemory(d, s, n)
#define NdisZeroMemory(d, n)     RtlZeroMemory(d, n)
#define NdisFillMemory(d, n, f)  RtlFillMemory(d, n, f)
#define NdisEqualMemory(a, b, n) RtlEqualMemory(a, b, n)
#define NdisRetrieveUlong(d, s)  RtlCopyMemory(d, s, sizeof(ULONG))
#define NdisStoreUlong(d, v)     RtlCopyMemory(d, &(v), sizeof(ULONG))

#define NDIS_STRING_CONST(text)     {sizeof(L##text) - sizeof(WCHAR), sizeof(L##text), (PWSTR)L##text}
#define NdisInitUnicodeString(d, s) RtlInitUnicodeString(d, s)
#define NdisEqualString(a, b, i)    RtlEqualUnicodeString(a, b, i)

/* Spin locks */
typedef struct _NDIS_SPIN_LOCK {
    KSPIN_LOCK SpinLock;
    KIRQL OldIrql;
} NDIS_SPIN_LOCK, *PNDIS_SPIN_LOCK;
NTKERNELAPI VOID NTAPI NdisAllocateSpinLock(_Out_ PNDIS_SPIN_LOCK SpinLock);
NTKERNELAPI VOID NTAPI NdisFreeSpinLock(PNDIS_SPIN_LOCK SpinLock);
#define NdisAcquireSpinLock(lock)    KeAcquireSpinLock(&(lock)->SpinLock, &(lock)->OldIrql)
#define NdisReleaseSpinLock(lock)    KeReleaseSpinLock(&(lock)->SpinLock, (lock)->OldIrql)
#define NdisDprAcquireSpinLock(lock) KeAcquireSpinLockAtDpcLevel(&(lock)->SpinLock)
#define NdisDprReleaseSpinLock(lock) KeReleaseSpinLockFromDpcLevel(&(lock)->SpinLock)
#define NdisInterlockedIncrement(p)  InterlockedIncrement(p)
#define NdisInterlockedDecrement(p)  InterlockedDecrement(p)

/* Read-write locks */
typedef struct _NDIS_RW_LOCK_EX NDIS_RW_LOCK_EX, *PNDIS_RW_LOCK_EX;
typedef struct _LOCK_STATE_EX {
    KIRQL OldIrql;
    UCHAR LockState;
    UCHAR Flags;
} LOCK_STATE_EX, *PLOCK_STATE_EX;
#define NDIS_RWL_AT_DISPATCH_LEVEL 1
NTKERNELAPI PNDIS_RW_LOCK_EX NTAPI NdisAllocateRWLock(NDIS_HANDLE NdisHandle);
NTKERNELAPI VOID NTAPI NdisFreeRWLock(PNDIS_RW_LOCK_EX Lock);
NTKERNELAPI VOID NTAPI NdisAcquireRWLockRead(PNDIS_RW_LOCK_EX Lock, _Out_ PLOCK_STATE_EX LockState,
                                             UCHAR Flags);
NTKERNELAPI VOID NTAPI NdisAcquireRWLockWrite(PNDIS_RW_LOCK_EX Lock, _Out_ PLOCK_STATE_EX LockState,
                                              UCHAR Flags);
NTKERNELAPI VOID NTAPI NdisReleaseRWLock(PNDIS_RW_LOCK_EX Lock, PLOCK_STATE_EX LockState);

/* Timers */
typedef VOID NTAPI NDIS_TIMER_FUNCTION(PVOID SystemSpecific1, PVOID FunctionContext,
                                       PVOID SystemSpecific2, PVOID SystemSpecific3);
typedef NDIS_TIMER_FUNCTION *PNDIS_TIMER_FUNCTION;
#define NDIS_TIMER_CHARACTERISTICS_REVISION_1 1
typedef struct _NDIS_TIMER_CHARACTERISTICS {
    NDIS_OBJECT_HEADER Header;
    ULONG AllocationTag;
    PNDIS_TIMER_FUNCTION TimerFunction;
    PVOID FunctionContext;
} NDIS_TIMER_CHARACTERISTICS, *PNDIS_TIMER_CHARACTERISTICS;
#define NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1                                               \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_TIMER_CHARACTERISTICS, FunctionContext)
NTKERNELAPI NDIS_STATUS NTAPI
NdisAllocateTimerObject(NDIS_HANDLE NdisHandle, PNDIS_TIMER_CHARACTERISTICS TimerCharacteristics,
                        _Out_ PNDIS_HANDLE TimerObject);
NTKERNELAPI BOOLEAN NTAPI NdisSetTimerObject(NDIS_HANDLE TimerObject, LARGE_INTEGER DueTime,
                                             LONG MillisecondsPeriod,
                                             _In_opt_ PVOID FunctionContext);
NTKERNELAPI BOOLEAN NTAPI NdisSetCoalescableTimerObject(NDIS_HANDLE TimerObject,
                                                        LARGE_INTEGER DueTime,
                                                        LONG MillisecondsPeriod,
                                                        _In_opt_ PVOID FunctionContext,
                                                        ULONG Tolerance);
NTKERNELAPI BOOLEAN NTAPI NdisCancelTimerObject(NDIS_HANDLE TimerObject);
NTKERNELAPI VOID NTAPI NdisFreeTimerObject(NDIS_HANDLE TimerObject);

/* Work items */
typedef VOID NTAPI NDIS_IO_WORKITEM(_In_opt_ PVOID WorkItemContext,
                                    NDIS_HANDLE NdisIoWorkItemHandle);
typedef NDIS_IO_WORKITEM *NDIS_IO_WORKITEM_ROUTINE, NDIS_IO_WORKITEM_FUNCTION;
NTKERNELAPI NDIS_HANDLE NTAPI NdisAllocateIoWorkItem(NDIS_HANDLE NdisObjectHandle);
NTKERNELAPI VOID NTAPI NdisQueueIoWorkItem(NDIS_HANDLE NdisIoWorkItemHandle,
                                           NDIS_IO_WORKITEM_ROUTINE Routine,
                                           _In_opt_ PVOID WorkItemContext);
NTKERNELAPI VOID NTAPI NdisFreeIoWorkItem(NDIS_HANDLE NdisIoWorkItemHandle);

/* Events */
typedef struct _NDIS_EVENT {
    KEVENT Event;
} NDIS_EVENT, *PNDIS_EVENT;
NTKERNELAPI VOID NTAPI NdisInitializeEvent(_Out_ PNDIS_EVENT Event);
NTKERNELAPI VOID NTAPI NdisSetEvent(PNDIS_EVENT Event);
NTKERNELAPI VOID NTAPI NdisResetEvent(PNDIS_EVENT Event);
NTKERNELAPI BOOLEAN NTAPI NdisWaitEvent(PNDIS_EVENT Event, UINT MsToWait);
NTKERNELAPI VOID NTAPI NdisMSleep(ULONG MicrosecondsToSleep);
NTKERNELAPI VOID NTAPI NdisGetSystemUpTimeEx(_Out_ PLARGE_INTEGER pSystemUpTime);
#define NdisGetCurrentSystemTime(time) KeQuerySystemTimePrecise(time)

/* Configuration: the registry of a driver, a module or an adapter */
typedef enum _NDIS_PARAMETER_TYPE {
    NdisParameterInteger,
    NdisParameterHexInteger,
    NdisParameterString,
    NdisParameterMultiString,
    NdisParameterBinary
} NDIS_PARAMETER_TYPE,
    *PNDIS_PARAMETER_TYPE;

typedef struct {
    USHORT Length;
    PVOID Buffer;
} BINARY_DATA;

typedef struct _NDIS_CONFIGURATION_PARAMETER {
    NDIS_PARAMETER_TYPE ParameterType;
    union {
        ULONG IntegerData;
        NDIS_STRING StringData;
        BINARY_DATA BinaryData;
    } ParameterData;
} NDIS_CONFIGURATION_PARAMETER, *PNDIS_CONFIGURATION_PARAMETER;

#define NDIS_CONFIGURATION_OBJECT_REVISION_1           1
#define NDIS_CONFIG_FLAG_FILTER_INSTANCE_CONFIGURATION 1
typedef struct _NDIS_CONFIGURATION_OBJECT {
    NDIS_OBJECT_HEADER Header;
    NDIS_HANDLE NdisHandle;
    ULONG Flags;
} NDIS_CONFIGURATION_OBJECT, *PNDIS_CONFIGURATION_OBJECT;
#define NDIS_SIZEOF_CONFIGURATION_OBJECT_REVISION_1                                                \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_CONFIGURATION_OBJECT, Flags)
NTKERNELAPI NDIS_STATUS NTAPI NdisOpenConfigurationEx(PNDIS_CONFIGURATION_OBJECT ConfigObject,
                                                      _Out_ PNDIS_HANDLE ConfigurationHandle);
NTKERNELAPI VOID NTAPI NdisCloseConfiguration(NDIS_HANDLE ConfigurationHandle);
NTKERNELAPI VOID NTAPI NdisReadConfiguration(_Out_ PNDIS_STATUS Status,
                                             _Outptr_ PNDIS_CONFIGURATION_PARAMETER *ParameterValue,
                                             NDIS_HANDLE ConfigurationHandle, PNDIS_STRING Keyword,
                                             NDIS_PARAMETER_TYPE ParameterType);
NTKERNELAPI VOID NTAPI NdisWriteConfiguration(_Out_ PNDIS_STATUS Status,
                                              NDIS_HANDLE ConfigurationHandle, PNDIS_STRING Keyword,
                                              PNDIS_CONFIGURATION_PARAMETER ParameterValue);
NTKERNELAPI VOID NTAPI NdisOpenConfigurationKeyByName(_Out_ PNDIS_STATUS Status,
                                                      NDIS_HANDLE ConfigurationHandle,
                                                      PNDIS_STRING SubKeyName,
                                                      _Out_ PNDIS_HANDLE SubKeyHandle);
NTKERNELAPI VOID NTAPI NdisReadNetworkAddress(_Out_ PNDIS_STATUS Status,
                                              _Outptr_ PVOID *NetworkAddress,
                                              _Out_ PUINT NetworkAddressLength,
                                              NDIS_HANDLE ConfigurationHandle);

/* Devices */
#define NDIS_DEVICE_OBJECT_ATTRIBUTES_REVISION_1 1
typedef struct _NDIS_DEVICE_OBJECT_ATTRIBUTES {
    NDIS_OBJECT_HEADER Header;
    PNDIS_STRING DeviceName;
    PNDIS_STRING SymbolicName;
    PDRIVER_DISPATCH *MajorFunctions;
    ULONG ExtensionSize;
    PCUNICODE_STRING DefaultSDDLString;
    const GUID *DeviceClassGuid;
} NDIS_DEVICE_OBJECT_ATTRIBUTES, *PNDIS_DEVICE_OBJECT_ATTRIBUTES;
#define NDIS_SIZEOF_DEVICE_OBJECT_ATTRIBUTES_REVISION_1                                            \
    RTL_SIZEOF_THROUGH_FIELD(NDIS_DEVICE_OBJECT_ATTRIBUTES, DeviceClassGuid)
NTKERNELAPI NDIS_STATUS NTAPI
NdisRegisterDeviceEx(NDIS_HANDLE NdisHandle, PNDIS_DEVICE_OBJECT_ATTRIBUTES DeviceObjectAttributes,
                     _Outptr_ PDEVICE_OBJECT *pDeviceObject, _Out_ PNDIS_HANDLE NdisDeviceHandle);
NTKERNELAPI VOID NTAPI NdisDeregisterDeviceEx(NDIS_HANDLE NdisDeviceHandle);
NTKERNELAPI PVOID NTAPI NdisGetDeviceReservedExtension(PDEVICE_OBJECT DeviceObject);

/* Processors, versions, interfaces */
NTKERNELAPI ULONG NTAPI NdisCurrentProcessorIndex(VOID);
NTKERNELAPI PROCESSOR_NUMBER NTAPI NdisCurrentGroupAndProcessor(VOID);
NTKERNELAPI CCHAR NTAPI NdisSystemProcessorCount(VOID);
NTKERNELAPI ULONG NTAPI NdisSystemActiveProcessorCount(_Out_opt_ PKAFFINITY ActiveProcessors);
NTKERNELAPI ULONG NTAPI NdisGroupActiveProcessorCount(USHORT Group);
NTKERNELAPI ULONG NTAPI NdisGroupMaxProcessorCount(USHORT Group);
NTKERNELAPI UINT NTAPI NdisGetVersion(VOID);
NTKERNELAPI ULONG NTAPI NdisGetSharedDataAlignment(VOID);
NTKERNELAPI PVOID NTAPI NdisGetRoutineAddress(PNDIS_STRING NdisRoutineName);
NTKERNELAPI NDIS_STATUS NTAPI NdisIfGetInterfaceIndexFromNetLuid(NET_LUID NetLuid,
                                                                 _Out_ PNET_IFINDEX pIfIndex);
NTKERNELAPI NDIS_STATUS NTAPI NdisIfGetNetLuidFromInterfaceIndex(NET_IFINDEX IfIndex,
                                                                 _Out_ PNET_LUID pNetLuid);
NTKERNELAPI UCHAR NTAPI NdisGeneratePartialCancelId(VOID);
NTKERNELAPI VOID NTAPI NdisWriteErrorLogEntry(NDIS_HANDLE NdisAdapterHandle, ULONG ErrorCode,
                                              ULONG NumberOfErrorValues, ...);
NTKERNELAPI NDIS_STATUS NTAPI NdisWriteEventLogEntry(PVOID LogHandle, NDIS_STATUS EventCode,
                                                     ULONG UniqueEventValue, USHORT NumStrings,
                                                     _In_opt_ PVOID StringsList, ULONG DataSize,
                                                     _In_opt_ PVOID Data);
