/* coord: when results.h5 is rebuilt, and what is made of a rebuild that fails, hangs or leaves things out. This program
 * is its own `dinf collect`; the clock is turned by hand. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "coord/results.h"
#include "unit/coord/stage.h"

static char root[] = "/tmp/dinf-results.XXXXXX";
static struct err err;

static const char *at(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* ---- in the child ---- */

/* What DIR/how says: a status, and what is said of the collection ("-": nothing). A line in DIR/calls for each call. */
static int collect(const char *dir, const char *option, const char *fd)
{
    char path[512], what[64] = "";
    int status = 0;
    snprintf(path, sizeof path, "%s/calls", dir);
    FILE *f = fopen(path, "a");
    fprintf(f, "%s %s\n", option, fd);
    fclose(f);
    snprintf(path, sizeof path, "%s/how", dir);
    f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%d %63[^\n]", &status, what) != 2)
        return 99;
    fclose(f);
    snprintf(path, sizeof path, "%s/results.h5.tmp.%ld", dir, (long)getpid());
    if (strcmp(what, "hang") == 0) {
        fclose(fopen(path, "w"));
        for (;;)
            pause();
    }
    if (strcmp(what, "crash") == 0)
        raise(SIGKILL);
    if (strcmp(what, "words") == 0)
        fprintf(stderr, "error: no room for it\n");
    else if (strcmp(what, "-") != 0)
        dprintf(3, "%s\n", what);
    return status;
}

/* ---- in the parent ---- */

static void how(const char *text)
{
    assert_int_equal(fs_write_atomic(at("how"), text, strlen(text), &err), 0);
}

static int calls(void)
{
    char *text;
    int n = 0;
    if (!fs_exists(at("calls")))
        return 0;
    assert_int_equal(fs_read(at("calls"), &text, NULL, &err), 0);
    for (const char *p = text; (p = strstr(p, "--left-out-fd 3\n")) != NULL; p++)
        n++;
    mem_free(text);
    return n;
}

static void begin(struct results *r, const char *text)
{
    unlink(at("calls"));
    stage_now = 1000;
    stage_end = 1e6;
    stage_real = 1;
    stage_stopped = false;
    err.text[0] = '\0';
    how(text);
    results_init(r, root);
}

/* Waits for the one at work; what poll said then. */
static int poll_until_idle(struct results *r)
{
    int rc = 0;
    for (int i = 0; i < 4000 && r->pid != 0; i++) {
        rc = results_poll(r, &err);
        clock_sleep(0.005);
    }
    assert_int_equal(r->pid, 0);
    return rc;
}

/* The folder is gone: said once in a while, and the results stay due. */
static void cannot_begin(void **state)
{
    (void)state;
    struct results r;
    begin(&r, "0 -");
    r.dir = "/nowhere/at-all";
    stage_now += 60;
    assert_int_equal(results_poll(&r, &err), -1);
    assert_non_null(strstr(err.text, "collect.log"));
    assert_true(r.stale && r.pid == 0);
    assert_int_equal(results_poll(&r, &err), 0); /* not again at once */
    stage_now += 29;
    assert_int_equal(results_poll(&r, &err), 0);
    stage_now += 2;
    assert_int_equal(results_poll(&r, &err), -1);
    assert_int_equal(results_finish(&r, &err), -1);
    assert_true(r.stale);
    results_fini(&r);
}

/* Half a minute after the last, or twenty times what it took; and only if something is new. */
static void when_it_is_due(void **state)
{
    (void)state;
    struct results r;
    begin(&r, "0 3 collected");
    stage_now += 29.9;
    assert_int_equal(results_poll(&r, &err), 0);
    assert_int_equal(r.pid, 0);
    stage_now += 0.2;
    assert_int_equal(results_poll(&r, &err), 0);
    assert_true(r.pid != 0 && !r.stale);
    assert_int_equal(poll_until_idle(&r), 0);
    assert_int_equal(calls(), 1);
    assert_true(r.collected == 3 && r.left_out == NULL && !r.stale);
    assert_true(r.took > 0 && r.took < 20 && r.ended == r.started + r.took);
    stage_now += 1000; /* nothing is new */
    assert_int_equal(results_poll(&r, &err), 0);
    assert_int_equal(r.pid, 0);
    r.stale = true;
    r.ended = stage_now;
    r.took = 10;
    stage_now += 199;
    assert_int_equal(results_poll(&r, &err), 0);
    assert_int_equal(r.pid, 0);
    stage_now += 2;
    assert_int_equal(results_poll(&r, &err), 0);
    assert_true(r.pid != 0);
    r.stale = true; /* something has finished meanwhile: once more */
    assert_int_equal(results_finish(&r, &err), 0);
    assert_int_equal(calls(), 3);
    assert_false(r.stale);
    assert_int_equal(results_finish(&r, &err), 0);
    assert_int_equal(calls(), 3);
    results_fini(&r);
}

