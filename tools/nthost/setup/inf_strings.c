/*
 * %tokens%: strings, localized strings, directory ids.
 * WDK: "INF Strings Section", "Using Dirids".
 *
 * Windows selects one [Strings] section for the whole INF. The host's language is U.S. English.
 */
#include "inf.h"
#include <stdlib.h>
#include <string.h>

#define HOST_LANGUAGE 0x0409

/* The LanguageID of [Strings.xxxx], or -1. */
static int language_of(const struct inf_section *section)
{
    const char *name = section->name.text;
    uint64_t id;
    char hex[8];
    if (!text_starts(name, "Strings.") || strlen(name) != 12)
        return -1;
    snprintf(hex, sizeof hex, "0x%s", name + 8);
    return text_number(hex, 0xffff, &id) ? (int)id : -1;
}

static struct inf_section *select_strings(struct inf *inf)
{
    struct inf_section *neutral = NULL, *family = NULL;
    for (unsigned i = 0; i < inf->count; i++) {
        int id = language_of(&inf->sections[i]);
        if (id == HOST_LANGUAGE)
            return &inf->sections[i];
        if (id == (HOST_LANGUAGE & 0x3ff))
            neutral = &inf->sections[i];
        else if (id >= 0 && (id & 0x3ff) == (HOST_LANGUAGE & 0x3ff) && !family)
            family = &inf->sections[i];
    }
    return neutral ? neutral : family ? family : inf_section(inf, "Strings");
}

static void check_strings(struct inf *inf, struct rule_report *report)
{
    struct inf_section *base = inf_section(inf, "Strings");
    for (unsigned i = 0; i < inf->count; i++) {
        struct inf_section *section = &inf->sections[i];
        if (section != base && language_of(section) < 0)
            continue;
        for (unsigned j = 0; j < section->count; j++) {
            struct inf_line *entry = &section->lines[j];
            if (!entry->has_key || entry->count > 1) {
                rule_broken(report, RuleDirectiveUnknown, entry->line,
                            "an entry of [%s] is token = \"text\"; a text with a comma, semicolon "
                            "or final backslash needs quotes",
                            section->name.text);
                continue;
            }
            struct inf_line *first = inf_entry(section, entry->key.text);
            if (first != entry)
                rule_broken(report, RuleKeyDuplicate, entry->line,
                            "the string %s is already on line %u; remove one of them",
                            entry->key.text, first->line);
            if (section != base && base && !inf_entry(base, entry->key.text))
                rule_broken(report, RuleStringsLocalized, entry->line,
                            "[Strings] lacks %s; every language defines the same tokens",
                            entry->key.text);
        }
        for (unsigned j = 0; section != base && base && j < base->count; j++)
            if (base->lines[j].has_key && !inf_entry(section, base->lines[j].key.text))
                rule_broken(report, RuleStringsLocalized, section->line,
                            "[%s] lacks %s of [Strings]; every language defines the same tokens",
                            section->name.text, base->lines[j].key.text);
    }
}

static bool all_digits(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return bytes > 0 && bytes < 10;
}

static void put_strings(struct inf *inf, struct rule_report *report, struct inf_field *field,
                        unsigned line)
{
    if (!strchr(field->raw, '%'))
        return;
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        abort();
    for (const char *at = field->raw; *at;) {
        if (*at != '%') {
            fputc(*at++, out);
            continue;
        }
        const char *close = strchr(at + 1, '%');
        if (!close) {
            rule_broken(report, RuleStringToken, line,
                        "a percent sign stands alone in \"%s\"; close the %%token%% or write %%%%",
                        field->raw);
            fputs(at, out);
            break;
        }
        size_t length = (size_t)(close - at) - 1;
        char *token = arena_strndup(&inf->arena, at + 1, length);
        const struct inf_line *string = inf_entry(inf->strings, token);
        if (!length)
            fputc('%', out);
        else if (string)
            fputs(string->count ? string->fields[0].raw : "", out);
        else if (all_digits(token, length))
            fprintf(out, "%c%s%c", INF_DIRID, token, INF_DIRID);
        else {
            rule_broken(report, RuleStringUndefined, line,
                        "%%%s%% is not defined in [%s]; define it, or write %%%%%s%%%% if the text "
                        "itself is meant",
                        token, inf->strings ? inf->strings->name.text : "Strings", token);
            fputs(token, out);
        }
        at = close + 1;
    }
    fclose(out);
    field->text = arena_strndup(&inf->arena, text, bytes);
    free(text);
    if (text_utf16_length(field->text) > INF_FIELD_MAX)
        rule_broken(report, RuleFieldTooLong, line,
                    "with its strings put in the field has %zu characters, at most %u are allowed; "
                    "shorten them",
                    text_utf16_length(field->text), INF_FIELD_MAX);
}

/* stampinf replaces these when it makes an .inf of an .inx. */
static void check_stamp(struct rule_report *report, const char *raw, unsigned line)
{
    static const char *const stamps[] = {"$ARCH$", "$KMDFVERSION$", "$KMDFCOINSTALLERVERSION$",
                                         "$UMDFVERSION$", NULL};
    for (unsigned i = 0; stamps[i]; i++)
        if (strstr(raw, stamps[i]))
            rule_broken(report, RuleArchToken, line,
                        "%s is still to be replaced; run stampinf on the file, or write the value",
                        stamps[i]);
}

void inf_put_strings(struct inf *inf, struct rule_report *report)
{
    inf->strings = select_strings(inf);
    check_strings(inf, report);
    for (unsigned i = 0; i < inf->count; i++) {
        struct inf_section *section = &inf->sections[i];
        if (text_same(section->name.text, "Strings") || language_of(section) >= 0)
            continue;
        check_stamp(report, section->name.raw, section->line);
        put_strings(inf, report, &section->name, section->line);
        for (unsigned j = 0; j < section->count; j++) {
            struct inf_line *entry = &section->lines[j];
            if (entry->has_key) {
                check_stamp(report, entry->key.raw, entry->line);
                put_strings(inf, report, &entry->key, entry->line);
            }
            for (unsigned k = 0; k < entry->count; k++) {
                check_stamp(report, entry->fields[k].raw, entry->line);
                put_strings(inf, report, &entry->fields[k], entry->line);
            }
        }
    }
}

bool inf_dirid(const char *text, unsigned *dirid, const char **rest)
{
    if (*text != INF_DIRID)
        return false;
    char *end;
    *dirid = (unsigned)strtoul(text + 1, &end, 10);
    *rest = end + 1;
    return *end == INF_DIRID;
}

const char *inf_shown(struct inf *inf, const char *text)
{
    char *shown = arena_strdup(&inf->arena, text);
    for (char *t = shown; *t; t++)
        if (*t == INF_DIRID)
            *t = '%';
    return shown;
}
