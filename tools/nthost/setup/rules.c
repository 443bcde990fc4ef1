/* The table of INF rules and the report of broken ones. See rules.h. */
#include "rules.h"
#include <stdlib.h>
#include <string.h>

const struct rule_text setup_rule_table[RULE_COUNT] = {
#define X(name, page, text) {#name, page, text},
    SETUP_RULES(X)
#undef X
};

void rule_broken(struct rule_report *report, enum setup_rule rule, unsigned line,
                 const char *format, ...)
{
    struct setup_error error = {.line = line};
    snprintf(error.file, sizeof error.file, "%s", report->file);
    snprintf(error.rule, sizeof error.rule, "%s", setup_rule_table[rule].name);
    va_list list;
    va_start(list, format);
    vsnprintf(error.message, sizeof error.message, format, list);
    va_end(list);

    /* A section that several decorations share is checked once for each. */
    for (unsigned i = 0; i < report->stored; i++) {
        const struct setup_error *e = &report->errors[i];
        if (e->line == line && !strcmp(e->rule, error.rule) && !strcmp(e->message, error.message))
            return;
    }
    report->count++;
    if (report->stored < report->max)
        report->errors[report->stored++] = error;
}

static int by_line(const void *a, const void *b)
{
    const struct setup_error *x = a, *y = b;
    return x->line != y->line ? (x->line < y->line ? -1 : 1) : strcmp(x->rule, y->rule);
}

void rule_report_sort(struct rule_report *report)
{
    if (report->stored)
        qsort(report->errors, report->stored, sizeof *report->errors, by_line);
}
