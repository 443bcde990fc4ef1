/*
 * The I/O manager as file systems and their filters use it.
 */
#pragma once

/* Minor functions of file systems */
#define IRP_MN_NORMAL                     0x00
#define IRP_MN_DPC                        0x01
#define IRP_MN_MDL                        0x02
#define IRP_MN_COMPLETE                   0x04
#define IRP_MN_COMPRESSED                 0x08
#define IRP_MN_MDL_DPC                    0x03
#define IRP_MN_COMPLETE_MDL               0x06
#define IRP_MN_COMPLETE_MDL_DPC           0x07
#define IRP_MN_USER_FS_REQUEST            0x00
#define IRP_MN_MOUNT_VOLUME               0x01
#define IRP_MN_VERIFY_VOLUME              0x02
#define IRP_MN_LOAD_FILE_SYSTEM           0x03
#define IRP_MN_TRACK_LINK                 0x04
#define IRP_MN_KERNEL_CALL                0x04
#define IRP_MN_LOCK                       0x01
#define IRP_MN_UNLOCK_SINGLE              0x02
#define IRP_MN_UNLOCK_ALL                 0x03
#define IRP_MN_UNLOCK_ALL_BY_KEY          0x04
#define IRP_MN_QUERY_DIRECTORY            0x01
#define IRP_MN_NOTIFY_CHANGE_DIRECTORY    0x02
#define IRP_MN_NOTIFY_CHANGE_DIRECTORY_EX 0x03
#define IRP_MN_FLUSH_AND_PURGE            0x01
#define IRP_MN_FLUSH_DATA_ONLY            0x02
#define IRP_MN_FLUSH_NO_SYNC              0x03
#define IRP_MN_FLUSH_DATA_SYNC_ONLY       0x04

/* Flags of stack locations, options of a create */
#define SL_ALLOW_RAW_MOUNT                        0x01
#define SL_BYPASS_ACCESS_CHECK                    0x01
#define SL_INFO_FORCE_ACCESS_CHECK                0x01
#define SL_INFO_IGNORE_READONLY_ATTRIBUTE         0x40
#define SL_IGNORE_READONLY_ATTRIBUTE              0x40
#define SL_NO_CURSOR_UPDATE                       0x10
#define SL_OVERRIDE_VERIFY_VOLUME                 0x02
#define SL_QUERY_DIRECTORY_MASK                   0x1B
#define SL_REALTIME_STREAM                        0x20
#define FILE_CREATE_TREE_CONNECTION               0x00000080
#define FILE_OPEN_REMOTE_INSTANCE                 0x00000400
#define FILE_OPEN_REQUIRING_OPLOCK                0x00010000
#define FILE_DISALLOW_EXCLUSIVE                   0x00020000
#define FILE_SESSION_AWARE                        0x00040000
#define FILE_RESERVE_OPFILTER                     0x00100000
#define FILE_OPEN_NO_RECALL                       0x00400000
#define FILE_OPEN_FOR_FREE_SPACE_QUERY            0x00800000
#define FILE_CONTAINS_EXTENDED_CREATE_INFORMATION 0x10000000
#define FILE_VALID_OPTION_FLAGS                   0x00FFFFFF
#define FILE_VALID_SET_FLAGS                      0x00000036
#define FILE_WRITE_TO_END_OF_FILE                 0xFFFFFFFF
#define FILE_USE_FILE_POINTER_POSITION            0xFFFFFFFE
#define IO_FORCE_ACCESS_CHECK                     0x0001
#define IO_OPEN_PAGING_FILE                       0x0002
#define IO_OPEN_TARGET_DIRECTORY                  0x0004
#define IO_STOP_ON_SYMLINK                        0x0008
#define IO_IGNORE_READONLY_ATTRIBUTE              0x0040
#define IO_NO_PARAMETER_CHECKING                  0x0100
#define IO_CHECK_CREATE_PARAMETERS                0x0200
#define IO_ATTACH_DEVICE                          0x0400
#define IO_IGNORE_SHARE_ACCESS_CHECK              0x0800

