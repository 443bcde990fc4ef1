/* Sizes, zeroing, ranges, locks, non-cached rules, control codes. */
#include "fixture.h"
#include <nthost/object.h>
#include <stdio.h>
#include <stdlib.h>

FS_TEST(data_sizes, NULL)
{
    UCHAR data[32];
    ULONG_PTR got;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    FILE_ALLOCATION_INFORMATION room = {.AllocationSize.QuadPart = 1 << 20};
    FILE_VALID_DATA_LENGTH_INFORMATION valid = {.ValidDataLength.QuadPart = 5};
    FILE_STANDARD_INFORMATION info;
    need(file != NULL);
    is_status(fs_put(file, 10, "x", 1), STATUS_SUCCESS);
    is_int(fs_length(file), 11);
    is_status(fs_get(file, 0, data, 32, &got), STATUS_SUCCESS);
    is_mem(data, "\0\0\0\0\0\0\0\0\0\0x", 11);
    is_status(nt_set_information(file, FileAllocationInformation, &room, sizeof(room)),
              STATUS_SUCCESS);
    is_status(nt_query_information(file, FileStandardInformation, &info, sizeof(info), NULL),
              STATUS_SUCCESS);
    is_int(info.EndOfFile.QuadPart, 11);
    ok(info.AllocationSize.QuadPart >= 1 << 20);
    room.AllocationSize.QuadPart = 4;
    is_status(nt_set_information(file, FileAllocationInformation, &room, sizeof(room)),
              STATUS_SUCCESS);
    is_int(fs_length(file), 4);
    is_status(nt_set_information(file, FileValidDataLengthInformation, &valid, sizeof(valid)),
              STATUS_INVALID_PARAMETER);
    is_status(nt_set_end_of_file(file, 100), STATUS_SUCCESS);
    is_status(nt_set_information(file, FileValidDataLengthInformation, &valid, sizeof(valid)),
              STATUS_SUCCESS);
    is_status(nt_set_end_of_file(file, -1), STATUS_INVALID_PARAMETER);
    is_status(fs_put(file, 0x7ffffffffffffff0, "x", 1), STATUS_INVALID_PARAMETER);
    is_status(fs_put(file, -2, "x", 1), STATUS_INVALID_PARAMETER);
    nt_close(file);
}

FS_TEST(data_sparse_and_zero, NULL)
{
    UCHAR *data = malloc(1 << 20);
    FILE_ZERO_DATA_INFORMATION zero = {.FileOffset.QuadPart = 65536,
                                       .BeyondFinalZero.QuadPart = 2 << 20};
    FILE_ALLOCATED_RANGE_BUFFER whole = {.Length.QuadPart = 1 << 20}, ranges[8];
    ULONG_PTR bytes;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    memset(data, 7, 1 << 20);
    is_status(fs_put(file, 0, data, 1 << 20), STATUS_SUCCESS);
    is_status(nt_fsctl(file, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, NULL), STATUS_SUCCESS);
    is_status(nt_fsctl(file, FSCTL_SET_ZERO_DATA, &zero, sizeof(zero), NULL, 0, NULL),
              STATUS_SUCCESS);
    is_int(fs_length(file), 1 << 20);
    is_status(fs_get(file, 65530, data, 12, &bytes), STATUS_SUCCESS);
    is_mem(data, "\7\7\7\7\7\7\0\0\0\0\0\0", 12);
    is_status(nt_fsctl(file, FSCTL_QUERY_ALLOCATED_RANGES, &whole, sizeof(whole), ranges,
                       sizeof(ranges), &bytes),
              STATUS_SUCCESS);
    is_int(bytes, sizeof(ranges[0]));
    is_int(ranges[0].FileOffset.QuadPart, 0);
    is_int(ranges[0].Length.QuadPart, 65536);
    FILE_BASIC_INFORMATION basic;
    is_status(nt_query_information(file, FileBasicInformation, &basic, sizeof(basic), NULL),
              STATUS_SUCCESS);
    ok(basic.FileAttributes & FILE_ATTRIBUTE_SPARSE_FILE);
    is_status(nt_fsctl(file, FSCTL_OFFLOAD_WRITE, data, 64, data, 64, NULL),
              STATUS_INVALID_DEVICE_REQUEST);
    nt_close(file);
    free(data);
}

