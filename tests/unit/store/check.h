/* Shared by the store's tests: a scratch folder, and messages that are checked. */
#ifndef TESTS_UNIT_STORE_CHECK_H
#define TESTS_UNIT_STORE_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fs.h"

static char scratch[64];

static inline int scratch_make(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/dinf-store-XXXXXX");
    return mkdtemp(scratch) == NULL ? -1 : 0;
}

static inline int scratch_remove(void **state)
{
    (void)state;
    struct err err;
    return fs_remove_tree(scratch, &err);
}

/* A path in the scratch folder; valid until the 32nd call after. */
static inline const char *in_scratch(const char *name)
{
    static char paths[32][256];
    static int next;
    char *p = paths[next++ % 32];
    snprintf(p, sizeof paths[0], "%s/%s", scratch, name);
    return p;
}

static inline void assert_message(const struct err *err, const char *part)
{
    if (strstr(err->text, part) == NULL)
        fail_msg("the message is \"%s\", expected was \"...%s...\"", err->text, part);
    if (strchr(err->text, '\n') != NULL)
        fail_msg("more than one line: %s", err->text);
}

#define assert_done(call, err)                                                                                         \
    do {                                                                                                               \
        if ((call) != 0)                                                                                               \
            fail_msg("%s", (err).text);                                                                                \
    } while (0)

#endif
