/*
 * INF syntax: sections of entries, key = value, value...; quotes, comments, continuation.
 * WDK: "General Syntax Rules for INF Files".
 *
 * The parser never fails: what it cannot make sense of is reported and skipped.
 */
#include "inf.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (16u << 20)

struct reader {
    struct inf *inf;
    struct rule_report *report;
    const char *text, *at;
    unsigned line;
    char *field; /* room for the longest field: the whole text */
};

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct reader *r)
{
    while (blank(*r->at))
        r->at++;
}

static void skip_line(struct reader *r)
{
    while (*r->at && *r->at != '\n')
        r->at++;
}

/* At an unquoted backslash: is it the last thing on the line, apart from blanks and a comment? */
static bool continues(const char *at)
{
    for (at++; blank(*at); at++)
        ;
    return *at == '\n' || *at == ';' || !*at;
}

/* Steps over a continuation; false if nothing follows that could continue the entry. */
static bool next_line(struct reader *r)
{
    unsigned line = r->line;
    bool doubled = r->at > r->text && r->at[-1] == '\\';
    skip_line(r);
    if (*r->at == '\n') {
        r->at++;
        r->line++;
    }
    skip_blanks(r);
    bool nothing = !*r->at || *r->at == '\n' || *r->at == ';' || *r->at == '[';
    if (nothing)
        rule_broken(r->report, RuleContinuation, line,
                    "the line ends in a backslash, which continues it, but no text follows; quote "
                    "the value if the backslash belongs to it");
    else if (doubled)
        rule_broken(r->report, RuleContinuation, line,
                    "the line ends in two backslashes, of which Windows drops one and takes the "
                    "other for a continuation; quote the value");
    return !nothing;
}

/*
 * One field, up to ',' or the end of the entry, or to '=' if that may end a key. Blanks around it
 * go; quoted parts are taken as they are, without their quotes. Returns what ended it.
 */
static char lex_field(struct reader *r, bool key_may_end, struct inf_field *field)
{
    char *to = r->field, *keep = to, end = 0;
    bool quoted = false;
    skip_blanks(r);
    for (;;) {
        char c = *r->at;
        if (quoted) {
            if (c == '"' && r->at[1] == '"') {
                *to++ = '"';
                r->at += 2;
            } else if (c == '"') {
                quoted = false;
                keep = to;
                r->at++;
            } else if (c == '\n' || !c) {
                rule_broken(r->report, RuleQuoteUnterminated, r->line,
                            "a quoted string does not end on its line; close it with a double "
                            "quote (\"\" stands for one inside)");
                while (to > keep && blank(to[-1]))
                    to--;
                keep = to;
                break;
            } else {
                *to++ = c;
                r->at++;
            }
            continue;
        }
        if (!c || c == '\n')
            break;
        if (c == ';') {
            skip_line(r);
            break;
        }
        if (c == ',' || (c == '=' && key_may_end)) {
            end = c;
            r->at++;
            break;
        }
        if (c == '\\' && continues(r->at)) {
            if (!next_line(r))
                break;
            continue;
        }
        if (c == '"') {
            quoted = true;
            r->at++;
            keep = to;
            continue;
        }
        if (c == '%') {
            /* A token may hold what would end the field. */
            const char *close = r->at + 1;
            while (*close && *close != '\n' && *close != '%' && *close != '"')
                close++;
            if (*close == '%') {
                while (r->at <= close)
                    *to++ = *r->at++;
                keep = to;
                continue;
            }
        }
        *to++ = c;
        r->at++;
        if (!blank(c))
            keep = to;
    }
    field->raw = arena_strndup(&r->inf->arena, r->field, (size_t)(keep - r->field));
    field->text = field->raw;
    if (text_utf16_length(field->raw) > INF_FIELD_MAX)
        rule_broken(r->report, RuleFieldTooLong, r->line,
                    "the field has %zu characters, at most %u are allowed; shorten it",
                    text_utf16_length(field->raw), INF_FIELD_MAX);
    return end;
}

static void parse_entry(struct reader *r, struct inf_section *section)
{
    struct inf_line entry = {.line = r->line};
    struct inf_field field;
    char end = lex_field(r, true, &field);
    if (end == '=') {
        entry.has_key = true;
        entry.key = field;
        end = lex_field(r, false, &field);
    }
    for (;;) {
        struct inf_field *next = arena_push(&r->inf->arena, (void **)&entry.fields, &entry.count,
                                            &entry.capacity, sizeof *next);
        *next = field;
        if (end != ',')
            break;
        end = lex_field(r, false, &field);
    }
    if (entry.count == 1 && !*entry.fields[0].raw)
        entry.count = 0;

    if (!section) {
        rule_broken(r->report, RuleEntryOutsideSection, entry.line,
                    "an entry stands before the first [section]; move it into one");
        return;
    }
    struct inf_line *line = arena_push(&r->inf->arena, (void **)&section->lines, &section->count,
                                       &section->capacity, sizeof *line);
    *line = entry;
}

