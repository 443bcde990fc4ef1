/*
 * Reparse points. WDK: REPARSE_DATA_BUFFER structure; [MS-FSCC] 2.1.2.
 */
#pragma once

#define MAXIMUM_REPARSE_DATA_BUFFER_SIZE 0x00004000
#define IO_REPARSE_TAG_RESERVED_ZERO     0x00000000
#define IO_REPARSE_TAG_RESERVED_ONE      0x00000001
#define IO_REPARSE_TAG_RESERVED_TWO      0x00000002
#define IO_REPARSE_TAG_RESERVED_RANGE    0x00000002
#define IO_REPARSE_TAG_VALID_VALUES      0xF000FFFF
#define IO_REPARSE_TAG_MOUNT_POINT       0xA0000003
#define IO_REPARSE_TAG_HSM               0xC0000004
#define IO_REPARSE_TAG_HSM2              0x80000006
#define IO_REPARSE_TAG_SIS               0x80000007
#define IO_REPARSE_TAG_WIM               0x80000008
#define IO_REPARSE_TAG_CSV               0x80000009
#define IO_REPARSE_TAG_DFS               0x8000000A
#define IO_REPARSE_TAG_FILTER_MANAGER    0x8000000B
#define IO_REPARSE_TAG_SYMLINK           0xA000000C
#define IO_REPARSE_TAG_IIS_CACHE         0xA0000010
#define IO_REPARSE_TAG_DFSR              0x80000012
#define IO_REPARSE_TAG_DEDUP             0x80000013
#define IO_REPARSE_TAG_APPXSTRM          0xC0000014
#define IO_REPARSE_TAG_NFS               0x80000014
#define IO_REPARSE_TAG_FILE_PLACEHOLDER  0x80000015
#define IO_REPARSE_TAG_DFM               0x80000016
#define IO_REPARSE_TAG_WOF               0x80000017
#define IO_REPARSE_TAG_WCI               0x80000018
#define IO_REPARSE_TAG_WCI_1             0x90001018
#define IO_REPARSE_TAG_GLOBAL_REPARSE    0xA0000019
#define IO_REPARSE_TAG_APPEXECLINK       0x8000001B
#define IO_REPARSE_TAG_PROJFS            0x9000001C
#define IO_REPARSE_TAG_LX_SYMLINK        0xA000001D
#define IO_REPARSE_TAG_STORAGE_SYNC      0x8000001E
#define IO_REPARSE_TAG_WCI_TOMBSTONE     0xA000001F
#define IO_REPARSE_TAG_UNHANDLED         0x80000020
#define IO_REPARSE_TAG_ONEDRIVE          0x80000021
#define IO_REPARSE_TAG_PROJFS_TOMBSTONE  0xA0000022
#define IO_REPARSE_TAG_AF_UNIX           0x80000023
#define IO_REPARSE_TAG_LX_FIFO           0x80000024
#define IO_REPARSE_TAG_LX_CHR            0x80000025
#define IO_REPARSE_TAG_LX_BLK            0x80000026
#define IO_REPARSE_TAG_WCI_LINK          0xA0000027
#define IO_REPARSE_TAG_WCI_LINK_1        0xA0001027
#define IO_REPARSE_TAG_CLOUD_MASK        0x0000F000
#define IO_REPARSE_TAG_CLOUD             0x9000001A
#define IO_REPARSE_TAG_CLOUD_1           0x9000101A
#define IO_REPARSE_TAG_CLOUD_2           0x9000201A
#define IO_REPARSE_TAG_CLOUD_3           0x9000301A
#define IO_REPARSE_TAG_CLOUD_4           0x9000401A
#define IO_REPARSE_TAG_CLOUD_5           0x9000501A
#define IO_REPARSE_TAG_CLOUD_6           0x9000601A
#define IO_REPARSE_TAG_CLOUD_7           0x9000701A
#define IO_REPARSE_TAG_CLOUD_8           0x9000801A
#define IO_REPARSE_TAG_CLOUD_9           0x9000901A
#define IO_REPARSE_TAG_CLOUD_A           0x9000A01A
#define IO_REPARSE_TAG_CLOUD_B           0x9000B01A
#define IO_REPARSE_TAG_CLOUD_C           0x9000C01A
#define IO_REPARSE_TAG_CLOUD_D           0x9000D01A
#define IO_REPARSE_TAG_CLOUD_E           0x9000E01A
#define IO_REPARSE_TAG_CLOUD_F           0x9000F01A
#define IsReparseTagMicrosoft(tag)       ((tag) & 0x80000000)
#define IsReparseTagNameSurrogate(tag)   ((tag) & 0x20000000)
#define IsReparseTagDirectory(tag)       ((tag) & 0x10000000)
#define IsReparseTagValid(tag)                                                                     \
    (!((tag) & ~IO_REPARSE_TAG_VALID_VALUES) && ((tag) > IO_REPARSE_TAG_RESERVED_RANGE))
