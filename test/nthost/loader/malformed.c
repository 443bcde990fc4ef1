/*
 * Malformed PE files: refused with a message, never a crash. Checksums are made right after each
 * mutation, except where the checksum is what is wrong, so that the later checks get their turn.
 */
#include <nthost/loader.h>
#include "pe_format.h"
#include "tap.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t *original, *copy;
static size_t size;
static int fd = -1;
static char path[64];

/* Always the PE build: this is about its format. */
static bool setup(void)
{
    struct stat st;
    if (original != NULL)
        return true;
    int file = open(tap_driver_path(NTS_DRIVER_DIR, "loadtest.sys"), O_RDONLY);
    if (file < 0) {
        char name[512];
        snprintf(name, sizeof(name), "%s/loadtest.sys", NTS_DRIVER_DIR);
        file = open(name, O_RDONLY);
    }
    if (file < 0 || fstat(file, &st) != 0)
        return false;
    size = (size_t)st.st_size;
    original = malloc(size);
    copy = malloc(size);
    bool done = read(file, original, size) == (ssize_t)size;
    close(file);
    fd = memfd_create("mutant", 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return done && fd >= 0;
}

static uint32_t headers_at(void)
{
    struct pe_dos_header dos;
    memcpy(&dos, original, sizeof(dos));
    return dos.header_offset;
}

static void fix_checksum(uint8_t *bytes, size_t length)
{
    uint32_t at = headers_at() + offsetof(struct pe_headers, checksum), sum = 0;
    if (length < at + 4)
        return;
    memset(bytes + at, 0, 4);
    for (size_t i = 0; i < length; i += 2) {
        sum += bytes[i] | (i + 1 < length ? (uint32_t)bytes[i + 1] << 8 : 0);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum += (uint32_t)length;
    memcpy(bytes + at, &sum, 4);
}

/* True if it loaded; `error` says why not. */
static bool try(const uint8_t *bytes, size_t length, char *error, size_t error_size)
{
    if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, length, 0) != (ssize_t)length)
        return false;
    struct nt_image *image = image_load(path, error, error_size);
    if (image != NULL)
        image_unload(image);
    return image != NULL;
}

static void put32(size_t at, uint32_t value)
{
    memcpy(copy + at, &value, 4);
}

static void put16(size_t at, uint16_t value)
{
    memcpy(copy + at, &value, 2);
}

static uint32_t get32(size_t at)
{
    uint32_t value;
    memcpy(&value, original + at, 4);
    return value;
}

static uint64_t random_state;

static uint32_t next_random(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % n;
}

static size_t section_header(unsigned index)
{
    struct pe_headers h;
    memcpy(&h, original + headers_at(), sizeof(h));
    return headers_at() + 24u + h.optional_header_bytes + index * sizeof(struct pe_section);
}

/* File offset of an address in the image. */
static size_t file_offset(uint32_t address)
{
    struct pe_headers h;
    memcpy(&h, original + headers_at(), sizeof(h));
    for (unsigned i = 0; i < h.section_count; i++) {
        struct pe_section s;
        memcpy(&s, original + section_header(i), sizeof(s));
        if (address - s.address < s.raw_bytes)
            return s.raw_offset + (address - s.address);
    }
    return 0;
}

static size_t directory(unsigned index)
{
    return headers_at() + sizeof(struct pe_headers) + index * sizeof(struct pe_directory);
}

#define HEADER(field)     (headers_at() + offsetof(struct pe_headers, field))
#define SECTION(i, field) (section_header(i) + offsetof(struct pe_section, field))

/* The copy as it was changed must be refused, and the message must say `because`. */
static void refused(const char *because)
{
    char error[1024];
    fix_checksum(copy, size);
    ok(!try(copy, size, error, sizeof(error)), "%s", because);
    ok(strstr(error, because) != NULL, "expected \"%s\", got \"%s\"", because, error);
    memcpy(copy, original, size);
}