static struct inf_section *parse_header(struct reader *r)
{
    const char *name = ++r->at, *close = name;
    unsigned line = r->line;
    while (*close && *close != '\n' && *close != ']')
        close++;
    const char *end = close;
    while (blank(*name) && name < end)
        name++;
    while (end > name && blank(end[-1]))
        end--;
    r->at = close;
    if (*close != ']') {
        rule_broken(r->report, RuleSectionHeader, line,
                    "the section header has no closing bracket; add ]");
    } else {
        r->at++;
        skip_blanks(r);
        if (*r->at && *r->at != '\n' && *r->at != ';')
            rule_broken(r->report, RuleSectionHeader, line,
                        "text follows the section header; move it to a line of its own");
    }
    skip_line(r);

    char *text = arena_strndup(&r->inf->arena, name, (size_t)(end - name));
    size_t length = text_utf16_length(text);
    if (length < 1 || length > 255)
        rule_broken(r->report, RuleSectionHeader, line,
                    "the section's name has %zu characters; give it 1 to 255", length);

    /* Windows merges sections of one name. */
    struct inf_section *same = inf_section(r->inf, text);
    if (same) {
        rule_broken(r->report, RuleSectionDuplicate, line,
                    "[%s] is already on line %u; put the entries of both into one section", text,
                    same->line);
        return same;
    }
    struct inf_section *section = arena_push(&r->inf->arena, (void **)&r->inf->sections,
                                             &r->inf->count, &r->inf->capacity, sizeof *section);
    *section = (struct inf_section){.name = {text, text}, .line = line};
    return section;
}

void inf_parse(struct inf *inf, const char *path, const void *data, size_t bytes,
               struct rule_report *report)
{
    inf->path = arena_strdup(&inf->arena, path);
    const char *slash = strrchr(path, '/');
    inf->directory =
        slash ? arena_strndup(&inf->arena, path, (size_t)(slash - path) + !(slash - path)) : ".";
    char *text = inf_decode(inf, data, bytes, report);
    if (!text)
        return;
    struct reader r = {.inf = inf,
                       .report = report,
                       .text = text,
                       .at = text,
                       .line = 1,
                       .field = arena_alloc(&inf->arena, strlen(text) + 1)};
    struct inf_section *section = NULL;
    while (*r.at) {
        skip_blanks(&r);
        if (*r.at == ';')
            skip_line(&r);
        if (*r.at == '[')
            section = parse_header(&r);
        else if (*r.at && *r.at != '\n')
            parse_entry(&r, section);
        skip_line(&r);
        if (*r.at == '\n') {
            r.at++;
            r.line++;
        }
    }
    inf_put_strings(inf, report);
}

bool inf_read(struct inf *inf, const char *path, struct rule_report *report, char *error,
              size_t error_size)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(error, error_size, "cannot open the INF: %s", strerror(errno));
        return false;
    }
    unsigned char *data = malloc(FILE_MAX + 1);
    if (!data)
        abort();
    size_t bytes = fread(data, 1, FILE_MAX + 1, file);
    bool good = !ferror(file) && bytes <= FILE_MAX;
    if (!good)
        snprintf(error, error_size, "cannot read the INF: %s",
                 ferror(file) ? "it is no readable file" : "it has more than 16 MiB");
    fclose(file);
    if (good)
        inf_parse(inf, path, data, bytes, report);
    free(data);
    return good;
}

void inf_free(struct inf *inf)
{
    arena_free(&inf->arena);
    *inf = (struct inf){0};
}

struct inf_section *inf_section(struct inf *inf, const char *name)
{
    for (unsigned i = 0; i < inf->count; i++)
        if (text_same(inf->sections[i].name.text, name))
            return &inf->sections[i];
    return NULL;
}

struct inf_line *inf_entry(const struct inf_section *section, const char *key)
{
    for (unsigned i = 0; section && i < section->count; i++)
        if (section->lines[i].has_key && text_same(section->lines[i].key.text, key))
            return &section->lines[i];
    return NULL;
}

const char *inf_text(const struct inf_line *entry, unsigned field)
{
    return entry && field < entry->count ? entry->fields[field].text : "";
}
