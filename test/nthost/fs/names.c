/* Renaming, links, deletion, streams. */
#include "fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define POSIX (FILE_RENAME_REPLACE_IF_EXISTS | FILE_RENAME_POSIX_SEMANTICS)

static unsigned links_of(PFILE_OBJECT file)
{
    FILE_STANDARD_INFORMATION info = {0};
    is_status(nt_query_information(file, FileStandardInformation, &info, sizeof(info), NULL),
              STATUS_SUCCESS);
    return info.NumberOfLinks;
}

static NTSTATUS make_link(PFILE_OBJECT file, PFILE_OBJECT root, const char *name, ULONG flags)
{
    WCHAR buffer[256];
    UNICODE_STRING wide = fs_name(name, buffer, 256);
    return nt_link(file, root, &wide, flags);
}

FS_TEST(names_replace, NULL)
{
    char data[8];
    ULONG_PTR got;
    PFILE_OBJECT a = fs_make(f, "a", FILE_CREATE, 0), b = fs_make(f, "b", FILE_CREATE, 0);
    need(a != NULL && b != NULL);
    is_status(fs_put(a, 0, "aaa", 3), STATUS_SUCCESS);
    is_status(fs_put(b, 0, "bbb", 3), STATUS_SUCCESS);
    is_status(fs_move(a, NULL, "b", 0), STATUS_OBJECT_NAME_COLLISION);
    is_status(fs_move(a, NULL, "b", FILE_RENAME_REPLACE_IF_EXISTS), STATUS_ACCESS_DENIED,
              "it is open");
    is_status(fs_move(a, NULL, "b", POSIX), STATUS_SUCCESS);
    is_str(fs_list(f->root), "b");
    is_str(fs_path(a), "\\b");
    is_status(fs_get(b, 0, data, 3, &got), STATUS_SUCCESS, "the replaced one lives on");
    is_mem(data, "bbb", 3);
    is_int(links_of(b), 0);
    nt_close(b);
    b = fs_make(f, "c", FILE_CREATE, 0);
    need(b != NULL);
    nt_close(b);
    is_status(fs_move(a, NULL, "c", FILE_RENAME_REPLACE_IF_EXISTS), STATUS_SUCCESS, "not open");
    is_str(fs_list(f->root), "c");
    is_status(fs_move(a, NULL, "c", 0), STATUS_SUCCESS, "onto itself");
    nt_close(a);
}

FS_TEST(names_replace_folders, NULL)
{
    PFILE_OBJECT d = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE);
    PFILE_OBJECT e = fs_make(f, "e", FILE_CREATE, FILE_DIRECTORY_FILE);
    PFILE_OBJECT file = fs_make(f, "file", FILE_CREATE, 0);
    need(d != NULL && e != NULL && file != NULL);
    is_status(fs_try(f, "e\\x", FILE_CREATE, 0), STATUS_SUCCESS);
    is_status(fs_move(d, NULL, "e", FILE_RENAME_REPLACE_IF_EXISTS), STATUS_ACCESS_DENIED);
    is_status(fs_move(d, NULL, "e", POSIX), STATUS_DIRECTORY_NOT_EMPTY);
    is_status(fs_move(file, NULL, "d", POSIX), STATUS_FILE_IS_A_DIRECTORY);
    is_status(fs_move(d, NULL, "file", POSIX), STATUS_NOT_A_DIRECTORY);
    is_status(fs_move(e, NULL, "d", POSIX), STATUS_SUCCESS);
    is_str(fs_list(f->root), "d file");
    is_status(fs_move(e, e, "below", 0), STATUS_INVALID_PARAMETER, "into itself");
    nt_close(d);
    nt_close(e);
    nt_close(file);
}

FS_TEST(names_change_case, NULL)
{
    PFILE_OBJECT a = fs_make(f, "abc", FILE_CREATE, 0);
    need(a != NULL);
    is_status(fs_move(a, NULL, "ABC", 0), STATUS_SUCCESS);
    is_str(fs_list(f->root), "ABC");
    nt_close(a);
}

