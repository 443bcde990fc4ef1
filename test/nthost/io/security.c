/* Who may open what: security descriptors, access in control codes, SDDL. */
#include "fixture.h"
#include "security.h"
#include <nthost/utf.h>
#include <stdlib.h>

NT_TEST(a_restricted_device_refuses_users)
{
    struct fixture f;
    io_handle handle;
    need(fixture_begin(&f));
    static const struct {
        enum io_token token;
        NTSTATUS status;
    } cases[] = {{IO_TOKEN_SYSTEM, STATUS_SUCCESS},
                 {IO_TOKEN_ADMINISTRATOR, STATUS_SUCCESS},
                 {IO_TOKEN_USER, STATUS_ACCESS_DENIED}};
    for (unsigned i = 0; i < 3; i++) {
        struct io_client *client = io_client_create(cases[i].token, 3000);
        is_status(io_open(client, "\\Device\\IoTestAdmin", GENERIC_READ, &handle), cases[i].status);
        /* FILE_DEVICE_SECURE_OPEN: the descriptor guards the names below the device too. */
        is_status(io_open(client, "\\Device\\IoTestAdmin\\x", GENERIC_READ, &handle),
                  cases[i].status);
        is_status(io_open(client, "\\\\.\\IoTest", GENERIC_READ | GENERIC_WRITE, &handle),
                  STATUS_SUCCESS);
        io_client_destroy(client);
    }
    fixture_end(&f);
}

NT_TEST(control_codes_demand_access)
{
    struct fixture f;
    io_handle reader, writer, neither;
    need(fixture_begin(&f));
    is_status(io_open(f.client, "\\\\.\\IoTest", GENERIC_READ, &reader), STATUS_SUCCESS);
    is_status(io_open(f.client, "\\\\.\\IoTest", GENERIC_WRITE, &writer), STATUS_SUCCESS);
    is_status(io_open(f.client, "\\\\.\\IoTest", 0, &neither), STATUS_SUCCESS);
#define CONTROL(handle, code) io_ioctl(f.client, (handle), (code), NULL, 0, NULL, 0, NULL)
    is_status(CONTROL(reader, IOTEST_IOCTL_NEEDS_READ), STATUS_SUCCESS);
    is_status(CONTROL(reader, IOTEST_IOCTL_NEEDS_WRITE), STATUS_ACCESS_DENIED);
    is_status(CONTROL(writer, IOTEST_IOCTL_NEEDS_READ), STATUS_ACCESS_DENIED);
    is_status(CONTROL(writer, IOTEST_IOCTL_NEEDS_WRITE), STATUS_SUCCESS);
    is_status(CONTROL(neither, IOTEST_IOCTL_NEEDS_READ), STATUS_ACCESS_DENIED);
    UCHAR byte;
    is_status(io_read(f.client, writer, &byte, 1, 0, NULL), STATUS_ACCESS_DENIED);
    is_status(io_write(f.client, reader, &byte, 1, 0, NULL), STATUS_ACCESS_DENIED);
    is_status(io_ioctl(f.client, neither, IOTEST_IOCTL_ECHO_BUFFERED, NULL, 0, NULL, 0, NULL),
              STATUS_SUCCESS);
    fixture_end(&f);
}

static NTSTATUS parse(const char *text, PSECURITY_DESCRIPTOR *descriptor)
{
    unsigned chars;
    WCHAR *wide = utf16_from_utf8(text, strlen(text), &chars);
    UNICODE_STRING string = {(USHORT)(chars * 2), (USHORT)(chars * 2), wide};
    NTSTATUS status = security_from_sddl(&string, &security_file_mapping, descriptor);
    free(wide);
    return status;
}

