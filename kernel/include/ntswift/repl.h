/*
 * The contract of the REPL driver: everything that crosses its device boundary, and the records
 * that it makes, which travel and are stored as they are.
 *
 * This is the only declaration. The driver includes it as it stands; the TypeScript codecs
 * (userland/repl/codec.ts) are generated from it by tools/codegen and checked to be fresh.
 *
 * Rules of the contract
 *  - All integers are little-endian and naturally aligned; every byte of padding is a named
 *    Reserved field that must be zero on input and is zero on output.
 *  - Names are UTF-16LE without a terminating zero, their lengths in bytes. A path is relative to
 *    the root of its set, its separator is '\', it does not begin with one; "" is the root itself.
 *  - Times are those of FILETIME: 100 ns since 1601, UTC; -1 is 0xFFFFFFFFFFFFFFFF.
 *  - Input is validated in full before any state changes; an update is applied whole or not at all,
 *    and is in force when its IOCTL completes.
 *  - A refused IOCTL fails with an NTSTATUS; REPL_IOCTL_GET_REFUSAL on the same handle tells why.
 *  - The device opens for SYSTEM and Administrators only.
 *
 * The stream
 *  A driver has one stream of records, over all its sets. A record says what one operation did.
 *  Sequence numbers grow by one from record to record; a gap is only before a REPL_RECORD of type
 *  ReplRecordStart or ReplRecordLost. An operation gets its number before it reaches the file
 *  system, and holds off what conflicts with it until it has completed (overlapping ranges of a
 *  file; any two operations on names), so that the order of numbers is one in which the operations
 *  took effect, and what began after another had completed has the higher number. An operation that
 *  failed leaves a record of type ReplRecordAborted.
 *  Applying the records in order from the state at one Sequence gives the state at another,
 *  wherever no bracket is open. A bracket opens with a record that has REPL_FLAG_OPEN, and closes
 *  with the record that has REPL_FLAG_CLOSE and the same Bracket; whoever applies records stops
 *  before the first of an open bracket, until he has all up to a record at which none is open.
 *
 * An includer provides the fixed-width types UINT8 .. UINT64 and CTL_CODE (ntddk.h, or
 * windows.h with winioctl.h).
 */
#pragma once

#define REPL_CONTRACT_VERSION 1

#define REPL_DEVICE_NAME L"\\Device\\NtsRepl"
#define REPL_LINK_NAME   L"\\DosDevices\\NtsRepl" /* CreateFile: \\.\NtsRepl */

/* Limits. A configuration beyond them is refused. */
#define REPL_MAX_SETS        64
#define REPL_MAX_RULES       256     /* of all sets */
#define REPL_MAX_NAME_BYTES  65534   /* of a path */
#define REPL_MAX_LABEL_BYTES 512     /* of a bookmark */
#define REPL_MAX_DATA        1048576 /* bytes of file data in one record */
#define REPL_MIN_RING        1048576 /* bytes, header included */
#define REPL_MAX_RING        1073741824
#define REPL_MIN_STAGING     1048576
#define REPL_MAX_STAGING     268435456
#define REPL_MIN_JOURNAL     16777216 /* bytes; 0: no journal */
#define REPL_DIRTY_BLOCK     4096    /* bytes of a file that a bit in its block bitmap stands for */
#define REPL_REGION_BYTES    4194304 /* of a file, in the dirty-region log */
#define REPL_REGION_FILES    256     /* neighbouring file identities that share a region */
#define REPL_MAX_BRACKETS    1024    /* open at once; more: one of the whole set instead */
#define REPL_MAX_BLOCK_MS    1000    /* an operation waits no longer for REPL, in async mode */

