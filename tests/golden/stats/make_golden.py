#!/usr/bin/python3
"""Golden values for the room stats, from scikit-learn, SciPy, mpmath and NumPy.

Writes gmm.json, tests.json, similarity.json, logistic.json, starts.json, learned.json,
ranks.json, images.json and exchangeable.json beside itself.
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
            "parameters": int(g._n_parameters()),
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
    few = [{"n": m, "mi": mutual_information(prepare(a[:m]), prepare(b[:m]))} for m in (2, 3, 6, 9, 10, 11)]
    scale = [[20 * draws.uniform() - 10 for _ in range(2)]
             for draws in (Draws(4, OBFUSCATE, 2), *(Draws(4, OBFUSCATE, 3, c) for c in range(da)))]
    out = {"n": n, "da": da, "db": db, "a": a, "b": b, "c": c, "few": few,
           "shuffle": Draws(4, OBFUSCATE, 0).permutation(da), "pad": sorted(Draws(4, OBFUSCATE, 1).permutation(2 * da)[:da]),
           "transform": scale[0], "transform_each": np.array(scale[1:]),
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


# ---- the random choices of mixtures and cuts, written a second time from their descriptions ----

SPLIT, MIXTURE, OBFUSCATE = 7, 6, 8  # streams


def philox(counter, key):
    """Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


class Draws:
    def __init__(self, seed, stream, a, b=0):
        self.key = philox((seed & 0xFFFFFFFF, seed >> 32, stream, 0x64696E66), (0x243F6A88, 0x85A308D3))[:2]
        self.at, self.index, self.words = (a, b, 0), 0, []

    def word(self):
        if not self.words:
            self.words = philox((self.index, *self.at), self.key)
            self.index += 1
        return self.words.pop(0)

    def uniform(self):
        high = self.word()
        return ((high << 32 | self.word()) >> 11) * 2.0 ** -53

    def below(self, n):
        while True:
            m = self.word() * n
            if m & 0xFFFFFFFF >= 2 ** 32 % n:
                return m >> 32

    def permutation(self, n):
        order = list(range(n))
        for i in range(n, 1, -1):
            j = self.below(i)
            order[i - 1], order[j] = order[j], order[i - 1]
        return order


def cut(seed, purpose, n, first):
    order = Draws(seed, SPLIT, purpose).permutation(n)
    return sorted(order[:first]), sorted(order[first:])


def plus_plus(x, k, draws):
    """Greedy k-means++: of 2 + log k candidates, drawn by squared distance, the one that leaves least."""
    squares = lambda c: ((x - c) ** 2).sum(1)
    chosen = [draws.below(len(x))]
    closest = squares(x[chosen[0]])
    while len(chosen) < k:
        total, sums = closest.sum(), np.cumsum(closest)
        trials = [int(np.argmax(sums > draws.uniform() * total)) for _ in range(2 + int(np.log(k)))]
        left = [np.minimum(closest, squares(x[t])) for t in trials]
        best = int(np.argmin([c.sum() for c in left]))
        chosen.append(trials[best])
        closest = left[best]
    return chosen


def mixture(x, k, seed, starts, tolerance=1e-3, most=100, regularization=1e-6):
    """Diagonal covariances: (loglik of every start, parameters of the best, iterations of every start). Eleven rounds
    of Lloyd, then EM."""
    tiny, logliks, best, rounds = 10 * np.finfo(float).eps, [], None, []
    for start in range(starts):
        mean = x[plus_plus(x, k, Draws(seed, MIXTURE, start))].copy()
        for _ in range(11):
            label = ((x[:, None] - mean) ** 2).sum(2).argmin(1)
            for j in range(k):
                if (label == j).any():
                    mean[j] = x[label == j].mean(0)
        count = np.bincount(label, minlength=k) + tiny
        var = np.array([((x[label == j] - mean[j]) ** 2).sum(0) for j in range(k)]) / count[:, None] + regularization
        weight, before = count / len(x), -np.inf
        for iteration in range(most):
            joint = log_joint(x, weight, mean, var)
            loglik = scipy.special.logsumexp(joint, axis=1).mean()
            share = scipy.special.softmax(joint, axis=1)
            count = share.sum(0) + tiny
            weight, mean = count / count.sum(), share.T @ x / count[:, None]
            var = np.array([share[:, j] @ (x - mean[j]) ** 2 for j in range(k)]) / count[:, None] + regularization
            if abs(loglik - before) < tolerance:
                break
            before = loglik
        if not logliks or loglik > max(logliks):
            best = weight, mean, var
        logliks.append(loglik)
        rounds.append(iteration + 1)
    return logliks, best, rounds


