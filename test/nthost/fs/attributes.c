/* Attributes, times, EAs, reparse points, descriptors, volume information. */
#include "fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

FS_TEST(attributes_basic, NULL)
{
    FILE_BASIC_INFORMATION basic, set = {.CreationTime.QuadPart = 131000000000000000,
                                         .LastWriteTime.QuadPart = 132000000000000000,
                                         .FileAttributes = FILE_ATTRIBUTE_HIDDEN};
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    PFILE_OBJECT d = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE);
    need(file != NULL && d != NULL);
    is_status(nt_query_information(file, FileBasicInformation, &basic, sizeof(basic), NULL),
              STATUS_SUCCESS);
    is_hex(basic.FileAttributes, FILE_ATTRIBUTE_ARCHIVE);
    is_status(nt_query_information(d, FileBasicInformation, &basic, sizeof(basic), NULL),
              STATUS_SUCCESS);
    is_hex(basic.FileAttributes, FILE_ATTRIBUTE_DIRECTORY);
    is_status(nt_set_information(file, FileBasicInformation, &set, sizeof(set)), STATUS_SUCCESS);
    nt_close(file);
    nt_close(d);
    need(fs_again(f, NULL));
    file = fs_make(f, "a", FILE_OPEN, 0);
    need(file != NULL);
    is_status(nt_query_information(file, FileBasicInformation, &basic, sizeof(basic), NULL),
              STATUS_SUCCESS);
    is_hex(basic.FileAttributes, FILE_ATTRIBUTE_HIDDEN);
    is_int(basic.CreationTime.QuadPart, 131000000000000000);
    is_int(basic.LastWriteTime.QuadPart, 132000000000000000);
    set.FileAttributes = FILE_ATTRIBUTE_DIRECTORY;
    is_status(nt_set_information(file, FileBasicInformation, &set, sizeof(set)),
              STATUS_INVALID_PARAMETER);
    nt_close(file);
    is_status(fs_try(f, "a", FILE_OVERWRITE, 0), STATUS_ACCESS_DENIED, "hidden, and not said so");
}

static ULONG add_ea(UCHAR *list, ULONG at, const char *name, const void *value, ULONG bytes)
{
    FILE_FULL_EA_INFORMATION *entry = (FILE_FULL_EA_INFORMATION *)(list + at);
    entry->NextEntryOffset = 0;
    entry->Flags = 0;
    entry->EaNameLength = (UCHAR)strlen(name);
    entry->EaValueLength = (USHORT)bytes;
    memcpy(entry->EaName, name, strlen(name) + 1);
    memcpy(entry->EaName + strlen(name) + 1, value, bytes);
    return at + 8 + (ULONG)strlen(name) + 1 + bytes;
}