/* FILE_DEVICE_UNKNOWN, functions 0x920 .. 0x934 */
#define REPL_IOCTL_GET_VERSION   CTL_CODE(0x22, 0x920, 0, 1) /* -> REPL_VERSION */
#define REPL_IOCTL_SET_CONFIG    CTL_CODE(0x22, 0x921, 0, 2) /* REPL_CONFIG + arrays + names -> */
#define REPL_IOCTL_GET_CONFIG    CTL_CODE(0x22, 0x922, 0, 1) /* -> REPL_CONFIG + arrays + names */
#define REPL_IOCTL_GET_STATUS    CTL_CODE(0x22, 0x923, 0, 1) /* -> REPL_STATUS */
#define REPL_IOCTL_GET_REFUSAL   CTL_CODE(0x22, 0x924, 0, 1) /* -> REPL_REFUSAL */
#define REPL_IOCTL_SET_ROLE      CTL_CODE(0x22, 0x925, 0, 2) /* REPL_ROLE -> */
#define REPL_IOCTL_LEND_RING     CTL_CODE(0x22, 0x926, 2, 2) /* REPL_LEND -> the ring itself */
#define REPL_IOCTL_WAIT          CTL_CODE(0x22, 0x927, 0, 1) /* REPL_WAIT -> REPL_PROGRESS */
#define REPL_IOCTL_READ_JOURNAL  CTL_CODE(0x22, 0x928, 2, 1) /* REPL_READ -> records */
#define REPL_IOCTL_ACKNOWLEDGE   CTL_CODE(0x22, 0x929, 0, 2) /* REPL_ACKNOWLEDGE -> */
#define REPL_IOCTL_BOOKMARK      CTL_CODE(0x22, 0x92A, 0, 2) /* REPL_BOOKMARK -> REPL_SEQUENCE */
#define REPL_IOCTL_OPEN_BRACKET  CTL_CODE(0x22, 0x92B, 0, 2) /* REPL_BRACKET -> REPL_SEQUENCE */
#define REPL_IOCTL_CLOSE_BRACKET CTL_CODE(0x22, 0x92C, 0, 2) /* REPL_BRACKET -> REPL_SEQUENCE */
#define REPL_IOCTL_LIST_BRACKETS CTL_CODE(0x22, 0x92D, 0, 1) /* -> REPL_BRACKET_STATUS[] */
#define REPL_IOCTL_SYNC_FOLDER   CTL_CODE(0x22, 0x92E, 0, 2) /* REPL_SYNC -> REPL_SEQUENCE */
#define REPL_IOCTL_SYNC_FILE     CTL_CODE(0x22, 0x92F, 0, 2) /* REPL_SYNC -> REPL_SEQUENCE */
#define REPL_IOCTL_SYNC_RANGE    CTL_CODE(0x22, 0x930, 0, 2) /* REPL_SYNC -> REPL_SEQUENCE */
#define REPL_IOCTL_TAKE_DIRTY    CTL_CODE(0x22, 0x931, 0, 2) /* -> REPL_DIRTY_FILE + ranges, next */
#define REPL_IOCTL_TRUST_PROCESS CTL_CODE(0x22, 0x932, 0, 2) /* REPL_TRUST -> */
#define REPL_IOCTL_QUERY_REGIONS CTL_CODE(0x22, 0x933, 0, 1) /* -> REPL_DIRTY_FILE + ranges */
#define REPL_IOCTL_READ_RANGE    CTL_CODE(0x22, 0x934, 2, 1) /* REPL_SYNC -> what is there */

typedef struct REPL_VERSION
{
    UINT32 Contract;      /* REPL_CONTRACT_VERSION */
    UINT32 DriverVersion; /* major << 16 | minor */
} REPL_VERSION;

/* How a set is replicated. */
typedef enum REPL_MODE
{
    ReplModeAsync = 1, /* each operation, as soon as may be */
    /* A flush, a write-through, a file's deletion or rename returns when the backup has all up to
     * it. */
    ReplModeDurable = 2,
    /* Whole files, once idle: of a file's content only that it changes is recorded
     * (ReplRecordTouched), names and folders as ever. */
    ReplModeCopy = 3
} REPL_MODE;

