/* Names: before and after creates, normalization, the cache, renames. */
#include "bench.h"
#include <sys/stat.h>
#include <unistd.h>
#include <stdio.h>

#define NORMALIZED (FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT)
#define OPENED     (FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT)
#define VOLUME     "\\Device\\HarddiskVolume1"

static void expect_name(const struct bench *b, unsigned what, UCHAR major, unsigned n,
                        const char *name)
{
    const PROBE_EVENT *e = event(b, what, UPPER, major, n);
    need(e, "event %u of 0x%02x", n, major);
    is_status(e->NameStatus, STATUS_SUCCESS, "%s", name);
    is_str(event_name(e), name);
}

static void watch_names(struct bench *b, UCHAR major, ULONG options)
{
    PROBE_RULE *r = watch(b, UPPER, major);
    r->Do = r->PostDo = PROBE_NAME;
    r->NameOptions = options;
}

NT_TEST(names_before_and_after_create)
{
    struct bench b;
    HANDLE file;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    folder_new("\\Dir");
    folder_new("\\Dir\\Sub");
    ZwClose(file_new("\\Dir\\Sub\\File.txt"));
    watch_names(&b, IRP_MJ_CREATE, NORMALIZED);
    is_status(file_create("\\DIR\\sUB\\file.TXT", FILE_OPEN, 0, &file), STATUS_SUCCESS);
    expect_name(&b, ProbePre, IRP_MJ_CREATE, 0, VOLUME "\\Dir\\Sub\\file.TXT");
    expect_name(&b, ProbePost, IRP_MJ_CREATE, 0, VOLUME "\\Dir\\Sub\\File.txt");
    ZwClose(file);
    forget(&b);
    watch_names(&b, IRP_MJ_CREATE, OPENED);
    is_status(file_create("\\DIR\\file.TXT", FILE_OPEN_IF, 0, &file), STATUS_SUCCESS);
    expect_name(&b, ProbePre, IRP_MJ_CREATE, 0, VOLUME "\\DIR\\file.TXT");
    expect_name(&b, ProbePost, IRP_MJ_CREATE, 0, VOLUME "\\Dir\\file.TXT");
    ZwClose(file);
    forget(&b);
    watch_names(&b, IRP_MJ_CREATE, NORMALIZED);
    rule(&b, UPPER, IRP_MJ_CREATE)->PostDo = 0; /* the create fails: no name after it */
    is_status(file_create("\\nowhere\\x", FILE_OPEN, 0, &file), STATUS_OBJECT_PATH_NOT_FOUND);
    is_status(event(&b, ProbePre, UPPER, IRP_MJ_CREATE, 0)->NameStatus,
              STATUS_OBJECT_PATH_NOT_FOUND);
    bench_close(&b);
}

NT_TEST(names_of_files_relative_to_a_folder)
{
    struct bench b;
    HANDLE folder, file;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    folder_new("\\Dir");
    is_status(file_create("\\dir", FILE_OPEN, FILE_DIRECTORY_FILE, &folder), STATUS_SUCCESS);
    watch_names(&b, IRP_MJ_CREATE, NORMALIZED);
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"in.txt");
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, folder, NULL);
    is_status(ZwCreateFile(&file, GENERIC_WRITE | SYNCHRONIZE, &attributes, &iosb, NULL, 0, 7,
                           FILE_CREATE, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0),
              STATUS_SUCCESS);
    expect_name(&b, ProbePre, IRP_MJ_CREATE, 0, VOLUME "\\Dir\\in.txt");
    expect_name(&b, ProbePost, IRP_MJ_CREATE, 0, VOLUME "\\Dir\\in.txt");
    ZwClose(file);
    ZwClose(folder);
    bench_close(&b);
}

NT_TEST(cached_names_end_with_renames)
{
    struct bench b;
    HANDLE file, folder;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    folder_new("\\A");
    folder_new("\\A\\B");
    file = file_new("\\A\\B\\f.txt");
    watch_names(&b, IRP_MJ_WRITE, NORMALIZED);
    rule(&b, UPPER, IRP_MJ_WRITE)->PostDo = 0;
    file_write(file, 0, "1");
    expect_name(&b, ProbePre, IRP_MJ_WRITE, 0, VOLUME "\\A\\B\\f.txt");
    /* Out of the cache: the file system would not be asked. */
    rule(&b, UPPER, IRP_MJ_WRITE)->NameOptions =
        FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_CACHE_ONLY;
    file_write(file, 0, "2");
    expect_name(&b, ProbePre, IRP_MJ_WRITE, 1, VOLUME "\\A\\B\\f.txt");
    /* The file's own rename */
    watch(&b, UPPER, IRP_MJ_SET_INFORMATION)->Do = PROBE_DESTINATION;
    is_status(file_rename(file, "\\A\\g.txt"), STATUS_SUCCESS);
    expect_name(&b, ProbePre, IRP_MJ_SET_INFORMATION, 0, VOLUME "\\A\\g.txt");
    file_write(file, 0, "3");
    is_status(event(&b, ProbePre, UPPER, IRP_MJ_WRITE, 2)->NameStatus, STATUS_FLT_NAME_CACHE_MISS);
    rule(&b, UPPER, IRP_MJ_WRITE)->NameOptions = NORMALIZED;
    file_write(file, 0, "4");
    expect_name(&b, ProbePre, IRP_MJ_WRITE, 3, VOLUME "\\A\\g.txt");
    /* A folder's above it, without the filter's seeing it */
    memset(rule(&b, UPPER, IRP_MJ_SET_INFORMATION), 0, sizeof(PROBE_RULE));
    is_status(file_create("\\A", FILE_OPEN, FILE_DIRECTORY_FILE, &folder), STATUS_SUCCESS);
    is_status(file_rename(folder, "\\Z"), STATUS_SUCCESS);
    ZwClose(folder);
    file_write(file, 0, "5");
    expect_name(&b, ProbePre, IRP_MJ_WRITE, 4, VOLUME "\\Z\\g.txt");
    /* Folders that were opened for normalization are asked again, too. */
    watch_names(&b, IRP_MJ_CREATE, NORMALIZED);
    HANDLE other = file_new("\\z\\b\\new.txt");
    expect_name(&b, ProbePre, IRP_MJ_CREATE, 0, VOLUME "\\Z\\B\\new.txt");
    ZwClose(other);
    is_status(file_create("\\Z", FILE_OPEN, FILE_DIRECTORY_FILE, &folder), STATUS_SUCCESS);
    is_status(file_rename(folder, "\\Q"), STATUS_SUCCESS);
    ZwClose(folder);
    forget(&b);
    rule(&b, UPPER, IRP_MJ_CREATE)->PostDo = 0;
    is_status(file_create("\\Z\\b\\new.txt", FILE_OPEN, 0, &other), STATUS_OBJECT_PATH_NOT_FOUND);
    is_status(event(&b, ProbePre, UPPER, IRP_MJ_CREATE, 0)->NameStatus,
              STATUS_OBJECT_PATH_NOT_FOUND);
    ZwClose(file);
    bench_close(&b);
}

