/* What the parser and the checks make of good INFs. */
#include "package.h"
#include "tap.h"
#include <string.h>

/* As need(), in a form that an analyser sees through. */
#define need_true(condition)                                                                       \
    do {                                                                                           \
        bool held_ = (condition);                                                                  \
        ok(held_, #condition);                                                                     \
        if (!held_)                                                                                \
            return;                                                                                \
    } while (0)

#define GOOD NTS_SOURCE_DIR "/test/nthost/setup/good/"

static bool load(const char *path, uint32_t build, struct inf *inf, struct package *package)
{
    struct setup_error errors[4];
    struct rule_report report = {.file = path, .errors = errors, .max = 4};
    char text[256];
    bool installable = false;
    *inf = (struct inf){0};
    *package = (struct package){0};
    if (!inf_read(inf, path, &report, text, sizeof(text)))
        return false;
    package_check(inf, &report, build, package, &installable);
    is_int(report.count, 0, "%s", path);
    return installable;
}

static const struct package_value *service_value(const struct package *package, const char *key,
                                                 const char *name)
{
    for (unsigned i = 0; i < package->services[0].values.count; i++) {
        const struct package_value *value = &package->services[0].values.items[i];
        if (!strcmp(value->subkey, key) && !strcmp(value->name, name))
            return value;
    }
    return NULL;
}

NT_TEST(syntax_of_all_kinds_is_understood)
{
    struct inf inf;
    struct package package;
    need_true(load(GOOD "syntax.inf", HOST_BUILD, &inf, &package));
    is_str(package.class_name, "NetService");
    is_str(package.section, "Install.NTamd64", "the decorated section wins");
    is_int(package.characteristics, 0x40000);
    is_str(package.component_id, "xyz_filter");
    is_int(package.file_count, 1);
    is_str(package.files[0].name, "filter.sys");
    is_int(package.files[0].dirid, 13);
    need_true(package.service_count == 1);
    is_str(package.services[0].name, "XyzFilter");
    is_str(package.services[0].description, "  blanks  are kept  ");
    is_int(package.services[0].start, 3);
    is_int(package.services[0].binary_dirid, 13);
    is_str(package.services[0].binary, "filter.sys");

    const struct package_value *value = service_value(&package, "Parameters", "Number");
    need_true(value != NULL);
    is_int(value->type, 4);
    is_mem(value->data, "\x78\x56\x34\x12", 4, "four bytes are a DWORD, too");
    value = service_value(&package, "Parameters", "Big");
    need_true(value != NULL);
    is_int(value->type, 11);
    is_mem(value->data, "\xf0\xde\xbc\x9a\x78\x56\x34\x12", 8);
    value = service_value(&package, "Parameters", "Custom");
    need_true(value != NULL);
    is_int(value->type, 0x38);
    is_int(value->bytes, 3);
    value = service_value(&package, "Parameters", "List");
    need_true(value != NULL);
    is_int(value->string_count, 3);
    is_str(value->strings[1], "two, three");
    is_str(value->strings[2], "Xyz filter");
    value = service_value(&package, "Parameters", "Path");
    need_true(value != NULL);
    is_int(value->type, 2);
    is_str(value->strings[0], "\x01"
                              "13\x01\\data;%SystemRoot%\\x");
    value = service_value(&package, "Parameters\\Xyz", "");
    need_true(value != NULL);
    is_str(value->strings[0], "a default value");
    value = service_value(&package, "Parameters", "Keep");
    need_true(value != NULL);
    ok(value->no_clobber);

    value = NULL;
    for (unsigned i = 0; i < package.values.count; i++)
        if (!strcmp(package.values.items[i].name, "ParamDesc"))
            value = &package.values.items[i];
    need_true(value != NULL);
    is_str(value->strings[0], "A \"quoted\" text; with a semicolon, a comma and 100%");
    ok(package.filter.present && !package.filter.modifying && !package.filter.mandatory);
    is_str(package.filter.media, "ethernet,wlan,ppip");
    inf_free(&inf);
}

NT_TEST(the_models_of_the_build_are_taken)
{
    static const struct {
        uint32_t build;
        const char *section, *kmdf;
    } cases[] = {{19041, "Old", "1.31"},
                 {21999, "Old", "1.31"},
                 {22000, "New", "1.33"},
                 {26100, "New", "1.33"},
                 {18363, NULL, NULL}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct inf inf;
        struct package package;
        bool installable = load(GOOD "device.inf", cases[i].build, &inf, &package);
        tap_at("build %u", cases[i].build);
        is_int(installable, cases[i].section != NULL);
        if (installable && cases[i].section) {
            is_str(package.section, cases[i].section);
            is_str(package.kmdf_version, cases[i].kmdf);
            is_str(package.files[0].folder, "x64/lib");
            is_str(package.services[0].binary, "x64\\lib\\device.sys");
            is_int(package.services[0].flags, 2);
            is_int(package.services[0].event_values.count,
                   !strcmp(cases[i].section, "New") ? 2 : 0);
        }
        inf_free(&inf);
    }
    tap_at(NULL);
}

NT_TEST(an_empty_models_section_excludes_its_builds)
{
    struct inf inf;
    struct package package;
    ok(!load(GOOD "syntax.inf", 22000, &inf, &package));
    inf_free(&inf);
    ok(load(GOOD "syntax.inf", 25319, &inf, &package));
    inf_free(&inf);
}

NT_TEST(oneip_runs_from_the_driver_store_where_filters_can)
{
    struct inf inf;
    struct package package;
    need_true(load(NTS_SOURCE_DIR "/kernel/inf/oneip.inf", 20348, &inf, &package));
    is_int(package.files[0].dirid, 12);
    is_int(package.services[0].binary_dirid, 12);
    inf_free(&inf);
    need_true(load(NTS_SOURCE_DIR "/kernel/inf/oneip.inf", 22631, &inf, &package));
    is_int(package.files[0].dirid, 12);
    inf_free(&inf);
    need_true(load(NTS_SOURCE_DIR "/kernel/inf/oneip.inf", 26100, &inf, &package));
    is_int(package.files[0].dirid, 13);
    is_str(package.services[0].name, "NtsOneIp");
    is_str(package.services[0].display, "ntswift ONE-IP");
    is_str(package.component_id, "nts_oneip");
    ok(package.filter.modifying && !package.filter.mandatory);
    is_int(package.filter.class_rank, 5);
    is_str(package.filter.media, "ethernet");
    is_str(package.catalog, "oneip.cat");
    inf_free(&inf);
    ok(!load(NTS_SOURCE_DIR "/kernel/inf/oneip.inf", 19045, &inf, &package), "not Windows 10");
    inf_free(&inf);
}

NT_TEST(utf16_and_localized_strings)
{
    struct inf inf;
    struct package package;
    need_true(load(GOOD "localized.inf", HOST_BUILD, &inf, &package));
    is_str(package.provider, "Xyz Inc.", "neutral English before no language at all");
    is_str(package.description, "Xyz filter, neutral English \xf0\x9f\x8c\x90");
    inf_free(&inf);
}

/* One line in a section of its own, and what the parser says of it. */
static unsigned parse_line(const char *line, struct inf *inf, struct setup_error *error)
{
    char text[512];
    struct rule_report report = {.file = "x.inf", .errors = error, .max = 1};
    int bytes = snprintf(text, sizeof(text), "[S]\n%s", line);
    *inf = (struct inf){0};
    *error = (struct setup_error){0};
    inf_parse(inf, "x.inf", text, (size_t)bytes, &report);
    return report.count;
}

NT_TEST(fields_are_split_as_windows_splits_them)
{
    static const struct {
        const char *line, *key, *fields[5];
        unsigned count;
    } cases[] = {
        {"a = b", "a", {"b"}, 1},
        {"a=b,c , d", "a", {"b", "c", "d"}, 3},
        {"  a  =  b c  ; comment", "a", {"b c"}, 1},
        {"a,b=c", NULL, {"a", "b=c"}, 2},
        {"a = \"b,c;d=e\"", "a", {"b,c;d=e"}, 1},
        {"a = \"say \"\"hi\"\"\"", "a", {"say \"hi\""}, 1},
        {"a = \"b\"c\"d\"", "a", {"bcd"}, 1},
        {"a = ,,x", "a", {"", "", "x"}, 3},
        {"a =", "a", {NULL}, 0},
        {"a = b,", "a", {"b", ""}, 2},
        {"a = b, \\\n c", "a", {"b", "c"}, 2},
        {"a = b\\ ; comment\n c", "a", {"bc"}, 1},
        {"a = \"c:\\\"\\\n,d", "a", {"c:\\", "d"}, 2},
        {"a = c:\\d", "a", {"c:\\d"}, 1},
        {"\"a;b\" = c", "a;b", {"c"}, 1},
        {"a = %12%\\b",
         "a",
         {"\x01"
          "12\x01\\b"},
         1},
        {"a = 100%%", "a", {"100%"}, 1},
        {"a = \"%%12%%\"", "a", {"%12%"}, 1},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct inf inf;
        struct setup_error error;
        tap_at("%s", cases[i].line);
        is_int(parse_line(cases[i].line, &inf, &error), 0, "%s", error.message);
        need_true(inf.count == 1 && inf.sections[0].count == 1);
        const struct inf_line *entry = &inf.sections[0].lines[0];
        is_int(entry->has_key, cases[i].key != NULL);
        if (entry->has_key && cases[i].key)
            is_str(entry->key.text, cases[i].key);
        is_int(entry->count, cases[i].count);
        for (unsigned j = 0; j < entry->count && j < cases[i].count; j++)
            is_str(entry->fields[j].text, cases[i].fields[j]);
        inf_free(&inf);
    }
    tap_at(NULL);
}

NT_TEST(bad_lines_are_named)
{
    static const struct {
        const char *line, *rule;
        unsigned number;
    } cases[] = {
        {"a = \"b", "QuoteUnterminated", 2},
        {"a = b \\", "Continuation", 2},
        {"a = b \\\n\nc = d", "Continuation", 2},
        {"a = b\\\\\n,c", "Continuation", 2},
        {"\n[T", "SectionHeader", 3},
        {"\n[]", "SectionHeader", 3},
        {"\n[T] x", "SectionHeader", 3},
        {"\n[s]", "SectionDuplicate", 3},
        {"a = %b", "StringToken", 2},
        {"a = %b%", "StringUndefined", 2},
        {"a = $ARCH$", "ArchToken", 2},
        {"a = \x02", "Encoding", 2},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct inf inf;
        struct setup_error error;
        tap_at("%s", cases[i].line);
        ok(parse_line(cases[i].line, &inf, &error) >= 1);
        is_str(error.rule, cases[i].rule);
        is_int(error.line, cases[i].number);
        inf_free(&inf);
    }
    tap_at(NULL);
}

NT_TEST(encodings_are_told_apart)
{
    static const struct {
        const char *bytes;
        size_t count;
        unsigned errors, sections;
    } cases[] = {
        {"[A]\r\n", 5, 0, 1},
        {"\xff\xfe[\0A\0]\0", 8, 0, 1},
        {"\xff\xfe[\0A\0]", 7, 1, 0},                  /* an odd byte: the bracket is lost */
        {"\xff\xfe\x3b\0\x00\xd8[\0A\0]\0", 12, 1, 0}, /* half a pair */
        {"\xfe\xff\0[\0A\0]", 8, 1, 0},                /* big endian */
        {"[\0A\0]\0", 6, 1, 0},                        /* no mark */
        {"\xef\xbb\xbf[A]", 6, 1, 1},
        {"[A]\n; \xc3\xa4", 8, 1, 1}, /* UTF-8 without a mark */
        {"[A]\n; \xe4", 7, 1, 1},     /* some code page */
        {"", 0, 0, 0},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct setup_error error = {0};
        struct rule_report report = {.file = "x.inf", .errors = &error, .max = 1};
        struct inf inf = {0};
        tap_at("case %u", i);
        inf_parse(&inf, "x.inf", cases[i].bytes, cases[i].count, &report);
        if (cases[i].errors) {
            ok(report.count >= 1);
            ok(!strcmp(error.rule, "Encoding") || !strcmp(error.rule, "SectionHeader"));
        } else {
            is_int(report.count, 0);
        }
        if (cases[i].sections)
            is_int(inf.count, cases[i].sections);
        inf_free(&inf);
    }
    tap_at(NULL);
}
