/* Communication ports; and fltpass, which counts. */
#include "bench.h"
#include <fltpass.h>
#include "../io/process.h"

static bool load_pass(PDRIVER_OBJECT *driver)
{
    char error[512] = "";
    bench_register("fltpass", "Parameters\\Instances", "370010", 0);
    return is_status(driver_load("fltpass", driver_path("fltpass"), driver, error, sizeof(error)),
                     STATUS_SUCCESS, "%s", error);
}

static FLTPASS_COUNTERS counters(struct flt_client *client)
{
    FLTPASS_COUNTERS c = {0};
    UINT32 code = FltPassCounters;
    ULONG returned;
    is_status(flt_client_send(client, &code, sizeof(code), &c, sizeof(c), &returned),
              STATUS_SUCCESS);
    is_int(returned, sizeof(c));
    return c;
}

NT_TEST(counting_filter)
{
    struct bench b;
    PDRIVER_OBJECT pass;
    struct flt_client *client;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    need(load_pass(&pass));
    need(NT_SUCCESS(flt_client_connect("\\FltPass", NULL, 0, &client)));
    HANDLE file = file_new("\\a.txt");
    for (unsigned i = 0; i < 5; i++)
        file_write(file, i, "x");
    ZwClose(file);
    FLTPASS_COUNTERS c = counters(client);
    is_int(c.Pre[IRP_MJ_CREATE], 1);
    is_int(c.Post[IRP_MJ_CREATE], 1);
    is_int(c.Pre[IRP_MJ_WRITE], 5);
    is_int(c.Post[IRP_MJ_WRITE], 5);
    is_int(c.Pre[IRP_MJ_CLEANUP], 1);
    is_int(c.Pre[IRP_MJ_CLOSE], 1);
    is_int(c.Post[IRP_MJ_CLOSE], 0);
    flt_client_disconnect(client);
    is_status(driver_unload(pass), STATUS_SUCCESS);
    bench_close(&b);
}

NT_TEST(connecting)
{
    struct bench b;
    PDRIVER_OBJECT pass;
    struct flt_client *client, *second;
    UINT32 code = 99, answer;
    ULONG returned;
    bench_open(&b, NT_DETERMINISTIC, tap_seed());
    is_status(flt_client_connect("\\FltPass", NULL, 0, &client), STATUS_OBJECT_NAME_NOT_FOUND);
    need(load_pass(&pass));
    is_status(flt_client_connect("\\FltPass", "x", 1, &client), STATUS_INVALID_PARAMETER,
              "the filter refuses");
    need(NT_SUCCESS(flt_client_connect("\\fltpass", NULL, 0, &client)));
    is_status(flt_client_connect("\\FltPass", NULL, 0, &second), STATUS_CONNECTION_COUNT_LIMIT);
    is_status(flt_client_send(client, &code, sizeof(code), &answer, sizeof(answer), &returned),
              STATUS_INVALID_PARAMETER);
    flt_client_disconnect(client);
    need(NT_SUCCESS(flt_client_connect("\\FltPass", NULL, 0, &client)), "there is room again");
    flt_client_disconnect(client);
    /* Administrators and the system only */
    struct _EPROCESS *user = process_create(77, "user", IO_TOKEN_USER), *before;
    before = process_switch(user);
    is_status(flt_client_connect("\\FltPass", NULL, 0, &client), STATUS_ACCESS_DENIED);
    process_switch(before);
    process_exit(user);
    is_status(driver_unload(pass), STATUS_SUCCESS);
    bench_close(&b);
}

struct asked {
    struct flt_client *client;
    UINT32 question;
    NTSTATUS status, replied;
    LONG add;
    bool done;
};

static void answer(void *context)
{
    struct asked *a = context;
    ULONGLONG id;
    ULONG bytes, room;
    nt_enter();
    a->status =
        flt_client_get(a->client, &a->question, sizeof(a->question), &bytes, &id, &room, NULL);
    if (NT_SUCCESS(a->status)) {
        UINT32 reply = a->question + (UINT32)a->add;
        a->replied = flt_client_reply(a->client, id, &reply, sizeof(reply));
    }
    a->done = true;
    nt_leave();
}

NT_TEST(messages_and_replies)
{
    for (unsigned seed = 0; seed < 8; seed++) {
        struct bench b;
        PDRIVER_OBJECT pass;
        struct asked a = {.add = 1};
        UINT32 code = FltPassAsk;
        ULONG returned;
        tap_at("seed %u", (unsigned)tap_seed() + seed);
        bench_open(&b, NT_DETERMINISTIC, tap_seed() + seed);
        need(load_pass(&pass));
        need(NT_SUCCESS(flt_client_connect("\\FltPass", NULL, 0, &a.client)));
        nt_leave();
        struct nt_thread *thread = nt_spawn("client", answer, &a);
        nt_enter();
        is_status(flt_client_send(a.client, &code, sizeof(code), NULL, 0, &returned),
                  STATUS_SUCCESS);
        nt_leave();
        sched_run_for(10000000);
        nt_join(thread);
        nt_enter();
        ok(a.done);
        is_status(a.status, STATUS_SUCCESS);
        is_int(a.question, 41);
        is_status(a.replied, STATUS_SUCCESS);
        FLTPASS_COUNTERS c = counters(a.client);
        is_int(c.Asked, 1);
        is_int(c.Replied, 1);
        /* Nobody answers: the filter's wait ends in its time. */
        is_status(flt_client_send(a.client, &code, sizeof(code), NULL, 0, &returned),
                  STATUS_SUCCESS);
        nt_leave();
        sched_run_for(20 * 10000000ll);
        nt_enter();
        c = counters(a.client);
        is_int(c.Asked, 2);
        is_status(c.LastStatus, STATUS_TIMEOUT);
        /* The program goes while the filter waits. */
        is_status(flt_client_send(a.client, &code, sizeof(code), NULL, 0, &returned),
                  STATUS_SUCCESS);
        nt_leave();
        sched_run_for(1000000);
        nt_enter();
        flt_client_disconnect(a.client);
        nt_leave();
        sched_run_for(1000000);
        nt_enter();
        is_status(driver_unload(pass), STATUS_SUCCESS);
        bench_close(&b);
    }
    tap_at(NULL);
}
