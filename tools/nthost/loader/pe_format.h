/* The PE32+ file format as the Microsoft PE specification has it; only what a driver may contain.
 */
#pragma once
#include <stdint.h>

#define PE_DOS_MAGIC        0x5a4d     /* "MZ" */
#define PE_SIGNATURE        0x00004550 /* "PE\0\0" */
#define PE_MACHINE_AMD64    0x8664
#define PE_OPTIONAL_MAGIC   0x20b /* PE32+ */
#define PE_SUBSYSTEM_NATIVE 1

#define PE_FILE_RELOCS_STRIPPED  0x0001
#define PE_FILE_EXECUTABLE_IMAGE 0x0002
#define PE_FILE_DLL              0x2000

#define PE_SECTION_DISCARDABLE 0x02000000u
#define PE_SECTION_SHARED      0x10000000u
#define PE_SECTION_EXECUTE     0x20000000u
#define PE_SECTION_READ        0x40000000u
#define PE_SECTION_WRITE       0x80000000u

enum pe_directory_index {
    PE_DIRECTORY_EXPORT,
    PE_DIRECTORY_IMPORT,
    PE_DIRECTORY_RESOURCE,
    PE_DIRECTORY_EXCEPTION,
    PE_DIRECTORY_SECURITY,
    PE_DIRECTORY_RELOCATION,
    PE_DIRECTORY_DEBUG,
    PE_DIRECTORY_ARCHITECTURE,
    PE_DIRECTORY_GLOBAL_POINTER,
    PE_DIRECTORY_TLS,
    PE_DIRECTORY_LOAD_CONFIG,
    PE_DIRECTORY_BOUND_IMPORT,
    PE_DIRECTORY_IAT,
    PE_DIRECTORY_DELAY_IMPORT,
    PE_DIRECTORY_CLR,
    PE_DIRECTORY_RESERVED,
    PE_DIRECTORIES
};

struct pe_dos_header {
    uint16_t magic;
    uint8_t unused[58];
    uint32_t header_offset;
};

struct pe_directory {
    uint32_t address;
    uint32_t bytes;
};

struct pe_headers {
    uint32_t signature;
    uint16_t machine;
    uint16_t section_count;
    uint32_t time_stamp;
    uint32_t symbol_table;
    uint32_t symbol_count;
    uint16_t optional_header_bytes;
    uint16_t characteristics;
    /* optional header */
    uint16_t magic;
    uint8_t linker_major, linker_minor;
    uint32_t code_bytes, data_bytes, bss_bytes;
    uint32_t entry_point;
    uint32_t code_base;
    uint64_t image_base;
    uint32_t section_alignment;
    uint32_t file_alignment;
    uint16_t os_major, os_minor, image_major, image_minor, subsystem_major, subsystem_minor;
    uint32_t win32_version;
    uint32_t image_bytes;
    uint32_t header_bytes;
    uint32_t checksum;
    uint16_t subsystem;
    uint16_t dll_characteristics;
    uint64_t stack_reserve, stack_commit, heap_reserve, heap_commit;
    uint32_t loader_flags;
    uint32_t directory_count;
};
_Static_assert(sizeof(struct pe_headers) == 24 + 112, "PE32+ headers up to the data directories");

struct pe_section {
    char name[8];
    uint32_t virtual_bytes;
    uint32_t address;
    uint32_t raw_bytes;
    uint32_t raw_offset;
    uint32_t relocations, line_numbers;
    uint16_t relocation_count, line_number_count;
    uint32_t characteristics;
};
_Static_assert(sizeof(struct pe_section) == 40, "section header");

struct pe_import {
    uint32_t lookup_table;
    uint32_t time_stamp;
    uint32_t forwarder;
    uint32_t name;
    uint32_t address_table;
};

struct pe_relocation_block {
    uint32_t page;
    uint32_t bytes;
};
#define PE_RELOCATION_ABSOLUTE 0
#define PE_RELOCATION_DIR64    10

struct pe_runtime_function {
    uint32_t begin, end, unwind_info;
};

#define PE_LOAD_CONFIG_COOKIE 88 /* offset of the SecurityCookie pointer, for PE32+ */
#define PE_DEFAULT_COOKIE     0x00002b992ddfa232ull