static void what_is_left_out(void **state)
{
    (void)state;
    struct results r;
    begin(&r, "1 2 collected");
    assert_int_equal(results_finish(&r, &err), 0);
    assert_true(r.collected == 2 && r.left_out == NULL && r.stale);
    assert_int_equal(calls(), 1);
    how("1 nobody can tell"); /* without a number */
    assert_int_equal(results_finish(&r, &err), -1);
    assert_int_equal(calls(), 1 + 4);
    results_fini(&r);
    begin(&r, "1 2 collected");
    r.stale = true;
    stage_now += 31;
    assert_int_equal(results_poll(&r, &err), 0);
    assert_int_equal(poll_until_idle(&r), 0);
    r.left_out = mem_strdup("id damaged\n", &err); /* first somebody looks into that */
    assert_int_equal(results_finish(&r, &err), 0);
    assert_int_equal(calls(), 1);
    results_fini(&r);
}

static int ticks;
static double slow_from = 1e9;

static void tick(void *arg)
{
    ticks++;
    if (*(double *)arg > 0 && stage_now > *(double *)arg)
        stage_stopped = true;
    if (stage_now > slow_from)
        stage_real = 1; /* to see it end, after a long time that was none */
}

/* A file may be busy: four times, with pauses that grow; then it is said how it ended. */
static void failures(void **state)
{
    static const struct {
        const char *how, *says;
    } rows[] = {
        { "9 words", "results.h5 could not be rebuilt: dinf collect says: no room for it (exit status 9)" },
        { "7 -", "results.h5 could not be rebuilt: dinf collect said nothing: exit status 7 (logs/collect.log is "
                 "empty)" },
        { "0 -", "results.h5 could not be rebuilt: dinf collect said nothing: exit status 0 (logs/collect.log is "
                 "empty)" },
        { "0 crash", "results.h5 could not be rebuilt: dinf collect said nothing: killed by signal 9 (Killed) "
                     "(logs/collect.log is empty)" }
    };
    (void)state;
    struct results r;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(&r, rows[i].how);
        stage_real = 0.1;
        double before = stage_now, never = 0;
        r.tick = tick;
        r.arg = &never;
        ticks = 0;
        assert_int_equal(results_finish(&r, &err), -1);
        assert_string_equal(err.text, rows[i].says);
        assert_int_equal(calls(), 4);
        double pauses = stage_now - before - 0.01 * ticks;
        assert_true(pauses > 1.44 && pauses < 1.51);
        assert_true(r.stale);
        results_fini(&r);
    }
    begin(&r, "9 words"); /* before the end it is said, and tried again later */
    stage_now += 31;
    assert_int_equal(results_poll(&r, &err), 0);
    assert_int_equal(poll_until_idle(&r), -1);
    assert_string_equal(err.text, rows[0].says);
    assert_true(r.stale);
    how("0 1 collected");
    assert_int_equal(results_finish(&r, &err), 0);
    assert_true(r.collected == 1 && !r.stale);
    results_fini(&r);
}

static bool is_gone(pid_t pid)
{
    char name[64];
    snprintf(name, sizeof name, "results.h5.tmp.%ld", (long)pid);
    return kill(pid, 0) != 0 && !fs_exists(at(name));
}

/* Not for ever: ten minutes and a hundred times what the last took; and not against a signal. */
static void hangs(void **state)
{
    (void)state;
    struct results r;
    double stop_at = 0;
    begin(&r, "0 hang");
    r.took = 1;
    r.tick = tick;
    r.arg = &stop_at;
    stage_now += 31;
    assert_int_equal(results_poll(&r, &err), 0);
    const pid_t pid = r.pid;
    assert_true(pid != 0);
    usleep(300000); /* it has begun to write */
    how("0 1 collected");
    stage_real = 0;
    double before = stage_now;
    ticks = 0;
    /* the one that hangs is given up, and the next may do */
    slow_from = before + 699;
    assert_int_equal(results_finish(&r, &err), 0);
    slow_from = 1e9;
    assert_true(ticks >= 60000 && stage_now - before > 700 && stage_now - before < 710);
    assert_true(r.collected == 1 && !r.stale);
    assert_true(is_gone(pid));
    results_fini(&r);

    begin(&r, "0 hang");
    stop_at = stage_now + 2;
    r.tick = tick;
    r.arg = &stop_at;
    before = stage_now;
    assert_int_equal(results_finish(&r, &err), -1);
    assert_true(stage_now - before >= 2 && stage_now - before < 2.1);
    assert_int_equal(calls(), 1);
    assert_non_null(strstr(err.text, "results.h5 was not rebuilt: a stop was asked for within 2 s"));
    assert_true(r.stale && r.pid == 0);
    results_fini(&r);

    begin(&r, "0 hang");
    stage_now += 31;
    assert_int_equal(results_poll(&r, &err), 0);
    pid_t last = r.pid;
    usleep(300000);
    assert_int_equal(results_poll(&r, &err), 0);
    assert_int_equal(r.pid, last);
    results_fini(&r);
    assert_true(r.pid == 0 && is_gone(last));
}

static int make_root(void **state)
{
    (void)state;
    unsetenv("DINF_PROGRAM");
    return mkdtemp(root) != NULL && fs_mkdirs(at("logs"), NULL) == 0 ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return fs_remove_tree(root, NULL);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "collect") == 0)
        return collect(argv[2], argv[3], argv[4]);
    const struct CMUnitTest tests[] = { cmocka_unit_test(cannot_begin), cmocka_unit_test(when_it_is_due),
                                        cmocka_unit_test(what_is_left_out), cmocka_unit_test(failures),
                                        cmocka_unit_test(hangs) };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
