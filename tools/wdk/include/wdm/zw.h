/*
 * System services called from the kernel: files, registry keys, events, sections, handles.
 */
#pragma once

#include <wdm/io.h>

typedef enum _KEY_INFORMATION_CLASS {
    KeyBasicInformation,
    KeyNodeInformation,
    KeyFullInformation,
    KeyNameInformation,
    KeyCachedInformation,
    KeyFlagsInformation,
    KeyVirtualizationInformation,
    KeyHandleTagsInformation,
    KeyTrustInformation,
    KeyLayerInformation,
    MaxKeyInfoClass
} KEY_INFORMATION_CLASS;

typedef enum _KEY_VALUE_INFORMATION_CLASS {
    KeyValueBasicInformation,
    KeyValueFullInformation,
    KeyValuePartialInformation,
    KeyValueFullInformationAlign64,
    KeyValuePartialInformationAlign64,
    KeyValueLayerInformation,
    MaxKeyValueInfoClass
} KEY_VALUE_INFORMATION_CLASS;

typedef struct _KEY_BASIC_INFORMATION {
    LARGE_INTEGER LastWriteTime;
    ULONG TitleIndex;
    ULONG NameLength;
    WCHAR Name[1];
} KEY_BASIC_INFORMATION, *PKEY_BASIC_INFORMATION;

typedef struct _KEY_FULL_INFORMATION {
    LARGE_INTEGER LastWriteTime;
    ULONG TitleIndex;
    ULONG ClassOffset;
    ULONG ClassLength;
    ULONG SubKeys;
    ULONG MaxNameLen;
    ULONG MaxClassLen;
    ULONG Values;
    ULONG MaxValueNameLen;
    ULONG MaxValueDataLen;
    WCHAR Class[1];
} KEY_FULL_INFORMATION, *PKEY_FULL_INFORMATION;

typedef struct _KEY_VALUE_BASIC_INFORMATION {
    ULONG TitleIndex;
    ULONG Type;
    ULONG NameLength;
    WCHAR Name[1];
} KEY_VALUE_BASIC_INFORMATION, *PKEY_VALUE_BASIC_INFORMATION;

typedef struct _KEY_VALUE_FULL_INFORMATION {
    ULONG TitleIndex;
    ULONG Type;
    ULONG DataOffset;
    ULONG DataLength;
    ULONG NameLength;
    WCHAR Name[1];
} KEY_VALUE_FULL_INFORMATION, *PKEY_VALUE_FULL_INFORMATION;

typedef struct _KEY_VALUE_PARTIAL_INFORMATION {
    ULONG TitleIndex;
    ULONG Type;
    ULONG DataLength;
    UCHAR Data[1];
} KEY_VALUE_PARTIAL_INFORMATION, *PKEY_VALUE_PARTIAL_INFORMATION;

#define REG_NONE                       0
#define REG_SZ                         1
#define REG_EXPAND_SZ                  2
#define REG_BINARY                     3
#define REG_DWORD                      4
#define REG_DWORD_LITTLE_ENDIAN        4
#define REG_DWORD_BIG_ENDIAN           5
#define REG_LINK                       6
#define REG_MULTI_SZ                   7
#define REG_RESOURCE_LIST              8
#define REG_FULL_RESOURCE_DESCRIPTOR   9
#define REG_RESOURCE_REQUIREMENTS_LIST 10
#define REG_QWORD                      11
#define REG_QWORD_LITTLE_ENDIAN        11
#define REG_OPTION_NON_VOLATILE        0
#define REG_OPTION_VOLATILE            1
#define REG_CREATED_NEW_KEY            1
#define REG_OPENED_EXISTING_KEY        2

NTSYSCALLAPI NTSTATUS NTAPI ZwClose(HANDLE Handle);
NTSYSCALLAPI NTSTATUS NTAPI ZwCreateFile(_Out_ PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
                                         POBJECT_ATTRIBUTES ObjectAttributes,
                                         _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                         _In_opt_ PLARGE_INTEGER AllocationSize,
                                         ULONG FileAttributes, ULONG ShareAccess,
                                         ULONG CreateDisposition, ULONG CreateOptions,
                                         _In_opt_ PVOID EaBuffer, ULONG EaLength);
NTSYSCALLAPI NTSTATUS NTAPI ZwOpenFile(_Out_ PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
                                       POBJECT_ATTRIBUTES ObjectAttributes,
                                       _Out_ PIO_STATUS_BLOCK IoStatusBlock, ULONG ShareAccess,
                                       ULONG OpenOptions);
NTSYSCALLAPI NTSTATUS NTAPI ZwReadFile(HANDLE FileHandle, _In_opt_ HANDLE Event,
                                       _In_opt_ PIO_APC_ROUTINE ApcRoutine,
                                       _In_opt_ PVOID ApcContext,
                                       _Out_ PIO_STATUS_BLOCK IoStatusBlock, _Out_ PVOID Buffer,
                                       ULONG Length, _In_opt_ PLARGE_INTEGER ByteOffset,
                                       _In_opt_ PULONG Key);
NTSYSCALLAPI NTSTATUS NTAPI ZwWriteFile(HANDLE FileHandle, _In_opt_ HANDLE Event,
                                        _In_opt_ PIO_APC_ROUTINE ApcRoutine,
                                        _In_opt_ PVOID ApcContext,
                                        _Out_ PIO_STATUS_BLOCK IoStatusBlock, PVOID Buffer,
                                        ULONG Length, _In_opt_ PLARGE_INTEGER ByteOffset,
                                        _In_opt_ PULONG Key);
