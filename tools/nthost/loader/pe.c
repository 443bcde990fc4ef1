/*
 * PE32+ drivers: what the Windows loader does to a .sys, with every field of the file distrusted.
 *
 * The file is checked whole before anything is mapped; the image is then built in private memory
 * (copy, relocate, bind, cookie) and only at the end gets its sections' protections. No page is
 * ever writable and executable: a section that asks for both is refused, as memory integrity
 * (HVCI) does on Windows 11. Imports come by name from the export table of this host alone.
 *
 * Reference: "PE Format", Microsoft Learn, windows/win32/debug/pe-format.
 */
#include "image.h"
#include "pe_format.h"
#include <nthost/export.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/random.h>

#define PAGE            4096u
#define MAX_IMAGE_BYTES (64u << 20)

extern char nt_chkstk[];
NT_EXPORT_AS(NTOSKRNL, __chkstk, nt_chkstk);

struct pe_file {
    const uint8_t *bytes;
    size_t size;
    struct pe_headers headers;
    struct pe_directory directories[PE_DIRECTORIES];
    size_t section_table; /* file offset */
    const struct image_error *error;
};

static bool inside(uint64_t offset, uint64_t bytes, uint64_t size)
{
    return offset <= size && bytes <= size - offset;
}

static uint32_t page_up(uint32_t bytes)
{
    return (bytes + PAGE - 1) & ~(PAGE - 1);
}

static struct pe_section section_at(const struct pe_file *file, unsigned index)
{
    struct pe_section section;
    memcpy(&section, file->bytes + file->section_table + index * sizeof(section), sizeof(section));
    return section;
}

/* The checksum of ImageHlp: ones' complement sum of 16-bit words, its own field as zero, plus size.
 */
static uint32_t checksum_of(const uint8_t *bytes, size_t size, size_t checksum_offset)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 2) {
        uint16_t word = bytes[i];
        if (i + 1 < size)
            word |= (uint16_t)(bytes[i + 1] << 8);
        if (i >= checksum_offset && i < checksum_offset + 4)
            word = 0;
        sum += word;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum + (uint32_t)size;
}

static bool read_headers(struct pe_file *file)
{
    struct pe_dos_header dos;
    const struct image_error *error = file->error;
    if (file->size < sizeof(dos))
        return image_fail(error, "too short for a PE file");
    memcpy(&dos, file->bytes, sizeof(dos));
    struct pe_headers *h = &file->headers;
    if (dos.header_offset % 8 != 0 || !inside(dos.header_offset, sizeof(*h), file->size))
        return image_fail(error, "the PE header lies outside the file");
    memcpy(h, file->bytes + dos.header_offset, sizeof(*h));
    if (h->signature != PE_SIGNATURE)
        return image_fail(error, "no PE signature");
    if (h->machine != PE_MACHINE_AMD64)
        return image_fail(error, "made for machine 0x%x, not x64 (0x8664)", h->machine);
    if (h->magic != PE_OPTIONAL_MAGIC)
        return image_fail(error, "not a PE32+ file (optional header 0x%x)", h->magic);
    if (!(h->characteristics & PE_FILE_EXECUTABLE_IMAGE) || (h->characteristics & PE_FILE_DLL))
        return image_fail(error, "not a driver image (characteristics 0x%x)", h->characteristics);
    if (h->characteristics & PE_FILE_RELOCS_STRIPPED)
        return image_fail(error, "relocations are stripped");
    if (h->subsystem != PE_SUBSYSTEM_NATIVE)
        return image_fail(error, "subsystem %u is not native (1)", h->subsystem);
    if (h->directory_count > PE_DIRECTORIES ||
        h->optional_header_bytes <
            sizeof(*h) - 24 + h->directory_count * sizeof(struct pe_directory))
        return image_fail(error, "the optional header is too short");
    size_t optional = dos.header_offset + 24u;
    size_t directories = dos.header_offset + sizeof(*h);
    file->section_table = optional + h->optional_header_bytes;
    size_t table_bytes = h->section_count * sizeof(struct pe_section);
    if (!inside(file->section_table, table_bytes, file->size) ||
        !inside(directories, h->directory_count * sizeof(struct pe_directory), file->size))
        return image_fail(error, "the section table lies outside the file");
    memcpy(file->directories, file->bytes + directories,
           h->directory_count * sizeof(struct pe_directory));

    if (h->section_alignment < PAGE || (h->section_alignment & (h->section_alignment - 1)) ||
        h->file_alignment < 16 || (h->file_alignment & (h->file_alignment - 1)) ||
        h->file_alignment > h->section_alignment)
        return image_fail(error, "alignment %u/%u of sections and file is not supported",
                          h->section_alignment, h->file_alignment);
    if (h->image_bytes == 0 || h->image_bytes > MAX_IMAGE_BYTES)
        return image_fail(error, "an image of %u bytes is not supported", h->image_bytes);
    if (h->header_bytes > h->image_bytes || !inside(0, h->header_bytes, file->size) ||
        file->section_table + table_bytes > h->header_bytes)
        return image_fail(error, "the header size is wrong");
    if (h->section_count == 0 || h->section_count > IMAGE_MAX_SECTIONS)
        return image_fail(error, "%u sections", h->section_count);
    if (h->checksum != checksum_of(file->bytes, file->size,
                                   dos.header_offset + offsetof(struct pe_headers, checksum)))
        return image_fail(error, "the checksum does not match (link with /release)");
    return true;
}