FS_TEST(attributes_eas, NULL)
{
    UCHAR list[256], out[4096], get[64];
    ULONG_PTR bytes;
    ULONG mode = S_IFREG | 0640;
    char path[128], value[32];
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    ULONG end = add_ea(list, 0, "user.color", "blue", 4);
    end = (end + 3) & ~3u;
    ((FILE_FULL_EA_INFORMATION *)list)->NextEntryOffset = end;
    end = add_ea(list, end, "$LXMOD", &mode, 4);
    is_status(nt_set_ea(file, list, end), STATUS_SUCCESS);
    snprintf(path, sizeof(path), "%s/a", f->folder);
    is_int(getxattr(path, "user.color", value, sizeof(value)), 4);
    struct stat st;
    ok(stat(path, &st) == 0);
    is_int(st.st_mode, S_IFREG | 0640);
    FILE_EA_INFORMATION size;
    is_status(nt_query_information(file, FileEaInformation, &size, sizeof(size), NULL),
              STATUS_SUCCESS);
    is_int(size.EaSize, 3 * (5 + 6 + 4) + 5 + 10 + 4);
    is_status(nt_query_ea(file, out, sizeof(out), NULL, 0, SL_RESTART_SCAN, &bytes),
              STATUS_SUCCESS);
    unsigned count = 1, colors = 0;
    for (const FILE_FULL_EA_INFORMATION *e = (const void *)out;; count++) {
        colors += strcmp(e->EaName, "user.color") == 0;
        ok(strncmp(e->EaName, "user.ntfs.", 10) != 0);
        if (e->NextEntryOffset == 0)
            break;
        e = (const void *)((const UCHAR *)e + e->NextEntryOffset);
    }
    is_int(colors, 1);
    is_int(count, 4);
    FILE_GET_EA_INFORMATION *one = (FILE_GET_EA_INFORMATION *)get;
    memset(get, 0, sizeof(get));
    one->EaNameLength = 10;
    memcpy(one->EaName, "user.color", 11);
    is_status(nt_query_ea(file, out, sizeof(out), get, 16, 0, &bytes), STATUS_SUCCESS);
    is_int(((FILE_FULL_EA_INFORMATION *)out)->EaValueLength, 4);
    is_status(nt_query_ea(file, out, 12, get, 16, 0, &bytes), STATUS_BUFFER_TOO_SMALL);
    end = add_ea(list, 0, "user.color", "", 0);
    is_status(nt_set_ea(file, list, end), STATUS_SUCCESS);
    is_int(getxattr(path, "user.color", value, sizeof(value)), -1);
    end = add_ea(list, 0, "user.ntfs.info", "x", 1);
    is_status(nt_set_ea(file, list, end), STATUS_ACCESS_DENIED);
    is_status(nt_set_ea(file, list, 5), STATUS_EA_LIST_INCONSISTENT);
    nt_close(file);
}

FS_TEST(attributes_links_and_special_files, NULL)
{
    UCHAR list[256], buffer[512];
    char path[128], target[64];
    ULONG mode = S_IFLNK | 0777, fifo = S_IFIFO | 0644;
    ULONG_PTR bytes;
    ULONG end = add_ea(list, 0, "$LXMOD", &mode, 4);
    end = (end + 3) & ~3u;
    ((FILE_FULL_EA_INFORMATION *)list)->NextEntryOffset = end;
    end = add_ea(list, end, "$LXTARGET", "over/there", 10);
    struct opening o = {.name = "link",
                        .access = FILE_ALL_ACCESS,
                        .share = SHARE_ALL,
                        .disposition = FILE_CREATE,
                        .options = SYNC | FILE_OPEN_REPARSE_POINT,
                        .ea = list,
                        .ea_bytes = end};
    PFILE_OBJECT file;
    FILE_ATTRIBUTE_TAG_INFORMATION tag;
    is_status(fs_open(f, &o, &file), STATUS_SUCCESS);
    need(file != NULL);
    is_status(nt_query_information(file, FileAttributeTagInformation, &tag, sizeof(tag), NULL),
              STATUS_SUCCESS);
    is_hex(tag.ReparseTag, IO_REPARSE_TAG_LX_SYMLINK);
    ok(tag.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT);
    is_status(nt_fsctl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, buffer, sizeof(buffer), &bytes),
              STATUS_SUCCESS);
    is_int(bytes, 8 + 4 + 10);
    is_mem(buffer + 12, "over/there", 10);
    nt_close(file);
    snprintf(path, sizeof(path), "%s/link", f->folder);
    is_int(readlink(path, target, sizeof(target)), 10);
    /* The way of WSL: a file that becomes one. */
    file = fs_make(f, "second", FILE_CREATE, FILE_OPEN_REPARSE_POINT);
    need(file != NULL);
    is_status(nt_fsctl(file, FSCTL_SET_REPARSE_POINT, buffer, (ULONG)bytes, NULL, 0, NULL),
              STATUS_SUCCESS);
    nt_close(file);
    snprintf(path, sizeof(path), "%s/second", f->folder);
    is_int(readlink(path, target, sizeof(target)), 10);
    end = add_ea(list, 0, "$LXMOD", &fifo, 4);
    o.name = "fifo";
    o.ea_bytes = end;
    is_status(fs_open(f, &o, &file), STATUS_SUCCESS);
    need(file != NULL);
    is_status(nt_query_information(file, FileAttributeTagInformation, &tag, sizeof(tag), NULL),
              STATUS_SUCCESS);
    is_hex(tag.ReparseTag, IO_REPARSE_TAG_LX_FIFO);
    is_status(nt_dispose(file, FILE_DISPOSITION_DELETE), STATUS_SUCCESS);
    nt_close(file);
    is_str(fs_list(f->root), "link second");
}

