/* What plans are made of and searched with: heap, table, edges; what is printed of them, written and read back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/rng.h"
#include "conf/json.h"
#include "plan/edges.h"
#include "plan/heap.h"
#include "plan/internal.h"
#include "plan/print.h"
#include "plan/schedule.h"
#include "unit/plan/graph.h"

static struct err err;

/* Smallest key first, ties by the index; what is removed is gone. Against a search through all. */
static void heaps(void **state)
{
    (void)state;
    enum { MOST = 60 };
    struct rng rng = rng_at(1, RNG_TEST, 7, 0, 0);
    struct heap h;
    double key[MOST];
    bool in[MOST] = { false };
    assert_int_equal(heap_init(&h, MOST, &err), 0);
    assert_true(h.n == 0 && h.max == MOST);
    for (int step = 0, n = 0; step < 20000; step++) {
        const int i = (int)rng_below(&rng, MOST), what = (int)rng_below(&rng, 5);
        if (what < 2 && !in[i]) {
            key[i] = rng_below(&rng, 10);
            heap_push(&h, key[i], i);
            in[i] = true;
            n++;
        } else if (what == 2) {
            heap_remove(&h, i);
            n -= in[i];
            in[i] = false;
        } else if (what > 2 && n > 0) {
            int first = -1;
            for (int k = 0; k < MOST; k++)
                if (in[k] && (first < 0 || key[k] < key[first]))
                    first = k;
            const struct heap_item item = heap_pop(&h);
            assert_true(item.index == first && item.key == key[first]);
            in[first] = false;
            n--;
        }
        assert_int_equal(h.n, n);
    }
    heap_fini(&h);
    assert_null(h.items);
}

static void tables(void **state)
{
    (void)state;
    enum { MOST = 500 };
    struct table t = { 0 };
    char key[16];
    assert_int_equal(table_find(&t, "0"), -1);
    for (int i = 0; i < MOST; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(table_find(&t, key), -1);
        assert_int_equal(table_add(&t, key, i, &err), 0);
        assert_int_equal(t.used, i + 1);
        assert_true(2 * t.used <= t.size && (t.size & (t.size - 1)) == 0 && t.size <= 4 * t.used + 64);
        for (int k = 0; k <= i; k += 1 + i / 10) {
            snprintf(key, sizeof key, "%d", k);
            assert_int_equal(table_find(&t, key), k);
        }
    }
    assert_int_equal(table_add(&t, "7", -3, &err), 0); /* another value of a key that is there */
    assert_true(table_find(&t, "7") == -3 && t.used == MOST);
    assert_int_equal(table_find(&t, ""), -1);
    table_fini(&t);
    assert_true(t.size == 0 && t.entries == NULL);
}

static void all_edges(void **state)
{
    (void)state;
    struct edges e;
    struct plan *p = graph_create();
    const int a = graph_task(p, 1, -1, -1), b = graph_task(p, 1, -1, -1), c = graph_task(p, 1, a, b),
              d = graph_task(p, 1, a, c);
    graph_task(p, 1, -1, -1);
    const int f = graph_task(p, 1, d, d); /* twice is two edges */
    assert_int_equal(edges_init(&e, p, &err), 0);
    const int first[] = { 0, 2, 3, 4, 6, 6, 6 }, to[] = { c, d, c, d, f, f };
    assert_memory_equal(e.first, first, sizeof first);
    assert_memory_equal(e.to, to, sizeof to);
    edges_fini(&e);
    plan_destroy(p);
}

