/* See fixture.h. */
#include "fixture.h"
#include <nthost/utf.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    UNREFERENCED_PARAMETER(st);
    UNREFERENCED_PARAMETER(type);
    UNREFERENCED_PARAMETER(ftw);
    return remove(path);
}

static bool mount(struct fixture *f, const struct fs_mount_options *options)
{
    struct fs_mount_options own = options ? *options : (struct fs_mount_options){0};
    char error[256] = "";
    NTSTATUS status;
    own.folder = f->folder;
    own.drive = 'X';
    f->volume = fs_mount(&own, &status, error, sizeof(error));
    if (!ok(f->volume != NULL, "%s", error))
        return false;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\??\\X:\\");
    struct nt_create create = {.name = &name,
                               .access = FILE_ALL_ACCESS,
                               .share = SHARE_ALL,
                               .disposition = FILE_OPEN,
                               .options = FILE_DIRECTORY_FILE | SYNC,
                               .case_sensitive = true};
    if (own.read_only)
        create.access = FILE_GENERIC_READ;
    if (!is_status(nt_create(&create), STATUS_SUCCESS))
        return false;
    f->root = create.file;
    return true;
}

bool fs_in_memory;

/* A flush costs nothing in memory; old kernels have no attributes there. */
static bool make_folder(struct fixture *f)
{
    snprintf(f->folder, sizeof(f->folder), "/dev/shm/nthost-fs-XXXXXX");
    if (fs_in_memory && mkdtemp(f->folder) != NULL) {
        if (setxattr(f->folder, "user.probe", "1", 1, 0) == 0)
            return true;
        rmdir(f->folder);
    }
    snprintf(f->folder, sizeof(f->folder), "/tmp/nthost-fs-XXXXXX");
    return ok(mkdtemp(f->folder) != NULL);
}

bool fs_begin(struct fixture *f, enum nt_scheduler scheduler, uint64_t seed,
              const struct fs_mount_options *options)
{
    memset(f, 0, sizeof(*f));
    if (!make_folder(f))
        return false;
    tap_start(scheduler, seed);
    nt_enter();
    return mount(f, options);
}

static void unmount(struct fixture *f)
{
    if (f->root != NULL)
        nt_close(f->root);
    f->root = NULL;
    if (f->volume != NULL)
        is_status(fs_unmount(f->volume), STATUS_SUCCESS, "unmount");
    f->volume = NULL;
}

bool fs_again(struct fixture *f, const struct fs_mount_options *options)
{
    unmount(f);
    return mount(f, options);
}