FS_TEST(attributes_reparse_points, NULL)
{
    struct {
        ULONG tag;
        USHORT bytes, reserved;
        char data[8];
    } point = {IO_REPARSE_TAG_NFS, 8, 0, "payload"}, got;
    ULONG_PTR bytes;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(nt_fsctl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, &got, sizeof(got), &bytes),
              STATUS_NOT_A_REPARSE_POINT);
    is_status(nt_fsctl(file, FSCTL_SET_REPARSE_POINT, &point, sizeof(point), NULL, 0, NULL),
              STATUS_SUCCESS);
    nt_close(file);
    is_status(fs_try(f, "a", FILE_OPEN, 0), STATUS_IO_REPARSE_TAG_NOT_HANDLED);
    need(fs_again(f, NULL));
    file = fs_make(f, "a", FILE_OPEN, FILE_OPEN_REPARSE_POINT);
    need(file != NULL);
    is_status(nt_fsctl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, &got, sizeof(got), &bytes),
              STATUS_SUCCESS);
    is_mem(&got, &point, sizeof(got));
    point.tag = IO_REPARSE_TAG_SYMLINK;
    is_status(nt_fsctl(file, FSCTL_DELETE_REPARSE_POINT, &point, 8, NULL, 0, NULL),
              STATUS_IO_REPARSE_TAG_MISMATCH);
    point.tag = IO_REPARSE_TAG_NFS;
    point.bytes = 0;
    is_status(nt_fsctl(file, FSCTL_DELETE_REPARSE_POINT, &point, 8, NULL, 0, NULL), STATUS_SUCCESS);
    nt_close(file);
    is_status(fs_try(f, "a", FILE_OPEN, 0), STATUS_SUCCESS);
}

FS_TEST(attributes_descriptors, NULL)
{
    /* D:(D;;FW;;;WD)(A;;FA;;;WD), as a self-relative descriptor. */
    static const UCHAR deny[] = {1, 0,    4, 0x80, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 20,
                                 0, 0,    0, 2,    0, 48, 0, 2, 0, 0, 0, 1, 0, 20, 0, 2, 0,
                                 0, 0,    1, 1,    0, 0,  0, 0, 0, 1, 0, 0, 0, 0,  0, 0, 20,
                                 0, 0xff, 1, 0x1f, 0, 1,  1, 0, 0, 0, 0, 0, 1, 0,  0, 0, 0};
    UCHAR buffer[256];
    ULONG needed;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(nt_query_security(file, DACL_SECURITY_INFORMATION, buffer, 8, &needed),
              STATUS_BUFFER_TOO_SMALL);
    ok(needed > 20 && needed < sizeof(buffer));
    is_status(nt_set_security(file, DACL_SECURITY_INFORMATION, (PSECURITY_DESCRIPTOR)deny),
              STATUS_SUCCESS);
    nt_close(file);
    need(fs_again(f, NULL));
    WCHAR text[8];
    UNICODE_STRING name = fs_name("a", text, 8);
    struct nt_create create = {.root = f->root,
                               .name = &name,
                               .access = FILE_READ_DATA,
                               .share = SHARE_ALL,
                               .disposition = FILE_OPEN,
                               .options = SYNC,
                               .mode = UserMode};
    PEPROCESS user = nt_process_create(4242, "/usr/bin/editor");
    need(user != NULL);
    is_str(nt_process_image(user), "/usr/bin/editor");
    PEPROCESS before = nt_process_enter(user);
    is_status(nt_create(&create), STATUS_SUCCESS);
    if (create.file != NULL)
        nt_close(create.file);
    create.access = FILE_WRITE_DATA;
    is_status(nt_create(&create), STATUS_ACCESS_DENIED);
    nt_process_enter(before);
    nt_process_exit(user);
}