static bool check_sections(struct pe_file *file, struct nt_image *image)
{
    const struct pe_headers *h = &file->headers;
    const struct image_error *error = file->error;
    uint32_t next = page_up(h->header_bytes);
    for (unsigned i = 0; i < h->section_count; i++) {
        struct pe_section s = section_at(file, i);
        uint32_t bytes = s.virtual_bytes ? s.virtual_bytes : s.raw_bytes;
        if (s.address % h->section_alignment != 0 || s.address < next || bytes == 0 ||
            !inside(s.address, bytes, h->image_bytes))
            return image_fail(error, "section %.8s does not fit the image", s.name);
        if (s.raw_bytes != 0 && !inside(s.raw_offset, s.raw_bytes, file->size))
            return image_fail(error, "section %.8s lies outside the file", s.name);
        if (s.characteristics & PE_SECTION_SHARED)
            return image_fail(error, "section %.8s is shared", s.name);
        if ((s.characteristics & PE_SECTION_WRITE) && (s.characteristics & PE_SECTION_EXECUTE))
            return image_fail(error, "section %.8s is writable and executable", s.name);
        next = page_up(s.address + bytes);
        struct image_section *out = &image->sections[image->section_count++];
        out->start = s.address;
        out->bytes = next - s.address;
        out->protection = (s.characteristics & PE_SECTION_READ ? PROT_READ : PROT_NONE) |
                          (s.characteristics & PE_SECTION_WRITE ? PROT_WRITE : 0) |
                          (s.characteristics & PE_SECTION_EXECUTE ? PROT_EXEC : 0);
        out->discardable = (s.characteristics & PE_SECTION_DISCARDABLE) != 0;
        out->pageable = strncasecmp(s.name, "PAGE", 4) == 0;
    }
    static const enum pe_directory_index refused[] = {PE_DIRECTORY_TLS, PE_DIRECTORY_DELAY_IMPORT,
                                                      PE_DIRECTORY_CLR};
    static const char *const refused_names[] = {"thread-local storage", "delayed imports",
                                                "managed code"};
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (file->directories[refused[i]].address != 0)
            return image_fail(error, "%s in a driver", refused_names[i]);
    /* Part of the file that is not mapped; all the others are parts of the image. */
    file->directories[PE_DIRECTORY_SECURITY] = (struct pe_directory){0, 0};
    for (unsigned i = 0; i < PE_DIRECTORIES; i++)
        if (!inside(file->directories[i].address, file->directories[i].bytes, h->image_bytes))
            return image_fail(error, "data directory %u lies outside the image", i);
    return true;
}

static const struct image_section *section_of(const struct nt_image *image, uint32_t offset)
{
    for (unsigned i = 0; i < image->section_count; i++)
        if (offset - image->sections[i].start < image->sections[i].bytes)
            return &image->sections[i];
    return NULL;
}

static void copy_sections(const struct pe_file *file, uint8_t *base)
{
    memcpy(base, file->bytes, file->headers.header_bytes);
    for (unsigned i = 0; i < file->headers.section_count; i++) {
        struct pe_section s = section_at(file, i);
        uint32_t bytes = s.virtual_bytes ? s.virtual_bytes : s.raw_bytes;
        if (s.raw_bytes < bytes)
            bytes = s.raw_bytes;
        if (bytes != 0)
            memcpy(base + s.address, file->bytes + s.raw_offset, bytes);
    }
}