/* What a rule is about. */
typedef enum REPL_RULE_KIND
{
    ReplRuleInclude = 1, /* a wildcard over the path: '*' any characters, '?' one; "*.db" matches
                            in every folder, "logs\*" below logs */
    ReplRuleExclude = 2,
    ReplRuleExcludeProcess = 3, /* a wildcard over the image's path: its writes are not captured */
    ReplRuleMaxSize = 4         /* Value: files that are larger when first opened are left out */
} REPL_RULE_KIND;

/* Of a set: a file is in it if it is below the root, some include rule (or none exists) and no
 * exclude rule matches. Folders are in it unless excluded. */
typedef struct REPL_RULE
{
    UINT32 SetId;
    UINT32 Kind; /* REPL_RULE_KIND */
    UINT64 Value;
    UINT32 NameOffset; /* from the start of the names */
    UINT32 NameLength;
} REPL_RULE;

typedef struct REPL_SET
{
    UINT32 SetId;      /* 1 .. 0xFFFFFFFE, unique, never used again for another root */
    UINT32 Mode;       /* REPL_MODE */
    UINT32 RootOffset; /* NT path of the folder, "\Device\HarddiskVolume3\shop" or "\??\D:\shop" */
    UINT32 RootLength;
    UINT64 Reserved;
} REPL_SET;

/* SETs, RULEs and names follow in this order. No sets: nothing is captured. */
typedef struct REPL_CONFIG
{
    UINT32 Contract;    /* REPL_CONTRACT_VERSION */
    UINT32 Bytes;       /* of all */
    UINT64 Generation;  /* of what is replaced; must match, GET_CONFIG tells it */
    UINT8 StreamId[16]; /* a GUID; another one: a new stream, which starts with Sequence 1 */
    UINT32 SetCount;
    UINT32 RuleCount;
    UINT32 NameBytes;
    UINT32 StagingBytes;  /* non-paged memory between the operations and the journal */
    UINT64 JournalBytes;  /* 0: none */
    UINT32 BlockMs;       /* 1 .. REPL_MAX_BLOCK_MS; 0: the default, 1000 */
    UINT32 DurableWaitMs; /* a flush fails (STATUS_IO_TIMEOUT) that waited so long for the backup;
                             0: it waits for ever */
} REPL_CONFIG;

typedef enum REPL_REFUSAL_REASON
{
    ReplRefusalNone = 0,
    ReplRefusalLength = 1,
    ReplRefusalContract = 2,
    ReplRefusalReserved = 3,
    ReplRefusalGeneration = 4,
    ReplRefusalCount = 5,
    ReplRefusalSetId = 6, /* zero, or twice */
    ReplRefusalMode = 7,
    ReplRefusalRoot = 8,   /* not a path, or inside another set's */
    ReplRefusalVolume = 9, /* no such volume, or REPL is not attached to it */
    ReplRefusalRule = 10,
    ReplRefusalStaging = 11,
    ReplRefusalJournal = 12,  /* size, or it could not be made; Status says why */
    ReplRefusalBound = 13,    /* BlockMs */
    ReplRefusalEpoch = 14,    /* lower than the highest seen */
    ReplRefusalRole = 15,     /* not possible in the present role */
    ReplRefusalRing = 16,     /* size, or one is lent already */
    ReplRefusalSequence = 17, /* not one that was given out, or lower than before */
    ReplRefusalBracket = 18,  /* unknown, or too many */
    ReplRefusalFile = 19      /* no such file or folder in a set; Status says why */
} REPL_REFUSAL_REASON;

typedef struct REPL_REFUSAL
{
    UINT32 Reason; /* REPL_REFUSAL_REASON */
    UINT32 Index;  /* of the set or rule */
    UINT32 Status; /* NTSTATUS of what failed below, or 0 */
    UINT32 Reserved;
} REPL_REFUSAL;

