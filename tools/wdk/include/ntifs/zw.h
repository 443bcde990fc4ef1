/*
 * System services on files, directories of objects and sections.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI
ZwQueryDirectoryFile(HANDLE FileHandle, _In_opt_ HANDLE Event, _In_opt_ PIO_APC_ROUTINE ApcRoutine,
                     _In_opt_ PVOID ApcContext, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                     _Out_writes_bytes_(Length) PVOID FileInformation, ULONG Length,
                     FILE_INFORMATION_CLASS FileInformationClass, BOOLEAN ReturnSingleEntry,
                     _In_opt_ PUNICODE_STRING FileName, BOOLEAN RestartScan);
NTKERNELAPI NTSTATUS NTAPI ZwFsControlFile(
    HANDLE FileHandle, _In_opt_ HANDLE Event, _In_opt_ PIO_APC_ROUTINE ApcRoutine,
    _In_opt_ PVOID ApcContext, _Out_ PIO_STATUS_BLOCK IoStatusBlock, ULONG FsControlCode,
    _In_reads_bytes_opt_(InputBufferLength) PVOID InputBuffer, ULONG InputBufferLength,
    _Out_writes_bytes_opt_(OutputBufferLength) PVOID OutputBuffer, ULONG OutputBufferLength);
NTKERNELAPI NTSTATUS NTAPI ZwQueryVolumeInformationFile(HANDLE FileHandle,
                                                        _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                                        _Out_writes_bytes_(Length)
                                                            PVOID FsInformation,
                                                        ULONG Length,
                                                        FS_INFORMATION_CLASS FsInformationClass);
NTKERNELAPI NTSTATUS NTAPI ZwSetVolumeInformationFile(HANDLE FileHandle,
                                                      _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                                      _In_reads_bytes_(Length) PVOID FsInformation,
                                                      ULONG Length,
                                                      FS_INFORMATION_CLASS FsInformationClass);
NTKERNELAPI NTSTATUS NTAPI ZwQueryEaFile(HANDLE FileHandle, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                         _Out_writes_bytes_(Length) PVOID Buffer, ULONG Length,
                                         BOOLEAN ReturnSingleEntry,
                                         _In_reads_bytes_opt_(EaListLength) PVOID EaList,
                                         ULONG EaListLength, _In_opt_ PULONG EaIndex,
                                         BOOLEAN RestartScan);
NTKERNELAPI NTSTATUS NTAPI ZwSetEaFile(HANDLE FileHandle, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                       _In_reads_bytes_(Length) PVOID Buffer, ULONG Length);
NTKERNELAPI NTSTATUS NTAPI ZwQuerySecurityObject(HANDLE Handle,
                                                 SECURITY_INFORMATION SecurityInformation,
                                                 _Out_writes_bytes_to_opt_(Length, *LengthNeeded)
                                                     PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                 ULONG Length, _Out_ PULONG LengthNeeded);
NTKERNELAPI NTSTATUS NTAPI ZwSetSecurityObject(HANDLE Handle,
                                               SECURITY_INFORMATION SecurityInformation,
                                               PSECURITY_DESCRIPTOR SecurityDescriptor);
NTKERNELAPI NTSTATUS NTAPI ZwLockFile(HANDLE FileHandle, _In_opt_ HANDLE Event,
                                      _In_opt_ PIO_APC_ROUTINE ApcRoutine,
                                      _In_opt_ PVOID ApcContext,
                                      _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                      PLARGE_INTEGER ByteOffset, PLARGE_INTEGER Length, ULONG Key,
                                      BOOLEAN FailImmediately, BOOLEAN ExclusiveLock);
NTKERNELAPI NTSTATUS NTAPI ZwUnlockFile(HANDLE FileHandle, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                        PLARGE_INTEGER ByteOffset, PLARGE_INTEGER Length,
                                        ULONG Key);
NTKERNELAPI NTSTATUS NTAPI ZwQueryFullAttributesFile(
    POBJECT_ATTRIBUTES ObjectAttributes, _Out_ PFILE_NETWORK_OPEN_INFORMATION FileInformation);
NTKERNELAPI NTSTATUS NTAPI ZwDuplicateObject(HANDLE SourceProcessHandle, HANDLE SourceHandle,
                                             _In_opt_ HANDLE TargetProcessHandle,
                                             _Out_opt_ PHANDLE TargetHandle,
                                             ACCESS_MASK DesiredAccess, ULONG HandleAttributes,
                                             ULONG Options);
NTKERNELAPI NTSTATUS NTAPI ZwOpenDirectoryObject(_Out_ PHANDLE DirectoryHandle,
                                                 ACCESS_MASK DesiredAccess,
                                                 POBJECT_ATTRIBUTES ObjectAttributes);
NTKERNELAPI NTSTATUS NTAPI ZwCreateDirectoryObject(_Out_ PHANDLE DirectoryHandle,
                                                   ACCESS_MASK DesiredAccess,
                                                   POBJECT_ATTRIBUTES ObjectAttributes);
NTKERNELAPI NTSTATUS NTAPI ZwMakeTemporaryObject(HANDLE Handle);

typedef enum _SECTION_INHERIT { ViewShare = 1, ViewUnmap } SECTION_INHERIT;
NTKERNELAPI NTSTATUS NTAPI ZwCreateSection(_Out_ PHANDLE SectionHandle, ACCESS_MASK DesiredAccess,
                                           _In_opt_ POBJECT_ATTRIBUTES ObjectAttributes,
                                           _In_opt_ PLARGE_INTEGER MaximumSize,
                                           ULONG SectionPageProtection, ULONG AllocationAttributes,
                                           _In_opt_ HANDLE FileHandle);
NTKERNELAPI NTSTATUS NTAPI ZwMapViewOfSection(
    HANDLE SectionHandle, HANDLE ProcessHandle, _Inout_ PVOID *BaseAddress, ULONG_PTR ZeroBits,
    SIZE_T CommitSize, _Inout_opt_ PLARGE_INTEGER SectionOffset, _Inout_ PSIZE_T ViewSize,
    SECTION_INHERIT InheritDisposition, ULONG AllocationType, ULONG Win32Protect);
NTKERNELAPI NTSTATUS NTAPI ZwUnmapViewOfSection(HANDLE ProcessHandle, _In_opt_ PVOID BaseAddress);
NTKERNELAPI NTSTATUS NTAPI ZwOpenProcess(_Out_ PHANDLE ProcessHandle, ACCESS_MASK DesiredAccess,
                                         POBJECT_ATTRIBUTES ObjectAttributes,
                                         _In_opt_ PCLIENT_ID ClientId);
