/*
 * The control device's security: "D:P(A;;GA;;;SY)(A;;GA;;;BA)", built by hand. IoCreateDeviceSecure
 * would do the same; it is a static library of the WDK that not every build of ours has.
 *
 * WDK: "Securing Device Objects", RtlCreateAcl, RtlAddAccessAllowedAce.
 */
#include "secure.h"

/* SID with two sub-authorities (winnt.h has room for one). */
typedef struct RPL_SID
{
    UCHAR Revision;
    UCHAR SubAuthorityCount;
    SID_IDENTIFIER_AUTHORITY Authority;
    ULONG SubAuthority[2];
} RPL_SID;

/* WDK: "Well-Known SIDs": S-1-5-18 and S-1-5-32-544. */
static const RPL_SID RplSystem = {SID_REVISION, 1, {{0, 0, 0, 0, 0, 5}}, {18, 0}};
static const RPL_SID RplAdministrators = {SID_REVISION, 2, {{0, 0, 0, 0, 0, 5}}, {32, 544}};

_Use_decl_annotations_ NTSTATUS RplSecureDevice(PDEVICE_OBJECT Device)
{
    SECURITY_DESCRIPTOR descriptor;
    union
    {
        ACL Acl;
        UCHAR Bytes[sizeof(ACL) + 2 * (sizeof(ACCESS_ALLOWED_ACE) + sizeof(RPL_SID))];
    } list;
    NTSTATUS status = RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);

    if (NT_SUCCESS(status))
    {
        status = RtlCreateAcl(&list.Acl, sizeof(list), ACL_REVISION);
    }
    if (NT_SUCCESS(status))
    {
        status = RtlAddAccessAllowedAce(&list.Acl, ACL_REVISION, FILE_ALL_ACCESS, (PSID)&RplSystem);
    }
    if (NT_SUCCESS(status))
    {
        status = RtlAddAccessAllowedAce(&list.Acl, ACL_REVISION, FILE_ALL_ACCESS,
                                        (PSID)&RplAdministrators);
    }
    if (NT_SUCCESS(status))
    {
        status = RtlSetDaclSecurityDescriptor(&descriptor, TRUE, &list.Acl, FALSE);
    }
    return NT_SUCCESS(status) ? ObSetSecurityObjectByPointer(Device, DACL_SECURITY_INFORMATION,
                                                             (PSECURITY_DESCRIPTOR)&descriptor)
                              : status;
}
