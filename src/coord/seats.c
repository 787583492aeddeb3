/* Seats: clocks and choices; nothing here sends or writes. */
#include "coord/seats.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { ROW = 3 };              /* failures in a row after which a seat is suspect */
static const double rest = 60; /* seconds */

int seats_init(struct seats *s, int ranks, struct err *err)
{
    s->n = ranks;
    s->first = ranks > 1 ? 1 : 0;
    s->clock = clock_monotonic();
    s->v = mem_alloc((size_t)ranks, sizeof *s->v, err);
    s->idle = mem_alloc((size_t)ranks, sizeof *s->idle, err);
    if (s->v == NULL || s->idle == NULL)
        return -1;
    for (int i = 0; i < ranks; i++) {
        s->v[i].task = -1;
        s->v[i].last = -1;
    }
    return 0;
}

void seats_fini(struct seats *s)
{
    mem_free(s->v);
    mem_free(s->idle);
}

void seats_idle(struct seats *s, int rank)
{
    s->v[rank].task = -1;
    if (!s->v[rank].aside)
        s->idle[s->n_idle++] = rank;
}

/* 2: on another host than the one the task failed on, 1: another rank, 0: that one. */
static int distance(const struct seats *s, const struct plan_task *t, int rank)
{
    if (t->attempts == 0 || t->rank < s->first || t->rank >= s->n)
        return 2;
    return rank == t->rank ? 0 : strcmp(s->v[rank].host, s->v[t->rank].host) == 0 ? 1 : 2;
}

static bool better_one_works(const struct seats *s)
{
    for (int i = s->first; i < s->n; i++)
        if (s->v[i].task >= 0 && s->v[i].row < ROW)
            return true;
    return false;
}

static bool is_free(const struct seats *s, int rank, bool better)
{
    return s->v[rank].row < ROW || !better || s->clock >= s->v[rank].rests;
}

bool seats_free(const struct seats *s)
{
    bool better = s->n_idle > 0 && better_one_works(s);
    for (int i = 0; i < s->n_idle; i++)
        if (is_free(s, s->idle[i], better))
            return true;
    return false;
}

int seats_choose(struct seats *s, const struct plan_task *t, bool patience)
{
    int wanted = 0, best = -1, at = -1;
    for (int rank = s->first; patience && t->attempts > 0 && rank < s->n; rank++)
        if (s->v[rank].present && !s->v[rank].aside && distance(s, t, rank) > wanted)
            wanted = distance(s, t, rank);
    bool better = better_one_works(s);
    for (int i = s->n_idle - 1; i >= 0 && best < 2; i--) {
        if (!is_free(s, s->idle[i], better))
            continue;
        int d = distance(s, t, s->idle[i]);
        if (d > best) {
            best = d;
            at = i;
        }
    }
    if (at < 0 || best < wanted)
        return -1;
    int rank = s->idle[at];
    memmove(s->idle + at, s->idle + at + 1, (size_t)(--s->n_idle - at) * sizeof *s->idle);
    return rank;
}

void seats_succeeded(struct seats *s, int rank)
{
    s->v[rank].row = 0;
    s->v[rank].last = -1;
    for (int i = s->first; i < s->n; i++)
        if (i != rank)
            s->v[i].others |= s->v[i].row > 0;
}

void seats_failed(struct seats *s, int rank, int task)
{
    struct seat *seat = &s->v[rank];
    if (seat->last == task)
        return;
    if (seat->row++ == 0)
        seat->others = false;
    seat->last = task;
    seat->rests = s->clock + rest;
}

int seats_suspect(const struct seats *s)
{
    int aside = 0, suspect = -1;
    for (int i = s->first; i < s->n; i++) {
        const struct seat *seat = &s->v[i];
        aside += seat->aside;
        if (!seat->aside && seat->row >= ROW && seat->others)
            suspect = i;
    }
    return 2 * (aside + 1) <= s->n - s->first ? suspect : -1;
}

void seats_set_aside(struct seats *s, int rank)
{
    s->v[rank].aside = true;
    for (int i = 0; i < s->n_idle; i++)
        if (s->idle[i] == rank)
            s->idle[i--] = s->idle[--s->n_idle];
}

bool seats_none_left(const struct seats *s)
{
    int here = 0;
    for (int i = s->first; i < s->n; i++) {
        here += s->v[i].present;
        if (s->v[i].present && !s->v[i].aside)
            return false;
    }
    return here > 0;
}

void seats_tick(struct seats *s, double now)
{
    double passed = now - s->clock;
    s->clock = now;
    passed = passed > 1 ? 1 : passed;
    for (int i = s->first; i < s->n; i++) {
        struct seat *seat = &s->v[i];
        if (seat->task < 0)
            continue;
        seat->silent += passed;
        if (!seat->report.waiting)
            seat->counted += passed;
    }
}

int seats_lost(const struct seats *s, double silence, double task_seconds, double grace)
{
    const double margin = 5 * seat_heartbeat;
    for (int i = s->first; i < s->n; i++) {
        const struct seat *seat = &s->v[i];
        if (seat->task < 0 || seat->mute)
            continue;
        bool over = task_seconds > 0 && seat->counted > task_seconds + grace + margin && seat->silent > margin;
        if (over || (silence > 0 && seat->silent > silence))
            return i;
    }
    return -1;
}
