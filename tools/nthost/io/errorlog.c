/*
 * The error log: what a driver writes to the system event log becomes a line on stderr.
 *
 * WDK: IoAllocateErrorLogEntry, IoWriteErrorLogEntry.
 */
#include "device.h"
#include <nthost/export.h>
#include <nthost/utf.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_TAG 'lEoI'

struct entry {
    struct driver *driver;
    ULONG bytes; /* of the packet */
    _Alignas(16) IO_ERROR_LOG_PACKET packet;
};

PVOID NTAPI IoAllocateErrorLogEntry(PVOID IoObject, UCHAR EntrySize)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultIo) || EntrySize < sizeof(IO_ERROR_LOG_PACKET))
        return NULL;
    struct entry *entry =
        ExAllocatePool2(POOL_FLAG_NON_PAGED, offsetof(struct entry, packet) + EntrySize, LOG_TAG);
    if (entry == NULL)
        return NULL;
    entry->driver = ob_type_of(IoObject) == &ob_device_type
                        ? driver_of(((PDEVICE_OBJECT)IoObject)->DriverObject)
                        : IoObject;
    entry->bytes = EntrySize;
    return &entry->packet;
}
NT_EXPORT(NTOSKRNL, IoAllocateErrorLogEntry);

VOID NTAPI IoFreeErrorLogEntry(PVOID ElEntry)
{
    VF_ENTRY(DISPATCH_LEVEL);
    ExFreePoolWithTag(CONTAINING_RECORD(ElEntry, struct entry, packet), LOG_TAG);
}
NT_EXPORT(NTOSKRNL, IoFreeErrorLogEntry);

VOID NTAPI IoWriteErrorLogEntry(PVOID ElEntry)
{
    struct entry *entry = CONTAINING_RECORD(ElEntry, struct entry, packet);
    const IO_ERROR_LOG_PACKET *packet = ElEntry;
    char text[256] = "";
    VF_ENTRY(DISPATCH_LEVEL);
    if (packet->NumberOfStrings != 0 && packet->StringOffset < entry->bytes) {
        const WCHAR *string = (const WCHAR *)((const UCHAR *)packet + packet->StringOffset);
        unsigned chars = 0, room = (entry->bytes - packet->StringOffset) / sizeof(WCHAR);
        while (chars < room && string[chars] != 0)
            chars++;
        utf8_copy(text, sizeof(text), string, chars);
    }
    fprintf(stderr, "nthost: %s: event 0x%08x, status 0x%08x%s%s\n", entry->driver->service,
            packet->ErrorCode, packet->FinalStatus, text[0] ? ": " : "", text);
    ExFreePoolWithTag(entry, LOG_TAG);
}
NT_EXPORT(NTOSKRNL, IoWriteErrorLogEntry);
