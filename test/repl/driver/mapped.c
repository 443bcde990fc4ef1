/*
 * Stores through a mapping that are written back while another program zeroes the same bytes or
 * moves the end of file: the page was captured before that took effect, whatever the numbers say.
 */
#include "node.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 400
#define PAGES  4
#define BYTES  (PAGES * 4096)

struct mapped {
    struct node node;
    unsigned round;
    NTSTATUS (*change)(PFILE_OBJECT file);
};

static PFILE_OBJECT open_it(struct mapped *mapped, ACCESS_MASK access)
{
    PFILE_OBJECT file;
    return NT_SUCCESS(
               node_open(&mapped->node, "a", access, FILE_OPEN_IF, FILE_NON_DIRECTORY_FILE, &file))
               ? file
               : NULL;
}

static void store(void *context)
{
    struct mapped *mapped = context;
    UCHAR data[BYTES];
    struct nt_view *view;

    memset(data, 1 + (int)(mapped->round % 255), sizeof data);
    nt_enter();
    PFILE_OBJECT file = open_it(mapped, FILE_READ_DATA | FILE_WRITE_DATA);
    if (file && NT_SUCCESS(nt_view_create(file, true, &view))) {
        size_t size;
        nt_view_bytes(view, &size);
        nt_view_store(view, 0, data, size < BYTES ? size : BYTES);
        nt_view_flush(view);
        nt_view_destroy(view);
    }
    if (file)
        nt_close(file);
    nt_leave();
}

static void change(void *context)
{
    struct mapped *mapped = context;

    nt_enter();
    PFILE_OBJECT file = open_it(mapped, FILE_WRITE_DATA);
    if (file) {
        mapped->change(file);
        nt_close(file);
    }
    nt_leave();
}

static NTSTATUS zero(PFILE_OBJECT file)
{
    FILE_ZERO_DATA_INFORMATION range = {.FileOffset.QuadPart = 5000,
                                        .BeyondFinalZero.QuadPart = 10000};
    return nt_fsctl(file, FSCTL_SET_ZERO_DATA, &range, sizeof range, NULL, 0, NULL);
}

static NTSTATUS shorten(PFILE_OBJECT file)
{
    return nt_set_end_of_file(file, 2679);
}

static NTSTATUS allocate_less(PFILE_OBJECT file)
{
    FILE_ALLOCATION_INFORMATION allocation = {.AllocationSize.QuadPart = 2679};
    return nt_set_information(file, FileAllocationInformation, &allocation, sizeof allocation);
}

static void store_and_change(NTSTATUS (*what)(PFILE_OBJECT file))
{
    struct mapped mapped = {.change = what};
    struct node_options options = {.scheduler = NT_DETERMINISTIC, .seed = tap_seed()};
    bool held = node_start(&mapped.node, &options);

    for (; held && mapped.round < ROUNDS; mapped.round++) {
        struct nt_thread *threads[2];
        char when[64];
        nt_enter();
        PFILE_OBJECT file = open_it(&mapped, FILE_WRITE_DATA);
        held = file && is_status(nt_set_end_of_file(file, BYTES), STATUS_SUCCESS);
        if (file)
            nt_close(file);
        nt_leave();
        threads[0] = nt_spawn("stores", store, &mapped);
        threads[1] = nt_spawn("changes", change, &mapped);
        nt_join(threads[0]);
        nt_join(threads[1]);
        nt_enter();
        fs_cache_drain(mapped.node.volume);
        nt_leave();
        snprintf(when, sizeof when, "round %u", mapped.round);
        held = held && node_check(&mapped.node, when);
    }
    node_stop(&mapped.node);
}

NT_TEST(zeroed_while_stores_are_written_back)
{
    store_and_change(zero);
}

NT_TEST(shortened_while_stores_are_written_back)
{
    store_and_change(shorten);
}

NT_TEST(allocated_less_while_stores_are_written_back)
{
    store_and_change(allocate_less);
}
