/* Places and memory of a GPU that several tasks share: a device that is nothing but two numbers, and tasks that are
 * nothing but their locks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/stop.h"
#include "device/device.h"
#include "tasks/gpu_share.h"

static char dir[] = "/tmp/dinf-test-share-XXXXXX";
static struct err err;
static const size_t mib = (size_t)1 << 20;

static size_t free_bytes, total_bytes;
static bool memory_fails;

static int memory(struct device *dev, size_t *free, size_t *total, struct err *e)
{
    (void)dev;
    *free = free_bytes;
    *total = total_bytes;
    return memory_fails ? err_set(e, "no memory can be asked for") : 0;
}

static const struct device_ops ops = { .name = "two numbers", .memory = memory };
static struct device dev = { .ops = &ops, .description = "GPU 0: a/b" };

/* What was reported; after `patience` reports of waiting, `other` leaves or its memory is free. */
static int waits, dones, patience;
static struct gpu_share *other;
static size_t freed;

static void progress(const struct task_context *ctx, const struct task_progress *p)
{
    (void)ctx;
    assert_true(isnan(p->loss) && isnan(p->rate));
    assert_string_equal(p->what, p->waiting ? "waiting for the GPU" : "");
    waits += p->waiting;
    dones += !p->waiting;
    if (p->waiting && waits == patience) {
        if (other != NULL)
            gpu_share_leave(other);
        free_bytes += freed;
    }
}

static struct task_context ctx = { .device = &dev, .progress = progress };

static void begin(struct gpu_share *leaving, size_t bytes)
{
    waits = dones = 0;
    patience = 2;
    other = leaving;
    freed = bytes;
}

static int need(void *arg, size_t *bytes, struct err *e)
{
    (void)e;
    *bytes = *(const size_t *)arg;
    return 0;
}

static int need_fails(void *arg, size_t *bytes, struct err *e)
{
    (void)arg;
    (void)bytes;
    return err_set(e, "nobody knows");
}

static int reserve(struct gpu_share *share, size_t bytes)
{
    return gpu_share_reserve(&ctx, share, need, &bytes, &err);
}

