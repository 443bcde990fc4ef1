/* The filter manager's rules: minifilters on drive C:, with creates that succeed and fail, writes
 * and a rename. */
#include "cases.h"
#include <nthost/registry.h>
#include <nthost/sched.h>
#include <ntifs.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Both twins run in children of one process and use one folder: the bad one leaves it behind. */
static const char *make_dir(void)
{
    snprintf(dir, sizeof dir, "/tmp/nthost-bad-%d", (int)getppid());
    clean_up();
    return mkdir(dir, 0700) == 0 ? dir : NULL;
}

static void define_instances(void)
{
    static const char *const twins[] = {"bad", "good"};
    for (unsigned i = 0; i < 2; i++) {
        char key[256];
        snprintf(key, sizeof key, REGISTRY_SERVICES "\\%s-%s\\Instances", vf_case_driver(),
                 twins[i]);
        registry_set_string(key, "DefaultInstance", REG_SZ, "bad");
        strcat(key, "\\bad");
        registry_set_string(key, "Altitude", REG_SZ, "370000");
        registry_set_dword(key, "Flags", 0);
    }
}

static NTSTATUS open_file(const WCHAR *path, ULONG disposition, HANDLE *file)
{
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;
    RtlInitUnicodeString(&name, path);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateFile(file, GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE, &attributes, &iosb, NULL,
                        0, FILE_SHARE_READ | FILE_SHARE_WRITE, disposition,
                        FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
}

static void use_files(PDRIVER_OBJECT driver)
{
    (void)driver;
    HANDLE file;
    IO_STATUS_BLOCK iosb;
    LARGE_INTEGER start = {.QuadPart = 0};
    nt_enter();
    open_file(L"\\??\\C:\\missing", FILE_OPEN, &file);
    need(NT_SUCCESS(open_file(L"\\??\\C:\\file", FILE_CREATE, &file)));
    for (unsigned i = 0; i < 2; i++)
        ZwWriteFile(file, NULL, NULL, NULL, &iosb, "text", 4, &start, NULL);
    ZwClose(file);
    nt_leave();
}

#define FLT_CASE(rule, name)                                                                       \
    VF_CASE(rule, name, .state_dir = make_dir, .before = define_instances, .exercise = use_files,  \
            .stopped = clean_up)

FLT_CASE(FltContext, FltContext);
FLT_CASE(FltContext, FltContext_twice);
FLT_CASE(FltContext, FltContext_size);
FLT_CASE(FltName, FltName);
FLT_CASE(FltName, FltName_leak);
FLT_CASE(FltName, FltName_toplevel);
FLT_CASE(FltCallbackData, FltCallbackData);
FLT_CASE(FltCallbackData, FltCallbackData_dirty);
FLT_CASE(FltStatus, FltStatus);
FLT_CASE(FltStatus, FltStatus_disallow);
FLT_CASE(FltStatus, FltStatus_pended);
FLT_CASE(FltReferenceLeak, FltReferenceLeak);
FLT_CASE(FltReferenceLeak, FltReferenceLeak_registered);
