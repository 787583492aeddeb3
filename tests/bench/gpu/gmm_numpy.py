#!/usr/bin/env python3
"""EM of a Gaussian mixture in NumPy, for gmm.py where scikit-learn is missing.

    gmm_numpy.py X.npy MEANS.npy diag|full ITERATIONS"""
import json, sys, time
import numpy as np
x, means, covariance, iterations = np.load(sys.argv[1]), np.load(sys.argv[2]), sys.argv[3], int(sys.argv[4])
n, d, k, ridge = *x.shape, len(means), 1e-6
rows = 5000


def chunks():
    return range(0, n, rows)


def logarithms(part, weights, means, spread):
    if covariance == "diag":
        precision = 1 / spread
        square = part ** 2 @ precision.T - 2 * part @ (means * precision).T + (means ** 2 * precision).sum(1)
        half = 0.5 * np.log(precision).sum(1)
    else:
        square, half = np.empty((len(part), k)), np.empty(k)
        for c in range(k):
            low = np.linalg.cholesky(spread[c])
            whiten = np.linalg.solve(low, np.eye(d)).T
            square[:, c] = ((part @ whiten - means[c] @ whiten) ** 2).sum(1)
            half[c] = -np.log(np.diag(low)).sum()
    return np.log(weights) + half - 0.5 * (square + d * np.log(2 * np.pi))


def expectation(model):
    resp, total = np.empty((n, k)), 0.0
    for i in chunks():
        log = logarithms(x[i:i + rows], *model)
        top = log.max(1, keepdims=True)
        resp[i:i + rows] = np.exp(log - top)
        sums = resp[i:i + rows].sum(1, keepdims=True)
        resp[i:i + rows] /= sums
        total += float((np.log(sums) + top).sum())
    return total / n, resp


def maximisation(resp):
    count = resp.sum(0) + 10 * np.finfo(float).eps
    means = resp.T @ x / count[:, None]
    if covariance == "diag":
        spread = sum(resp[i:i + rows].T @ x[i:i + rows] ** 2 for i in chunks()) / count[:, None] - means ** 2 + ridge
    else:
        spread = np.empty((k, d, d))
        for c in range(k):
            centred = (x - means[c]) * np.sqrt(resp[:, c])[:, None]
            spread[c] = centred.T @ centred / count[c]
            spread[c].flat[::d + 1] += ridge
    return count / count.sum(), means, spread


label = np.concatenate([(-2 * x[i:i + rows] @ means.T + (means ** 2).sum(1)).argmin(1) for i in chunks()])
model, seconds = maximisation(np.eye(k)[label]), []
for _ in range(iterations):
    start = time.perf_counter()
    model = maximisation(expectation(model)[1])
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds_per_iteration": float(np.median(seconds)), "loglik": expectation(model)[0]}))