/* The tables are read from the image, which relocating changes: each field is read once. */
static bool relocate(const struct pe_file *file, uint8_t *base)
{
    const struct pe_directory *dir = &file->directories[PE_DIRECTORY_RELOCATION];
    const struct image_error *error = file->error;
    uint64_t delta = (uint64_t)(uintptr_t)base - file->headers.image_base;
    uint32_t at = dir->address, end = dir->address + dir->bytes;
    while (end - at >= sizeof(struct pe_relocation_block)) {
        struct pe_relocation_block block;
        memcpy(&block, base + at, sizeof(block));
        if (block.page == 0 && block.bytes == 0)
            break;
        if (block.bytes < sizeof(block) || block.bytes % 2 || block.bytes > end - at)
            return image_fail(error, "bad relocation block at 0x%x", at);
        for (uint32_t i = sizeof(block); i < block.bytes; i += 2) {
            uint16_t entry;
            memcpy(&entry, base + at + i, sizeof(entry));
            uint64_t target = (uint64_t)block.page + (entry & 0xfff), value;
            if (entry >> 12 == PE_RELOCATION_ABSOLUTE)
                continue;
            if (entry >> 12 != PE_RELOCATION_DIR64)
                return image_fail(error, "relocation type %u at 0x%x", entry >> 12, at + i);
            if (!inside(target, sizeof(value), file->headers.image_bytes) ||
                target < file->headers.header_bytes)
                return image_fail(error, "relocation at 0x%x leaves the sections", at + i);
            memcpy(&value, base + target, sizeof(value));
            value += delta;
            memcpy(base + target, &value, sizeof(value));
        }
        at += block.bytes;
    }
    return true;
}

/* A string inside the image, or NULL. */
static const char *string_at(const struct pe_file *file, const uint8_t *base, uint64_t offset)
{
    if (offset >= file->headers.image_bytes ||
        memchr(base + offset, 0, file->headers.image_bytes - offset) == NULL)
        return NULL;
    return (const char *)base + offset;
}

struct unresolved {
    char names[384];
    unsigned count;
};

static void note_unresolved(struct unresolved *missing, const char *module, const char *name)
{
    size_t used = strlen(missing->names);
    if (missing->count++ < 8)
        snprintf(missing->names + used, sizeof(missing->names) - used, "%s%s!%s", used ? ", " : "",
                 module, name);
}

static bool bind_module(struct nt_image *image, const struct pe_file *file, uint8_t *base,
                        const struct pe_import *import, const char *module,
                        struct unresolved *missing)
{
    uint32_t lookup = import->lookup_table ? import->lookup_table : import->address_table;
    for (uint32_t i = 0;; i += 8) {
        uint64_t thunk, slot = (uint64_t)import->address_table + i;
        if (!inside((uint64_t)lookup + i, 8, file->headers.image_bytes) ||
            !inside(slot, 8, file->headers.image_bytes) || slot < file->headers.header_bytes)
            return image_fail(file->error, "the import table of %.64s leaves the image", module);
        memcpy(&thunk, base + lookup + i, sizeof(thunk));
        if (thunk == 0)
            return true;
        if (thunk >> 63)
            return image_fail(file->error, "import of %.64s by ordinal %u", module,
                              (unsigned)(thunk & 0xffff));
        const char *name = string_at(file, base, thunk + 2);
        if (name == NULL)
            return image_fail(file->error, "an import name of %.64s leaves the image", module);
        void *address = nt_export_find(module, name);
        if (address == NULL) {
            note_unresolved(missing, module, name);
            continue;
        }
        memcpy(base + slot, &address, sizeof(address));
        if (!image_note_import(image, name))
            return image_fail(file->error, "no memory");
    }
}

static bool bind_imports(struct nt_image *image, const struct pe_file *file, uint8_t *base)
{
    const struct pe_directory *dir = &file->directories[PE_DIRECTORY_IMPORT];
    struct unresolved missing = {0};
    uint32_t at = dir->address;
    if (dir->bytes == 0)
        return true;
    for (;; at += sizeof(struct pe_import)) {
        struct pe_import import;
        if (!inside(at, sizeof(import), file->headers.image_bytes))
            return image_fail(file->error, "the import directory leaves the image");
        memcpy(&import, base + at, sizeof(import));
        if (import.name == 0 || import.address_table == 0)
            break;
        const char *module = string_at(file, base, import.name);
        if (module == NULL)
            return image_fail(file->error,
                              "a module name in the import directory leaves the image");
        if (!bind_module(image, file, base, &import, module, &missing))
            return false;
    }
    if (missing.count)
        return image_fail(file->error, "unresolved: %s%s", missing.names,
                          missing.count > 8 ? ", ..." : "");
    return true;
}

