/* base: what may be written where, what is kept aside, and that nothing half-written stays. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/writer.h"

static char root[] = "/tmp/dinf-files.XXXXXX";
static struct err err;

/* Up to four of them at a time. */
static const char *at(const char *name)
{
    static char paths[4][512];
    static int k;
    char *path = paths[k++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(fs_write_atomic(at(name), text, strlen(text), &err), 0);
}

static void holds(const char *name, const char *text)
{
    char *data;
    size_t bytes;
    assert_int_equal(fs_read(at(name), &data, &bytes, &err), 0);
    assert_string_equal(data, text);
    assert_int_equal(bytes, strlen(text));
    mem_free(data);
}

static bool is_link(const char *name)
{
    struct stat st;
    return lstat(at(name), &st) == 0 && S_ISLNK(st.st_mode);
}

static void paths(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(fs_path(out, sizeof out, &err, "%s/%d", "abc", 123), 0);
    assert_string_equal(out, "abc/123");
    assert_int_equal(fs_path(out, sizeof out, &err, "%s/%d", "abc", 1234), -1);
    assert_string_equal(err.text, "path too long: abc/123...");
    assert_int_equal(fs_mkdirs(at("a/b/../c//d/"), &err), 0);
    assert_true(fs_exists(at("a/b")) && fs_exists(at("a/c/d")));
    assert_int_equal(fs_mkdirs("/", &err), 0);
    char longer[PATH_MAX + 2];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(fs_mkdirs(longer, &err), -1);
    assert_int_equal(fs_mkdirs("/proc/nothing/here", &err), -1);
    assert_non_null(strstr(err.text, "cannot create the folder /proc/nothing: "));
}

static void reading(void **state)
{
    (void)state;
    put("empty", "");
    holds("empty", "");
    char *data;
    assert_int_equal(mkfifo(at("pipe"), 0666), 0);
    assert_int_equal(fs_read(at("pipe"), &data, NULL, &err), -1); /* does not wait for a writer */
    assert_non_null(strstr(err.text, "pipe is not a regular file"));
    assert_int_equal(fs_read(at("nothing"), &data, NULL, &err), -1);
    assert_non_null(strstr(err.text, "cannot open "));
    put("five", "12345");
    assert_int_equal(fs_read(at("five"), &data, NULL, &err), 0); /* its size may be of no interest */
    mem_free(data);
    size_t bytes = 0;
    int fd = fs_open_regular(at("five"), &bytes, &err);
    assert_true(fd >= 0 && bytes == 5);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
    assert_int_equal(fs_read("/proc/self/mem", &data, NULL, &err), 0); /* says that it is empty */
    mem_free(data);
}

static void one_file(void **state)
{
    (void)state;
    put("one", "x");
    put("two", "x");
    assert_int_equal(link(at("one"), at("hard")), 0);
    assert_int_equal(symlink("one", at("soft")), 0);
    assert_true(fs_same_file(at("one"), at("hard")) && fs_same_file(at("soft"), at("one")));
    assert_false(fs_same_file(at("one"), at("two")));
    assert_false(fs_same_file(at("one"), at("three")) || fs_same_file(at("three"), at("one")));
    assert_false(fs_same_file("/proc/self/nothing", at("three")));
}

/* Through links, but not over what a rename would destroy. */
static void outputs(void **state)
{
    (void)state;
    char tmp[PATH_MAX], want[PATH_MAX];
    put("target", "old");
    assert_int_equal(symlink("target", at("way")), 0);
    assert_int_equal(symlink("gone", at("dangling")), 0);
    assert_int_equal(symlink(".", at("round")), 0);
    assert_int_equal(fs_mkdirs(at("folder"), &err), 0);
    static const struct {
        const char *name, *says; /* NULL: may be written */
    } rows[] = { { "target", NULL },
                 { "new", NULL },
                 { "way", NULL },
                 { "folder/new", NULL },
                 { "", "names no file" },
                 { "folder/", "names no file" },
                 { "folder", "is a folder and is not overwritten" },
                 { "round", "is a folder and is not overwritten" },
                 { "pipe", "is not a regular file and is not overwritten" },
                 { "dangling", "cannot follow the link" },
                 { "none/new", "cannot write " } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int rc = fs_check_output(at(rows[i].name), &err);
        if ((rc == 0) != (rows[i].says == NULL) || (rc != 0 && strstr(err.text, rows[i].says) == NULL))
            fail_msg("%s: %s", rows[i].name, err.text);
    }
    assert_int_equal(fs_check_output("", &err), -1);
    assert_int_equal(fs_temporary(at("way"), tmp, sizeof tmp, &err), 0);
    snprintf(want, sizeof want, "%s.tmp.%ld", at("target"), (long)getpid());
    assert_string_equal(tmp, want);
    assert_true(fs_is_temporary(strrchr(tmp, '/') + 1));
    assert_int_equal(fs_temporary(at("folder"), tmp, sizeof tmp, &err), -1);
    put("way", "new");
    holds("target", "new");
    assert_true(is_link("way"));
    assert_int_equal(fs_write_atomic(at("folder"), "x", 1, &err), -1);
    assert_int_equal(fs_write_atomic(at("none/new"), "x", 1, &err), -1);
    assert_int_equal(fs_commit(at("nothing"), at("target"), &err), -1);
    assert_non_null(strstr(err.text, "cannot open "));
    holds("target", "new");
    static const struct {
        const char *name;
        bool temporary;
    } names[] = { { "a.tmp.1", true }, { "a.h5.tmp.123", true },  { "a.tmp.1.tmp.23", true },
                  { ".tmp.9", true },  { "a.tmp.", false },       { "a.tmp.1x", false },
                  { "a.tmp1", false }, { "a.tmp.1.tmp.", false }, { "a", false } };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(fs_is_temporary(names[i].name), names[i].temporary);
}

static void kept_aside(void **state)
{
    (void)state;
    assert_int_equal(fs_set_aside(at("nothing"), &err), 0);
    assert_false(fs_exists(at("nothing.damaged")));
    put("bad", "first");
    assert_int_equal(fs_set_aside(at("bad"), &err), 0);
    holds("bad.damaged", "first");
    assert_false(fs_exists(at("bad")));
    assert_int_equal(fs_mkdirs(at("bad/deep"), &err), 0); /* also a folder, in the place of the older one */
    assert_int_equal(fs_set_aside(at("bad"), &err), 0);
    assert_true(fs_exists(at("bad.damaged/deep")));
    assert_int_equal(symlink("nowhere", at("bad")), 0); /* and a link to nothing */
    assert_int_equal(fs_set_aside(at("bad"), &err), 0);
    assert_true(is_link("bad.damaged"));
    put("five", "12345");
    assert_int_equal(fs_set_aside(at("five/x"), &err), -1);
    assert_non_null(strstr(err.text, "cannot look at "));
    /* only what is no file is in the way of one */
    assert_int_equal(fs_clear_place(at("five"), &err), 0);
    holds("five", "12345");
    assert_int_equal(fs_clear_place(at("nothing"), &err), 0);
    assert_int_equal(fs_mkdirs(at("way2/in"), &err), 0);
    assert_int_equal(fs_clear_place(at("way2"), &err), 0);
    assert_false(fs_exists(at("way2")));
    assert_true(fs_exists(at("way2.damaged/in")));
}

/* A full disk, here by a limit on file sizes: what was there stays, and nothing of the new. */
static void nothing_half_written(void **state)
{
    (void)state;
    char tmp[PATH_MAX];
    int status;
    put("kept", "old");
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit two = { 2, 2 };
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &two) != 0)
            _exit(2);
        _exit(fs_write_atomic(at("kept"), "new", 3, &err) == -1 && strstr(err.text, "cannot write ") != NULL &&
                      strstr(err.text, strerror(EFBIG)) != NULL &&
                      fs_temporary(at("kept"), tmp, sizeof tmp, &err) == 0 && !fs_exists(tmp)
                  ? 0
                  : 1);
    }
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    holds("kept", "old");
    /* a large one comes through whole, and its digest is that of its bytes */
    enum { MANY = 3 * 65536 + 17 };
    char *bytes = mem_alloc(MANY, 1, &err), of_file[HASH_HEX], of_bytes[HASH_HEX], *back;
    for (int i = 0; i < MANY; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    assert_int_equal(fs_write_atomic(at("large"), bytes, MANY, &err), 0);
    size_t n;
    assert_int_equal(fs_read(at("large"), &back, &n, &err), 0);
    assert_int_equal(n, MANY);
    assert_memory_equal(bytes, back, MANY);
    assert_int_equal(hash_file(at("large"), of_file, &err), 0);
    assert_int_equal(hash_bytes(bytes, MANY, of_bytes, &err), 0);
    assert_string_equal(of_file, of_bytes);
    mem_free(bytes);
    mem_free(back);
    put("empty", "");
    assert_int_equal(hash_file(at("empty"), of_file, &err), 0);
    assert_string_equal(of_file, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(hash_file(root, of_file, &err), -1);
    assert_int_equal(hash_file("/proc/self/task/self", of_file, &err), -1);
}

static void digests_in_parts(void **state)
{
    (void)state;
    char hex[HASH_HEX], whole[HASH_HEX];
    struct hash *h = hash_create(&err);
    hash_add(h, "ab", 2);
    hash_add_string(h, "c"); /* with its end: "ab", "c" is not "a", "bc" */
    assert_int_equal(hash_finish(h, hex, &err), 0);
    assert_int_equal(hash_bytes("abc", 4, whole, &err), 0);
    assert_string_equal(hex, whole);
    hash_destroy(NULL);
}

/* Who may still be writing. */
static void writers(void **state)
{
    (void)state;
    const double now = clock_wall();
    assert_true(writer_lives(getpid(), now));
    assert_false(writer_lives(getpid(), now - 1e6)); /* had the number before */
    assert_true(writer_lives(0, now) && writer_lives(-5, now) && writer_lives((long)INT_MAX + 1, now));
    assert_true(writer_lives(1, now)); /* not ours to signal, perhaps, and alive */
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, &status, 0);
    assert_false(writer_lives(pid, now));
    pid = fork(); /* the times of files and of processes come from different clocks: 2 s */
    if (pid == 0)
        for (;;)
            pause();
    const double began = clock_wall();
    assert_true(writer_lives(pid, began) && writer_lives(pid, began - 1));
    assert_false(writer_lives(pid, began - 4));
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

static void time_passes(void **state)
{
    (void)state;
    double before = clock_monotonic();
    clock_sleep(0);
    clock_sleep(-5);
    assert_true(clock_monotonic() - before < 4);
    before = clock_monotonic();
    clock_sleep(0.02);
    double slept = clock_monotonic() - before;
    assert_true(slept >= 0.02 && slept < 10);
    before = clock_monotonic();
    clock_sleep(1.05); /* whole seconds and parts */
    slept = clock_monotonic() - before;
    assert_true(slept >= 1.05 && slept < 10);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    double wall = clock_wall() - (double)t.tv_sec - 1e-9 * (double)t.tv_nsec;
    assert_true(wall >= -1e-6 && wall < 5);
    double last = clock_wall(), step = 0; /* in parts of a second, too */
    for (int i = 0; i < 100000 && step <= 0; i++)
        step = clock_wall() - last;
    assert_true(step > 0 && step < 0.5);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(paths),
                                        cmocka_unit_test(reading),
                                        cmocka_unit_test(one_file),
                                        cmocka_unit_test(outputs),
                                        cmocka_unit_test(kept_aside),
                                        cmocka_unit_test(nothing_half_written),
                                        cmocka_unit_test(digests_in_parts),
                                        cmocka_unit_test(writers),
                                        cmocka_unit_test(time_passes) };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
