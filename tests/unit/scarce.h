/* Memory that runs out: every allocation of ours and of cJSON's may be the first that fails. A program that includes
 * this is linked with --wrap=aligned_alloc (tests/CMakeLists.txt). */
#ifndef TESTS_UNIT_SCARCE_H
#define TESTS_UNIT_SCARCE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/err.h"

static long scarce_left; /* allocations until one fails; 0: none does */
static bool scarce_failed, scarce_forgiven;
static long scarce_thinned = 40; /* of later allocations one in 2, 3, ... fails: each time so many have been seen */

static inline bool scarce_fails(void)
{
    if (scarce_left == 0 || --scarce_left > 0)
        return false;
    scarce_failed = true;
    return true;
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return scarce_fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

static inline void *scarce_malloc(size_t bytes)
{
    return scarce_fails() ? NULL : malloc(bytes);
}

/* cJSON itself loses what it has when a copy of a name is not to be had (our call may be gone from its stack). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcjson.so\nleak:scarce_malloc\n";
}

/* Runs what is to be tested again and again, until it has all the memory that it wants. `run` gets its argument and an
 * error, makes scarce_left what it is given when it begins in earnest (scarce_begin), and returns 0 or not 0. Each run
 * that lacked memory must fail with a message; the last one must not. (What may be done without is the run's to judge.)
 */
static long scarce_limit;

static inline void scarce_begin(void)
{
    scarce_left = scarce_limit;
    scarce_failed = false;
}

static inline void scarce_end(void)
{
    scarce_left = 0;
}

/* Nothing is amiss, although memory was: what lacked it could be done without. */
static inline void scarce_forgive(void)
{
    scarce_forgiven = scarce_failed;
}

static inline void scarce_check(const char *what, int (*run)(void *arg, struct err *err), void *arg)
{
    cJSON_Hooks hooks = { .malloc_fn = scarce_malloc, .free_fn = free };
    int runs = 0, failures = 0;
    cJSON_InitHooks(&hooks);
    for (long at = 1;; at += 1 + at / scarce_thinned) {
        struct err err = { "" };
        scarce_limit = at;
        scarce_forgiven = false;
        const int rc = run(arg, &err);
        scarce_left = 0;
        runs++;
        if (!scarce_failed) {
            if (rc != 0)
                fail_msg("%s: %s", what, err.text);
            break;
        }
        if (scarce_forgiven ? rc != 0 : rc == 0 || err.text[0] == '\0') {
            print_error("%s without its allocation %ld: %d, \"%s\"\n", what, at, rc, err.text);
            failures++;
        }
    }
    cJSON_InitHooks(NULL);
    print_message("%s: memory ran out %d times\n", what, runs - 1);
    assert_int_equal(failures, 0);
}

#endif
