/*
 * Deletions that wait for other handles: the last one takes the name along, whoever's it is and
 * whatever it was opened for.
 */
#include "node.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 150

struct closing {
    struct node node;
    bool on_close;
};

static void open_and_close(void *context)
{
    struct closing *closing = context;
    PFILE_OBJECT file;

    nt_enter();
    if (NT_SUCCESS(node_open(&closing->node, "a", FILE_WRITE_ATTRIBUTES, FILE_OPEN, 0, &file)))
        nt_close(file);
    nt_leave();
}

static void open_and_delete(void *context)
{
    struct closing *closing = context;
    PFILE_OBJECT file;

    nt_enter();
    if (NT_SUCCESS(node_open(&closing->node, "a", DELETE, FILE_OPEN,
                             closing->on_close ? FILE_DELETE_ON_CLOSE : 0, &file))) {
        if (!closing->on_close)
            nt_dispose(file, FILE_DISPOSITION_DELETE);
        nt_close(file);
    }
    nt_leave();
}

/* Asks for the file's content, with a handle of the driver's own. */
static void read_range(void *context)
{
    struct closing *closing = context;
    UCHAR buffer[sizeof(REPL_SYNC) + sizeof(WCHAR)] = {0};
    REPL_SYNC *sync = (REPL_SYNC *)buffer;
    REPL_SEQUENCE sequence;
    UCHAR content[4096];

    *sync = (REPL_SYNC){.SetId = NODE_SET, .Range = 4096, .NameLength = sizeof(WCHAR)};
    *(WCHAR *)(sync + 1) = 'a';
    io_ioctl(closing->node.client, closing->node.device, REPL_IOCTL_READ_RANGE, sync, sizeof buffer,
             content, sizeof content, NULL);
    io_ioctl(closing->node.client, closing->node.device, REPL_IOCTL_SYNC_RANGE, sync, sizeof buffer,
             &sequence, sizeof sequence, NULL);
}

/* A file that one deletes while another closes it, at all moments that the scheduler comes to. */
static void close_and_delete(void (*other)(void *context), bool on_close)
{
    struct closing closing = {.on_close = on_close};
    struct node_options options = {.scheduler = NT_DETERMINISTIC, .seed = tap_seed()};
    bool held = node_start(&closing.node, &options);

    for (unsigned i = 0; held && i < ROUNDS; i++) {
        struct nt_thread *threads[2];
        PFILE_OBJECT file;
        char when[64];
        nt_enter();
        held = is_status(node_open(&closing.node, "a", FILE_WRITE_DATA, FILE_CREATE, 0, &file),
                         STATUS_SUCCESS);
        if (held)
            nt_close(file);
        nt_leave();
        threads[0] = nt_spawn("closes", other, &closing);
        threads[1] = nt_spawn("deletes", open_and_delete, &closing);
        nt_join(threads[0]);
        nt_join(threads[1]);
        snprintf(when, sizeof when, "round %u", i);
        held = held && node_check(&closing.node, when);
    }
    node_stop(&closing.node);
}

/* Folders that are renamed */

static NTSTATUS make(struct closing *closing, const char *path, ULONG options)
{
    PFILE_OBJECT file;
    NTSTATUS status =
        node_open(&closing->node, path, FILE_WRITE_ATTRIBUTES, FILE_CREATE, options, &file);
    if (NT_SUCCESS(status))
        nt_close(file);
    return status;
}

static void delete_it(struct closing *closing, const char *path)
{
    PFILE_OBJECT file;

    if (NT_SUCCESS(node_open(&closing->node, path, DELETE, FILE_OPEN, 0, &file))) {
        nt_dispose(file, FILE_DISPOSITION_DELETE | FILE_DISPOSITION_POSIX_SEMANTICS);
        nt_close(file);
    }
}

static void delete_in_folder(void *context)
{
    nt_enter();
    delete_it(context, "f/a");
    nt_leave();
}

static void rename_folder(void *context)
{
    struct closing *closing = context;
    UNICODE_STRING name = node_name(&closing->node, "g");
    PFILE_OBJECT file;

    nt_enter();
    if (NT_SUCCESS(node_open(&closing->node, "f", DELETE, FILE_OPEN, FILE_DIRECTORY_FILE, &file))) {
        nt_rename(file, NULL, &name, FILE_RENAME_POSIX_SEMANTICS);
        nt_close(file);
    }
    nt_leave();
    free(name.Buffer);
}

NT_TEST(deleted_while_its_folder_is_renamed)
{
    struct closing closing = {0};
    struct node_options options = {.scheduler = NT_DETERMINISTIC, .seed = tap_seed() + 1};
    bool held = node_start(&closing.node, &options);

    for (unsigned i = 0; held && i < ROUNDS; i++) {
        struct nt_thread *threads[2];
        char when[64];
        nt_enter();
        held = is_status(make(&closing, "f", FILE_DIRECTORY_FILE), STATUS_SUCCESS) &&
               is_status(make(&closing, "f/a", FILE_NON_DIRECTORY_FILE), STATUS_SUCCESS);
        nt_leave();
        threads[0] = nt_spawn("renames", rename_folder, &closing);
        threads[1] = nt_spawn("deletes", delete_in_folder, &closing);
        nt_join(threads[0]);
        nt_join(threads[1]);
        snprintf(when, sizeof when, "round %u", i);
        held = held && node_check(&closing.node, when);
        nt_enter();
        /* Whatever came of it. */
        static const char *const left[] = {"g/a", "f/a", "g", "f"};
        for (unsigned j = 0; j < RTL_NUMBER_OF(left); j++)
            delete_it(&closing, left[j]);
        nt_leave();
    }
    node_stop(&closing.node);
}

NT_TEST(deleted_while_another_closes)
{
    close_and_delete(open_and_close, false);
}

NT_TEST(deleted_on_close_while_another_closes)
{
    close_and_delete(open_and_close, true);
}

NT_TEST(deleted_while_the_reader_of_the_stream_has_it_read)
{
    close_and_delete(read_range, false);
}
