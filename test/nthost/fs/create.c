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
