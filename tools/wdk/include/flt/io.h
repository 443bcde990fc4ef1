/*
 * Files and volumes as a filter uses them itself: requests go to the instances below the one named,
 * at PASSIVE_LEVEL.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI
FltCreateFile(PFLT_FILTER Filter, _In_opt_ PFLT_INSTANCE Instance, _Out_ PHANDLE FileHandle,
              ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
              _Out_ PIO_STATUS_BLOCK IoStatusBlock, _In_opt_ PLARGE_INTEGER AllocationSize,
              ULONG FileAttributes, ULONG ShareAccess, ULONG CreateDisposition, ULONG CreateOptions,
              _In_reads_bytes_opt_(EaLength) PVOID EaBuffer, ULONG EaLength, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI
FltCreateFileEx(PFLT_FILTER Filter, _In_opt_ PFLT_INSTANCE Instance, _Out_ PHANDLE FileHandle,
                _Outptr_opt_ PFILE_OBJECT *FileObject, ACCESS_MASK DesiredAccess,
                POBJECT_ATTRIBUTES ObjectAttributes, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                _In_opt_ PLARGE_INTEGER AllocationSize, ULONG FileAttributes, ULONG ShareAccess,
                ULONG CreateDisposition, ULONG CreateOptions,
                _In_reads_bytes_opt_(EaLength) PVOID EaBuffer, ULONG EaLength, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI FltCreateFileEx2(
    PFLT_FILTER Filter, _In_opt_ PFLT_INSTANCE Instance, _Out_ PHANDLE FileHandle,
    _Outptr_opt_ PFILE_OBJECT *FileObject, ACCESS_MASK DesiredAccess,
    POBJECT_ATTRIBUTES ObjectAttributes, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
    _In_opt_ PLARGE_INTEGER AllocationSize, ULONG FileAttributes, ULONG ShareAccess,
    ULONG CreateDisposition, ULONG CreateOptions, _In_reads_bytes_opt_(EaLength) PVOID EaBuffer,
    ULONG EaLength, ULONG Flags, _In_opt_ PIO_DRIVER_CREATE_CONTEXT DriverContext);
NTKERNELAPI NTSTATUS NTAPI FltClose(HANDLE FileHandle);
NTKERNELAPI NTSTATUS NTAPI FltOpenVolume(PFLT_INSTANCE Instance, _Out_ PHANDLE VolumeHandle,
                                         _Outptr_opt_ PFILE_OBJECT *VolumeFileObject);
NTKERNELAPI NTSTATUS NTAPI FltQueryInformationByName(
    PFLT_FILTER Filter, _In_opt_ PFLT_INSTANCE Instance, POBJECT_ATTRIBUTES ObjectAttributes,
    _Out_ PIO_STATUS_BLOCK IoStatusBlock, _Out_writes_bytes_(Length) PVOID FileInformation,
    ULONG Length, FILE_INFORMATION_CLASS FileInformationClass,
    _In_opt_ PIO_DRIVER_CREATE_CONTEXT DriverContext);

/* Reads and writes */
typedef ULONG FLT_IO_OPERATION_FLAGS;
#define FLTFL_IO_OPERATION_NON_CACHED                0x00000001
#define FLTFL_IO_OPERATION_PAGING                    0x00000002
#define FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET 0x00000004
#define FLTFL_IO_OPERATION_SYNCHRONOUS_PAGING        0x00000008
NTKERNELAPI NTSTATUS NTAPI FltReadFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                       _In_opt_ PLARGE_INTEGER ByteOffset, ULONG Length,
                                       _Out_writes_bytes_to_(Length, *BytesRead) PVOID Buffer,
                                       FLT_IO_OPERATION_FLAGS Flags, _Out_opt_ PULONG BytesRead,
                                       _In_opt_ PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
                                       _In_opt_ PVOID CallbackContext);
NTKERNELAPI NTSTATUS NTAPI FltReadFileEx(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                         _In_opt_ PLARGE_INTEGER ByteOffset, ULONG Length,
                                         _Out_writes_bytes_to_opt_(Length, *BytesRead) PVOID Buffer,
                                         FLT_IO_OPERATION_FLAGS Flags, _Out_opt_ PULONG BytesRead,
                                         _In_opt_ PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
                                         _In_opt_ PVOID CallbackContext, _In_opt_ PULONG Key,
                                         _In_opt_ PMDL Mdl);
