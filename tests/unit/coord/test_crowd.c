/* coord: what is said of too many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coord/crowd.h"

static void sentences(void **state)
{
    static const struct {
        struct crowd crowd;
        int threads;
        const char *says; /* NULL: nothing */
    } rows[] = {
        { { 4, 8, 8, 0 }, 2, NULL },
        { { 4, 8, 2, 2 }, 2, NULL }, /* bound by srun */
        { { 5, 8, 8, 0 },
          2,
          "5 workers with campaign.threads = 2 on h want 10 processors, and may use 8: start no more "
          "than 4 workers there, or set campaign.threads = 1" },
        { { 3, 2, 2, 0 },
          1,
          "3 workers with campaign.threads = 1 on h want 3 processors, and may use 2: start no more "
          "than 2 workers there" },
        { { 1, 2, 2, 0 },
          8,
          "campaign.threads = 8, but a task on h may use 2 processors, and its threads take turns: "
          "give each task 8 (sbatch --cpus-per-task=8, mpirun --bind-to none), or set "
          "campaign.threads = 2" },
        { { 4, 64, 64, 1 }, 8, "a task on h may use 1 processor, " }, /* --cpus-per-task=1 without a cpuset */
        { { 4, 64, 1, 0 }, 8, "a task on h may use 1 processor, " },  /* mpirun bound it to a core */
        { { 4, 0, 0, 0 }, 8, NULL },                                  /* nobody knows */
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool said = crowd_describe(&rows[i].crowd, "h", rows[i].threads, text, sizeof text);
        assert_int_equal(said, rows[i].says != NULL);
        if (said && strstr(text, rows[i].says) == NULL)
            fail_msg("%s", text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sentences) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
