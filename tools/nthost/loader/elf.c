/*
 * ELF modules, loaded by the system's dynamic loader and held to the rules of PE drivers: every
 * undefined name must be an export of this host (or of the compiler's runtime), so a module that
 * calls into the C library or into the host's insides is refused here as its PE twin would be.
 *
 * The dynamic loader gives the same file once only; a second instance is loaded from a private copy
 * in memory. The file in the folder itself is preferred, because debuggers and sanitizers find it.
 */
#include "image.h"
#include <nthost/export.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool inside(uint64_t offset, uint64_t bytes, uint64_t size)
{
    return offset <= size && bytes <= size - offset;
}

/* C library functions that compilers call by themselves, and the sanitizers' runtime. */
static bool is_runtime_name(const char *name)
{
    static const char *const names[] = {"memcpy",          "memmove",        "memset",
                                        "memcmp",          "__cxa_finalize", "__gmon_start__",
                                        "__stack_chk_fail"};
    static const char *const prefixes[] = {
        "__asan_", "__tsan_", "__ubsan_", "__sanitizer_", "__sancov_", "__odr_asan_gen_", "_ITM_"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool check_undefined(struct nt_image *image, const uint8_t *file, size_t bytes,
                            const Elf64_Shdr *table, const Elf64_Shdr *strings,
                            const struct image_error *error)
{
    char missing[384] = "";
    if (!inside(table->sh_offset, table->sh_size, bytes) ||
        !inside(strings->sh_offset, strings->sh_size, bytes) || strings->sh_size == 0 ||
        file[strings->sh_offset + strings->sh_size - 1] != 0)
        return image_fail(error, "the dynamic symbol table lies outside the file");
    for (uint64_t i = 1; i < table->sh_size / sizeof(Elf64_Sym); i++) {
        Elf64_Sym symbol;
        memcpy(&symbol, file + table->sh_offset + i * sizeof(symbol), sizeof(symbol));
        if (symbol.st_shndx != SHN_UNDEF || symbol.st_name >= strings->sh_size)
            continue;
        const char *name = (const char *)file + strings->sh_offset + symbol.st_name;
        if (nt_export_any(name) != NULL) {
            if (!image_note_import(image, name))
                return image_fail(error, "no memory");
        } else if (!is_runtime_name(name) && strlen(missing) + strlen(name) + 8 < sizeof(missing))
            sprintf(missing + strlen(missing), "%s%s", missing[0] ? ", " : "", name);
    }
    return missing[0] == 0 || image_fail(error, "unresolved: %s", missing);
}

static bool check_file(struct nt_image *image, const uint8_t *file, size_t bytes,
                       const struct image_error *error)
{
    Elf64_Ehdr header;
    if (bytes < sizeof(header))
        return image_fail(error, "too short for an ELF file");
    memcpy(&header, file, sizeof(header));
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN ||
        header.e_machine != EM_X86_64)
        return image_fail(error, "not an x86-64 ELF module");
    if (header.e_shentsize != sizeof(Elf64_Shdr) ||
        !inside(header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr), bytes))
        return image_fail(error, "the section headers lie outside the file");
    for (unsigned i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr table, strings;
        memcpy(&table, file + header.e_shoff + i * sizeof(table), sizeof(table));
        if (table.sh_type != SHT_DYNSYM)
            continue;
        if (table.sh_link >= header.e_shnum)
            return image_fail(error, "the dynamic symbol table has no names");
        memcpy(&strings, file + header.e_shoff + table.sh_link * sizeof(strings), sizeof(strings));
        return check_undefined(image, file, bytes, &table, &strings, error);
    }
    return image_fail(error, "no dynamic symbol table");
}

static void *open_copy(struct nt_image *image, const uint8_t *file, size_t bytes)
{
    char path[64];
    image->private_copy = memfd_create(image->name, MFD_CLOEXEC);
    if (image->private_copy < 0)
        return NULL;
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(image->private_copy, file + done, bytes - done);
        if (n <= 0)
            return NULL;
        done += (size_t)n;
    }
    /* With the process id rather than "self": debuggers and symbolizers read it from outside. */
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), image->private_copy);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

struct extent {
    const struct link_map *map;
    uintptr_t low, high;
};

static int find_extent(struct dl_phdr_info *info, size_t bytes, void *context)
{
    struct extent *extent = context;
    (void)bytes;
    if (info->dlpi_addr != extent->map->l_addr || strcmp(info->dlpi_name, extent->map->l_name) != 0)
        return 0;
    extent->low = UINTPTR_MAX;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_LOAD)
            continue;
        if (start < extent->low)
            extent->low = start & ~(uintptr_t)4095;
        if (start + header->p_memsz > extent->high)
            extent->high = (start + header->p_memsz + 4095) & ~(uintptr_t)4095;
    }
    return 1;
}

static bool close_failed(struct nt_image *image)
{
    if (image->module != NULL)
        dlclose(image->module);
    if (image->private_copy >= 0)
        close(image->private_copy);
    return false;
}

bool elf_load(struct nt_image *image, const uint8_t *file, size_t bytes,
              const struct image_error *error)
{
    struct extent extent = {0};
    image->private_copy = -1;
    if (!check_file(image, file, bytes, error))
        return false;
    void *already = dlopen(image->path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (already != NULL) {
        dlclose(already);
        image->module = open_copy(image, file, bytes);
    } else {
        image->module = dlopen(image->path, RTLD_NOW | RTLD_LOCAL);
    }
    if (image->module == NULL) {
        const char *why = dlerror();
        image_fail(error, "%s", why ? why : strerror(errno));
        return close_failed(image);
    }
    image->entry = (PDRIVER_INITIALIZE)(uintptr_t)dlsym(image->module, "FxDriverEntry");
    if (image->entry == NULL)
        image->entry = (PDRIVER_INITIALIZE)(uintptr_t)dlsym(image->module, "DriverEntry");
    if (image->entry == NULL) {
        image_fail(error, "no DriverEntry");
        return close_failed(image);
    }
    if (dlinfo(image->module, RTLD_DI_LINKMAP, &extent.map) != 0 ||
        dl_iterate_phdr(find_extent, &extent) == 0) {
        image_fail(error, "the dynamic loader does not say where the module is");
        return close_failed(image);
    }
    atomic_store(&image->size, extent.high - extent.low);
    atomic_store(&image->base, extent.low);
    return true;
}

void elf_unload(struct nt_image *image)
{
    atomic_store(&image->base, 0);
    dlclose(image->module);
    if (image->private_copy >= 0)
        close(image->private_copy);
}