NTKERNELAPI NTSTATUS NTAPI FltWriteFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                        _In_opt_ PLARGE_INTEGER ByteOffset, ULONG Length,
                                        _In_reads_bytes_(Length) PVOID Buffer,
                                        FLT_IO_OPERATION_FLAGS Flags, _Out_opt_ PULONG BytesWritten,
                                        _In_opt_ PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
                                        _In_opt_ PVOID CallbackContext);
NTKERNELAPI NTSTATUS NTAPI FltWriteFileEx(
    PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject, _In_opt_ PLARGE_INTEGER ByteOffset,
    ULONG Length, _In_reads_bytes_opt_(Length) PVOID Buffer, FLT_IO_OPERATION_FLAGS Flags,
    _Out_opt_ PULONG BytesWritten, _In_opt_ PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
    _In_opt_ PVOID CallbackContext, _In_opt_ PULONG Key, _In_opt_ PMDL Mdl);
#define FLT_FLUSH_TYPE_FLUSH_AND_PURGE 0x00000001
#define FLT_FLUSH_TYPE_FILE_DATA_ONLY  0x00000002
#define FLT_FLUSH_TYPE_NO_SYNC         0x00000004
#define FLT_FLUSH_TYPE_DATA_SYNC_ONLY  0x00000008
NTKERNELAPI NTSTATUS NTAPI FltFlushBuffers(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject);
NTKERNELAPI NTSTATUS NTAPI FltFlushBuffers2(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                            ULONG FlushType,
                                            _In_opt_ PFLT_CALLBACK_DATA CallbackData);
NTKERNELAPI BOOLEAN NTAPI FltFastIoMdlRead(PFILE_OBJECT FileObject,
                                           _In_opt_ PLARGE_INTEGER FileOffset,
                                           _In_opt_ PFLT_INSTANCE InitiatingInstance, ULONG Length,
                                           ULONG LockKey, _Outptr_ PMDL *MdlChain,
                                           _Out_ PIO_STATUS_BLOCK IoStatus);
NTKERNELAPI BOOLEAN NTAPI FltFastIoMdlReadComplete(PFILE_OBJECT FileObject,
                                                   _In_opt_ PFLT_INSTANCE InitiatingInstance,
                                                   PMDL MdlChain);
NTKERNELAPI BOOLEAN NTAPI FltFastIoPrepareMdlWrite(PFILE_OBJECT FileObject,
                                                   _In_opt_ PLARGE_INTEGER FileOffset,
                                                   _In_opt_ PFLT_INSTANCE InitiatingInstance,
                                                   ULONG Length, ULONG LockKey,
                                                   _Outptr_ PMDL *MdlChain,
                                                   _Out_ PIO_STATUS_BLOCK IoStatus);
NTKERNELAPI BOOLEAN NTAPI FltFastIoMdlWriteComplete(PFILE_OBJECT FileObject,
                                                    PLARGE_INTEGER FileOffset,
                                                    _In_opt_ PFLT_INSTANCE InitiatingInstance,
                                                    PMDL MdlChain);

/* Information, attributes, security */
NTKERNELAPI NTSTATUS NTAPI FltQueryInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                   _Out_writes_bytes_to_(Length, *LengthReturned)
                                                       PVOID FileInformation,
                                                   ULONG Length,
                                                   FILE_INFORMATION_CLASS FileInformationClass,
                                                   _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltSetInformationFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                 _In_reads_bytes_(Length) PVOID FileInformation,
                                                 ULONG Length,
                                                 FILE_INFORMATION_CLASS FileInformationClass);