typedef enum REPL_ROLE_KIND
{
    ReplRoleNone = 0,    /* captures nothing, refuses nothing */
    ReplRolePrimary = 1, /* captures */
    ReplRoleBackup = 2   /* only trusted processes may change what is in a set
                            (STATUS_MEDIA_WRITE_PROTECTED) */
} REPL_ROLE_KIND;

/* Is on disk before the IOCTL completes. A role is taken with an epoch above all seen before, or
 * changed with the same; a lower one is refused. */
typedef struct REPL_ROLE
{
    UINT32 Role; /* REPL_ROLE_KIND */
    UINT32 Reserved;
    UINT64 Epoch;    /* 1 .. */
    UINT64 Sequence; /* primary with a new epoch: the stream goes on above it; else 0 */
} REPL_ROLE;

/* Where operations are recorded now. */
typedef enum REPL_STATE
{
    ReplStateIdle = 0, /* not primary, or no set */
    ReplStateRing = 1,
    ReplStateJournal = 2, /* the ring is full or nobody lends one */
    ReplStateDirty = 3    /* the journal is full or failed: only which blocks changed; needs a
                             resync */
} REPL_STATE;

typedef struct REPL_STATUS
{
    UINT32 Role;  /* REPL_ROLE_KIND */
    UINT32 State; /* REPL_STATE */
    UINT64 Epoch;
    UINT64 Generation;
    UINT8 StreamId[16];
    UINT64 FirstSequence;     /* the oldest record that the driver still has; Last + 1: none */
    UINT64 LastSequence;      /* given out */
    UINT64 CompletedSequence; /* all up to here have completed */
    UINT64 Acknowledged;      /* by REPL_IOCTL_ACKNOWLEDGE */
    UINT64 LastTime;          /* of LastSequence */
    UINT64 AcknowledgedTime;  /* of the record after Acknowledged; 0: none */
    UINT64 RingBytes;         /* 0: none lent */
    UINT64 RingUsed;
    UINT64 StagingUsed;
    UINT64 JournalBytes;
    UINT64 JournalUsed;
    UINT64 UnacknowledgedBytes; /* of records */
    UINT64 DirtyBytes;          /* of marked blocks, taken or not; 2^62 and above: a file is marked
                                   to its end, wherever that is */
    UINT32 DirtyFiles;
    UINT32 OpenBrackets;
    UINT32 ActiveRegions; /* bits set in the dirty-region log */
    UINT32 JournalStatus; /* NTSTATUS: why it fails; 0: it does not */
    UINT32 RegionStatus;  /* of the dirty-region log */
    UINT32 UncleanStart;  /* 1: the last shutdown was a crash, and a resync is due */
    UINT64 Operations;    /* captured since the driver started */
    UINT64 CapturedBytes;
    UINT64 Aborted;
    UINT64 Refused;      /* operations that a role or a rule forbade */
    UINT64 Blocked;      /* operations that waited for REPL */
    UINT64 LongestBlock; /* 100 ns */
    UINT64 PagingCaptured;
    UINT64 PagingSkipped; /* cached data's paging I/O, captured before */
} REPL_STATUS;

/* Records */

