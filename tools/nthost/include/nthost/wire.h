/*
 * What clients and the host say to each other over the Unix stream socket: CreateFile,
 * DeviceIoControl, CancelIoEx, CloseHandle, and the service control manager.
 *
 * Little-endian. A request is a wire_request and `bytes` of payload; the answer is a wire_reply
 * with the same tag and its payload. Requests of a connection may be answered in any order; the
 * tag is the client's. A malformed request ends the connection. One connection is one client
 * process; its end is the end of that process: requests are cancelled, handles closed.
 */
#pragma once
#include <stdint.h>

#define WIRE_MAGIC       0x5453544eu /* "NTST" */
#define WIRE_VERSION     2
#define WIRE_MAX_PAYLOAD (16u << 20)
#define WIRE_MAX_LENT    (1u << 30)

enum wire_op {
    WIRE_HELLO =
        1, /* arg0 = WIRE_MAGIC, arg1 = WIRE_VERSION; reply: payload = host description, JSON */
    WIRE_OPEN = 2,  /* arg0 = access mask; payload = path, UTF-8; reply: info = handle */
    WIRE_CLOSE = 3, /* handle */
    WIRE_IOCTL = 4, /* handle, arg0 = code, arg1 = output bytes; payload = input (METHOD_IN_DIRECT:
                       then the arg1 bytes of the output buffer, which the driver reads); reply:
                       info = Information, payload = as much of the output as Windows would have
                       written: METHOD_BUFFERED min(info, arg1) bytes unless the status is an error,
                       METHOD_IN_DIRECT none, else arg1 bytes */
    WIRE_CANCEL =
        5, /* handle, arg0/arg1 = low/high half of the tag to cancel, or 0: all of the handle */
    WIRE_READ =
        6, /* handle, arg0 = bytes; payload = UINT64 offset; reply: info = bytes, payload = data */
    WIRE_WRITE = 7, /* handle; payload = UINT64 offset, data */
    WIRE_LEND = 8,  /* handle, arg0 = code, METHOD_IN_DIRECT or METHOD_OUT_DIRECT, arg1 = bytes of
                       the  output buffer, a multiple of 4096 up to WIRE_MAX_LENT; payload = input;
                       with  the header's first byte comes one descriptor (SCM_RIGHTS), a memfd of at
                       least so many bytes, sealed against shrinking: the output buffer is its
                       memory, which both see until the reply; reply: info = Information, no
                       payload. STATUS_INVALID_USER_BUFFER: the memory is none of that kind */
    /* Administrators only. Failures carry {"file","line","rule","message"} as payload. */
    WIRE_INSTALL = 16,   /* payload = INF path \0 image folder or empty \0 ".so" | ".sys" \0; reply:
                            service name */
    WIRE_UNINSTALL = 17, /* payload = service */
    WIRE_START = 18,     /* payload = service */
    WIRE_STOP = 19,      /* payload = service */
    WIRE_LIST = 20,      /* payload = service or empty; reply: JSON (setup_list) */
    WIRE_CHECK = 21,     /* payload = INF path; reply: JSON array of errors */
    WIRE_ADAPTERS = 22   /* reply: JSON array: name, mac, link, filters, offloads, counters */
};

struct wire_request {
    uint32_t bytes; /* of payload */
    uint32_t op;
    uint64_t tag; /* not 0 */
    uint32_t handle;
    uint32_t arg0;
    uint32_t arg1;
    uint32_t reserved; /* 0 */
};

struct wire_reply {
    uint32_t bytes;
    uint32_t status; /* NTSTATUS */
    uint64_t tag;
    uint64_t info;
};
