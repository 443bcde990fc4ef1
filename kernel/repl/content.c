/*
 * What stands in records: see content.h.
 */
#include "content.h"

#define RPL_PADDED(Bytes) (((UINT64)(Bytes) + 7) & ~7ull)

static BOOLEAN RplContentZeros(_In_reads_bytes_(Bytes) const UCHAR *Data, _In_ UINT64 Bytes)
{
    for (UINT64 i = 0; i < Bytes; i++)
    {
        if (Data[i] != 0)
        {
            return FALSE;
        }
    }
    return TRUE;
}

/* Names */

static BOOLEAN RplContentIsName(_In_reads_(Length) const WCHAR *Name, _In_ ULONG Length)
{
    for (ULONG i = 0; i < Length; i++)
    {
        if (Name[i] == 0 || Name[i] == L'\\' || Name[i] == L'/' || Name[i] == L':')
        {
            return FALSE;
        }
    }
    return Length != 0 && !(Name[0] == L'.' && (Length == 1 || (Length == 2 && Name[1] == L'.')));
}

BOOLEAN RplContentIsComponent(_In_reads_bytes_(Bytes) const VOID *Name, _In_ ULONG Bytes)
{
    return Bytes % sizeof(WCHAR) == 0 && RplContentIsName(Name, Bytes / sizeof(WCHAR));
}

BOOLEAN RplContentIsPath(_In_reads_bytes_(Bytes) const VOID *Name, _In_ ULONG Bytes)
{
    const WCHAR *path = Name;
    ULONG length = Bytes / sizeof(WCHAR);
    ULONG start = 0;

    if (Bytes % sizeof(WCHAR) != 0 || Bytes > REPL_MAX_NAME_BYTES)
    {
        return FALSE;
    }
    for (ULONG i = 0; i < length; i++)
    {
        if (path[i] == L'\\')
        {
            if (!RplContentIsName(path + start, i - start))
            {
                return FALSE;
            }
            start = i + 1;
        }
    }
    return RplContentIsName(path + start, length - start);
}

BOOLEAN RplContentIsStream(_In_reads_bytes_(Bytes) const VOID *Name, _In_ ULONG Bytes)
{
    const WCHAR *stream = Name;

    /* A stream may be called "."; it is no folder's entry. */
    if (Bytes % sizeof(WCHAR) != 0 || Bytes < 2 * sizeof(WCHAR) || Bytes > REPL_MAX_NAME_BYTES ||
        stream[0] != L':')
    {
        return FALSE;
    }
    for (ULONG i = 1; i < Bytes / sizeof(WCHAR); i++)
    {
        if (stream[i] == 0 || stream[i] == L'\\' || stream[i] == L'/' || stream[i] == L':')
        {
            return FALSE;
        }
    }
    return TRUE;
}

/* Security descriptors */

typedef struct RPL_SECURITY
{
    UINT8 Revision;
    UINT8 Sbz1;
    UINT16 Control;
    UINT32 Owner;
    UINT32 Group;
    UINT32 Sacl;
    UINT32 Dacl;
} RPL_SECURITY;

typedef struct RPL_ACL
{
    UINT8 Revision;
    UINT8 Sbz1;
    UINT16 Bytes;
    UINT16 Count;
    UINT16 Sbz2;
} RPL_ACL;

typedef struct RPL_ACE
{
    UINT8 Type;
    UINT8 Flags;
    UINT16 Bytes;
} RPL_ACE;

C_ASSERT(sizeof(RPL_SECURITY) == 20 && sizeof(RPL_ACL) == 8 && sizeof(RPL_ACE) == 4);

#define RPL_SELF_RELATIVE      0x8000 /* SE_SELF_RELATIVE */
#define RPL_MAX_SUBAUTHORITIES 15

/* Offset 0: there is none. */
static BOOLEAN RplContentIsPart(_In_ UINT32 Offset, _In_ ULONG Bytes, _In_ ULONG Needed)
{
    return Offset >= sizeof(RPL_SECURITY) && Offset % 4 == 0 && Offset <= Bytes &&
           Bytes - Offset >= Needed;
}

/* [MS-DTYP] 2.4.2.2: revision, count of subauthorities, six bytes, subauthorities. */
static BOOLEAN RplContentIsSid(_In_ const UCHAR *Data, _In_ ULONG Bytes, _In_ UINT32 Offset)
{
    if (Offset == 0)
    {
        return TRUE;
    }
    return RplContentIsPart(Offset, Bytes, 8) && Data[Offset] == 1 &&
           Data[Offset + 1] <= RPL_MAX_SUBAUTHORITIES &&
           Bytes - Offset >= 8 + 4u * Data[Offset + 1];
}

static BOOLEAN RplContentIsAcl(_In_ const UCHAR *Data, _In_ ULONG Bytes, _In_ UINT32 Offset)
{
    const RPL_ACL *acl = (const RPL_ACL *)(Data + Offset);
    ULONG used = sizeof(*acl);

    if (Offset == 0)
    {
        return TRUE;
    }
    if (!RplContentIsPart(Offset, Bytes, sizeof(*acl)) || acl->Bytes < sizeof(*acl) ||
        acl->Bytes % 4 != 0 || Bytes - Offset < acl->Bytes)
    {
        return FALSE;
    }
    for (ULONG i = 0; i < acl->Count; i++)
    {
        const RPL_ACE *ace = (const RPL_ACE *)(Data + Offset + used);

        if (acl->Bytes - used < sizeof(*ace) || ace->Bytes < sizeof(*ace) || ace->Bytes % 4 != 0 ||
            acl->Bytes - used < ace->Bytes)
        {
            return FALSE;
        }
        used += ace->Bytes;
    }
    return TRUE;
}

