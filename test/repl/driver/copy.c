/*
 * A set in copy mode: of a file's content the stream says only that it changes, once for each copy
 * that is begun, and never too early for who reads the file meanwhile. Names and folders are
 * recorded as ever.
 */
#include "copying.h"

#include <stdlib.h>
#include <string.h>

/* What programs do */

static NTSTATUS opens(struct copy *copy)
{
    return copy_open(copy, "file", FILE_OPEN, 0);
}

static NTSTATUS creates_and_writes(struct copy *copy)
{
    NTSTATUS status = copy_creates(copy);

    for (unsigned i = 0; i < 4 && NT_SUCCESS(status); i++)
        status = copy_writes(copy);
    return status;
}

static NTSTATUS closes(struct copy *copy)
{
    nt_close(copy->file);
    copy->file = NULL;
    return STATUS_SUCCESS;
}

static NTSTATUS makes_folder(struct copy *copy)
{
    PFILE_OBJECT file;
    NTSTATUS status =
        node_open(&copy->node, "d", FILE_LIST_DIRECTORY, FILE_CREATE, FILE_DIRECTORY_FILE, &file);

    if (NT_SUCCESS(status))
        nt_close(file);
    return status;
}

static NTSTATUS hides_folder(struct copy *copy)
{
    FILE_BASIC_INFORMATION basic = {.FileAttributes = FILE_ATTRIBUTE_HIDDEN};
    PFILE_OBJECT file;
    NTSTATUS status =
        node_open(&copy->node, "d", FILE_WRITE_ATTRIBUTES, FILE_OPEN, FILE_DIRECTORY_FILE, &file);

    if (NT_SUCCESS(status)) {
        status = nt_set_information(file, FileBasicInformation, &basic, sizeof basic);
        nt_close(file);
    }
    return status;
}

static NTSTATUS moves(struct copy *copy, const char *to, bool link)
{
    UNICODE_STRING name = node_name(&copy->node, to);
    NTSTATUS status =
        (link ? nt_link : nt_rename)(copy->file, NULL, &name, FILE_RENAME_POSIX_SEMANTICS);

    free(name.Buffer);
    return status;
}

static NTSTATUS renames(struct copy *copy)
{
    return moves(copy, "d/renamed", false);
}

static NTSTATUS links(struct copy *copy)
{
    return moves(copy, "link", true);
}

static NTSTATUS deletes(struct copy *copy)
{
    NTSTATUS status = nt_dispose(copy->file, FILE_DISPOSITION_DELETE);

    closes(copy);
    return status;
}

static NTSTATUS deletes_link(struct copy *copy)
{
    NTSTATUS status = copy_open(copy, "link", FILE_OPEN, FILE_DELETE_ON_CLOSE);

    return NT_SUCCESS(status) ? closes(copy) : status;
}

static NTSTATUS shortens(struct copy *copy)
{
    static LONGLONG size = COPY_BYTES;
    return nt_set_end_of_file(copy->file, --size);
}

static NTSTATUS zeroes(struct copy *copy)
{
    FILE_ZERO_DATA_INFORMATION range = {.BeyondFinalZero.QuadPart = 100};
    return nt_fsctl(copy->file, FSCTL_SET_ZERO_DATA, &range, sizeof range, NULL, 0, NULL);
}

static NTSTATUS sets_times(struct copy *copy)
{
    FILE_BASIC_INFORMATION basic = {.LastWriteTime.QuadPart = 0x1d0000000000000};
    return nt_set_information(copy->file, FileBasicInformation, &basic, sizeof basic);
}

static NTSTATUS sets_ea(struct copy *copy)
{
    union {
        FILE_FULL_EA_INFORMATION ea;
        UCHAR bytes[32];
    } list = {.ea = {.EaNameLength = 6, .EaValueLength = 4}};

    memcpy(list.ea.EaName, "$LXMOD\0\240\201\0", 11);
    return nt_set_ea(copy->file, &list, FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) + 11);
}

static NTSTATUS overwrites(struct copy *copy)
{
    PFILE_OBJECT file;
    NTSTATUS status = node_open(&copy->node, "file", FILE_WRITE_DATA, FILE_OVERWRITE, 0, &file);

    if (NT_SUCCESS(status))
        nt_close(file);
    return status;
}

/* The tests */

NT_TEST(content_is_not_recorded_and_names_are)
{
    struct copy copy = {0};

    ok(copy_start(&copy, ReplModeCopy) && DOES(&copy, makes_folder, "create folder copy d") &&
       DOES(&copy, creates_and_writes, "touched copy") && DOES(&copy, closes, "") &&
       copy_begins(&copy) && DOES(&copy, hides_folder, "basic folder copy") &&
       DOES(&copy, opens, "") && DOES(&copy, renames, "rename copy file>d\\renamed") &&
       DOES(&copy, links, "link copy d\\renamed>link") &&
       DOES(&copy, deletes, "delete copy d\\renamed") &&
       DOES(&copy, deletes_link, "delete copy link"));
    copy_stop(&copy);
}

NT_TEST(each_change_is_told_once_after_a_copy_is_begun)
{
    static const struct {
        const char *name;
        NTSTATUS (*run)(struct copy *);
    } steps[] = {{"a write", copy_writes},  {"an end of file", shortens},
                 {"zeroes", zeroes},        {"times", sets_times},
                 {"an attribute", sets_ea}, {"an open that overwrites", overwrites}};
    struct copy copy = {0};
    bool held = copy_start(&copy, ReplModeCopy) && DOES(&copy, creates_and_writes, "touched copy");

    for (unsigned i = 0; held && i < RTL_NUMBER_OF(steps); i++)
        held = copy_begins(&copy) &&
               copy_does(&copy, steps[i].name, steps[i].run, "touched copy") &&
               copy_does(&copy, steps[i].name, steps[i].run, "");
    copy_stop(&copy);
}

