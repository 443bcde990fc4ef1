/*
 * The Security Descriptor Definition Language, as far as device objects use it: owner and group are
 * read over, the DACL's ACEs allow or deny, SIDs are aliases or numbers. What is not understood is
 * refused: a descriptor must never turn out weaker than its string.
 *
 * WDK: "SDDL for Device Objects". Win32: "Security Descriptor String Format", "ACE Strings".
 */
#include "security.h"
#include <nthost/utf.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SUBAUTHORITIES 15
#define MAX_ACES           64
#define SDDL_TAG           'lddS'
#define ACL_HEADER         8
_Static_assert(sizeof(ACL) == ACL_HEADER, "ACL");

struct text {
    const WCHAR *at, *end;
};

struct sid {
    UCHAR revision, count;
    UCHAR authority[6];
    ULONG sub[MAX_SUBAUTHORITIES];
};
_Static_assert(sizeof(struct sid) == 8 + 4 * MAX_SUBAUTHORITIES, "SID");

static size_t sid_bytes(const struct sid *sid)
{
    return 8 + 4u * sid->count;
}

static bool is(const struct text *text, char c)
{
    return text->at < text->end && utf16_upcase(*text->at) == (WCHAR)c;
}

static bool take(struct text *text, char c)
{
    if (!is(text, c))
        return false;
    text->at++;
    return true;
}

static void skip_spaces(struct text *text)
{
    while (take(text, ' '))
        ;
}

static bool take_pair(struct text *text, const char pair[2])
{
    if (text->end - text->at < 2 || utf16_upcase(text->at[0]) != (WCHAR)pair[0] ||
        utf16_upcase(text->at[1]) != (WCHAR)pair[1])
        return false;
    text->at += 2;
    return true;
}

