/* Folder queries. */
#include "fixture.h"
#include <nthost/utf.h>
#include <stdio.h>
#include <stdlib.h>

static NTSTATUS query(PFILE_OBJECT folder, FILE_INFORMATION_CLASS class, void *out, ULONG room,
                      const char *pattern, UCHAR flags, ULONG_PTR *bytes)
{
    WCHAR buffer[64];
    UNICODE_STRING name;
    if (pattern != NULL)
        name = fs_name(pattern, buffer, 64);
    return nt_query_directory(folder, class, out, room, pattern ? &name : NULL, flags, bytes);
}

/* How many entries match, over all calls. */
static unsigned count(struct fixture *f, const char *pattern)
{
    UCHAR out[512] __attribute__((aligned(8)));
    unsigned n = 0;
    struct opening o = {.name = "",
                        .access = FILE_LIST_DIRECTORY,
                        .share = SHARE_ALL,
                        .disposition = FILE_OPEN,
                        .options = SYNC | FILE_DIRECTORY_FILE};
    PFILE_OBJECT folder;
    ULONG_PTR bytes;
    if (!is_status(fs_open(f, &o, &folder), STATUS_SUCCESS))
        return 0;
    NTSTATUS status = query(folder, FileNamesInformation, out, sizeof(out), pattern, 0, &bytes);
    while (NT_SUCCESS(status)) {
        for (ULONG at = 0;;) {
            const FILE_NAMES_INFORMATION *e = (const void *)(out + at);
            n++;
            if (e->NextEntryOffset == 0)
                break;
            at += e->NextEntryOffset;
        }
        status = query(folder, FileNamesInformation, out, sizeof(out), "ignored", 0, &bytes);
    }
    is_status(status, n ? STATUS_NO_MORE_FILES : STATUS_NO_SUCH_FILE, "%s", pattern);
    nt_close(folder);
    return n;
}

FS_TEST(enumerate_patterns, NULL)
{
    static const char *const names[] = {"a.txt", "b.TXT", "abc", "readme", "x.y.z", "x."};
    for (unsigned i = 0; i < ARRAYSIZE(names); i++)
        is_status(fs_try(f, names[i], FILE_CREATE, 0), STATUS_SUCCESS);
    is_int(count(f, "*"), 6);
    is_int(count(f, "*.*"), 6, "all, as ever");
    is_int(count(f, "*.txt"), 2, "without case");
    is_int(count(f, "a*"), 2);
    is_int(count(f, "?bc"), 1);
    is_int(count(f, "????"), 0);
    is_int(count(f, "ABC"), 1);
    is_int(count(f, "*y*"), 1);
    is_int(count(f, "<.z"), 1, "DOS_STAR");
    is_int(count(f, "x\"y\"z"), 1, "DOS_DOT");
    is_int(count(f, "abc>>"), 1, "DOS_QM");
}

