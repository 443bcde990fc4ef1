/*
 * What a client asks of devices. Each request becomes an operation, which lives until its reply is
 * queued; it owns the buffers that a driver sees. Output starts as zeros: a client never sees what
 * the host's memory held before.
 */
#include "connection.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void refuse(struct connection *connection, const struct wire_request *request,
                   NTSTATUS status)
{
    connection_reply(connection, request->tag, (uint32_t)status, 0, NULL, 0);
}

static bool hello(struct connection *connection, const struct wire_request *request)
{
    if (request->arg0 != WIRE_MAGIC || request->bytes != 0)
        return false;
    if (request->arg1 != WIRE_VERSION) {
        refuse(connection, request, STATUS_REVISION_MISMATCH);
        return true;
    }
    connection->greeted = true;
    char *text = admin_description();
    connection_reply(connection, request->tag, STATUS_SUCCESS, 0, text ? text : "{}",
                     text ? strlen(text) : 2);
    free(text);
    return true;
}

static void opened(void *context, NTSTATUS status, io_handle handle)
{
    struct operation *operation = context;
    connection_reply(operation->connection, operation->tag, (uint32_t)status, handle, NULL, 0);
    connection_operation_end(operation);
}

static bool open_device(struct connection *connection, const struct wire_request *request,
                        uint8_t *payload)
{
    NTSTATUS status = STATUS_OBJECT_NAME_INVALID;
    struct operation *operation = NULL;
    if (memchr(payload, 0, request->bytes) == NULL) {
        operation = connection_operation_begin(connection, request->tag, 0, request->bytes);
        status = operation ? io_open_start(connection->client, (const char *)payload, request->arg0,
                                           opened, operation)
                           : STATUS_INSUFFICIENT_RESOURCES;
    }
    free(payload);
    if (status != STATUS_PENDING) {
        refuse(connection, request, status);
        if (operation != NULL)
            connection_operation_end(operation);
    }
    return true;
}

/* How much of the output Windows would have written. */
static size_t written(const struct operation *operation, NTSTATUS status, ULONG_PTR information)
{
    bool failed = NT_ERROR(status);
    size_t most = operation->output_bytes;
    if (operation->lent_bytes != 0)
        return 0; /* it is there already */
    if (operation->is_ioctl && METHOD_FROM_CTL_CODE(operation->code) == METHOD_IN_DIRECT)
        return 0;
    if (operation->is_ioctl && METHOD_FROM_CTL_CODE(operation->code) != METHOD_BUFFERED)
        return most;
    return failed ? 0 : information < most ? information : most;
}

static void done(void *context, NTSTATUS status, ULONG_PTR information)
{
    struct operation *operation = context;
    connection_reply(operation->connection, operation->tag, (uint32_t)status, information,
                     operation->output, written(operation, status, information));
    connection_operation_end(operation);
}

/* The request came back before it could be noted in the operation, or it is noted now: io_cancel
 * needs it, and its reference goes with the operation. */
static void note_request(struct connection *connection, uint64_t tag, struct io_request *request)
{
    struct operation *operation;
    if (request == NULL)
        return;
    pthread_mutex_lock(&connection->mutex);
    for (operation = connection->operations; operation != NULL; operation = operation->next)
        if (operation->tag == tag && operation->request == NULL && operation->handle != 0) {
            operation->request = request;
            request = NULL;
            break;
        }
    pthread_mutex_unlock(&connection->mutex);
    if (request != NULL)
        io_request_release(request);
}

/* Takes `input` over, and `lent`, which is the output's memory if it is not NULL. */
static void start(struct connection *connection, const struct wire_request *request, uint8_t *input,
                  uint32_t input_bytes, uint32_t output_bytes, uint8_t *lent)
{
    struct io_request *started = NULL;
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    struct operation *operation =
        connection_operation_begin(connection, request->tag, request->handle,
                                   (size_t)request->bytes + (lent ? 0 : output_bytes));
    if (operation == NULL) {
        if (lent != NULL)
            lend_unmap(connection, lent, output_bytes);
        free(input);
        refuse(connection, request, status);
        return;
    }
    operation->input = input;
    operation->output_bytes = output_bytes;
    operation->is_ioctl = request->op == WIRE_IOCTL || request->op == WIRE_LEND;
    operation->code = request->arg0;
    operation->lent_bytes = lent ? output_bytes : 0;
    if (lent != NULL)
        operation->output = lent;
    else if (output_bytes != 0)
        operation->output = calloc(1, output_bytes);
    if (output_bytes == 0 || operation->output != NULL) {
        uint64_t offset = 0;
        switch (request->op) {
        case WIRE_IOCTL:
        case WIRE_LEND:
            if (METHOD_FROM_CTL_CODE(request->arg0) == METHOD_IN_DIRECT && output_bytes != 0 &&
                lent == NULL)
                memcpy(operation->output, input + input_bytes, output_bytes);
            status = io_ioctl_start(connection->client, request->handle, request->arg0, input,
                                    input_bytes, operation->output, output_bytes, done, operation,
                                    &started);
            break;
        case WIRE_READ:
            memcpy(&offset, input, sizeof(offset));
            status =
                io_transfer_start(connection->client, request->handle, false, operation->output,
                                  output_bytes, offset, done, operation, &started);
            break;
        default:
            memcpy(&offset, input, sizeof(offset));
            status = io_transfer_start(
                connection->client, request->handle, true, input + sizeof(offset),
                input_bytes - (uint32_t)sizeof(offset), offset, done, operation, &started);
            break;
        }
    }
    if (status == STATUS_PENDING) {
        note_request(connection, request->tag, started);
    } else {
        refuse(connection, request, status);
        connection_operation_end(operation);
    }
}

