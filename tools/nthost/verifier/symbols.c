/*
 * Names of functions, out of the symbol tables of the host's executable and of ELF drivers:
 * dladdr() knows exported names only, and most of the host's functions are static. Read when
 * something is reported, never before; the last files stay mapped for the next address.
 */
#include "symbols.h"
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 16

static struct file {
    char path[512];
    const uint8_t *data; /* NULL: cannot be read */
    size_t bytes;
} files[MAX_FILES];
static unsigned file_count;

static const struct file *open_file(const char *path)
{
    for (unsigned i = 0; i < file_count && i < MAX_FILES; i++) {
        if (!strcmp(files[i].path, path))
            return &files[i];
    }
    struct file *file = &files[file_count++ % MAX_FILES];
    struct stat status;
    if (file->data)
        munmap((void *)(uintptr_t)file->data, file->bytes);
    file->data = NULL;
    snprintf(file->path, sizeof file->path, "%s", path);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0 && !fstat(descriptor, &status) &&
        (size_t)status.st_size >= sizeof(Elf64_Ehdr)) {
        void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data != MAP_FAILED) {
            file->data = data;
            file->bytes = (size_t)status.st_size;
        }
    }
    if (descriptor >= 0)
        close(descriptor);
    return file;
}

/* A section's contents, or NULL where the file lies about itself. */
static const void *contents(const struct file *file, const Elf64_Shdr *section)
{
    if (section->sh_offset > file->bytes || section->sh_size > file->bytes - section->sh_offset)
        return NULL;
    return file->data + section->sh_offset;
}

bool symbol_in_file(const char *path, uint64_t address, char *name, size_t size, uint64_t *offset)
{
    const struct file *file = open_file(path);
    if (!file || !file->data)
        return false;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)file->data;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_shentsize != sizeof(Elf64_Shdr) ||
        header->e_shoff > file->bytes ||
        header->e_shnum > (file->bytes - header->e_shoff) / sizeof(Elf64_Shdr))
        return false;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(file->data + header->e_shoff);
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum)
            continue;
        const Elf64_Sym *symbols = contents(file, &sections[i]);
        const char *names = contents(file, &sections[sections[i].sh_link]);
        size_t names_bytes = sections[sections[i].sh_link].sh_size;
        for (size_t k = 0; symbols && names && k < sections[i].sh_size / sizeof *symbols; k++) {
            const Elf64_Sym *symbol = &symbols[k];
            if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC ||
                address - symbol->st_value >= symbol->st_size || symbol->st_name >= names_bytes)
                continue;
            snprintf(name, size, "%.*s", (int)(names_bytes - symbol->st_name),
                     names + symbol->st_name);
            *offset = address - symbol->st_value;
            return true;
        }
    }
    return false;
}
