/*
 * SipHash-2-4, the keyed hash of Aumasson and Bernstein ("SipHash: a fast short-input PRF",
 * INDOCRYPT 2012), with outputs of 64 bits and of 128 bits (the authors' later variant, which is
 * not two 64-bit hashes side by side).
 *
 * It hashes clients to slots, so that nobody without the key can aim at one server, and it
 * authenticates beacons. All functions: any IRQL, no state, no allocation.
 */
#pragma once

#include <ntddk.h>

#define OIP_SIP_KEY_BYTES 16
#define OIP_SIP_MAC_BYTES 16

typedef struct OIP_SIP_KEY
{
    UINT64 K0;
    UINT64 K1;
} OIP_SIP_KEY;

C_ASSERT(sizeof(OIP_SIP_KEY) == OIP_SIP_KEY_BYTES);

/* The four lanes. A caller with very short input of a fixed shape may drive them itself (hash.h).
 */
typedef struct OIP_SIP_STATE
{
    UINT64 V0;
    UINT64 V1;
    UINT64 V2;
    UINT64 V3;
} OIP_SIP_STATE;

/* The key as it stands in a configuration: two little-endian words. */
VOID OipSipKey(_Out_ OIP_SIP_KEY *Key, _In_reads_bytes_(OIP_SIP_KEY_BYTES) const UINT8 *Bytes);

UINT64 OipSipHash64(_In_ const OIP_SIP_KEY *Key, _In_reads_bytes_(Length) const VOID *Data,
                    _In_ SIZE_T Length);

VOID OipSipHash128(_In_ const OIP_SIP_KEY *Key, _In_reads_bytes_(Length) const VOID *Data,
                   _In_ SIZE_T Length, _Out_writes_bytes_(OIP_SIP_MAC_BYTES) UINT8 *Mac);

/* Compares in a time that depends on Length only. */
BOOLEAN OipSipEqual(_In_reads_bytes_(Length) const UINT8 *Left,
                    _In_reads_bytes_(Length) const UINT8 *Right, _In_ SIZE_T Length);

FORCEINLINE UINT64 OipSipRotate(_In_ UINT64 Value, _In_ ULONG Bits)
{
    return (Value << Bits) | (Value >> (64 - Bits));
}

FORCEINLINE VOID OipSipRound(_Inout_ OIP_SIP_STATE *State)
{
    State->V0 += State->V1;
    State->V1 = OipSipRotate(State->V1, 13) ^ State->V0;
    State->V0 = OipSipRotate(State->V0, 32);
    State->V2 += State->V3;
    State->V3 = OipSipRotate(State->V3, 16) ^ State->V2;
    State->V0 += State->V3;
    State->V3 = OipSipRotate(State->V3, 21) ^ State->V0;
    State->V2 += State->V1;
    State->V1 = OipSipRotate(State->V1, 17) ^ State->V2;
    State->V2 = OipSipRotate(State->V2, 32);
}

FORCEINLINE VOID OipSipStart(_Out_ OIP_SIP_STATE *State, _In_ const OIP_SIP_KEY *Key)
{
    State->V0 = Key->K0 ^ 0x736F6D6570736575ULL; /* "somepseu" */
    State->V1 = Key->K1 ^ 0x646F72616E646F6DULL; /* "dorandom" */
    State->V2 = Key->K0 ^ 0x6C7967656E657261ULL; /* "lygenera" */
    State->V3 = Key->K1 ^ 0x7465646279746573ULL; /* "tedbytes" */
}

/* One word of the message: two rounds, the "2" of SipHash-2-4. */
FORCEINLINE VOID OipSipWord(_Inout_ OIP_SIP_STATE *State, _In_ UINT64 Word)
{
    State->V3 ^= Word;
    OipSipRound(State);
    OipSipRound(State);
    State->V0 ^= Word;
}

/* The end of a 64-bit hash: four rounds. The last word, with the length in its top byte, is in. */
FORCEINLINE UINT64 OipSipFinish64(_Inout_ OIP_SIP_STATE *State)
{
    State->V2 ^= 0xFF;
    OipSipRound(State);
    OipSipRound(State);
    OipSipRound(State);
    OipSipRound(State);
    return State->V0 ^ State->V1 ^ State->V2 ^ State->V3;
}