NT_TEST(sddl_of_devices)
{
    static const struct {
        const char *sddl;
        NTSTATUS system, administrator, user; /* asking for FILE_GENERIC_READ */
    } good[] = {
        {"D:P(A;;GA;;;SY)(A;;GA;;;BA)", 0, 0, STATUS_ACCESS_DENIED},
        {"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GRGW;;;WD)(A;;GR;;;RC)", 0, 0, 0},
        {"D:P(A;;GA;;;SY)", 0, STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED},
        {"D:P(A;;0x1f01ff;;;SY)(A;;0X120089;;;S-1-5-32-545)", 0, 0, 0},
        {"D:(D;;GR;;;BU)(A;;GA;;;WD)", 0, STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED},
        {"D:(A;;GA;;;WD)(D;;GR;;;BU)", 0, 0, 0}, /* the order decides */
        {"D:(A;;GW;;;WD)", STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED},
        {"D:P", STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED},
        {"O:BAG:SYD:P(A;;FA;;;SY)(A;;FR;;;IU)S:(ML;;NW;;;LW)", 0, 0, 0},
        {"d:p(a;;ga;;;sy)", 0, STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED}};
    static const char *const bad[] = {"",
                                      "O:BA",
                                      "D",
                                      "D:(A;;GA;;;SY",
                                      "D:(A;;GA;;;)",
                                      "D:(A;;GA;;;XX)",
                                      "D:(A;;ZZ;;;SY)",
                                      "D:(A;OICI;GA;;;SY)",
                                      "D:(X;;GA;;;SY)",
                                      "D:(A;;GA;;SY)",
                                      "D:(A;;GA;;;S-1-)",
                                      "D:(A;;GA;;;S-2-5-18)",
                                      "D:(A;;0x1ffffffff;;;SY)",
                                      "D:P(A;;GA;;;SY)D:P(A;;GA;;;BA)",
                                      "D:P(A;;GA;;;SY)garbage"};
    struct fixture f;
    need(fixture_begin(&f));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        PSECURITY_DESCRIPTOR descriptor;
        ACCESS_MASK granted;
        tap_at("%s", good[i].sddl);
        if (!is_status(parse(good[i].sddl, &descriptor), STATUS_SUCCESS))
            continue;
        const NTSTATUS expected[] = {good[i].system, good[i].administrator, good[i].user};
        for (enum io_token token = IO_TOKEN_SYSTEM; token <= IO_TOKEN_USER; token++)
            is_status(
                security_check(descriptor, token, GENERIC_READ, &security_file_mapping, &granted),
                expected[token], "token %d", token);
        ok(RtlValidSecurityDescriptor(descriptor));
        ExFreePool(descriptor);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        PSECURITY_DESCRIPTOR descriptor;
        is_status(parse(bad[i], &descriptor), STATUS_INVALID_PARAMETER, "%s", bad[i]);
    }
    tap_at(NULL);
    fixture_end(&f);
}

NT_TEST(maximum_allowed_is_what_the_list_grants)
{
    struct fixture f;
    PSECURITY_DESCRIPTOR descriptor;
    ACCESS_MASK granted;
    need(fixture_begin(&f));
    is_status(parse("D:(D;;0x2;;;BU)(A;;0x7;;;WD)(A;;GA;;;SY)", &descriptor), STATUS_SUCCESS);
    is_status(security_check(descriptor, IO_TOKEN_USER, MAXIMUM_ALLOWED, &security_file_mapping,
                             &granted),
              STATUS_SUCCESS);
    is_hex(granted, 5);
    is_status(security_check(descriptor, IO_TOKEN_SYSTEM, MAXIMUM_ALLOWED, &security_file_mapping,
                             &granted),
              STATUS_SUCCESS);
    is_hex(granted, FILE_ALL_ACCESS);
    is_status(security_check(descriptor, IO_TOKEN_USER, ACCESS_SYSTEM_SECURITY,
                             &security_file_mapping, &granted),
              STATUS_PRIVILEGE_NOT_HELD);
    ExFreePool(descriptor);
    fixture_end(&f);
}

/* Random strings are refused or give a valid descriptor; nothing is leaked or overrun. */
NT_TEST(random_sddl)
{
    static const char alphabet[] = "DAOGSP:();-0123456789xXGAGRGWSYBAWDBUS-1-5- ";
    struct fixture f;
    unsigned state = (unsigned)tap_seed() * 2654435761u + 1, accepted = 0;
    need(fixture_begin(&f));
    for (unsigned i = 0; i < 20000; i++) {
        char text[64] = "D:P(A;;GA;;;SY)(A;;GA;;;BA)";
        size_t length = 8 + i % 40;
        for (unsigned change = 0; change < 1 + i % 8; change++) {
            state = state * 1664525u + 1013904223u;
            text[(state >> 8) % length] = alphabet[(state >> 16) % (sizeof(alphabet) - 1)];
        }
        PSECURITY_DESCRIPTOR descriptor = NULL;
        if (NT_SUCCESS(parse(text, &descriptor))) {
            accepted++;
            if (!ok(RtlValidSecurityDescriptor(descriptor), "%s", text))
                break;
            ExFreePool(descriptor);
        }
    }
    ok(accepted > 0);
    fixture_end(&f);
}
