/* Progress reports as lines of text: a pipe may be read by a person too. */
#include "coord/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void report_init(struct task_report *r)
{
    memset(r, 0, sizeof *r);
    r->loss = NAN;
    r->rate = NAN;
}

void report_from_progress(struct task_report *r, const struct task_progress *p)
{
    report_init(r);
    r->fraction = p->fraction;
    r->loss = p->loss;
    r->rate = p->rate;
    r->waiting = p->waiting;
    snprintf(r->what, sizeof r->what, "%s", p->what);
    snprintf(r->unit, sizeof r->unit, "%s", p->unit != NULL ? p->unit : "");
}

static void make_one_line(char *text)
{
    for (char *c = text; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
}

int report_print(const struct task_report *r, char *out, size_t size)
{
    char what[sizeof r->what];
    snprintf(what, sizeof what, "%s", r->what);
    make_one_line(what);
    return snprintf(out, size, "%s %.6g %.6g %.6g %s %s\n", r->waiting ? "waiting" : "progress", r->fraction, r->loss,
                    r->rate, r->unit[0] ? r->unit : "-", what);
}

static const char error_word[] = "error ";

int report_print_error(const char *text, char *out, size_t size)
{
    char line[400];
    snprintf(line, sizeof line, "%s", text);
    make_one_line(line);
    return snprintf(out, size, "%s%s\n", error_word, line);
}

const char *report_error(const char *line)
{
    size_t n = sizeof error_word - 1;
    return strncmp(line, error_word, n) == 0 ? line + n : NULL;
}

int report_parse(const char *line, struct task_report *r)
{
    struct task_report got;
    int at = 0;
    char word[16];
    report_init(&got);
    /* %lf reads "nan", too */
    if (sscanf(line, "%15s %lf %lf %lf %15s %n", word, &got.fraction, &got.loss, &got.rate, got.unit, &at) < 5 ||
        at == 0)
        return -1;
    got.waiting = strcmp(word, "waiting") == 0;
    if (!got.waiting && strcmp(word, "progress") != 0)
        return -1;
    if (strcmp(got.unit, "-") == 0)
        got.unit[0] = '\0';
    snprintf(got.what, sizeof got.what, "%s", line + at);
    got.what[strcspn(got.what, "\n")] = '\0';
    *r = got;
    return 0;
}
