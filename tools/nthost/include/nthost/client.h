/*
 * CreateFile, DeviceIoControl, CancelIoEx and CloseHandle, for code inside the host: the socket
 * server and tests. The calling thread must be attached (sched.h); these enter driver context
 * themselves.
 */
#pragma once
#include <ntddk.h>
#include <stdbool.h>
#include <stdint.h>

/* A client process: the owner of handles and of a security token. */
struct io_client;
enum io_token { IO_TOKEN_SYSTEM, IO_TOKEN_ADMINISTRATOR, IO_TOKEN_USER };
/* NULL: no memory, or a driver's process notification refused it. */
struct io_client *io_client_create(enum io_token token, uint32_t process_id);
/* As when a process ends: cancels its requests, CLEANUP, waits for them, CLOSE, frees. */
void io_client_destroy(struct io_client *client);

typedef uint32_t io_handle; /* 0 is none */

/* path: an NT path (\Device\X, \??\X, \DosDevices\X) or a Win32 one (\\.\X), UTF-8. */
NTSTATUS io_open(struct io_client *client, const char *path, ACCESS_MASK access, io_handle *handle);
NTSTATUS io_close(struct io_client *client, io_handle handle);
/* Asynchronous: STATUS_PENDING, and `done` is called once, at <= DISPATCH_LEVEL, from any thread,
 * perhaps before this returns; any other status: it is not called. */
typedef void io_opened(void *context, NTSTATUS status, io_handle handle);
NTSTATUS io_open_start(struct io_client *client, const char *path, ACCESS_MASK access,
                       io_opened *done, void *context);

/* Synchronous: waits for completion. `output` is written only as far as Windows writes it
 * (METHOD_BUFFERED: Information bytes, and not for error statuses). */
NTSTATUS io_ioctl(struct io_client *client, io_handle handle, ULONG code, const void *input,
                  ULONG input_bytes, void *output, ULONG output_bytes, ULONG_PTR *information);

/* Asynchronous: STATUS_PENDING, and done() is called exactly once, also where the request fails;
 * any other status: it was not started, *request is NULL, done() is not called. done() is called at
 * <= DISPATCH_LEVEL, from any thread (also before io_ioctl_start returns). `output` stays valid
 * until then. `request` identifies it for cancel. */
struct io_request;
typedef void io_done(void *context, NTSTATUS status, ULONG_PTR information);
NTSTATUS io_ioctl_start(struct io_client *client, io_handle handle, ULONG code, const void *input,
                        ULONG input_bytes, void *output, ULONG output_bytes, io_done *done,
                        void *context, struct io_request **request);
/* CancelIoEx: STATUS_NOT_FOUND when nothing was to cancel. request NULL: all of the handle. */
NTSTATUS io_cancel(struct io_client *client, io_handle handle, struct io_request *request);
/* Each started request is released once, after done(). */
void io_request_release(struct io_request *request);
void io_request_reference(struct io_request *request);

/* IRP_MJ_READ / IRP_MJ_WRITE, asynchronous as io_ioctl_start, and synchronous. */
NTSTATUS io_transfer_start(struct io_client *client, io_handle handle, bool write, void *data,
                           ULONG bytes, ULONGLONG offset, io_done *done, void *context,
                           struct io_request **request);
NTSTATUS io_read(struct io_client *client, io_handle handle, void *data, ULONG bytes,
                 ULONGLONG offset, ULONG_PTR *information);
NTSTATUS io_write(struct io_client *client, io_handle handle, const void *data, ULONG bytes,
                  ULONGLONG offset, ULONG_PTR *information);
