/*
 * Access checks: who a token is, and what a DACL lets it do, ACE by ACE in their order.
 *
 * Three tokens exist: SYSTEM, an elevated administrator, and a user. Integrity levels, privileges
 * beyond the obvious and audits do not.
 *
 * WDK: SeAccessCheck, "Access Rights", "Securing Device Objects".
 */
#include "security.h"
#include "ob.h"
#include "process.h"
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <string.h>

#define SECURITY_TAG 'rceS'

struct small_sid {
    UCHAR revision, count, authority[6];
    ULONG sub[5];
};
#define NT_SID(n, ...)                                                                             \
    {                                                                                              \
        1, n, {0, 0, 0, 0, 0, 5},                                                                  \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define WORLD             {1, 1, {0, 0, 0, 0, 0, 1}, {0}}
#define AUTHENTICATED     NT_SID(1, 11)
#define INTERACTIVE       NT_SID(1, 4)
#define ADMINISTRATORS    NT_SID(2, 32, 544)
#define USERS             NT_SID(2, 32, 545)
#define LOCAL_ACCOUNT(id) NT_SID(5, 21, 1, 2, 3, id)

/* User first, then groups; ends with revision 0. */
static const struct small_sid system_sids[] = {
    NT_SID(1, 18), ADMINISTRATORS, WORLD, AUTHENTICATED, {0}};
static const struct small_sid administrator_sids[] = {
    LOCAL_ACCOUNT(500), ADMINISTRATORS, USERS, WORLD, AUTHENTICATED, INTERACTIVE, {0}};
static const struct small_sid user_sids[] = {LOCAL_ACCOUNT(1001), USERS,       WORLD,
                                             AUTHENTICATED,       INTERACTIVE, {0}};
static const struct small_sid *const token_sids[] = {[IO_TOKEN_SYSTEM] = system_sids,
                                                     [IO_TOKEN_ADMINISTRATOR] = administrator_sids,
                                                     [IO_TOKEN_USER] = user_sids};

const GENERIC_MAPPING security_file_mapping = {FILE_GENERIC_READ, FILE_GENERIC_WRITE,
                                               FILE_GENERIC_EXECUTE, FILE_ALL_ACCESS};
/* WDK: SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_RW_RES_R. */
const UNICODE_STRING security_default_sddl =
    RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GRGW;;;WD)(A;;GR;;;RC)");

ACCESS_MASK security_map(ACCESS_MASK mask, const GENERIC_MAPPING *mapping)
{
    ACCESS_MASK mapped = mask & 0x0fffffffu;
    if (mask & GENERIC_READ)
        mapped |= mapping->GenericRead;
    if (mask & GENERIC_WRITE)
        mapped |= mapping->GenericWrite;
    if (mask & GENERIC_EXECUTE)
        mapped |= mapping->GenericExecute;
    if (mask & GENERIC_ALL)
        mapped |= mapping->GenericAll;
    return mapped;
}

static bool holds(enum io_token token, const UCHAR *sid, size_t room)
{
    size_t bytes = room >= 8 ? 8 + 4u * sid[1] : SIZE_MAX;
    if (bytes > room)
        return false;
    for (const struct small_sid *own = token_sids[token]; own->revision != 0; own++)
        if (own->count == sid[1] && memcmp(own, sid, bytes) == 0)
            return true;
    return false;
}

/* Part of the self-relative form, or a pointer of the absolute one. */
PACL security_dacl(PSECURITY_DESCRIPTOR descriptor)
{
    const SECURITY_DESCRIPTOR *sd = descriptor;
    if (sd == NULL || !(sd->Control & SE_DACL_PRESENT))
        return NULL;
    if (!(sd->Control & SE_SELF_RELATIVE))
        return sd->Dacl;
    ULONG offset;
    memcpy(&offset, (const UCHAR *)descriptor + 16, sizeof(offset));
    return offset ? (PACL)((UCHAR *)descriptor + offset) : NULL;
}

