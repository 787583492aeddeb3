/* How alike two encoders' representations of the same images are. Sources:
 * see similarity.c; protocol: centre per dimension, normalise rows. */
#ifndef DINF_STATS_SIMILARITY_H
#define DINF_STATS_SIMILARITY_H

#include <stdint.h>

#include "base/err.h"
#include "device/device.h"
#include "stats/rows.h"

struct estimate {
    double value, ci; /* half-width of the 99% interval, z = 2.576 */
};

enum { SIMILARITY_REASON = 160, SIMILARITY_WARNING = 320 };

struct similarity {
    struct estimate cosine, cosine_abs, l1, l2, linf, l2_score; /* l2_score = 1 - d / 2 on normalised rows */
    char reason[SIMILARITY_REASON];                             /* why all are NAN, one sentence; else "" */
};

/* a, b: (n, d) row-major, the same n >= 2 images; not modified. Preprocessing as
 * above inside; a row that is zero after centring has cosine 0 with everything.
 * Distances are those of the preprocessed rows: l1 in [0, 2 sqrt(d)], l2 in
 * [0, 2]. Values that are not finite are an error; NAN and a reason where one side
 * has the same row for all images (rows_constant): what centring leaves of it is
 * rounding, and normalised rounding looks like agreement. */
int similarity_compute(const double *a, const double *b, int64_t n, int64_t d, struct similarity *out, struct err *err);

struct information {
    struct estimate nats;
    int64_t duplicates;               /* images left out of it: see below */
    char reason[SIMILARITY_REASON];   /* why it is NAN, one sentence; else "" */
    char warning[SIMILARITY_WARNING]; /* why it cannot be taken as it is: see below; else "" */
};

/* I(a; b) = H(a) + H(b) - H(a, b) in nats, each H by the 1-nearest-neighbour
 * Kozachenko-Leonenko estimator (eps 1e-10), after the preprocessing above.
 * a (n, da), b (n, db), n >= 2. Where one side is longer, its columns that are the
 * same for all rows (padding) are left out until both are equally long. The
 * estimator is biased by dimension and sample size: compare only values with the
 * same n and, after that, the same lengths.
 *
 * The interval: the estimate is the mean over images k of
 *     i_k = da ln r_a + db ln r_b - (da + db) ln r_ab + constants,
 * r the distance to the nearest other image; half-width 2.576 sd(i) / sqrt(n). It
 * covers the scatter of that mean, images being treated as independent (they are
 * nearly: they share neighbours). It is no bound on the estimator's bias, which
 * may be far larger, and 0 for a side with itself, where all i_k are equal.
 *
 * Images whose row is repeated exactly, on either side, have no density there
 * (with eps for a distance they would count -23 nats a dimension). Real sets have
 * some images twice: up to one in DUPLICATE_LIMIT is left out of the mean. Beyond
 * that, the representation has collapsed, in part or (rows_constant) altogether,
 * and the result is NAN with a reason. So it is with a side of one column: normalised,
 * it has only a sign.
 *
 * No mutual information is negative. Where the whole interval is, the scatter over images
 * does not explain the number and the estimator's bias must be larger than the information:
 * the value stays as it is, with a warning. */
enum { DUPLICATE_LIMIT = 100 };
int mutual_information(struct device *dev, const double *a, int64_t da, const double *b, int64_t db, int64_t n,
                       struct information *out, struct err *err);

/* Estimated seconds of it on one thread (calibration: similarity.c). */
double mutual_information_seconds(int64_t n, int64_t da, int64_t db);

/* Device memory that it takes, in bytes. */
size_t mutual_information_memory(int64_t n, int64_t da, int64_t db);

/* (i - random) / (self - random), clipped to [0, 1]; NAN unless self > random. The
 * interval is that of i on the same scale, not clipped: random and self are taken
 * as they are. */
struct estimate mi_score(struct estimate i, double random, double self);

/* Obfuscations of obfuscations.def: none, shuffle, pad, transform, transform_each.
 * Output (n, *d_out), mem_free. pad doubles the dimensions: rows_widen the other
 * side before similarity_compute. */
struct obfuscation {
    const char *name, *help;
    int (*run)(const double *x, int64_t n, int64_t d, uint64_t seed, double **out, int64_t *d_out, struct err *err);
};
extern const struct obfuscation *const obfuscations[]; /* NULL-terminated */
extern const char *const obfuscation_names[];          /* likewise, for options */

const struct obfuscation *obfuscation_find(const char *name); /* NULL if there is none */

#endif
