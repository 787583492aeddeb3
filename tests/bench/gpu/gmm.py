#!/usr/bin/env python3
"""EM of Gaussian mixtures: dinf on the GPU against scikit-learn on this machine's processor, or, where
that is not installed, against NumPy and dinf's own cpu device; same file, same start.

    gmm.py --dinf build/dinf [--device cuda] [--cases diag full] [--n N --d D --k K] [--iterations 5] [--json FILE]

Data, start and the scikit-learn side are those of tests/bench/gmm.py. Seconds per iteration (medians); exit
status 1 if the mean log-likelihoods under the final parameters differ by more than 1e-5 of their size."""
import argparse
import importlib.util
import json
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("gmm_cpu", os.path.join(HERE, "..", "gmm.py"))
gmm_cpu = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gmm_cpu)

CASES = {"diag": (100000, 2048, 50), "full": (25000, 512, 10)}
TOLERANCE = 1e-5
KEYS = ("seconds_per_iteration", "loglik", "over", "difference")

NUMPY = """
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
"""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dinf", default="build/dinf")
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    p.add_argument("--n", type=int, help="rows in place of the case's")
    p.add_argument("--d", type=int, help="columns in place of the case's")
    p.add_argument("--k", type=int, help="components in place of the case's")
    p.add_argument("--iterations", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="of the processor's side")
    p.add_argument("--peer", choices=["auto", "sklearn", "numpy"], default="auto")
    p.add_argument("--json")
    a = p.parse_args()
    import numpy as np
    sklearn = a.peer == "sklearn" or (a.peer == "auto" and importlib.util.find_spec("sklearn") is not None
                                      and importlib.util.find_spec("scipy") is not None)
    cases, wrong = [], []
    head = {"bench": "gmm", "device": a.device, "threads": a.threads, "iterations": a.iterations}
    print("| case | | s an iteration | dinf's speed over it | mean log-likelihood | relative difference |")
    print("|---|---|---:|---:|---:|---:|")
    for case in a.cases:
        n, d, k = (given or preset for given, preset in zip((a.n, a.d, a.k), CASES[case]))
        with tempfile.TemporaryDirectory(prefix="dinf-gmm-") as folder:
            data, means = os.path.join(folder, "x.npy"), os.path.join(folder, "means.npy")
            gmm_cpu.make_data(data, n, d, k)
            np.save(means, np.load(data, mmap_mode="r")[:k])

            def ours(device):
                return gmm_cpu.measure([a.dinf, "bench", "gmm", "--device", device, "--data", data, "--means", means,
                                        "--components", str(k), "--covariance", case, "--iterations",
                                        str(a.iterations), "--threads", str(a.threads), "--json"], a.threads)

            figures = {f"dinf {a.device}": ours(a.device)}
            if sklearn:
                figures["scikit-learn"] = gmm_cpu.measure(
                    [sys.executable, "-c", gmm_cpu.SKLEARN, data, means, case, str(a.iterations)], a.threads)
            else:
                figures["NumPy"] = gmm_cpu.measure(
                    [sys.executable, "-c", NUMPY, data, means, case, str(a.iterations)], a.threads)
                if a.device != "cpu":
                    figures["dinf cpu"] = ours("cpu")
        first = figures[f"dinf {a.device}"]
        for who, f in figures.items():
            f["over"] = f["seconds_per_iteration"] / first["seconds_per_iteration"]
            f["difference"] = abs(f["loglik"] - first["loglik"]) / abs(first["loglik"])
            if not f["difference"] <= TOLERANCE:
                wrong.append(f"{case}: {who}")
            other = who != f"dinf {a.device}"
            print(f"| {case} {n} x {d}, {k} | {who} | {f['seconds_per_iteration']:.4g} | "
                  f"{f['over'] if other else 1:.1f} | {f['loglik']:.8g} | "
                  f"{f['difference']:.1e} |", flush=True)
        cases.append({"covariance": case, "n": n, "d": d, "components": k,
                      "seconds_per_iteration": first["seconds_per_iteration"],
                      "figures": {who: {key: f[key] for key in KEYS} for who, f in figures.items()}})
        if a.json:
            with open(a.json + ".new", "w") as f:
                json.dump({**head, "cases": cases}, f, indent=1)
                f.write("\n")
            os.replace(a.json + ".new", a.json)
    if wrong:
        sys.exit(f"log-likelihoods differ by more than {TOLERANCE}: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
