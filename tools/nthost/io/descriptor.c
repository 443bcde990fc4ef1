/*
 * Security descriptors as a whole: absolute ones, whose parts are anywhere, and self-relative ones,
 * in one piece.
 *
 * WDK: RtlLengthSecurityDescriptor, RtlAbsoluteToSelfRelativeSD, SECURITY_DESCRIPTOR_RELATIVE.
 */
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <ntifs.h>
#include <string.h>

struct parts {
    const void *owner, *group;
    const ACL *sacl, *dacl;
};

static const void *at(const SECURITY_DESCRIPTOR_RELATIVE *relative, ULONG offset)
{
    return offset == 0 ? NULL : (const UCHAR *)relative + offset;
}

static struct parts parts_of(PSECURITY_DESCRIPTOR descriptor)
{
    const SECURITY_DESCRIPTOR *absolute = descriptor;
    const SECURITY_DESCRIPTOR_RELATIVE *relative = descriptor;
    struct parts parts = {0};
    if (absolute->Control & SE_SELF_RELATIVE) {
        parts.owner = at(relative, relative->Owner);
        parts.group = at(relative, relative->Group);
        parts.sacl = at(relative, relative->Sacl);
        parts.dacl = at(relative, relative->Dacl);
    } else {
        parts.owner = absolute->Owner;
        parts.group = absolute->Group;
        parts.sacl = absolute->Sacl;
        parts.dacl = absolute->Dacl;
    }
    if (!(absolute->Control & SE_SACL_PRESENT))
        parts.sacl = NULL;
    if (!(absolute->Control & SE_DACL_PRESENT))
        parts.dacl = NULL;
    return parts;
}

static ULONG padded(ULONG bytes)
{
    return (bytes + 3u) & ~3u;
}

static ULONG sid_bytes(const void *sid)
{
    return sid == NULL ? 0 : padded(RtlLengthSid((PSID)sid));
}

static ULONG acl_bytes(const ACL *acl)
{
    return acl == NULL ? 0 : padded(acl->AclSize);
}

static ULONG length_of(const struct parts *parts, ULONG header)
{
    return header + sid_bytes(parts->owner) + sid_bytes(parts->group) + acl_bytes(parts->sacl) +
           acl_bytes(parts->dacl);
}

ULONG NTAPI RtlLengthSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct parts parts = parts_of(SecurityDescriptor);
    bool relative = ((const SECURITY_DESCRIPTOR *)SecurityDescriptor)->Control & SE_SELF_RELATIVE;
    return length_of(&parts,
                     relative ? sizeof(SECURITY_DESCRIPTOR_RELATIVE) : sizeof(SECURITY_DESCRIPTOR));
}
NT_EXPORT(NTOSKRNL, RtlLengthSecurityDescriptor);

static ULONG put(UCHAR *base, ULONG *end, const void *part, ULONG bytes, ULONG room)
{
    ULONG offset = *end;
    if (part == NULL)
        return 0;
    memset(base + offset, 0, room);
    memcpy(base + offset, part, bytes);
    *end += room;
    return offset;
}

NTSTATUS NTAPI RtlAbsoluteToSelfRelativeSD(PSECURITY_DESCRIPTOR AbsoluteSecurityDescriptor,
                                           PSECURITY_DESCRIPTOR SelfRelativeSecurityDescriptor,
                                           PULONG BufferLength)
{
    VF_ENTRY(APC_LEVEL);
    const SECURITY_DESCRIPTOR *absolute = AbsoluteSecurityDescriptor;
    SECURITY_DESCRIPTOR_RELATIVE *relative = SelfRelativeSecurityDescriptor;
    if (absolute->Control & SE_SELF_RELATIVE)
        return STATUS_BAD_DESCRIPTOR_FORMAT;
    struct parts parts = parts_of(AbsoluteSecurityDescriptor);
    ULONG needed = length_of(&parts, sizeof(*relative)), end = sizeof(*relative);
    bool fits = *BufferLength >= needed;
    *BufferLength = needed;
    if (!fits)
        return STATUS_BUFFER_TOO_SMALL;
    UCHAR *base = (UCHAR *)relative;
    relative->Revision = absolute->Revision;
    relative->Sbz1 = absolute->Sbz1;
    relative->Control = absolute->Control | SE_SELF_RELATIVE;
    relative->Owner =
        put(base, &end, parts.owner, parts.owner == NULL ? 0 : RtlLengthSid((PSID)parts.owner),
            sid_bytes(parts.owner));
    relative->Group =
        put(base, &end, parts.group, parts.group == NULL ? 0 : RtlLengthSid((PSID)parts.group),
            sid_bytes(parts.group));
    relative->Sacl = put(base, &end, parts.sacl, parts.sacl == NULL ? 0 : parts.sacl->AclSize,
                         acl_bytes(parts.sacl));
    relative->Dacl = put(base, &end, parts.dacl, parts.dacl == NULL ? 0 : parts.dacl->AclSize,
                         acl_bytes(parts.dacl));
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, RtlAbsoluteToSelfRelativeSD);