FS_TEST(names_hard_links, NULL)
{
    struct {
        FILE_LINKS_INFORMATION info;
        UCHAR more[512];
    } links;
    PFILE_OBJECT a = fs_make(f, "a", FILE_CREATE, 0);
    PFILE_OBJECT d = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE), b;
    need(a != NULL && d != NULL);
    is_status(make_link(a, d, "b", 0), STATUS_SUCCESS);
    is_int(links_of(a), 2);
    is_status(make_link(a, d, "b", 0), STATUS_OBJECT_NAME_COLLISION);
    is_status(make_link(d, f->root, "x", 0), STATUS_FILE_IS_A_DIRECTORY);
    is_status(nt_query_information(a, FileHardLinkInformation, &links, sizeof(links), NULL),
              STATUS_SUCCESS);
    is_int(links.info.EntriesReturned, 2);
    b = fs_make(f, "d\\b", FILE_OPEN, 0);
    need(b != NULL);
    is_status(fs_put(a, 0, "shared", 6), STATUS_SUCCESS);
    is_int(fs_length(b), 6, "one file");
    /* A deletion is of one name. */
    is_status(nt_dispose(a, FILE_DISPOSITION_DELETE), STATUS_SUCCESS);
    nt_close(a);
    is_str(fs_list(f->root), "d");
    is_int(links_of(b), 1);
    is_status(fs_try(f, "n", FILE_CREATE, 0), STATUS_SUCCESS);
    is_status(make_link(b, f->root, "n", FILE_LINK_REPLACE_IF_EXISTS), STATUS_SUCCESS);
    is_str(fs_list(f->root), "d n");
    is_int(links_of(b), 2);
    nt_close(b);
    nt_close(d);
}

/* Also to those that nobody has open, or has open no more while something in them is. */
FS_TEST(names_tell_their_folders, NULL)
{
    struct {
        FILE_LINKS_INFORMATION info;
        UCHAR more[512];
    } links;
    PFILE_OBJECT d = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE);
    PFILE_OBJECT e = fs_make(f, "e", FILE_CREATE, FILE_DIRECTORY_FILE);
    PFILE_OBJECT a = fs_make(f, "d\\a", FILE_CREATE, 0);
    need(d != NULL && e != NULL && a != NULL);
    is_status(make_link(a, e, "b", 0), STATUS_SUCCESS);
    nt_close(d);
    nt_close(e);
    for (unsigned round = 0; round < 2; round++) {
        is_status(nt_query_information(a, FileHardLinkInformation, &links, sizeof(links), NULL),
                  STATUS_SUCCESS);
        is_int(links.info.EntriesReturned, 2);
        const FILE_LINK_ENTRY_INFORMATION *entry = &links.info.Entry;
        for (unsigned i = 0; i < links.info.EntriesReturned; i++) {
            struct nt_create create = {.root = f->root,
                                       .id = &entry->ParentFileId,
                                       .id_bytes = 8,
                                       .access = FILE_LIST_DIRECTORY,
                                       .share = FILE_SHARE_READ,
                                       .disposition = FILE_OPEN,
                                       .options = FILE_SYNCHRONOUS_IO_NONALERT,
                                       .mode = UserMode};
            need(is_status(nt_create(&create), STATUS_SUCCESS, "the folder of name %u", i));
            is_str(fs_list(create.file), entry->FileName[0] == 'a' ? "a" : "b");
            nt_close(create.file);
            entry = (const void *)((const UCHAR *)entry + entry->NextEntryOffset);
        }
        nt_close(a);
        a = fs_make(f, "e\\b", FILE_OPEN, 0);
        need(a != NULL);
    }
    nt_close(a);
}

FS_TEST(names_delete_on_close, NULL)
{
    PFILE_OBJECT a = fs_make(f, "a", FILE_CREATE, FILE_DELETE_ON_CLOSE);
    PFILE_OBJECT b = fs_make(f, "a", FILE_OPEN, 0);
    need(a != NULL && b != NULL);
    nt_close(a);
    is_status(fs_try(f, "a", FILE_OPEN, 0), STATUS_DELETE_PENDING);
    is_status(nt_dispose(b, FILE_DISPOSITION_DO_NOT_DELETE), STATUS_SUCCESS, "taken back");
    nt_close(b);
    is_str(fs_list(f->root), "a");
    PFILE_OBJECT d = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE);
    need(d != NULL);
    is_status(fs_try(f, "d\\x", FILE_CREATE, 0), STATUS_SUCCESS);
    is_status(nt_dispose(d, FILE_DISPOSITION_DELETE), STATUS_DIRECTORY_NOT_EMPTY);
    nt_close(d);
    d = fs_make(f, "e", FILE_CREATE, FILE_DIRECTORY_FILE);
    need(d != NULL);
    is_status(nt_dispose(d, FILE_DISPOSITION_DELETE), STATUS_SUCCESS);
    is_status(fs_try(f, "e\\x", FILE_CREATE, 0), STATUS_DELETE_PENDING);
    nt_close(d);
    is_str(fs_list(f->root), "a d");
    is_status(nt_dispose(f->root, FILE_DISPOSITION_DELETE), STATUS_CANNOT_DELETE);
}

