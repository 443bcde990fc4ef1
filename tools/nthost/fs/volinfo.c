/* IRP_MJ_QUERY_VOLUME_INFORMATION, IRP_MJ_SET_VOLUME_INFORMATION; [MS-FSCC] 2.5. */
#include "fsp.h"
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

struct sizes {
    LONGLONG total, available, free;
    ULONG sectors;
};

static NTSTATUS take_sizes(const struct fs_volume *volume, struct sizes *out)
{
    struct statvfs st;
    if (fstatvfs(volume->root_fd, &st) != 0)
        return fs_status_of(errno);
    out->total = (LONGLONG)st.f_blocks;
    out->available = (LONGLONG)st.f_bavail;
    out->free = (LONGLONG)st.f_bfree;
    out->sectors = (ULONG)(st.f_frsize / FS_SECTOR);
    return STATUS_SUCCESS;
}

/* A structure with text at its end, cut where there is no room. */
static NTSTATUS put(UCHAR *out, ULONG room, const void *head, ULONG head_bytes, const void *text,
                    ULONG text_bytes, ULONG_PTR *bytes)
{
    if (room < head_bytes)
        return STATUS_INFO_LENGTH_MISMATCH;
    ULONG fits = text_bytes < room - head_bytes ? text_bytes : (room - head_bytes) & ~1u;
    memcpy(out, head, head_bytes);
    if (fits != 0)
        memcpy(out + head_bytes, text, fits);
    *bytes = head_bytes + fits;
    return fits < text_bytes ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

NTSTATUS fs_query_volume(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    static const WCHAR ntfs[] = L"NTFS";
    struct fs_volume *volume = volume_of(device);
    UCHAR *out = irp->AssociatedIrp.SystemBuffer;
    ULONG room = stack->Parameters.QueryVolume.Length;
    ULONG_PTR *bytes = &irp->IoStatus.Information;
    struct sizes sizes = {0};
    NTSTATUS status = take_sizes(volume, &sizes);
    if (!NT_SUCCESS(status))
        return status;
    switch ((int)stack->Parameters.QueryVolume.FsInformationClass) {
    case FileFsVolumeInformation: {
        FILE_FS_VOLUME_INFORMATION info = {.VolumeSerialNumber = (ULONG)volume->serial,
                                           .VolumeLabelLength =
                                               volume->label_chars * (ULONG)sizeof(WCHAR),
                                           .SupportsObjects = TRUE};
        info.VolumeCreationTime.QuadPart = node_creation_time(volume->root);
        return put(out, room, &info, FIELD_OFFSET(FILE_FS_VOLUME_INFORMATION, VolumeLabel),
                   volume->label, info.VolumeLabelLength, bytes);
    }
    case FileFsSizeInformation: {
        FILE_FS_SIZE_INFORMATION info = {.SectorsPerAllocationUnit = sizes.sectors,
                                         .BytesPerSector = FS_SECTOR};
        info.TotalAllocationUnits.QuadPart = sizes.total;
        info.AvailableAllocationUnits.QuadPart = sizes.available;
        return put(out, room, &info, sizeof(info), NULL, 0, bytes);
    }
    case FileFsFullSizeInformation: {
        FILE_FS_FULL_SIZE_INFORMATION info = {.SectorsPerAllocationUnit = sizes.sectors,
                                              .BytesPerSector = FS_SECTOR};
        info.TotalAllocationUnits.QuadPart = sizes.total;
        info.CallerAvailableAllocationUnits.QuadPart = sizes.available;
        info.ActualAvailableAllocationUnits.QuadPart = sizes.free;
        return put(out, room, &info, sizeof(info), NULL, 0, bytes);
    }
    case FileFsDeviceInformation: {
        FILE_FS_DEVICE_INFORMATION info = {.DeviceType = FILE_DEVICE_DISK,
                                           .Characteristics = FILE_DEVICE_IS_MOUNTED};
        if (volume->read_only)
            info.Characteristics |= FILE_READ_ONLY_DEVICE;
        return put(out, room, &info, sizeof(info), NULL, 0, bytes);
    }
    case FileFsAttributeInformation: {
        FILE_FS_ATTRIBUTE_INFORMATION info = {
            .FileSystemAttributes =
                FILE_CASE_SENSITIVE_SEARCH | FILE_CASE_PRESERVED_NAMES | FILE_UNICODE_ON_DISK |
                FILE_PERSISTENT_ACLS | FILE_SUPPORTS_SPARSE_FILES | FILE_SUPPORTS_REPARSE_POINTS |
                FILE_SUPPORTS_POSIX_UNLINK_RENAME | FILE_SUPPORTS_OBJECT_IDS | FILE_NAMED_STREAMS |
                FILE_SUPPORTS_HARD_LINKS | FILE_SUPPORTS_EXTENDED_ATTRIBUTES |
                FILE_SUPPORTS_OPEN_BY_FILE_ID | FILE_SUPPORTS_BLOCK_REFCOUNTING,
            .MaximumComponentNameLength = 255,
            .FileSystemNameLength = sizeof(ntfs) - sizeof(WCHAR)};
        if (volume->read_only)
            info.FileSystemAttributes |= FILE_READ_ONLY_VOLUME;
        return put(out, room, &info, FIELD_OFFSET(FILE_FS_ATTRIBUTE_INFORMATION, FileSystemName),
                   ntfs, info.FileSystemNameLength, bytes);
    }
    case FileFsSectorSizeInformation: {
        FILE_FS_SECTOR_SIZE_INFORMATION info = {
            .LogicalBytesPerSector = FS_SECTOR,
            .PhysicalBytesPerSectorForAtomicity = FS_PAGE,
            .PhysicalBytesPerSectorForPerformance = FS_PAGE,
            .FileSystemEffectivePhysicalBytesPerSectorForAtomicity = FS_PAGE,
            .Flags = SSINFO_FLAGS_ALIGNED_DEVICE | SSINFO_FLAGS_PARTITION_ALIGNED_ON_DEVICE};
        return put(out, room, &info, sizeof(info), NULL, 0, bytes);
    }
    default:
        return STATUS_INVALID_INFO_CLASS;
    }
}

NTSTATUS fs_set_volume(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    const FILE_FS_LABEL_INFORMATION *info = irp->AssociatedIrp.SystemBuffer;
    ULONG head = FIELD_OFFSET(FILE_FS_LABEL_INFORMATION, VolumeLabel);
    if (stack->Parameters.SetVolume.FsInformationClass != FileFsLabelInformation)
        return STATUS_INVALID_INFO_CLASS;
    if (stack->Parameters.SetVolume.Length < head ||
        info->VolumeLabelLength > stack->Parameters.SetVolume.Length - head ||
        info->VolumeLabelLength > sizeof(volume->label))
        return STATUS_INVALID_PARAMETER;
    pthread_mutex_lock(&volume->names);
    memcpy(volume->label, info->VolumeLabel, info->VolumeLabelLength);
    volume->label_chars = info->VolumeLabelLength / sizeof(WCHAR);
    memcpy(volume->vpb.VolumeLabel, info->VolumeLabel, info->VolumeLabelLength);
    volume->vpb.VolumeLabelLength = (USHORT)info->VolumeLabelLength;
    pthread_mutex_unlock(&volume->names);
    return STATUS_SUCCESS;
}
