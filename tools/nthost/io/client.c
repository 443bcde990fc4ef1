/*
 * Clients: processes that open devices and send them requests; see nthost/client.h.
 *
 * A request is in its client's list from its start until its IRP has ended. Whoever cancels it pins
 * it, so that the IRP cannot be freed under IoCancelIrp; an IRP that ends while it is pinned is
 * concluded by the last to let go. Locks: client->mutex guards the list and all requests' pins;
 * nothing is called under it.
 */
#include "device.h"
#include "file.h"
#include <nthost/client.h>
#include <nthost/sched.h>
#include <nthost/utf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct io_client {
    struct _EPROCESS *process;
    pthread_mutex_t mutex;
    struct io_request *requests;
    unsigned pending;
    PKEVENT idle; /* set when `pending` becomes 0; on the stack of io_client_destroy */
};

struct io_request {
    struct io_request *next, **link; /* in the client's list while `listed` */
    struct io_client *client;
    PFILE_OBJECT file; /* referenced until it has ended; NULL for an open */
    PIRP irp;
    struct irp_packet *packet;
    _Atomic int references;
    unsigned pins;
    bool listed, ended; /* ended while it was pinned: yet to be concluded */
    io_done *done;
    io_opened *opened; /* an open, which `open` describes */
    struct file_open *open;
    void *context;
};

/* Driver context, in the client's process. */
struct context {
    struct _EPROCESS *previous;
};

static struct context enter(struct io_client *client)
{
    nt_enter();
    return (struct context){process_switch(client->process)};
}

static void leave(struct context context)
{
    process_switch(context.previous);
    nt_leave();
}

struct io_client *io_client_create(enum io_token token, uint32_t process_id)
{
    char image[32];
    struct io_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return NULL;
    snprintf(image, sizeof(image), "client %u", process_id);
    pthread_mutex_init(&client->mutex, NULL);
    nt_enter();
    client->process = process_create(process_id, image, token);
    nt_leave();
    if (client->process == NULL) {
        pthread_mutex_destroy(&client->mutex);
        free(client);
        return NULL;
    }
    return client;
}

void io_request_release(struct io_request *request)
{
    if (atomic_fetch_sub(&request->references, 1) == 1)
        free(request);
}

/* The file is open: a handle on it is what the client gets. */
static void conclude_open(struct io_request *request)
{
    struct file_open *open = request->open;
    HANDLE handle = NULL;
    file_open_conclude(open, request->packet);
    NTSTATUS status = open->status;
    if (NT_SUCCESS(status)) {
        status =
            ob_handle_open(request->client->process->handles, open->file, open->granted, &handle);
        if (NT_SUCCESS(status))
            open->file->Flags |= FO_HANDLE_CREATED;
        ob_dereference(open->file);
    }
    free(open);
    request->opened(request->context, status, HandleToULong(handle));
}

static void conclude_transfer(struct io_request *request)
{
    PIRP irp = request->irp;
    irp_finish_buffers(request->packet, irp);
    IO_STATUS_BLOCK iosb = irp->IoStatus;
    irp_free(irp, request->packet->freed_by);
    ob_dereference(request->file);
    request->done(request->context, iosb.Status, iosb.Information);
}

/* The IRP has ended and nobody pins it. <= DISPATCH_LEVEL. */
static void conclude(struct io_request *request)
{
    struct io_client *client = request->client;
    if (request->opened != NULL)
        conclude_open(request);
    else
        conclude_transfer(request);
    io_request_release(request);
    pthread_mutex_lock(&client->mutex);
    PKEVENT idle = --client->pending == 0 ? client->idle : NULL;
    pthread_mutex_unlock(&client->mutex);
    if (idle != NULL) /* the client may be gone by now, its destroyer waits for this */
        KeSetEvent(idle, IO_NO_INCREMENT, FALSE);
}

void io_request_reference(struct io_request *request)
{
    atomic_fetch_add(&request->references, 1);
}

/* Out of the list: no new pins. The client is locked. */
static void unlist(struct io_request *request)
{
    if (!request->listed)
        return;
    *request->link = request->next;
    if (request->next != NULL)
        request->next->link = request->link;
    request->listed = false;
}

static void finish_request(struct irp_packet *packet, PIRP irp)
{
    struct io_request *request = packet->finish_context;
    UNREFERENCED_PARAMETER(irp);
    pthread_mutex_lock(&request->client->mutex);
    unlist(request);
    bool pinned = request->pins != 0;
    request->ended = pinned;
    pthread_mutex_unlock(&request->client->mutex);
    if (!pinned)
        conclude(request);
}