/* One pass over the DACL: what is left of `desired`, or everything that is allowed. */
static NTSTATUS walk_dacl(const ACL *acl, enum io_token token, ACCESS_MASK desired, bool maximum,
                          const GENERIC_MAPPING *mapping, ACCESS_MASK *granted)
{
    ACCESS_MASK remaining = desired, allowed = 0, denied = 0;
    const UCHAR *at = (const UCHAR *)(acl + 1), *end = (const UCHAR *)acl + acl->AclSize;
    for (unsigned i = 0; i < acl->AceCount; i++) {
        ACE_HEADER header;
        ACCESS_MASK mask;
        if ((size_t)(end - at) < 16)
            return STATUS_ACCESS_DENIED;
        memcpy(&header, at, sizeof(header));
        memcpy(&mask, at + 4, sizeof(mask));
        if (header.AceSize < 16 || header.AceSize > end - at)
            return STATUS_ACCESS_DENIED;
        mask = security_map(mask, mapping);
        if (holds(token, at + 8, header.AceSize - 8u)) {
            if (header.AceType == ACCESS_ALLOWED_ACE_TYPE) {
                remaining &= ~mask;
                allowed |= mask & ~denied;
            } else if (header.AceType == ACCESS_DENIED_ACE_TYPE) {
                if ((mask & remaining) != 0)
                    return STATUS_ACCESS_DENIED;
                denied |= mask & ~allowed;
            }
        }
        at += header.AceSize;
    }
    if (remaining != 0 || (maximum && allowed == 0))
        return STATUS_ACCESS_DENIED;
    *granted = maximum ? allowed : desired;
    return STATUS_SUCCESS;
}

NTSTATUS security_check(PSECURITY_DESCRIPTOR descriptor, enum io_token token, ACCESS_MASK desired,
                        const GENERIC_MAPPING *mapping, ACCESS_MASK *granted)
{
    bool maximum = (desired & MAXIMUM_ALLOWED) != 0;
    ACCESS_MASK wanted = security_map(desired & ~(ACCESS_MASK)MAXIMUM_ALLOWED, mapping);
    const ACL *acl = security_dacl(descriptor);
    *granted = 0;
    if ((wanted & ACCESS_SYSTEM_SECURITY) != 0) {
        if (token == IO_TOKEN_USER)
            return STATUS_PRIVILEGE_NOT_HELD;
        wanted &= ~(ACCESS_MASK)ACCESS_SYSTEM_SECURITY;
    }
    if (acl == NULL) {
        *granted = maximum ? mapping->GenericAll | wanted : wanted;
        return STATUS_SUCCESS;
    }
    return walk_dacl(acl, token, wanted, maximum, mapping, granted);
}

NTSTATUS security_copy(PSECURITY_DESCRIPTOR from, PSECURITY_DESCRIPTOR *copy)
{
    const ACL *acl = security_dacl(from);
    size_t bytes = 20 + (acl ? acl->AclSize : 0);
    UCHAR *out = ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes, SECURITY_TAG);
    if (out == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    USHORT control = (USHORT)((((const SECURITY_DESCRIPTOR *)from)->Control &
                               (SE_DACL_PRESENT | SE_DACL_PROTECTED)) |
                              SE_SELF_RELATIVE);
    ULONG offset = acl ? 20 : 0;
    out[0] = SECURITY_DESCRIPTOR_REVISION;
    memcpy(out + 2, &control, sizeof(control));
    memcpy(out + 16, &offset, sizeof(offset));
    if (acl != NULL)
        memcpy(out + 20, acl, acl->AclSize);
    *copy = out;
    return STATUS_SUCCESS;
}

/* Exports: the subject. A token is a pointer that says which of the three it is. */

static PACCESS_TOKEN token_object(enum io_token token)
{
    return (PACCESS_TOKEN)&token_sids[token];
}

static enum io_token token_of(PACCESS_TOKEN object)
{
    return (enum io_token)((const struct small_sid *const *)object - token_sids);
}

