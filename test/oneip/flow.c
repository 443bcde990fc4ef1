/* The flow table as a data structure. */
#include "claim.h"
#include "flow.h"

#include "tap.h"

#include <stdlib.h>
#include <string.h>

static const OIP_FLOW_TIMEOUTS timeouts = {7440, 300, 30, 60};
static const OIP_SIP_KEY secret = {1, 2};

/* Seconds as the table's units of time, far from zero. */
#define AT(seconds) OipFlowTime((1000ull + (seconds)) * 10000000)

static OIP_FLOW_TABLE *table_new(ULONG capacity)
{
    SIZE_T bytes = (OipFlowTableBytes(capacity) + 63) & ~(SIZE_T)63;
    OIP_FLOW_TABLE *table = aligned_alloc(64, bytes);

    memset(table, 0, bytes);
    OipFlowTableInitialize(table, capacity, &secret, &timeouts);
    return table;
}

static OIP_FLOW_KEY key4(unsigned n, UINT8 protocol)
{
    OIP_FLOW_KEY key;

    OipFlowKeyIpv4(&key, 0x0a000000 + n, 0x64000000, protocol, 1234 + (80u << 16));
    return key;
}

static OIP_FLOW_KEY key6(unsigned n, UINT8 protocol)
{
    OIP_FLOW_KEY key;
    UINT8 client[16] = {0xfd}, cluster[16] = {0xfd, [15] = 100};

    memcpy(client + 12, &n, 4);
    OipFlowKey(&key, OneIpFamilyIpv6, client, cluster, protocol, 1234 + (80u << 16));
    return key;
}

static OIP_FLOW_RESULT insert(OIP_FLOW_TABLE *table, const OIP_FLOW_KEY *key, UINT8 owner,
                              UINT8 state, UINT32 time)
{
    return OipFlowInsert(table, key, OipFlowHash(table, key), owner, state, time);
}

static bool find(OIP_FLOW_TABLE *table, const OIP_FLOW_KEY *key, UINT32 time, OIP_FLOW *flow)
{
    return OipFlowFind(table, key, OipFlowHash(table, key), time, flow);
}

NT_TEST(flow_is_found_by_its_whole_key)
{
    OIP_FLOW_TABLE *table = table_new(ONEIP_MIN_FLOWS);
    OIP_FLOW flow;

    for (unsigned n = 0; n < 200; n++) {
        OIP_FLOW_KEY tcp4 = key4(n, 6), udp4 = key4(n, 17), tcp6 = key6(n, 6);

        is_int(insert(table, &tcp4, 1, OipFlowOpening, AT(0)), OipFlowInserted);
        is_int(insert(table, &udp4, 2, OipFlowOpening, AT(0)), OipFlowInserted);
        is_int(insert(table, &tcp6, 3, OipFlowOpening, AT(0)), OipFlowInserted);
    }
    for (unsigned n = 0; n < 200; n++) {
        OIP_FLOW_KEY keys[3] = {key4(n, 6), key4(n, 17), key6(n, 6)}, absent = key6(n, 17);

        for (unsigned i = 0; i < 3; i++)
            ok(find(table, &keys[i], AT(1), &flow) && flow.Owner == i + 1);
        ok(!find(table, &absent, AT(1), &flow));
        for (unsigned word = 0; word < 5; word++) {
            OIP_FLOW_KEY near = keys[2];
            near.Word[word] ^= 1;
            ok(!find(table, &near, AT(1), &flow), "word %u", word);
        }
    }
    free(table);
}

NT_TEST(flow_is_updated_in_place)
{
    OIP_FLOW_TABLE *table = table_new(ONEIP_MIN_FLOWS);
    OIP_FLOW_KEY key = key4(7, 6);
    OIP_FLOW_ENTRY entries[OIP_FLOW_WAYS];
    OIP_FLOW flow;
    unsigned total = 0;

    is_int(insert(table, &key, 1, OipFlowOpening, AT(0)), OipFlowInserted);
    is_int(insert(table, &key, 2, OipFlowEstablished, AT(1)), OipFlowUpdated);
    need(find(table, &key, AT(1), &flow));
    is_int(flow.Owner, 2);
    is_int(flow.State, OipFlowEstablished);
    for (ULONG bucket = 0; bucket < table->Buckets; bucket++)
        total += OipFlowRead(table, bucket, AT(1), entries);
    is_int(total, 1);
    free(table);
}

