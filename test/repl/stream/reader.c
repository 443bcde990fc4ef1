#include "reader.h"

#include "record.h"

#include <stdlib.h>
#include <string.h>

/* Others run for a while. */
static void pause(const struct reader *reader, uint64_t span)
{
    if (!reader->among_threads) {
        sched_run_for(span);
        return;
    }
    for (unsigned i = 0; i < 20; i++)
        sched_point();
}

static bool wait_for(const struct reader *reader, struct rig_call *call)
{
    while (reader->among_threads && !call->done)
        sched_point();
    return rig_wait(call);
}

/* One record that came: valid, and the next. */
static bool take(struct reader *reader, const REPL_RECORD *record, ULONG available, ULONG *length)
{
    RPL_RECORD_FAULT fault = RplRecordCheck(record, available, length);

    if (!is_int(fault, RplRecordOk, "after record %llu", (unsigned long long)reader->last))
        return false;
    if (RplRecordIsPad(record))
        return true;
    if (record->Type == ReplRecordStart || record->Type == ReplRecordLost) {
        ok(record->Sequence > reader->last);
        reader->starts += record->Type == ReplRecordStart;
        reader->lost += record->Type == ReplRecordLost;
        if (record->Flags & REPL_FLAG_OPEN)
            reader->bracket = record->Sequence;
    } else {
        is_int(record->Sequence, reader->last + 1, "no gap, and nothing twice");
    }
    reader->last = record->Sequence;
    reader->type = record->Type;
    reader->flags = record->Flags;
    reader->records++;
    return true;
}

NTSTATUS reader_begin(struct reader *reader, struct rig *rig, ULONG bytes)
{
    const REPL_LEND lend = {.Contract = REPL_CONTRACT_VERSION, .After = reader->last};
    NTSTATUS status;

    reader->rig = rig;
    reader->position = 0;
    if (!is_status(
            io_open(rig->client, "\\\\.\\NtsRepl", GENERIC_READ | GENERIC_WRITE, &reader->handle),
            STATUS_SUCCESS))
        return STATUS_UNSUCCESSFUL;
    reader->ring = aligned_alloc(4096, bytes);
    memset(reader->ring, 0xAA, bytes);
    status = rig_start(rig, reader->handle, &reader->lent, REPL_IOCTL_LEND_RING, &lend, sizeof lend,
                       reader->ring, bytes);
    if (status == STATUS_PENDING && reader->lent.done)
        status = reader->lent.status;
    if (status == STATUS_PENDING) {
        const REPL_RING_HEADER *header = reader->ring;

        is_int(header->Magic, REPL_RING_MAGIC);
        is_int(header->Version, REPL_CONTRACT_VERSION);
        reader->ring_bytes = (ULONG)header->DataBytes;
        ok(reader->ring_bytes && !(reader->ring_bytes & (reader->ring_bytes - 1)) &&
           reader->ring_bytes <= bytes - REPL_RING_HEADER_BYTES);
        pause(reader, RIG_MS);
        return STATUS_PENDING;
    }
    wait_for(reader, &reader->lent);
    io_close(rig->client, reader->handle);
    free(reader->ring);
    reader->ring = NULL;
    return status;
}

void reader_die(struct reader *reader)
{
    is_status(io_close(reader->rig->client, reader->handle), STATUS_SUCCESS);
    ok(wait_for(reader, &reader->lent), "the ring is given back");
    free(reader->ring);
    reader->ring = NULL;
}

unsigned reader_ring(struct reader *reader)
{
    REPL_RING_HEADER *header = reader->ring;
    UINT64 head = __atomic_load_n(&header->Head, __ATOMIC_ACQUIRE);
    unsigned count = 0;

    while (reader->position < head) {
        ULONG offset = (ULONG)(reader->position & (reader->ring_bytes - 1)), length;
        ULONG room = reader->ring_bytes - offset;

        const REPL_RECORD *record =
            (const REPL_RECORD *)((UINT8 *)reader->ring + REPL_RING_HEADER_BYTES + offset);

        if (room > head - reader->position)
            room = (ULONG)(head - reader->position);
        if (!take(reader, record, room, &length))
            break;
        reader->position += length;
        count++;
    }
    __atomic_store_n(&header->Tail, reader->position, __ATOMIC_RELEASE);
    return count;
}

NTSTATUS reader_journal(struct reader *reader, ULONG room, bool *more)
{
    const REPL_READ read = {.After = reader->last};
    struct rig_call call;
    void *output = aligned_alloc(8, room);
    NTSTATUS status;

    *more = false;
    status = rig_start(reader->rig, reader->handle, &call, REPL_IOCTL_READ_JOURNAL, &read,
                       sizeof read, output, room);
    is_status(status, STATUS_PENDING);
    pause(reader, 200 * RIG_MS);
    if (!call.done) {
        io_cancel(reader->rig->client, reader->handle, call.request);
    }
    ok(wait_for(reader, &call));
    if (call.status == STATUS_CANCELLED) {
        free(output);
        return STATUS_PENDING;
    }
    for (ULONG at = 0, length; NT_SUCCESS(call.status) && at < call.information; at += length) {
        const REPL_RECORD *record = (const REPL_RECORD *)((UINT8 *)output + at);

        if (!take(reader, record, (ULONG)call.information - at, &length))
            break;
        reader->from_journal++;
        *more = true;
    }
    free(output);
    return call.status;
}

bool reader_follow(struct reader *reader, UINT64 sequence)
{
    REPL_RING_HEADER *header = reader->ring;

    for (unsigned i = 0; i < 1000 && !tap_failing(); i++) {
        bool more;

        pause(reader, RIG_MS);
        reader_ring(reader);
        if (!__atomic_load_n(&header->Closed, __ATOMIC_ACQUIRE)) {
            if (reader->last >= sequence)
                return true;
            continue;
        }
        reader_ring(reader); /* what came before it was closed */
        if (!NT_SUCCESS(reader_journal(reader, 65536, &more)) && reader->last >= sequence)
            return true;
    }
    return ok(false, "the reader gets as far as %llu of %llu", (unsigned long long)reader->last,
              (unsigned long long)sequence);
}
