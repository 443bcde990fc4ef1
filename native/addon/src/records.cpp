#include "records.h"
#include "crc32c.h"
#include <cstring>

/* The contract's types and what it needs of the Windows headers. */
using UINT8 = uint8_t;
using UINT16 = uint16_t;
using UINT32 = uint32_t;
using UINT64 = uint64_t;
#ifndef CTL_CODE
#define CTL_CODE(type, function, method, access)                                                   \
    ((type) << 16 | (access) << 14 | (function) << 2 | (method))
#endif
#ifndef _MSC_VER
#define _Static_assert static_assert
#endif
#include <ntswift/repl.h>

namespace nts
{

namespace
{

/* A listing may be longer than a write. */
constexpr uint32_t max_listing = 0x10000000;

/* Columns of the table that scan() fills, a row a record. */
enum Column : unsigned {
    column_at,     /* offset in the buffer */
    column_length, /* of all */
    column_type,
    column_flags,
    column_sequence,
    column_set,
    column_name_length,
    column_data_length,
    column_offset,
    column_range,
    column_bracket,
    column_epoch,
    stride
};

/* Why a scan stopped; the words are in record.ts. */
enum Stop : uint32_t {
    stop_end,       /* all bytes were whole records */
    stop_table,     /* the table is full */
    stop_truncated, /* more bytes are needed */
    stop_magic,
    stop_length,
    stop_header_checksum,
    stop_data_checksum,
    stop_padding,
    stop_number /* a number beyond 2^53 - 1, which JavaScript does not count to */
};

constexpr uint32_t padded(uint32_t bytes)
{
    return (bytes + 7) & ~7u;
}

bool tail_is_zero(const uint8_t *start, uint32_t length)
{
    for (uint32_t i = length; i < padded(length); i++)
        if (start[i] != 0)
            return false;
    return true;
}

bool countable(uint64_t value)
{
    return value <= (uint64_t{1} << 53) - 1;
}

/* The CRC of the header as if State and HeaderChecksum were 0, and of the name. */
uint32_t header_checksum(const REPL_RECORD &header, const uint8_t *name)
{
    REPL_RECORD copy = header;
    copy.State = 0;
    copy.HeaderChecksum = 0;
    return crc32c(crc32c(0, &copy, sizeof(copy)), name, header.NameLength);
}

/* The record at `memory`. *length is set as soon as the frame is known, also where it is broken. */
Stop check(const uint8_t *memory, size_t available, REPL_RECORD &record, uint32_t &length)
{
    length = 0;
    if (available < 8)
        return stop_truncated;
    std::memcpy(&record, memory, 8);
    if (record.Magic != REPL_RECORD_MAGIC)
        return stop_magic;
    if (record.Length == 8) { /* the smallest pad */
        record.Type = ReplRecordPad;
        length = 8;
        return stop_end;
    }
    if (record.Length == 0 || record.Length % 8 != 0)
        return stop_length;
    if (available < 16)
        return stop_truncated;
    std::memcpy(&record, memory, 16);
    if (record.Type == ReplRecordPad) {
        if (record.Length > REPL_MAX_RING)
            return stop_length;
        if (record.Flags != 0 || record.State != 0)
            return stop_padding;
        if (available < record.Length)
            return stop_truncated;
        length = record.Length;
        return stop_end;
    }
    if (record.Length < sizeof(record))
        return stop_length;
    if (available < sizeof(record))
        return stop_truncated;
    std::memcpy(&record, memory, sizeof(record));
    uint32_t most = record.Type == ReplRecordFolder ? max_listing : REPL_MAX_DATA;
    if (record.NameLength > REPL_MAX_NAME_BYTES || record.DataLength > most ||
        record.Length != sizeof(record) + padded(record.NameLength) + padded(record.DataLength))
        return stop_length;
    if (available < record.Length)
        return stop_truncated;
    length = record.Length;
    const uint8_t *name = memory + sizeof(record);
    const uint8_t *data = name + padded(record.NameLength);
    if (header_checksum(record, name) != record.HeaderChecksum)
        return stop_header_checksum;
    if (crc32c(0, data, record.DataLength) != record.DataChecksum)
        return stop_data_checksum;
    if (record.State != 0 || record.Reserved != 0 || !tail_is_zero(name, record.NameLength) ||
        !tail_is_zero(data, record.DataLength))
        return stop_padding;
    if (!countable(record.Sequence) || !countable(record.Epoch) || !countable(record.Bracket) ||
        !countable(record.Offset) || !countable(record.Range))
        return stop_number;
    return stop_end;
}

/*
 * scan(bytes, table: Float64Array): fills a row a record, pads left out, and returns
 * [rows, bytes that are whole records, why it stopped].
 */
Napi::Value scan(const Napi::CallbackInfo &info)
{
    auto bytes = info[0].As<Napi::Uint8Array>();
    auto table = info[1].As<Napi::Float64Array>();
    const uint8_t *memory = bytes.Data();
    size_t total = bytes.ByteLength(), at = 0, rows = 0;
    size_t room = table.ElementLength() / stride;
    double *row = table.Data();
    Stop stop = stop_end;
    while (at < total) {
        REPL_RECORD record{};
        uint32_t length = 0;
        stop = check(memory + at, total - at, record, length);
        if (stop != stop_end)
            break;
        if (record.Type != ReplRecordPad) {
            if (rows == room) {
                stop = stop_table;
                break;
            }
            row[column_at] = static_cast<double>(at);
            row[column_length] = record.Length;
            row[column_type] = record.Type;
            row[column_flags] = record.Flags;
            row[column_sequence] = static_cast<double>(record.Sequence);
            row[column_set] = record.SetId;
            row[column_name_length] = record.NameLength;
            row[column_data_length] = record.DataLength;
            row[column_offset] = static_cast<double>(record.Offset);
            row[column_range] = static_cast<double>(record.Range);
            row[column_bracket] = static_cast<double>(record.Bracket);
            row[column_epoch] = static_cast<double>(record.Epoch);
            row += stride;
            rows++;
        }
        at += length;
    }
    auto result = Napi::Array::New(info.Env(), 3);
    result[0u] = Napi::Number::New(info.Env(), static_cast<double>(rows));
    result[1u] = Napi::Number::New(info.Env(), static_cast<double>(at));
    result[2u] = Napi::Number::New(info.Env(), stop);
    return result;
}

Napi::Value checksum(const Napi::CallbackInfo &info)
{
    auto bytes = info[0].As<Napi::Uint8Array>();
    uint32_t seed = info[1].IsNumber() ? info[1].As<Napi::Number>().Uint32Value() : 0;
    return Napi::Number::New(info.Env(), crc32c(seed, bytes.Data(), bytes.ByteLength()));
}

} // namespace

Napi::Object records_module(Napi::Env env)
{
    Napi::Object module = Napi::Object::New(env);
    module.Set("crc32c", Napi::Function::New(env, checksum, "crc32c"));
    module.Set("scan", Napi::Function::New(env, scan, "scan"));
    module.Set("stride", Napi::Number::New(env, stride));
    return module;
}

} // namespace nts