NT_TEST(flow_ends_by_its_timeout)
{
    static const struct {
        UINT8 protocol, state;
        unsigned seconds;
    } cases[] = {{6, OipFlowOpening, 30},  {6, OipFlowEstablished, 7440},
                 {6, OipFlowClosing, 60},  {6, OipFlowReset, 60},
                 {17, OipFlowOpening, 30}, {17, OipFlowEstablished, 300}};
    OIP_FLOW_TABLE *table = table_new(ONEIP_MIN_FLOWS);
    OIP_FLOW flow;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        OIP_FLOW_KEY key = key4(i, cases[i].protocol);

        insert(table, &key, 1, cases[i].state, AT(0));
        ok(find(table, &key, AT(cases[i].seconds - 1), &flow), "case %u", i);
        ok(!find(table, &key, AT(cases[i].seconds + 1), &flow), "case %u", i);
        need(find(table, &key, AT(cases[i].seconds - 1), &flow));
        OipFlowTouch(&flow, AT(cases[i].seconds - 1), flow.State);
        ok(find(table, &key, AT(2 * cases[i].seconds - 2), &flow), "touched, case %u", i);
        ok(find(table, &key, AT(cases[i].seconds) - 100, &flow), "a clock that is behind");
    }
    free(table);
}

NT_TEST(flow_states_follow_the_client)
{
    enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

    is_int(OipFlowNext(OipFlowOpening, SYN), OipFlowOpening, "a SYN again");
    is_int(OipFlowNext(OipFlowOpening, ACK), OipFlowEstablished);
    is_int(OipFlowNext(OipFlowEstablished, SYN), OipFlowEstablished, "forged, or old");
    is_int(OipFlowNext(OipFlowEstablished, FIN | ACK), OipFlowClosing);
    is_int(OipFlowNext(OipFlowClosing, ACK), OipFlowClosing);
    is_int(OipFlowNext(OipFlowEstablished, RST), OipFlowReset);
    is_int(OipFlowNext(OipFlowReset, ACK), OipFlowEstablished, "the RST was forged");
    is_int(OipFlowNext(OipFlowReset, SYN), OipFlowReset);
    is_int(OipFlowNext(OipFlowOpening, 0), OipFlowEstablished, "a second datagram");
}

/* A million flows in less than 96 MB, and a table takes what it has capacity for. */
NT_TEST(flow_table_takes_its_capacity)
{
    static const ULONG capacities[] = {ONEIP_MIN_FLOWS, 100000, 1000000};

    for (unsigned c = 0; c < 3; c++) {
        ULONG capacity = capacities[c];
        OIP_FLOW_TABLE *table = table_new(capacity);
        OIP_FLOW flow;
        unsigned refused = 0, lost = 0;

        ok(OipFlowTableBytes(1000000) <= 96 * 1000 * 1000, "%zu", OipFlowTableBytes(1000000));
        for (unsigned n = 0; n < capacity; n++) {
            OIP_FLOW_KEY key = n % 2 ? key4(n, 6) : key6(n, 6);
            refused += insert(table, &key, 1, OipFlowEstablished, AT(0)) != OipFlowInserted;
        }
        for (unsigned n = 0; n < capacity; n++) {
            OIP_FLOW_KEY key = n % 2 ? key4(n, 6) : key6(n, 6);
            lost += !find(table, &key, AT(1), &flow);
        }
        diag("%u flows in %zu bytes: %u refused", capacity, OipFlowTableBytes(capacity), refused);
        ok(refused <= capacity / 1000, "%u of %u refused", refused, capacity);
        is_int(lost, refused);
        free(table);
    }
}

NT_TEST(flow_flood_takes_nothing_from_the_established)
{
    OIP_FLOW_TABLE *table = table_new(ONEIP_MIN_FLOWS);
    OIP_FLOW flow;
    unsigned evicted = 0, kept = 0;

    for (unsigned n = 0; n < 500; n++) {
        OIP_FLOW_KEY key = key4(n, 6);
        is_int(insert(table, &key, 3, OipFlowEstablished, AT(0)), OipFlowInserted);
    }
    for (unsigned n = 0; n < 1000000; n++) {
        OIP_FLOW_KEY key = key4(1000 + n, 6);
        evicted += insert(table, &key, 1, OipFlowOpening, AT(n / 100000)) == OipFlowEvicted;
    }
    ok(evicted > 900000, "%u", evicted);
    for (unsigned n = 0; n < 500; n++) {
        OIP_FLOW_KEY key = key4(n, 6);
        kept += find(table, &key, AT(10), &flow) && flow.Owner == 3;
    }
    is_int(kept, 500);
    /* A new real one lives long enough to become established. */
    for (unsigned n = 0; n < 100; n++) {
        OIP_FLOW_KEY real = key6(n, 6);
        insert(table, &real, 2, OipFlowOpening, AT(10));
        for (unsigned i = 0; i < 100; i++) {
            OIP_FLOW_KEY key = key4(5000000 + n * 100 + i, 6);
            insert(table, &key, 1, OipFlowOpening, AT(10));
        }
        if (find(table, &real, AT(10), &flow))
            OipFlowTouch(&flow, AT(10), OipFlowEstablished);
    }
    kept = 0;
    for (unsigned n = 0; n < 100; n++) {
        OIP_FLOW_KEY real = key6(n, 6);
        kept += find(table, &real, AT(10), &flow);
    }
    ok(kept >= 75, "%u of 100", kept);
    free(table);
}

