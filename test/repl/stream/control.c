/* The control device: who may open it, lengths, and the IOCTLs that wait. */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

NT_TEST(device_opens_for_administrators_only)
{
    struct rig rig = {0};
    io_handle handle;

    need(rig_boot(&rig, tap_seed()));
    struct io_client *user = io_client_create(IO_TOKEN_USER, 4712);
    is_status(io_open(user, "\\\\.\\NtsRepl", GENERIC_READ, &handle), STATUS_ACCESS_DENIED);
    is_status(io_open(user, "\\\\.\\NtsRepl", 0, &handle), STATUS_ACCESS_DENIED);
    io_client_destroy(user);
    struct io_client *system = io_client_create(IO_TOKEN_SYSTEM, 4);
    is_status(io_open(system, "\\\\.\\NtsRepl", GENERIC_READ, &handle), STATUS_SUCCESS);
    is_status(io_ioctl(system, handle, REPL_IOCTL_ACKNOWLEDGE, &(REPL_ACKNOWLEDGE){0},
                       sizeof(REPL_ACKNOWLEDGE), NULL, 0, &(ULONG_PTR){0}),
              STATUS_ACCESS_DENIED, "writing needs write access");
    io_client_destroy(system);
    rig_end(&rig);
}

NT_TEST(lengths_and_codes_are_checked_for_every_ioctl)
{
    static const struct {
        ULONG code, min_input, min_output;
        bool exact;
    } calls[] = {
        {REPL_IOCTL_GET_VERSION, 0, sizeof(REPL_VERSION), true},
        {REPL_IOCTL_SET_CONFIG, sizeof(REPL_CONFIG), 0, false},
        {REPL_IOCTL_GET_CONFIG, 0, sizeof(REPL_CONFIG), true},
        {REPL_IOCTL_GET_STATUS, 0, sizeof(REPL_STATUS), true},
        {REPL_IOCTL_GET_REFUSAL, 0, sizeof(REPL_REFUSAL), true},
        {REPL_IOCTL_SET_ROLE, sizeof(REPL_ROLE), 0, true},
        {REPL_IOCTL_LEND_RING, sizeof(REPL_LEND), 0, true},
        {REPL_IOCTL_WAIT, sizeof(REPL_WAIT), sizeof(REPL_PROGRESS), true},
        {REPL_IOCTL_READ_JOURNAL, sizeof(REPL_READ), sizeof(REPL_RECORD), true},
        {REPL_IOCTL_ACKNOWLEDGE, sizeof(REPL_ACKNOWLEDGE), 0, true},
        {REPL_IOCTL_BOOKMARK, sizeof(REPL_BOOKMARK), sizeof(REPL_SEQUENCE), false},
        {REPL_IOCTL_OPEN_BRACKET, sizeof(REPL_BRACKET), sizeof(REPL_SEQUENCE), true},
        {REPL_IOCTL_CLOSE_BRACKET, sizeof(REPL_BRACKET), sizeof(REPL_SEQUENCE), true},
        {REPL_IOCTL_LIST_BRACKETS, 0, 0, true},
        {REPL_IOCTL_SYNC_FOLDER, sizeof(REPL_SYNC), sizeof(REPL_SEQUENCE), false},
        {REPL_IOCTL_SYNC_FILE, sizeof(REPL_SYNC), sizeof(REPL_SEQUENCE), false},
        {REPL_IOCTL_SYNC_RANGE, sizeof(REPL_SYNC), sizeof(REPL_SEQUENCE), false},
        {REPL_IOCTL_TAKE_DIRTY, 0, sizeof(REPL_DIRTY_FILE) + sizeof(REPL_DIRTY_RANGE), true},
        {REPL_IOCTL_TRUST_PROCESS, sizeof(REPL_TRUST), 0, true},
        {REPL_IOCTL_READ_RANGE, sizeof(REPL_SYNC), 1, false},
    };
    struct rig rig = {0};
    UINT8 input[256] = {0}, output[512];

    need(rig_boot(&rig, tap_seed()));
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        tap_at("function %#x", calls[i].code >> 2 & 0xfff);
        if (calls[i].min_input) {
            is_status(rig_ioctl(&rig, calls[i].code, input, calls[i].min_input - 1, output,
                                sizeof output, NULL),
                      STATUS_INFO_LENGTH_MISMATCH);
            is_int(rig_refusal(&rig).Reason, ReplRefusalLength);
        }
        if (calls[i].min_output)
            is_status(rig_ioctl(&rig, calls[i].code, input, calls[i].min_input, output,
                                calls[i].min_output - 1, NULL),
                      STATUS_BUFFER_TOO_SMALL);
        if (calls[i].exact)
            is_status(rig_ioctl(&rig, calls[i].code, input, calls[i].min_input + 1, output,
                                sizeof output, NULL),
                      STATUS_INFO_LENGTH_MISMATCH);
    }
    tap_at(NULL);
    is_status(rig_ioctl(&rig, CTL_CODE(0x22, 0x9ff, 0, 0), NULL, 0, NULL, 0, NULL),
              STATUS_INVALID_DEVICE_REQUEST);
    rig_end(&rig);
}