/* GS checks fail in a driver whose cookie is the compiler's default; the loader fills it in. */
static bool set_cookie(const struct pe_file *file, uint8_t *base)
{
    const struct pe_directory *dir = &file->directories[PE_DIRECTORY_LOAD_CONFIG];
    uint32_t bytes;
    uint64_t address, cookie;
    if (dir->address == 0 || !inside(dir->address, 4, file->headers.image_bytes))
        return true;
    memcpy(&bytes, base + dir->address, sizeof(bytes));
    if (bytes < PE_LOAD_CONFIG_COOKIE + 8 ||
        !inside(dir->address, PE_LOAD_CONFIG_COOKIE + 8, file->headers.image_bytes))
        return true;
    memcpy(&address, base + dir->address + PE_LOAD_CONFIG_COOKIE, sizeof(address));
    if (address == 0)
        return true;
    uint64_t offset = address - (uint64_t)(uintptr_t)base;
    if (!inside(offset, 8, file->headers.image_bytes) || offset < file->headers.header_bytes)
        return image_fail(file->error, "the security cookie lies outside the image");
    memcpy(&cookie, base + offset, sizeof(cookie));
    if (cookie == PE_DEFAULT_COOKIE) {
        if (getrandom(&cookie, sizeof(cookie), 0) != sizeof(cookie))
            cookie = (uint64_t)(uintptr_t)base ^ 0x9e3779b97f4a7c15ull;
        cookie &= 0x0000ffffffffffffull; /* as on Windows: the top half stays zero */
        cookie += cookie == PE_DEFAULT_COOKIE;
        memcpy(base + offset, &cookie, sizeof(cookie));
    }
    return true;
}

static bool check_exceptions(const struct pe_file *file, const uint8_t *base,
                             struct nt_image *image)
{
    const struct pe_directory *dir = &file->directories[PE_DIRECTORY_EXCEPTION];
    uint32_t previous = 0;
    if (dir->bytes % sizeof(struct pe_runtime_function) || dir->address % 4)
        return image_fail(file->error, "bad exception directory");
    for (uint32_t i = 0; i < dir->bytes; i += sizeof(struct pe_runtime_function)) {
        struct pe_runtime_function f;
        memcpy(&f, base + dir->address + i, sizeof(f));
        if (f.begin < previous || f.end <= f.begin || f.end > file->headers.image_bytes ||
            !inside(f.unwind_info, 4, file->headers.image_bytes) || f.unwind_info % 4)
            return image_fail(file->error, "bad exception directory entry %u", i / 12);
        previous = f.end;
    }
    image->function_table = dir->address;
    image->function_table_bytes = dir->bytes;
    return true;
}

static bool protect(const struct pe_file *file, uint8_t *base, const struct nt_image *image)
{
    bool done = mprotect(base, page_up(file->headers.image_bytes), PROT_NONE) == 0 &&
                mprotect(base, page_up(file->headers.header_bytes), PROT_READ) == 0;
    for (unsigned i = 0; done && i < image->section_count; i++)
        done = mprotect(base + image->sections[i].start, image->sections[i].bytes,
                        image->sections[i].protection) == 0;
    return done || image_fail(file->error, "mprotect: %s", strerror(errno));
}

bool pe_load(struct nt_image *image, const uint8_t *bytes, size_t size,
             const struct image_error *error)
{
    struct pe_file file = {.bytes = bytes, .size = size, .error = error};
    if (!read_headers(&file) || !check_sections(&file, image))
        return false;
    const struct image_section *code = section_of(image, file.headers.entry_point);
    if (file.headers.entry_point == 0 || code == NULL || !(code->protection & PROT_EXEC))
        return image_fail(error, "the entry point is not in executable code");
    size_t length = page_up(file.headers.image_bytes);
    uint8_t *base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return image_fail(error, "mmap: %s", strerror(errno));
    copy_sections(&file, base);
    if (!relocate(&file, base) || !bind_imports(image, &file, base) || !set_cookie(&file, base) ||
        !check_exceptions(&file, base, image) || !protect(&file, base, image)) {
        munmap(base, length);
        return false;
    }
    image->entry = (PDRIVER_INITIALIZE)(uintptr_t)(base + file.headers.entry_point);
    atomic_store(&image->size, length);
    atomic_store(&image->base, (uintptr_t)base);
    return true;
}

void pe_unload(struct nt_image *image)
{
    uintptr_t base = atomic_exchange(&image->base, 0);
    munmap((void *)base, atomic_load(&image->size));
}

void image_discard_init(struct nt_image *image)
{
    if (image->kind != IMAGE_PE)
        return;
    uintptr_t base = atomic_load(&image->base);
    for (unsigned i = 0; i < image->section_count; i++)
        if (image->sections[i].discardable)
            mprotect((void *)(base + image->sections[i].start), image->sections[i].bytes,
                     PROT_NONE);
}

bool image_is_pageable(const void *code)
{
    const struct nt_image *image = image_of(code);
    if (image == NULL || image->kind != IMAGE_PE)
        return false;
    const struct image_section *section =
        section_of(image, (uint32_t)((uintptr_t)code - atomic_load(&image->base)));
    return section != NULL && section->pageable;
}