/* How a filter confirms a deletion: it asks on the handle that was cleaned up. */
FS_TEST(names_deleted_says_so, NULL)
{
    FILE_STANDARD_INFORMATION info;
    PFILE_OBJECT a = fs_make(f, "a", FILE_CREATE, 0), b = fs_make(f, "b", FILE_CREATE, 0);
    need(a != NULL && b != NULL);
    ObfReferenceObject(a);
    ObfReferenceObject(b);
    is_status(nt_dispose(a, FILE_DISPOSITION_DELETE), STATUS_SUCCESS);
    nt_close(a);
    nt_close(b);
    is_status(nt_query_information(a, FileStandardInformation, &info, sizeof(info), NULL),
              STATUS_FILE_DELETED);
    is_status(nt_query_information(b, FileStandardInformation, &info, sizeof(info), NULL),
              STATUS_SUCCESS);
    ObfDereferenceObject(a);
    ObfDereferenceObject(b);
}

FS_TEST(names_streams, NULL)
{
    UCHAR buffer[1024];
    char data[16];
    ULONG_PTR got;
    PFILE_OBJECT file = fs_make(f, "a", FILE_CREATE, 0);
    PFILE_OBJECT one = fs_make(f, "a:one", FILE_CREATE, 0);
    PFILE_OBJECT two = fs_make(f, "a:two:$DATA", FILE_CREATE, 0);
    need(file != NULL && one != NULL && two != NULL);
    is_status(fs_put(file, 0, "main", 4), STATUS_SUCCESS);
    is_status(fs_put(one, 0, "first", 5), STATUS_SUCCESS);
    is_status(fs_put(two, 0, "second", 6), STATUS_SUCCESS);
    is_int(fs_length(file), 4);
    is_int(fs_length(one), 5);
    is_str(fs_path(two), "\\a:two");
    is_status(nt_query_information(file, FileStreamInformation, buffer, sizeof(buffer), &got),
              STATUS_SUCCESS);
    unsigned count = 1;
    for (const FILE_STREAM_INFORMATION *s = (const void *)buffer; s->NextEntryOffset != 0; count++)
        s = (const void *)((const UCHAR *)s + s->NextEntryOffset);
    is_int(count, 3);
    is_str(fs_list(f->root), "a", "streams are in nobody's way");
    is_status(fs_move(one, NULL, ":uno", 0), STATUS_SUCCESS);
    is_str(fs_path(one), "\\a:uno");
    is_status(nt_dispose(two, FILE_DISPOSITION_DELETE), STATUS_SUCCESS);
    nt_close(two);
    is_status(fs_try(f, "a:two", FILE_OPEN, 0), STATUS_OBJECT_NAME_NOT_FOUND);
    is_status(fs_move(file, NULL, "b", 0), STATUS_SUCCESS);
    nt_close(one);
    nt_close(file);
    need(fs_again(f, NULL));
    one = fs_make(f, "b:UNO", FILE_OPEN, 0);
    need(one != NULL);
    is_status(fs_get(one, 0, data, sizeof(data), &got), STATUS_SUCCESS,
              "streams stay with the file");
    is_mem(data, "first", 5);
    nt_close(one);
    file = fs_make(f, "b", FILE_OVERWRITE, 0);
    need(file != NULL);
    nt_close(file);
    is_status(fs_try(f, "b:uno", FILE_OPEN, 0), STATUS_OBJECT_NAME_NOT_FOUND,
              "an overwrite takes them");
    one = fs_make(f, "b:x", FILE_CREATE, 0);
    file = fs_make(f, "b", FILE_OPEN, FILE_DELETE_ON_CLOSE);
    need(one != NULL && file != NULL);
    nt_close(one);
    nt_close(file);
    is_str(fs_list(f->root), "");
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "%s/.ntfs-streams", f->folder);
    ok(stat(path, &st) == 0);
    is_int(st.st_nlink, 2, "a deleted file leaves no streams");
}

FS_TEST(names_stream_makes_its_file, NULL)
{
    is_status(fs_try(f, "n:s", FILE_OPEN, 0), STATUS_OBJECT_NAME_NOT_FOUND);
    is_status(fs_try(f, "n:s", FILE_CREATE, 0), STATUS_SUCCESS);
    is_status(fs_try(f, "n", FILE_OPEN, 0), STATUS_SUCCESS);
    is_status(fs_try(f, "n:s", FILE_OPEN, 0), STATUS_SUCCESS);
}
