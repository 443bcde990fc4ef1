/*
 * What a loaded PE image's memory is like: sections' protections, INIT gone after DriverEntry, and
 * the security cookie, for which a load configuration is grafted onto the test driver's image.
 */
#include <nthost/loader.h>
#include "loadtest.h"
#include "pe_format.h"
#include "tap.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* "r-xp" of the page at an address; "" if nothing is there. */
static void protection_of(uintptr_t address, char out[5])
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    memset(out, 0, 5);
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        unsigned long start, end;
        char flags[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, flags) == 3 && address >= start &&
            address < end)
            snprintf(out, 5, "%s", flags);
    }
    if (maps != NULL)
        fclose(maps);
}

NT_TEST(no_page_is_writable_and_executable)
{
    char error[512], flags[5] = "";
    PDRIVER_OBJECT driver;
    tap_start(NT_DETERMINISTIC, tap_seed());
    need(NT_SUCCESS(driver_load("guarded", driver_path("loadtest"), &driver, error, sizeof(error))),
         "%s", error);
    uintptr_t base = (uintptr_t)driver->DriverStart;
    unsigned executable = 0, writable = 0, hidden = 0;
    for (uintptr_t at = base; at < base + driver->DriverSize; at += PAGE_SIZE) {
        protection_of(at, flags);
        executable += flags[2] == 'x';
        writable += flags[1] == 'w';
        hidden += flags[0] == '-';
        if (!ok(flags[1] != 'w' || flags[2] != 'x', "page 0x%lx is %s", at - base, flags))
            break;
    }
    ok(executable != 0 && writable != 0);
    if (tap_drivers_pe()) {
        /* DriverEntry was in INIT. */
        protection_of((uintptr_t)driver->DriverInit, flags);
        is_str(flags, "---p");
        ok(hidden != 0);
    }
    is_status(driver_unload(driver), STATUS_SUCCESS);
    nt_stop();
}

static uint32_t get32(const uint8_t *bytes, size_t at)
{
    uint32_t value;
    memcpy(&value, bytes + at, 4);
    return value;
}

/* The image with a load configuration in the slack of .data, whose cookie is the compiler's. */
static uint8_t *graft(size_t *size, uint32_t *cookie)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof(path), "%s/loadtest.sys", NTS_DRIVER_DIR);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0)
        return NULL;
    *size = (size_t)st.st_size;
    uint8_t *file = malloc(*size);
    bool whole = file != NULL && read(fd, file, *size) == (ssize_t)*size;
    close(fd);
    if (!whole) {
        free(file);
        return NULL;
    }
    struct pe_headers h;
    uint32_t at = get32(file, 60);
    memcpy(&h, file + at, sizeof(h));
    size_t sections = at + 24u + h.optional_header_bytes;
    size_t directories = at + sizeof(h);
    for (unsigned i = 0; i < h.section_count; i++) {
        struct pe_section s;
        size_t where = sections + i * sizeof(s);
        memcpy(&s, file + where, sizeof(s));
        uint64_t value = PE_DEFAULT_COOKIE;
        if (strcmp(s.name, ".data") == 0) {
            uint32_t config = s.address + 0x100, bytes = PE_LOAD_CONFIG_COOKIE + 8;
            *cookie = s.address + 0x80;
            memcpy(file + s.raw_offset + 0x80, &value, 8);
            value = h.image_base + *cookie;
            memcpy(file + s.raw_offset + 0x100, &bytes, 4);
            memcpy(file + s.raw_offset + 0x100 + PE_LOAD_CONFIG_COOKIE, &value, 8);
            s.virtual_bytes = s.raw_bytes;
            struct pe_directory dir = {config, bytes};
            memcpy(file + directories + PE_DIRECTORY_LOAD_CONFIG * sizeof(dir), &dir, sizeof(dir));
            memcpy(file + where, &s, sizeof(s));
        }
    }
    /* One more relocation, for the pointer to the cookie. */
    for (unsigned i = 0; i < h.section_count; i++) {
        struct pe_section s;
        struct pe_directory dir;
        memcpy(&s, file + sections + i * sizeof(s), sizeof(s));
        memcpy(&dir, file + directories + PE_DIRECTORY_RELOCATION * sizeof(dir), sizeof(dir));
        if (s.address != dir.address)
            continue;
        struct pe_relocation_block block = {(*cookie + 0x80) & ~0xfffu, sizeof(block) + 4};
        uint16_t entries[2] = {(uint16_t)(PE_RELOCATION_DIR64 << 12 |
                                          ((*cookie + 0x80 + PE_LOAD_CONFIG_COOKIE) & 0xfff)),
                               0};
        memcpy(file + s.raw_offset + dir.bytes, &block, sizeof(block));
        memcpy(file + s.raw_offset + dir.bytes + sizeof(block), entries, sizeof(entries));
        dir.bytes += block.bytes;
        memcpy(file + directories + PE_DIRECTORY_RELOCATION * sizeof(dir), &dir, sizeof(dir));
        s.virtual_bytes = s.raw_bytes;
        memcpy(file + sections + i * sizeof(s), &s, sizeof(s));
    }
    uint32_t sum = 0, checksum = at + (uint32_t)offsetof(struct pe_headers, checksum);
    memset(file + checksum, 0, 4);
    for (size_t i = 0; i < *size; i += 2) {
        sum += file[i] | (i + 1 < *size ? (uint32_t)file[i + 1] << 8 : 0);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum += (uint32_t)*size;
    memcpy(file + checksum, &sum, 4);
    return file;
}

NT_TEST(the_security_cookie_is_random)
{
    char path[64], error[512];
    size_t size = 0, bytes;
    uint32_t offset = 0;
    uint64_t cookies[2] = {0};
    uint8_t *file = graft(&size, &offset);
    need(file != NULL);
    int fd = memfd_create("cookie", 0);
    ok(fd >= 0 && write(fd, file, size) == (ssize_t)size);
    free(file);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    for (unsigned i = 0; i < 2; i++) {
        void *base;
        struct nt_image *image = image_load(path, error, sizeof(error));
        need(image != NULL, "%s", error);
        image_extent(image, &base, &bytes);
        memcpy(&cookies[i], (const uint8_t *)base + offset, 8);
        ok(cookies[i] != PE_DEFAULT_COOKIE && cookies[i] != 0 && cookies[i] >> 48 == 0);
        image_unload(image);
    }
    ok(cookies[0] != cookies[1]);
    close(fd);
}