FS_TEST(data_duplicate_extents, NULL)
{
    UCHAR data[8192];
    HANDLE handle;
    PFILE_OBJECT a = fs_make(f, "a", FILE_CREATE, 0), b = fs_make(f, "b", FILE_CREATE, 0);
    need(a != NULL && b != NULL);
    memset(data, 1, sizeof(data));
    is_status(fs_put(a, 0, data, 8192), STATUS_SUCCESS);
    memset(data, 2, sizeof(data));
    is_status(fs_put(b, 0, data, 8192), STATUS_SUCCESS);
    is_status(ob_handle_open(ob_kernel_handles, a, FILE_ALL_ACCESS, &handle), STATUS_SUCCESS);
    DUPLICATE_EXTENTS_DATA clone = {
        .FileHandle = handle, .TargetFileOffset.QuadPart = 4096, .ByteCount.QuadPart = 4096};
    is_status(nt_fsctl(b, FSCTL_DUPLICATE_EXTENTS_TO_FILE, &clone, sizeof(clone), NULL, 0, NULL),
              STATUS_SUCCESS);
    is_status(fs_get(b, 0, data, 8192, NULL), STATUS_SUCCESS);
    is_int(data[4095], 2);
    is_int(data[4096], 1);
    clone.ByteCount.QuadPart = 8192;
    is_status(nt_fsctl(b, FSCTL_DUPLICATE_EXTENTS_TO_FILE, &clone, sizeof(clone), NULL, 0, NULL),
              STATUS_INVALID_PARAMETER, "it would become longer");
    ob_handle_close(ob_kernel_handles, handle);
    nt_close(a);
    nt_close(b);
}

FS_TEST(data_non_cached, NULL)
{
    UCHAR data[1024] __attribute__((aligned(512))) = {5};
    ULONG_PTR got;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, FILE_NO_INTERMEDIATE_BUFFERING);
    need(file != NULL);
    is_status(fs_put(file, 0, data, 100), STATUS_INVALID_PARAMETER);
    is_status(fs_put(file, 100, data, 512), STATUS_INVALID_PARAMETER);
    is_status(fs_put(file, 512, data, 512), STATUS_SUCCESS);
    is_status(fs_get(file, 512, data + 512, 512, &got), STATUS_SUCCESS);
    is_int(data[512], 5);
    nt_close(file);
    struct fs_statistics s;
    fs_statistics(f->volume, &s);
    is_int(s.fast_writes, 0);
}

FS_TEST(data_paging_io, NULL)
{
    UCHAR page[4096];
    ULONG_PTR got;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(fs_put(file, 0, "0123456789", 10), STATUS_SUCCESS);
    memset(page, 'x', sizeof(page));
    ObfReferenceObject(file);
    nt_close(file);
    is_status(nt_paging_write(file, page, 4096, 0, false, &got), STATUS_SUCCESS, "after CLEANUP");
    is_status(nt_paging_write(file, page, 4096, 4096, false, &got), STATUS_SUCCESS);
    is_status(nt_paging_read(file, page, 4096, 0, &got), STATUS_SUCCESS);
    is_int(got, 10, "a paging write makes no file longer");
    ULONG_PTR information;
    LONGLONG at = 0;
    is_status(nt_write(file, "y", 1, &at, &information), STATUS_FILE_CLOSED);
    ObfDereferenceObject(file);
    is_int(fs_backing(f, "a", page, sizeof(page)), 10);
    is_mem(page, "xxxxxxxxxx", 10);
}