FS_TEST(attributes_object_ids_and_compression, NULL)
{
    FILE_OBJECTID_BUFFER id, again;
    ULONG_PTR bytes;
    USHORT format = 1;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(nt_fsctl(file, FSCTL_GET_OBJECT_ID, NULL, 0, &id, sizeof(id), &bytes),
              STATUS_OBJECTID_NOT_FOUND);
    is_status(nt_fsctl(file, FSCTL_CREATE_OR_GET_OBJECT_ID, NULL, 0, &id, sizeof(id), &bytes),
              STATUS_SUCCESS);
    is_status(nt_fsctl(file, FSCTL_SET_COMPRESSION, &format, sizeof(format), NULL, 0, NULL),
              STATUS_SUCCESS);
    nt_close(file);
    need(fs_again(f, NULL));
    file = fs_make(f, "a", FILE_OPEN, 0);
    need(file != NULL);
    is_status(nt_fsctl(file, FSCTL_GET_OBJECT_ID, NULL, 0, &again, sizeof(again), &bytes),
              STATUS_SUCCESS);
    is_mem(&id, &again, sizeof(id));
    is_status(nt_fsctl(file, FSCTL_GET_COMPRESSION, NULL, 0, &format, sizeof(format), &bytes),
              STATUS_SUCCESS);
    is_int(format, 2);
    nt_close(file);
}

static const struct fs_mount_options labelled = {.label = "Data"};
FS_TEST(attributes_volume, &labelled)
{
    union {
        FILE_FS_VOLUME_INFORMATION volume;
        FILE_FS_ATTRIBUTE_INFORMATION attributes;
        FILE_FS_FULL_SIZE_INFORMATION size;
        UCHAR room[256];
    } info;
    ULONG_PTR bytes;
    is_status(nt_query_volume(f->root, FileFsVolumeInformation, &info, sizeof(info), &bytes),
              STATUS_SUCCESS);
    is_int(info.volume.VolumeLabelLength, 8);
    is_mem(info.volume.VolumeLabel, L"Data", 8);
    is_status(nt_query_volume(f->root, FileFsAttributeInformation, &info, sizeof(info), &bytes),
              STATUS_SUCCESS);
    is_mem(info.attributes.FileSystemName, L"NTFS", 8);
    is_status(nt_query_volume(f->root, FileFsAttributeInformation, &info, 14, &bytes),
              STATUS_BUFFER_OVERFLOW);
    is_status(nt_query_volume(f->root, FileFsFullSizeInformation, &info, sizeof(info), &bytes),
              STATUS_SUCCESS);
    ok(info.size.TotalAllocationUnits.QuadPart >=
       info.size.ActualAvailableAllocationUnits.QuadPart);
    is_ptr(fs_volume_of(fs_device(f->volume)), f->volume);
}

static const struct fs_mount_options read_only = {.read_only = true};
FS_TEST(attributes_read_only_volume, NULL)
{
    char data[4];
    PFILE_OBJECT file;
    is_status(fs_try(f, "a", FILE_CREATE, 0), STATUS_SUCCESS);
    need(fs_again(f, &read_only));
    struct opening o = {.name = "a",
                        .access = FILE_READ_DATA,
                        .share = SHARE_ALL,
                        .disposition = FILE_OPEN,
                        .options = SYNC};
    is_status(fs_open(f, &o, &file), STATUS_SUCCESS);
    need(file != NULL);
    is_status(fs_get(file, 0, data, 4, NULL), STATUS_END_OF_FILE);
    nt_close(file);
    is_status(fs_try(f, "b", FILE_CREATE, 0), STATUS_MEDIA_WRITE_PROTECTED);
    is_status(fs_try(f, "a", FILE_OPEN, 0), STATUS_MEDIA_WRITE_PROTECTED);
}
