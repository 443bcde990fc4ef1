/* Security descriptors, access checks, and the strings that describe them. */
#pragma once
#include <nthost/client.h>

/*
 * A self-relative descriptor out of an SDDL string, for objects whose rights are `mapping`'s
 * (generic rights are mapped). ExFreePool it. STATUS_INVALID_PARAMETER: not a string that is
 * understood.
 */
NTSTATUS security_from_sddl(PCUNICODE_STRING sddl, const GENERIC_MAPPING *mapping,
                            PSECURITY_DESCRIPTOR *descriptor);
/* A self-relative copy of either form. */
NTSTATUS security_copy(PSECURITY_DESCRIPTOR from, PSECURITY_DESCRIPTOR *copy);
/* The DACL of either form; NULL: there is none, everything is granted. */
PACL security_dacl(PSECURITY_DESCRIPTOR descriptor);

/* STATUS_ACCESS_DENIED, or what is granted (generic rights mapped, MAXIMUM_ALLOWED resolved). */
NTSTATUS security_check(PSECURITY_DESCRIPTOR descriptor, enum io_token token, ACCESS_MASK desired,
                        const GENERIC_MAPPING *mapping, ACCESS_MASK *granted);
ACCESS_MASK security_map(ACCESS_MASK mask, const GENERIC_MAPPING *mapping);

extern const GENERIC_MAPPING security_file_mapping;

/* What a device gets from IoCreateDevice and from IoCreateDeviceSecure without a string. */
extern const UNICODE_STRING security_default_sddl;
