/*
 * Communication ports: a filter has a server port by name, programs connect to it, and each
 * connection is a client port of the filter's.
 *
 * A port's lock guards its connections and their messages; it is a host mutex and nothing is called
 * under it. A connection lives until both sides have let go.
 *
 * WDK: FltCreateCommunicationPort, FltSendMessage, FltCloseClientPort, FilterConnectCommunication-
 * Port, FilterGetMessage, FilterReplyMessage, "Communication Between User Mode and Kernel Mode".
 */
#include "port.h"
#include "../io/process.h"
#include "../io/security.h"
#include <nthost/object.h>
#include <nthost/utf.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAGIC 0x74726f50

struct message {
    LIST_ENTRY link; /* of the client's, while `queued` or taken */
    ULONGLONG id;
    const void *data;
    ULONG bytes;
    void *reply;
    ULONG reply_bytes;
    bool wants_reply, taken, done;
    NTSTATUS status;
    KEVENT event;
};

struct _FLT_PORT {
    uint32_t magic;
    bool server, closed;
    PFLT_FILTER filter;
    LIST_ENTRY link; /* filter->ports; servers only */
    atomic_long references;
    /* servers */
    UNICODE_STRING name;
    PSECURITY_DESCRIPTOR security;
    PVOID cookie;
    PFLT_CONNECT_NOTIFY connect;
    PFLT_DISCONNECT_NOTIFY disconnect;
    PFLT_MESSAGE_NOTIFY message;
    LONG room;
    /* clients */
    struct _FLT_PORT *of; /* the server, referenced */
    PVOID connection;
    LIST_ENTRY messages;
    KEVENT arrived;
    bool gone; /* the program has disconnected */
};

/* A client is its port, seen from the program. */
struct flt_client {
    struct _FLT_PORT port;
};

static pthread_mutex_t ports_mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_ullong last_id;

static void put_port(PFLT_PORT port)
{
    if (atomic_fetch_sub(&port->references, 1) != 1)
        return;
    if (port->of != NULL)
        put_port(port->of);
    if (port->security != NULL)
        ExFreePool(port->security);
    flt_free_name(&port->name);
    flt_release(port->filter);
    port->magic = 0;
    free(port);
}

static PFLT_PORT new_port(PFLT_FILTER filter, bool server)
{
    struct flt_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return NULL;
    PFLT_PORT port = &client->port;
    port->magic = PORT_MAGIC;
    port->server = server;
    port->filter = filter;
    port->references = 1;
    flt_hold(filter);
    InitializeListHead(&port->messages);
    KeInitializeEvent(&port->arrived, SynchronizationEvent, FALSE);
    return port;
}

static void check_port(PFLT_PORT port, bool server, const char *function)
{
    if (vf_enabled && (port == NULL || port->magic != PORT_MAGIC || port->server != server))
        vf_violation(VfBadParameter, "%s: %p is no %s port", function, (void *)port,
                     server ? "server" : "client");
}

void flt_ports_close(PFLT_FILTER filter)
{
    if (vf_enabled && !IsListEmpty(&filter->ports))
        vf_violation(VfFltReferenceLeak,
                     "%s unregisters and has not closed a communication port "
                     "(FltCloseCommunicationPort)",
                     filter->image);
    while (!IsListEmpty(&filter->ports))
        FltCloseCommunicationPort(CONTAINING_RECORD(filter->ports.Flink, struct _FLT_PORT, link));
}

/* Server ports */

static const GENERIC_MAPPING port_mapping = {FLT_PORT_CONNECT, FLT_PORT_CONNECT, FLT_PORT_CONNECT,
                                             FLT_PORT_ALL_ACCESS};

NTSTATUS NTAPI FltBuildDefaultSecurityDescriptor(PSECURITY_DESCRIPTOR *SecurityDescriptor,
                                                 ACCESS_MASK DesiredAccess)
{
    static const UNICODE_STRING sddl = RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(DesiredAccess);
    *SecurityDescriptor = NULL;
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    return security_from_sddl(&sddl, &port_mapping, SecurityDescriptor);
}
NT_EXPORT(FLTMGR, FltBuildDefaultSecurityDescriptor);

