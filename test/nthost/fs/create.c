/* Dispositions, share modes, types, access: what an open gives. */
#include "fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

FS_TEST(create_dispositions, NULL)
{
    UCHAR list[128];
    ULONG at = 0;
    static const char *const names[] = {"$LXUID", "$LXGID", "$LXMOD"};
    const ULONG values[] = {1234, 5678, S_IFREG | 04751};
    memset(list, 0, sizeof(list));
    for (unsigned i = 0; i < 3; i++, at += 20) {
        FILE_FULL_EA_INFORMATION *entry = (FILE_FULL_EA_INFORMATION *)(list + at);
        entry->NextEntryOffset = i < 2 ? 20 : 0;
        entry->EaNameLength = 6;
        entry->EaValueLength = 4;
        memcpy(entry->EaName, names[i], 7);
        memcpy(entry->EaName + 7, &values[i], 4);
    }
    struct opening o = {.name = "mine",
                        .access = FILE_ALL_ACCESS,
                        .share = SHARE_ALL,
                        .disposition = FILE_CREATE,
                        .options = SYNC,
                        .ea = list,
                        .ea_bytes = 60};
    PFILE_OBJECT file;
    if (geteuid() != 0)
        skip("only the superuser gives files away");
    is_status(fs_open(f, &o, &file), STATUS_SUCCESS);
    need(file != NULL);
    FILE_STAT_LX_INFORMATION stat;
    is_status(nt_query_information(file, FileStatLxInformation, &stat, sizeof(stat), NULL),
              STATUS_SUCCESS);
    is_int(stat.LxUid, 1234);
    is_int(stat.LxGid, 5678);
    is_int(stat.LxMode, S_IFREG | 04751);
    nt_close(file);
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "%s/mine", f->folder);
    ok(lstat(path, &st) == 0);
    is_int(st.st_uid, 1234);
    is_int(st.st_mode, S_IFREG | 04751);
}

/* Opens by identity of what nobody has open, in a tree that changes: the index follows. */
FS_TEST(create_by_identity_index, NULL)
{
    enum { FILES = 60 };
    FILE_ID_128 ids[FILES];
    char name[48];
    for (unsigned i = 0; i < FILES; i++) {
        FILE_ID_INFORMATION info;
        if (i % 10 == 0) {
            snprintf(name, sizeof(name), "d%u", i / 10);
            is_status(fs_try(f, name, FILE_CREATE, FILE_DIRECTORY_FILE), STATUS_SUCCESS);
        }
        snprintf(name, sizeof(name), "d%u\\f%u", i / 10, i);
        PFILE_OBJECT file = fs_make(f, name, FILE_CREATE, 0);
        need(file != NULL);
        is_status(nt_query_information(file, FileIdInformation, &info, sizeof(info), NULL),
                  STATUS_SUCCESS);
        ids[i] = info.FileId;
        nt_close(file);
    }
    struct nt_create create = {.root = f->root,
                               .id_bytes = 16,
                               .access = FILE_READ_DATA | DELETE,
                               .share = SHARE_ALL,
                               .disposition = FILE_OPEN,
                               .options = SYNC};
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < FILES; i++) {
            /* In the second round: folder 1 has moved, every third file is renamed or gone. */
            bool gone = round && i % 3 == 0, renamed = round && i % 3 == 1;
            char expected[64];
            create.id = &ids[i];
            if (!is_status(nt_create(&create), gone ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS,
                           "round %u, file %u", round, i) ||
                gone)
                continue;
            snprintf(expected, sizeof(expected), "\\%s%u\\%c%u", round && i / 10 == 1 ? "m" : "d",
                     i / 10, renamed ? 'r' : 'f', i);
            is_str(fs_path(create.file), expected);
            nt_close(create.file);
        }
        if (round == 1)
            break;
        for (unsigned i = 0; i < FILES; i++) {
            create.id = &ids[i];
            if (i % 3 == 2 || !is_status(nt_create(&create), STATUS_SUCCESS))
                continue;
            snprintf(name, sizeof(name), "r%u", i);
            if (i % 3 == 1)
                is_status(fs_move(create.file, NULL, name, 0), STATUS_SUCCESS);
            else
                is_status(nt_dispose(create.file, FILE_DISPOSITION_DELETE), STATUS_SUCCESS);
            nt_close(create.file);
        }
        PFILE_OBJECT folder = fs_make(f, "d1", FILE_OPEN, FILE_DIRECTORY_FILE);
        need(folder != NULL);
        is_status(fs_move(folder, NULL, "m1", 0), STATUS_SUCCESS);
        nt_close(folder);
    }
    /* A hard link keeps the file when the name that the index had goes. */
    WCHAR buffer[16];
    UNICODE_STRING link = fs_name("other", buffer, 16);
    create.id = &ids[2];
    is_status(nt_create(&create), STATUS_SUCCESS);
    need(create.file != NULL);
    is_status(nt_link(create.file, f->root, &link, 0), STATUS_SUCCESS);
    is_status(nt_dispose(create.file, FILE_DISPOSITION_DELETE), STATUS_SUCCESS);
    nt_close(create.file);
    is_status(nt_create(&create), STATUS_SUCCESS);
    need(create.file != NULL);
    is_str(fs_path(create.file), "\\other");
    nt_close(create.file);
}
