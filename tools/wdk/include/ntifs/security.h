/*
 * Security descriptors, tokens and identities as file systems use them.
 */
#pragma once

typedef struct _SECURITY_DESCRIPTOR_RELATIVE {
    UCHAR Revision;
    UCHAR Sbz1;
    SECURITY_DESCRIPTOR_CONTROL Control;
    ULONG Owner;
    ULONG Group;
    ULONG Sacl;
    ULONG Dacl;
} SECURITY_DESCRIPTOR_RELATIVE, *PISECURITY_DESCRIPTOR_RELATIVE;
#define SECURITY_DESCRIPTOR_MIN_LENGTH 0x00000028
#define SECURITY_MAX_SID_SIZE          0x00000044

typedef struct _SID_AND_ATTRIBUTES {
    PSID Sid;
    ULONG Attributes;
} SID_AND_ATTRIBUTES, *PSID_AND_ATTRIBUTES;
typedef struct _TOKEN_USER {
    SID_AND_ATTRIBUTES User;
} TOKEN_USER, *PTOKEN_USER;
#define TOKEN_QUERY       0x00000008
#define TOKEN_DUPLICATE   0x00000002
#define TOKEN_IMPERSONATE 0x00000004
#define TOKEN_READ        0x00020008

#define SECURITY_WORLD_SID_AUTHORITY      {0, 0, 0, 0, 0, 1}
#define SECURITY_NT_AUTHORITY             {0, 0, 0, 0, 0, 5}
#define SECURITY_WORLD_RID                0x00000000
#define SECURITY_LOCAL_SYSTEM_RID         0x00000012
#define SECURITY_BUILTIN_DOMAIN_RID       0x00000020
#define DOMAIN_ALIAS_RID_ADMINS           0x00000220
#define SE_SECURITY_PRIVILEGE             0x00000008
#define SE_TAKE_OWNERSHIP_PRIVILEGE       0x00000009
#define SE_LOAD_DRIVER_PRIVILEGE          0x0000000A
#define SE_BACKUP_PRIVILEGE               0x00000011
#define SE_RESTORE_PRIVILEGE              0x00000012
#define SE_DEBUG_PRIVILEGE                0x00000014
#define SE_CHANGE_NOTIFY_PRIVILEGE        0x00000017
#define SE_MANAGE_VOLUME_PRIVILEGE        0x0000001C
#define SE_CREATE_SYMBOLIC_LINK_PRIVILEGE 0x00000023
#define SE_TCB_PRIVILEGE                  0x00000007

NTKERNELAPI NTSTATUS NTAPI SeLocateProcessImageName(_Inout_ PEPROCESS Process,
                                                    _Outptr_ PUNICODE_STRING *pImageFileName);
NTKERNELAPI NTSTATUS NTAPI SeQuerySecurityDescriptorInfo(
    PSECURITY_INFORMATION SecurityInformation,
    _Out_writes_bytes_(*Length) PSECURITY_DESCRIPTOR SecurityDescriptor, _Inout_ PULONG Length,
    PSECURITY_DESCRIPTOR *ObjectsSecurityDescriptor);
NTKERNELAPI NTSTATUS NTAPI
SeSetSecurityDescriptorInfo(_In_opt_ PVOID Object, PSECURITY_INFORMATION SecurityInformation,
                            PSECURITY_DESCRIPTOR ModificationDescriptor,
                            _Inout_ PSECURITY_DESCRIPTOR *ObjectsSecurityDescriptor,
                            POOL_TYPE PoolType, PGENERIC_MAPPING GenericMapping);
NTKERNELAPI NTSTATUS NTAPI SeAssignSecurity(_In_opt_ PSECURITY_DESCRIPTOR ParentDescriptor,
                                            _In_opt_ PSECURITY_DESCRIPTOR ExplicitDescriptor,
                                            _Out_ PSECURITY_DESCRIPTOR *NewDescriptor,
                                            BOOLEAN IsDirectoryObject,
                                            PSECURITY_SUBJECT_CONTEXT SubjectContext,
                                            PGENERIC_MAPPING GenericMapping, POOL_TYPE PoolType);
