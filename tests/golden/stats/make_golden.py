#!/usr/bin/python3
"""Golden values for the room stats, from scikit-learn, SciPy, mpmath and NumPy.

Writes gmm.json, tests.json, similarity.json, logistic.json beside itself.
Everything is seeded; run it again and the files do not change."""
import json
import os

import mpmath
import numpy as np
import scipy.spatial
import scipy.special
import scipy.stats
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture

HERE = os.path.dirname(os.path.abspath(__file__))


def save(name, value):
    def plain(v):
        if isinstance(v, dict):
            return {k: plain(w) for k, w in v.items()}
        if isinstance(v, np.ndarray):
            return [float(w) for w in v.ravel()]
        if isinstance(v, (list, tuple)):
            return [plain(w) for w in v]
        return v

    with open(os.path.join(HERE, name), "w") as f:
        json.dump(plain(value), f, separators=(",", ":"))
        f.write("\n")


def gmm():
    """Three overlapping, correlated clusters far from the origin, one column
    nearly constant; every iteration from a hard assignment to given means."""
    rng = np.random.default_rng(1)
    n, d, k, iterations = 180, 5, 3, 25
    centres = rng.normal(size=(k, d)) * 1.5
    mix = rng.normal(size=(k, d, d)) * 0.5
    label = rng.integers(0, k, n)
    x = centres[label] + np.einsum("nij,nj->ni", mix[label], rng.normal(size=(n, d)))
    x += np.array([100.0, -20.0, 0.0, 3.0, 0.0])
    x[:, 3] = 3.0 + 1e-4 * x[:, 3]
    held = x[:20] + 0.3
    means = x[[3, 50, 99]]
    out = {"n": n, "d": d, "k": k, "iterations": iterations, "x": x, "held": held, "means": means}
    for covariance in ("diag", "full"):
        g = GaussianMixture(k, covariance_type=covariance, reg_covar=1e-6)
        resp = np.eye(k)[scipy.spatial.distance.cdist(x, means).argmin(axis=1)]
        g._initialize(x, resp)
        loglik = []
        for _ in range(iterations):
            mean_log_prob, log_resp = g._e_step(x)
            loglik.append(mean_log_prob)
            g._m_step(x, log_resp)
        out[covariance] = {
            "loglik": loglik,
            "weight": g.weights_,
            "mean": g.means_,
            "cov": g.covariances_,
            "score": g.score_samples(held),
        }
    save("gmm.json", out)


def tests():
    mpmath.mp.dps = 50
    tail = []
    for df in (1, 1.5, 2, 3, 7.3, 10, 39.9, 40.1, 100, 1234.5, 1e4, 1e5, 1e6):
        for t in (-30, -3, -0.5, 1e-8, 1e-3, 0.1, 0.7, 1, 1.5, 2, 3, 5, 8, 12, 20, 37, 1e3):
            d, u = mpmath.mpf(df), mpmath.mpf(t)
            half = mpmath.betainc(d / 2, mpmath.mpf(1) / 2, 0, d / (d + u * u), regularized=True) / 2
            log_upper = mpmath.log(half) if t > 0 else mpmath.log1p(-half)
            tail.append([df, t, float(log_upper)])
    rng = np.random.default_rng(2)
    samples = []
    sizes = (12, 17, 0.5, 1), (300, 200, 0.3, 3), (50, 50, -1, 1), (2, 3, 0.1, 1), (400, 500, 9, 2)
    for na, nb, shift, scale in sizes:
        a, b = 1e3 + shift + rng.normal(size=na), 1e3 + scale * rng.normal(size=nb)
        w = scipy.stats.ttest_ind(a, b, equal_var=False, alternative="greater")
        s = scipy.stats.ttest_ind(a, b, equal_var=True, alternative="greater")
        va, vb = a.var(ddof=1) / na, b.var(ddof=1) / nb
        pooled = ((na - 1) * a.var(ddof=1) + (nb - 1) * b.var(ddof=1)) / (na + nb - 2)
        samples.append({"a": a, "b": b, "welch": [w.statistic, w.pvalue], "student": [s.statistic, s.pvalue],
                        "df": (va + vb) ** 2 / (va ** 2 / (na - 1) + vb ** 2 / (nb - 1)),
                        "d": (a.mean() - b.mean()) / np.sqrt(pooled)})
    save("tests.json", {"tail": tail, "samples": samples})


def prepare(x):
    x = x - x.mean(axis=0)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def entropy(x):
    """One term a row; the mean is the entropy."""
    n, d = x.shape
    r = scipy.spatial.cKDTree(x).query(x, 2)[0][:, 1]
    ball = 0.5 * d * np.log(np.pi) - scipy.special.gammaln(0.5 * d + 1)
    return d * np.log(r + 1e-10) + ball + scipy.special.psi(n) - scipy.special.psi(1)


def repeated(x):
    rows, which, count = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    return count[which.ravel()] > 1


def mutual_information(x, y):
    """Mean and half-width over the rows that no side has twice."""
    terms = (entropy(x) + entropy(y) - entropy(np.hstack([x, y])))[~repeated(x) & ~repeated(y)]
    return [terms.mean(), 2.576 * scipy.stats.sem(terms)]


def similarity():
    rng = np.random.default_rng(3)
    n, da, db = 220, 6, 4
    a = rng.normal(size=(n, da)) + 2.0
    b = 0.7 * a + 0.5 * rng.normal(size=(n, da))
    c = a[:, :db] ** 2 + 0.1 * rng.normal(size=(n, db))
    c[7] = c[8]  # an exact neighbour
    u, v, w = prepare(a), prepare(b), prepare(c)
    cosine, apart = np.sum(u * v, axis=1), u - v
    l2 = np.linalg.norm(apart, axis=1)
    measures = {"cosine": cosine, "cosine_abs": abs(cosine), "l1": abs(apart).sum(axis=1), "l2": l2,
                "linf": abs(apart).max(axis=1), "l2_score": 1 - l2 / 2}
    out = {"n": n, "da": da, "db": db, "a": a, "b": b, "c": c,
           "mi_ab": mutual_information(u, v), "mi_ac": mutual_information(u, w),
           "mi_aa": mutual_information(u, u)[0]}
    for name, value in measures.items():
        out[name] = [value.mean(), 2.576 * scipy.stats.sem(value)]
    save("similarity.json", out)


def logistic():
    rng = np.random.default_rng(4)
    n, d = 80, 5
    x = rng.normal(size=(n, d))
    x[:, 4] = x[:, 3] + 1e-3 * rng.normal(size=n)
    label = (x @ [1, -1, 0.5, 0, 2] + 0.7 + 1.5 * rng.normal(size=n) > 0).astype(int)
    out = {"n": n, "d": d, "x": x, "label": label.astype(float), "fits": []}
    for ridge in (1.0, 0.01):
        m = LogisticRegression(C=1 / ridge, tol=1e-14, max_iter=100000, solver="newton-cholesky").fit(x, label)
        out["fits"].append({"ridge": ridge, "coefficients": np.append(m.coef_[0], m.intercept_)})
    save("logistic.json", out)


if __name__ == "__main__":
    gmm()
    tests()
    similarity()
    logistic()