/* Memory of sections */
#define PAGE_NOACCESS          0x00000001
#define PAGE_READONLY          0x00000002
#define PAGE_READWRITE         0x00000004
#define PAGE_WRITECOPY         0x00000008
#define PAGE_EXECUTE           0x00000010
#define PAGE_EXECUTE_READ      0x00000020
#define PAGE_EXECUTE_READWRITE 0x00000040
#define PAGE_EXECUTE_WRITECOPY 0x00000080
#define PAGE_GUARD             0x00000100
#define PAGE_NOCACHE           0x00000200
#define PAGE_WRITECOMBINE      0x00000400
#define SEC_FILE               0x00800000
#define SEC_IMAGE              0x01000000
#define SEC_RESERVE            0x04000000
#define SEC_COMMIT             0x08000000
#define SEC_NOCACHE            0x10000000
#define SEC_LARGE_PAGES        0x80000000
#define MEM_COMMIT             0x00001000
#define MEM_RESERVE            0x00002000
#define MEM_DECOMMIT           0x00004000
#define MEM_RELEASE            0x00008000

/* The top-level component of a thread's recursion: an IRP or one of these */
#define FSRTL_FSP_TOP_LEVEL_IRP       ((LONG_PTR)0x01)
#define FSRTL_CACHE_TOP_LEVEL_IRP     ((LONG_PTR)0x02)
#define FSRTL_MOD_WRITE_TOP_LEVEL_IRP ((LONG_PTR)0x03)
#define FSRTL_FAST_IO_TOP_LEVEL_IRP   ((LONG_PTR)0x04)
#define FSRTL_NETWORK1_TOP_LEVEL_IRP  ((LONG_PTR)0x05)
#define FSRTL_NETWORK2_TOP_LEVEL_IRP  ((LONG_PTR)0x06)
#define FSRTL_MAX_TOP_LEVEL_IRP_FLAG  ((LONG_PTR)0xFFFF)
NTKERNELAPI PIRP NTAPI IoGetTopLevelIrp(VOID);
NTKERNELAPI VOID NTAPI IoSetTopLevelIrp(_In_opt_ PIRP Irp);

NTKERNELAPI BOOLEAN NTAPI IoIsOperationSynchronous(PIRP Irp);
NTKERNELAPI BOOLEAN NTAPI IoIsSystemThread(PETHREAD Thread);
NTKERNELAPI PEPROCESS NTAPI IoThreadToProcess(PETHREAD Thread);
NTKERNELAPI NTSTATUS NTAPI IoGetRequestorSessionId(PIRP Irp, _Out_ PULONG pSessionId);
NTKERNELAPI NTSTATUS NTAPI IoCheckEaBufferValidity(_In_reads_bytes_(EaLength)
                                                       PFILE_FULL_EA_INFORMATION EaBuffer,
                                                   ULONG EaLength, _Out_ PULONG ErrorOffset);
NTKERNELAPI NTSTATUS NTAPI IoCheckDesiredAccess(_Inout_ PACCESS_MASK DesiredAccess,
                                                ACCESS_MASK GrantedAccess);
NTKERNELAPI NTSTATUS NTAPI IoReplaceFileObjectName(PFILE_OBJECT FileObject,
                                                   _In_reads_bytes_(FileNameLength)
                                                       PWSTR NewFileName,
                                                   USHORT FileNameLength);
NTKERNELAPI NTSTATUS NTAPI IoQueryFileInformation(PFILE_OBJECT FileObject,
                                                  FILE_INFORMATION_CLASS FileInformationClass,
                                                  ULONG Length,
                                                  _Out_writes_bytes_to_(Length, *ReturnedLength)
                                                      PVOID FileInformation,
                                                  _Out_ PULONG ReturnedLength);
NTKERNELAPI NTSTATUS NTAPI IoQueryVolumeInformation(PFILE_OBJECT FileObject,
                                                    FS_INFORMATION_CLASS FsInformationClass,
                                                    ULONG Length,
                                                    _Out_writes_bytes_to_(Length, *ReturnedLength)
                                                        PVOID FsInformation,
                                                    _Out_ PULONG ReturnedLength);
NTKERNELAPI NTSTATUS NTAPI IoSetInformation(PFILE_OBJECT FileObject,
                                            FILE_INFORMATION_CLASS FileInformationClass,
                                            ULONG Length,
                                            _In_reads_bytes_(Length) PVOID FileInformation);