VOID NTAPI SeCaptureSubjectContext(PSECURITY_SUBJECT_CONTEXT SubjectContext)
{
    VF_ENTRY(APC_LEVEL);
    memset(SubjectContext, 0, sizeof(*SubjectContext));
    SubjectContext->PrimaryToken = token_object(process_current()->token);
    SubjectContext->ProcessAuditId = ULongToHandle(process_current()->id);
}
NT_EXPORT(NTOSKRNL, SeCaptureSubjectContext);

VOID NTAPI SeLockSubjectContext(PSECURITY_SUBJECT_CONTEXT SubjectContext)
{
    VF_ENTRY(APC_LEVEL);
    UNREFERENCED_PARAMETER(SubjectContext); /* tokens do not change here */
}
NT_EXPORT(NTOSKRNL, SeLockSubjectContext);

VOID NTAPI SeUnlockSubjectContext(PSECURITY_SUBJECT_CONTEXT SubjectContext)
{
    VF_ENTRY(APC_LEVEL);
    UNREFERENCED_PARAMETER(SubjectContext);
}
NT_EXPORT(NTOSKRNL, SeUnlockSubjectContext);

VOID NTAPI SeReleaseSubjectContext(PSECURITY_SUBJECT_CONTEXT SubjectContext)
{
    VF_ENTRY(PASSIVE_LEVEL);
    memset(SubjectContext, 0, sizeof(*SubjectContext));
}
NT_EXPORT(NTOSKRNL, SeReleaseSubjectContext);

BOOLEAN NTAPI SeAccessCheck(PSECURITY_DESCRIPTOR SecurityDescriptor,
                            PSECURITY_SUBJECT_CONTEXT SubjectSecurityContext,
                            BOOLEAN SubjectContextLocked, ACCESS_MASK DesiredAccess,
                            ACCESS_MASK PreviouslyGrantedAccess, PPRIVILEGE_SET *Privileges,
                            PGENERIC_MAPPING GenericMapping, KPROCESSOR_MODE AccessMode,
                            PACCESS_MASK GrantedAccess, PNTSTATUS AccessStatus)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(SubjectContextLocked);
    if (Privileges != NULL)
        *Privileges = NULL;
    *GrantedAccess = 0;
    if (AccessMode == KernelMode) {
        ACCESS_MASK wanted = security_map(DesiredAccess, GenericMapping);
        if (wanted & MAXIMUM_ALLOWED)
            wanted |= GenericMapping->GenericAll;
        *GrantedAccess = (wanted & ~(ACCESS_MASK)MAXIMUM_ALLOWED) | PreviouslyGrantedAccess;
        *AccessStatus = STATUS_SUCCESS;
        return TRUE;
    }
    *AccessStatus =
        security_check(SecurityDescriptor, token_of(SubjectSecurityContext->PrimaryToken),
                       DesiredAccess, GenericMapping, GrantedAccess);
    if (!NT_SUCCESS(*AccessStatus))
        return FALSE;
    *GrantedAccess |= PreviouslyGrantedAccess;
    return TRUE;
}
NT_EXPORT(NTOSKRNL, SeAccessCheck);

/* SYSTEM and an elevated administrator hold the privileges that drivers ask for. */
BOOLEAN NTAPI SeSinglePrivilegeCheck(LUID PrivilegeValue, KPROCESSOR_MODE PreviousMode)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(PrivilegeValue);
    return PreviousMode == KernelMode || process_current()->token != IO_TOKEN_USER;
}
NT_EXPORT(NTOSKRNL, SeSinglePrivilegeCheck);

BOOLEAN NTAPI SeTokenIsAdmin(PACCESS_TOKEN Token)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return token_of(Token) != IO_TOKEN_USER;
}
NT_EXPORT(NTOSKRNL, SeTokenIsAdmin);

PACCESS_TOKEN NTAPI PsReferencePrimaryToken(PEPROCESS Process)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return token_object(Process->token);
}
NT_EXPORT(NTOSKRNL, PsReferencePrimaryToken);

VOID NTAPI PsDereferencePrimaryToken(PACCESS_TOKEN PrimaryToken)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(PrimaryToken);
}
NT_EXPORT(NTOSKRNL, PsDereferencePrimaryToken);
