/* Text for people: a run's progress in whatever room there is. */
#include "coord/frame.h"

#include <math.h>
#include <stdarg.h>
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

void frame_summary(const struct snapshot *s, char *out, size_t size)
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

/* Columns of a worker's line, the most wanted first: the rest is cut off. */
static void add_worker(struct text *t, const struct snapshot_worker *w)
{
    char loss[32] = "", rate[48] = "", again[24] = "", time[32], bar[16];
    char name[sizeof w->task + sizeof again];
    if (isfinite(w->report.loss))
        snprintf(loss, sizeof loss, "  loss %.4g", w->report.loss);
    if (isfinite(w->report.rate))
        snprintf(rate, sizeof rate, "  %.3g %s/s", w->report.rate, w->report.unit[0] ? w->report.unit : "steps");
    if (w->attempt > 1)
        snprintf(again, sizeof again, " (try %d)", w->attempt);
    clock_duration(w->seconds, time, sizeof time);
    draw_bar(w->report.fraction, 6, bar, sizeof bar);
    int room = t->columns <= 80 ? t->columns - 54 : 26 + (t->columns - 80) / 2;
    room = room < 12 ? 12 : room > 60 ? 60 : room;
    snprintf(name, sizeof name, "%s%s", w->task, again);
    size_t n = fitting(name, room);
    int characters = 0;
    for (size_t i = 0; i < n; i++)
        characters += ((unsigned char)name[i] & 0xC0) != 0x80;
    add_line(t, "%5d  %.*s%*s  [%s] %3d%%  %s%s%s  %s", w->rank, (int)n, name, room - characters, "", bar,
             percent(w->report.fraction), w->report.what, loss, rate, time);
}

int frame_render(const struct snapshot *s, int columns, int rows, char *out, size_t size)
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
    frame_summary(s, summary, sizeof summary);
    add_line(&t, "%s[%s]%s", head, bar, tail);
    if (rows >= 2)
        add_line(&t, "  %s", summary);
    for (int i = 0; i < s->n_workers && t.lines < rows; i++) {
        if (t.lines == rows - 1 && s->n_workers - i > 1) {
            add_line(&t, "       and %d more workers", s->n_workers - i);
            break;
        }
        add_worker(&t, &s->workers[i]);
    }
    return t.lines;
}