#define SYMLINK_FLAG_RELATIVE 0x00000001
#define SYMLINK_FILE          0x40000000
#define SYMLINK_DIRECTORY     0x80000000
#define SYMLINK_RESERVED_MASK 0xF0000000

typedef struct _REPARSE_DATA_BUFFER {
    ULONG ReparseTag;
    USHORT ReparseDataLength;
    USHORT Reserved;
    union {
        struct {
            USHORT SubstituteNameOffset;
            USHORT SubstituteNameLength;
            USHORT PrintNameOffset;
            USHORT PrintNameLength;
            ULONG Flags;
            WCHAR PathBuffer[1];
        } SymbolicLinkReparseBuffer;
        struct {
            USHORT SubstituteNameOffset;
            USHORT SubstituteNameLength;
            USHORT PrintNameOffset;
            USHORT PrintNameLength;
            WCHAR PathBuffer[1];
        } MountPointReparseBuffer;
        struct {
            UCHAR DataBuffer[1];
        } GenericReparseBuffer;
    };
} REPARSE_DATA_BUFFER, *PREPARSE_DATA_BUFFER;
#define REPARSE_DATA_BUFFER_HEADER_SIZE FIELD_OFFSET(REPARSE_DATA_BUFFER, GenericReparseBuffer)

typedef struct _REPARSE_GUID_DATA_BUFFER {
    ULONG ReparseTag;
    USHORT ReparseDataLength;
    USHORT Reserved;
    GUID ReparseGuid;
    struct {
        UCHAR DataBuffer[1];
    } GenericReparseBuffer;
} REPARSE_GUID_DATA_BUFFER, *PREPARSE_GUID_DATA_BUFFER;
#define REPARSE_GUID_DATA_BUFFER_HEADER_SIZE                                                       \
    FIELD_OFFSET(REPARSE_GUID_DATA_BUFFER, GenericReparseBuffer)

typedef struct _REPARSE_DATA_BUFFER_EX {
    ULONG Flags;
    ULONG ExistingReparseTag;
    GUID ExistingReparseGuid;
    ULONGLONG Reserved;
    union {
        REPARSE_DATA_BUFFER ReparseDataBuffer;
        REPARSE_GUID_DATA_BUFFER ReparseGuidDataBuffer;
    };
} REPARSE_DATA_BUFFER_EX, *PREPARSE_DATA_BUFFER_EX;
#define REPARSE_DATA_EX_FLAG_GIVEN_TAG_OR_NONE 0x00000001
#define REPARSE_DATA_BUFFER_EX_HEADER_SIZE                                                         \
    UFIELD_OFFSET(REPARSE_DATA_BUFFER_EX, ReparseDataBuffer.GenericReparseBuffer)
#define REPARSE_GUID_DATA_BUFFER_EX_HEADER_SIZE                                                    \
    UFIELD_OFFSET(REPARSE_DATA_BUFFER_EX, ReparseGuidDataBuffer.GenericReparseBuffer)

/* IoStatus.Information together with STATUS_REPARSE */
#define IO_REPARSE        0x00000000
#define IO_REMOUNT        0x00000001
#define IO_REPARSE_GLOBAL 0x00000002

NTKERNELAPI NTSTATUS NTAPI FsRtlValidateReparsePointBuffer(ULONG BufferLength,
                                                           _In_reads_bytes_(BufferLength)
                                                               PREPARSE_DATA_BUFFER ReparseBuffer);
