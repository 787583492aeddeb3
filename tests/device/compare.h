/* What the tables of operations need: the same data on ref and on the device
 * under test, and comparison of what came out. */
#ifndef DINF_TESTS_DEVICE_COMPARE_H
#define DINF_TESTS_DEVICE_COMPARE_H

#include "device/device.h"

struct compare {
    struct device *side[2];      /* 0: ref, 1: under test */
    enum precision precision[2]; /* of each side: ref computes in fp32 */
    char what[160];              /* operation and shape, for messages */
    uint32_t draw;               /* counter of random arrays */
    int checks, failures;
    int over;             /* checks beyond their own limit, but within the specification */
    double worst;         /* largest error over its limit */
    double largest;       /* largest relative error of what need not be exact */
    double scale;         /* results smaller than this are judged as if they were this large */
    double specification; /* largest relative error allowed in the precision under test */
    bool lenient;         /* what is over its own limit, within the specification, is only reported */
    bool exact_inputs;    /* drawn values have 8 significant bits, which no precision rounds */
    bool rounded;         /* activations are, and products of them: their limit is the specification's */
};

/* An array on both sides. c > 0: an activation (n, c, h, w) in each side's own
 * layout; c = 0: `n` plain floats. */
struct array {
    struct compare *cmp;
    int n, c, h, w;
    size_t count;  /* plain elements */
    void *data[2]; /* device memory */
};

/* `value` as it is drawn: rounded if inputs are to be exact. */
float drawn(const struct compare *cmp, double value);
/* Contents: standard normal; or NaN everywhere, padding too, for results. */
struct array array_normal(struct compare *cmp, int n, int c, int h, int w);
struct array array_rectified(struct compare *cmp, int n, int c, int h, int w); /* max(normal, 0): many equal */
struct array array_result(struct compare *cmp, int n, int c, int h, int w);
/* Plain: normal values times `spread`. */
struct array array_spread(struct compare *cmp, int n, double spread);
/* An activation with these contents, in plain order. */
struct array array_plain(struct compare *cmp, int n, int c, int h, int w, const float *values);
/* Plain, from host values; NULL: zeros. */
struct array array_values(struct compare *cmp, int n, const float *values);
void array_free(struct array *a);
/* An activation on one side, for the device. */
struct act_desc array_act(const struct array *a, int side);
/* Device memory of `bytes` on both sides, holding `host` (NULL: zeros). */
void bytes_both(struct compare *cmp, size_t bytes, const void *host, void *out[2]);
void bytes_free(struct compare *cmp, void *p[2]);

/* The difference must be at most `tolerance` times the largest absolute value
 * of ref (or cmp->scale, if that is larger), and padding zero. Tolerance 0: exact in
 * every precision; else at most the specification's. */
void compare_arrays(const struct array *a, const char *name, double tolerance);
void compare_floats(struct compare *cmp, const char *name, size_t n, const float *ref, const float *got,
                    double tolerance);
/* Rank r of `ranks` has in `part`, on the device under test, what `whole` has on ref: its run of images of every group.
 */
void compare_share(const struct array *whole, const struct array *part, const char *name, int groups, int ranks, int r,
                   double tolerance);
/* The sum over the ranks is what `whole` has on ref; small values are judged as if they were `scale`. */
void compare_sum(const struct array *whole, const struct array *parts, int ranks, const char *name, double scale,
                 double tolerance);
/* The limit of plain floats that are made of rounded ones, if the precision rounds. */
double of_rounded(const struct compare *cmp, double tolerance);
/* The largest absolute value on ref. */
double array_largest(const struct array *a);
/* Counts a check of a relative error. */
void judge(struct compare *cmp, const char *name, double relative, double tolerance);
/* Counts a check of what holds or not. */
void expect(struct compare *cmp, const char *name, bool holds);
/* Fails the run at once: the slot should not have failed. */
void must(struct compare *cmp, int rc, const struct err *err);

/* The tables. */
void compare_conv(struct compare *cmp);
void compare_batch_norm(struct compare *cmp);
void compare_pool(struct compare *cmp);
void compare_matrix(struct compare *cmp);
void compare_rows(struct compare *cmp);
void compare_determinism(struct compare *cmp);
/* Convolutions as large as in training, n images each: not against ref, see there. */
void compare_large(struct compare *cmp, int n);

#endif
