/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A draw is a pure function of (seed, stream, a, b, c, index): never of a rank,
 * a thread or the clock. `stream` says what the numbers are for (RNG_*), a, b, c
 * locate the draw (epoch, sample, view, say). Usable from CUDA device code. */
#ifndef DINF_BASE_RNG_H
#define DINF_BASE_RNG_H

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define DINF_HD __host__ __device__
#else
#define DINF_HD
#endif

/* What draws are for. Values are part of every result's identity: append only. */
enum rng_stream {
    RNG_INIT = 1,        /* a: parameter index */
    RNG_SHUFFLE = 2,     /* a: epoch */
    RNG_AUGMENT = 3,     /* a: epoch, b: sample, c: view */
    RNG_SUBSET = 4,      /* seeded order of a data set */
    RNG_QUERY = 5,       /* choice of the queried images */
    RNG_GMM = 6,         /* a: start */
    RNG_SPLIT = 7,       /* splits of members and held-out */
    RNG_OBFUSCATE = 8,   /* shuffle, pad, transform */
    RNG_SAMPLE = 9,      /* samples for similarity */
    RNG_PROCEDURAL = 10, /* a: image, b: class */
    RNG_PERMUTE = 11,    /* permutation tests */
    RNG_MOCK = 12,       /* mock tasks */
    RNG_TEST = 99,
};

struct rng_block {
    uint32_t v[4];
};

/* The bare bijection: 10 rounds. */
static inline DINF_HD struct rng_block philox4x32(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0,
                                                  uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    struct rng_block out = { { c0, c1, c2, c3 } };
    return out;
}

/* A position in one stream. Copy freely. */
struct rng {
    uint32_t key[2], at[3], index;
    struct rng_block block;
    uint32_t left; /* unread words of block */
};

/* The seed and the stream are mixed into the key by one Philox application, so
 * that neighbouring seeds share nothing. */
static inline DINF_HD struct rng rng_at(uint64_t seed, uint32_t stream, uint32_t a, uint32_t b, uint32_t c)
{
    struct rng_block k =
        philox4x32((uint32_t)seed, (uint32_t)(seed >> 32), stream, 0x64696e66u, 0x243F6A88u, 0x85A308D3u);
    struct rng r;
    r.key[0] = k.v[0];
    r.key[1] = k.v[1];
    r.at[0] = a;
    r.at[1] = b;
    r.at[2] = c;
    r.index = 0;
    r.left = 0;
    r.block = k; /* overwritten before it is read */
    return r;
}

static inline DINF_HD uint32_t rng_u32(struct rng *r)
{
    if (r->left == 0) {
        r->block = philox4x32(r->index++, r->at[0], r->at[1], r->at[2], r->key[0], r->key[1]);
        r->left = 4;
    }
    return r->block.v[4 - r->left--];
}

static inline DINF_HD uint64_t rng_u64(struct rng *r)
{
    uint64_t hi = rng_u32(r);
    return hi << 32 | rng_u32(r);
}

/* [0, 1) with 24 random bits. */
static inline DINF_HD float rng_float(struct rng *r)
{
    return (float)(rng_u32(r) >> 8) * 0x1p-24f;
}

/* [0, 1) with 53 random bits. */
static inline DINF_HD double rng_double(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

/* Uniform in [0, n), n >= 1, without bias (rejection). */
static inline DINF_HD uint32_t rng_below(struct rng *r, uint32_t n)
{
    uint32_t limit = (uint32_t)(0u - n) % n; /* 2^32 mod n */
    for (;;) {
        uint64_t m = (uint64_t)rng_u32(r) * n;
        if ((uint32_t)m >= limit)
            return (uint32_t)(m >> 32);
    }
}

/* Standard normal (Box-Muller, one value per two draws). */
static inline DINF_HD double rng_normal(struct rng *r)
{
    double u = 1.0 - rng_double(r), v = rng_double(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

/* Fills `order` with a random permutation of 0 .. n-1 (Fisher-Yates). */
static inline void rng_permutation(struct rng *r, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = rng_below(r, i), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}

#endif
