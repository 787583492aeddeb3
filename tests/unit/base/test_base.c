/* base: known answers of Philox and SHA-256, distributions, files, names. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/half.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/rng.h"
#include "base/wrap.h"

/* Known answers published with the Random123 library (kat_vectors). */
static void philox_known_answers(void **state)
{
    (void)state;
    static const uint32_t in[3][6] = {
        { 0, 0, 0, 0, 0, 0 },
        { ~0u, ~0u, ~0u, ~0u, ~0u, ~0u },
        { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0 },
    };
    static const uint32_t out[3][4] = {
        { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 },
    };
    for (int i = 0; i < 3; i++) {
        struct rng_block b = philox4x32(in[i][0], in[i][1], in[i][2], in[i][3], in[i][4], in[i][5]);
        assert_memory_equal(b.v, out[i], sizeof b.v);
    }
}

static void rng_streams_differ(void **state)
{
    (void)state;
    struct rng base = rng_at(1, RNG_TEST, 2, 3, 4);
    struct rng others[] = { rng_at(2, RNG_TEST, 2, 3, 4), rng_at(1, RNG_INIT, 2, 3, 4),
                            rng_at(1, RNG_TEST, 3, 3, 4), rng_at(1, RNG_TEST, 2, 4, 4),
                            rng_at(1, RNG_TEST, 2, 3, 5), rng_at(1ull << 32 | 1, RNG_TEST, 2, 3, 4) };
    uint64_t first = rng_u64(&base);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_true(rng_u64(&others[i]) != first);
    struct rng again = rng_at(1, RNG_TEST, 2, 3, 4);
    assert_true(rng_u64(&again) == first);
}

static void rng_distributions(void **state)
{
    (void)state;
    enum { N = 200000, SIDES = 7 };
    struct rng r = rng_at(42, RNG_TEST, 0, 0, 0);
    double sum = 0, squares = 0, uniform = 0;
    int counts[SIDES] = { 0 };
    for (int i = 0; i < N; i++) {
        double z = rng_normal(&r);
        sum += z;
        squares += z * z;
        double u = rng_double(&r);
        assert_true(u >= 0 && u < 1);
        uniform += u;
        counts[rng_below(&r, SIDES)]++;
    }
    assert_true(fabs(sum / N) < 5 / sqrt(N));
    assert_true(fabs(squares / N - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(uniform / N - 0.5) < 5 * sqrt(1.0 / 12 / N));
    for (int k = 0; k < SIDES; k++)
        assert_true(abs(counts[k] - N / SIDES) < 5 * sqrt((double)N / SIDES));
}

static void rng_permutation_is_one(void **state)
{
    (void)state;
    enum { N = 1000 };
    uint32_t order[N];
    bool seen[N] = { false };
    int fixed = 0;
    struct rng r = rng_at(7, RNG_TEST, 0, 0, 0);
    rng_permutation(&r, order, N);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(order[i] < N && !seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == i;
    }
    assert_true(fixed < 10);
    assert_true(rng_below(&r, 1) == 0);
}

static void sha256_known_answers(void **state)
{
    (void)state;
    char hex[HASH_HEX], file_hex[HASH_HEX], path[] = "/tmp/dinf-hash-XXXXXX";
    struct err err;
    assert_int_equal(hash_bytes("abc", 3, hex, &err), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "abc", 3), 3);
    close(fd);
    assert_int_equal(hash_file(path, file_hex, &err), 0);
    assert_string_equal(file_hex, hex);
    unlink(path);
    assert_int_equal(hash_file(path, hex, &err), -1);
    assert_non_null(strstr(err.text, path));
}