typedef enum REPL_RECORD_TYPE
{
    ReplRecordPad = 0,       /* only Magic, Length and Type: the rest of a ring before it wraps */
    ReplRecordAborted = 1,   /* the operation failed: changes nothing */
    ReplRecordStart = 2,     /* the numbers go on here: data REPL_START */
    ReplRecordCreate = 3,    /* a file or folder came to be at the path: data REPL_METADATA */
    ReplRecordOverwrite = 4, /* emptied by its opener: data REPL_METADATA */
    ReplRecordWrite = 5,     /* Offset, data */
    ReplRecordSetSize = 6,   /* end of file = Offset */
    ReplRecordSetAllocation = 7, /* Offset: allocation; below the end of file it cuts it */
    ReplRecordZero = 8,          /* Offset, Range: reads as zeros; holes where it can */
    ReplRecordRename = 9,        /* path; data: the new path; REPL_FLAG_REPLACE. Of a folder with
                                    REPL_FLAG_OPEN alone: rules may take other files below it */
    ReplRecordLink = 10,         /* path; data: the new name's path; REPL_FLAG_REPLACE */
    ReplRecordDelete = 11,      /* the path's name is not this file's any more (it may not have been
                                       before); the file goes with its last name */
    ReplRecordSetBasic = 12,    /* data REPL_BASIC */
    ReplRecordSetSecurity = 13, /* Offset: SECURITY_INFORMATION; data: self-relative descriptor */
    ReplRecordSetEa = 14,       /* data: FILE_FULL_EA_INFORMATION list */
    ReplRecordSetReparse = 15,  /* data: REPARSE_DATA_BUFFER */
    ReplRecordDeleteReparse = 16,
    ReplRecordSetSparse = 17,      /* Offset: 1 or 0 */
    ReplRecordSetCompression = 18, /* Offset: COMPRESSION_FORMAT_* */
    ReplRecordDeleteStream = 19,   /* the named stream is gone */
    ReplRecordRenameStream = 20,   /* data: the new name, ":b" */
    ReplRecordBookmark = 21,       /* name: the label */
    ReplRecordFlush = 22,          /* a flush waits for this to be durable (durable mode) */
    ReplRecordBracket = 23,        /* opens or closes one, nothing else: data REPL_BRACKET_INFO */
    ReplRecordFolder = 24,         /* what the folder at the path contains: data REPL_ENTRYs; names
                                      that are not in it are gone */
    ReplRecordFile = 25,           /* what the file at the path is, but its data: REPL_METADATA */
    ReplRecordTouched = 26,        /* copy mode: the file changes, for the first time since the
                                      ReplRecordFile before, or since the ring was lent */
    ReplRecordLost = 27            /* what happened before this is not recorded: a bracket of
                                      the whole set opens */
} REPL_RECORD_TYPE;

#define REPL_RECORD_MAGIC 0x524C5052 /* "RPLR" */

#define REPL_FLAG_DIRECTORY     0x0001
#define REPL_FLAG_REPLACE       0x0002 /* rename, link: what had the new name is gone */
#define REPL_FLAG_SUPERSEDE     0x0004 /* overwrite: streams and extended attributes, too */
#define REPL_FLAG_PAGING        0x0008 /* write: a mapping's store; it makes no file longer */
#define REPL_FLAG_STREAM        0x0010 /* the name is that of a named stream, ":a" */
#define REPL_FLAG_OPEN          0x0020 /* of Bracket */
#define REPL_FLAG_CLOSE         0x0040
#define REPL_FLAG_SYNC          0x0080 /* made by a SYNC IOCTL, no program's operation */
#define REPL_FLAG_VERIFY        0x0100 /* write: compare with what is there, do not apply */
#define REPL_FLAG_LAST_LINK     0x0200 /* delete: no name is left */
#define REPL_FLAG_WRITE_THROUGH 0x0400
#define REPL_FLAG_ENTERED                                                                          \
    0x0800                    /* rename, link: from outside of the set; contents follow inside     \
                                 of the bracket that this opens */
#define REPL_FLAG_LEFT 0x1000 /* rename: to outside of the set; data: none */
#define REPL_FLAG_COPY                                                                             \
    0x2000 /* of a set in copy mode. A ReplRecordFile of a file begins a copy                      \
              beside the file, what a SYNC_RANGE reads goes there */
#define REPL_FLAG_COPIED                                                                           \
    0x4000 /* file: the copy that Offset began takes the file's place now, if                      \
              nothing has changed the file since; else this is nothing */