/* Of a random graph with every operation: states, counts and costs are those that a search through all tasks finds. */
static void schedules(void **state)
{
    (void)state;
    enum { TASKS = 40 };
    for (uint32_t run = 0; run < 40; run++) {
        struct rng rng = rng_at(3, RNG_TEST, run, 0, 0);
        struct plan *p = graph_create();
        bool later[TASKS] = { false };
        double now = 0, due[TASKS] = { 0 };
        for (int i = 0; i < TASKS; i++) {
            const int one = i > 0 && rng_below(&rng, 3) > 0 ? (int)rng_below(&rng, (uint32_t)i) : -1;
            const int two = one > 0 && rng_below(&rng, 2) > 0 ? (int)rng_below(&rng, (uint32_t)one) : -1;
            graph_task(p, 1 + rng_below(&rng, 9), one, two);
        }
        struct schedule *s = schedule_create(p, &err);
        for (int step = 0; step < 2000 && !schedule_finished(s); step++) {
            now += 1;
            schedule_wake(s, now);
            for (int i = 0; i < TASKS; i++)
                later[i] = later[i] && due[i] > now && p->tasks[i].state == TASK_READY;
            int want = -1;
            for (int i = 0; i < TASKS; i++)
                if (p->tasks[i].state == TASK_READY && !later[i] &&
                    (want < 0 || p->tasks[i].path > p->tasks[want].path))
                    want = i;
            const int task = schedule_next(s);
            assert_int_equal(task, want);
            const uint32_t what = rng_below(&rng, 10);
            if (task >= 0 && what == 0) {
                due[task] = now + 3;
                later[task] = true;
                schedule_defer(s, task, due[task]);
            } else if (task >= 0 && what == 1) {
                schedule_requeue(s, task);
            } else if (task >= 0) {
                const int before = p->tasks[task].attempts;
                schedule_started(s, task, 5, now);
                assert_true(p->tasks[task].attempts == before + 1 && p->tasks[task].rank == 5);
                assert_true(p->tasks[task].start == now && p->tasks[task].seconds == 0);
            }
            int running = -1;
            for (int i = 0; i < TASKS; i++)
                if (p->tasks[i].state == TASK_RUNNING && rng_below(&rng, 3) == 0)
                    running = i;
            const uint32_t ends = rng_below(&rng, 12);
            if (running >= 0 && ends == 0) {
                due[running] = now + 2;
                const int attempts = p->tasks[running].attempts;
                const bool final = schedule_failed(s, running, 2, "x", 3, due[running]);
                later[running] = p->tasks[running].state == TASK_READY;
                assert_int_equal(final, attempts > 3 || p->tasks[running].state == TASK_SKIPPED);
                assert_true(p->tasks[running].seconds == 2);
            } else if (running >= 0 && ends == 1) {
                schedule_requeue(s, running);
            } else if (running >= 0) {
                schedule_done(s, running, 1.5);
                assert_true(p->tasks[running].seconds == 1.5 && p->tasks[running].error == NULL);
            }
            const int lost = (int)rng_below(&rng, TASKS);
            if (p->tasks[lost].state == TASK_DONE && rng_below(&rng, 20) == 0) {
                schedule_reopen(s, lost);
                assert_int_equal(p->tasks[lost].attempts, 0);
            }
            struct schedule_counts n = schedule_counts(s), m = { .total = TASKS };
            for (int i = 0; i < TASKS; i++) {
                const struct plan_task *t = &p->tasks[i];
                bool ready = true, bad = false;
                for (int k = 0; k < t->n_inputs; k++) {
                    const enum task_state from = p->tasks[t->input_tasks[k]].state;
                    ready = ready && from == TASK_DONE;
                    bad = bad || from == TASK_FAILED || from == TASK_SKIPPED;
                }
                if (t->state == TASK_READY || t->state == TASK_WAITING) {
                    assert_false(bad);
                    assert_int_equal(t->state, ready ? TASK_READY : TASK_WAITING);
                }
                const bool ended = t->state == TASK_DONE || t->state == TASK_FAILED || t->state == TASK_SKIPPED;
                m.waiting += t->state == TASK_WAITING;
                m.ready += t->state == TASK_READY;
                m.running += t->state == TASK_RUNNING;
                m.done += t->state == TASK_DONE;
                m.failed += t->state == TASK_FAILED;
                m.skipped += t->state == TASK_SKIPPED;
                m.cost_total += t->cost;
                m.cost_done += ended ? t->cost : 0;
            }
            assert_true(n.total == m.total && n.waiting == m.waiting && n.ready == m.ready && n.running == m.running);
            assert_true(n.done == m.done && n.failed == m.failed && n.skipped == m.skipped);
            assert_true(n.cost_total == m.cost_total && n.cost_done == m.cost_done);
        }
        assert_true(schedule_finished(s));
        schedule_destroy(s);
        plan_destroy(p);
    }
}

