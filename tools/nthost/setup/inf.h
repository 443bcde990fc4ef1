/*
 * INF files as text: sections, entries, fields, strings.
 * WDK: "General Syntax Rules for INF Files", "INF Strings Section", "Using Dirids".
 *
 * All text is UTF-8. A %dirid% that is left after strings are put in stands in `text` between two
 * INF_DIRID bytes, so that it cannot be taken for a literal percent sign (%%).
 */
#pragma once
#include "rules.h"
#include "text.h"

#define INF_DIRID     '\x01'
#define INF_FIELD_MAX 4095 /* UTF-16 units */

struct inf_field {
    const char *raw;  /* unquoted, tokens as written */
    const char *text; /* with strings put in */
};

struct inf_line {
    unsigned line;
    bool has_key;
    struct inf_field key; /* before '=' */
    struct inf_field *fields;
    unsigned count, capacity;
};

struct inf_section {
    struct inf_field name;
    unsigned line;
    struct inf_line *lines;
    unsigned count, capacity;
    /* By the checks: what first made use of it. */
    unsigned kind, used_by;
};

struct inf {
    struct arena arena;
    const char *path, *directory;
    struct inf_section *sections;
    unsigned count, capacity;
    const struct inf_section *strings; /* the [Strings] that this host's language selects */
};

/* Reads and parses; what is wrong with the text goes to the report. False: `error` tells why the
 * file could not be read at all. The inf is to be freed in either case. */
bool inf_read(struct inf *inf, const char *path, struct rule_report *report, char *error,
              size_t error_size);
void inf_parse(struct inf *inf, const char *path, const void *data, size_t bytes,
               struct rule_report *report);
void inf_free(struct inf *inf);

struct inf_section *inf_section(struct inf *inf, const char *name);
/* The first entry of that key, NULL if none. */
struct inf_line *inf_entry(const struct inf_section *section, const char *key);
/* A field's text, "" if the entry has fewer. */
const char *inf_text(const struct inf_line *entry, unsigned field);

/* "%13%\file" -> 13, "\file". */
bool inf_dirid(const char *text, unsigned *dirid, const char **rest);
/* The text as a person wrote it, dirids between percent signs again. */
const char *inf_shown(struct inf *inf, const char *text);

/* Steps of inf_parse. */
char *inf_decode(struct inf *inf, const void *data, size_t bytes,
                 struct rule_report *report); /* NULL: nothing to go on with */
void inf_put_strings(struct inf *inf, struct rule_report *report);