static void test_places(void **state)
{
    (void)state;
    struct gpu_share a, b, c;
    free_bytes = total_bytes = 1000 * mib;
    ctx.sharing = 2;
    begin(NULL, 0);
    assert_int_equal(gpu_share_enter(&ctx, &a, &err), 0);
    assert_int_equal(gpu_share_enter(&ctx, &b, &err), 0);
    assert_true(waits == 0 && dones == 0 && a.slot >= 0 && b.slot >= 0 && a.memory == -1 && a.user == -1);
    begin(&a, 0);
    assert_int_equal(gpu_share_enter(&ctx, &c, &err), 0); /* as soon as the first has left */
    assert_true(waits == 2 && dones == 1 && c.slot >= 0 && a.slot == -1);
    gpu_share_leave(&c);
    gpu_share_leave(&b);
    ctx.sharing = 0; /* any number */
    begin(NULL, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(gpu_share_enter(&ctx, &a, &err), 0);
    assert_true(a.slot == -1 && waits == 0);
    ctx.sharing = 1;
    total_bytes = SIZE_MAX; /* the host's memory */
    assert_int_equal(gpu_share_enter(&ctx, &a, &err), 0);
    assert_int_equal(gpu_share_enter(&ctx, &b, &err), 0);
    assert_true(a.slot == -1 && b.slot == -1 && waits == 0);
    assert_int_equal(reserve(&a, 1), 0);
    assert_true(a.memory == -1 && a.user == -1);
    memory_fails = true;
    assert_int_equal(gpu_share_enter(&ctx, &a, &err), -1);
    assert_int_equal(reserve(&a, 1), -1);
    memory_fails = false;
}

static void test_memory(void **state)
{
    (void)state;
    struct gpu_share a = { -1, -1, -1 }, b = a;
    total_bytes = 2000 * mib;
    free_bytes = 2000 * mib;
    ctx.sharing = 0;
    assert_int_equal(reserve(&a, 2000 * mib + 1), -1);
    assert_string_equal(err.text, "this task needs about 2000 MiB of GPU memory, the GPU has 2000 MiB: use smaller "
                                  "batches or a smaller encoder");
    gpu_share_leave(&a);
    begin(NULL, 0);
    assert_int_equal(reserve(&a, 2000 * mib), 0); /* alone, it need not have all that a process takes as well */
    assert_true(waits == 0 && dones == 0 && a.memory >= 0 && a.user >= 0);
    gpu_share_settled(&a);
    assert_true(a.memory == -1 && a.user >= 0);
    free_bytes = 868 * mib; /* 100 and what else a process takes */
    begin(NULL, 0);
    assert_int_equal(reserve(&b, 100 * mib), 0);
    assert_int_equal(waits, 0);
    gpu_share_leave(&b);
    begin(NULL, 1 * mib); /* the other one's memory becomes free */
    assert_int_equal(reserve(&b, 101 * mib), 0);
    assert_true(waits == 2 && dones == 1);
    gpu_share_leave(&b);
    begin(&a, 0); /* the other one ends: waiting longer would help nobody */
    assert_int_equal(reserve(&b, 500 * mib), 0);
    assert_true(waits == 2 && dones == 1);
    /* until it is settled nobody else is let in */
    free_bytes = total_bytes;
    begin(&b, 0);
    assert_int_equal(reserve(&a, 1), 0);
    assert_int_equal(waits, 2);
    gpu_share_leave(&a);
    assert_int_equal(gpu_share_reserve(&ctx, &a, need_fails, NULL, &err), -1);
    assert_string_equal(err.text, "nobody knows");
    gpu_share_leave(&a);
    assert_true(a.slot == -1 && a.memory == -1 && a.user == -1);
}

/* Another device has other files; so has every folder of temporary files. */
static void test_files(void **state)
{
    (void)state;
    struct gpu_share a, b;
    char path[256];
    total_bytes = free_bytes = mib;
    ctx.sharing = 1;
    begin(NULL, 0);
    assert_int_equal(gpu_share_enter(&ctx, &a, &err), 0);
    snprintf(path, sizeof path, "%s/dinf-GPU-0--a-b.slot0", dir);
    assert_true(fs_exists(path));
    strcpy(dev.description, "GPU 1");
    assert_int_equal(gpu_share_enter(&ctx, &b, &err), 0);
    assert_int_equal(waits, 0);
    gpu_share_leave(&a);
    gpu_share_leave(&b);
    /* where no file can be made, tasks do not see each other */
    snprintf(path, sizeof path, "%s/nowhere", dir);
    setenv("TMPDIR", path, 1);
    assert_int_equal(gpu_share_enter(&ctx, &a, &err), 0);
    assert_int_equal(gpu_share_enter(&ctx, &b, &err), 0);
    assert_int_equal(reserve(&a, 1), 0);
    assert_true(waits == 0 && a.slot == -1 && a.memory == -1);
    setenv("TMPDIR", dir, 1);
}

/* Who waits can be stopped. */
static void test_stop(void **state)
{
    (void)state;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        struct gpu_share a = { -1, -1, -1 }, b = a, c = a;
        total_bytes = free_bytes = 1000 * mib;
        ctx.sharing = 1;
        begin(NULL, 0);
        bool good = gpu_share_enter(&ctx, &a, &err) == 0 && reserve(&a, 1) == 0;
        stop_request();
        good = good && gpu_share_enter(&ctx, &b, &err) == STOPPED && waits == 1;
        good = good && reserve(&c, 1) == STOPPED && waits == 2 && dones == 0;
        _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : setenv("TMPDIR", dir, 1);
}

static int remove_dir(void **state)
{
    (void)state;
    return fs_remove_tree(dir, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_places), cmocka_unit_test(test_memory),
                                        cmocka_unit_test(test_files), cmocka_unit_test(test_stop) };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