/*
 * A record: this, its name, its data, each padded with zeros to 8 bytes. Length is of all.
 * HeaderChecksum is the CRC-32C of the header (with this field and State 0) and of the name;
 * DataChecksum that of the data. CRC-32C: RFC 3720, appendix B.4.
 */
typedef struct REPL_RECORD
{
    UINT32 Magic;  /* REPL_RECORD_MAGIC */
    UINT32 Length; /* multiple of 8 */
    UINT16 Type;   /* of REPL_RECORD_TYPE */
    UINT16 Flags;  /* REPL_FLAG_* */
    UINT32 State;  /* 0; of the ring's own use */
    UINT64 Sequence;
    UINT64 Epoch;
    UINT64 Time;      /* when it was numbered; grows with Sequence */
    UINT8 FileId[16]; /* FILE_ID_128 of the file or folder; zero: none */
    UINT32 SetId;     /* 0: all */
    UINT32 NameLength;
    UINT64 Offset;
    UINT64 Range;      /* bytes of the file that it is about */
    UINT64 Bracket;    /* Sequence of the record that opened it; 0: none */
    UINT32 DataLength; /* bytes */
    UINT32 DataChecksum;
    UINT32 HeaderChecksum;
    UINT32 Reserved;
} REPL_RECORD;

typedef struct REPL_START
{
    UINT8 StreamId[16];
    UINT64 Previous; /* the last Sequence before it that is known to have been given out */
    UINT32 Unclean;  /* 1: after a crash; a bracket of all sets opens */
    UINT32 Reserved;
} REPL_START;

/* FILE_BASIC_INFORMATION as it was set: a time of 0 or -1 and attributes of 0 were left alone. */
typedef struct REPL_BASIC
{
    UINT64 CreationTime;
    UINT64 LastAccessTime;
    UINT64 LastWriteTime;
    UINT64 ChangeTime;
    UINT32 Attributes; /* FILE_ATTRIBUTE_* */
    UINT32 Reserved;
} REPL_BASIC;

/* Followed by the security descriptor, the EA list and the reparse buffer, each padded to 8. */
typedef struct REPL_METADATA
{
    REPL_BASIC Basic; /* absolute */
    UINT64 Size;
    UINT64 Allocation;
    UINT32 Links;
    UINT32 SecurityLength; /* 0: not told; the folder's is inherited */
    UINT32 EaLength;
    UINT32 ReparseLength;
} REPL_METADATA;

/* Of a ReplRecordFolder: this and its name, padded to 8. */
typedef struct REPL_ENTRY
{
    UINT8 FileId[16];
    UINT64 Size;
    UINT64 LastWriteTime;
    UINT64 ChangeTime;
    UINT32 Attributes;
    UINT32 NameLength; /* of the last component */
} REPL_ENTRY;

typedef enum REPL_BRACKET_REASON
{
    ReplBracketInitial = 1, /* no state before it: it may be applied at once */
    ReplBracketResync = 2,  /* asked for */
    ReplBracketLost = 3,    /* ring, staging and journal were full, or failed */
    ReplBracketCrash = 4,   /* the primary's machine ended without a shutdown */
    ReplBracketEntered = 5, /* a file or folder was renamed or linked into the set, or a folder
                               renamed in a set one of whose rules looks at folders */
    ReplBracketVolume = 6,  /* raw writes, a shadow copy's revert, a dismount */
    ReplBracketOrder = 7    /* an operation on names went on without its turn (BlockMs) */
} REPL_BRACKET_REASON;

typedef struct REPL_BRACKET_INFO
{
    UINT32 Reason; /* REPL_BRACKET_REASON */
    UINT32 Reserved;
} REPL_BRACKET_INFO;

/* The ring */

#define REPL_RING_MAGIC        0x474E4952 /* "RING" */
#define REPL_RING_HEADER_BYTES 4096