NTSYSCALLAPI NTSTATUS NTAPI ZwFlushBuffersFile(HANDLE FileHandle,
                                               _Out_ PIO_STATUS_BLOCK IoStatusBlock);
NTSYSCALLAPI NTSTATUS NTAPI ZwQueryInformationFile(HANDLE FileHandle,
                                                   _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                                   _Out_ PVOID FileInformation, ULONG Length,
                                                   FILE_INFORMATION_CLASS FileInformationClass);
NTSYSCALLAPI NTSTATUS NTAPI ZwSetInformationFile(HANDLE FileHandle,
                                                 _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                                 PVOID FileInformation, ULONG Length,
                                                 FILE_INFORMATION_CLASS FileInformationClass);
NTSYSCALLAPI NTSTATUS NTAPI ZwDeleteFile(POBJECT_ATTRIBUTES ObjectAttributes);
NTSYSCALLAPI NTSTATUS NTAPI
ZwDeviceIoControlFile(HANDLE FileHandle, _In_opt_ HANDLE Event, _In_opt_ PIO_APC_ROUTINE ApcRoutine,
                      _In_opt_ PVOID ApcContext, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                      ULONG IoControlCode, _In_opt_ PVOID InputBuffer, ULONG InputBufferLength,
                      _Out_opt_ PVOID OutputBuffer, ULONG OutputBufferLength);

NTSYSCALLAPI NTSTATUS NTAPI ZwCreateKey(_Out_ PHANDLE KeyHandle, ACCESS_MASK DesiredAccess,
                                        POBJECT_ATTRIBUTES ObjectAttributes, ULONG TitleIndex,
                                        _In_opt_ PUNICODE_STRING Class, ULONG CreateOptions,
                                        _Out_opt_ PULONG Disposition);
NTSYSCALLAPI NTSTATUS NTAPI ZwOpenKey(_Out_ PHANDLE KeyHandle, ACCESS_MASK DesiredAccess,
                                      POBJECT_ATTRIBUTES ObjectAttributes);
NTSYSCALLAPI NTSTATUS NTAPI ZwOpenKeyEx(_Out_ PHANDLE KeyHandle, ACCESS_MASK DesiredAccess,
                                        POBJECT_ATTRIBUTES ObjectAttributes, ULONG OpenOptions);
NTSYSCALLAPI NTSTATUS NTAPI ZwDeleteKey(HANDLE KeyHandle);
NTSYSCALLAPI NTSTATUS NTAPI ZwFlushKey(HANDLE KeyHandle);
NTSYSCALLAPI NTSTATUS NTAPI ZwQueryKey(HANDLE KeyHandle, KEY_INFORMATION_CLASS KeyInformationClass,
                                       _Out_ PVOID KeyInformation, ULONG Length,
                                       _Out_ PULONG ResultLength);
NTSYSCALLAPI NTSTATUS NTAPI ZwEnumerateKey(HANDLE KeyHandle, ULONG Index,
                                           KEY_INFORMATION_CLASS KeyInformationClass,
                                           _Out_ PVOID KeyInformation, ULONG Length,
                                           _Out_ PULONG ResultLength);
NTSYSCALLAPI NTSTATUS NTAPI ZwQueryValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName,
                                            KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass,
                                            _Out_ PVOID KeyValueInformation, ULONG Length,
                                            _Out_ PULONG ResultLength);
NTSYSCALLAPI NTSTATUS NTAPI ZwEnumerateValueKey(
    HANDLE KeyHandle, ULONG Index, KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass,
    _Out_ PVOID KeyValueInformation, ULONG Length, _Out_ PULONG ResultLength);
NTSYSCALLAPI NTSTATUS NTAPI ZwSetValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName,
                                          ULONG TitleIndex, ULONG Type, _In_opt_ PVOID Data,
                                          ULONG DataSize);
NTSYSCALLAPI NTSTATUS NTAPI ZwDeleteValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName);

NTSYSCALLAPI NTSTATUS NTAPI ZwCreateEvent(_Out_ PHANDLE EventHandle, ACCESS_MASK DesiredAccess,
                                          _In_opt_ POBJECT_ATTRIBUTES ObjectAttributes,
                                          EVENT_TYPE EventType, BOOLEAN InitialState);
NTSYSCALLAPI NTSTATUS NTAPI ZwSetEvent(HANDLE EventHandle, _Out_opt_ PLONG PreviousState);
NTSYSCALLAPI NTSTATUS NTAPI ZwWaitForSingleObject(HANDLE Handle, BOOLEAN Alertable,
                                                  _In_opt_ PLARGE_INTEGER Timeout);
NTSYSCALLAPI NTSTATUS NTAPI ZwOpenSymbolicLinkObject(_Out_ PHANDLE LinkHandle,
                                                     ACCESS_MASK DesiredAccess,
                                                     POBJECT_ATTRIBUTES ObjectAttributes);
NTSYSCALLAPI NTSTATUS NTAPI ZwQuerySymbolicLinkObject(HANDLE LinkHandle,
                                                      _Inout_ PUNICODE_STRING LinkTarget,
                                                      _Out_opt_ PULONG ReturnedLength);

#define ZwCurrentProcess() ((HANDLE)(LONG_PTR) - 1)
#define NtCurrentProcess() ZwCurrentProcess()
#define ZwCurrentThread()  ((HANDLE)(LONG_PTR) - 2)
#define NtCurrentThread()  ZwCurrentThread()