void fs_end(struct fixture *f)
{
    unmount(f);
    nt_leave();
    nt_stop();
    nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

UNICODE_STRING fs_name(const char *text, WCHAR *buffer, unsigned room)
{
    unsigned chars;
    WCHAR *wide = utf16_from_utf8(text, strlen(text), &chars);
    if (chars > room)
        chars = room;
    memcpy(buffer, wide, chars * sizeof(WCHAR));
    free(wide);
    return (UNICODE_STRING){(USHORT)(chars * sizeof(WCHAR)), (USHORT)(chars * sizeof(WCHAR)),
                            buffer};
}

NTSTATUS fs_open(struct fixture *f, struct opening *o, PFILE_OBJECT *file)
{
    WCHAR buffer[1024];
    UNICODE_STRING name = fs_name(o->name, buffer, 1024);
    struct nt_create create = {.root = o->root ? o->root : f->root,
                               .name = &name,
                               .access = o->access,
                               .attributes = o->attributes,
                               .share = o->share,
                               .disposition = o->disposition,
                               .options = o->options,
                               .ea = o->ea,
                               .ea_bytes = o->ea_bytes,
                               .case_sensitive = o->case_sensitive};
    NTSTATUS status = nt_create(&create);
    o->information = create.information;
    *file = create.file;
    return status;
}

PFILE_OBJECT fs_make(struct fixture *f, const char *name, ULONG disposition, ULONG options)
{
    struct opening o = {.name = name,
                        .access = FILE_ALL_ACCESS,
                        .share = SHARE_ALL,
                        .disposition = disposition,
                        .options = options | SYNC,
                        .case_sensitive = true};
    PFILE_OBJECT file;
    return is_status(fs_open(f, &o, &file), STATUS_SUCCESS, "%s", name) ? file : NULL;
}

NTSTATUS fs_try(struct fixture *f, const char *name, ULONG disposition, ULONG options)
{
    struct opening o = {.name = name,
                        .access = FILE_ALL_ACCESS,
                        .share = SHARE_ALL,
                        .disposition = disposition,
                        .options = options | SYNC,
                        .case_sensitive = true};
    PFILE_OBJECT file;
    NTSTATUS status = fs_open(f, &o, &file);
    if (NT_SUCCESS(status))
        nt_close(file);
    return status;
}

NTSTATUS fs_put(PFILE_OBJECT file, LONGLONG offset, const void *data, ULONG bytes)
{
    ULONG_PTR done;
    NTSTATUS status = nt_write(file, data, bytes, &offset, &done);
    if (NT_SUCCESS(status))
        is_int(done, bytes);
    return status;
}

NTSTATUS fs_get(PFILE_OBJECT file, LONGLONG offset, void *data, ULONG bytes, ULONG_PTR *got)
{
    return nt_read(file, data, bytes, &offset, got);
}

LONGLONG fs_length(PFILE_OBJECT file)
{
    FILE_STANDARD_INFORMATION info = {.EndOfFile.QuadPart = -1};
    is_status(nt_query_information(file, FileStandardInformation, &info, sizeof(info), NULL),
              STATUS_SUCCESS);
    return info.EndOfFile.QuadPart;
}

NTSTATUS fs_move(PFILE_OBJECT file, PFILE_OBJECT root, const char *name, ULONG flags)
{
    WCHAR buffer[1024];
    UNICODE_STRING wide = fs_name(name, buffer, 1024);
    return nt_rename(file, root, &wide, flags);
}

const char *fs_path(PFILE_OBJECT file)
{
    static char text[1024];
    ULONG_PTR bytes;
    union {
        FILE_NAME_INFORMATION info;
        UCHAR room[2048];
    } name;
    if (!is_status(nt_query_information(file, FileNameInformation, &name, sizeof(name), &bytes),
                   STATUS_SUCCESS))
        return "";
    utf8_copy(text, sizeof(text), name.info.FileName, name.info.FileNameLength / sizeof(WCHAR));
    return text;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *fs_list(PFILE_OBJECT folder)
{
    static char text[65536];
    UCHAR buffer[4096] __attribute__((aligned(8)));
    char *names[4096];
    unsigned count = 0;
    ULONG_PTR bytes;
    NTSTATUS status = nt_query_directory(folder, FileNamesInformation, buffer, sizeof(buffer), NULL,
                                         SL_RESTART_SCAN, &bytes);
    while (NT_SUCCESS(status)) {
        for (ULONG at = 0;;) {
            const FILE_NAMES_INFORMATION *entry = (const void *)(buffer + at);
            char name[512];
            utf8_copy(name, sizeof(name), entry->FileName, entry->FileNameLength / sizeof(WCHAR));
            if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && count < 4096)
                names[count++] = strdup(name);
            if (entry->NextEntryOffset == 0)
                break;
            at += entry->NextEntryOffset;
        }
        status = nt_query_directory(folder, FileNamesInformation, buffer, sizeof(buffer), NULL, 0,
                                    &bytes);
    }
    ok(status == STATUS_NO_MORE_FILES || status == STATUS_NO_SUCH_FILE, "0x%08x", status);
    qsort(names, count, sizeof(names[0]), compare);
    text[0] = 0;
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? " " : "", names[i]);
        free(names[i]);
    }
    return text;
}

int fs_backing(const struct fixture *f, const char *name, void *data, unsigned room)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    int fd = open(path, O_RDONLY | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    int n = (int)read(fd, data, room);
    close(fd);
    return n;
}