static char *printed(const struct plan *p, int ranks, int want)
{
    static char *text; /* the caller's to free */
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_int_equal(plan_print(f, p, ranks, &err), want);
    fclose(f);
    return text;
}

static void has(const char *text, const char *line)
{
    if (strstr(text, line) == NULL)
        fail_msg("no \"%s\" in\n%s", line, text);
}

static struct plan *few(void)
{
    struct plan *p = graph_create();
    graph_task(p, 90, -1, -1);
    graph_task(p, 30, 0, -1);
    graph_task(p, 60, 0, 1);
    graph_task(p, 20, -1, -1);
    p->campaign.seed = 7;
    p->campaign.trials = 1;
    p->campaign.threads = 2;
    p->campaign.ranks_per_gpu = 3;
    snprintf(p->campaign.device, sizeof p->campaign.device, "cpu");
    snprintf(p->config_hash, sizeof p->config_hash, "abc");
    schedule_paths(p);
    return p;
}

/* 200 seconds of work, 180 of them in a chain: on two workers 180, busy for 200 of 360. */
static void people_read(void **state)
{
    (void)state;
    struct plan *p = few();
    char *text = printed(p, 3, 0);
    has(text, "campaign test: 4 tasks, seed 7, 1 trial, 2 threads a task\n\n");
    has(text, "\nmock                        4     3 min 20 s     1 min 30 s\n");
    has(text, "\n    3 00000000 mock               2 <- 1,2");
    has(text, "\n    1 00000000 mock               0      ");
    has(text, "work 3 min 20 s, longest chain 3 min 00 s\n");
    has(text,
        "on 3 ranks (one coordinates, 2 work): about 3 min 00 s,\n1.00 times the least possible (3 min 00 s), 56% "
        "busy\n");
    free(text);
    text = printed(p, 1, 0);
    has(text, "on 1 rank: about 3 min 20 s,\n1.00 times the least possible (3 min 20 s), 100% busy\n");
    free(text);
    text = printed(p, 2, 0);
    has(text, "on 2 ranks (one coordinates, 1 work): about 3 min 20 s,\n");
    free(text);
    text = printed(p, 0, -1);
    assert_string_equal(err.text, "the number of ranks must be at least 1, not 0");
    free(text);
    plan_destroy(p);
    for (int n = 1; n <= 62; n += n == 1 ? 58 : 1) { /* up to 60 are listed, of more the first 59 */
        char line[64];
        p = graph_create();
        for (int i = 0; i < n; i++)
            graph_task(p, 1, -1, -1);
        p->campaign.trials = 3;
        p->campaign.threads = 1;
        text = printed(p, 1, 0);
        snprintf(line, sizeof line, "%d task%s, seed 0, 3 trials, 1 thread a task", n, n == 1 ? "" : "s");
        has(text, line);
        has(text, n == 59 ? "\n   59 0" : "\n    1 0");
        assert_int_equal(strstr(text, "... and ") != NULL, n > 60);
        assert_int_equal(strstr(text, "\n   60 0") != NULL, n == 60);
        snprintf(line, sizeof line, "      ... and %d more (--json lists all)\n", n - 59);
        assert_int_equal(strstr(text, line) != NULL, n > 60);
        free(text);
        plan_destroy(p);
    }
    p = graph_create(); /* names of every length: the cost ends the line, and what does not fit is cut */
    for (int n = 1; n < 59; n++) {
        const int i = graph_task(p, 20, n > 1 ? 0 : -1, n > 2 ? 1 : -1);
        mem_free(p->tasks[i].name);
        p->tasks[i].name = mem_printf(NULL, "mock:%0*d", n, 7);
    }
    text = printed(p, 1, 0);
    const char *line = strstr(text, "\n    1 0") + 1;
    for (int n = 1; n < 59; n++, line += strcspn(line, "\n") + 1) {
        const int length = (int)strcspn(line, "\n"), inputs = n > 2 ? 7 : n > 1 ? 5 : 0, room = 79 - 34 - inputs - 5;
        const char *whole = strstr(line, p->tasks[n - 1].name + 5), *cut = strstr(line, "...");
        assert_int_equal(length, 79);
        assert_memory_equal(line + 75, "20 s", 4);
        assert_int_equal(whole != NULL && whole < line + length, n <= room);
        assert_int_equal(cut != NULL && cut<line + length, n> room);
    }
    free(text);
    plan_destroy(p);
}