NTKERNELAPI NTSTATUS NTAPI IoQueryFileDosDeviceName(
    PFILE_OBJECT FileObject, _Outptr_ POBJECT_NAME_INFORMATION *ObjectNameInformation);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceToDosName(PVOID VolumeDeviceObject,
                                                   _Out_ PUNICODE_STRING DosName);
NTKERNELAPI BOOLEAN NTAPI IoIsFileOriginRemote(PFILE_OBJECT FileObject);
NTKERNELAPI VOID NTAPI IoCancelFileOpen(PDEVICE_OBJECT DeviceObject, PFILE_OBJECT FileObject);
NTKERNELAPI PFILE_OBJECT NTAPI IoCreateStreamFileObject(_In_opt_ PFILE_OBJECT FileObject,
                                                        _In_opt_ PDEVICE_OBJECT DeviceObject);
NTKERNELAPI PFILE_OBJECT NTAPI IoCreateStreamFileObjectLite(_In_opt_ PFILE_OBJECT FileObject,
                                                            _In_opt_ PDEVICE_OBJECT DeviceObject);
NTKERNELAPI NTSTATUS NTAPI IoPageRead(PFILE_OBJECT FileObject, PMDL MemoryDescriptorList,
                                      PLARGE_INTEGER StartingOffset, PKEVENT Event,
                                      _Out_ PIO_STATUS_BLOCK IoStatusBlock);
NTKERNELAPI NTSTATUS NTAPI IoSynchronousPageWrite(PFILE_OBJECT FileObject,
                                                  PMDL MemoryDescriptorList,
                                                  PLARGE_INTEGER StartingOffset, PKEVENT Event,
                                                  _Out_ PIO_STATUS_BLOCK IoStatusBlock);

/* Opening files in a driver's name */
typedef enum _CREATE_FILE_TYPE {
    CreateFileTypeNone,
    CreateFileTypeNamedPipe,
    CreateFileTypeMailslot
} CREATE_FILE_TYPE;
typedef struct _IO_DRIVER_CREATE_CONTEXT {
    CSHORT Size;
    PECP_LIST ExtraCreateParameter;
    PVOID DeviceObjectHint;
    PTXN_PARAMETER_BLOCK TxnParameters;
    PEJOB SiloContext;
} IO_DRIVER_CREATE_CONTEXT, *PIO_DRIVER_CREATE_CONTEXT;
FORCEINLINE VOID IoInitializeDriverCreateContext(_Out_ PIO_DRIVER_CREATE_CONTEXT DriverContext)
{
    __builtin_memset(DriverContext, 0, sizeof(*DriverContext));
    DriverContext->Size = sizeof(*DriverContext);
}
NTKERNELAPI NTSTATUS NTAPI IoCreateFile(_Out_ PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
                                        POBJECT_ATTRIBUTES ObjectAttributes,
                                        _Out_ PIO_STATUS_BLOCK IoStatusBlock,
                                        _In_opt_ PLARGE_INTEGER AllocationSize,
                                        ULONG FileAttributes, ULONG ShareAccess, ULONG Disposition,
                                        ULONG CreateOptions, _In_opt_ PVOID EaBuffer,
                                        ULONG EaLength, CREATE_FILE_TYPE CreateFileType,
                                        _In_opt_ PVOID InternalParameters, ULONG Options);
NTKERNELAPI NTSTATUS NTAPI
IoCreateFileEx(_Out_ PHANDLE FileHandle, ACCESS_MASK DesiredAccess,
               POBJECT_ATTRIBUTES ObjectAttributes, _Out_ PIO_STATUS_BLOCK IoStatusBlock,
               _In_opt_ PLARGE_INTEGER AllocationSize, ULONG FileAttributes, ULONG ShareAccess,
               ULONG Disposition, ULONG CreateOptions, _In_opt_ PVOID EaBuffer, ULONG EaLength,
               CREATE_FILE_TYPE CreateFileType, _In_opt_ PVOID InternalParameters, ULONG Options,
               _In_opt_ PIO_DRIVER_CREATE_CONTEXT DriverContext);
NTKERNELAPI NTSTATUS NTAPI IoCreateFileSpecifyDeviceObjectHint(
    _Out_ PHANDLE FileHandle, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
    _Out_ PIO_STATUS_BLOCK IoStatusBlock, _In_opt_ PLARGE_INTEGER AllocationSize,
    ULONG FileAttributes, ULONG ShareAccess, ULONG Disposition, ULONG CreateOptions,
    _In_opt_ PVOID EaBuffer, ULONG EaLength, CREATE_FILE_TYPE CreateFileType,
    _In_opt_ PVOID InternalParameters, ULONG Options, _In_opt_ PVOID DeviceObject);