static bool control(struct connection *connection, const struct wire_request *request,
                    uint8_t *payload)
{
    uint32_t input_bytes = request->bytes, output_bytes = request->arg1;
    if (output_bytes > WIRE_MAX_PAYLOAD) {
        free(payload);
        return false;
    }
    if (METHOD_FROM_CTL_CODE(request->arg0) == METHOD_IN_DIRECT) {
        if (output_bytes > input_bytes) {
            free(payload);
            return false;
        }
        input_bytes -= output_bytes;
    }
    start(connection, request, payload, input_bytes, output_bytes, NULL);
    return true;
}

static bool lend(struct connection *connection, const struct wire_request *request,
                 uint8_t *payload)
{
    uint32_t method = METHOD_FROM_CTL_CODE(request->arg0), bytes = request->arg1;
    uint8_t *memory = NULL;
    int fd = connection->passed;
    connection->passed = -1;
    if (fd < 0 || (method != METHOD_IN_DIRECT && method != METHOD_OUT_DIRECT) || bytes == 0 ||
        bytes > WIRE_MAX_LENT || bytes % PAGE_SIZE != 0) {
        if (fd >= 0)
            close(fd);
        free(payload);
        return false;
    }
    NTSTATUS status = lend_map(connection, fd, bytes, &memory);
    close(fd);
    if (NT_SUCCESS(status)) {
        start(connection, request, payload, request->bytes, bytes, memory);
    } else {
        free(payload);
        refuse(connection, request, status);
    }
    return true;
}

static bool transfer(struct connection *connection, const struct wire_request *request,
                     uint8_t *payload)
{
    bool reads = request->op == WIRE_READ;
    if (request->bytes < sizeof(uint64_t) ||
        (reads && (request->bytes != sizeof(uint64_t) || request->arg0 > WIRE_MAX_PAYLOAD))) {
        free(payload);
        return false;
    }
    start(connection, request, payload, request->bytes, reads ? request->arg0 : 0, NULL);
    return true;
}

/* By tag: that operation's request, if it is still under way. */
static NTSTATUS cancel_tag(struct connection *connection, uint32_t handle, uint64_t tag)
{
    struct io_request *found = NULL;
    pthread_mutex_lock(&connection->mutex);
    for (struct operation *o = connection->operations; o != NULL && found == NULL; o = o->next)
        if (o->tag == tag && o->handle == handle && o->request != NULL) {
            found = o->request;
            io_request_reference(found);
        }
    pthread_mutex_unlock(&connection->mutex);
    if (found == NULL)
        return STATUS_NOT_FOUND;
    NTSTATUS status = io_cancel(connection->client, handle, found);
    io_request_release(found);
    return status;
}

static bool cancel(struct connection *connection, const struct wire_request *request)
{
    uint64_t tag = request->arg0 | (uint64_t)request->arg1 << 32;
    NTSTATUS status = tag ? cancel_tag(connection, request->handle, tag)
                          : io_cancel(connection->client, request->handle, NULL);
    refuse(connection, request, status);
    return true;
}

bool connection_request(struct connection *connection, const struct wire_request *request,
                        uint8_t *payload)
{
    switch (request->op) {
    case WIRE_OPEN:
        return open_device(connection, request, payload);
    case WIRE_IOCTL:
        return control(connection, request, payload);
    case WIRE_LEND:
        return lend(connection, request, payload);
    case WIRE_READ:
    case WIRE_WRITE:
        return transfer(connection, request, payload);
    case WIRE_INSTALL:
    case WIRE_UNINSTALL:
    case WIRE_START:
    case WIRE_STOP:
    case WIRE_LIST:
    case WIRE_CHECK:
    case WIRE_ADAPTERS:
        admin_request(connection, request, payload);
        return true;
    default:
        break;
    }
    free(payload);
    switch (request->op) {
    case WIRE_HELLO:
        return hello(connection, request);
    case WIRE_CLOSE:
        refuse(connection, request, io_close(connection->client, request->handle));
        return true;
    case WIRE_CANCEL:
        return cancel(connection, request);
    default:
        return false;
    }
}
