/*
 * The filter manager, for the rest of the host: who mounts volumes tells it of them; who carries
 * out what the memory and the cache manager do calls files' owners through it; programs connect to
 * filters' ports.
 *
 * WDK: "File System Minifilter Drivers", "Managing Minifilter Drivers".
 */
#pragma once
#include <ntifs.h>
#include <stdbool.h>

/*
 * A file system's volume is there: a device of the filter manager's is attached on top of its
 * device, and filters get instances on it. name: the volume's, "\Device\HarddiskVolume2".
 * PASSIVE_LEVEL, driver context. STATUS_FLT_VOLUME_ALREADY_MOUNTED.
 */
NTSTATUS flt_volume_attach(PDEVICE_OBJECT fs_device, PCUNICODE_STRING name);
/* It goes: instances are torn down, the device is detached. No file is open on it any more. */
void flt_volume_detach(PDEVICE_OBJECT fs_device);

/* What an administrator does (fltmc). Names in UTF-8; instance NULL: the default one, altitude
 * NULL: its own. STATUS_FLT_FILTER_NOT_FOUND, STATUS_FLT_VOLUME_NOT_FOUND. PASSIVE_LEVEL. */
NTSTATUS flt_attach(const char *filter, const char *volume, const char *instance,
                    const char *altitude);
NTSTATUS flt_detach(const char *filter, const char *volume, const char *instance);
/* Asks the filter, which may refuse (STATUS_FLT_DO_NOT_DETACH), and unloads its driver. */
NTSTATUS flt_unload(const char *filter);

/*
 * Communication ports, as user mode's FilterConnectCommunicationPort and its kin use them. The
 * caller's process (its token) must be granted FLT_PORT_CONNECT by the port's security descriptor.
 * name: the port's, "\\NtsPort". PASSIVE_LEVEL, driver context.
 */
struct flt_client;
NTSTATUS flt_client_connect(const char *name, const void *context, USHORT context_bytes,
                            struct flt_client **client);
/* Tells the filter; what waits for messages ends with STATUS_PORT_DISCONNECTED. */
void flt_client_disconnect(struct flt_client *client);
/* FilterSendMessage: the filter's answer in `output`. */
NTSTATUS flt_client_send(struct flt_client *client, const void *input, ULONG input_bytes,
                         void *output, ULONG output_bytes, ULONG *returned);
/* FilterGetMessage: waits for the next one. *id: for flt_client_reply, *reply_bytes: the room that
 * the filter has for it, 0: it waits for none. timeout NULL: without end. */
NTSTATUS flt_client_get(struct flt_client *client, void *message, ULONG message_bytes,
                        ULONG *returned, ULONGLONG *id, ULONG *reply_bytes, PLARGE_INTEGER timeout);
/* FilterReplyMessage. STATUS_FLT_NO_WAITER_FOR_REPLY: it has gone. */
NTSTATUS flt_client_reply(struct flt_client *client, ULONGLONG id, const void *reply,
                          ULONG reply_bytes);