static void memory_is_checked(void **state)
{
    (void)state;
    struct err err;
    assert_null(mem_alloc(SIZE_MAX / 2, 4, &err));
    assert_non_null(strstr(err.text, "overflow"));
    double *p = mem_alloc(3, sizeof *p, &err);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    p[2] = 5;
    p = mem_grow(p, 3, 100, sizeof *p, &err);
    assert_true(p[2] == 5 && p[99] == 0);
    mem_free(p);
    char *s = mem_printf(&err, "%d-%s", 12, "x");
    assert_string_equal(s, "12-x");
    mem_free(s);
    s = mem_alloc(0, 8, &err);
    assert_non_null(s);
    mem_free(s);
    assert_null(mem_alloc(SIZE_MAX - 32, 1, &err)); /* what rounding up would overflow */
    assert_non_null(strstr(err.text, "overflow"));
#ifndef __SANITIZE_ADDRESS__ /* which ends the program where so much is asked for */
    assert_null(mem_alloc(SIZE_MAX - 4096, 1, &err));
    assert_non_null(strstr(err.text, "out of memory"));
#endif
    short *q = mem_alloc(100, sizeof *q, &err);
    for (short i = 0; i < 100; i++)
        q[i] = i;
    q = mem_grow(q, 100, 5, sizeof *q, &err); /* fewer */
    assert_true(q[0] == 0 && q[4] == 4);
    assert_null(mem_grow(q, 5, SIZE_MAX / 2, 4, &err)); /* it stays */
    assert_true(q[4] == 4);
    mem_free(q);
    for (size_t n = 1; n < 300; n++) { /* zeroed to the last byte */
        unsigned char *bytes = mem_alloc(n, 3, &err);
        assert_true(bytes[0] == 0 && bytes[3 * n - 1] == 0);
        memset(bytes, 0xff, 3 * n);
        mem_free(bytes);
    }
    q = mem_grow(NULL, 0, 3, sizeof *q, &err);
    assert_true(q[2] == 0);
    mem_free(q);
    char many[300];
    for (size_t n = 62; n < 67; n++) {
        memset(many, 'x', n);
        many[n] = '\0';
        s = mem_strdup(many, &err);
        assert_string_equal(s, many);
        mem_free(s);
        s = mem_printf(&err, "%s", many);
        assert_string_equal(s, many);
        mem_free(s);
    }
}

static void files_are_whole_or_absent(void **state)
{
    (void)state;
    char folder[] = "/tmp/dinf-fs-XXXXXX", path[64], deep[64], *data;
    size_t bytes;
    struct err err;
    struct stat st;
    assert_non_null(mkdtemp(folder));
    snprintf(deep, sizeof deep, "%s/a/b", folder);
    assert_int_equal(fs_mkdirs(deep, &err), 0);
    assert_int_equal(fs_mkdirs(deep, &err), 0);
    snprintf(path, sizeof path, "%s/a/b/file", folder);
    assert_int_equal(fs_write_atomic(path, "one", 3, &err), 0);
    assert_int_equal(fs_write_atomic(path, "second", 6, &err), 0);
    assert_int_equal(fs_read(path, &data, &bytes, &err), 0);
    assert_int_equal(bytes, 6);
    assert_string_equal(data, "second");
    mem_free(data);
    assert_int_equal(fs_mkdirs(path, &err), -1); /* a file in the way */
    assert_int_equal(fs_read(deep, &data, &bytes, &err), -1);
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_int_equal(fs_remove_tree(folder, &err), 0);
    assert_int_equal(stat(folder, &st), -1);
    assert_int_equal(fs_remove_tree(folder, &err), 0);
    assert_int_equal(fs_write_atomic(path, "x", 1, &err), -1);
    assert_non_null(strstr(err.text, "No such file"));
}

/* Of old ones whoever wrote them; of young ones those of processes that are dead. */
static void leftovers_are_removed(void **state)
{
    (void)state;
    char mine[32], dead[32], future[32], undead[32], successor[32];
    int status;
    const pid_t zombie = fork();
    if (zombie == 0)
        _exit(0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, &status, 0); /* nobody has the number now */
    snprintf(mine, sizeof mine, "a.h5.tmp.%ld", (long)getpid());
    snprintf(dead, sizeof dead, "a.h5.tmp.%ld", (long)pid);
    snprintf(future, sizeof future, "b.h5.tmp.%ld", (long)pid);
    snprintf(undead, sizeof undead, "a.h5.tmp.%ld", (long)zombie);         /* which nobody has waited for */
    snprintf(successor, sizeof successor, "b.h5.tmp.%ld", (long)getpid()); /* has the number since a moment ago */
    const struct {
        const char *name;
        long age;
        bool stays;
    } files[] = {
        { "a.h5.tmp.1", 100, false }, { "b.tmp.1.tmp.2", 100, false }, { "a.h5", 100, true },
        { "a.tmp.x", 100, true },     { "c.tmp.", 100, true },         { mine, 0, true },
        { undead, 30, false },        { successor, 40, false },        { dead, 30, false },
        { future, -30, false },       { "d.h5.tmp.1", 30, true },      { "e.h5.tmp.99999999999999999999", 30, true },
    };
    enum { FILES = sizeof files / sizeof files[0] };
    char folder[] = "/tmp/dinf-base.XXXXXX", path[256];
    struct err err;
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < FILES; i++) {
        const struct timespec then = { time(NULL) - files[i].age, 0 }, times[2] = { then, then };
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        assert_int_equal(fs_write_atomic(path, "x", 1, &err), 0);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    snprintf(path, sizeof path, "%s/f.h5.tmp.%ld", folder, (long)pid);
    assert_int_equal(fs_write_atomic(path, "x", 1, &err), 0);
    assert_int_equal(fs_remove_temporaries(folder, 60, 10, &err), 0);
    assert_true(fs_exists(path)); /* too young to say */
    assert_int_equal(fs_remove_temporaries(folder, 60, 0, &err), 0);
    assert_false(fs_exists(path));
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        if (fs_exists(path) != files[i].stays)
            fail_msg("%s: %d", files[i].name, files[i].stays);
    }
    waitpid(zombie, &status, 0);
    fs_remove_tree(folder, &err);
    assert_int_equal(fs_remove_temporaries(folder, 60, 60, &err), -1);
}

