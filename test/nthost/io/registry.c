/* The registry as host code sees it: values of all kinds, groups, deletion, order, persistence. */
#include "fixture.h"
#include <nthost/registry.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEST_KEY "\\Registry\\Machine\\Software\\IoTest"

NT_TEST(values_of_all_kinds)
{
    static const char *const strings[] = {"one", "zwei", "\xe4\xb8\x89"};
    char text[64];
    ULONG number, type, bytes;
    UCHAR data[8];
    tap_start(NT_DETERMINISTIC, tap_seed());
    is_status(registry_set_dword(TEST_KEY, "Number", 0xdeadbeef), STATUS_SUCCESS);
    is_status(registry_set_string(TEST_KEY, "Text", 1,
                                  "Gr\xc3\xbc\xc3\x9f"
                                  "e"),
              STATUS_SUCCESS);
    is_status(registry_set_multi(TEST_KEY, "Multi", strings, 3), STATUS_SUCCESS);
    is_status(registry_set(TEST_KEY, "", 3, "\1\2\3", 3), STATUS_SUCCESS);
    is_status(registry_get_dword("\\REGISTRY\\machine\\SOFTWARE\\iotest", "NUMBER", &number),
              STATUS_SUCCESS);
    is_hex(number, 0xdeadbeef);
    is_status(registry_get_string(TEST_KEY, "Text", 0, text, sizeof(text)), STATUS_SUCCESS);
    is_str(text, "Gr\xc3\xbc\xc3\x9f"
                 "e");
    for (unsigned i = 0; i < 3; i++) {
        is_status(registry_get_string(TEST_KEY, "Multi", i, text, sizeof(text)), STATUS_SUCCESS);
        is_str(text, strings[i]);
    }
    is_status(registry_get_string(TEST_KEY, "Multi", 3, text, sizeof(text)),
              STATUS_NO_MORE_ENTRIES);
    is_status(registry_get_string(TEST_KEY, "Text", 0, text, 3), STATUS_BUFFER_OVERFLOW);
    bytes = 2;
    is_status(registry_get(TEST_KEY, "", &type, data, &bytes), STATUS_BUFFER_OVERFLOW);
    is_int(bytes, 3);
    bytes = sizeof(data);
    is_status(registry_get(TEST_KEY, "", &type, data, &bytes), STATUS_SUCCESS);
    is_int(type, 3);
    is_mem(data, "\1\2\3", 3);
    is_status(registry_get_dword(TEST_KEY, "Text", &number), STATUS_OBJECT_TYPE_MISMATCH);
    is_status(registry_get_dword(TEST_KEY, "None", &number), STATUS_OBJECT_NAME_NOT_FOUND);
    is_status(registry_get_dword("\\Device\\X", "None", &number), STATUS_OBJECT_PATH_SYNTAX_BAD);
    nt_stop();
}

NT_TEST(keys_enumerate_in_order_and_go_with_their_tree)
{
    static const char *const names[] = {"beta", "Alpha", "gamma", "delta"};
    static const char *const sorted[] = {"Alpha", "beta", "delta", "gamma"};
    char text[64], path[128];
    tap_start(NT_DETERMINISTIC, tap_seed());
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), TEST_KEY "\\%s\\below\\that", names[i]);
        is_status(registry_create_key(path), STATUS_SUCCESS);
        is_status(registry_create_key(path), STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < 4; i++) {
        is_status(registry_enum_key(TEST_KEY, i, text, sizeof(text)), STATUS_SUCCESS);
        is_str(text, sorted[i]);
    }
    is_status(registry_enum_key(TEST_KEY, 4, text, sizeof(text)), STATUS_NO_MORE_ENTRIES);
    is_status(registry_delete_tree(TEST_KEY), STATUS_SUCCESS);
    ok(!registry_key_exists(TEST_KEY));
    ok(registry_key_exists("\\Registry\\Machine\\Software"));
    is_status(registry_delete_tree(TEST_KEY), STATUS_OBJECT_NAME_NOT_FOUND);
    /* A hive cannot go. */
    is_status(registry_delete_tree("\\Registry\\Machine\\Hardware"), STATUS_CANNOT_DELETE);
    nt_stop();
}