def log_joint(x, weight, mean, var):
    return np.log(weight) - 0.5 * (((x[:, None] - mean) ** 2 / var) + np.log(2 * np.pi * var)).sum(2)


def starts():
    """Clusters of unequal size and few starts that find them all; and the rows that k-means++ chooses."""
    rng = np.random.default_rng(6)
    n, d, k, most = 160, 3, 8, 6
    size = np.array([50, 40, 30, 15, 10, 7, 5, 3])
    x = np.repeat(rng.normal(size=(k, d)) * 3, size, axis=0) + rng.normal(size=(n, d)) * 0.5
    fits = []
    for seed in range(6):
        logliks, _, rounds = mixture(x, k, seed, most)
        fits.append({"seed": seed, "loglik": logliks, "iterations": rounds})
    assert any(f["loglik"][-1] < max(f["loglik"]) - 1e-2 for f in fits)  # the last is not the best
    assert any(max(f["loglik"]) > f["loglik"][0] + 1e-2 for f in fits)
    far = rng.normal(size=(20, 2)) * 1000
    y = np.repeat(far, rng.integers(3, 13, 20), axis=0)  # of two rows either would do
    y += rng.normal(size=y.shape)
    chosen = [plus_plus(y, 20, Draws(seed, MIXTURE, 0)) for seed in range(20)]
    save("starts.json", {"n": n, "d": d, "k": k, "starts": most, "x": x, "fits": fits,
                         "far_n": len(y), "far": y, "chosen": np.array(chosen)})