/* File systems and their volumes */
typedef VOID NTAPI DRIVER_FS_NOTIFICATION(PDEVICE_OBJECT DeviceObject, BOOLEAN FsActive);
typedef DRIVER_FS_NOTIFICATION *PDRIVER_FS_NOTIFICATION;
NTKERNELAPI VOID NTAPI IoRegisterFileSystem(_Inout_ PDEVICE_OBJECT DeviceObject);
NTKERNELAPI VOID NTAPI IoUnregisterFileSystem(_Inout_ PDEVICE_OBJECT DeviceObject);
NTKERNELAPI NTSTATUS NTAPI IoRegisterFsRegistrationChange(
    PDRIVER_OBJECT DriverObject, PDRIVER_FS_NOTIFICATION DriverNotificationRoutine);
NTKERNELAPI VOID NTAPI IoUnregisterFsRegistrationChange(
    PDRIVER_OBJECT DriverObject, PDRIVER_FS_NOTIFICATION DriverNotificationRoutine);
NTKERNELAPI NTSTATUS NTAPI IoEnumerateDeviceObjectList(
    PDRIVER_OBJECT DriverObject,
    _Out_writes_bytes_to_opt_(DeviceObjectListSize, *ActualNumberDeviceObjects)
        PDEVICE_OBJECT *DeviceObjectList,
    ULONG DeviceObjectListSize, _Out_ PULONG ActualNumberDeviceObjects);
NTKERNELAPI PDEVICE_OBJECT NTAPI IoGetBaseFileSystemDeviceObject(PFILE_OBJECT FileObject);
NTKERNELAPI PDEVICE_OBJECT NTAPI IoGetDeviceAttachmentBaseRef(PDEVICE_OBJECT DeviceObject);
NTKERNELAPI NTSTATUS NTAPI IoGetDiskDeviceObject(PDEVICE_OBJECT FileSystemDeviceObject,
                                                 _Out_ PDEVICE_OBJECT *DiskDeviceObject);
NTKERNELAPI VOID NTAPI IoAcquireVpbSpinLock(_Out_ PKIRQL Irql);
NTKERNELAPI VOID NTAPI IoReleaseVpbSpinLock(KIRQL Irql);
NTKERNELAPI PDEVICE_OBJECT NTAPI IoGetDeviceToVerify(PETHREAD Thread);
NTKERNELAPI VOID NTAPI IoSetDeviceToVerify(PETHREAD Thread, _In_opt_ PDEVICE_OBJECT DeviceObject);
NTKERNELAPI NTSTATUS NTAPI IoVerifyVolume(PDEVICE_OBJECT DeviceObject, BOOLEAN AllowRawMount);

/* Sharing modes */
typedef struct _SHARE_ACCESS {
    ULONG OpenCount;
    ULONG Readers;
    ULONG Writers;
    ULONG Deleters;
    ULONG SharedRead;
    ULONG SharedWrite;
    ULONG SharedDelete;
} SHARE_ACCESS, *PSHARE_ACCESS;
NTKERNELAPI NTSTATUS NTAPI IoCheckShareAccess(ACCESS_MASK DesiredAccess, ULONG DesiredShareAccess,
                                              _Inout_ PFILE_OBJECT FileObject,
                                              _Inout_ PSHARE_ACCESS ShareAccess, BOOLEAN Update);
NTKERNELAPI VOID NTAPI IoSetShareAccess(ACCESS_MASK DesiredAccess, ULONG DesiredShareAccess,
                                        _Inout_ PFILE_OBJECT FileObject,
                                        _Out_ PSHARE_ACCESS ShareAccess);
NTKERNELAPI VOID NTAPI IoUpdateShareAccess(PFILE_OBJECT FileObject,
                                           _Inout_ PSHARE_ACCESS ShareAccess);
NTKERNELAPI VOID NTAPI IoRemoveShareAccess(PFILE_OBJECT FileObject,
                                           _Inout_ PSHARE_ACCESS ShareAccess);