NT_TEST(nothing_is_recorded_but_by_a_primary)
{
    struct rig rig = {0};
    struct rig_config config;

    need(rig_boot(&rig, tap_seed()));
    is_int(rig_bookmark(&rig, 8), 0);
    is_int(rig_refusal(&rig).Reason, ReplRefusalRole);
    is_status(rig_role(&rig, ReplRolePrimary, 1, 0), STATUS_SUCCESS);
    is_int(rig_status(&rig).State, ReplStateIdle, "no set");
    is_int(rig_bookmark(&rig, 8), 0);
    rig_standard(&config, 0);
    is_status(rig_set_config(&rig, &config), STATUS_SUCCESS);
    is_int(rig_status(&rig).State, ReplStateJournal);
    is_int(rig_bookmark(&rig, 8), 2, "the start is 1");
    is_status(rig_role(&rig, ReplRoleBackup, 1, 0), STATUS_SUCCESS);
    is_int(rig_bookmark(&rig, 8), 0);
    rig_end(&rig);
}

NT_TEST(roles_have_epochs)
{
    struct rig rig = {0};
    struct rig_config config;

    need(rig_boot(&rig, tap_seed()));
    rig_standard(&config, 0);
    is_status(rig_set_config(&rig, &config), STATUS_SUCCESS);
    is_status(rig_role(&rig, ReplRolePrimary, 0, 0), STATUS_INVALID_PARAMETER);
    is_int(rig_refusal(&rig).Reason, ReplRefusalEpoch);
    is_status(rig_role(&rig, 3, 1, 0), STATUS_INVALID_PARAMETER);
    is_int(rig_refusal(&rig).Reason, ReplRefusalRole);
    is_status(rig_role(&rig, ReplRoleBackup, 1, 5), STATUS_INVALID_PARAMETER);
    is_int(rig_refusal(&rig).Reason, ReplRefusalSequence);
    is_status(rig_role(&rig, ReplRolePrimary, 5, 1000), STATUS_SUCCESS);
    is_int(rig_status(&rig).LastSequence, 1001, "the stream goes on above it");
    is_status(rig_role(&rig, ReplRoleBackup, 4, 0), STATUS_INVALID_PARAMETER);
    is_int(rig_refusal(&rig).Reason, ReplRefusalEpoch);
    is_int(rig_status(&rig).Role, ReplRolePrimary);
    is_status(rig_role(&rig, ReplRolePrimary, 5, 2000), STATUS_INVALID_PARAMETER);
    is_status(rig_role(&rig, ReplRoleBackup, 6, 0), STATUS_SUCCESS);
    is_int(rig_status(&rig).Epoch, 6);
    rig_halt(&rig);
    need(rig_boot(&rig, tap_seed()));
    is_int(rig_status(&rig).Role, ReplRoleBackup, "over a restart");
    is_int(rig_status(&rig).Epoch, 6);
    is_status(rig_role(&rig, ReplRolePrimary, 5, 0), STATUS_INVALID_PARAMETER);
    rig_end(&rig);
}

NT_TEST(waits_end_when_something_happens_and_when_their_handle_is_closed)
{
    struct rig rig = {0};
    struct reader reader = {0};
    struct rig_call calls[3];
    REPL_PROGRESS progress[3];
    io_handle other;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_status(reader_begin(&reader, &rig, 1 << 20), STATUS_PENDING);
    need(reader_follow(&reader, 1));
    REPL_WAIT wait = {.Head = reader.position, .State = ReplStateRing};
    is_status(io_open(rig.client, "\\\\.\\NtsRepl", GENERIC_READ, &other), STATUS_SUCCESS);
    for (unsigned i = 0; i < 3; i++)
        is_status(rig_start(&rig, i == 2 ? other : reader.handle, &calls[i], REPL_IOCTL_WAIT, &wait,
                            sizeof wait, &progress[i], sizeof progress[i]),
                  STATUS_PENDING);
    sched_run_for(50 * RIG_MS);
    ok(!calls[0].done && !calls[1].done && !calls[2].done, "nothing has happened");
    is_status(io_close(rig.client, other), STATUS_SUCCESS);
    ok(rig_wait(&calls[2]) && calls[2].status == STATUS_CANCELLED);
    ok(!calls[0].done);
    io_cancel(rig.client, reader.handle, calls[1].request);
    ok(rig_wait(&calls[1]) && calls[1].status == STATUS_CANCELLED);
    is_int(rig_bookmark(&rig, 8), 2);
    ok(rig_wait(&calls[0]) && NT_SUCCESS(calls[0].status));
    is_int(progress[0].CompletedSequence, 2);
    is_int(progress[0].State, ReplStateRing);
    ok(progress[0].Head > wait.Head);
    /* At once, since something has happened already. */
    is_status(rig_ioctl(&rig, REPL_IOCTL_WAIT, &wait, sizeof wait, &progress[0], sizeof progress[0],
                        NULL),
              STATUS_SUCCESS);
    wait.State = ReplStateJournal;
    wait.Head = progress[0].Head;
    is_status(rig_ioctl(&rig, REPL_IOCTL_WAIT, &wait, sizeof wait, &progress[0], sizeof progress[0],
                        NULL),
              STATUS_SUCCESS, "the state is another one");
    reader_die(&reader);
    rig_end(&rig);
}

