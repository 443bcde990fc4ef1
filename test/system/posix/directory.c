/* Listing folders. */
#define GROUP "readdir"
#include "suite.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* How often each of "0", "1", ... is listed; returns the number of others but "." and "..". */
static int count(DIR *folder, unsigned char *counts, unsigned limit)
{
    int others = 0;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char *end;
        unsigned long number = strtoul(entry->d_name, &end, 10);
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (*end == 0 && number < limit)
            counts[number]++;
        else
            others++;
    }
    return others;
}

static void make_numbered(unsigned from, unsigned to)
{
    char name[32];
    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof(name), "d/%u", i);
        passes(close((int)passes(open(name, O_CREAT | O_WRONLY, 0644))));
    }
}

TEST(lists_dots_in_an_empty_folder)
{
    make_folder("d", 0755);
    DIR *folder = opendir("d");
    struct dirent *entry;
    int dots = 0;
    while ((entry = readdir(folder)) != NULL) {
        check(strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
        is(entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN, true);
        dots++;
    }
    is(dots, 2);
    closedir(folder);
}

TEST(tells_kind_and_inode)
{
    make_folder("d", 0755);
    make_file("d/file", 0644);
    make_folder("d/folder", 0755);
    passes(symlink("x", "d/link"));
    passes(mkfifo("d/fifo", 0600));
    DIR *folder = opendir("d");
    struct dirent *entry;
    int seen = 0;
    while ((entry = readdir(folder)) != NULL) {
        char path[300];
        snprintf(path, sizeof(path), "d/%s", entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        struct stat st = look(path);
        is(entry->d_ino, st.st_ino);
        check(entry->d_type == DT_UNKNOWN || entry->d_type == IFTODT(st.st_mode));
        seen++;
    }
    is(seen, 4);
    closedir(folder);
}

TEST(lists_each_of_many_once)
{
    enum { MANY = 1500 };
    static unsigned char counts[MANY];
    memset(counts, 0, sizeof(counts));
    make_folder("d", 0755);
    make_numbered(0, MANY);
    DIR *folder = opendir("d");
    is(count(folder, counts, MANY), 0);
    for (unsigned i = 0; i < MANY; i++)
        if (counts[i] != 1)
            is(counts[i], 1);
    rewinddir(folder);
    is(count(folder, counts, MANY), 0);
    for (unsigned i = 0; i < MANY; i++)
        if (counts[i] != 2)
            is(counts[i], 2);
    closedir(folder);
}

TEST(what_stays_is_listed_once_while_others_come_and_go)
{
    enum { MANY = 1000 };
    static unsigned char counts[MANY + 500];
    memset(counts, 0, sizeof(counts));
    make_folder("d", 0755);
    make_numbered(0, MANY);
    DIR *folder = opendir("d");
    struct dirent *entry;
    for (int i = 0; i < 50 && (entry = readdir(folder)) != NULL; i++)
        if (entry->d_name[0] != '.')
            counts[atoi(entry->d_name)]++;
    char name[32];
    for (unsigned i = 1; i < MANY; i += 2) {
        snprintf(name, sizeof(name), "d/%u", i);
        passes(unlink(name));
    }
    make_numbered(MANY, MANY + 500);
    count(folder, counts, MANY + 500);
    closedir(folder);
    for (unsigned i = 0; i < MANY; i += 2)
        if (counts[i] != 1)
            is(counts[i], 1);
    for (unsigned i = MANY; i < MANY + 500; i++)
        check(counts[i] <= 1);
}

TEST(deleting_while_listing_empties)
{
    make_folder("d", 0755);
    make_numbered(0, 700);
    DIR *folder = opendir("d");
    struct dirent *entry;
    char path[300];
    while ((entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof(path), "d/%s", entry->d_name);
        if (entry->d_name[0] != '.')
            passes(unlink(path));
    }
    closedir(folder);
    passes(rmdir("d"));
}

TEST(positions_come_back)
{
    make_folder("d", 0755);
    make_numbered(0, 300);
    DIR *folder = opendir("d");
    long positions[302];
    char names[302][16];
    int entries = 0;
    struct dirent *entry;
    for (;;) {
        long position = telldir(folder);
        if ((entry = readdir(folder)) == NULL || entries == 302)
            break;
        positions[entries] = position;
        snprintf(names[entries++], 16, "%.15s", entry->d_name);
    }
    is(entries, 302);
    for (int i = 301; i >= 0; i -= 43) {
        seekdir(folder, positions[i]);
        entry = readdir(folder);
        check(entry != NULL && strcmp(entry->d_name, names[i]) == 0);
    }
    closedir(folder);
}

TEST(sees_changes_after_rewind)
{
    unsigned char counts[4] = {0};
    make_folder("d", 0755);
    make_numbered(0, 2);
    DIR *folder = opendir("d");
    count(folder, counts, 4);
    passes(unlink("d/0"));
    make_numbered(2, 4);
    rewinddir(folder);
    memset(counts, 0, sizeof(counts));
    is(count(folder, counts, 4), 0);
    check(counts[0] == 0 && counts[1] == 1 && counts[2] == 1 && counts[3] == 1);
    closedir(folder);
}

TEST(names_of_all_lengths)
{
    make_folder("d", 0755);
    char path[300];
    unsigned char seen[256] = {0};
    for (size_t i = 1; i <= 255; i++) {
        snprintf(path, sizeof(path), "d/%s", long_name(i, 'n'));
        make_file(path, 0644);
    }
    DIR *folder = opendir("d");
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] == 'n')
            seen[strlen(entry->d_name)]++;
    closedir(folder);
    for (int i = 1; i <= 255; i++)
        is(seen[i], 1);
}

TEST(errors)
{
    make_file("f", 0644);
    check(opendir("f") == NULL && errno == ENOTDIR);
    check(opendir("none") == NULL && errno == ENOENT);
}