NT_TEST(destination_names)
{
    struct bench b;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(bench_load(&b, UPPER)));
    PFLT_FILTER filter = (PFLT_FILTER)(ULONG_PTR)b.shared->Filter[UPPER];
    PFLT_INSTANCE instance = (PFLT_INSTANCE)(ULONG_PTR)b.shared->Instance[UPPER];
    PFLT_VOLUME volume;
    UNICODE_STRING c = RTL_CONSTANT_STRING(L"\\??\\C:");
    need(NT_SUCCESS(FltGetVolumeFromName(filter, &c, &volume)));
    need(NT_SUCCESS(FltGetVolumeInstanceFromName(filter, volume, NULL, &instance)));
    folder_new("\\Dir");
    HANDLE file = file_new("\\Dir\\f"), folder;
    file_create("\\Dir", FILE_OPEN, FILE_DIRECTORY_FILE, &folder);
    static const struct {
        const WCHAR *name;
        bool root;
        NTSTATUS status;
        const char *expected;
    } cases[] = {{L"new.txt", false, STATUS_SUCCESS, VOLUME "\\Dir\\new.txt"},
                 {L"in.txt", true, STATUS_SUCCESS, VOLUME "\\Dir\\in.txt"},
                 {L"\\??\\C:\\dIR\\x.txt", false, STATUS_SUCCESS, VOLUME "\\Dir\\x.txt"},
                 {L"\\??\\C:\\x.txt", false, STATUS_SUCCESS, VOLUME "\\x.txt"},
                 {L"\\??\\Q:\\x.txt", false, STATUS_OBJECT_PATH_NOT_FOUND, NULL},
                 {L"\\??\\C:\\none\\x.txt", false, STATUS_OBJECT_PATH_NOT_FOUND, NULL}};
    for (unsigned i = 0; i < ARRAYSIZE(cases); i++) {
        PFLT_FILE_NAME_INFORMATION info = NULL;
        UNICODE_STRING name;
        RtlInitUnicodeString(&name, cases[i].name);
        tap_at("case %u", i);
        is_status(FltGetDestinationFileNameInformation(instance, file_object(file),
                                                       cases[i].root ? folder : NULL, name.Buffer,
                                                       name.Length, NORMALIZED, &info),
                  cases[i].status);
        if (info != NULL) {
            PROBE_EVENT e = {0};
            memcpy(e.Name, info->Name.Buffer, info->Name.Length);
            is_str(event_name(&e), cases[i].expected);
            FltReleaseFileNameInformation(info);
        }
    }
    tap_at(NULL);
    ZwClose(file);
    ZwClose(folder);
    FltObjectDereference(instance);
    FltObjectDereference(volume);
    bench_close(&b);
}

NT_TEST(parsed_names)
{
    static const struct {
        const WCHAR *name, *final, *extension, *stream;
    } cases[] = {{L"\\a\\b.txt", L"b.txt", L"txt", L""},
                 {L"\\a\\b.tar.gz:s:$DATA", L"b.tar.gz", L"gz", L":s:$DATA"},
                 {L"\\a\\noext", L"noext", L"", L""},
                 {L"\\a\\.profile", L".profile", L"profile", L""},
                 {L"\\a\\", L"", L"", L""},
                 {L"b:s.x", L"b", L"", L":s.x"},
                 {L"", L"", L"", L""}};
    tap_start(NT_DETERMINISTIC, tap_seed());
    for (unsigned i = 0; i < ARRAYSIZE(cases); i++) {
        UNICODE_STRING name, final, extension, stream, wanted;
        tap_at("case %u", i);
        RtlInitUnicodeString(&name, cases[i].name);
        is_status(FltParseFileName(&name, &extension, &stream, &final), STATUS_SUCCESS);
        RtlInitUnicodeString(&wanted, cases[i].final);
        ok(RtlEqualUnicodeString(&final, &wanted, FALSE));
        RtlInitUnicodeString(&wanted, cases[i].extension);
        ok(RtlEqualUnicodeString(&extension, &wanted, FALSE));
        RtlInitUnicodeString(&wanted, cases[i].stream);
        ok(RtlEqualUnicodeString(&stream, &wanted, FALSE));
    }
    tap_at(NULL);
    nt_stop();
}