NT_TEST(brackets_open_close_and_are_listed)
{
    struct rig rig = {0};
    REPL_BRACKET_STATUS list[8];
    ULONG_PTR information;
    UINT64 first, second;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_int(rig_open_bracket(&rig, ReplBracketLost), 0, "not for others to say");
    is_int(rig_refusal(&rig).Reason, ReplRefusalBracket);
    first = rig_open_bracket(&rig, ReplBracketInitial);
    second = rig_open_bracket(&rig, ReplBracketResync);
    is_int(first, 2);
    is_int(second, 3);
    is_status(rig_ioctl(&rig, REPL_IOCTL_LIST_BRACKETS, NULL, 0, list, sizeof list, &information),
              STATUS_SUCCESS);
    is_int(information, 2 * sizeof *list);
    is_int(list[0].Bracket, first);
    is_int(list[1].Bracket, second);
    is_int(list[1].Reason, ReplBracketResync);
    is_status(rig_ioctl(&rig, REPL_IOCTL_LIST_BRACKETS, NULL, 0, list, sizeof *list, NULL),
              STATUS_BUFFER_TOO_SMALL);
    is_status(rig_close_bracket(&rig, first), STATUS_SUCCESS);
    is_status(rig_close_bracket(&rig, first), STATUS_NOT_FOUND);
    is_int(rig_refusal(&rig).Reason, ReplRefusalBracket);
    is_int(rig_status(&rig).OpenBrackets, 1);
    is_status(rig_close_bracket(&rig, second), STATUS_SUCCESS);
    is_int(rig_status(&rig).OpenBrackets, 0);
    is_int(rig_status(&rig).LastSequence, 5);
    rig_end(&rig);
}

NT_TEST(more_brackets_than_there_is_room_for_are_refused)
{
    struct rig rig = {0};
    unsigned count = 0;

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    while (rig_open_bracket(&rig, ReplBracketInitial))
        count++;
    is_int(rig_refusal(&rig).Reason, ReplRefusalBracket);
    ok(count > REPL_MAX_BRACKETS - 16 && count < REPL_MAX_BRACKETS);
    is_status(rig_close_bracket(&rig, 2), STATUS_SUCCESS);
    ok(rig_open_bracket(&rig, ReplBracketInitial) != 0);
    rig_end(&rig);
}

NT_TEST(acknowledgements_only_grow)
{
    struct rig rig = {0};

    need(rig_boot(&rig, tap_seed()));
    need(rig_primary(&rig, true));
    is_int(rig_bookmark(&rig, 8), 2);
    is_int(rig_bookmark(&rig, 8), 3);
    is_status(rig_acknowledge(&rig, 4), STATUS_INVALID_PARAMETER, "not given out");
    is_int(rig_refusal(&rig).Reason, ReplRefusalSequence);
    is_status(rig_acknowledge(&rig, 2), STATUS_SUCCESS);
    is_status(rig_acknowledge(&rig, 1), STATUS_INVALID_PARAMETER);
    REPL_STATUS status = rig_status(&rig);
    is_int(status.Acknowledged, 2);
    ok(status.AcknowledgedTime != 0 && status.UnacknowledgedBytes >= sizeof(REPL_RECORD));
    is_status(rig_acknowledge(&rig, 3), STATUS_SUCCESS);
    sched_run_for(50 * RIG_MS);
    status = rig_status(&rig);
    is_int(status.AcknowledgedTime, 0);
    is_int(status.UnacknowledgedBytes, 0);
    is_int(status.StagingUsed, 0, "nobody needs it any more");
    is_int(status.FirstSequence, 4);
    rig_end(&rig);
}
