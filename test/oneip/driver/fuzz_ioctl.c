/*
 * IOCTLs of any code, length and content. Nothing may crash or leak, and what is refused changes
 * nothing that can be read back.
 *
 * Input: {call, output bytes (2), repair, input...}. repair: make version, size and counts of a
 * configuration agree with its length, so that the rules behind them are reached.
 */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

struct state {
    ULONG_PTR config_bytes;
    ULONG_PTR status_bytes;
    UINT8 config[80000];
    UINT8 status[sizeof(ONEIP_STATUS) + ONEIP_MAX_MEMBERS * sizeof(ONEIP_MEMBER_STATUS)];
};

static struct node node;
static struct state before, after;

/* What passes with time is not state. */
static void forget_times(UINT8 *data)
{
    ONEIP_STATUS *status = (ONEIP_STATUS *)data;
    ONEIP_MEMBER_STATUS *members = (ONEIP_MEMBER_STATUS *)(status + 1);

    status->RoleMilliseconds = 0;
    for (unsigned i = 0; i < status->MemberCount; i++)
        members[i].SilentMs = 0;
}

static void read_state(struct state *state)
{
    memset(state, 0, sizeof *state);
    node_ioctl(&node, ONEIP_IOCTL_GET_CONFIG, NULL, 0, state->config, sizeof state->config,
               &state->config_bytes);
    node_ioctl(&node, ONEIP_IOCTL_GET_STATUS, NULL, 0, state->status, sizeof state->status,
               &state->status_bytes);
    forget_times(state->status);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (!node_start(&node, 1))
        abort();
    return 0;
}

static void repair(uint8_t *input, size_t bytes)
{
    ONEIP_CONFIG *config = (ONEIP_CONFIG *)input;

    if (bytes < sizeof *config)
        return;
    config->Version = ONEIP_CONTRACT_VERSION;
    config->Size = (UINT32)bytes;
    config->AddressCount %= ONEIP_MAX_ADDRESSES + 1;
    config->MemberCount %= ONEIP_MAX_MEMBERS + 1;
    config->TableSlots = 0;
    config->Reserved = 0;
    config->Affinity = 1 + config->Affinity % 2;
    config->Dispatch = 1 + config->Dispatch % 2;
    config->BeaconMilliseconds = 1 + config->BeaconMilliseconds % 1000;
    config->SilenceBeacons = 2 + config->SilenceBeacons % 99;
    config->AnnounceSeconds = 1 + config->AnnounceSeconds % 3600;
    while (sizeof *config + config->AddressCount * sizeof(ONEIP_ADDRESS) > bytes)
        config->AddressCount--;
    size_t rest = bytes - sizeof *config - config->AddressCount * sizeof(ONEIP_ADDRESS);
    if (config->MemberCount > rest / sizeof(ONEIP_MEMBER))
        config->MemberCount = (UINT32)(rest / sizeof(ONEIP_MEMBER));
    config->Size = (UINT32)(sizeof *config + config->AddressCount * sizeof(ONEIP_ADDRESS) +
                            config->MemberCount * sizeof(ONEIP_MEMBER));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t output[4096];

    if (size < 4)
        return 0;
    ULONG code = CTL_CODE(0x12, 0x900 + data[0] % 14, 0,
                          data[0] & 0x80   ? 2
                          : data[0] & 0x40 ? 1
                                           : 0);
    ULONG output_bytes = (data[1] << 8 | data[2]) % sizeof output;
    size_t input_bytes = size - 4;
    uint8_t *input = malloc(input_bytes + 1);

    /* An inverted call would wait for events that this process does not make. */
    if (code == ONEIP_IOCTL_WAIT_EVENT)
        code = ONEIP_IOCTL_SET_CONFIG;
    memcpy(input, data + 4, input_bytes);
    if (code == ONEIP_IOCTL_SET_CONFIG && data[3] & 1) {
        repair(input, input_bytes);
        if (input_bytes >= sizeof(ONEIP_CONFIG))
            input_bytes = ((ONEIP_CONFIG *)input)->Size;
    }
    read_state(&before);
    NTSTATUS status =
        node_ioctl(&node, code, input, (ULONG)input_bytes, output, output_bytes, NULL);
    if (!NT_SUCCESS(status)) {
        read_state(&after);
        is_int(after.config_bytes, before.config_bytes);
        is_int(after.status_bytes, before.status_bytes);
        is_mem(after.config, before.config, before.config_bytes);
        is_mem(after.status, before.status, before.status_bytes);
        if (status != STATUS_ACCESS_DENIED)
            ok(node_refusal(&node, NULL) != OneIpReasonNone);
    } else if (code == ONEIP_IOCTL_SET_CONFIG) {
        node_ioctl(&node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL);
    }
    free(input);
    return 0;
}