def learned():
    """The learned statistic: features, regression and test, with scikit-learn's logistic regression. One tested
    member and one tested held-out image are far from all others."""
    rng = np.random.default_rng(7)
    d, seed, n_starts, limit = 4, 11, 2, 5.0
    centre = rng.normal(size=(3, d)) * 2
    draw = lambda n, spread: centre[rng.integers(3, size=n)] + spread * rng.normal(size=(n, d))
    fit, members, heldout = draw(70, 0.7), draw(50, 0.7), draw(120, 0.9)
    members[7] = 300.0
    learn, tested = cut(seed, 1, len(heldout), round(len(heldout) * len(fit) / (len(fit) + len(members))))
    heldout[tested[3]] = -200.0
    parts = []
    for which, x in enumerate((fit, heldout[learn])):
        parts.append([x[rows] for rows in cut(seed, 2 + which, len(x), len(x) // 2)])
    populations = [parts[0][0], parts[1][0], np.vstack([parts[0][0], parts[1][0]])]
    sets = [parts[0][1], parts[1][1], members, heldout[tested]]
    columns = []
    for x in populations:
        for k in range(1, 6):
            _, best, _ = mixture(x, k, seed, n_starts)
            columns.append([scipy.special.logsumexp(log_joint(s, *best), axis=1) for s in sets])
    features = [np.array([c[i] for c in columns]).T for i in range(4)]
    reference = np.vstack(features[:2])  # the tested images have no part in it
    features = [np.clip((f - reference.mean(0)) / reference.std(0), -limit, limit) for f in features]
    assert abs(features[2]).max() == limit
    model = LogisticRegression(C=1.0, tol=1e-14, max_iter=100000, solver="newton-cholesky")
    model.fit(np.vstack(features[:2]), np.repeat([1, 0], [len(f) for f in features[:2]]))
    a, b = (model.decision_function(f) for f in features[2:])
    test = scipy.stats.ttest_ind(a, b, equal_var=False, alternative="greater")
    save("learned.json", {"d": d, "seed": seed, "starts": n_starts, "n_fit": len(fit), "n_members": len(members),
                          "n_heldout": len(heldout), "fit": fit, "members": members, "heldout": heldout,
                          "scores_members": a, "scores_heldout": b, "t": test.statistic, "p": test.pvalue})


def ranks():
    rng = np.random.default_rng(8)
    cases = []
    for na, nb, shift, digits in ((12, 9, 0.5, 3), (200, 150, 0.4, 3), (40, 60, -0.3, 0), (5, 5, 9, 3), (20, 30, 0.2, 1)):
        a, b = np.round(rng.normal(size=na) + shift, digits), np.round(rng.normal(size=nb), digits)
        w = scipy.stats.mannwhitneyu(a, b, alternative="greater", method="asymptotic")
        cases.append({"a": a, "b": b, "auc": w.statistic / na / nb, "p": w.pvalue})
    z = scipy.stats.norm.ppf
    half = lambda d, n, m: z(0.975) * np.sqrt((n + m) / (n * m) + d ** 2 / (2 * (n + m)))
    intervals = [[d, n, m, d - half(d, n, m), d + half(d, n, m)] for d, n, m in ((0.3, 10, 10), (-1.5, 50, 400), (0, 7, 3))]
    detectable = [[n, m, level, (z(0.8) - z(level)) * np.sqrt(1 / n + 1 / m)]
                  for n, m, level in ((10, 30, 0.05), (1, 1, 0.01), (5000, 200, 0.2))]
    save("ranks.json", {"cases": cases, "intervals": intervals, "detectable": detectable, "quantiles": [[p, scipy.stats.norm.ppf(p)] for p in
                                                      (1e-300, 1e-9, 0.025, 0.2, 0.5, 0.8, 0.975, 1 - 1e-9)]})


def image_features(x):
    """Of each channel mean, deviation, least, largest, differences of neighbours to the left and above."""
    x = x.astype(float)
    edges = np.abs(np.diff(x, axis=3)).sum((2, 3)) + np.abs(np.diff(x, axis=2)).sum((2, 3))
    f = [x.mean((2, 3)), x.std((2, 3)), x.min((2, 3)), x.max((2, 3)), edges / x[0, 0].size]
    return np.stack(f, axis=2).reshape(len(x), -1)


def images():
    """Two sets of images told apart by a regression on one half that ranks the other, both ways."""
    rng = np.random.default_rng(9)
    seed, purpose = 21, 50
    a = rng.integers(0, 256, (41, 3, 6, 5))
    b = np.floor(0.98 * rng.integers(0, 256, (30, 3, 6, 5))).astype(int)
    x = np.vstack([image_features(a), image_features(b)])
    x = (x - x.mean(0)) / x.std(0)
    half, of_a = np.zeros(len(x), dtype=int), np.arange(len(x)) < len(a)
    for which, (first, n) in enumerate(((0, len(a)), (len(a), len(b)))):
        half[first + np.array(Draws(seed, SPLIT, purpose + which).permutation(n))] = np.arange(n) % 2
    tests = []
    for learn in (0, 1):
        model = LogisticRegression(C=1.0, tol=1e-14, max_iter=100000, solver="newton-cholesky")
        model.fit(x[half == learn], of_a[half == learn])
        score, label = model.decision_function(x[half != learn]), of_a[half != learn]
        w = scipy.stats.mannwhitneyu(score[label], score[~label], alternative="greater", method="asymptotic")
        tests.append((w.statistic / label.sum() / (~label).sum(), w.pvalue))
    save("images.json", {"seed": seed, "n_a": len(a), "n_b": len(b), "c": 3, "h": 6, "w": 5, "a": a, "b": b,
                         "auc": np.mean([t[0] for t in tests]), "p": min(1, 2 * min(t[1] for t in tests))})


def hashed(n, d, which):
    """Uniform numbers that a test makes again; the columns have other widths."""
    i = np.arange(1, n * d + 1, dtype=np.uint64) * np.uint64(which + 1)
    return (i * i * np.uint64(2654435761) % np.uint64(2 ** 32) / 2.0 ** 32).reshape(n, d) * 2.0 ** np.arange(d)


def tell_apart(learn, test):
    """Two (auc, p): by Gaussians of every column, and by the nearest row that was learned from."""
    pooled = np.vstack(learn).var(0)
    mean = [x.mean(0) for x in learn]
    var = [(len(x) * x.var(0) + 20 * pooled) / (len(x) + 20) for x in learn]
    told = pooled > 0  # constant columns say nothing
    density = lambda x, s: scipy.stats.norm.logpdf(x[:, told], mean[s][told], np.sqrt(var[s][told])).sum(1)
    scores = [[density(x, 0) - density(x, 1) for x in test]]
    some = lambda x, most: x if len(x) <= most else x[np.arange(most) * len(x) // most]
    scale = lambda x: x[:, told] / np.sqrt(var[0] + var[1])[told]
    near = lambda x, s: scipy.spatial.distance.cdist(scale(some(x, 1000)), scale(some(learn[s], 500))).min(1) ** 2
    scores.append([near(x, 1) - near(x, 0) for x in test])
    for a, b in scores:
        w = scipy.stats.mannwhitneyu(a, b, alternative="greater", method="asymptotic")
        yield w.statistic / len(a) / len(b), w.pvalue


def exchangeable():
    """Halves learn and are told apart in turn; the surest of four counts."""
    cases, best = [], set()
    for na, nb, d, kind in ((45, 38, 3, "shift"), (60, 61, 4, "shift"), (300, 340, 2, "order"), (301, 299, 3, "order"),
                            (2100, 1500, 2, "shift"), (1300, 2300, 2, "order"), (80, 90, 3, "none"), (20, 20, 3, "shift")):
        for seed in (1, 2, 3):
            a, b = hashed(na, d, 2 * seed), hashed(nb, d, 2 * seed + 1)
            if kind == "shift":
                b[:, 1] += 0.4
            if kind == "order":  # the second column follows the first in one set alone
                a[:, 1] = 2 * a[:, 0] + 0.5 * a[:, 1]
                b[:, 1] = (2 * b[:, 0] * 7 % 2) + 0.5 * b[:, 1]
            a[:, -1], b[:, -1] = (3.0, 3.0) if d > 2 else (a[:, -1], b[:, -1])
            halves = [cut(seed, 40 + s, len(x), len(x) // 2) for s, x in enumerate((a, b))]
            first, second = ([x[h[i]] for x, h in zip((a, b), halves)] for i in (0, 1))
            tests = [*tell_apart(first, second), *tell_apart(second, first)]
            which = int(np.argmin([t[1] for t in tests]))
            if kind != "none":
                best.add((na > 1000, which))
            cases.append({"na": na, "nb": nb, "d": d, "kind": kind, "seed": seed, "auc": tests[which][0],
                          "p": min(1, 4 * tests[which][1])})
    assert {(False, 0), (False, 1), (False, 2), (False, 3), (True, 0), (True, 1), (True, 3)} <= best  # few or many rows
    save("exchangeable.json", {"cases": cases})


if __name__ == "__main__":
    gmm()
    tests()
    similarity()
    logistic()
    starts()
    learned()
    ranks()
    images()
    exchangeable()
