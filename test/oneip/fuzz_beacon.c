/*
 * libFuzzer on what comes from the wire to the role: the input is a list of beacons that a member
 * with a defect might send, each preceded by how much time passes. With an odd first byte they are
 * MACed here, so that the fuzzer gets past the MAC. After each, the role must be consistent.
 *
 * Runs in builds with sanitizers: oneip_fuzz_beacon -max_total_time=60 -len_control=0
 * -max_len=4096.
 */
#include <ntddk.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "beacon.h"
#include "role.h"
#include "table.h"

static const UINT8 cluster[16] = "fuzz";
static const OIP_SIP_KEY key = {1, 2};

static OIP_ROLE role;
static OIP_ROLE_ACTIONS actions;
static UINT8 base[ONEIP_TABLE_SLOTS], effective[ONEIP_TABLE_SLOTS];
static bool base_made;
static OIP_TABLE_SCRATCH scratch;
static ONEIP_MEMBER members[4];

static void check(int condition)
{
    if (!condition)
        abort();
}

static void consistent(uint64_t now)
{
    check(role.State <= OneIpRoleDispatcher && actions.EventCount <= OIP_ROLE_MAX_EVENTS);
    check((actions.Targets & ~0xEull) == 0);
    check(OipLivenessValid(&role.Liveness, 4) && OipLivenessAlive(&role.Liveness, 4) == role.Alive);
    check(role.UsedCounter <= role.ReservedCounter);
    if (OipRoleIsActing(&role, now))
        check(role.State == OneIpRoleDispatcher && role.Epoch.NodeId == 1);
    /* A table costs more than all the rest. */
    if (actions.TableChanged && role.Sequence % 16 == 0) {
        OipTableEffective(base, members, 4, &role.Liveness, effective, &scratch);
        for (unsigned i = 0; i < ONEIP_TABLE_SLOTS; i += 97)
            check(effective[i] < 4 && (role.Alive >> effective[i] & 1) != 0);
    }
    if (actions.Targets != 0) {
        UINT8 payload[OIP_BEACON_BYTES];
        OIP_BEACON back;
        UINT32 sender;

        OipBeaconEncode(&actions.Beacon, cluster, &key, payload);
        check(OipBeaconDecode(payload, sizeof payload, cluster, &key, &back, &sender) ==
              OipBeaconOk);
    }
    if (actions.Sent != 0)
        OipRoleSent(&role, now, actions.Sent);
}

static void start(uint64_t now)
{
    ONEIP_CONFIG config = {0};

    config.Generation = 1;
    config.LocalNode = 1;
    config.BeaconMilliseconds = 10;
    config.SilenceBeacons = 3;
    config.AnnounceSeconds = 1;
    config.MemberCount = 4;
    memset(members, 0, sizeof members);
    for (uint32_t i = 0; i < 4; i++) {
        members[i].NodeId = members[i].Rank = i + 1;
        members[i].Weight = 1 + i;
    }
    if (!base_made)
        OipTableMove(NULL, NULL, members, 4, base, &scratch);
    base_made = true;
    OipRoleInitialize(&role, 1000, 5);
    OipRoleConfigure(&role, now, &config, members, 7, FALSE, &actions);
    OipRoleStart(&role, now, &actions);
    OipRoleCounterDurable(&role, now, 100, &actions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t now = 1000000, next_tick;
    int authentic;

    if (size < 1)
        return 0;
    authentic = data[0] & 1;
    data++, size--;
    start(now);
    next_tick = now + 100000;
    while (size > 0) {
        UINT8 payload[OIP_BEACON_BYTES];
        ULONG length = (ULONG)(size - 1 < sizeof payload ? size - 1 : sizeof payload);
        OIP_BEACON beacon;
        UINT32 sender;

        /* The timer ticks meanwhile, late where the input says so. */
        for (now += data[0] * 3000ull; next_tick <= now; next_tick += 100000) {
            OipRoleTick(&role, data[0] & 1 ? now : next_tick, &actions);
            consistent(data[0] & 1 ? now : next_tick);
        }
        if (actions.Reserve != 0)
            OipRoleCounterDurable(&role, now, actions.Reserve, &actions);
        data++, size--;

        memset(payload, 0, sizeof payload);
        memcpy(payload, data, length);
        data += length, size -= length;
        if (authentic && length == sizeof payload) {
            payload[0] = OIP_BEACON_VERSION;
            payload[1] = 0;
            payload[2] = OIP_BEACON_BYTES;
            payload[3] = 0;
            memcpy(payload + 8, cluster, sizeof cluster);
            /* Often what a real one would say: our members, who is alive by the log, its own epoch.
             */
            if (payload[24] & 0x80) {
                OIP_LIVENESS log = {payload[7] & 7, {0}};
                UINT64 live;

                payload[6] = 4;
                payload[7] = log.Length;
                for (unsigned i = 0; i < sizeof log.Log; i++)
                    payload[104 + i] &= i < log.Length ? 0x83 : 0;
                memcpy(log.Log, payload + 104, sizeof log.Log);
                live = OipLivenessAlive(&log, 4);
                memcpy(payload + 80, &role.MembersDigest, 8);
                memcpy(payload + 88, &live, 8);
                payload[56] = payload[24] & 7;
                payload[57] = payload[58] = payload[59] = 0;
            }
            payload[24] &= 7;
            payload[25] = payload[26] = payload[27] = 0;
            OipSipHash128(&key, payload, OIP_BEACON_BYTES - OIP_SIP_MAC_BYTES,
                          payload + OIP_BEACON_BYTES - OIP_SIP_MAC_BYTES);
        }
        if (OipBeaconDecode(payload, length, cluster, &key, &beacon, &sender) == OipBeaconOk) {
            OipRoleBeacon(&role, now, &beacon, &actions);
            consistent(now);
        }
    }
    return 0;
}