static void programs_read(void **state)
{
    (void)state;
    struct plan *p = few();
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_int_equal(plan_print_json(f, p, 3, 5, &err), 0);
    fclose(f);
    cJSON *o = cJSON_Parse(text);
    free(text);
    const cJSON *s = cJSON_GetObjectItem(o, "simulation"),
                *task = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "tasks"), 1);
    assert_string_equal(json_text(o, "campaign", ""), "test");
    assert_string_equal(json_text(o, "config_hash", ""), "abc");
    assert_string_equal(json_text(o, "device", ""), "cpu");
    assert_true(json_number(o, "gpus", 0) == 5 && json_number(o, "threads", 0) == 2);
    assert_true(json_number(o, "ranks_per_gpu", 0) == 3);
    assert_true(json_number(s, "ranks", 0) == 3 && json_number(s, "workers", 0) == 2);
    assert_true(json_number(s, "makespan", 0) == 180 && json_number(s, "critical_path", 0) == 180);
    assert_true(json_number(s, "work", 0) == 200 && json_number(s, "lower_bound", 0) == 180);
    assert_true(json_number(s, "utilisation", 0) == 200.0 / 360);
    assert_string_equal(json_text(task, "kind", ""), "mock");
    assert_true(json_number(task, "cost", 0) == 30 && json_number(task, "path", 0) == 90);
    cJSON_Delete(o);
    plan_destroy(p);
}

static char path[] = "/tmp/dinf-parts-XXXXXX";

/* What plan_bench_schedule prints; freed by the caller. */
static char *bench(bool json)
{
    char *text;
    size_t bytes;
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    assert_non_null(freopen(path, "w", stdout));
    const int rc = plan_bench_schedule(json, &err);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    assert_int_equal(rc, 0);
    assert_int_equal(fs_read(path, &text, &bytes, &err), 0);
    return text;
}

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-5 * fabs(b)))
        fail_msg("%g is not %g", a, b);
}

/* The synthetic campaigns again: v victims with t thefts of e evaluations, simulated on 64 to 4096 ranks. */
static void benches(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int victims, thefts, evaluations;
    } shapes[] = { { "wide", 10, 200, 4 }, { "deep", 40, 20, 11 }, { "single", 1, 3333, 2 } };
    char *text = bench(true), line[128];
    cJSON *o = cJSON_Parse(text), *row = cJSON_GetObjectItem(o, "schedule")->child;
    mem_free(text);
    text = bench(false);
    for (int k = 0; k < 3; k++) {
        struct rng r = rng_at(1, RNG_MOCK, 0, 0, 0);
        struct plan *p = graph_create();
        for (int v = 0; v < shapes[k].victims; v++) {
            const int victim = graph_task(p, 1800 * (0.5 + rng_double(&r)), -1, -1),
                      answers = graph_task(p, 60, victim, -1);
            for (int t = 0; t < shapes[k].thefts; t++) {
                const double x = rng_double(&r);
                const int theft = graph_task(p, 9 + 900 * x * x * x, answers, -1);
                for (int e = 0; e < shapes[k].evaluations; e++)
                    graph_task(p, 5 + 20 * rng_double(&r), theft, -1);
            }
        }
        snprintf(line, sizeof line, "\n  %d tasks, ", p->n_tasks);
        has(text, line);
        for (int ranks = 64; ranks <= 4096; ranks *= 2, row = row->next) {
            struct simulation s;
            assert_int_equal(schedule_simulate(p, ranks, &s, &err), 0);
            assert_string_equal(json_text(row, "shape", ""), shapes[k].name);
            assert_true(json_number(row, "tasks", 0) == p->n_tasks && json_number(row, "ranks", 0) == ranks);
            near(json_number(row, "makespan", 0), s.makespan);
            near(json_number(row, "lower_bound", 0), s.lower_bound);
            near(json_number(row, "ratio", 0), s.makespan / s.lower_bound);
            near(json_number(row, "release_bound", 0), s.release_bound);
            near(json_number(row, "utilisation", 0), s.utilisation);
            assert_true(json_number(row, "simulation_seconds", -1) > 0 &&
                        json_number(row, "simulation_seconds", 0) < 60);
            assert_true(json_number(row, "microseconds_per_task", -1) > 0 &&
                        json_number(row, "microseconds_per_task", 0) < 1e5);
            snprintf(line, sizeof line, "\n  %6d %12.1f %12.1f %9.4f %12.4f %5.0f%%", ranks, s.makespan, s.lower_bound,
                     s.makespan / s.lower_bound, s.makespan / s.release_bound, 100 * s.utilisation);
            has(text, line);
        }
        plan_destroy(p);
    }
    assert_null(row);
    has(text, "\nbound: max(longest chain, work / ranks);");
    mem_free(text);
    cJSON_Delete(o);
}