VOID NTAPI FltFreeSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor)
{
    VF_ENTRY(PASSIVE_LEVEL);
    ExFreePool(SecurityDescriptor);
}
NT_EXPORT(FLTMGR, FltFreeSecurityDescriptor);

static PFLT_PORT find_server(PCUNICODE_STRING name)
{
    PFLT_PORT found = NULL;
    flt_lock();
    for (LIST_ENTRY *e = flt_filters.Flink; e != &flt_filters && found == NULL; e = e->Flink) {
        PFLT_FILTER filter = CONTAINING_RECORD(e, struct _FLT_FILTER, link);
        for (LIST_ENTRY *p = filter->ports.Flink; p != &filter->ports && found == NULL;
             p = p->Flink) {
            PFLT_PORT port = CONTAINING_RECORD(p, struct _FLT_PORT, link);
            if (flt_same_name(&port->name, name))
                found = port;
        }
    }
    if (found != NULL)
        atomic_fetch_add(&found->references, 1);
    flt_unlock();
    return found;
}

NTSTATUS NTAPI FltCreateCommunicationPort(PFLT_FILTER Filter, PFLT_PORT *ServerPort,
                                          POBJECT_ATTRIBUTES ObjectAttributes,
                                          PVOID ServerPortCookie,
                                          PFLT_CONNECT_NOTIFY ConnectNotifyCallback,
                                          PFLT_DISCONNECT_NOTIFY DisconnectNotifyCallback,
                                          PFLT_MESSAGE_NOTIFY MessageNotifyCallback,
                                          LONG MaxConnections)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    *ServerPort = NULL;
    if (vf_enabled && !(ObjectAttributes->Attributes & OBJ_KERNEL_HANDLE))
        vf_violation(VfBadParameter, "FltCreateCommunicationPort: OBJ_KERNEL_HANDLE must be set");
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_PORT same = find_server(ObjectAttributes->ObjectName);
    if (same != NULL) {
        put_port(same);
        return STATUS_OBJECT_NAME_COLLISION;
    }
    PFLT_PORT port = new_port(Filter, true);
    if (port == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = flt_copy_name(&port->name, ObjectAttributes->ObjectName);
    if (NT_SUCCESS(status) && ObjectAttributes->SecurityDescriptor != NULL)
        status = security_copy(ObjectAttributes->SecurityDescriptor, &port->security);
    if (!NT_SUCCESS(status)) {
        put_port(port);
        return status;
    }
    port->cookie = ServerPortCookie;
    port->connect = ConnectNotifyCallback;
    port->disconnect = DisconnectNotifyCallback;
    port->message = MessageNotifyCallback;
    port->room = MaxConnections;
    flt_lock();
    InsertTailList(&Filter->ports, &port->link);
    flt_unlock();
    *ServerPort = port;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltCreateCommunicationPort);

VOID NTAPI FltCloseCommunicationPort(PFLT_PORT ServerPort)
{
    VF_ENTRY(PASSIVE_LEVEL);
    check_port(ServerPort, true, __func__);
    flt_lock();
    ServerPort->closed = true;
    RemoveEntryList(&ServerPort->link);
    flt_unlock();
    put_port(ServerPort);
}
NT_EXPORT(FLTMGR, FltCloseCommunicationPort);

/* Connections. What waits ends when either side closes. */

static void end_messages(PFLT_PORT port, NTSTATUS status)
{
    for (;;) {
        pthread_mutex_lock(&ports_mutex);
        struct message *message = NULL;
        if (!IsListEmpty(&port->messages)) {
            message = CONTAINING_RECORD(RemoveHeadList(&port->messages), struct message, link);
            message->done = true;
            message->status = status;
        }
        pthread_mutex_unlock(&ports_mutex);
        if (message == NULL)
            break;
        KeSetEvent(&message->event, IO_NO_INCREMENT, FALSE);
    }
    KeSetEvent(&port->arrived, IO_NO_INCREMENT, FALSE);
}

VOID NTAPI FltCloseClientPort(PFLT_FILTER Filter, PFLT_PORT *ClientPort)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    PFLT_PORT port = InterlockedExchangePointer((PVOID *)ClientPort, NULL);
    if (port == NULL)
        return;
    check_port(port, false, __func__);
    pthread_mutex_lock(&ports_mutex);
    port->closed = true;
    pthread_mutex_unlock(&ports_mutex);
    end_messages(port, STATUS_PORT_DISCONNECTED);
    put_port(port);
}
NT_EXPORT(FLTMGR, FltCloseClientPort);