NT_TEST(flow_that_is_over_goes_first_then_opening_then_closing)
{
    OIP_FLOW_TABLE *table = table_new(ONEIP_MIN_FLOWS);
    OIP_FLOW_ENTRY entries[OIP_FLOW_WAYS];
    unsigned full = 0;

    /* Fill every way with established flows: nothing more goes in. */
    for (unsigned n = 0; n < 40000; n++) {
        OIP_FLOW_KEY key = key4(n, 6);
        full += insert(table, &key, 1, OipFlowEstablished, AT(0)) == OipFlowFull;
    }
    for (ULONG bucket = 0; bucket < table->Buckets; bucket++)
        is_int(OipFlowRead(table, bucket, AT(0), entries), OIP_FLOW_WAYS);
    is_int(full, 40000 - table->Buckets * OIP_FLOW_WAYS);
    OIP_FLOW_KEY late = key4(50000, 6);
    is_int(insert(table, &late, 1, OipFlowOpening, AT(7000)), OipFlowFull);
    is_int(insert(table, &late, 1, OipFlowOpening, AT(8000)), OipFlowInserted, "they are over");
    free(table);
}

NT_TEST(flow_claims_come_back)
{
    static const UINT8 cluster[16] = "claims";
    OIP_SIP_KEY other = {9, 9};
    OIP_FLOW_KEY keys[OIP_CLAIM_FLOWS], back;
    OIP_CLAIM claim = {3, 77, 5, OIP_CLAIM_FLOWS}, decoded;
    UINT8 payload[OIP_CLAIM_MAX_BYTES];
    const UINT8 *flows;

    for (unsigned i = 0; i < OIP_CLAIM_FLOWS; i++)
        keys[i] = i % 2 ? key4(i, 6) : key6(i, 17);
    for (ULONG count = 1; count <= OIP_CLAIM_FLOWS; count++) {
        ULONG bytes = OIP_CLAIM_BYTES(count);

        claim.Count = count;
        OipClaimEncode(&claim, keys, cluster, &secret, payload);
        is_int(OipClaimDecode(payload, bytes, cluster, &secret, &decoded, &flows), OipBeaconOk);
        is_int(decoded.Sender, 3);
        is_int(decoded.Boot, 77);
        is_int(decoded.Sequence, 5);
        is_int(decoded.Count, count);
        memcpy(&back, flows + (count - 1) * sizeof back, sizeof back);
        is_mem(&back, &keys[count - 1], sizeof back);
        is_int(OipClaimDecode(payload, bytes - 1, cluster, &secret, &decoded, &flows),
               OipBeaconLength);
        is_int(OipClaimDecode(payload, bytes, cluster, &other, &decoded, &flows), OipBeaconMac);
    }
    for (ULONG bit = 0; bit < 8 * OIP_CLAIM_MAX_BYTES; bit += 7) {
        payload[bit / 8] ^= (UINT8)(1 << bit % 8);
        ok(OipClaimDecode(payload, OIP_CLAIM_MAX_BYTES, cluster, &secret, &decoded, &flows) !=
           OipBeaconOk);
        payload[bit / 8] ^= (UINT8)(1 << bit % 8);
    }
    keys[0].Word[4] |= 1ull << 50;
    claim.Count = 1;
    OipClaimEncode(&claim, keys, cluster, &secret, payload);
    is_int(OipClaimDecode(payload, OIP_CLAIM_BYTES(1), cluster, &secret, &decoded, &flows),
           OipBeaconField, "no key");
    is_int(OipClaimDecode(payload, 3, cluster, &secret, &decoded, &flows), OipBeaconLength);
}
