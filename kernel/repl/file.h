/*
 * A file as REPL knows it: the context of each of its data streams (and of folders).
 *
 * It says whether the file is in a set, by its names and the rules. That changes with the
 * configuration and with renames, of folders above it too: either moves RplMembershipEpoch, and the
 * next operation at PASSIVE_LEVEL, but paging I/O, looks again. Paging I/O goes by what was found
 * last.
 */
#pragma once

#include "callback.h"
#include "config.h"
#include "rangelock.h"

/* The name of a named stream, ":a". It never changes, so that whoever has it may read it at any
 * IRQL; a renamed stream gets another, and the old ones stay as long as the file's context. */
typedef struct RPL_STREAM_NAME
{
    struct RPL_STREAM_NAME *Old;
    UNICODE_STRING Name;
} RPL_STREAM_NAME;

typedef struct RPL_FILE
{
    UINT8 FileId[16];
    BOOLEAN Directory;
    RPL_STREAM_NAME *volatile StreamName; /* NULL: the unnamed data stream */
    volatile LONG64 MembershipEpoch;
    volatile UINT32 SetId; /* 0: in none */
    volatile UINT32 Mode;  /* REPL_MODE of the set */
    volatile BOOLEAN ExcludesProcesses;
    volatile LONG Known;        /* an open of it has completed: its creation is recorded */
    volatile LONG UserSection;  /* a writable one was made */
    volatile LONG MayBeDeleted; /* a disposition or an open asked for it */
    volatile LONG Cleanups;     /* under way that do not expect a deletion; see cleanup.c */
    KEVENT CleanupsOver;
    volatile LONG Deleted;
    volatile LONG Encrypted; /* EFS */
    volatile LONG Written;   /* since its times were recorded */
    volatile LONG Touched;   /* copy mode: that it changes is recorded, for this loan of the ring */
    RPL_RANGES Data;         /* bytes; a change of size from there to the end */
    RPL_RANGES Metadata;     /* [0, 1): times, attributes, EAs, security */
} RPL_FILE;

RPL_CONTEXT_CLEANUP RplFileCleanup;

/* Moves when what is in which set may have changed. */
UINT64 RplMembershipEpoch(VOID);
VOID RplMembershipMoved(VOID);

/* The file's context, referenced (FltReleaseContext), as it is; NULL: it has none. <= APC_LEVEL. */
RPL_FILE *RplFileFind(_In_ PCFLT_RELATED_OBJECTS FltObjects);

/* The same, made or looked at again if need be, which asks for names. *File NULL: why is told, or
 * (success) it is on no volume with a set. PASSIVE_LEVEL, no paging I/O, file open. */
NTSTATUS RplFileLookup(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PFLT_CALLBACK_DATA Data,
                       _Outptr_result_maybenull_ RPL_FILE **File);

/*
 * For an operation that changes the file. NULL: it is in no set, or that could not be told; then
 * all is marked dirty, and *CompletionContext is what the pre-operation gives (RplGoUnrecorded), or
 * NULL. Without CompletionContext the operation has completed. PASSIVE_LEVEL.
 */
RPL_FILE *RplFileToChange(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ PFLT_CALLBACK_DATA Data,
                          _Out_opt_ PVOID *CompletionContext);

/* The same for a file object of REPL's own. PASSIVE_LEVEL. */
NTSTATUS RplFileOf(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                   _Out_ RPL_FILE **File);

/* Its set and the path in it now, in pool (RplPathFree): Set 0 and no path if it is in none; a
 * failure if that cannot be told. PASSIVE_LEVEL, under the names gate if it is to stay true. */
typedef struct RPL_PATH
{
    UINT32 SetId;
    UINT32 Mode;
    BOOLEAN ExcludesProcesses; /* some rule of the set does */
    BOOLEAN NamesFolders;      /* likewise: what is below a folder depends on its name */
    UNICODE_STRING Path;
    PWCH Pool;
} RPL_PATH;

NTSTATUS RplPathOf(_In_ PFLT_CALLBACK_DATA Data, BOOLEAN Directory, _Out_ RPL_PATH *Path);
/* Of a name as FltMgr gives it (normalised, without a stream). */
NTSTATUS RplPathOfName(_In_ const UNICODE_STRING *Name, BOOLEAN Directory, UINT64 Size,
                       _Out_ RPL_PATH *Path);
VOID RplPathFree(_Inout_ RPL_PATH *Path);

/* Of ":a" or ":a:$DATA", in pool (RplStreamNameFree); the unnamed stream's is NULL. */
NTSTATUS RplStreamNameMake(_In_ const UNICODE_STRING *Stream, _Outptr_ RPL_STREAM_NAME **Name);
VOID RplStreamNameFree(_In_opt_ RPL_STREAM_NAME *Name);
/* What the stream is called from now on, while all of its bytes are locked. Name is the file's. */
VOID RplFileRenameStream(_Inout_ RPL_FILE *File, _In_ RPL_STREAM_NAME *Name);

/* After a rename or link: in which set the file is from now on. */
VOID RplFileMoved(_Inout_ RPL_FILE *File, _In_ const RPL_PATH *Path);

/* What REPL does about an operation that changes the file. */
typedef enum RPL_VERDICT
{
    RplIgnore,  /* not in a set, not primary, a trusted or excluded process */
    RplCapture, /* record it */
    RplTouch,   /* copy mode: record that it changes */
    RplForbid   /* STATUS_MEDIA_WRITE_PROTECTED */
} RPL_VERDICT;

RPL_VERDICT RplJudge(_In_ const RPL_FILE *File, _In_ PFLT_CALLBACK_DATA Data);
/* Before there is a file: of an operation on names in this set. */
RPL_VERDICT RplJudgePath(_In_ const RPL_PATH *Path, _In_ PFLT_CALLBACK_DATA Data);

/* Completes the operation with STATUS_MEDIA_WRITE_PROTECTED. */
FLT_PREOP_CALLBACK_STATUS RplRefuseOperation(_Inout_ PFLT_CALLBACK_DATA Data);