NTKERNELAPI NTSTATUS NTAPI SeDeassignSecurity(_Inout_ PSECURITY_DESCRIPTOR *SecurityDescriptor);
NTKERNELAPI BOOLEAN NTAPI SeValidSecurityDescriptor(ULONG Length,
                                                    PSECURITY_DESCRIPTOR SecurityDescriptor);
NTKERNELAPI BOOLEAN NTAPI SePrivilegeCheck(_Inout_ PPRIVILEGE_SET RequiredPrivileges,
                                           PSECURITY_SUBJECT_CONTEXT SubjectSecurityContext,
                                           KPROCESSOR_MODE AccessMode);
NTKERNELAPI VOID NTAPI SeFreePrivileges(PPRIVILEGE_SET Privileges);
NTKERNELAPI NTSTATUS NTAPI SeAppendPrivileges(_Inout_ PACCESS_STATE AccessState,
                                              PPRIVILEGE_SET Privileges);
NTKERNELAPI VOID NTAPI SeSetAccessStateGenericMapping(_Inout_ PACCESS_STATE AccessState,
                                                      PGENERIC_MAPPING GenericMapping);
NTKERNELAPI NTSTATUS NTAPI SeQueryAuthenticationIdToken(PACCESS_TOKEN Token,
                                                        _Out_ PLUID AuthenticationId);
NTKERNELAPI PACCESS_TOKEN NTAPI PsReferenceImpersonationToken(
    _Inout_ PETHREAD Thread, _Out_ PBOOLEAN CopyOnOpen, _Out_ PBOOLEAN EffectiveOnly,
    _Out_ PSECURITY_IMPERSONATION_LEVEL ImpersonationLevel);
NTKERNELAPI VOID NTAPI PsDereferenceImpersonationToken(PACCESS_TOKEN ImpersonationToken);
#define SeQuerySubjectContextToken(context)                                                        \
    ((context)->ClientToken != NULL ? (context)->ClientToken : (context)->PrimaryToken)

NTKERNELAPI NTSTATUS NTAPI RtlGetOwnerSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                         _Out_ PSID *Owner,
                                                         _Out_ PBOOLEAN OwnerDefaulted);
NTKERNELAPI NTSTATUS NTAPI RtlGetGroupSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                         _Out_ PSID *Group,
                                                         _Out_ PBOOLEAN GroupDefaulted);
NTKERNELAPI NTSTATUS NTAPI RtlGetDaclSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                        _Out_ PBOOLEAN DaclPresent,
                                                        _Out_ PACL *Dacl,
                                                        _Out_ PBOOLEAN DaclDefaulted);
NTKERNELAPI NTSTATUS NTAPI RtlGetSaclSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                        _Out_ PBOOLEAN SaclPresent,
                                                        _Out_ PACL *Sacl,
                                                        _Out_ PBOOLEAN SaclDefaulted);
NTKERNELAPI NTSTATUS NTAPI RtlSetOwnerSecurityDescriptor(
    _Inout_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID Owner, BOOLEAN OwnerDefaulted);
NTKERNELAPI NTSTATUS NTAPI RtlSetGroupSecurityDescriptor(
    _Inout_ PSECURITY_DESCRIPTOR SecurityDescriptor, _In_opt_ PSID Group, BOOLEAN GroupDefaulted);
NTKERNELAPI NTSTATUS NTAPI
RtlAbsoluteToSelfRelativeSD(PSECURITY_DESCRIPTOR AbsoluteSecurityDescriptor,
                            _Out_writes_bytes_to_opt_(*BufferLength, *BufferLength)
                                PSECURITY_DESCRIPTOR SelfRelativeSecurityDescriptor,
                            _Inout_ PULONG BufferLength);
