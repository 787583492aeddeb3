/* Text for people: a run's progress in whatever room there is. */
#include "coord/screen.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { LINE = 1024 };

struct text {
    char *out;
    size_t size, used;
    int columns, lines;
};

/* Cuts at `columns` characters (UTF-8 continuation bytes take no column). */
static size_t fitting(const char *s, int columns)
{
    size_t i = 0;
    for (int n = 0; s[i] != '\0'; i++)
        if (((unsigned char)s[i] & 0xC0) != 0x80 && n++ == columns)
            break;
    return i;
}

static void add_line(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_line(struct text *t, const char *format, ...)
{
    char line[LINE];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    size_t n = fitting(line, t->columns);
    while (n > 0 && line[n - 1] == ' ')
        n--;
    if (t->used + n + 2 > t->size)
        return;
    memcpy(t->out + t->used, line, n);
    t->used += n;
    t->out[t->used++] = '\n';
    t->out[t->used] = '\0';
    t->lines++;
}

static void draw_bar(double fraction, int width, char *out, size_t size)
{
    if (width > (int)size - 1)
        width = (int)size - 1;
    if (width < 0)
        width = 0;
    int full = isfinite(fraction) ? (int)(fraction * width + 0.5) : 0;
    full = full < 0 ? 0 : full > width ? width : full;
    memset(out, '#', (size_t)full);
    memset(out + full, '.', (size_t)(width - full));
    out[width] = '\0';
}

static int percent(double fraction)
{
    if (!isfinite(fraction) || fraction < 0)
        return 0;
    return fraction >= 1 ? 100 : (int)(100 * fraction); /* 100 only when it is */
}

void screen_summary(const struct snapshot *s, char *out, size_t size)
{
    char left[64] = "";
    int open = s->waiting + s->ready;
    if (s->stopping)
        snprintf(left, sizeof left, ", stopping");
    else if (isfinite(s->left) && open + s->running > 0) {
        char t[32];
        snprintf(left, sizeof left, ", %s left", clock_duration(s->left, t, sizeof t));
    }
    char failed[64] = "";
    if (s->failed + s->skipped > 0)
        snprintf(failed, sizeof failed, ", %d failed, %d skipped", s->failed, s->skipped);
    snprintf(out, size, "%d of %d done%s, %d running, %d remaining%s", s->done, s->total, failed, s->running, open,
             left);
}

/* The cells of a worker's line; every column is as wide as its widest cell. */
struct cells {
    char name[192], bar[8], what[64], loss[24], rate[40], time[32];
    int percent;
};

struct layout {
    int name, what, loss, rate, time; /* columns; 0: left out */
    bool bar;
};

static void fill_cells(const struct snapshot_worker *w, struct cells *c)
{
    const struct task_report *r = &w->report;
    memset(c, 0, sizeof *c);
    if (w->attempt > 1)
        snprintf(c->name, sizeof c->name, "%s (try %d)", w->task, w->attempt);
    else
        snprintf(c->name, sizeof c->name, "%s", w->task);
    snprintf(c->what, sizeof c->what, "%s", r->what);
    if (isfinite(r->loss))
        snprintf(c->loss, sizeof c->loss, "loss %.4g", r->loss);
    if (isfinite(r->rate))
        snprintf(c->rate, sizeof c->rate, fabs(r->rate) < 999.5 ? "%.3g %s/s" : "%.0f %s/s", r->rate,
                 r->unit[0] ? r->unit : "steps");
    clock_duration(w->seconds, c->time, sizeof c->time);
    draw_bar(r->fraction, 6, c->bar, sizeof c->bar);
    c->percent = percent(r->fraction);
}

static int width_of(const char *s)
{
    int n = 0;
    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static void widen(int *width, const char *cell)
{
    int n = width_of(cell);
    *width = n > *width ? n : *width;
}

/* What is left for names after rank, percentage and the columns of the layout. */
static int room_for_names(const struct layout *l, int columns)
{
    const int widths[] = { l->what, l->loss, l->rate, l->time };
    int room = columns - 5 - 2 - 2 - 4 - (l->bar ? 9 : 0);
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
        room -= widths[i] > 0 ? widths[i] + 2 : 0;
    return room;
}

/* Percentage, epoch, loss and rate are always shown: where that is too much, the
 * time goes, then the bar, and then the names shrink. */
static struct layout lay_out(const struct snapshot *s, int n, int columns)
{
    enum { ENOUGH = 24, SCANT = 16, LEAST = 8 };
    struct layout l = { .bar = true };
    struct cells c;
    for (int i = 0; i < n; i++) {
        fill_cells(&s->workers[i], &c);
        widen(&l.name, c.name);
        widen(&l.what, c.what);
        widen(&l.loss, c.loss);
        widen(&l.rate, c.rate);
        widen(&l.time, c.time);
    }
    if (l.what > columns / 4)
        l.what = columns / 4;
    if (room_for_names(&l, columns) < (l.name < ENOUGH ? l.name : ENOUGH))
        l.time = 0;
    if (room_for_names(&l, columns) < (l.name < SCANT ? l.name : SCANT))
        l.bar = false;
    int room = room_for_names(&l, columns);
    room = room < LEAST ? LEAST : room;
    l.name = l.name < room ? l.name : room;
    return l;
}

/* Names differ mostly at their ends: what is too long loses its middle. */
static void shorten(const char *name, int room, char *out, size_t size)
{
    int width = width_of(name), head = (room - 2) / 3, tail = room - 2 - head;
    if (width <= room)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "%.*s..%s", (int)fitting(name, head), name, name + fitting(name, width - tail));
}

/* Two spaces and the cell, cut or filled up to its column's width; nothing for 0. */
static void add_cell(char *line, size_t size, const char *cell, int width)
{
    size_t used = strlen(line), n = fitting(cell, width);
    int missing = width - width_of(cell);
    if (width > 0)
        snprintf(line + used, size - used, "  %.*s%*s", (int)n, cell, missing > 0 ? missing : 0, "");
}

static void add_worker(struct text *t, const struct snapshot_worker *w, const struct layout *l)
{
    struct cells c;
    char line[LINE], name[2 * sizeof c.name];
    fill_cells(w, &c);
    shorten(c.name, l->name, name, sizeof name);
    snprintf(line, sizeof line, "%5d", w->rank);
    add_cell(line, sizeof line, name, l->name);
    size_t used = strlen(line);
    if (l->bar)
        snprintf(line + used, sizeof line - used, "  [%s] %3d%%", c.bar, c.percent);
    else
        snprintf(line + used, sizeof line - used, "  %3d%%", c.percent);
    add_cell(line, sizeof line, c.what, l->what);
    add_cell(line, sizeof line, c.loss, l->loss);
    add_cell(line, sizeof line, c.rate, l->rate);
    add_cell(line, sizeof line, c.time, l->time);
    add_line(t, "%s", line);
}

int screen_render(const struct snapshot *s, int columns, int rows, char *out, size_t size)
{
    struct text t = { .out = out, .size = size, .columns = columns < 20 ? 20 : columns };
    char head[OPTION_NAME + 16], bar[128], tail[64], summary[256];
    out[0] = '\0';
    if (rows < 1)
        return 0;
    snprintf(head, sizeof head, "%.24s ", s->campaign);
    snprintf(tail, sizeof tail, " %3d%%", percent(s->fraction));
    int width = t.columns - (int)strlen(head) - (int)strlen(tail) - 2;
    draw_bar(s->fraction, width > 100 ? 100 : width, bar, sizeof bar);
    screen_summary(s, summary, sizeof summary);
    add_line(&t, "%s[%s]%s", head, bar, tail);
    if (rows >= 2)
        add_line(&t, "  %s", summary);
    int left = rows - t.lines, shown = s->n_workers <= left ? s->n_workers : left > 1 ? left - 1 : 0;
    struct layout layout = lay_out(s, shown, t.columns);
    for (int i = 0; i < shown; i++)
        add_worker(&t, &s->workers[i], &layout);
    if (shown < s->n_workers && left > 0)
        add_line(&t, "       and %d more workers", s->n_workers - shown);
    return t.lines;
}