static int digit_of(WCHAR c)
{
    c = utf16_upcase(c);
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static bool take_number(struct text *text, int base, uint64_t limit, uint64_t *value)
{
    const WCHAR *start = text->at;
    *value = 0;
    while (text->at < text->end && digit_of(*text->at) < base) {
        *value = *value * (unsigned)base + (unsigned)digit_of(*text->at++);
        if (*value > limit)
            return false;
    }
    return text->at > start;
}

static bool is_hex(const struct text *text)
{
    return is(text, '0') && text->end - text->at > 2 && utf16_upcase(text->at[1]) == 'X';
}

static bool take_hex(struct text *text, uint64_t limit, uint64_t *value)
{
    text->at += 2;
    return take_number(text, 16, limit, value);
}

static const struct {
    char name[2];
    UCHAR authority, count;
    ULONG sub[6];
} aliases[] = {
    {"SY", 5, 1, {18}},      {"LS", 5, 1, {19}},      {"NS", 5, 1, {20}},
    {"BA", 5, 2, {32, 544}}, {"BU", 5, 2, {32, 545}}, {"BG", 5, 2, {32, 546}},
    {"PU", 5, 2, {32, 547}}, {"SO", 5, 2, {32, 549}}, {"NO", 5, 2, {32, 556}},
    {"WD", 1, 1, {0}},       {"CO", 3, 1, {0}},       {"OW", 3, 1, {4}},
    {"NU", 5, 1, {2}},       {"IU", 5, 1, {4}},       {"SU", 5, 1, {6}},
    {"AN", 5, 1, {7}},       {"AU", 5, 1, {11}},      {"RC", 5, 1, {12}},
    {"WR", 5, 1, {33}},      {"AC", 15, 2, {2, 1}},   {"UD", 5, 6, {84, 0, 0, 0, 0, 0}},
};

static bool take_sid(struct text *text, struct sid *sid)
{
    uint64_t value;
    memset(sid, 0, sizeof(*sid));
    sid->revision = SID_REVISION;
    for (size_t i = 0; i < ARRAYSIZE(aliases); i++)
        if (take_pair(text, aliases[i].name)) {
            sid->authority[5] = aliases[i].authority;
            sid->count = aliases[i].count;
            memcpy(sid->sub, aliases[i].sub, sid->count * sizeof(ULONG));
            return true;
        }
    if (!take_pair(text, "S-") || !take(text, '1') || !take(text, '-'))
        return false;
    bool hex = is_hex(text);
    if (hex ? !take_hex(text, 0xffffffffffffull, &value)
            : !take_number(text, 10, 0xffffffffu, &value))
        return false;
    for (unsigned i = 0; i < 6; i++)
        sid->authority[i] = (UCHAR)(value >> (40 - 8 * i));
    while (take(text, '-')) {
        if (sid->count == MAX_SUBAUTHORITIES || !take_number(text, 10, 0xffffffffu, &value))
            return false;
        sid->sub[sid->count++] = (ULONG)value;
    }
    return sid->count != 0;
}

static const struct {
    char name[2];
    ACCESS_MASK mask;
} rights[] = {
    {"GA", GENERIC_ALL},
    {"GR", GENERIC_READ},
    {"GW", GENERIC_WRITE},
    {"GX", GENERIC_EXECUTE},
    {"RC", READ_CONTROL},
    {"SD", DELETE},
    {"WD", WRITE_DAC},
    {"WO", WRITE_OWNER},
    {"FA", FILE_ALL_ACCESS},
    {"FR", FILE_GENERIC_READ},
    {"FW", FILE_GENERIC_WRITE},
    {"FX", FILE_GENERIC_EXECUTE},
    {"CC", 0x001},
    {"DC", 0x002},
    {"LC", 0x004},
    {"SW", 0x008},
    {"RP", 0x010},
    {"WP", 0x020},
    {"DT", 0x040},
    {"LO", 0x080},
    {"CR", 0x100},
};

static bool take_rights(struct text *text, ACCESS_MASK *mask)
{
    uint64_t value;
    *mask = 0;
    if (is_hex(text)) {
        bool good = take_hex(text, 0xffffffffu, &value);
        *mask = (ACCESS_MASK)value;
        return good && is(text, ';');
    }
    while (!is(text, ';')) {
        size_t i = 0;
        while (i < ARRAYSIZE(rights) && !take_pair(text, rights[i].name))
            i++;
        if (i == ARRAYSIZE(rights))
            return false;
        *mask |= rights[i].mask;
    }
    return true;
}

struct acl_builder {
    UCHAR *data; /* an ACL */
    size_t bytes;
    unsigned count;
};

static bool add_ace(struct acl_builder *acl, UCHAR type, ACCESS_MASK mask, const struct sid *sid)
{
    size_t bytes = 8 + sid_bytes(sid);
    UCHAR *bigger = acl->count == MAX_ACES ? NULL : realloc(acl->data, acl->bytes + bytes);
    if (bigger == NULL)
        return false;
    ACE_HEADER header = {.AceType = type, .AceSize = (USHORT)bytes};
    acl->data = bigger;
    memcpy(bigger + acl->bytes, &header, sizeof(header));
    memcpy(bigger + acl->bytes + 4, &mask, sizeof(mask));
    memcpy(bigger + acl->bytes + 8, sid, sid_bytes(sid));
    acl->bytes += bytes;
    acl->count++;
    return true;
}

/* "(A;;GA;;;SY)", after its "(". Inheritance means nothing on a device, so no flags are taken. */
static bool take_ace(struct text *text, const GENERIC_MAPPING *mapping, struct acl_builder *acl)
{
    struct sid sid;
    ACCESS_MASK mask;
    UCHAR type = take(text, 'A')   ? ACCESS_ALLOWED_ACE_TYPE
                 : take(text, 'D') ? ACCESS_DENIED_ACE_TYPE
                                   : SYSTEM_AUDIT_ACE_TYPE;
    return type != SYSTEM_AUDIT_ACE_TYPE && take(text, ';') && take(text, ';') &&
           take_rights(text, &mask) && take(text, ';') && take(text, ';') && take(text, ';') &&
           take_sid(text, &sid) && take(text, ')') &&
           add_ace(acl, type, security_map(mask, mapping), &sid);
}

static bool take_dacl(struct text *text, const GENERIC_MAPPING *mapping, struct acl_builder *acl,
                      USHORT *control)
{
    if (take(text, 'P'))
        *control |= SE_DACL_PROTECTED;
    skip_spaces(text);
    while (take(text, '(')) {
        if (!take_ace(text, mapping, acl))
            return false;
        skip_spaces(text);
    }
    return true;
}

/* "S:(ML;;NW;;;LW)" and audits change nothing for the tokens that there are: read over. */
static bool skip_sacl(struct text *text)
{
    while (text->at < text->end && !is(text, '('))
        text->at++;
    while (take(text, '(')) {
        while (text->at < text->end && !is(text, ')'))
            text->at++;
        if (!take(text, ')'))
            return false;
        skip_spaces(text);
    }
    return true;
}

/* Self-relative: the header with offsets, then the DACL. */
static NTSTATUS build(const struct acl_builder *acl, USHORT control,
                      PSECURITY_DESCRIPTOR *descriptor)
{
    struct {
        UCHAR revision, sbz;
        USHORT control;
        ULONG owner, group, sacl, dacl;
    } header = {SECURITY_DESCRIPTOR_REVISION, 0, control | SE_SELF_RELATIVE, 0, 0, 0, 20};
    ACL acl_header = {ACL_REVISION, 0, (USHORT)acl->bytes, (USHORT)acl->count, 0};
    UCHAR *out = ExAllocatePool2(POOL_FLAG_NON_PAGED, 20 + acl->bytes, SDDL_TAG);
    if (out == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(out, &header, sizeof(header));
    memcpy(out + 20, acl->data, acl->bytes);
    memcpy(out + 20, &acl_header, sizeof(acl_header));
    *descriptor = out;
    return STATUS_SUCCESS;
}

NTSTATUS security_from_sddl(PCUNICODE_STRING sddl, const GENERIC_MAPPING *mapping,
                            PSECURITY_DESCRIPTOR *descriptor)
{
    struct text text = {sddl->Buffer, sddl->Buffer + sddl->Length / sizeof(WCHAR)};
    struct acl_builder acl = {calloc(1, ACL_HEADER), ACL_HEADER, 0};
    struct sid sid;
    USHORT control = 0;
    bool good = acl.data != NULL;
    while (good && text.at < text.end) {
        skip_spaces(&text);
        if (take_pair(&text, "O:") || take_pair(&text, "G:")) {
            good = take_sid(&text, &sid);
        } else if (take_pair(&text, "D:")) {
            good = !(control & SE_DACL_PRESENT);
            control |= SE_DACL_PRESENT;
            good = good && take_dacl(&text, mapping, &acl, &control);
        } else if (take_pair(&text, "S:")) {
            good = skip_sacl(&text);
        } else {
            good = text.at == text.end;
        }
    }
    /* Without "D:" everybody could do everything: nobody means that. */
    NTSTATUS status = good && control & SE_DACL_PRESENT ? build(&acl, control, descriptor)
                                                        : STATUS_INVALID_PARAMETER;
    free(acl.data);
    return status;
}