static NTSTATUS connect(PFLT_PORT server, const void *context, USHORT bytes, PFLT_PORT *out)
{
    ACCESS_MASK granted;
    NTSTATUS status = STATUS_SUCCESS;
    if (server->security != NULL)
        status = security_check(server->security, process_current()->token, FLT_PORT_CONNECT,
                                &port_mapping, &granted);
    if (!NT_SUCCESS(status))
        return status;
    flt_lock();
    bool full = server->room <= 0;
    if (!full)
        server->room--;
    flt_unlock();
    if (full)
        return STATUS_CONNECTION_COUNT_LIMIT;
    PFLT_PORT port = flt_take(server->filter) ? new_port(server->filter, false) : NULL;
    if (port == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    port->of = server;
    atomic_fetch_add(&server->references, 1);
    port->references = 2; /* the filter's, until FltCloseClientPort, and the program's */
    struct vf_call call = vf_call_begin_of("ConnectNotifyCallback", server->connect);
    status =
        server->connect(port, server->cookie, (PVOID)(ULONG_PTR)context, bytes, &port->connection);
    vf_call_end(&call);
    flt_drop(server->filter);
    if (!NT_SUCCESS(status)) {
        flt_lock();
        server->room++;
        flt_unlock();
        put_port(port);
        put_port(port);
        return status;
    }
    *out = port;
    return STATUS_SUCCESS;
}

NTSTATUS flt_client_connect(const char *name, const void *context, USHORT context_bytes,
                            struct flt_client **client)
{
    unsigned chars;
    *client = NULL;
    WCHAR *wide = utf16_from_utf8(name, strlen(name), &chars);
    UNICODE_STRING text = {(USHORT)(chars * 2), (USHORT)(chars * 2), wide};
    PFLT_PORT server = wide ? find_server(&text) : NULL;
    free(wide);
    if (server == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    NTSTATUS status = connect(server, context, context_bytes, (PFLT_PORT *)client);
    put_port(server);
    return status;
}

void flt_client_disconnect(struct flt_client *client)
{
    PFLT_PORT port = &client->port;
    pthread_mutex_lock(&ports_mutex);
    port->gone = true;
    pthread_mutex_unlock(&ports_mutex);
    end_messages(port, STATUS_PORT_DISCONNECTED);
    if (port->of->disconnect != NULL && flt_take(port->filter)) {
        struct vf_call call = vf_call_begin_of("DisconnectNotifyCallback", port->of->disconnect);
        port->of->disconnect(port->connection);
        vf_call_end(&call);
        flt_drop(port->filter);
    }
    flt_lock();
    port->of->room++;
    flt_unlock();
    put_port(port);
}

NTSTATUS flt_client_send(struct flt_client *client, const void *input, ULONG input_bytes,
                         void *output, ULONG output_bytes, ULONG *returned)
{
    PFLT_PORT port = &client->port;
    *returned = 0;
    if (port->of->message == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (port->closed || !flt_take(port->filter))
        return STATUS_PORT_DISCONNECTED;
    struct vf_call call = vf_call_begin_of("MessageNotifyCallback", port->of->message);
    NTSTATUS status = port->of->message(port->connection, (PVOID)(ULONG_PTR)input, input_bytes,
                                        output, output_bytes, returned);
    vf_call_end(&call);
    flt_drop(port->filter);
    return status;
}

/* Messages of the filter's. The mutex is held. */

static struct message *find_message(PFLT_PORT port, bool taken, ULONGLONG id)
{
    for (LIST_ENTRY *e = port->messages.Flink; e != &port->messages; e = e->Flink) {
        struct message *message = CONTAINING_RECORD(e, struct message, link);
        if (message->taken == taken && (!taken || message->id == id))
            return message;
    }
    return NULL;
}

static void finish(struct message *message, NTSTATUS status)
{
    RemoveEntryList(&message->link);
    message->done = true;
    message->status = status;
}

NTSTATUS NTAPI FltSendMessage(PFLT_FILTER Filter, PFLT_PORT *ClientPort, PVOID SenderBuffer,
                              ULONG SenderBufferLength, PVOID ReplyBuffer, PULONG ReplyLength,
                              PLARGE_INTEGER Timeout)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    PFLT_PORT port = *ClientPort;
    if (port == NULL)
        return STATUS_PORT_DISCONNECTED;
    check_port(port, false, __func__);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct message message = {.id = atomic_fetch_add(&last_id, 1) + 1,
                              .data = SenderBuffer,
                              .bytes = SenderBufferLength,
                              .reply = ReplyBuffer,
                              .reply_bytes = ReplyBuffer ? *ReplyLength : 0,
                              .wants_reply = ReplyBuffer != NULL};
    KeInitializeEvent(&message.event, NotificationEvent, FALSE);
    pthread_mutex_lock(&ports_mutex);
    bool connected = !port->closed && !port->gone;
    if (connected)
        InsertTailList(&port->messages, &message.link);
    pthread_mutex_unlock(&ports_mutex);
    if (!connected)
        return STATUS_PORT_DISCONNECTED;
    KeSetEvent(&port->arrived, IO_NO_INCREMENT, FALSE);
    NTSTATUS status = KeWaitForSingleObject(&message.event, Executive, KernelMode, FALSE, Timeout);
    pthread_mutex_lock(&ports_mutex);
    bool done = message.done;
    if (!done)
        RemoveEntryList(&message.link);
    pthread_mutex_unlock(&ports_mutex);
    if (!done)
        return status == STATUS_SUCCESS ? STATUS_TIMEOUT : status;
    /* Who finished it may still be at the event. */
    KeWaitForSingleObject(&message.event, Executive, KernelMode, FALSE, NULL);
    if (ReplyLength != NULL)
        *ReplyLength = message.reply_bytes;
    return message.status;
}
NT_EXPORT(FLTMGR, FltSendMessage);

NTSTATUS flt_client_get(struct flt_client *client, void *data, ULONG data_bytes, ULONG *returned,
                        ULONGLONG *id, ULONG *reply_bytes, PLARGE_INTEGER timeout)
{
    PFLT_PORT port = &client->port;
    for (;;) {
        NTSTATUS status = STATUS_PENDING;
        pthread_mutex_lock(&ports_mutex);
        struct message *message = find_message(port, false, 0);
        if (message != NULL && message->bytes > data_bytes) {
            status = STATUS_BUFFER_OVERFLOW;
            message = NULL;
        } else if (message != NULL) {
            memcpy(data, message->data, message->bytes);
            *returned = message->bytes;
            *id = message->id;
            *reply_bytes = message->reply_bytes;
            message->taken = true;
            status = STATUS_SUCCESS;
            if (message->wants_reply)
                message = NULL;
            else
                finish(message, STATUS_SUCCESS);
        } else if (port->closed || port->gone) {
            status = STATUS_PORT_DISCONNECTED;
        }
        pthread_mutex_unlock(&ports_mutex);
        if (message != NULL)
            KeSetEvent(&message->event, IO_NO_INCREMENT, FALSE);
        if (status != STATUS_PENDING)
            return status;
        status = KeWaitForSingleObject(&port->arrived, UserRequest, KernelMode, FALSE, timeout);
        if (status == STATUS_TIMEOUT)
            return status;
    }
}

NTSTATUS flt_client_reply(struct flt_client *client, ULONGLONG id, const void *reply,
                          ULONG reply_bytes)
{
    PFLT_PORT port = &client->port;
    pthread_mutex_lock(&ports_mutex);
    struct message *message = find_message(port, true, id);
    if (message != NULL) {
        NTSTATUS status =
            reply_bytes > message->reply_bytes ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
        if (reply_bytes < message->reply_bytes)
            message->reply_bytes = reply_bytes;
        memcpy(message->reply, reply, message->reply_bytes);
        finish(message, status);
    }
    pthread_mutex_unlock(&ports_mutex);
    if (message == NULL)
        return STATUS_FLT_NO_WAITER_FOR_REPLY;
    KeSetEvent(&message->event, IO_NO_INCREMENT, FALSE);
    return STATUS_SUCCESS;
}
