/*
 * The rules: each has a bad INF, bad/<rule>.inf, that breaks it and no other. The line that is to
 * be named carries the mark ";!"; without a mark the error is the file's (line 0).
 */
#include "tap.h"
#include <dirent.h>
#include <nthost/setup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER NTS_SOURCE_DIR "/test/nthost/setup/"

static unsigned marked_line(const char *path)
{
    char line[16384];
    unsigned number = 0, marked = 0;
    FILE *file = fopen(path, "rb");
    while (file && !marked && fgets(line, sizeof(line), file)) {
        number++;
        if (strstr(line, ";!"))
            marked = number;
    }
    if (file)
        fclose(file);
    return marked;
}

NT_TEST(every_rule_has_a_page_and_a_text)
{
    const char *name, *page, *text, *other;
    unsigned count = 0;
    while (setup_rule(count, &name, &page, &text)) {
        ok(strlen(name) > 3 && strlen(name) < 48 && strlen(page) > 5 && strlen(text) > 10, "%s",
           name);
        for (unsigned i = 0; i < count; i++) {
            setup_rule(i, &other, &page, &text);
            ok(strcmp(name, other) != 0, "%s is there twice", name);
        }
        count++;
    }
    ok(count >= 25, "%u rules", count);
}

/* docs/inf.md lists them all, as they are. */
NT_TEST(every_rule_is_in_the_manual)
{
    static char manual[65536];
    const char *name, *page, *text;
    FILE *file = fopen(NTS_SOURCE_DIR "/docs/inf.md", "r");
    if (!file) {
        fail("no docs/inf.md");
        return;
    }
    manual[fread(manual, 1, sizeof(manual) - 1, file)] = 0;
    fclose(file);
    for (unsigned i = 0; setup_rule(i, &name, &page, &text); i++) {
        char row[1024];
        snprintf(row, sizeof(row), "| %s | %s | %s |\n", name, text, page);
        ok(strstr(manual, row) != NULL, "%s", row);
    }
}

NT_TEST(every_bad_inf_breaks_its_rule_and_no_other)
{
    const char *name, *page, *text;
    for (unsigned i = 0; setup_rule(i, &name, &page, &text); i++) {
        struct setup_error errors[4];
        char path[512];
        snprintf(path, sizeof(path), FOLDER "bad/%s.inf", name);
        tap_at("%s", name);
        memset(errors, 0, sizeof(errors));
        unsigned count = setup_check(path, errors, 4);
        is_int(count, 1);
        for (unsigned j = 0; j < count && j < 4; j++)
            if (count != 1)
                diag("%s:%u: %s: %s", name, errors[j].line, errors[j].rule, errors[j].message);
        is_str(errors[0].rule, name);
        is_int(errors[0].line, marked_line(path));
        is_str(errors[0].file, path);
        ok(strlen(errors[0].message) > 20, "the message says what to do");
    }
    tap_at(NULL);
}

NT_TEST(every_bad_inf_has_a_rule)
{
    const char *name, *page, *text;
    DIR *folder = opendir(FOLDER "bad");
    unsigned files = 0, rules = 0;
    if (!folder) {
        fail("no folder of bad INFs");
        return;
    }
    while (setup_rule(rules, &name, &page, &text))
        rules++;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') {
            bool found = false;
            for (unsigned i = 0; setup_rule(i, &name, &page, &text); i++)
                found |= strlen(entry->d_name) == strlen(name) + 4 &&
                         !strncmp(entry->d_name, name, strlen(name));
            ok(found, "%s", entry->d_name);
            files++;
        }
    closedir(folder);
    is_int(files, rules);
}

static void expect_good(const char *path)
{
    struct setup_error errors[4];
    unsigned count = setup_check(path, errors, 4);
    is_int(count, 0, "%s", path);
    for (unsigned i = 0; i < count && i < 4; i++)
        diag("%s:%u: %s: %s", path, errors[i].line, errors[i].rule, errors[i].message);
}

NT_TEST(good_infs_break_no_rule)
{
    struct dirent **entries;
    int count = scandir(FOLDER "good", &entries, NULL, alphasort), files = 0;
    need(count > 0);
    for (int i = 0; i < count; i++) {
        char path[512];
        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), FOLDER "good/%s", entries[i]->d_name);
            expect_good(path);
            files++;
        }
        free(entries[i]);
    }
    free(entries);
    ok(files >= 6);
}

NT_TEST(shipped_infs_break_no_rule)
{
    expect_good(NTS_SOURCE_DIR "/kernel/inf/oneip.inf");
    expect_good(NTS_SOURCE_DIR "/kernel/inf/repl.inf");
    expect_good(NTS_SOURCE_DIR "/test/drivers/kmdfecho/kmdfecho.inf");
    expect_good(NTS_SOURCE_DIR "/test/drivers/ndispass/ndispass.inf");
}

/* Each of the two places for instances is looked at, whatever the other one says. */
NT_TEST(both_places_of_a_minifilters_instances)
{
    static const char *const lines[] = {"HKR,Parameters\\Instances\\%Instance%,Altitude,,",
                                        "HKR,Instances\\%Instance%,Altitude,,"};
    for (unsigned i = 0; i < 2; i++) {
        struct setup_error errors[8];
        char path[] = "/tmp/nthost-setup-XXXXXX", line[1024];
        unsigned number = 0, wrong = 0;
        int handle = mkstemp(path);
        FILE *in = fopen(NTS_SOURCE_DIR "/kernel/inf/repl.inf", "r");
        FILE *out = handle >= 0 ? fdopen(handle, "w") : NULL;
        if (!in || !out)
            abort();
        while (fgets(line, sizeof(line), in)) {
            number++;
            if (strncmp(line, lines[i], strlen(lines[i])) == 0) {
                wrong = number;
                fprintf(out, "%s\"140000\"\n", lines[i]);
            } else {
                fputs(line, out);
            }
        }
        fclose(in);
        fclose(out);
        ok(wrong != 0);
        is_int(setup_check(path, errors, 8), 1);
        is_str(errors[0].rule, "FltInstances");
        is_int(errors[0].line, wrong);
        remove(path);
    }
}

NT_TEST(several_errors_come_by_line)
{
    struct setup_error errors[8];
    char path[] = "/tmp/nthost-setup-XXXXXX";
    int handle = mkstemp(path);
    FILE *file = handle >= 0 ? fdopen(handle, "w") : NULL;
    if (!file) {
        fail("no temporary file");
        return;
    }
    fputs("[Version]\nSignature = \"$Chicago\"\nClass = Net\nClassGuid = {bad}\nPnpLockdown = 0\n"
          "[Manufacturer]\n%Who% = Models,NTamd64\n[Models.NTamd64]\n",
          file);
    fclose(file);
    unsigned count = setup_check(path, errors, 8);
    ok(count >= 6);
    for (unsigned i = 1; i < count && i < 8; i++)
        ok(errors[i - 1].line <= errors[i].line);
    is_int(setup_check(path, errors, 2), count, "the count is of all, whatever there is room for");
    is_int(setup_check(path, NULL, 0), count);
    remove(path);
}

NT_TEST(a_file_that_cannot_be_read_is_no_rule)
{
    struct setup_error error;
    is_int(setup_check("/nonexistent/none.inf", &error, 1), 1);
    is_str(error.rule, "");
    is_int(setup_check("/tmp", &error, 1), 1);
    is_str(error.rule, "");
}