FS_TEST(enumerate_classes, NULL)
{
    UCHAR out[1024] __attribute__((aligned(8)));
    ULONG_PTR bytes;
    FILE_ID_INFORMATION id;
    PFILE_OBJECT d = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE);
    PFILE_OBJECT file = fs_make(f, "d\\file", FILE_CREATE, 0);
    need(d != NULL && file != NULL);
    is_status(fs_put(file, 0, "12345", 5), STATUS_SUCCESS);
    is_status(nt_query_information(file, FileIdInformation, &id, sizeof(id), NULL), STATUS_SUCCESS);
    static const struct {
        FILE_INFORMATION_CLASS class;
        ULONG name, name_length, id;
    } classes[] = {
#define ROW(class, type, id)                                                                       \
    {class, FIELD_OFFSET(type, FileName), FIELD_OFFSET(type, FileNameLength), id}
        ROW(FileDirectoryInformation, FILE_DIRECTORY_INFORMATION, 0),
        ROW(FileFullDirectoryInformation, FILE_FULL_DIR_INFORMATION, 0),
        ROW(FileBothDirectoryInformation, FILE_BOTH_DIR_INFORMATION, 0),
        ROW(FileIdFullDirectoryInformation, FILE_ID_FULL_DIR_INFORMATION,
            FIELD_OFFSET(FILE_ID_FULL_DIR_INFORMATION, FileId)),
        ROW(FileIdBothDirectoryInformation, FILE_ID_BOTH_DIR_INFORMATION,
            FIELD_OFFSET(FILE_ID_BOTH_DIR_INFORMATION, FileId)),
        ROW(FileIdExtdDirectoryInformation, FILE_ID_EXTD_DIR_INFORMATION,
            FIELD_OFFSET(FILE_ID_EXTD_DIR_INFORMATION, FileId)),
        ROW(FileIdExtdBothDirectoryInformation, FILE_ID_EXTD_BOTH_DIR_INFORMATION,
            FIELD_OFFSET(FILE_ID_EXTD_BOTH_DIR_INFORMATION, FileId))};
    for (unsigned i = 0; i < ARRAYSIZE(classes); i++) {
        PFILE_OBJECT again = fs_make(f, "d", FILE_OPEN, FILE_DIRECTORY_FILE);
        if (again == NULL)
            return;
        tap_at("class %u", classes[i].class);
        is_status(query(again, classes[i].class, out, sizeof(out), "f*", 0, &bytes),
                  STATUS_SUCCESS);
        const FILE_DIRECTORY_INFORMATION *e = (const void *)out;
        is_int(e->EndOfFile.QuadPart, 5);
        is_hex(e->FileAttributes, FILE_ATTRIBUTE_ARCHIVE);
        ULONG length;
        memcpy(&length, out + classes[i].name_length, 4);
        is_int(length, 8);
        is_mem(out + classes[i].name, L"file", 8);
        is_int(bytes, classes[i].name + 8);
        if (classes[i].id != 0)
            is_mem(out + classes[i].id, &id.FileId, 8);
        is_status(query(again, classes[i].class, out, 8, "f*", SL_RESTART_SCAN, &bytes),
                  STATUS_INFO_LENGTH_MISMATCH);
        is_status(
            query(again, classes[i].class, out, classes[i].name + 4, NULL, SL_RESTART_SCAN, &bytes),
            STATUS_BUFFER_OVERFLOW);
        nt_close(again);
    }
    tap_at(NULL);
    is_status(query(file, FileNamesInformation, out, sizeof(out), NULL, 0, &bytes),
              STATUS_INVALID_PARAMETER);
    nt_close(file);
    nt_close(d);
}

/* Entries that are there all the time are seen once, whatever comes and goes meanwhile. */
FS_TEST(enumerate_under_changes, NULL)
{
    UCHAR out[256] __attribute__((aligned(8)));
    unsigned char seen[200] = {0};
    ULONG_PTR bytes;
    char name[32];
    PFILE_OBJECT d = fs_make(f, "d", FILE_CREATE, FILE_DIRECTORY_FILE);
    need(d != NULL);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "d\\n%u", i);
        is_status(fs_try(f, name, FILE_CREATE, 0), STATUS_SUCCESS);
    }
    unsigned step = 0, single = 0;
    NTSTATUS status;
    while (NT_SUCCESS(status = query(d, FileFullDirectoryInformation, out, sizeof(out), NULL,
                                     single ? SL_RETURN_SINGLE_ENTRY : 0, &bytes))) {
        for (ULONG at = 0;;) {
            const FILE_FULL_DIR_INFORMATION *e = (const void *)(out + at);
            utf8_copy(name, sizeof(name), e->FileName, e->FileNameLength / sizeof(WCHAR));
            if (name[0] == 'n')
                seen[atoi(name + 1)]++;
            if (e->NextEntryOffset == 0)
                break;
            ok(!single);
            at += e->NextEntryOffset;
        }
        single ^= 1;
        if (step < 20) { /* the odd ones go, new ones come */
            snprintf(name, sizeof(name), "d\\n%u", step * 2 + 1);
            is_status(fs_try(f, name, FILE_OPEN, FILE_DELETE_ON_CLOSE), STATUS_SUCCESS);
            snprintf(name, sizeof(name), "d\\m%u", step++);
            is_status(fs_try(f, name, FILE_CREATE, 0), STATUS_SUCCESS);
        }
    }
    is_status(status, STATUS_NO_MORE_FILES);
    for (unsigned i = 0; i < 200; i++)
        if (seen[i] != 1 && !(i % 2 == 1 && i < 40 && seen[i] == 0))
            fail("n%u was seen %u times", i, seen[i]);
    nt_close(d);
}
