/*
 * What the two formats have in common, and what the unwinder needs to know of a loaded image.
 *
 * Images live in a fixed table that is never freed, so image_of() may walk it at any IRQL, beside
 * loads and unloads: a slot's range is published last and withdrawn first. Loads and unloads
 * exclude each other by one mutex.
 */
#pragma once
#include <nthost/loader.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum image_kind { IMAGE_ELF, IMAGE_PE };

struct image_section {
    uint32_t start, bytes; /* offsets from the base, whole pages */
    int protection;        /* PROT_* */
    bool discardable, pageable;
};

#define IMAGE_MAX_SECTIONS 96

struct nt_image {
    _Atomic uintptr_t base; /* 0: free slot */
    _Atomic size_t size;
    enum image_kind kind;
    char name[64]; /* file name without its extension */
    char path[512];
    PDRIVER_INITIALIZE entry;
    const char **imports; /* names in the export table */
    unsigned import_count, import_room;
    /* PE */
    uint32_t function_table, function_table_bytes; /* .pdata: offset from the base */
    unsigned section_count;
    struct image_section sections[IMAGE_MAX_SECTIONS];
    /* ELF */
    void *module;
    int private_copy; /* descriptor of a memory file, or -1 */
};

struct image_error {
    char *text;
    size_t size;
};
/* Writes the message; false, so that a check can end with `return image_fail(...)`. */
bool image_fail(const struct image_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* While it is loaded: one more import. False: no memory. */
bool image_note_import(struct nt_image *image, const char *name);

/* Both fill base, size, entry and what is theirs; false and a message if they refuse the file. */
bool pe_load(struct nt_image *image, const uint8_t *file, size_t bytes,
             const struct image_error *error);
void pe_unload(struct nt_image *image);
bool elf_load(struct nt_image *image, const uint8_t *file, size_t bytes,
              const struct image_error *error);
void elf_unload(struct nt_image *image);

/* The integer registers in their UNWIND_INFO order: rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15. */
struct pe_context {
    uint64_t rip;
    uint64_t registers[16];
    uint32_t known; /* bit mask */
};
#define PE_RSP 4
#define PE_RBP 5

/* image_backtrace() from where a signal interrupted a thread, that place included. */
unsigned image_backtrace_of(const struct pe_context *context, void **frames, unsigned count);

/* One frame outwards. False: no sense can be made of the frame. Reads the stack only below limit.
 */
bool pe_unwind(const struct nt_image *image, struct pe_context *context, uint64_t limit);
