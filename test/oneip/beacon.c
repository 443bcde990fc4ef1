/*
 * Beacons: what is encoded comes back, and nothing else does. Every mutated bit is refused, and so
 * is every authentic beacon whose fields make no sense.
 */
#include "tap.h"

#include <ntddk.h>

#include <string.h>

#include "beacon.h"

static const UINT8 cluster[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const OIP_SIP_KEY key = {0x1122334455667788ull, 0x99AABBCCDDEEFF00ull};

static OIP_BEACON good_beacon(void)
{
    OIP_BEACON beacon;

    memset(&beacon, 0, sizeof beacon);
    beacon.Sender = 3;
    beacon.Kind = OipBeaconDispatcher;
    beacon.MemberCount = 5;
    beacon.IntervalMicroseconds = 10000;
    beacon.Boot = 0x01DA000000000000ull;
    beacon.Sequence = 77;
    beacon.Epoch.Counter = 12;
    beacon.Epoch.NodeId = 3;
    beacon.Generation = 4;
    beacon.TableDigest = 0xAAAA;
    beacon.MembersDigest = 0xBBBB;
    beacon.Liveness.Length = 2;
    beacon.Liveness.Log[0] = 1;
    beacon.Liveness.Log[1] = 4 | OIP_LIVENESS_JOINED;
    beacon.Alive = 0x1F & ~(1u << 1 | 1u << 4);
    beacon.Vetoed = 1u << 2;
    return beacon;
}

static OIP_BEACON_RESULT decode(const UINT8 *payload, ULONG length, OIP_BEACON *beacon)
{
    UINT32 sender;

    return OipBeaconDecode(payload, length, cluster, &key, beacon, &sender);
}

/* What becomes of a beacon with these fields. */
static OIP_BEACON_RESULT round_trip(const OIP_BEACON *beacon, OIP_BEACON *back)
{
    UINT8 payload[OIP_BEACON_BYTES];

    OipBeaconEncode(beacon, cluster, &key, payload);
    return decode(payload, sizeof payload, back);
}

NT_TEST(beacon_comes_back)
{
    OIP_BEACON beacon = good_beacon(), back;

    is_int(round_trip(&beacon, &back), OipBeaconOk);
    is_mem(&back, &beacon, sizeof beacon);

    beacon.Kind = OipBeaconResign;
    beacon.Flags = OIP_BEACON_LEAVING | OIP_BEACON_VETOED;
    is_int(round_trip(&beacon, &back), OipBeaconOk);
    is_mem(&back, &beacon, sizeof beacon);

    beacon.Kind = OipBeaconPresence;
    beacon.Flags = OIP_BEACON_SEEKING;
    beacon.Epoch.NodeId = 5;
    beacon.HeardAgo = 31000;
    is_int(round_trip(&beacon, &back), OipBeaconOk);
    is_mem(&back, &beacon, sizeof beacon);

    beacon.Epoch.Counter = 0;
    beacon.Epoch.NodeId = 0;
    beacon.HeardAgo = OIP_BEACON_UNHEARD;
    is_int(round_trip(&beacon, &back), OipBeaconOk, "nobody was ever heard");
    is_mem(&back, &beacon, sizeof beacon);
}

NT_TEST(beacon_layout_is_little_endian_and_fixed)
{
    OIP_BEACON beacon = good_beacon();
    UINT8 payload[OIP_BEACON_BYTES];
    static const UINT8 head[8] = {2, 0, 192, 0, OipBeaconDispatcher, 0, 5, 2};
    static const UINT8 sender[4] = {3, 0, 0, 0};
    static const UINT8 sequence[8] = {77};

    OipBeaconEncode(&beacon, cluster, &key, payload);
    is_mem(payload, head, sizeof head);
    is_mem(payload + 8, cluster, sizeof cluster);
    is_mem(payload + 24, sender, sizeof sender);
    is_mem(payload + 40, sequence, sizeof sequence);
    is_int(payload[112], 1);
    is_int(payload[113], 4 | OIP_LIVENESS_JOINED);
}

NT_TEST(beacon_every_mutated_bit_is_refused)
{
    OIP_BEACON beacon = good_beacon(), back;
    UINT8 payload[OIP_BEACON_BYTES];
    unsigned results[6] = {0};

    OipBeaconEncode(&beacon, cluster, &key, payload);
    for (unsigned bit = 0; bit < 8 * OIP_BEACON_BYTES; bit++) {
        OIP_BEACON_RESULT result;

        payload[bit / 8] ^= (UINT8)(1u << bit % 8);
        result = decode(payload, sizeof payload, &back);
        ok(result != OipBeaconOk, "bit %u of byte %u", bit % 8, bit / 8);
        results[result]++;
        payload[bit / 8] ^= (UINT8)(1u << bit % 8);
    }
    is_int(results[OipBeaconVersion], 32);
    is_int(results[OipBeaconCluster], 128);
    is_int(results[OipBeaconMac], 8 * OIP_BEACON_BYTES - 32 - 128);
    is_int(decode(payload, sizeof payload, &back), OipBeaconOk, "and whole again");
}

NT_TEST(beacon_length_is_exact)
{
    UINT8 payload[OIP_BEACON_BYTES + 64];
    OIP_BEACON beacon = good_beacon(), back;

    memset(payload, 0, sizeof payload);
    OipBeaconEncode(&beacon, cluster, &key, payload);
    for (ULONG length = 0; length <= sizeof payload; length++)
        is_int(decode(payload, length, &back),
               length == OIP_BEACON_BYTES ? OipBeaconOk : OipBeaconLength, "%u bytes", length);
}

NT_TEST(beacon_of_others)
{
    OIP_BEACON beacon = good_beacon(), back;
    UINT8 payload[OIP_BEACON_BYTES], elsewhere[16] = {9};
    OIP_SIP_KEY another = {key.K0, key.K1 ^ 1};
    UINT32 sender = 99;

    OipBeaconEncode(&beacon, cluster, &key, payload);
    is_int(OipBeaconDecode(payload, sizeof payload, elsewhere, &key, &back, &sender),
           OipBeaconCluster);
    is_int(sender, 0, "nothing is said of another cluster's sender");
    is_int(OipBeaconDecode(payload, sizeof payload, cluster, &another, &back, &sender),
           OipBeaconMac);
    is_int(sender, 3, "who has another key is named");
}

NT_TEST(beacon_authentic_nonsense_is_refused)
{
    OIP_BEACON back;
    unsigned cases = 0;

#define REFUSED(change)                                                                            \
    do {                                                                                           \
        OIP_BEACON beacon = good_beacon();                                                         \
        change;                                                                                    \
        is_int(round_trip(&beacon, &back), OipBeaconField, #change);                               \
        cases++;                                                                                   \
    } while (0)

    REFUSED(beacon.Kind = 0);
    REFUSED(beacon.Kind = 4);
    REFUSED(beacon.Flags = 0x10);
    REFUSED(beacon.Flags = OIP_BEACON_SEEKING);
    REFUSED(beacon.Flags = OIP_BEACON_LEAVING);
    REFUSED(beacon.Flags = OIP_BEACON_VETOED);
    REFUSED((beacon.Sender = 0, beacon.Epoch.NodeId = 0));
    REFUSED((beacon.Sender = 0xFFFFFFFF, beacon.Epoch.NodeId = 0xFFFFFFFF));
    REFUSED(beacon.Boot = 0);
    REFUSED(beacon.Sequence = 0);
    REFUSED(beacon.Generation = 0);
    REFUSED(beacon.IntervalMicroseconds = 0);
    REFUSED(beacon.IntervalMicroseconds = 1000001);
    REFUSED(beacon.Epoch.Counter = 0);
    REFUSED(beacon.Epoch.Counter = OIP_EPOCH_COUNTER_MAX + 1);
    REFUSED(beacon.Epoch.NodeId = 4);
    REFUSED(beacon.HeardAgo = 1);
    REFUSED(beacon.MemberCount = 0);
    REFUSED(beacon.MemberCount = 65);
    REFUSED(beacon.MemberCount = 4); /* the log names the fifth */
    REFUSED(beacon.Alive = 0x1F);
    REFUSED(beacon.Vetoed = 1u << 5);
    REFUSED(beacon.Draining = 1u << 5);
    REFUSED(beacon.Liveness.Log[0] = 1 | OIP_LIVENESS_JOINED);
    REFUSED(beacon.Liveness.Log[1] = 1 | OIP_LIVENESS_JOINED);
    REFUSED((beacon.Kind = OipBeaconPresence, beacon.Epoch.Counter = 0));
    REFUSED((beacon.Kind = OipBeaconPresence, beacon.Epoch.Counter = 0, beacon.Epoch.NodeId = 0));
    REFUSED((beacon.Kind = OipBeaconPresence, beacon.Epoch.NodeId = 0));
#undef REFUSED
    diag("%u cases", cases);
}

/* Bytes of the log beyond its length are part of what must be zero. */
NT_TEST(beacon_log_has_no_hidden_tail)
{
    OIP_BEACON beacon = good_beacon(), back;
    UINT8 payload[OIP_BEACON_BYTES];

    OipBeaconEncode(&beacon, cluster, &key, payload);
    payload[112 + 2] = 1;
    OipSipHash128(&key, payload, OIP_BEACON_BYTES - OIP_SIP_MAC_BYTES,
                  payload + OIP_BEACON_BYTES - OIP_SIP_MAC_BYTES);
    is_int(decode(payload, sizeof payload, &back), OipBeaconField);
    payload[112 + 2] = 0;
    payload[7] = 65;
    OipSipHash128(&key, payload, OIP_BEACON_BYTES - OIP_SIP_MAC_BYTES,
                  payload + OIP_BEACON_BYTES - OIP_SIP_MAC_BYTES);
    is_int(decode(payload, sizeof payload, &back), OipBeaconField, "a log longer than its room");
}

NT_TEST(beacon_replay_window)
{
    OIP_REPLAY window = {0, 0};

    ok(OipReplayAccept(&window, 100, 5));
    ok(!OipReplayAccept(&window, 100, 5), "again");
    ok(!OipReplayAccept(&window, 100, 4), "older");
    ok(OipReplayAccept(&window, 100, 9), "a gap is no harm");
    ok(!OipReplayAccept(&window, 99, 1000), "from before the restart");
    ok(OipReplayAccept(&window, 101, 1), "restarted");
    ok(!OipReplayAccept(&window, 100, 10), "from before that");
    ok(OipReplayAccept(&window, 101, ~0ull));
    ok(!OipReplayAccept(&window, 101, 1));
}

NT_TEST(epoch_order_is_lexicographic)
{
    ONEIP_EPOCH a = {1, 9, 0}, b = {2, 1, 0}, c = {2, 2, 0};

    ok(OipEpochCompare(&a, &b) < 0);
    ok(OipEpochCompare(&b, &a) > 0);
    ok(OipEpochCompare(&b, &c) < 0);
    ok(OipEpochCompare(&c, &b) > 0);
    is_int(OipEpochCompare(&c, &c), 0);
}
