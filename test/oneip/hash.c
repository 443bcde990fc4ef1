/*
 * Hashes of clients and five-tuples: the fast paths give what SipHash gives over the message that
 * hash.h describes, byte for byte, and slots come out even.
 */
#include "tap.h"

#include <ntddk.h>

#include <stdlib.h>
#include <string.h>

#include "hash.h"

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void random_bytes(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(next_random() >> 24);
}

static void random_key(OIP_SIP_KEY *key)
{
    key->K0 = next_random();
    key->K1 = next_random();
}

static uint64_t by_the_book(const OIP_SIP_KEY *key, unsigned address, const uint8_t *client,
                            const uint8_t *cluster, uint8_t protocol, uint16_t client_port,
                            uint16_t cluster_port)
{
    uint8_t message[37];
    size_t at = 0;

    memcpy(message + at, client, address);
    at += address;
    memcpy(message + at, cluster, address);
    at += address;
    message[at++] = protocol;
    memcpy(message + at, &client_port, 2);
    at += 2;
    memcpy(message + at, &cluster_port, 2);
    at += 2;
    return OipSipHash64(key, message, at);
}

NT_TEST(hash_client_is_siphash_of_the_address)
{
    random_state = tap_seed() * 2 + 1;
    for (unsigned i = 0; i < 1000; i++) {
        OIP_SIP_KEY key;
        uint8_t address[16];
        uint32_t word;

        random_key(&key);
        random_bytes(address, sizeof address);
        memcpy(&word, address, 4);
        is_hex(OipHashClient(&key, OneIpFamilyIpv4, address), OipSipHash64(&key, address, 4));
        is_hex(OipHashClientIpv4(&key, word), OipSipHash64(&key, address, 4));
        is_hex(OipHashClient(&key, OneIpFamilyIpv6, address), OipSipHash64(&key, address, 16));
    }
}

NT_TEST(hash_five_tuple_is_siphash_of_the_message)
{
    random_state = tap_seed() * 2 + 1;
    for (unsigned i = 0; i < 1000; i++) {
        OIP_SIP_KEY key;
        uint8_t client[16], cluster[16];
        uint8_t protocol = (uint8_t)next_random();
        uint16_t client_port = (uint16_t)next_random(), cluster_port = (uint16_t)next_random();

        random_key(&key);
        random_bytes(client, sizeof client);
        random_bytes(cluster, sizeof cluster);
        is_hex(OipHashFiveTuple(&key, OneIpFamilyIpv4, client, cluster, protocol, client_port,
                                cluster_port),
               by_the_book(&key, 4, client, cluster, protocol, client_port, cluster_port));
        is_hex(OipHashFiveTuple(&key, OneIpFamilyIpv6, client, cluster, protocol, client_port,
                                cluster_port),
               by_the_book(&key, 16, client, cluster, protocol, client_port, cluster_port));
    }
}

NT_TEST(hash_address_bytes)
{
    is_int(OipAddressBytes(OneIpFamilyIpv4), 4);
    is_int(OipAddressBytes(OneIpFamilyIpv6), 16);
}

NT_TEST(hash_slots_cover_the_table_and_nothing_else)
{
    is_int(OipHashSlot(0), 0);
    is_int(OipHashSlot(~0ULL), ONEIP_TABLE_SLOTS - 1);
    is_int(OipHashSlot(0xFFFFFFFFULL), 0, "the upper half decides");
    for (uint64_t slot = 0; slot < ONEIP_TABLE_SLOTS; slot++) {
        uint64_t first = ((slot << 32) + ONEIP_TABLE_SLOTS - 1) / ONEIP_TABLE_SLOTS;

        need(OipHashSlot(first << 32) == slot, "slot %u", (unsigned)slot);
        need(slot == 0 || OipHashSlot((first - 1) << 32) == slot - 1, "slot %u", (unsigned)slot);
    }
}

/* Clients of one neighbourhood, as they come: 16 million of 10.0.0.0/8 would be slow, so every
 * 17th. Chi-square over 1,024 bins of slots; beyond 1,300 has a probability of about 1e-9. */
NT_TEST(hash_neighbouring_clients_spread)
{
    static uint32_t bins[1024];
    OIP_SIP_KEY key;
    double chi = 0, mean;
    unsigned clients = 0;

    random_state = tap_seed() * 2 + 1;
    random_key(&key);
    memset(bins, 0, sizeof bins);
    for (uint32_t host = 0; host < 1u << 24; host += 17, clients++) {
        uint8_t address[4] = {10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host};

        bins[(uint64_t)OipHashSlot(OipHashClient(&key, OneIpFamilyIpv4, address)) * 1024 /
             ONEIP_TABLE_SLOTS]++;
    }
    mean = clients / 1024.0;
    for (unsigned i = 0; i < 1024; i++)
        chi += (bins[i] - mean) * (bins[i] - mean) / mean;
    ok(chi < 1300, "chi-square %.0f for 1023 degrees", chi);
}

NT_TEST(hash_modulo)
{
    for (uint32_t count = 1; count <= 64; count++)
        is_int(OipHashModulo(0xFEDCBA9876543210ULL, count), 0xFEDCBA9876543210ULL % count);
}
