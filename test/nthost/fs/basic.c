/* Opening, data, names, deletion. */
#include "fixture.h"
#include <stdio.h>
#include <sys/stat.h>

FS_TEST(fs_writes_and_reads, NULL)
{
    char data[64] = {0};
    ULONG_PTR got;
    PFILE_OBJECT file = fs_make(f, "a.txt", FILE_CREATE, 0);
    need(file != NULL);
    is_status(fs_put(file, 0, "hello", 5), STATUS_SUCCESS);
    is_status(fs_put(file, 5, " world", 6), STATUS_SUCCESS, "by fast I/O");
    is_int(fs_length(file), 11);
    is_status(fs_get(file, 0, data, sizeof(data), &got), STATUS_SUCCESS);
    is_int(got, 11);
    is_mem(data, "hello world", 11);
    is_status(fs_get(file, 11, data, 1, &got), STATUS_END_OF_FILE);
    is_status(fs_put(file, NT_APPEND, "!", 1), STATUS_SUCCESS);
    is_int(fs_length(file), 12);
    is_status(nt_set_end_of_file(file, 3), STATUS_SUCCESS);
    is_int(fs_length(file), 3);
    is_status(nt_flush(file, 0), STATUS_SUCCESS);
    nt_close(file);
    is_int(fs_backing(f, "a.txt", data, sizeof(data)), 3);
    is_mem(data, "hel", 3);
    struct fs_statistics s;
    fs_statistics(f->volume, &s);
    is_int(s.writes, 3);
    is_int(s.fast_writes, 2);
    is_int(s.open_files, 1, "the root");
}

FS_TEST(fs_position_moves, NULL)
{
    char data[8];
    ULONG_PTR got;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    need(file != NULL);
    is_status(nt_write(file, "abc", 3, NULL, NULL), STATUS_SUCCESS);
    is_status(nt_write(file, "def", 3, NULL, NULL), STATUS_SUCCESS);
    FILE_POSITION_INFORMATION position = {.CurrentByteOffset.QuadPart = 1};
    is_status(nt_set_information(file, FilePositionInformation, &position, sizeof(position)),
              STATUS_SUCCESS);
    is_status(nt_read(file, data, 4, NULL, &got), STATUS_SUCCESS);
    is_mem(data, "bcde", 4);
    is_status(nt_read(file, data, 4, NULL, &got), STATUS_SUCCESS);
    is_int(got, 1);
    nt_close(file);
}

FS_TEST(fs_renames_and_names, NULL)
{
    PFILE_OBJECT folder = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE);
    PFILE_OBJECT file = fs_make(f, "d\\x", FILE_CREATE, 0);
    need(folder != NULL && file != NULL);
    is_str(fs_path(file), "\\d\\x");
    is_status(fs_move(file, NULL, "y", 0), STATUS_SUCCESS);
    is_str(fs_path(file), "\\d\\y");
    is_str(fs_list(folder), "y");
    is_status(fs_move(file, f->root, "z", 0), STATUS_SUCCESS);
    is_str(fs_path(file), "\\z");
    is_status(fs_move(file, NULL, "\\??\\X:\\d\\w", 0), STATUS_SUCCESS);
    is_str(fs_path(file), "\\d\\w");
    is_status(fs_move(folder, NULL, "e", 0), STATUS_ACCESS_DENIED, "a file in it is open");
    is_status(fs_move(folder, NULL, "e", FILE_RENAME_POSIX_SEMANTICS), STATUS_SUCCESS);
    is_str(fs_path(file), "\\e\\w");
    is_str(fs_list(f->root), "e");
    nt_close(file);
    nt_close(folder);
    is_status(fs_try(f, "e\\w", FILE_OPEN, 0), STATUS_SUCCESS);
    is_status(fs_try(f, "d\\w", FILE_OPEN, 0), STATUS_OBJECT_PATH_NOT_FOUND);
}

FS_TEST(fs_deletes_at_last_cleanup, NULL)
{
    char data[4];
    ULONG_PTR got;
    PFILE_OBJECT one = fs_make(f, "a", FILE_CREATE, 0), two = fs_make(f, "a", FILE_OPEN, 0);
    need(one != NULL && two != NULL);
    is_status(fs_put(one, 0, "abc", 3), STATUS_SUCCESS);
    is_status(nt_dispose(one, FILE_DISPOSITION_DELETE), STATUS_SUCCESS);
    is_status(fs_try(f, "a", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    nt_close(one);
    is_str(fs_list(f->root), "a");
    is_status(fs_get(two, 0, data, 3, &got), STATUS_SUCCESS);
    nt_close(two);
    is_str(fs_list(f->root), "");
    one = fs_make(f, "a", FILE_CREATE, 0);
    two = fs_make(f, "a", FILE_OPEN, 0);
    need(one != NULL && two != NULL);
    is_status(fs_put(one, 0, "abc", 3), STATUS_SUCCESS);
    is_status(nt_dispose(one, FILE_DISPOSITION_DELETE | FILE_DISPOSITION_POSIX_SEMANTICS),
              STATUS_SUCCESS);
    nt_close(one);
    is_str(fs_list(f->root), "", "the name is gone with the handle that deleted it");
    is_status(fs_get(two, 0, data, 3, &got), STATUS_SUCCESS, "the data are not");
    is_status(fs_try(f, "a", FILE_CREATE, 0), STATUS_SUCCESS);
    nt_close(two);
}