static void refused(const char *text, const char *says)
{
    struct plan *q;
    assert_int_equal(fs_write_atomic(path, text, strlen(text), &err), 0);
    assert_int_equal(plan_read(path, &q, &err), -1);
    assert_null(q);
    if (strstr(err.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

/* Everything that is written comes back; what is damaged is refused. */
static void files(void **state)
{
    (void)state;
    struct plan *p = few(), *q;
    p->campaign.retries = 4;
    p->campaign.retry_seconds = 0.25;
    p->campaign.task_seconds = 17.5;
    p->campaign.trials = 9;
    cJSON_AddStringToObject(p->tasks[1].params, "a", "b");
    p->tasks[2].contents = cJSON_CreateObject();
    cJSON_AddStringToObject(p->tasks[2].contents, "dataset", "0123");
    mem_free(p->config);
    p->config = mem_strdup("the config\n", &err);
    assert_int_equal(plan_write(p, path, &err), 0);
    assert_int_equal(plan_read(path, &q, &err), 0);
    assert_string_equal(q->campaign.name, "test");
    assert_string_equal(q->campaign.device, "cpu");
    assert_true(q->campaign.seed == 7 && q->campaign.trials == 9 && q->campaign.threads == 2);
    assert_true(q->campaign.ranks_per_gpu == 3 && q->campaign.retries == 4 && q->campaign.retry_seconds == 0.25);
    assert_true(q->campaign.task_seconds == 17.5 && q->n_tasks == 4);
    assert_string_equal(q->config, "the config\n");
    assert_string_equal(q->config_hash, "abc");
    for (int i = 0; i < 4; i++) {
        const struct plan_task *a = &p->tasks[i], *b = &q->tasks[i];
        assert_string_equal(a->id, b->id);
        assert_string_equal(a->name, b->name);
        assert_ptr_equal(a->kind, b->kind);
        assert_true(a->cost == b->cost && a->ranks == b->ranks && a->n_inputs == b->n_inputs && b->rank == -1);
        assert_true(cJSON_Compare(a->params, b->params, true) && cJSON_Compare(a->labels, b->labels, true));
        assert_true(a->contents == NULL || cJSON_Compare(a->contents, b->contents, true));
        assert_int_equal(b->state, i == 0 || i == 3 ? TASK_READY : TASK_WAITING);
        for (int k = 0; k < a->n_inputs; k++) {
            assert_string_equal(a->inputs[k].id, b->inputs[k].id);
            assert_string_equal(a->inputs[k].role, b->inputs[k].role);
            assert_int_equal(a->input_tasks[k], b->input_tasks[k]);
        }
        assert_int_equal(plan_index(q, a->id), i);
    }
    assert_int_equal(plan_index(q, "no id"), -1);
    assert_int_equal(plan_index(q, "zzzz"), -1);
    assert_int_equal(plan_find(q, p->tasks[2].id, &err), 2);
    snprintf(q->tasks[3].id, sizeof q->tasks[3].id, "abcd0000000000000000000000000000");
    assert_int_equal(plan_find(q, "abcd", &err), 3);
    assert_int_equal(plan_find(q, "abc", &err), -1); /* too short for an id */
    assert_string_equal(err.text, "there is no task \"abc\": `dinf status DIR --all` lists them");
    assert_int_equal(plan_find(q, "mock:1x", &err), -1);
    assert_string_equal(err.text, "there is no task \"mock:1x\"; did you mean \"mock:1\"?");
    assert_int_equal(plan_find(q, "mock:33", &err), -1);
    assert_string_equal(err.text, "there is no task \"mock:33\"; did you mean \"mock:3\"?");
    plan_destroy(q);
    plan_destroy(p);
#define HEAD                                                                                                           \
    "{\"schema\":1,\"config\":\"\",\"config_hash\":\"\",\"campaign\":{\"name\":\"n\",\"device\":\"cpu\"},\"tasks\":["
#define ID "00000000000000000000000000000001"
#define TASK(id, kind, inputs)                                                                                         \
    "{\"id\":\"" id "\",\"kind\":\"" kind "\",\"name\":\"n\",\"params\":{},\"labels\":{},\"inputs\":[" inputs "]}"
    refused("", "is no plan of this version");
    refused("{\"schema\":2,\"config\":\"\",\"config_hash\":\"\",\"tasks\":[]}", "is no plan of this version");
    refused("{\"schema\":1,\"config_hash\":\"\",\"tasks\":[]}", "is no plan of this version");
    refused("{\"schema\":1,\"config\":\"\",\"tasks\":[]}", "is no plan of this version");
    refused("{\"schema\":1,\"config\":\"\",\"config_hash\":\"\",\"tasks\":{}}", "is no plan of this version");
    refused("{\"schema\":1,\"config\":\"\",\"config_hash\":\"\",\"tasks\":[]}", "has no name or device");
    refused("{\"schema\":1,\"config\":\"\",\"config_hash\":\"\",\"campaign\":{\"name\":\"n\"},\"tasks\":[]}",
            "has no name or device");
    refused("{\"schema\":1,\"config\":\"\",\"config_hash\":\"\",\"campaign\":{\"device\":\"n\"},\"tasks\":[]}",
            "has no name or device");
    refused(HEAD "{}]}", "a task lacks id, kind, name or inputs");
    refused(HEAD TASK("0001", "mock", "") "]}", "a task lacks id, kind, name or inputs");
    refused(HEAD "{\"id\":\"" ID "\",\"kind\":\"mock\",\"name\":\"n\",\"params\":{},\"labels\":{},\"inputs\":{}}]}",
            "a task lacks id");
    refused(HEAD "{\"id\":\"" ID "\",\"kind\":\"mock\",\"params\":{},\"labels\":{},\"inputs\":[]}]}",
            "a task lacks id");
    refused(HEAD "{\"id\":\"" ID "\",\"name\":\"n\",\"params\":{},\"labels\":{},\"inputs\":[]}]}", "a task lacks id");
    refused(HEAD "{\"id\":\"" ID "\",\"kind\":\"mock\",\"name\":\"n\",\"labels\":{},\"inputs\":[]}]}",
            "lacks params or labels");
    refused(HEAD "{\"id\":\"" ID "\",\"kind\":\"mock\",\"name\":\"n\",\"params\":{},\"inputs\":[]}]}",
            "lacks params or labels");
    refused(HEAD TASK(ID, "mokc", "") "]}", "is of the unknown kind \"mokc\"");
    refused(HEAD TASK(ID, "mock", "{},{},{},{},{},{},{},{},{}") "]}", "has too many inputs");
    refused(HEAD TASK(ID, "mock", "{\"role\":\"a\"}") "]}", "lacks role or id");
    refused(HEAD TASK(ID, "mock", "{\"id\":\"" ID "\"}") "]}", "lacks role or id");
    refused(HEAD TASK(ID, "mock", "{\"role\":\"a\",\"id\":\"" ID "\"}") "]}", "does not stand before it");
    refused(HEAD TASK(ID, "mock", "{\"role\":\"a\",\"id\":\"x\"}") "]}", "does not stand before it");
    static const char *const states[] = { "waiting", "ready", "running", "done", "failed", "skipped" };
    for (int i = 0; i < 6; i++)
        assert_string_equal(task_state_name((enum task_state)i), states[i]);
}

static int set_up(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    close(fd);
    return fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(heaps),       cmocka_unit_test(tables),
                                        cmocka_unit_test(all_edges),   cmocka_unit_test(schedules),
                                        cmocka_unit_test(people_read), cmocka_unit_test(programs_read),
                                        cmocka_unit_test(files),       cmocka_unit_test(benches) };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