static void unpin(struct io_request *request)
{
    struct io_client *client = request->client;
    pthread_mutex_lock(&client->mutex);
    bool last = --request->pins == 0 && request->ended;
    pthread_mutex_unlock(&client->mutex);
    if (last)
        conclude(request);
}

/* Cancels what is listed and matches; NULL matches all. True: there was something. */
static bool cancel_matching(struct io_client *client, const FILE_OBJECT *file,
                            const struct io_request *only)
{
    struct io_request *pinned[64];
    size_t count;
    bool any = false;
    do {
        count = 0;
        pthread_mutex_lock(&client->mutex);
        for (struct io_request *r = client->requests; r != NULL; r = r->next) {
            if ((file != NULL && r->file != file) || (only != NULL && r != only))
                continue;
            any = true;
            if (r->irp->Cancel || count == ARRAYSIZE(pinned))
                continue; /* cancelled before; or in the next round */
            r->pins++;
            pinned[count++] = r;
        }
        pthread_mutex_unlock(&client->mutex);
        for (size_t i = 0; i < count; i++) {
            irp_cancel(pinned[i]->irp);
            unpin(pinned[i]);
        }
    } while (count == ARRAYSIZE(pinned));
    return any;
}

/* Opening */

/* "\\.\X" and "\\?\X" become "\??\X", "C:\X" "\??\C:\X"; an NT path stays. */
static NTSTATUS nt_path(const char *path, UNICODE_STRING *out)
{
    bool win32 = strncmp(path, "\\\\.\\", 4) == 0 || strncmp(path, "\\\\?\\", 4) == 0;
    const char *tail = win32 ? path + 4 : path;
    bool prefix = win32 || (path[0] != 0 && path[1] == ':');
    unsigned chars, head = prefix ? 4 : 0;
    if (!utf8_is_valid(path, strlen(path)))
        return STATUS_OBJECT_NAME_INVALID;
    WCHAR *wide = utf16_from_utf8(tail, strlen(tail), &chars);
    if (wide == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    WCHAR *whole = malloc((head + chars + 1) * sizeof(WCHAR));
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    if (whole != NULL) {
        memcpy(whole, L"\\??\\", head * sizeof(WCHAR));
        memcpy(whole + head, wide, chars * sizeof(WCHAR));
        status = ob_copy_string(out, whole, head + chars);
    }
    free(whole);
    free(wide);
    return status;
}

static NTSTATUS send(struct io_request *request, PDEVICE_OBJECT device)
{
    struct io_client *client = request->client;
    pthread_mutex_lock(&client->mutex);
    request->next = client->requests;
    request->link = &client->requests;
    if (request->next != NULL)
        request->next->link = &request->next;
    client->requests = request;
    request->listed = true;
    client->pending++;
    pthread_mutex_unlock(&client->mutex);
    irp_call(device, request->irp, NULL);
    return STATUS_PENDING;
}

static NTSTATUS start_open(struct io_client *client, struct io_request *request,
                           PCUNICODE_STRING path, ACCESS_MASK access)
{
    PDEVICE_OBJECT device;
    struct file_open *open = calloc(1, sizeof(*open));
    if (open == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    /* What CreateFile adds to the access that it was asked for. */
    *open = (struct file_open){.path = *path,
                               .mode = UserMode,
                               .access = access | SYNCHRONIZE | FILE_READ_ATTRIBUTES,
                               .share = FILE_SHARE_READ | FILE_SHARE_WRITE,
                               .disposition = FILE_OPEN,
                               .options = FILE_NON_DIRECTORY_FILE};
    NTSTATUS status = file_open_prepare(open, &device, &request->packet);
    if (!NT_SUCCESS(status)) {
        free(open);
        return status;
    }
    request->open = open;
    request->client = client;
    request->irp = request->packet->irp;
    request->packet->finish = finish_request;
    request->packet->finish_context = request;
    return send(request, device);
}

NTSTATUS io_open_start(struct io_client *client, const char *path, ACCESS_MASK access,
                       io_opened *opened, void *context)
{
    UNICODE_STRING wide;
    struct io_request *request = calloc(1, sizeof(*request));
    if (request == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->references = 1; /* the IRP's */
    request->opened = opened;
    request->context = context;
    struct context outside = enter(client);
    NTSTATUS status = nt_path(path, &wide);
    if (NT_SUCCESS(status)) {
        status = start_open(client, request, &wide, access);
        RtlFreeUnicodeString(&wide);
    }
    leave(outside);
    if (status != STATUS_PENDING)
        free(request);
    return status;
}

struct sync_wait {
    KEVENT event;
    NTSTATUS status;
    ULONG_PTR information;
    io_handle handle;
};

static void sync_opened(void *context, NTSTATUS status, io_handle handle)
{
    struct sync_wait *wait = context;
    wait->status = status;
    wait->handle = handle;
    KeSetEvent(&wait->event, IO_NO_INCREMENT, FALSE);
}

static void sync_done(void *context, NTSTATUS status, ULONG_PTR information)
{
    struct sync_wait *wait = context;
    wait->status = status;
    wait->information = information;
    KeSetEvent(&wait->event, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS sync_finish(struct sync_wait *wait, NTSTATUS started)
{
    if (started == STATUS_PENDING)
        KeWaitForSingleObject(&wait->event, UserRequest, KernelMode, FALSE, NULL);
    else
        wait->status = started;
    return wait->status;
}

NTSTATUS io_open(struct io_client *client, const char *path, ACCESS_MASK access, io_handle *handle)
{
    struct sync_wait wait = {0};
    struct context outside = enter(client);
    KeInitializeEvent(&wait.event, NotificationEvent, FALSE);
    NTSTATUS status = sync_finish(&wait, io_open_start(client, path, access, sync_opened, &wait));
    leave(outside);
    *handle = NT_SUCCESS(status) ? wait.handle : 0;
    return status;
}

NTSTATUS io_close(struct io_client *client, io_handle handle)
{
    struct context outside = enter(client);
    NTSTATUS status = ob_handle_close(client->process->handles, ULongToHandle(handle));
    leave(outside);
    return status;
}

/* Requests */

static NTSTATUS find_file(struct io_client *client, io_handle handle, PFILE_OBJECT *file,
                          ACCESS_MASK *granted)
{
    return ob_handle_lookup(client->process->handles, ULongToHandle(handle), &ob_file_type,
                            (void **)file, granted);
}

/* Takes the reference on `file` over, whatever happens. */
static NTSTATUS begin(struct io_client *client, PFILE_OBJECT file, io_done *done, void *context,
                      PDEVICE_OBJECT *device, struct io_request **out)
{
    struct io_request *request = calloc(1, sizeof(*request));
    if (request != NULL) {
        request->client = client;
        request->file = file;
        request->references = 2; /* the caller's, and the IRP's */
        request->done = done;
        request->context = context;
        request->irp = file_request(file, UserMode, device, &request->packet);
    }
    if (request == NULL || request->irp == NULL) {
        free(request);
        ob_dereference(file);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    request->packet->finish = finish_request;
    request->packet->finish_context = request;
    *out = request;
    return STATUS_SUCCESS;
}

static void abandon(struct io_request *request)
{
    irp_free(request->irp, NULL);
    ob_dereference(request->file);
    free(request);
}

NTSTATUS io_ioctl_start(struct io_client *client, io_handle handle, ULONG code, const void *input,
                        ULONG input_bytes, void *output, ULONG output_bytes, io_done *done,
                        void *context, struct io_request **out)
{
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    ACCESS_MASK granted, required = code >> 14 & (FILE_READ_ACCESS | FILE_WRITE_ACCESS);
    struct io_request *request;
    *out = NULL;
    struct context outside = enter(client);
    NTSTATUS status = find_file(client, handle, &file, &granted);
    if (NT_SUCCESS(status) && (granted & required) != required) {
        ob_dereference(file);
        status = STATUS_ACCESS_DENIED;
    }
    if (NT_SUCCESS(status))
        status = begin(client, file, done, context, &device, &request);
    if (NT_SUCCESS(status)) {
        status = irp_build_ioctl(request->packet, IRP_MJ_DEVICE_CONTROL, code, input, input_bytes,
                                 output, output_bytes);
        if (NT_SUCCESS(status)) {
            *out = request;
            status = send(request, device);
        } else {
            abandon(request);
        }
    }
    leave(outside);
    return status;
}

NTSTATUS io_transfer_start(struct io_client *client, io_handle handle, bool write, void *data,
                           ULONG bytes, ULONGLONG offset, io_done *done, void *context,
                           struct io_request **out)
{
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;
    ACCESS_MASK granted;
    struct io_request *request;
    *out = NULL;
    struct context outside = enter(client);
    NTSTATUS status = find_file(client, handle, &file, &granted);
    if (NT_SUCCESS(status) &&
        !(granted & (write ? FILE_WRITE_DATA | FILE_APPEND_DATA : FILE_READ_DATA))) {
        ob_dereference(file);
        status = STATUS_ACCESS_DENIED;
    }
    if (NT_SUCCESS(status))
        status = begin(client, file, done, context, &device, &request);
    if (NT_SUCCESS(status)) {
        status = irp_build_transfer(request->packet, device, write ? IRP_MJ_WRITE : IRP_MJ_READ,
                                    data, bytes, (LONGLONG)offset);
        if (NT_SUCCESS(status)) {
            *out = request;
            status = send(request, device);
        } else {
            abandon(request);
        }
    }
    leave(outside);
    return status;
}

NTSTATUS io_cancel(struct io_client *client, io_handle handle, struct io_request *request)
{
    PFILE_OBJECT file;
    struct context outside = enter(client);
    NTSTATUS status = find_file(client, handle, &file, NULL);
    if (NT_SUCCESS(status)) {
        if (!cancel_matching(client, file, request))
            status = STATUS_NOT_FOUND;
        ob_dereference(file);
    }
    leave(outside);
    return status;
}

NTSTATUS io_ioctl(struct io_client *client, io_handle handle, ULONG code, const void *input,
                  ULONG input_bytes, void *output, ULONG output_bytes, ULONG_PTR *information)
{
    struct sync_wait wait = {0};
    struct io_request *request;
    struct context outside = enter(client);
    KeInitializeEvent(&wait.event, NotificationEvent, FALSE);
    NTSTATUS status =
        sync_finish(&wait, io_ioctl_start(client, handle, code, input, input_bytes, output,
                                          output_bytes, sync_done, &wait, &request));
    leave(outside);
    if (request != NULL)
        io_request_release(request);
    if (information != NULL)
        *information = wait.information;
    return status;
}

static NTSTATUS transfer(struct io_client *client, io_handle handle, bool write, void *data,
                         ULONG bytes, ULONGLONG offset, ULONG_PTR *information)
{
    struct sync_wait wait = {0};
    struct io_request *request;
    struct context outside = enter(client);
    KeInitializeEvent(&wait.event, NotificationEvent, FALSE);
    NTSTATUS status = sync_finish(&wait, io_transfer_start(client, handle, write, data, bytes,
                                                           offset, sync_done, &wait, &request));
    leave(outside);
    if (request != NULL)
        io_request_release(request);
    if (information != NULL)
        *information = wait.information;
    return status;
}

NTSTATUS io_read(struct io_client *client, io_handle handle, void *data, ULONG bytes,
                 ULONGLONG offset, ULONG_PTR *information)
{
    return transfer(client, handle, false, data, bytes, offset, information);
}

NTSTATUS io_write(struct io_client *client, io_handle handle, const void *data, ULONG bytes,
                  ULONGLONG offset, ULONG_PTR *information)
{
    return transfer(client, handle, true, (void *)(uintptr_t)data, bytes, offset, information);
}

/* The end of a process */

/* Says from time to time what a driver does not give back; only then can the process be gone. */
static void wait_idle(struct io_client *client, PKEVENT idle)
{
    LARGE_INTEGER patience = {.QuadPart = -10 * 10000000ll};
    while (KeWaitForSingleObject(idle, UserRequest, KernelMode, FALSE,
                                 sched_is_deterministic() ? NULL : &patience) == STATUS_TIMEOUT) {
        pthread_mutex_lock(&client->mutex);
        const struct io_request *request = client->requests;
        const char *driver = request && request->file
                                 ? driver_of(request->file->DeviceObject->DriverObject)->service
                                 : "a driver";
        fprintf(stderr, "nthost: %s has ended, but %u of its requests are not completed by %s\n",
                client->process->image, client->pending, driver);
        pthread_mutex_unlock(&client->mutex);
        if (patience.QuadPart > -600 * 10000000ll)
            patience.QuadPart *= 2;
    }
}

void io_client_destroy(struct io_client *client)
{
    KEVENT idle;
    struct context outside = enter(client);
    KeInitializeEvent(&idle, NotificationEvent, FALSE);
    cancel_matching(client, NULL, NULL);
    ob_handles_close_all(client->process->handles);
    pthread_mutex_lock(&client->mutex);
    client->idle = &idle;
    bool wait = client->pending != 0;
    pthread_mutex_unlock(&client->mutex);
    if (wait)
        wait_idle(client, &idle);
    process_exit(client->process);
    leave(outside);
    pthread_mutex_destroy(&client->mutex);
    free(client);
}