NT_TEST(each_malformation_is_named)
{
    char error[1024];
    need(setup());
    memcpy(copy, original, size);
    ok(try(copy, size, error, sizeof(error)), "%s", error);

    copy[size - 1] ^= 1;
    ok(!try(copy, size, error, sizeof(error)));
    ok(strstr(error, "checksum") != NULL, "%s", error);
    memcpy(copy, original, size);

    put32(60, 0xfffffff0);
    ok(!try(copy, size, error, sizeof(error)));
    ok(strstr(error, "PE header lies outside") != NULL, "%s", error);
    memcpy(copy, original, size);

    put16(HEADER(machine), 0x14c);
    refused("machine 0x14c");
    put16(HEADER(magic), 0x10b);
    refused("not a PE32+");
    put16(HEADER(characteristics), 0x2022);
    refused("not a driver image");
    put16(HEADER(characteristics), 0x23);
    refused("relocations are stripped");
    put16(HEADER(subsystem), 3);
    refused("subsystem 3");
    put32(HEADER(directory_count), 17);
    refused("optional header is too short");
    put16(HEADER(section_count), 0);
    refused("0 sections");
    put16(HEADER(section_count), 0x7fff);
    refused("section table lies outside");
    put32(HEADER(section_alignment), 512);
    refused("alignment");
    put32(HEADER(file_alignment), 3);
    refused("alignment");
    put32(HEADER(image_bytes), 0x7fffffff);
    refused("bytes is not supported");
    put32(HEADER(header_bytes), 0x7fffffff);
    refused("header size");
    put32(HEADER(entry_point), 0);
    refused("entry point");
    put32(HEADER(entry_point), get32(SECTION(1, address)));
    refused("entry point");

    put32(SECTION(1, address), get32(SECTION(0, address)));
    refused("does not fit the image");
    put32(SECTION(0, virtual_bytes), 0xfffff000);
    refused("does not fit the image");
    put32(SECTION(0, raw_offset), 0xfffffe00);
    refused("lies outside the file");
    put32(SECTION(0, characteristics), 0xe0000020);
    refused("writable and executable");
    put32(SECTION(0, characteristics), 0x70000020);
    refused("is shared");

    put32(directory(PE_DIRECTORY_TLS), 0x1000);
    refused("thread-local storage");
    put32(directory(PE_DIRECTORY_DELAY_IMPORT), 0x1000);
    refused("delayed imports");
    put32(directory(PE_DIRECTORY_RELOCATION), 0x7fffffff);
    refused("directory 5 lies outside");

    size_t relocations = file_offset(get32(directory(PE_DIRECTORY_RELOCATION)));
    put32(relocations + 4, 7);
    refused("bad relocation block");
    put32(relocations + 4, 0x10000);
    refused("bad relocation block");
    put32(relocations, 0x7ffff000);
    refused("leaves the sections");
    put16(relocations + 8, 0x3000);
    refused("relocation type 3");

    size_t imports = file_offset(get32(directory(PE_DIRECTORY_IMPORT)));
    put32(imports + offsetof(struct pe_import, name), 0x7fffffff);
    refused("module name");
    put32(imports + offsetof(struct pe_import, address_table), 0x7ffffff8);
    refused("leaves the image");
    size_t lookup = file_offset(get32(imports + offsetof(struct pe_import, lookup_table)));
    put32(lookup + 4, 0x80000000);
    refused("by ordinal");
    put32(lookup, 0x7fffffff);
    refused("import name");
    size_t name = file_offset(get32(imports + offsetof(struct pe_import, name)));
    copy[name] = 'x';
    refused("unresolved: xtoskrnl.exe!");
    size_t function = file_offset(get32(lookup)) + 2;
    copy[function] = '_';
    refused("unresolved: ntoskrnl.exe!_");

    size_t functions = file_offset(get32(directory(PE_DIRECTORY_EXCEPTION)));
    put32(functions, 0x7fffffff);
    refused("exception directory");
    put32(directory(PE_DIRECTORY_EXCEPTION) + 4, 13);
    refused("exception directory");
}

NT_TEST(every_truncation_is_refused)
{
    char error[1024];
    need(setup());
    memcpy(copy, original, size);
    for (size_t length = 0; length < size; length++) {
        memcpy(copy, original, size);
        fix_checksum(copy, length);
        if (try(copy, length, error, sizeof(error))) {
            /* Only what is no part of any section may be missing. */
            fail("loaded with %zu of %zu bytes", length, size);
            return;
        }
    }
}

/* Random bytes at random places, most of them where the structure is. */
NT_TEST(random_mutations_never_crash)
{
    char error[1024];
    need(setup());
    size_t imports = file_offset(get32(directory(PE_DIRECTORY_IMPORT)));
    size_t relocations = file_offset(get32(directory(PE_DIRECTORY_RELOCATION)));
    size_t functions = file_offset(get32(directory(PE_DIRECTORY_EXCEPTION)));
    const size_t places[][2] = {{0, 1024},         {headers_at(), 400}, {imports - 64, 1024},
                                {relocations, 64}, {functions, 256},    {0, size}};
    unsigned loaded = 0, rounds = 20000;
    random_state = tap_seed() * 0x9e3779b97f4a7c15ull + 1;
    for (unsigned round = 0; round < rounds; round++) {
        memcpy(copy, original, size);
        unsigned changes = 1 + next_random(4);
        for (unsigned i = 0; i < changes; i++) {
            const size_t *place = places[next_random(6)];
            size_t at = place[0] + next_random((uint32_t)place[1]);
            if (at + 4 > size)
                continue;
            static const uint32_t values[] = {0,          1,          0x7fffffff, 0x80000000,
                                              0xffffffff, 0xfffff000, 0x1000,     0xffff};
            switch (next_random(4)) {
            case 0:
                copy[at] ^= (uint8_t)(1 << next_random(8));
                break;
            case 1:
                copy[at] = (uint8_t)next_random(256);
                break;
            case 2:
                put32(at & ~(size_t)3, values[next_random(8)]);
                break;
            default:
                put32(at & ~(size_t)3, next_random((uint32_t)size * 2));
                break;
            }
        }
        if (next_random(16) != 0)
            fix_checksum(copy, size);
        tap_at("round %u", round);
        error[0] = 0;
        if (try(copy, size, error, sizeof(error)))
            loaded++;
        else if (!ok(error[0] != 0, "no message"))
            break;
    }
    tap_at(NULL);
    diag("%u of %u mutants were still loadable", loaded, rounds);
    ok(loaded > 0 && rounds - loaded > rounds / 4);
    ok(try(original, size, error, sizeof(error)), "%s", error);
}