/*
 * The lent buffer: this header, 4096 bytes, then the data, a power of two of bytes. Positions are
 * counts of bytes since the ring was lent; a record lies at Position modulo DataBytes and never
 * wraps. One writer (the driver), one reader. The driver publishes Head after the records below it
 * are whole; the reader moves Tail. The driver believes no field but Tail, and that only within
 * [its last value, Head].
 */
typedef struct REPL_RING_HEADER
{
    UINT32 Magic;
    UINT32 Version; /* REPL_CONTRACT_VERSION */
    UINT64 DataBytes;
    UINT8 Reserved0[48];
    UINT64 Head;   /* driver: release; reader: acquire */
    UINT32 Closed; /* driver: 1 after the last record; the stream goes on in the journal or dirty */
    UINT32 Reserved1;
    UINT8 Reserved2[48];
    UINT64 Tail; /* reader: release; driver: acquire */
    UINT8 Reserved3[56];
} REPL_RING_HEADER;

typedef struct REPL_LEND
{
    UINT32 Contract;
    UINT32 Reserved;
    UINT64 After; /* the reader has all up to this Sequence; records above it that the driver still
                     has come first, from the journal */
} REPL_LEND;

/* Completes when Head > Head given, the ring is closed or revoked, or the state is not State. */
typedef struct REPL_WAIT
{
    UINT64 Head;
    UINT32 State; /* REPL_STATE as last seen */
    UINT32 Reserved;
} REPL_WAIT;

typedef struct REPL_PROGRESS
{
    UINT64 Head;
    UINT64 CompletedSequence;
    UINT32 State;
    UINT32 Reserved;
} REPL_PROGRESS;

/* Whole records, at most the output's length, the first with Sequence > After. None and success:
 * what comes next comes in the ring. STATUS_PENDING until there are some. A reader who, when the
 * ring is closed, reads it to Head before he asks, gets all records in the order of their numbers,
 * each once. (Who lets Tail stay behind and reads the ring again from there finds the numbers of
 * what was in the journal meanwhile missing in it.) */
typedef struct REPL_READ
{
    UINT64 After;
} REPL_READ;

/* The backups that count have all up to Sequence on disk. */
typedef struct REPL_ACKNOWLEDGE
{
    UINT64 Sequence;
} REPL_ACKNOWLEDGE;

typedef struct REPL_SEQUENCE
{
    UINT64 Sequence;
} REPL_SEQUENCE;

/* Followed by the label. */
typedef struct REPL_BOOKMARK
{
    UINT32 LabelLength;
    UINT32 Reserved;
} REPL_BOOKMARK;

typedef struct REPL_BRACKET
{
    UINT32 SetId;   /* OPEN: 0 all */
    UINT32 Reason;  /* OPEN: REPL_BRACKET_REASON */
    UINT64 Bracket; /* CLOSE: the Sequence that OPEN gave, or of LIST */
} REPL_BRACKET;

typedef struct REPL_BRACKET_STATUS
{
    UINT64 Bracket;
    UINT32 SetId;
    UINT32 Reason;
    UINT8 FileId[16]; /* of what entered; else zero */
} REPL_BRACKET_STATUS;

/*
 * Followed by the path, if FileId is zero. SYNC_*: one record is made of the state at that moment.
 * READ_RANGE: no record; the output is what the file has there while programs may write, up to
 * Range bytes, fewer at its end. Whoever compares reads so and not as a program does, who may be
 * kept out by share modes, or by a program that waits until the comparison is done.
 */
typedef struct REPL_SYNC
{
    UINT32 SetId;
    UINT32 NameLength;
    UINT8 FileId[16];
    UINT64 Offset; /* RANGE; of REPL_FLAG_COPIED: the Sequence of what began the copy */
    UINT32 Range;  /* RANGE: 1 .. REPL_MAX_DATA; what is beyond the end of file is left out */
    UINT32 Flags;  /* SYNC_RANGE: REPL_FLAG_VERIFY or 0; SYNC_FILE in copy mode:
                      REPL_FLAG_COPIED or 0; else 0 */
} REPL_SYNC;

