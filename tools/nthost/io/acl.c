/*
 * Building security identifiers, access lists and descriptors.
 *
 * WDK: RtlCreateSecurityDescriptor, RtlSetDaclSecurityDescriptor, RtlCreateAcl,
 * RtlAddAccessAllowedAce, RtlLengthSid.
 */
#include "security.h"
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <string.h>

NTSTATUS NTAPI RtlCreateSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, ULONG Revision)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (Revision != SECURITY_DESCRIPTOR_REVISION)
        return STATUS_UNKNOWN_REVISION;
    SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    memset(sd, 0, sizeof(*sd));
    sd->Revision = SECURITY_DESCRIPTOR_REVISION;
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, RtlCreateSecurityDescriptor);

NTSTATUS NTAPI RtlSetDaclSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor,
                                            BOOLEAN DaclPresent, PACL Dacl, BOOLEAN DaclDefaulted)
{
    VF_ENTRY(DISPATCH_LEVEL);
    SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    if (sd->Revision != SECURITY_DESCRIPTOR_REVISION)
        return STATUS_UNKNOWN_REVISION;
    if (sd->Control & SE_SELF_RELATIVE)
        return STATUS_INVALID_SECURITY_DESCR;
    sd->Control &= (USHORT) ~(SE_DACL_PRESENT | SE_DACL_DEFAULTED);
    sd->Dacl = NULL;
    if (DaclPresent) {
        sd->Control |= SE_DACL_PRESENT;
        sd->Dacl = Dacl;
        if (DaclDefaulted)
            sd->Control |= SE_DACL_DEFAULTED;
    }
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, RtlSetDaclSecurityDescriptor);

NTSTATUS NTAPI RtlCreateAcl(PACL Acl, ULONG AclLength, ULONG AclRevision)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (AclLength < sizeof(ACL))
        return STATUS_BUFFER_TOO_SMALL;
    if (AclRevision != ACL_REVISION || AclLength > 0xffff)
        return STATUS_INVALID_PARAMETER;
    *Acl = (ACL){.AclRevision = ACL_REVISION, .AclSize = (USHORT)(AclLength & ~3u)};
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, RtlCreateAcl);

static size_t sid_bytes(const SID *sid)
{
    return 8 + 4u * sid->SubAuthorityCount;
}

NTSTATUS NTAPI RtlAddAccessAllowedAce(PACL Acl, ULONG AceRevision, ACCESS_MASK AccessMask, PSID Sid)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UCHAR *at = (UCHAR *)(Acl + 1), *end = (UCHAR *)Acl + Acl->AclSize;
    size_t bytes = 8 + sid_bytes(Sid);
    if (AceRevision != ACL_REVISION)
        return STATUS_REVISION_MISMATCH;
    if (((const SID *)Sid)->Revision != SID_REVISION)
        return STATUS_INVALID_SID;
    for (unsigned i = 0; i < Acl->AceCount; i++) {
        ACE_HEADER header;
        if (end - at < (ptrdiff_t)sizeof(header))
            return STATUS_INVALID_ACL;
        memcpy(&header, at, sizeof(header));
        if (header.AceSize < sizeof(header) || header.AceSize > end - at)
            return STATUS_INVALID_ACL;
        at += header.AceSize;
    }
    if ((size_t)(end - at) < bytes)
        return STATUS_ALLOTTED_SPACE_EXCEEDED;
    ACE_HEADER header = {.AceType = ACCESS_ALLOWED_ACE_TYPE, .AceSize = (USHORT)bytes};
    memcpy(at, &header, sizeof(header));
    memcpy(at + 4, &AccessMask, sizeof(AccessMask));
    memcpy(at + 8, Sid, sid_bytes(Sid));
    Acl->AceCount++;
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, RtlAddAccessAllowedAce);

ULONG NTAPI RtlLengthSid(PSID Sid)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return (ULONG)sid_bytes(Sid);
}
NT_EXPORT(NTOSKRNL, RtlLengthSid);

BOOLEAN NTAPI RtlEqualSid(PSID Sid1, PSID Sid2)
{
    VF_ENTRY(DISPATCH_LEVEL);
    const SID *a = Sid1, *b = Sid2;
    return a->SubAuthorityCount == b->SubAuthorityCount && memcmp(a, b, sid_bytes(a)) == 0;
}
NT_EXPORT(NTOSKRNL, RtlEqualSid);

BOOLEAN NTAPI RtlValidSid(PSID Sid)
{
    VF_ENTRY(DISPATCH_LEVEL);
    const SID *sid = Sid;
    return sid != NULL && sid->Revision == SID_REVISION && sid->SubAuthorityCount <= 15;
}
NT_EXPORT(NTOSKRNL, RtlValidSid);

BOOLEAN NTAPI RtlValidSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor)
{
    VF_ENTRY(DISPATCH_LEVEL);
    const SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    if (sd == NULL || sd->Revision != SECURITY_DESCRIPTOR_REVISION)
        return FALSE;
    const ACL *dacl = security_dacl(SecurityDescriptor);
    return dacl == NULL || (dacl->AclRevision == ACL_REVISION && dacl->AclSize >= sizeof(ACL));
}
NT_EXPORT(NTOSKRNL, RtlValidSecurityDescriptor);
