/*
 * A reader of the stream, as the pump is one: lends a ring, reads it, asks for the journal when the
 * ring closes, and checks every record and the order of their numbers.
 */
#pragma once
#include "rig.h"

struct reader {
    struct rig *rig;
    io_handle handle; /* its own: closing it is the reader's death */
    void *ring;
    ULONG ring_bytes; /* data */
    struct rig_call lent;
    UINT64 position;
    UINT64 last;    /* Sequence of the last record read */
    UINT64 records; /* read, in all lives */
    UINT64 lost;    /* ReplRecordLost among them */
    UINT64 starts;
    UINT64 bracket; /* the last that was opened by one of both; 0: none */
    UINT64 from_journal;
    bool among_threads; /* called on a thread of the host's, beside others: waits by giving way */
    unsigned type;      /* of the last record */
    UINT16 flags;
};

/* Lends `bytes`, header included; the reader has all up to reader->last. */
NTSTATUS reader_begin(struct reader *reader, struct rig *rig, ULONG bytes);
/* Dies: its handle is closed, and the IOCTL must complete. What it has read stays known. */
void reader_die(struct reader *reader);
/* Reads the ring as far as it goes. Returns how many records. */
unsigned reader_ring(struct reader *reader);
/* Asks for the journal, once, with `room` bytes: STATUS_PENDING if there is no answer yet. *more:
 * there were records. */
NTSTATUS reader_journal(struct reader *reader, ULONG room, bool *more);
/* Reads until it has all up to `sequence`, from wherever it comes, and the ring is open. */
bool reader_follow(struct reader *reader, UINT64 sequence);
