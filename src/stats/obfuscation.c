/* What a thief may do to representations before they are compared: cheap maps
 * that keep the information. The first four are those of the published tables. */
#include "stats/similarity.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

#define OBFUSCATION(name) extern const struct obfuscation obfuscation_##name;
#include "stats/obfuscations.def"
#undef OBFUSCATION

const struct obfuscation *const obfuscations[] = {
#define OBFUSCATION(name) &obfuscation_##name,
#include "stats/obfuscations.def"
#undef OBFUSCATION
    NULL,
};

const char *const obfuscation_names[] = {
#define OBFUSCATION(name) #name,
#include "stats/obfuscations.def"
#undef OBFUSCATION
    NULL,
};

const struct obfuscation *obfuscation_find(const char *name)
{
    for (int i = 0; obfuscations[i] != NULL; i++)
        if (strcmp(obfuscations[i]->name, name) == 0)
            return obfuscations[i];
    return NULL;
}

static int none_run(const double *x, int64_t n, int64_t d, uint64_t seed, double **out, int64_t *d_out, struct err *err)
{
    (void)seed;
    *d_out = d;
    *out = mem_alloc((size_t)n, (size_t)d * sizeof **out, err);
    if (*out == NULL)
        return -1;
    memcpy(*out, x, (size_t)(n * d) * sizeof *x);
    return 0;
}

/* Column c of x goes to column to[c] of out (n, d_out), the others are zero. */
static int spread(const double *x, int64_t n, int64_t d, const uint32_t *to, int64_t d_out, double **out,
                  struct err *err)
{
    *out = mem_alloc((size_t)n, (size_t)d_out * sizeof **out, err);
    for (int64_t i = 0; *out != NULL && i < n; i++)
        for (int64_t c = 0; c < d; c++)
            (*out)[i * d_out + to[c]] = x[i * d + c];
    return *out != NULL ? 0 : -1;
}

static int shuffle_run(const double *x, int64_t n, int64_t d, uint64_t seed, double **out, int64_t *d_out,
                       struct err *err)
{
    struct rng rng = rng_at(seed, RNG_OBFUSCATE, 0, 0, 0);
    uint32_t *to = mem_alloc((size_t)d, sizeof *to, err);
    if (to == NULL)
        return -1;
    *d_out = d;
    rng_permutation(&rng, to, (uint32_t)d);
    int rc = spread(x, n, d, to, d, out, err);
    mem_free(to);
    return rc;
}

/* The paper pads with zeros, the published scripts with 2.5 at random positions;
 * similarity centres every column, which makes the two equal. Positions are
 * random, as only then the published cosine (0.007) comes about. */
static int pad_run(const double *x, int64_t n, int64_t d, uint64_t seed, double **out, int64_t *d_out, struct err *err)
{
    struct rng rng = rng_at(seed, RNG_OBFUSCATE, 1, 0, 0);
    uint32_t *to = mem_alloc((size_t)(2 * d), sizeof *to, err);
    if (to == NULL)
        return -1;
    *d_out = 2 * d;
    rng_permutation(&rng, to, (uint32_t)(2 * d));
    rows_order_ascending(to, d); /* the columns keep their order */
    int rc = spread(x, n, d, to, 2 * d, out, err);
    mem_free(to);
    return rc;
}

static double uniform_ten(struct rng *rng)
{
    return 20.0 * rng_double(rng) - 10.0;
}

/* y = s x + o. The published cosines do not change at all under it, so one scale
 * serves all dimensions. */
static int transform_run(const double *x, int64_t n, int64_t d, uint64_t seed, double **out, int64_t *d_out,
                         struct err *err)
{
    struct rng rng = rng_at(seed, RNG_OBFUSCATE, 2, 0, 0);
    double scale = uniform_ten(&rng), offset = uniform_ten(&rng);
    if (none_run(x, n, d, seed, out, d_out, err) != 0)
        return -1;
    for (int64_t i = 0; i < n * d; i++)
        (*out)[i] = scale * (*out)[i] + offset;
    return 0;
}

static int transform_each_run(const double *x, int64_t n, int64_t d, uint64_t seed, double **out, int64_t *d_out,
                              struct err *err)
{
    if (none_run(x, n, d, seed, out, d_out, err) != 0)
        return -1;
    for (int64_t c = 0; c < d; c++) {
        struct rng rng = rng_at(seed, RNG_OBFUSCATE, 3, (uint32_t)c, 0);
        double scale = uniform_ten(&rng), offset = uniform_ten(&rng);
        for (int64_t i = 0; i < n; i++)
            (*out)[i * d + c] = scale * (*out)[i * d + c] + offset;
    }
    return 0;
}

const struct obfuscation obfuscation_none = { "none", "representations as they are", none_run };
const struct obfuscation obfuscation_shuffle = { "shuffle", "dimensions in a random order", shuffle_run };
const struct obfuscation obfuscation_pad = { "pad", "as many zero dimensions again, at random positions", pad_run };
const struct obfuscation obfuscation_transform = { "transform",
                                                   "scale and offset from U(-10, 10), the same for all dimensions",
                                                   transform_run };
const struct obfuscation obfuscation_transform_each = {
    "transform_each",
    "scale and offset from U(-10, 10), drawn for each dimension",
    transform_each_run,
};