NTKERNELAPI NTSTATUS NTAPI FltQueryDirectoryFile(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
    _Out_writes_bytes_(Length) PVOID FileInformation, ULONG Length,
    FILE_INFORMATION_CLASS FileInformationClass, BOOLEAN ReturnSingleEntry,
    _In_opt_ PUNICODE_STRING FileName, BOOLEAN RestartScan, _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltQueryDirectoryFileEx(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                   _Out_writes_bytes_(Length) PVOID FileInformation,
                                                   ULONG Length,
                                                   FILE_INFORMATION_CLASS FileInformationClass,
                                                   ULONG QueryFlags,
                                                   _In_opt_ PUNICODE_STRING FileName,
                                                   _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltQueryEaFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                          _Out_writes_bytes_to_(Length, *LengthReturned)
                                              PVOID ReturnedEaData,
                                          ULONG Length, BOOLEAN ReturnSingleEntry,
                                          _In_reads_bytes_opt_(EaListLength) PVOID EaList,
                                          ULONG EaListLength, _In_opt_ PULONG EaIndex,
                                          BOOLEAN RestartScan, _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltSetEaFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                        _In_reads_bytes_(Length) PVOID EaBuffer, ULONG Length);
NTKERNELAPI NTSTATUS NTAPI FltQuerySecurityObject(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                  SECURITY_INFORMATION SecurityInformation,
                                                  _Inout_updates_bytes_opt_(Length)
                                                      PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                  ULONG Length, _Out_opt_ PULONG LengthNeeded);
NTKERNELAPI NTSTATUS NTAPI FltSetSecurityObject(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                SECURITY_INFORMATION SecurityInformation,
                                                PSECURITY_DESCRIPTOR SecurityDescriptor);
NTKERNELAPI NTSTATUS NTAPI FltQueryVolumeInformation(PFLT_INSTANCE Instance,
                                                     _Out_ PIO_STATUS_BLOCK Iosb,
                                                     _Out_writes_bytes_(Length) PVOID FsInformation,
                                                     ULONG Length,
                                                     FS_INFORMATION_CLASS FsInformationClass);
NTKERNELAPI NTSTATUS NTAPI FltQueryVolumeInformationFile(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
    _Out_writes_bytes_to_(Length, *LengthReturned) PVOID FsInformation, ULONG Length,
    FS_INFORMATION_CLASS FsInformationClass, _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltSetVolumeInformation(PFLT_INSTANCE Instance,
                                                   _Out_ PIO_STATUS_BLOCK Iosb,
                                                   _Out_writes_bytes_(Length) PVOID FsInformation,
                                                   ULONG Length,
                                                   FS_INFORMATION_CLASS FsInformationClass);

NTKERNELAPI NTSTATUS NTAPI FltQueryQuotaInformationFile(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
    _Out_writes_bytes_to_(Length, *LengthReturned) PVOID Buffer, ULONG Length,
    BOOLEAN ReturnSingleEntry, _In_reads_bytes_opt_(SidListLength) PVOID SidList,
    ULONG SidListLength, _In_opt_ PSID StartSid, BOOLEAN RestartScan,
    _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltSetQuotaInformationFile(PFLT_INSTANCE Instance,
                                                      PFILE_OBJECT FileObject,
                                                      _In_reads_bytes_(Length) PVOID Buffer,
                                                      ULONG Length);

/* Controls */
NTKERNELAPI NTSTATUS NTAPI
FltFsControlFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, ULONG FsControlCode,
                 _In_reads_bytes_opt_(InputBufferLength) PVOID InputBuffer, ULONG InputBufferLength,
                 _Out_writes_bytes_to_opt_(OutputBufferLength, *LengthReturned) PVOID OutputBuffer,
                 ULONG OutputBufferLength, _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltDeviceIoControlFile(
    PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, ULONG IoControlCode,
    _In_reads_bytes_opt_(InputBufferLength) PVOID InputBuffer, ULONG InputBufferLength,
    _Out_writes_bytes_to_opt_(OutputBufferLength, *LengthReturned) PVOID OutputBuffer,
    ULONG OutputBufferLength, _Out_opt_ PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FltTagFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                      ULONG FileTag, _In_opt_ GUID *Guid,
                                      _In_reads_bytes_(DataBufferLength) PVOID DataBuffer,
                                      USHORT DataBufferLength);
NTKERNELAPI NTSTATUS NTAPI FltTagFileEx(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                        ULONG FileTag, _In_opt_ GUID *Guid,
                                        _In_reads_bytes_opt_(DataBufferLength) PVOID DataBuffer,
                                        USHORT DataBufferLength, ULONG ExistingFileTag,
                                        _In_opt_ GUID *ExistingGuid, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI FltUntagFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                                        ULONG FileTag, _In_opt_ GUID *Guid);