NT_TEST(the_end_of_a_copy_begins_none)
{
    struct copy copy = {0};

    ok(copy_start(&copy, ReplModeCopy) && DOES(&copy, creates_and_writes, "touched copy") &&
       is_status(copy_sync(&copy, REPL_FLAG_COPIED), STATUS_SUCCESS) &&
       copy_tells(&copy, "the end", "file sync copy copied file") && DOES(&copy, copy_writes, "") &&
       copy_begins(&copy) && is_status(copy_sync(&copy, REPL_FLAG_COPIED), STATUS_SUCCESS) &&
       copy_tells(&copy, "the end", "file sync copy copied file") &&
       DOES(&copy, copy_writes, "touched copy") && DOES(&copy, copy_writes, ""));
    for (UINT32 flag = 1; flag && !tap_failing(); flag <<= 1) {
        if (flag != REPL_FLAG_COPIED)
            copy_refuses(&copy, REPL_IOCTL_SYNC_FILE, "file", flag, ReplRefusalReserved);
        copy_refuses(&copy, REPL_IOCTL_SYNC_FOLDER, "", flag, ReplRefusalReserved);
    }
    /* Nor did they begin one. */
    ok(copy_tells(&copy, "refused", "") && DOES(&copy, copy_writes, ""));
    copy_stop(&copy);
}

NT_TEST(no_copy_ends_in_an_async_set)
{
    struct copy copy = {0};

    if (ok(copy_start(&copy, ReplModeAsync) && DOES(&copy, copy_creates, "create file"))) {
        copy_refuses(&copy, REPL_IOCTL_SYNC_FILE, "file", REPL_FLAG_COPIED, ReplRefusalMode);
        copy_tells(&copy, "refused", "");
    }
    copy_stop(&copy);
}

NT_TEST(what_the_lazy_writer_writes_was_told)
{
    struct copy copy = {0};
    struct fs_statistics before, after;

    if (ok(copy_start(&copy, ReplModeCopy) && DOES(&copy, creates_and_writes, "touched copy") &&
           copy_begins(&copy))) {
        fs_statistics(copy.node.volume, &before);
        copy_drain(&copy);
        fs_statistics(copy.node.volume, &after);
        ok(after.lazy_writes > before.lazy_writes, "it was not on disk");
        copy_tells(&copy, "the lazy writer", "");
    }
    copy_stop(&copy);
}

NT_TEST(stores_through_a_mapping_are_told_when_they_are_paged_out)
{
    struct copy copy = {0};
    struct nt_view *view = NULL;

    if (ok(copy_start(&copy, ReplModeCopy) && DOES(&copy, creates_and_writes, "touched copy"))) {
        copy_drain(&copy);
        nt_enter();
        is_status(nt_view_create(copy.file, true, &view), STATUS_SUCCESS);
        nt_leave();
    }
    for (unsigned i = 0; view && i < 4 && copy_begins(&copy); i++) {
        nt_enter();
        nt_view_store(view, 700, &i, sizeof i);
        if (i % 2)
            fs_cache_drain(copy.node.volume);
        else
            is_status(nt_view_flush(view), STATUS_SUCCESS);
        nt_leave();
        copy_tells(&copy, i % 2 ? "the mapped writer" : "a flush of the view", "touched copy");
    }
    nt_enter();
    if (view)
        nt_view_destroy(view);
    nt_leave();
    copy_stop(&copy);
}

static bool lend_again(struct node *node)
{
    is_status(io_cancel(node->client, node->device, node->lent), STATUS_SUCCESS);
    for (unsigned i = 0; i < 1000 && node_status(node).RingBytes; i++)
        sched_run_for(10000);
    if (!is_int(node_status(node).RingBytes, 0, "it is given back"))
        return false;
    io_request_release(node->lent);
    free(node->ring);
    node->lent = NULL;
    node->ring = NULL;
    node->read = 0;
    return node_lend(node, node->ring_bytes);
}

NT_TEST(with_another_ring_all_is_told_again)
{
    struct copy copy = {0};

    ok(copy_start(&copy, ReplModeCopy) && DOES(&copy, creates_and_writes, "touched copy") &&
       DOES(&copy, copy_writes, "") && lend_again(&copy.node) &&
       copy_tells(&copy, "another ring", "") && DOES(&copy, copy_writes, "touched copy") &&
       DOES(&copy, copy_writes, ""));
    copy_stop(&copy);
}

static NTSTATUS creates_outside(struct copy *copy)
{
    NTSTATUS status = copy_open(copy, "/other", FILE_CREATE, 0);
    return NT_SUCCESS(status) ? copy_writes(copy) : status;
}

static NTSTATUS enters(struct copy *copy)
{
    return moves(copy, "entered", false);
}

NT_TEST(no_content_follows_what_enters_the_set)
{
    struct copy copy = {0};

    if (ok(copy_start(&copy, ReplModeCopy) && DOES(&copy, creates_outside, "") &&
           DOES(&copy, enters, "rename open entered copy>entered"))) {
        is_int(node_status(&copy.node).OpenBrackets, 1);
        copy_drain(&copy);
        copy_tells(&copy, "what was written outside", "");
        DOES(&copy, copy_writes, "touched copy");
    }
    copy_stop(&copy);
}
