/* Creates, cleanups and closes; exclusive devices; paths; who asks. */
#include "fixture.h"

NT_TEST(every_open_is_cleaned_up_and_closed)
{
    struct fixture f;
    IOTEST_STATS before, after;
    io_handle handles[10];
    need(fixture_begin(&f));
    fixture_stats(&f, &before);
    for (unsigned i = 0; i < 10; i++)
        is_status(io_open(f.client, "\\\\.\\IoTest", GENERIC_READ, &handles[i]), STATUS_SUCCESS);
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned j = 0; j < i; j++)
            ok(handles[i] != handles[j]);
        is_status(io_close(f.client, handles[i]), STATUS_SUCCESS);
        is_status(io_close(f.client, handles[i]), STATUS_INVALID_HANDLE);
    }
    fixture_stats(&f, &after);
    is_int(after.Creates - before.Creates, 10);
    is_int(after.Cleanups - before.Cleanups, 10);
    is_int(after.Closes - before.Closes, 10);
    fixture_end(&f);
}

NT_TEST(exclusive_device_opens_once)
{
    struct fixture f;
    io_handle first, second;
    need(fixture_begin(&f));
    is_status(io_open(f.client, "\\Device\\IoTestExclusive", GENERIC_READ, &first), STATUS_SUCCESS);
    is_status(io_open(f.client, "\\Device\\IoTestExclusive", GENERIC_READ, &second),
              STATUS_ACCESS_DENIED);
    is_status(io_close(f.client, first), STATUS_SUCCESS);
    is_status(io_open(f.client, "\\Device\\IoTestExclusive", GENERIC_READ, &second),
              STATUS_SUCCESS);
    is_status(io_close(f.client, second), STATUS_SUCCESS);
    fixture_end(&f);
}

NT_TEST(names_of_devices)
{
    static const struct {
        const char *path;
        NTSTATUS status;
    } cases[] = {{"\\\\.\\IoTest", STATUS_SUCCESS},
                 {"\\\\.\\iotest", STATUS_SUCCESS},
                 {"\\\\?\\IoTest", STATUS_SUCCESS},
                 {"\\??\\IoTest", STATUS_SUCCESS},
                 {"\\DosDevices\\IoTest", STATUS_SUCCESS},
                 {"\\GLOBAL??\\IoTest", STATUS_SUCCESS},
                 {"\\\\.\\Global\\IoTest", STATUS_SUCCESS},
                 {"\\Device\\IoTest", STATUS_SUCCESS},
                 {"\\Device\\IoTest\\below\\it", STATUS_SUCCESS},
                 {"\\Device\\NoSuch", STATUS_OBJECT_NAME_NOT_FOUND},
                 {"\\NoSuch\\IoTest", STATUS_OBJECT_PATH_NOT_FOUND},
                 {"\\Device\\\\IoTest", STATUS_OBJECT_NAME_INVALID},
                 {"\\Device", STATUS_OBJECT_TYPE_MISMATCH},
                 {"\\", STATUS_OBJECT_TYPE_MISMATCH},
                 {"\\Driver\\iotest", STATUS_OBJECT_TYPE_MISMATCH},
                 {"IoTest", STATUS_OBJECT_PATH_SYNTAX_BAD},
                 {"", STATUS_OBJECT_PATH_SYNTAX_BAD},
                 {"\\Device\\\xff", STATUS_OBJECT_NAME_INVALID}};
    struct fixture f;
    io_handle handle;
    need(fixture_begin(&f));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (is_status(io_open(f.client, cases[i].path, GENERIC_READ, &handle), cases[i].status,
                      "%s", cases[i].path) &&
            NT_SUCCESS(cases[i].status))
            is_status(io_close(f.client, handle), STATUS_SUCCESS);
    }
    fixture_end(&f);
}

NT_TEST(requests_know_their_process)
{
    struct fixture f;
    ULONG who[2];
    need(fixture_begin(&f));
    is_status(io_ioctl(f.client, f.handle, IOTEST_IOCTL_WHO, NULL, 0, who, sizeof(who), NULL),
              STATUS_SUCCESS);
    is_int(who[0], 1000);
    is_int(who[1], 1000);
    fixture_end(&f);
}

NT_TEST(many_handles_and_many_clients)
{
    struct fixture f;
    struct io_client *clients[20];
    io_handle handles[20][20];
    need(fixture_begin(&f));
    for (unsigned c = 0; c < 20; c++) {
        clients[c] = io_client_create(IO_TOKEN_USER, 1000); /* one program, many connections */
        for (unsigned h = 0; h < 20; h++)
            is_status(io_open(clients[c], "\\\\.\\IoTest", GENERIC_READ, &handles[c][h]),
                      STATUS_SUCCESS);
    }
    /* Handles are a client's own. */
    is_int(handles[0][3], handles[7][3]);
    is_status(io_close(clients[7], handles[7][3]), STATUS_SUCCESS);
    is_status(io_ioctl(clients[7], handles[7][3], IOTEST_IOCTL_WAIT, NULL, 0, NULL, 0, NULL),
              STATUS_INVALID_HANDLE);
    for (unsigned c = 0; c < 20; c++)
        io_client_destroy(clients[c]);
    IOTEST_STATS stats;
    fixture_stats(&f, &stats);
    is_int(stats.Closes, 400);
    is_int(stats.ProcessesCreated, 21);
    is_int(stats.ProcessesEnded, 20);
    fixture_end(&f);
}
