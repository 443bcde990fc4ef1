/*
 * The pieces of a record's content: names, security descriptors, EA lists, reparse buffers, and the
 * structures of the contract around them. Each function says whether untrusted bytes are one.
 *
 * Any IRQL, as the memory allows; no locks, no allocation. Memory is aligned to 8 and does not
 * change meanwhile.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/repl.h>

/* A path in a set, as the contract says; not "" (the root), which callers allow where it is right.
 * Components are neither "." nor "..", nor do they contain ':', '/' or a zero: what is applied on
 * another machine must stay below the set's root there. */
BOOLEAN RplContentIsPath(_In_reads_bytes_(Bytes) const VOID *Name, _In_ ULONG Bytes);

/* One component of such a path. */
BOOLEAN RplContentIsComponent(_In_reads_bytes_(Bytes) const VOID *Name, _In_ ULONG Bytes);

/* ":a". */
BOOLEAN RplContentIsStream(_In_reads_bytes_(Bytes) const VOID *Name, _In_ ULONG Bytes);

/* Self-relative, [MS-DTYP] 2.4.6: all parts inside, SIDs and ACLs with the lengths they say. */
BOOLEAN RplContentIsSecurity(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes);

/* FILE_FULL_EA_INFORMATIONs, [MS-FSCC] 2.4.15, one at least. */
BOOLEAN RplContentIsEa(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes);

/* REPARSE_DATA_BUFFER or REPARSE_GUID_DATA_BUFFER, [MS-FSCC] 2.1.2. */
BOOLEAN RplContentIsReparse(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes);

/* REPL_METADATA and what follows it. */
BOOLEAN RplContentIsMetadata(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes);

/* REPL_ENTRYs; none is right, too. */
BOOLEAN RplContentIsListing(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes);
