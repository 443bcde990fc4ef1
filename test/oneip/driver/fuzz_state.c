#include "fuzz_state.h"

#include <string.h>

/* What passes with time is not state; and a tick may come in between, and find somebody alive. */
static void forget_times(UINT8 *data)
{
    ONEIP_STATUS *status = (ONEIP_STATUS *)data;
    ONEIP_MEMBER_STATUS *members = (ONEIP_MEMBER_STATUS *)(status + 1);

    status->RoleMilliseconds = 0;
    status->EventSequence = 0;
    for (unsigned i = 0; i < status->MemberCount; i++)
        members[i].SilentMs = members[i].Alive = members[i].Slots = 0;
}

void fuzz_state_read(struct node *node, struct fuzz_state *state)
{
    memset(state, 0, sizeof *state);
    node_ioctl(node, ONEIP_IOCTL_GET_CONFIG, NULL, 0, state->config, sizeof state->config,
               &state->config_bytes);
    node_ioctl(node, ONEIP_IOCTL_GET_STATUS, NULL, 0, state->status, sizeof state->status,
               &state->status_bytes);
    forget_times(state->status);
}

void fuzz_state_same(const struct fuzz_state *before, const struct fuzz_state *after)
{
    is_int(after->config_bytes, before->config_bytes);
    is_int(after->status_bytes, before->status_bytes);
    is_mem(after->config, before->config, before->config_bytes);
    is_mem(after->status, before->status, before->status_bytes);
}

size_t fuzz_repair(uint8_t *input, size_t bytes)
{
    ONEIP_CONFIG *config = (ONEIP_CONFIG *)input;

    if (bytes < sizeof *config)
        return bytes;
    config->Version = ONEIP_CONTRACT_VERSION;
    config->Size = (UINT32)bytes;
    config->AddressCount %= ONEIP_MAX_ADDRESSES + 1;
    config->MemberCount %= ONEIP_MAX_MEMBERS + 1;
    config->TableSlots = 0;
    config->PastSlots = 0;
    config->RuleCount %= ONEIP_MAX_RULES + 1;
    config->FlowCapacity = ONEIP_MIN_FLOWS + config->FlowCapacity % 4096;
    config->TcpIdleSeconds = 1 + config->TcpIdleSeconds % ONEIP_MAX_IDLE_SECONDS;
    config->UdpIdleSeconds = 1 + config->UdpIdleSeconds % ONEIP_MAX_IDLE_SECONDS;
    config->OpeningSeconds = 1 + config->OpeningSeconds % ONEIP_MAX_IDLE_SECONDS;
    config->ClosingSeconds = 1 + config->ClosingSeconds % ONEIP_MAX_IDLE_SECONDS;
    config->Affinity = 1 + config->Affinity % 3;
    config->Dispatch = 1 + config->Dispatch % 2;
    config->BeaconMilliseconds = 1 + config->BeaconMilliseconds % 1000;
    config->SilenceBeacons = 2 + config->SilenceBeacons % 99;
    config->AnnounceSeconds = 1 + config->AnnounceSeconds % 3600;
    while (sizeof *config + config->AddressCount * sizeof(ONEIP_ADDRESS) > bytes)
        config->AddressCount--;
    size_t rest = bytes - sizeof *config - config->AddressCount * sizeof(ONEIP_ADDRESS);
    if (config->MemberCount > rest / sizeof(ONEIP_MEMBER))
        config->MemberCount = (UINT32)(rest / sizeof(ONEIP_MEMBER));
    rest -= config->MemberCount * sizeof(ONEIP_MEMBER);
    if (config->RuleCount > rest / sizeof(ONEIP_RULE))
        config->RuleCount = (UINT32)(rest / sizeof(ONEIP_RULE));
    config->Size = (UINT32)(sizeof *config + config->AddressCount * sizeof(ONEIP_ADDRESS) +
                            config->MemberCount * sizeof(ONEIP_MEMBER) +
                            config->RuleCount * sizeof(ONEIP_RULE));
    return config->Size;
}
