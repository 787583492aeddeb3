/* base: what control groups grant, in folders as Linux makes them. */
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/processors.h"

static char root[] = "/tmp/dinf-processors.XXXXXX";

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

static void put(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, folder);
    assert_int_equal(fs_mkdirs(path, NULL), 0);
    snprintf(path, sizeof path, "%s/%s/%s", root, folder, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), NULL), 0);
}

static double granted(const char *groups)
{
    char path[256];
    put(".", "groups", groups);
    snprintf(path, sizeof path, "%s/groups", root);
    return processors_granted(path, root);
}

static void version_2(void **state)
{
    (void)state;
    put("job/step", "cpu.max", "max 100000\n");
    assert_true(isinf(granted("0::/job/step\n")));
    put("job", "cpu.max", "350000 100000\n"); /* the group above counts, too */
    assert_true(granted("0::/job/step\n") == 3.5);
    put("job/step", "cpu.max", "50000 100000\n");
    assert_true(granted("0::/job/step\n") == 0.5);
    assert_true(granted("0::/job\n") == 3.5);
    assert_true(isinf(granted("0::/\n")));
    put(".", "cpu.max", "100000 50000\n"); /* a container sees its own group as the root */
    assert_true(granted("0::/\n") == 2);
    assert_true(isinf(processors_granted("/nonexistent", root)));
    put(".", "cpu.max", "0 50000\n"); /* what says nothing */
    assert_true(isinf(granted("0::/\n")));
    put(".", "cpu.max", "100000 0\n");
    assert_true(isinf(granted("0::/\n")));
    put(".", "cpu.max", "100000\n");
    assert_true(isinf(granted("0::/\n")));
    put(".", "cpu.max", "max 100000\n");
}

static void version_1(void **state)
{
    (void)state;
    put("cpu,cpuacct/a/b", "cpu.cfs_quota_us", "-1\n");
    put("cpu,cpuacct/a/b", "cpu.cfs_period_us", "100000\n");
    put("cpu,cpuacct/a", "cpu.cfs_quota_us", "400000\n");
    put("cpu,cpuacct/a", "cpu.cfs_period_us", "100000\n");
    assert_true(granted("3:cpuset:/a\n2:cpu,cpuacct:/a/b\n") == 4);
    put("cpu/a", "cpu.cfs_quota_us", "150000\n");
    put("cpu/a", "cpu.cfs_period_us", "100000\n");
    assert_true(granted("2:cpu:/a/b\n") == 1.5);
    assert_true(granted("7:cpuacct,cpu:/a/b\n") == 1.5);
    assert_true(granted("7:cpu,cpuset:/a/b\n1:name=systemd:/a\n") == 1.5);
    assert_true(isinf(granted("7:cpux,xcpu:/a/b\n")));
    put("cpu/a/c", "cpu.cfs_quota_us", "50000\n"); /* without its period */
    assert_true(granted("2:cpu:/a/c\n") == 1.5);
    put("cpu/a/c", "cpu.cfs_period_us", "0\n");
    assert_true(granted("2:cpu:/a/c\n") == 1.5);
    put("cpu/a/c", "cpu.cfs_period_us", "100000\n");
    assert_true(granted("2:cpu:/a/c\n") == 0.5);
    assert_true(isinf(granted("2:cpuset:/a\n4:cpuacct:/a\ngarbage\n")));
}

static void of_this_process(void **state)
{
    (void)state;
    cpu_set_t all, one;
    processors_allowed(&all);
    assert_true(CPU_COUNT(&all) > 0);
    int n = processors_count(&all);
    assert_true(n >= 1 && n <= CPU_COUNT(&all));
    CPU_ZERO(&one);
    assert_int_equal(processors_count(&one), 0);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    cpu_set_t now;
    processors_allowed(&now);
    assert_int_equal(processors_count(&now), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_2),
        cmocka_unit_test(version_1),
        cmocka_unit_test(of_this_process),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
