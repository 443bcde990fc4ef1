/*
 * Bug check codes. WDK: "Bug Check Code Reference".
 */
#pragma once

#define IRQL_NOT_LESS_OR_EQUAL                                0x0000000A
#define MAXIMUM_WAIT_OBJECTS_EXCEEDED                         0x0000000C
#define NO_USER_MODE_CONTEXT                                  0x0000000E
#define SPIN_LOCK_ALREADY_OWNED                               0x0000000F
#define SPIN_LOCK_NOT_OWNED                                   0x00000010
#define THREAD_NOT_MUTEX_OWNER                                0x00000011
#define REFERENCE_BY_POINTER                                  0x00000018
#define BAD_POOL_HEADER                                       0x00000019
#define KMODE_EXCEPTION_NOT_HANDLED                           0x0000001E
#define KERNEL_APC_PENDING_DURING_EXIT                        0x00000020
#define NO_MORE_IRP_STACK_LOCATIONS                           0x00000035
#define DEVICE_REFERENCE_COUNT_NOT_ZERO                       0x00000036
#define SYSTEM_SERVICE_EXCEPTION                              0x0000003B
#define MULTIPLE_IRP_COMPLETE_REQUESTS                        0x00000044
#define CANCEL_STATE_IN_COMPLETED_IRP                         0x00000048
#define IRQL_GT_ZERO_AT_SYSTEM_SERVICE                        0x0000004A
#define PAGE_FAULT_IN_NONPAGED_AREA                           0x00000050
#define BUGCODE_NDIS_DRIVER                                   0x0000007C
#define INVALID_KERNEL_HANDLE                                 0x00000093
#define INVALID_WORK_QUEUE_ITEM                               0x00000096
#define ATTEMPTED_SWITCH_FROM_DPC                             0x000000B8
#define MUTEX_ALREADY_OWNED                                   0x000000BF
#define SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION               0x000000C1
#define BAD_POOL_CALLER                                       0x000000C2
#define DRIVER_VERIFIER_DETECTED_VIOLATION                    0x000000C4
#define TIMER_OR_DPC_INVALID                                  0x000000C7
#define DRIVER_VERIFIER_IOMANAGER_VIOLATION                   0x000000C9
#define DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS                   0x000000CB
#define DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS 0x000000CE
#define DRIVER_IRQL_NOT_LESS_OR_EQUAL                         0x000000D1
#define DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL               0x000000D5
#define LOCKED_PAGES_TRACKER_CORRUPTION                       0x000000D9
#define WORKER_THREAD_RETURNED_AT_BAD_IRQL                    0x000000E1
#define MANUALLY_INITIATED_CRASH                              0x000000E2
#define RESOURCE_NOT_OWNED                                    0x000000E3
#define WORKER_INVALID                                        0x000000E4
#define WDF_VIOLATION                                         0x0000010D
#define DRIVER_RETURNED_HOLDING_CANCEL_LOCK                   0x0000011B
#define DPC_WATCHDOG_VIOLATION                                0x00000133
#define KERNEL_SECURITY_CHECK_FAILURE                         0x00000139
#define KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE                0x00000162
#define THREAD_TERMINATE_HELD_MUTEX                           0x4000008A