#define REPL_DIRTY_WHOLE 1 /* all of the file: it is new, or too much of it changed */
#define REPL_DIRTY_NAMES 2 /* of a folder (FileId) or, if zero, of the whole set: compare names */
#define REPL_DIRTY_REGION                                                                          \
    4 /* of the whole set: QUERY_REGIONS tells of each file what may have changed */

/* One thing that is dirty, taken from the driver's list; forgotten when the bracket in which it is
 * synchronised closes. Followed by RangeCount REPL_DIRTY_RANGEs. STATUS_NO_MORE_ENTRIES: none. */
typedef struct REPL_DIRTY_FILE
{
    UINT8 FileId[16];
    UINT32 SetId;
    UINT32 Flags; /* REPL_DIRTY_* */
    UINT32 RangeCount;
    UINT32 Reserved;
} REPL_DIRTY_FILE;

typedef struct REPL_DIRTY_RANGE
{
    UINT64 Offset;
    UINT64 Length;
} REPL_DIRTY_RANGE;

/* Input of QUERY_REGIONS; Size: of the file. What of it may have changed without a record that
 * somebody still has (a crash, a reader that died), until the bracket closes. REPL_DIRTY_WHOLE
 * instead of ranges: all of it, or more ranges than the output takes. */
typedef struct REPL_REGION_QUERY
{
    UINT8 FileId[16];
    UINT64 Size;
} REPL_REGION_QUERY;

/* The caller's process may write into sets while the role is backup, and is not captured. Ends
 * with the handle. */
typedef struct REPL_TRUST
{
    UINT32 ProcessId; /* 0: the caller */
    UINT32 Reserved;
} REPL_TRUST;

#define REPL_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type)
REPL_ASSERT_SIZE(REPL_VERSION, 8);
REPL_ASSERT_SIZE(REPL_RULE, 24);
REPL_ASSERT_SIZE(REPL_SET, 24);
REPL_ASSERT_SIZE(REPL_CONFIG, 64);
REPL_ASSERT_SIZE(REPL_REFUSAL, 16);
REPL_ASSERT_SIZE(REPL_ROLE, 24);
REPL_ASSERT_SIZE(REPL_STATUS, 232);
REPL_ASSERT_SIZE(REPL_RECORD, 104);
REPL_ASSERT_SIZE(REPL_START, 32);
REPL_ASSERT_SIZE(REPL_BASIC, 40);
REPL_ASSERT_SIZE(REPL_METADATA, 72);
REPL_ASSERT_SIZE(REPL_ENTRY, 48);
REPL_ASSERT_SIZE(REPL_BRACKET_INFO, 8);
REPL_ASSERT_SIZE(REPL_RING_HEADER, 192);
REPL_ASSERT_SIZE(REPL_LEND, 16);
REPL_ASSERT_SIZE(REPL_WAIT, 16);
REPL_ASSERT_SIZE(REPL_PROGRESS, 24);
REPL_ASSERT_SIZE(REPL_READ, 8);
REPL_ASSERT_SIZE(REPL_ACKNOWLEDGE, 8);
REPL_ASSERT_SIZE(REPL_SEQUENCE, 8);
REPL_ASSERT_SIZE(REPL_BOOKMARK, 8);
REPL_ASSERT_SIZE(REPL_BRACKET, 16);
REPL_ASSERT_SIZE(REPL_BRACKET_STATUS, 32);
REPL_ASSERT_SIZE(REPL_SYNC, 40);
REPL_ASSERT_SIZE(REPL_DIRTY_FILE, 32);
REPL_ASSERT_SIZE(REPL_DIRTY_RANGE, 16);
REPL_ASSERT_SIZE(REPL_REGION_QUERY, 24);
REPL_ASSERT_SIZE(REPL_TRUST, 8);