NTKERNELAPI BOOLEAN NTAPI RtlValidRelativeSecurityDescriptor(
    _In_reads_bytes_(SecurityDescriptorLength) PSECURITY_DESCRIPTOR SecurityDescriptorInput,
    ULONG SecurityDescriptorLength, SECURITY_INFORMATION RequiredInformation);
NTKERNELAPI ULONG NTAPI RtlLengthRequiredSid(ULONG SubAuthorityCount);
NTKERNELAPI NTSTATUS NTAPI RtlInitializeSid(_Out_ PSID Sid,
                                            PSID_IDENTIFIER_AUTHORITY IdentifierAuthority,
                                            UCHAR SubAuthorityCount);
NTKERNELAPI PULONG NTAPI RtlSubAuthoritySid(PSID Sid, ULONG SubAuthority);
NTKERNELAPI PUCHAR NTAPI RtlSubAuthorityCountSid(PSID Sid);
NTKERNELAPI NTSTATUS NTAPI RtlCopySid(ULONG DestinationSidLength, _Out_ PSID DestinationSid,
                                      PSID SourceSid);
NTKERNELAPI NTSTATUS NTAPI RtlConvertSidToUnicodeString(_Inout_ PUNICODE_STRING UnicodeString,
                                                        PSID Sid,
                                                        BOOLEAN AllocateDestinationString);
NTKERNELAPI NTSTATUS NTAPI RtlAddAce(_Inout_ PACL Acl, ULONG AceRevision, ULONG StartingAceIndex,
                                     _In_reads_bytes_(AceListLength) PVOID AceList,
                                     ULONG AceListLength);
NTKERNELAPI NTSTATUS NTAPI RtlGetAce(PACL Acl, ULONG AceIndex, _Outptr_ PVOID *Ace);
NTKERNELAPI NTSTATUS NTAPI RtlAddAccessAllowedAceEx(_Inout_ PACL Acl, ULONG AceRevision,
                                                    ULONG AceFlags, ACCESS_MASK AccessMask,
                                                    PSID Sid);
NTKERNELAPI VOID NTAPI RtlMapGenericMask(_Inout_ PACCESS_MASK AccessMask,
                                         const GENERIC_MAPPING *GenericMapping);

/* Strings */
#define RTL_DUPLICATE_UNICODE_STRING_NULL_TERMINATE       0x00000001
#define RTL_DUPLICATE_UNICODE_STRING_ALLOCATE_NULL_STRING 0x00000002
NTKERNELAPI NTSTATUS NTAPI RtlDuplicateUnicodeString(ULONG Flags, PCUNICODE_STRING StringIn,
                                                     _Out_ PUNICODE_STRING StringOut);
NTKERNELAPI LONG NTAPI RtlCompareUnicodeStrings(_In_reads_(String1Length) PCWCH String1,
                                                SIZE_T String1Length,
                                                _In_reads_(String2Length) PCWCH String2,
                                                SIZE_T String2Length, BOOLEAN CaseInSensitive);
NTKERNELAPI LONG NTAPI RtlCompareAltitudes(PCUNICODE_STRING Altitude1, PCUNICODE_STRING Altitude2);
NTKERNELAPI BOOLEAN NTAPI RtlIsNameLegalDOS8Dot3(PCUNICODE_STRING Name,
                                                 _Inout_opt_ POEM_STRING OemName,
                                                 _Out_opt_ PBOOLEAN NameContainsSpaces);
NTKERNELAPI BOOLEAN NTAPI RtlTimeToSecondsSince1970(PLARGE_INTEGER Time,
                                                    _Out_ PULONG ElapsedSeconds);
NTKERNELAPI VOID NTAPI RtlSecondsSince1970ToTime(ULONG ElapsedSeconds, _Out_ PLARGE_INTEGER Time);
