/*
 * Sets whose rules name files and folders: whatever is renamed, the model has what the rules take,
 * once what the driver asks for is synchronised. Where the rules look at nothing but a file's own
 * name, a folder's rename asks for nothing.
 */
#include "resync.h"
#include "work.h"

#include <nthost/nt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const REPL_RULE folder_rules[] = {{.Kind = ReplRuleExclude}, {.Kind = ReplRuleExclude}};
static const struct node_options folders = {.scheduler = NT_DETERMINISTIC,
                                            .rules = folder_rules,
                                            .rule_count = 2,
                                            .rule_names = {"f1\\*", "e"}};

static bool in_folders(const char *path, bool directory)
{
    (void)directory;
    return strncmp(path, "f1/", 3) != 0 && strcmp(path, "e") != 0 && strncmp(path, "e/", 2) != 0;
}

static const REPL_RULE name_rules[] = {{.Kind = ReplRuleInclude}, {.Kind = ReplRuleExclude}};
static const struct node_options names = {.scheduler = NT_DETERMINISTIC,
                                          .rules = name_rules,
                                          .rule_count = 2,
                                          .rule_names = {"*a", "*b"}};

static bool in_names(const char *path, bool directory)
{
    return directory || path[strlen(path) - 1] == 'a';
}

static NTSTATUS make(struct node *node, const char *path, bool folder)
{
    PFILE_OBJECT file;
    LONGLONG start = 0;
    NTSTATUS status = node_open(node, path, folder ? FILE_LIST_DIRECTORY : FILE_WRITE_DATA,
                                FILE_CREATE, folder ? FILE_DIRECTORY_FILE : 0, &file);
    if (NT_SUCCESS(status) && !folder)
        status = nt_write(file, path, (ULONG)strlen(path), &start, NULL);
    if (file)
        nt_close(file);
    return status;
}

static NTSTATUS move(struct node *node, const char *from, const char *to)
{
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, from, DELETE, FILE_OPEN, 0, &file);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING name = node_name(node, to);
    status = nt_rename(file, NULL, &name, FILE_RENAME_POSIX_SEMANTICS);
    free(name.Buffer);
    nt_close(file);
    return status;
}

static bool same(struct node *node, bool (*in_set)(const char *path, bool directory),
                 const char *when)
{
    char why[512];

    return ok(model_compare_rules(node->model, NODE_SET, node->folder, in_set, why, sizeof why),
              "%s: %s", when, why);
}

static bool does(struct node *node, NTSTATUS (*what)(struct node *, const char *, const char *),
                 const char *first, const char *second)
{
    nt_enter();
    NTSTATUS status = what(node, first, second);
    nt_leave();
    return is_status(status, STATUS_SUCCESS, "%s %s", first, second);
}

static NTSTATUS make_file(struct node *node, const char *path, const char *nothing)
{
    (void)nothing;
    return make(node, path, false);
}

static NTSTATUS make_folder(struct node *node, const char *path, const char *nothing)
{
    (void)nothing;
    return make(node, path, true);
}

NT_TEST(a_folders_rename_takes_its_files_in_and_out)
{
    struct node node;

    need(node_start(&node, &folders));
    does(&node, make_folder, "f0", "");
    does(&node, make_folder, "f0/d", "");
    does(&node, make_file, "f0/d/a", "");
    does(&node, make_file, "f0/b", "");
    does(&node, make_folder, "f1", "");
    does(&node, make_file, "f1/c", "");
    node_settle(&node);
    same(&node, in_folders, "made");
    is_int(node_status(&node).LastSequence, 10, "and f1's file is none of it");

    does(&node, move, "f1", "f2");
    ok(node_status(&node).OpenBrackets == 1, "a bracket, for the files that are in it now");
    node_settle(&node);
    same(&node, in_folders, "f1's are in");
    does(&node, move, "f0", "f1");
    node_settle(&node);
    same(&node, in_folders, "f0's are out");
    does(&node, make_file, "f1/later", "");
    does(&node, make_file, "f2/later", "");
    node_settle(&node);
    same(&node, in_folders, "and stay so");
    does(&node, move, "f2", "e");
    node_settle(&node);
    same(&node, in_folders, "a folder that is left out itself");
    does(&node, move, "e", "f2");
    node_settle(&node);
    same(&node, in_folders, "and back");
    node_stop(&node);
}

NT_TEST(rules_of_names_ask_for_nothing_when_a_folder_is_renamed)
{
    struct node node;

    need(node_start(&node, &names));
    does(&node, make_folder, "f0", "");
    does(&node, make_file, "f0/a", "");
    does(&node, make_file, "f0/b", "");
    does(&node, make_file, "f0/c", "");
    does(&node, move, "f0", "f1");
    does(&node, make_file, "f1/aa", "");
    is_int(node_status(&node).OpenBrackets, 0);
    is_int(node_status(&node).State, ReplStateRing);
    node_settle(&node);
    same(&node, in_names, "names");
    does(&node, move, "f1/b", "f1/ba");
    node_settle(&node);
    same(&node, in_names, "a file comes in");
    does(&node, move, "f1/a", "f1/ab");
    is_int(node_status(&node).OpenBrackets, 0);
    node_settle(&node);
    same(&node, in_names, "and one goes");
    node_stop(&node);
}

/* A step of the random workload, while the service goes on. */
static void work(void *context)
{
    nt_enter();
    work_operation(context, WORK_DATA | WORK_NAMES);
    nt_leave();
}

static void workloads(const struct node_options *options,
                      bool (*in_set)(const char *path, bool directory))
{
    for (unsigned i = 0; i < 15 && !tap_failing(); i++) {
        struct node_options seeded = *options;
        struct node node;

        tap_at("seed %llu", (unsigned long long)tap_seed() + i);
        seeded.seed = tap_seed() + i;
        need(node_start(&node, &seeded));
        for (unsigned step = 0; step < 60 && !tap_failing(); step++) {
            struct nt_thread *thread = nt_spawn("program", work, &node);
            char when[32];

            nt_join(thread);
            snprintf(when, sizeof when, "step %u", step);
            if (node_settle(&node))
                same(&node, in_set, when);
        }
        node_stop(&node);
    }
    tap_at(NULL);
}

NT_TEST(after_every_operation_with_rules_of_folders)
{
    workloads(&folders, in_folders);
}

NT_TEST(after_every_operation_with_rules_of_names)
{
    workloads(&names, in_names);
}
