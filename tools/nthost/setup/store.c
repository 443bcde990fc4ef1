/* The driver store. See store.h. */
#include "store.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <nthost/io.h>
#include <nthost/registry.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DRIVER_PACKAGES "\\Registry\\Machine\\System\\DriverDatabase\\DriverPackages"
#define UNFINISHED      ".unfinished"

static char windows[512];  /* the host's folder of \SystemRoot; "" until needed */
static char temporary[64]; /* not "": to be removed at the end */

static bool make_folders(char *path)
{
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        bool made = !mkdir(path, 0755) || errno == EEXIST;
        *slash = '/';
        if (!made)
            return false;
    }
    return !mkdir(path, 0755) || errno == EEXIST;
}

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
    (void)stat, (void)kind, (void)where;
    return remove(path);
}

static bool remove_tree(const char *path)
{
    return !nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) || errno == ENOENT;
}

static bool open_store(void)
{
    const char *state = io_state_dir();
    if (*windows)
        return true;
    if (state) {
        snprintf(windows, sizeof windows, "%s/files/Windows", state);
        return true;
    }
    snprintf(temporary, sizeof temporary, "%s", "/tmp/nthost-store-XXXXXX");
    if (!mkdtemp(temporary)) {
        *temporary = 0;
        return false;
    }
    snprintf(windows, sizeof windows, "%s", temporary);
    return true;
}

static void repository_path(char *path, size_t size, const char *name, const char *suffix)
{
    snprintf(path, size, "%s/System32/DriverStore/FileRepository/%s%s", windows, name, suffix);
}

static int is_folder_name(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Folders of installs and removals that a crash cut short. */
static void remove_leftovers(void)
{
    char path[1024], key[512];
    struct dirent **entries;
    repository_path(path, sizeof path, "", "");
    int count = scandir(path, &entries, is_folder_name, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, DRIVER_PACKAGES "\\%s", entries[i]->d_name);
        if (!registry_key_exists(key)) {
            repository_path(path, sizeof path, entries[i]->d_name, "");
            remove_tree(path);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

void store_start(void)
{
    *windows = *temporary = 0;
    if (io_state_dir() && open_store())
        remove_leftovers();
}

void store_stop(void)
{
    if (*temporary)
        remove_tree(temporary);
    *windows = *temporary = 0;
}

const char *store_image_name(struct arena *arena, const char *name, const char *flavor)
{
    if (!flavor || !*flavor || !text_ends(name, ".sys"))
        return name;
    return arena_printf(arena, "%.*s%s", (int)strlen(name) - 4, name, flavor);
}

/* A file of that name in any case, as Windows would find it. */
static FILE *open_source(const char *folder, const char *name, char *path, size_t size)
{
    struct dirent **entries;
    snprintf(path, size, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file || errno != ENOENT)
        return file;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (!file && text_same(entries[i]->d_name, name)) {
            snprintf(path, size, "%s/%s", folder, entries[i]->d_name);
            file = fopen(path, "rb");
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (!file)
        errno = ENOENT;
    return file;
}

/* Copies an open file, durably, and takes its bytes into the hash. */
static bool copy_stream(FILE *from, const char *to, uint64_t *hash)
{
    unsigned char buffer[65536];
    size_t bytes;
    struct stat stat_buffer;
    if (fstat(fileno(from), &stat_buffer) || !S_ISREG(stat_buffer.st_mode)) {
        errno = EINVAL;
        return false;
    }
    FILE *out = fopen(to, "wb");
    if (!out)
        return false;
    bool good = true, more = true;
    while (good && more) {
        bytes = fread(buffer, 1, sizeof buffer, from);
        more = bytes == sizeof buffer;
        for (size_t i = 0; i < bytes; i++)
            *hash = (*hash ^ buffer[i]) * 0x100000001b3u;
        good = fwrite(buffer, 1, bytes, out) == bytes;
    }
    good = good && !ferror(from) && !fflush(out) && !fsync(fileno(out));
    return !fclose(out) && good;
}

static bool sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return false;
    bool good = !fsync(folder);
    close(folder);
    return good;
}

struct adding {
    const char *target;
    uint64_t hash;
    char *error;
    size_t error_size;
};

static bool add_file(struct adding *a, const char *folder, const char *subdir, const char *name)
{
    char from[1024], to[1024];
    snprintf(from, sizeof from, "%s%s%s", folder, *subdir ? "/" : "", subdir);
    snprintf(to, sizeof to, "%s%s%s", a->target, *subdir ? "/" : "", subdir);
    char source[1100], path[1100];
    FILE *file = open_source(from, name, source, sizeof source);
    if (!file) {
        snprintf(a->error, a->error_size, "cannot open %s: %s", source, strerror(errno));
        return false;
    }
    snprintf(path, sizeof path, "%s/%s", to, name);
    bool good = make_folders(to) && copy_stream(file, path, &a->hash);
    if (!good)
        snprintf(a->error, a->error_size, "cannot copy %s to the driver store: %s", source,
                 strerror(errno));
    fclose(file);
    return good;
}

bool store_add(const struct inf *inf, const struct package *package, const char *image_dir,
               const char *flavor, char name[128], char *error, size_t error_size)
{
    char building[1024], final[1024];
    const char *slash = strrchr(inf->path, '/'), *base = slash ? slash + 1 : inf->path;
    struct arena arena = {0};
    if (!open_store()) {
        snprintf(error, error_size, "cannot make a driver store: %s", strerror(errno));
        return false;
    }
    repository_path(building, sizeof building, base, UNFINISHED);
    if (!remove_tree(building) || !make_folders(building)) {
        snprintf(error, error_size, "cannot make %s: %s", building, strerror(errno));
        return false;
    }
    struct adding a = {
        .target = building, .hash = 0xcbf29ce484222325u, .error = error, .error_size = error_size};
    bool good = add_file(&a, inf->directory, "", base);
    for (unsigned i = 0; good && i < package->file_count; i++) {
        const struct package_file *file = &package->files[i];
        good = add_file(&a, image_dir ? image_dir : inf->directory, image_dir ? "" : file->folder,
                        store_image_name(&arena, file->name, flavor));
    }
    arena_free(&arena);

    snprintf(name, 128, "%.90s_amd64_%016llx", base, (unsigned long long)a.hash);
    repository_path(final, sizeof final, name, "");
    if (good && (!remove_tree(final) || rename(building, final))) {
        snprintf(error, error_size, "cannot make %s: %s", final, strerror(errno));
        good = false;
    }
    if (good) {
        repository_path(building, sizeof building, "", "");
        good = sync_folder(final) && sync_folder(building);
        if (!good)
            snprintf(error, error_size, "cannot write the driver store: %s", strerror(errno));
    } else {
        remove_tree(building);
    }
    return good;
}

bool store_remove(const char *name)
{
    char path[1024];
    repository_path(path, sizeof path, name, "");
    return *name && !strchr(name, '/') && remove_tree(path);
}

bool store_host_path(const char *nt_path, char *path, size_t size)
{
    static const char root[] = "\\SystemRoot\\";
    if (!*windows || !text_starts(nt_path, root))
        return false;
    int length = snprintf(path, size, "%s/%s", windows, nt_path + sizeof root - 1);
    for (char *t = path + strlen(windows); *t; t++)
        if (*t == '\\')
            *t = '/';
    return length > 0 && (size_t)length < size && !strstr(path, "/../");
}