FS_TEST(data_locks, NULL)
{
    char data[8];
    ULONG_PTR got;
    PFILE_OBJECT a = fs_make(f, "a", FILE_CREATE, 0), b = fs_make(f, "a", FILE_OPEN, 0);
    need(a != NULL && b != NULL);
    is_status(fs_put(a, 0, "0123456789", 10), STATUS_SUCCESS);
    is_status(fs_get(b, 0, data, 1, &got), STATUS_SUCCESS);
    is_status(nt_lock(a, 2, 3, 0, false, true), STATUS_SUCCESS);
    is_status(nt_lock(b, 4, 3, 0, false, false), STATUS_LOCK_NOT_GRANTED);
    is_status(fs_put(b, 0, "ab", 2), STATUS_SUCCESS);
    is_status(fs_put(b, 1, "ab", 2), STATUS_FILE_LOCK_CONFLICT);
    is_status(fs_get(b, 4, data, 1, &got), STATUS_FILE_LOCK_CONFLICT);
    is_status(fs_put(a, 2, "ab", 2), STATUS_SUCCESS, "its owner may");
    is_status(nt_unlock(a, 2, 2, 0), STATUS_RANGE_NOT_LOCKED);
    is_status(nt_unlock(a, 2, 3, 0), STATUS_SUCCESS);
    is_status(nt_lock(a, 0, 4, 0, false, false), STATUS_SUCCESS);
    is_status(nt_lock(b, 0, 4, 0, false, false), STATUS_SUCCESS, "shared");
    is_status(fs_get(b, 0, data, 4, &got), STATUS_SUCCESS);
    is_status(fs_put(a, 0, "x", 1), STATUS_FILE_LOCK_CONFLICT, "not even its owner");
    nt_close(a);
    is_status(nt_unlock(b, 0, 4, 0), STATUS_SUCCESS);
    is_status(fs_put(b, 0, "x", 1), STATUS_SUCCESS, "a handle's locks go with it");
    nt_close(b);
}

struct waiter {
    PFILE_OBJECT file;
    NTSTATUS status;
    volatile bool done;
};

static void wait_for_lock(void *context)
{
    struct waiter *w = context;
    nt_enter();
    w->status = nt_lock(w->file, 0, 10, 0, true, true);
    w->done = true;
    nt_leave();
}

FS_TEST(data_lock_waits, NULL)
{
    PFILE_OBJECT a = fs_make(f, "a", FILE_CREATE, 0), b = fs_make(f, "a", FILE_OPEN, 0);
    struct waiter w = {.file = b};
    LARGE_INTEGER tick = {.QuadPart = -200000};
    need(a != NULL && b != NULL);
    is_status(nt_lock(a, 0, 10, 0, false, true), STATUS_SUCCESS);
    struct nt_thread *thread = nt_spawn("waiter", wait_for_lock, &w);
    KeDelayExecutionThread(KernelMode, FALSE, &tick);
    ok(!w.done);
    is_status(nt_unlock(a, 0, 10, 0), STATUS_SUCCESS);
    nt_leave();
    nt_join(thread);
    nt_enter();
    is_status(w.status, STATUS_SUCCESS);
    is_status(nt_lock(a, 0, 1, 0, false, false), STATUS_LOCK_NOT_GRANTED);
    nt_close(a);
    nt_close(b);
}

FS_TEST(data_volume_lock, NULL)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\??\\X:");
    struct nt_create create = {.name = &name,
                               .access = FILE_READ_DATA | FILE_WRITE_DATA,
                               .share = SHARE_ALL,
                               .disposition = FILE_OPEN,
                               .options = SYNC};
    char data[512];
    is_status(nt_create(&create), STATUS_SUCCESS);
    need(create.file != NULL);
    is_status(fs_get(create.file, 0, data, 512, NULL), STATUS_ACCESS_DENIED, "no raw access");
    is_status(fs_put(create.file, 0, data, 512), STATUS_ACCESS_DENIED);
    is_status(nt_fsctl(create.file, FSCTL_LOCK_VOLUME, NULL, 0, NULL, 0, NULL),
              STATUS_ACCESS_DENIED, "the root is open");
    nt_close(f->root);
    is_status(nt_fsctl(create.file, FSCTL_LOCK_VOLUME, NULL, 0, NULL, 0, NULL), STATUS_SUCCESS);
    UNICODE_STRING root = RTL_CONSTANT_STRING(L"\\??\\X:\\");
    struct nt_create again = {.name = &root,
                              .access = FILE_ALL_ACCESS,
                              .share = SHARE_ALL,
                              .disposition = FILE_OPEN,
                              .options = SYNC};
    is_status(nt_create(&again), STATUS_ACCESS_DENIED);
    is_status(nt_fsctl(create.file, FSCTL_UNLOCK_VOLUME, NULL, 0, NULL, 0, NULL), STATUS_SUCCESS);
    is_status(nt_create(&again), STATUS_SUCCESS);
    f->root = again.file;
    nt_close(create.file);
}
