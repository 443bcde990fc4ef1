/*
 * IP addresses as text.
 *
 * WDK: RtlIpv4AddressToString, RtlIpv6AddressToString, RtlIpv4StringToAddress,
 * RtlIpv6StringToAddress. The first two return where the text ends. The others parse the longest
 * address that the text begins with and say where they stopped; not strict, an IPv4 address may
 * have one to four parts, each decimal, octal (0...) or hexadecimal (0x...), the last one filling
 * what is left.
 */
#include "dispatcher.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static PWSTR widen(PWSTR out, const char *text)
{
    while ((*out = (WCHAR)(unsigned char)*text++))
        out++;
    return out;
}

PSTR NTAPI RtlIpv4AddressToStringA(const struct in_addr *Addr, PSTR S)
{
    inet_ntop(AF_INET, Addr, S, INET_ADDRSTRLEN);
    return S + strlen(S);
}

PWSTR NTAPI RtlIpv4AddressToStringW(const struct in_addr *Addr, PWSTR S)
{
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, Addr, text, sizeof text);
    return widen(S, text);
}

PSTR NTAPI RtlIpv6AddressToStringA(const struct in6_addr *Addr, PSTR S)
{
    inet_ntop(AF_INET6, Addr, S, INET6_ADDRSTRLEN);
    return S + strlen(S);
}

PWSTR NTAPI RtlIpv6AddressToStringW(const struct in6_addr *Addr, PWSTR S)
{
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, Addr, text, sizeof text);
    return widen(S, text);
}

/* What of the text may belong to an address, as ASCII; returns its length. */
static size_t narrow(char *out, size_t size, const void *text, bool wide, const char *allowed)
{
    size_t length = 0;
    for (; length + 1 < size; length++) {
        uint32_t c = wide ? ((const WCHAR *)text)[length] : ((const unsigned char *)text)[length];
        if (!c || c >= 0x80 || !strchr(allowed, (int)c))
            break;
        out[length] = (char)c;
    }
    out[length] = 0;
    return length;
}

static bool parse_part(const char **text, bool strict, uint64_t *value)
{
    const char *p = *text;
    unsigned base = 10;
    if (!strict && *p == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    } else if (!strict && *p == '0') {
        base = 8;
    }
    const char *start = p;
    for (*value = 0;; p++) {
        unsigned digit = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
                         : *p >= 'a' && *p <= 'f' ? (unsigned)(*p - 'a' + 10)
                         : *p >= 'A' && *p <= 'F' ? (unsigned)(*p - 'A' + 10)
                                                  : 16;
        if (digit >= base)
            break;
        *value = *value * base + digit;
        if (*value > 0xffffffff)
            return false;
    }
    *text = p;
    return p > start && !(strict && *start == '0' && p - start > 1);
}

static NTSTATUS parse4(const char *text, bool strict, size_t *end, struct in_addr *address)
{
    const char *p = text;
    uint64_t parts[4];
    unsigned count = 0;
    do {
        if (count && *p++ != '.')
            break;
        if (!parse_part(&p, strict, &parts[count++])) {
            *end = (size_t)(p - text);
            return STATUS_INVALID_PARAMETER;
        }
    } while (count < 4 && *p == '.');
    *end = (size_t)(p - text);
    if (strict && count != 4)
        return STATUS_INVALID_PARAMETER;
    uint64_t value = parts[count - 1];
    if (value >> (8 * (5 - count)))
        return STATUS_INVALID_PARAMETER;
    for (unsigned i = 0; i + 1 < count; i++) {
        if (parts[i] > 255)
            return STATUS_INVALID_PARAMETER;
        value |= parts[i] << (24 - 8 * i);
    }
    address->s_addr = htonl((uint32_t)value);
    return STATUS_SUCCESS;
}

/* The longest prefix that is an address. */
static NTSTATUS parse6(char *text, size_t length, size_t *end, struct in6_addr *address)
{
    for (*end = length; *end; (*end)--) {
        text[*end] = 0;
        if (inet_pton(AF_INET6, text, address) == 1)
            return STATUS_SUCCESS;
    }
    return STATUS_INVALID_PARAMETER;
}

#define IPV4_TEXT "0123456789abcdefABCDEFxX."
#define IPV6_TEXT "0123456789abcdefABCDEF:."

NTSTATUS NTAPI RtlIpv4StringToAddressA(PCSTR S, BOOLEAN Strict, PCSTR *Terminator,
                                       struct in_addr *Addr)
{
    char text[64];
    size_t end;
    narrow(text, sizeof text, S, false, IPV4_TEXT);
    NTSTATUS status = parse4(text, Strict, &end, Addr);
    *Terminator = S + end;
    return status;
}

NTSTATUS NTAPI RtlIpv4StringToAddressW(PCWSTR S, BOOLEAN Strict, PCWSTR *Terminator,
                                       struct in_addr *Addr)
{
    char text[64];
    size_t end;
    narrow(text, sizeof text, S, true, IPV4_TEXT);
    NTSTATUS status = parse4(text, Strict, &end, Addr);
    *Terminator = S + end;
    return status;
}

NTSTATUS NTAPI RtlIpv6StringToAddressA(PCSTR S, PCSTR *Terminator, struct in6_addr *Addr)
{
    char text[64];
    size_t end, length = narrow(text, sizeof text, S, false, IPV6_TEXT);
    NTSTATUS status = parse6(text, length, &end, Addr);
    *Terminator = S + end;
    return status;
}

NTSTATUS NTAPI RtlIpv6StringToAddressW(PCWSTR S, PCWSTR *Terminator, struct in6_addr *Addr)
{
    char text[64];
    size_t end, length = narrow(text, sizeof text, S, true, IPV6_TEXT);
    NTSTATUS status = parse6(text, length, &end, Addr);
    *Terminator = S + end;
    return status;
}

NT_EXPORT(NTOSKRNL, RtlIpv4AddressToStringA);
NT_EXPORT(NTOSKRNL, RtlIpv4AddressToStringW);
NT_EXPORT(NTOSKRNL, RtlIpv6AddressToStringA);
NT_EXPORT(NTOSKRNL, RtlIpv6AddressToStringW);
NT_EXPORT(NTOSKRNL, RtlIpv4StringToAddressA);
NT_EXPORT(NTOSKRNL, RtlIpv4StringToAddressW);
NT_EXPORT(NTOSKRNL, RtlIpv6StringToAddressA);
NT_EXPORT(NTOSKRNL, RtlIpv6StringToAddressW);
