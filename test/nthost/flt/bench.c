/* See bench.h. */
#include "bench.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[] = {"fltprobe", "fltlower"};

void bench_open(struct bench *b, enum nt_scheduler scheduler, uint64_t seed)
{
    memset(b, 0, sizeof(*b));
    snprintf(b->dir, sizeof(b->dir), "/tmp/nthost-flt-XXXXXX");
    if (!mkdtemp(b->dir))
        abort();
    struct nt_options options = {.scheduler = scheduler,
                                 .seed = seed,
                                 .processors = 2,
                                 .state_dir = b->dir,
                                 .verifier = true,
                                 .special_pool = tap_drivers_pe()};
    b->shared = calloc(1, sizeof(*b->shared));
    nt_start(&options);
    nt_enter();
    b->entered = true;
}

void bench_register(const char *service, const char *place, const char *altitude, ULONG flags)
{
    char key[256];
    snprintf(key, sizeof(key), REGISTRY_SERVICES "\\%s\\%s", service, place);
    registry_set_string(key, "DefaultInstance", REG_SZ, service);
    snprintf(key, sizeof(key), REGISTRY_SERVICES "\\%s\\%s\\%s", service, place, service);
    registry_set_string(key, "Altitude", REG_SZ, altitude);
    registry_set_dword(key, "Flags", flags);
}

static void share(const char *device, PROBE_SHARED *shared)
{
    UINT64 address = (UINT64)(uintptr_t)shared;
    io_handle handle;
    struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 4000);
    if (is_status(io_open(client, device, GENERIC_READ | GENERIC_WRITE, &handle), STATUS_SUCCESS)) {
        is_status(
            io_ioctl(client, handle, IOCTL_PROBE_SHARE, &address, sizeof(address), NULL, 0, NULL),
            STATUS_SUCCESS);
        io_close(client, handle);
    }
    io_client_destroy(client);
}

NTSTATUS bench_load(struct bench *b, unsigned which)
{
    char error[512] = "";
    bench_register(names[which], which ? "Instances" : "Parameters\\Instances",
                   which ? "140000.5" : "370030", 0);
    NTSTATUS status = driver_load(names[which], driver_path(names[which]), &b->driver[which], error,
                                  sizeof(error));
    if (NT_SUCCESS(status))
        share(which ? "\\Device\\FltLower" : "\\Device\\FltProbe", b->shared);
    else
        diag("%s", error);
    return status;
}

void bench_unload(struct bench *b, unsigned which)
{
    if (b->driver[which] != NULL)
        is_status(driver_unload(b->driver[which]), STATUS_SUCCESS);
    b->driver[which] = NULL;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void bench_close(struct bench *b)
{
    bench_unload(b, UPPER);
    bench_unload(b, LOWER);
    is_int(b->shared->Failed, 0, "what the filters found wrong");
    is_int(b->shared->Contexts, 0, "contexts that were not cleaned up");
    nt_leave();
    nt_stop();
    nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(b->shared);
}

PROBE_RULE *rule(struct bench *b, unsigned which, UCHAR major)
{
    return &b->shared->Rules[which][major];
}

PROBE_RULE *watch(struct bench *b, unsigned which, UCHAR major)
{
    PROBE_RULE *r = rule(b, which, major);
    memset(r, 0, sizeof(*r));
    r->Action = ProbeWatch;
    r->Logged = 1;
    return r;
}

void forget(struct bench *b)
{
    b->shared->Logged = 0;
    memset(b->shared->Events, 0, sizeof(b->shared->Events));
}

const PROBE_EVENT *event(const struct bench *b, unsigned what, unsigned which, UCHAR major,
                         unsigned n)
{
    for (int i = 0; i < b->shared->Logged && i < PROBE_EVENTS; i++) {
        const PROBE_EVENT *e = &b->shared->Events[i];
        if (e->What == what && e->Filter == which && (UCHAR)e->Major == major && n-- == 0)
            return e;
    }
    return NULL;
}

unsigned events(const struct bench *b, unsigned what, unsigned which, UCHAR major)
{
    unsigned n = 0;
    while (event(b, what, which, major, n) != NULL)
        n++;
    return n;
}

const char *event_name(const PROBE_EVENT *e)
{
    static char text[200];
    unsigned i = 0;
    for (; i < sizeof(text) - 1 && e->Name[i]; i++)
        text[i] = (char)e->Name[i];
    text[i] = 0;
    return text;
}

/* Files */

static void widen(UNICODE_STRING *out, WCHAR *buffer, const char *prefix, const char *text)
{
    unsigned n = 0;
    for (; *prefix; prefix++)
        buffer[n++] = (UCHAR)*prefix;
    for (; *text; text++)
        buffer[n++] = (UCHAR)*text;
    *out = (UNICODE_STRING){(USHORT)(n * 2), (USHORT)(n * 2), buffer};
}

NTSTATUS file_create(const char *path, ULONG disposition, ULONG options, HANDLE *file)
{
    WCHAR buffer[256];
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;
    widen(&name, buffer, "\\??\\C:", path);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               NULL);
    return ZwCreateFile(file, GENERIC_READ | GENERIC_WRITE | DELETE | SYNCHRONIZE, &attributes,
                        &iosb, NULL, FILE_ATTRIBUTE_NORMAL,
                        FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, disposition,
                        options | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
}

HANDLE file_new(const char *path)
{
    HANDLE file = NULL;
    is_status(file_create(path, FILE_OVERWRITE_IF, 0, &file), STATUS_SUCCESS, "%s", path);
    return file;
}

void folder_new(const char *path)
{
    HANDLE file = NULL;
    is_status(file_create(path, FILE_OPEN_IF, FILE_DIRECTORY_FILE, &file), STATUS_SUCCESS, "%s",
              path);
    ZwClose(file);
}

NTSTATUS file_write(HANDLE file, LONGLONG offset, const char *text)
{
    IO_STATUS_BLOCK iosb;
    LARGE_INTEGER at = {.QuadPart = offset};
    return ZwWriteFile(file, NULL, NULL, NULL, &iosb, (void *)(uintptr_t)text, (ULONG)strlen(text),
                       &at, NULL);
}

NTSTATUS file_read(HANDLE file, LONGLONG offset, char *text, ULONG bytes)
{
    IO_STATUS_BLOCK iosb = {.Information = 0};
    LARGE_INTEGER at = {.QuadPart = offset};
    NTSTATUS status = ZwReadFile(file, NULL, NULL, NULL, &iosb, text, bytes - 1, &at, NULL);
    text[NT_SUCCESS(status) ? iosb.Information : 0] = 0;
    return status;
}

NTSTATUS file_rename(HANDLE file, const char *path)
{
    struct {
        FILE_RENAME_INFORMATION info;
        WCHAR more[200];
    } rename = {.info.ReplaceIfExists = TRUE};
    UNICODE_STRING name;
    IO_STATUS_BLOCK iosb;
    widen(&name, rename.info.FileName, "\\??\\C:", path);
    rename.info.FileNameLength = name.Length;
    return ZwSetInformationFile(file, &iosb, &rename, sizeof(rename), FileRenameInformation);
}

PFILE_OBJECT file_object(HANDLE file)
{
    PVOID object = NULL;
    is_status(ObReferenceObjectByHandle(file, 0, NULL, KernelMode, &object, NULL), STATUS_SUCCESS);
    ObfDereferenceObject(object);
    return object;
}
