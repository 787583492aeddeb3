/* Encoders by name: which links there are, where they lead, and what is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "coord/encoder_links.h"
#include "unit/plan/graph.h"

static char root[] = "/tmp/dinf-links.XXXXXX";

static int make_root(void **state)
{
    (void)state;
    return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return fs_remove_tree(root, NULL);
}

static const char *at(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

/* Encoders with these names, done; ids 0, 1, ... */
static struct plan *encoders(const char *const *names)
{
    struct plan *plan = graph_create();
    for (int i = 0; names[i] != NULL; i++) {
        struct plan_task *t = &plan->tasks[graph_task(plan, 1, -1, -1)];
        snprintf(t->id, TASK_ID, "%032x", i);
        cJSON_Delete(t->labels);
        t->labels = cJSON_CreateObject();
        cJSON_AddStringToObject(t->labels, "name", names[i]);
        t->state = TASK_DONE;
    }
    return plan;
}

static void put(const char *dir, int id, const char *text)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/tasks/%032x.safetensors", at(dir), id);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
}

static void holds(const char *name, const char *text)
{
    char *data;
    size_t n;
    struct err err;
    if (fs_read(at(name), &data, &n, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(data, text);
    free(data);
}

static bool is_there(const char *name)
{
    struct stat st;
    return lstat(at(name), &st) == 0;
}

static void test_names(void **state)
{
    (void)state;
    char longest[203] = "", name[NAME_MAX + 1];
    memset(longest, 'x', 199);
    strcpy(longest + 199, "\xC3\xBC"); /* the 200th and 201st byte */
    const char *const names[] = { "victim.t1", "a/b", "..", "tab\t", "gr\xC3\xBCn", longest, NULL };
    struct plan *plan = encoders(names);
    const char *const files[] = { "victim.t1.safetensors",     "a_b-00000000.safetensors", "_.-00000000.safetensors",
                                  "tab_-00000000.safetensors", "gr\xC3\xBCn.safetensors",  NULL };
    for (int i = 0; files[i] != NULL; i++) {
        assert_int_equal(encoder_link_name(&plan->tasks[i], name, sizeof name, NULL), 0);
        assert_string_equal(name, files[i]);
    }
    assert_int_equal(encoder_link_name(&plan->tasks[5], name, sizeof name, NULL), 0);
    assert_int_equal(strspn(name, "x"), 199);
    assert_string_equal(name + 199, "-00000000.safetensors");
    plan_destroy(plan);
    longest[199] = 'x'; /* 200 bytes are no more than may be */
    longest[200] = '\0';
    const char *const more[] = { longest, "~!\x7f", ".a", "a.b", "\x1f", " ", "", NULL };
    const char *const wanted[] = { NULL,
                                   "~!_-00000001.safetensors",
                                   "_a-00000002.safetensors",
                                   "a.b.safetensors",
                                   "_-00000004.safetensors",
                                   " .safetensors",
                                   "-00000006.safetensors" };
    plan = encoders(more);
    for (int i = 0; more[i] != NULL; i++) {
        snprintf(plan->tasks[i].id, TASK_ID, "%08d%024d", i, 0);
        assert_int_equal(encoder_link_name(&plan->tasks[i], name, sizeof name, NULL), 0);
        if (wanted[i] != NULL)
            assert_string_equal(name, wanted[i]);
        else
            assert_int_equal(strlen(name), 200 + strlen(".safetensors"));
    }
    plan_destroy(plan);
}

static void test_links(void **state)
{
    (void)state;
    struct err err;
    const char *const first[] = { "victim", "thief", "embedded", NULL }, *const second[] = { "victim", "other", NULL };
    assert_int_equal(fs_mkdirs(at("run/tasks"), NULL), 0);
    put("run", 0, "v");
    put("run", 1, "t");
    struct plan *plan = encoders(first);
    plan->tasks[1].state = TASK_WAITING;
    assert_int_equal(encoder_links_renew(at("run"), plan, &err), 0);
    holds("run/encoders/victim.safetensors", "v");
    assert_false(is_there("run/encoders/thief.safetensors"));
    assert_false(is_there("run/encoders/embedded.safetensors")); /* has no weights */
    plan->tasks[1].state = TASK_DONE;
    assert_int_equal(encoder_link(at("run"), &plan->tasks[1], &err), 0);
    assert_int_equal(encoder_link(at("run"), &plan->tasks[1], &err), 0);
    holds("run/encoders/thief.safetensors", "t");
    plan_destroy(plan);
    /* the name of the second has changed; what somebody has put there stays */
    assert_int_equal(fs_write_atomic(at("run/encoders/mine.txt"), "m", 1, NULL), 0);
    assert_int_equal(symlink("/nowhere", at("run/encoders/theirs.safetensors")), 0);
    plan = encoders(second);
    assert_int_equal(encoder_links_renew(at("run"), plan, &err), 0);
    holds("run/encoders/other.safetensors", "t");
    plan->tasks[1].state = TASK_WAITING; /* to be made again: until then there is none */
    assert_int_equal(encoder_links_renew(at("run"), plan, &err), 0);
    assert_false(is_there("run/encoders/other.safetensors"));
    plan->tasks[1].state = TASK_DONE;
    assert_int_equal(encoder_links_renew(at("run"), plan, &err), 0);
    holds("run/encoders/other.safetensors", "t");
    assert_false(is_there("run/encoders/other.safetensors.tmp"));
    assert_false(is_there("run/encoders/thief.safetensors"));
    assert_true(is_there("run/encoders/mine.txt") && is_there("run/encoders/theirs.safetensors"));
    /* the folder may move */
    char moved[1024];
    snprintf(moved, sizeof moved, "%s", at("moved"));
    assert_int_equal(rename(at("run"), moved), 0);
    holds("moved/encoders/victim.safetensors", "v");
    plan_destroy(plan);
}

static void test_in_the_way(void **state)
{
    (void)state;
    struct err err;
    const char *const names[] = { "victim", NULL };
    assert_int_equal(fs_mkdirs(at("run2/tasks"), NULL), 0);
    assert_int_equal(fs_mkdirs(at("run2/encoders"), NULL), 0);
    put("run2", 0, "v");
    assert_int_equal(fs_write_atomic(at("run2/encoders/victim.safetensors"), "precious", 8, NULL), 0);
    struct plan *plan = encoders(names);
    assert_int_equal(encoder_links_renew(at("run2"), plan, &err), -1);
    assert_non_null(strstr(err.text, "encoders/victim.safetensors is in the way"));
    const char *none[] = { NULL }; /* nor is what somebody else has put there removed */
    struct plan *empty = encoders(none);
    assert_int_equal(encoder_links_renew(at("run2"), empty, &err), 0);
    plan_destroy(empty);
    holds("run2/encoders/victim.safetensors", "precious");
    plan_destroy(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_names), cmocka_unit_test(test_links),
                                        cmocka_unit_test(test_in_the_way) };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
