/* The table of loaded images; see image.h. */
#include "image.h"
#include <errno.h>
#include <fcntl.h>
#include <nthost/export.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_IMAGES     64
#define MAX_FILE_BYTES (256u << 20)

static struct nt_image images[MAX_IMAGES];
static bool taken[MAX_IMAGES];
static pthread_mutex_t images_mutex = PTHREAD_MUTEX_INITIALIZER;

bool image_fail(const struct image_error *error, const char *format, ...)
{
    va_list list;
    if (error->text == NULL || error->size == 0)
        return false;
    size_t used = strlen(error->text); /* "<path>: " */
    va_start(list, format);
    vsnprintf(error->text + used, error->size - used, format, list);
    va_end(list);
    return false;
}

static uint8_t *read_file(const char *path, size_t *bytes, const struct image_error *error)
{
    struct stat st;
    uint8_t *file = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        image_fail(error, "%s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        image_fail(error, "not a file");
    } else if (st.st_size < 4 || st.st_size > MAX_FILE_BYTES) {
        image_fail(error, "%lld bytes are not a driver image", (long long)st.st_size);
    } else if ((file = malloc((size_t)st.st_size)) == NULL) {
        image_fail(error, "no memory");
    } else {
        *bytes = 0;
        while (*bytes < (size_t)st.st_size) {
            ssize_t n = read(fd, file + *bytes, (size_t)st.st_size - *bytes);
            if (n <= 0) {
                image_fail(error, "%s", n ? strerror(errno) : "the file shrank");
                free(file);
                file = NULL;
                break;
            }
            *bytes += (size_t)n;
        }
    }
    if (fd >= 0)
        close(fd);
    return file;
}

static void set_name(struct nt_image *image, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(image->path, sizeof(image->path), "%s%s", slash ? "" : "./", path);
    snprintf(image->name, sizeof(image->name), "%s", slash ? slash + 1 : path);
    char *dot = strrchr(image->name, '.');
    if (dot != NULL)
        *dot = 0;
}

bool image_note_import(struct nt_image *image, const char *name)
{
    if (image->import_count == image->import_room) {
        unsigned room = image->import_room ? 2 * image->import_room : 64;
        const char **grown = realloc(image->imports, room * sizeof(*grown));
        if (grown == NULL)
            return false;
        image->imports = grown;
        image->import_room = room;
    }
    image->imports[image->import_count++] = nt_export_any(name)->name;
    return true;
}

static void forget_imports(struct nt_image *image)
{
    free(image->imports);
    image->imports = NULL;
    image->import_count = image->import_room = 0;
}

/* The range is published last: image_of() must not see a half-filled slot. */
static bool load_into(struct nt_image *image, const char *path, const uint8_t *file, size_t bytes,
                      const struct image_error *error)
{
    static const uint8_t elf_magic[4] = {0x7f, 'E', 'L', 'F'};
    memset(image, 0, sizeof(*image));
    set_name(image, path);
    if (memcmp(file, elf_magic, sizeof(elf_magic)) == 0) {
        image->kind = IMAGE_ELF;
        return elf_load(image, file, bytes, error);
    }
    if (file[0] == 'M' && file[1] == 'Z') {
        image->kind = IMAGE_PE;
        return pe_load(image, file, bytes, error);
    }
    return image_fail(error, "neither ELF nor PE");
}

struct nt_image *image_load(const char *path, char *text, size_t text_size)
{
    struct image_error error = {text, text_size};
    struct nt_image *image = NULL;
    size_t bytes = 0;
    if (text != NULL && text_size != 0)
        snprintf(text, text_size, "%s: ", path);
    if (strlen(path) + 3 > sizeof(image->path)) {
        image_fail(&error, "the path is too long");
        return NULL;
    }
    uint8_t *file = read_file(path, &bytes, &error);
    if (file == NULL)
        return NULL;
    pthread_mutex_lock(&images_mutex);
    unsigned slot = 0;
    while (slot < MAX_IMAGES && taken[slot])
        slot++;
    if (slot == MAX_IMAGES) {
        image_fail(&error, "%u images are loaded already", MAX_IMAGES);
    } else if (load_into(&images[slot], path, file, bytes, &error)) {
        taken[slot] = true;
        image = &images[slot];
    } else {
        forget_imports(&images[slot]);
    }
    pthread_mutex_unlock(&images_mutex);
    free(file);
    if (image != NULL && text != NULL && text_size != 0)
        text[0] = 0;
    return image;
}

void image_unload(struct nt_image *image)
{
    pthread_mutex_lock(&images_mutex);
    if (image->kind == IMAGE_PE)
        pe_unload(image);
    else
        elf_unload(image);
    forget_imports(image);
    taken[image - images] = false;
    pthread_mutex_unlock(&images_mutex);
}

const struct nt_image *image_of(const void *address)
{
    for (unsigned i = 0; i < MAX_IMAGES; i++) {
        uintptr_t base = atomic_load_explicit(&images[i].base, memory_order_acquire);
        if (base != 0 &&
            (uintptr_t)address - base < atomic_load_explicit(&images[i].size, memory_order_relaxed))
            return &images[i];
    }
    return NULL;
}

PDRIVER_INITIALIZE image_entry(const struct nt_image *image)
{
    return image->entry;
}

const char *image_import(const struct nt_image *image, unsigned index)
{
    return index < image->import_count ? image->imports[index] : NULL;
}

const char *image_name(const struct nt_image *image)
{
    return image->name;
}

void image_extent(const struct nt_image *image, void **base, size_t *bytes)
{
    *base = (void *)atomic_load(&image->base);
    *bytes = atomic_load(&image->size);
}