BOOLEAN RplContentIsSecurity(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes)
{
    const RPL_SECURITY *security = Data;

    return Bytes >= sizeof(*security) && security->Revision == 1 &&
           (security->Control & RPL_SELF_RELATIVE) != 0 &&
           RplContentIsSid(Data, Bytes, security->Owner) &&
           RplContentIsSid(Data, Bytes, security->Group) &&
           RplContentIsAcl(Data, Bytes, security->Sacl) &&
           RplContentIsAcl(Data, Bytes, security->Dacl);
}

/* Extended attributes */

typedef struct RPL_EA
{
    UINT32 Next; /* offset from here; 0: the last */
    UINT8 Flags;
    UINT8 NameBytes; /* without the zero after it */
    UINT16 ValueBytes;
} RPL_EA;

C_ASSERT(sizeof(RPL_EA) == 8);

BOOLEAN RplContentIsEa(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes)
{
    const UCHAR *next = Data;

    for (;;)
    {
        const RPL_EA *ea = (const RPL_EA *)next;
        ULONG used;

        if (Bytes < sizeof(*ea))
        {
            return FALSE;
        }
        used = sizeof(*ea) + ea->NameBytes + 1 + ea->ValueBytes;
        if (ea->NameBytes == 0 || Bytes < used || next[sizeof(*ea) + ea->NameBytes] != 0)
        {
            return FALSE;
        }
        if (ea->Next == 0)
        {
            return TRUE;
        }
        if (ea->Next % 4 != 0 || ea->Next < used || ea->Next > Bytes)
        {
            return FALSE;
        }
        next += ea->Next;
        Bytes -= ea->Next;
    }
}

/* Reparse points */

typedef struct RPL_REPARSE
{
    UINT32 Tag;
    UINT16 DataBytes;
    UINT16 Reserved;
} RPL_REPARSE;

C_ASSERT(sizeof(RPL_REPARSE) == 8);

#define RPL_REPARSE_MICROSOFT 0x80000000u
#define RPL_REPARSE_MAX_BYTES 16384 /* MAXIMUM_REPARSE_DATA_BUFFER_SIZE */

BOOLEAN RplContentIsReparse(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes)
{
    const RPL_REPARSE *reparse = Data;
    ULONG header;

    if (Bytes < sizeof(*reparse) || Bytes > RPL_REPARSE_MAX_BYTES || reparse->Tag <= 1)
    {
        return FALSE;
    }
    /* Others' tags come with a GUID. */
    header = (reparse->Tag & RPL_REPARSE_MICROSOFT) != 0 ? 8 : 24;
    return Bytes == header + reparse->DataBytes;
}

/* Metadata */

typedef BOOLEAN RPL_IS_CONTENT(const VOID *Data, ULONG Bytes);

/* A part of Length at *Data, padded to 8; *Data and *Bytes go behind it. Length 0: none. */
static BOOLEAN RplContentTake(_In_ RPL_IS_CONTENT *Is, _In_ ULONG Length,
                              _Inout_ const UCHAR **Data, _Inout_ ULONG *Bytes)
{
    UINT64 padded = RPL_PADDED(Length);

    if (padded > *Bytes || !RplContentZeros(*Data + Length, padded - Length) ||
        (Length != 0 && !Is(*Data, Length)))
    {
        return FALSE;
    }
    *Data += padded;
    *Bytes -= (ULONG)padded;
    return TRUE;
}

BOOLEAN RplContentIsMetadata(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes)
{
    const REPL_METADATA *metadata = Data;
    const UCHAR *rest = (const UCHAR *)(metadata + 1);

    if (Bytes < sizeof(*metadata) || metadata->Basic.Reserved != 0 ||
        metadata->Size > MAXLONGLONG || metadata->Allocation > MAXLONGLONG)
    {
        return FALSE;
    }
    Bytes -= sizeof(*metadata);
    return RplContentTake(RplContentIsSecurity, metadata->SecurityLength, &rest, &Bytes) &&
           RplContentTake(RplContentIsEa, metadata->EaLength, &rest, &Bytes) &&
           RplContentTake(RplContentIsReparse, metadata->ReparseLength, &rest, &Bytes) &&
           Bytes == 0;
}

/* Listings */

BOOLEAN RplContentIsListing(_In_reads_bytes_(Bytes) const VOID *Data, _In_ ULONG Bytes)
{
    const UCHAR *rest = Data;

    while (Bytes != 0)
    {
        const REPL_ENTRY *entry = (const REPL_ENTRY *)rest;

        if (Bytes < sizeof(*entry) || entry->NameLength == 0 ||
            RplContentZeros(entry->FileId, sizeof(entry->FileId)))
        {
            return FALSE;
        }
        rest += sizeof(*entry);
        Bytes -= sizeof(*entry);
        if (!RplContentTake(RplContentIsComponent, entry->NameLength, &rest, &Bytes))
        {
            return FALSE;
        }
    }
    return TRUE;
}
