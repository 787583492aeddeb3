/* coord: which failures are worth a further attempt. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coord/failure.h"

static void what_no_attempt_mends(void **state)
{
    static const char *const errors[] = {
        "the loss is not finite at step 12 (epoch 1, learning rate 0.1)",
        "an encoder takes square images of 3 channels, not 8 x 9 of 3",
        "batch norm: impossible shape 0 x 1 x 1 x 8",
        "there is no data format \"jpg\"",
        "there is no loss \"infonse\"; did you mean \"infonce\"?",
        "x.npy: not a .npy file",
        "x.npy: type '<c16' is not supported (float32, float64, uint8 and int64 are)",
        "x.npy has 5 channels, but images have 3 or 1",
        "y.safetensors: truncated: not a safetensors file, or the header is longer than 5 bytes",
    };
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (!failure_lasts(errors[i], NULL))
            fail_msg("is tried again: %s", errors[i]);
        assert_false(failure_passes(errors[i]));
    }
}

static void what_passes(void **state)
{
    static const int numbers[] = { ENOSPC, EDQUOT, EAGAIN, EMFILE, ENFILE,  ENOMEM,
                                   EBUSY,  EIO,    ESTALE, EINTR,  ETXTBSY, ETIMEDOUT };
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char error[256];
        snprintf(error, sizeof error, "cannot read x.npy: %s", strerror(numbers[i]));
        assert_true(failure_passes(error));
        assert_false(failure_lasts(error, NULL));
        assert_false(failure_lasts(error, error)); /* also where it says so again */
        /* an error of the machine that speaks of an option, too */
        snprintf(error, sizeof error, "x.npy is not supported: %s", strerror(numbers[i]));
        assert_false(failure_lasts(error, NULL));
    }
    assert_true(failure_passes("HDF5: unable to lock file, errno = 11"));
}

/* One host may have lost a mount; two have not. */
static void a_file_that_is_not_there(void **state)
{
    static const int numbers[] = { ENOENT, EACCES, EPERM, EISDIR, ENOTDIR, ELOOP, ENAMETOOLONG };
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char error[256];
        snprintf(error, sizeof error, "cannot open x.npy: %s", strerror(numbers[i]));
        assert_false(failure_lasts(error, NULL));
        assert_false(failure_lasts(error, "another error"));
        assert_true(failure_lasts(error, error));
        assert_false(failure_passes(error));
    }
}

static void what_is_simply_tried_again(void **state)
{
    static const char *const errors[] = {
        "mock failure 1 of 9",
        "killed by signal 11 (Segmentation fault)",
        "killed by signal 9 (Killed), out of memory perhaps",
        "exceeded the time limit of 5 s",
        "exit status 3 without a message",
        "conv: cuDNN says internal error",
        "conv: the GPU is out of memory; use smaller batches or fewer ranks on this GPU",
    };
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        assert_false(failure_lasts(errors[i], errors[i]));
        assert_false(failure_passes(errors[i]));
    }
}

/* Whatever the system says, but that a file is not there. */
static void of_the_system(void **state)
{
    static const int numbers[] = { EPERM, EIO, EACCES, ENOSPC, EUCLEAN, EREMOTEIO, ENOTRECOVERABLE, EHWPOISON };
    char error[256];
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        snprintf(error, sizeof error, "cannot read x: %s", strerror(numbers[i]));
        assert_true(failure_of_system(error));
    }
    assert_true(failure_of_system("the GPU is out of memory; use smaller batches"));
    assert_true(failure_of_system("HDF5: unable to lock file, errno = 11"));
    snprintf(error, sizeof error, "cannot open x: %s", strerror(ENOENT));
    assert_false(failure_of_system(error));
    assert_false(failure_of_system("x.h5 is damaged"));
    assert_false(failure_of_system(""));
    assert_false(failure_lasts("", NULL) || failure_lasts("", "") || failure_passes(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_attempt_mends),
        cmocka_unit_test(what_passes),
        cmocka_unit_test(a_file_that_is_not_there),
        cmocka_unit_test(what_is_simply_tried_again),
        cmocka_unit_test(of_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
