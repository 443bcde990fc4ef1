/*
 * SipHash-2-4, written from the paper (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
 * INDOCRYPT 2012, section 2) and, for 128 bits, from the authors' note that the state is marked by
 * 0xEE instead of 0xFF at both ends and that four more rounds after 0xDD give the second half.
 */
#include "siphash.h"

/* A little-endian word from anywhere; x64 has no alignment to respect, and the copy is one load. */
static UINT64 OipSipLoad(_In_reads_bytes_(8) const UINT8 *Bytes)
{
    UINT64 word;

    RtlCopyMemory(&word, Bytes, sizeof(word));
    return word;
}

/* All of the message: whole words, then the rest with the length in the top byte. */
static VOID OipSipMessage(_Inout_ OIP_SIP_STATE *State, _In_reads_bytes_(Length) const UINT8 *Data,
                          _In_ SIZE_T Length)
{
    SIZE_T words = Length / 8;
    UINT64 last = (UINT64)Length << 56;
    SIZE_T i;

    for (i = 0; i < words; i += 1)
    {
        OipSipWord(State, OipSipLoad(Data + 8 * i));
    }
    for (i = 0; i < (Length & 7); i += 1)
    {
        last |= (UINT64)Data[8 * words + i] << (8 * i);
    }
    OipSipWord(State, last);
}

VOID OipSipKey(_Out_ OIP_SIP_KEY *Key, _In_reads_bytes_(OIP_SIP_KEY_BYTES) const UINT8 *Bytes)
{
    Key->K0 = OipSipLoad(Bytes);
    Key->K1 = OipSipLoad(Bytes + 8);
}

UINT64 OipSipHash64(_In_ const OIP_SIP_KEY *Key, _In_reads_bytes_(Length) const VOID *Data,
                    _In_ SIZE_T Length)
{
    OIP_SIP_STATE state;

    OipSipStart(&state, Key);
    OipSipMessage(&state, (const UINT8 *)Data, Length);
    return OipSipFinish64(&state);
}

VOID OipSipHash128(_In_ const OIP_SIP_KEY *Key, _In_reads_bytes_(Length) const VOID *Data,
                   _In_ SIZE_T Length, _Out_writes_bytes_(OIP_SIP_MAC_BYTES) UINT8 *Mac)
{
    OIP_SIP_STATE state;
    UINT64 half;
    ULONG round;

    OipSipStart(&state, Key);
    state.V1 ^= 0xEE;
    OipSipMessage(&state, (const UINT8 *)Data, Length);

    state.V2 ^= 0xEE;
    for (round = 0; round < 4; round += 1)
    {
        OipSipRound(&state);
    }
    half = state.V0 ^ state.V1 ^ state.V2 ^ state.V3;
    RtlCopyMemory(Mac, &half, sizeof(half));

    state.V1 ^= 0xDD;
    for (round = 0; round < 4; round += 1)
    {
        OipSipRound(&state);
    }
    half = state.V0 ^ state.V1 ^ state.V2 ^ state.V3;
    RtlCopyMemory(Mac + sizeof(half), &half, sizeof(half));
}

BOOLEAN OipSipEqual(_In_reads_bytes_(Length) const UINT8 *Left,
                    _In_reads_bytes_(Length) const UINT8 *Right, _In_ SIZE_T Length)
{
    /* volatile: the compiler must not leave the loop at the first difference. */
    volatile UINT8 difference = 0;
    SIZE_T i;

    for (i = 0; i < Length; i += 1)
    {
        difference = (UINT8)(difference | (Left[i] ^ Right[i]));
    }
    return difference == 0;
}