NT_TEST(groups_happen_whole_or_not_at_all)
{
    ULONG number;
    const char *dir = fixture_dir();
    struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = 1, .processors = 1, .state_dir = dir};
    nt_start(&options);
    is_status(registry_set_dword(TEST_KEY, "A", 1), STATUS_SUCCESS);
    is_status(registry_set_dword(TEST_KEY "\\Old", "B", 2), STATUS_SUCCESS);
    is_status(registry_begin(), STATUS_SUCCESS);
    is_status(registry_begin(), STATUS_INVALID_DEVICE_STATE);
    is_status(registry_set_dword(TEST_KEY, "A", 7), STATUS_SUCCESS);
    is_status(registry_set_dword(TEST_KEY "\\New\\Deep", "C", 3), STATUS_SUCCESS);
    is_status(registry_delete_tree(TEST_KEY "\\Old"), STATUS_SUCCESS);
    registry_abort();
    is_status(registry_get_dword(TEST_KEY, "A", &number), STATUS_SUCCESS);
    is_int(number, 1);
    is_status(registry_get_dword(TEST_KEY "\\Old", "B", &number), STATUS_SUCCESS);
    is_int(number, 2);
    ok(!registry_key_exists(TEST_KEY "\\New"));
    is_status(registry_commit(), STATUS_INVALID_DEVICE_STATE);

    is_status(registry_begin(), STATUS_SUCCESS);
    is_status(registry_set_dword(TEST_KEY, "A", 8), STATUS_SUCCESS);
    is_status(registry_delete_tree(TEST_KEY "\\Old"), STATUS_SUCCESS);
    is_status(registry_commit(), STATUS_SUCCESS);
    /* This one is still open when the host stops: it never was. */
    is_status(registry_begin(), STATUS_SUCCESS);
    is_status(registry_set_dword(TEST_KEY, "A", 9), STATUS_SUCCESS);
    nt_stop();
    nt_start(&options);
    is_status(registry_get_dword(TEST_KEY, "A", &number), STATUS_SUCCESS);
    is_int(number, 8);
    ok(!registry_key_exists(TEST_KEY "\\Old"));
    nt_stop();
    fixture_remove_dir();
}

/* Random changes, with the host restarted in between, against a table of what must be there. */
NT_TEST(random_changes_survive_restarts_and_compaction)
{
    enum { KEYS = 12, VALUES = 6, ROUNDS = 3000 };
    static ULONG expected[KEYS][VALUES]; /* 0: not there */
    const char *dir = fixture_dir();
    struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = 1, .processors = 1, .state_dir = dir};
    unsigned state = (unsigned)tap_seed() * 2654435761u + 1;
    static char blob[4096];
    memset(expected, 0, sizeof(expected));
    nt_start(&options);
    for (unsigned round = 0; round < ROUNDS && !tap_failing(); round++) {
        char path[128], value[16];
        state = state * 1664525u + 1013904223u;
        unsigned k = (state >> 8) % KEYS, v = (state >> 14) % VALUES, what = (state >> 20) % 16;
        snprintf(path, sizeof(path), TEST_KEY "\\Key%u", k);
        snprintf(value, sizeof(value), "Value%u", v);
        if (what < 11) {
            expected[k][v] = state | 1;
            is_status(registry_set_dword(path, value, expected[k][v]), STATUS_SUCCESS);
            is_status(registry_set(path, "Blob", 3, blob, sizeof(blob)), STATUS_SUCCESS);
        } else if (what < 14) {
            is_status(registry_delete_value(path, value),
                      expected[k][v] ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND);
            expected[k][v] = 0;
        } else if (what == 14) {
            registry_delete_tree(path);
            memset(expected[k], 0, sizeof(expected[k]));
        } else if (state % 8 == 0) {
            nt_stop();
            nt_start(&options);
        } else {
            is_status(registry_flush(), STATUS_SUCCESS);
        }
        if (round % 50 != 0)
            continue;
        tap_at("round %u", round);
        for (k = 0; k < KEYS; k++)
            for (v = 0; v < VALUES; v++) {
                ULONG number = 0;
                snprintf(path, sizeof(path), TEST_KEY "\\Key%u", k);
                snprintf(value, sizeof(value), "Value%u", v);
                registry_get_dword(path, value, &number);
                is_hex(number, expected[k][v]);
            }
    }
    tap_at(NULL);
    char log[128];
    struct stat st;
    snprintf(log, sizeof(log), "%s/registry.log", dir);
    ok(stat(log, &st) == 0 && st.st_size < 6 << 20, "%lld bytes", (long long)st.st_size);
    nt_stop();
    fixture_remove_dir();
}

NT_TEST(set_and_flush_take_milliseconds)
{
    const char *dir = fixture_dir();
    struct nt_options options = {.scheduler = NT_REALTIME, .processors = 1, .state_dir = dir};
    double worst = 0, sum = 0;
    nt_start(&options);
    for (unsigned i = 0; i < 200; i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        is_status(registry_set_dword(TEST_KEY, "Epoch", i), STATUS_SUCCESS);
        is_status(registry_flush(), STATUS_SUCCESS);
        clock_gettime(CLOCK_MONOTONIC, &b);
        double ms = (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6;
        sum += ms;
        worst = ms > worst ? ms : worst;
    }
    nt_stop();
    fixture_remove_dir();
    diag("mean %.3f ms, worst %.3f ms", sum / 200, worst);
    ok(sum / 200 < 20);
}