static void names_find_the_nearest(void **state)
{
    (void)state;
    static const char *const names[] = { "epochs", "batch", "learning_rate", "loss" };
    assert_int_equal(names_distance("kitten", "sitting"), 3);
    assert_int_equal(names_distance("ab", "ba"), 1);
    assert_int_equal(names_distance("", "abc"), 3);
    assert_string_equal(names_nearest("epohcs", names, 4), "epochs");
    assert_string_equal(names_nearest("learning-rate", names, 4), "learning_rate");
    assert_null(names_nearest("zzzzzz", names, 4));
    assert_string_equal(names_nearest("xoss", names, 4), "loss");
    assert_string_equal(names_nearest("bat", names, 4), "batch"); /* two edits of any name */
    assert_null(names_nearest("ba", names, 4));
    assert_null(names_nearest("xxxxning_rxxx", names, 4)); /* else half its length */
    assert_string_equal(names_nearest("xxxrning_rxxx", names, 4), "learning_rate");
    static const char *const alike[] = { "adam", "adan" };
    assert_string_equal(names_nearest("adax", alike, 2), "adam"); /* the first of several */
    assert_null(names_nearest("adax", alike, 0));
    assert_int_equal(names_distance("ca", "abc"), 3); /* what was exchanged is not changed again */
    assert_int_equal(names_distance("abcdef", "badcfe"), 3);
    assert_int_equal(names_distance("abc", ""), 3);
    assert_int_equal(names_distance("abc", "axc"), 1);
    assert_int_equal(names_distance("abc", "abcd"), 1);
    assert_int_equal(names_distance("abcd", "bcd"), 1);
    char a[200], b[200]; /* of long ones the first 128 characters */
    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    a[199] = b[199] = b[128] = '\0';
    assert_int_equal(names_distance(a, b), 0);
    b[127] = '\0';
    assert_int_equal(names_distance(a, b), 1);
    assert_int_equal(names_distance(b, a), 1);
}

static void names_in_sentences(void **state)
{
    (void)state;
    static const char *const names[] = { "adam", "sgd", "lars", NULL };
    char text[NAMES_HINT];
    struct err err;
    names_join(names, 3, text, sizeof text);
    assert_string_equal(text, "adam, sgd or lars");
    names_join(names, 2, text, sizeof text);
    assert_string_equal(text, "adam or sgd");
    names_join(names, 1, text, sizeof text);
    assert_string_equal(text, "adam");
    names_join(names, 0, text, sizeof text);
    assert_string_equal(text, "");
    names_join(names, 3, text, 8);
    assert_string_equal(text, "adam, s");
    assert_ptr_equal(names_suggest("adma", names, 3, text), text);
    assert_string_equal(text, "; did you mean \"adam\"?");
    assert_string_equal(names_suggest("momentum", names, 3, text), "");
    names_hint("momentum", names, 3, text);
    assert_string_equal(text, "; it is one of adam, sgd or lars");
    names_hint("lasr", names, 3, text);
    assert_string_equal(text, "; did you mean \"lars\"?");
    assert_int_equal(names_find("optimizer", "lars", names, &err), 2);
    assert_int_equal(names_find("optimizer", "adam", names, &err), 0);
    assert_int_equal(names_find("optimizer", "larss", names, &err), -1);
    assert_string_equal(err.text, "there is no optimizer \"larss\"; did you mean \"lars\"?");
    assert_int_equal(names_find("optimizer", "", names, &err), -1);
    assert_string_equal(err.text, "there is no optimizer \"\"");
}

/* Every finite binary16 is (-1)^s 2^(e - 15) (1 + m / 1024), or 2^-14 m / 1024 for e = 0. */
static void halves(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        int e = bits >> 10 & 31, m = bits & 1023;
        float f = half_to_float((uint16_t)bits), sign = bits & 0x8000 ? -1 : 1;
        if (e == 31 && m != 0)
            assert_true(isnan(f));
        else if (e == 31)
            assert_true(isinf(f) && f * sign > 0);
        else
            assert_true(f == sign * (e > 0 ? ldexpf(1024 + (float)m, e - 25) : ldexpf((float)m, -24)));
        assert_int_equal(signbit(f) != 0, bits >> 15);
    }
}

/* What `print` writes to standard output. */
static void printed(void (*print)(void), char *out, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    assert_int_equal(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
    print();
    fflush(stdout);
    assert_int_equal(dup2(kept, STDOUT_FILENO), STDOUT_FILENO);
    close(kept);
    rewind(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void print_rows(void)
{
    /* 76 characters from column 3 on end in column 78, the last; "ä" is two bytes and one column */
    wrap_row("ab", 3, "%s %s", "0123456789012345678901234567890123456789012345678901234567890123456789012",
             "\xc3\xa4\xc3\xa4 one");
    wrap_row("a long label", 3, "  two\n three%s", "");
    wrap_row("x", 3, "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234 y");
}

static void words_are_wrapped(void **state)
{
    (void)state;
    char text[512];
    printed(print_rows, text, sizeof text);
    assert_string_equal(text,
                        "ab 0123456789012345678901234567890123456789012345678901234567890123456789012 "
                        "\xc3\xa4\xc3\xa4\n"
                        "   one\n"
                        "a long label two three\n"
                        "x  0123456789012345678901234567890123456789012345678901234567890123456789012345678901234\n"
                        "   y\n");
}

static void errors_are_put_together(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, "no %s", "luck"), -1);
    assert_int_equal(err_prefix(&err, "line %d", 3), -1);
    assert_string_equal(err.text, "line 3: no luck");
    errno = ENOENT;
    assert_int_equal(err_errno(&err, "cannot open x"), -1);
    assert_string_equal(err.text, "cannot open x: No such file or directory");
    assert_int_equal(err_set(NULL, "ignored"), -1);
    /* what is too long is cut at the end, and the beginning stays */
    enum { ROOM = sizeof err.text - 1 };
    char text[ROOM + 2] = "", want[2 * ROOM + 8];
    for (int n = ROOM - 4; n <= ROOM + 1; n++) {
        memset(text, 'a', (size_t)n);
        err_set(&err, "bcdefgh");
        err_prefix(&err, "%s", text);
        assert_int_equal(snprintf(want, sizeof want, "%.*s: bcdefgh", ROOM, text), (n < ROOM ? n : ROOM) + 9);
        want[n < ROOM - 1 ? ROOM : n < ROOM ? n : ROOM] = '\0';
        assert_string_equal(err.text, want);
        err_set(&err, "%s", text);
        err_prefix(&err, "bcd");
        snprintf(want, sizeof want, "bcd: %s", text);
        want[ROOM] = '\0';
        assert_string_equal(err.text, want);
    }
}

static void durations_are_readable(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(clock_duration(3.14159, out, sizeof out), "3.1 s");
    assert_string_equal(clock_duration(42, out, sizeof out), "42 s");
    assert_string_equal(clock_duration(125, out, sizeof out), "2 min 05 s");
    assert_string_equal(clock_duration(7500, out, sizeof out), "2 h 05 min");
    assert_string_equal(clock_duration(NAN, out, sizeof out), "?");
    assert_string_equal(clock_duration(INFINITY, out, sizeof out), "?");
    assert_string_equal(clock_duration(0, out, sizeof out), "0.0 s");
    assert_string_equal(clock_duration(9.94, out, sizeof out), "9.9 s");
    assert_string_equal(clock_duration(10, out, sizeof out), "10 s");
    assert_string_equal(clock_duration(59.4, out, sizeof out), "59 s");
    assert_string_equal(clock_duration(60, out, sizeof out), "1 min 00 s");
    assert_string_equal(clock_duration(3599.9, out, sizeof out), "59 min 59 s");
    assert_string_equal(clock_duration(3600, out, sizeof out), "1 h 00 min");
    assert_string_equal(clock_duration(48 * 3600.0 - 1, out, sizeof out), "47 h 59 min");
    assert_string_equal(clock_duration(48 * 3600.0, out, sizeof out), "2.0 days");
    assert_string_equal(clock_duration(12.34 * 86400, out, sizeof out), "12.3 days");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),      cmocka_unit_test(rng_streams_differ),
        cmocka_unit_test(rng_distributions),         cmocka_unit_test(rng_permutation_is_one),
        cmocka_unit_test(sha256_known_answers),      cmocka_unit_test(memory_is_checked),
        cmocka_unit_test(files_are_whole_or_absent), cmocka_unit_test(names_find_the_nearest),
        cmocka_unit_test(errors_are_put_together),   cmocka_unit_test(durations_are_readable),
        cmocka_unit_test(leftovers_are_removed),     cmocka_unit_test(words_are_wrapped),
        cmocka_unit_test(names_in_sentences),        cmocka_unit_test(halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
