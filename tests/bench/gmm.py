#!/usr/bin/python3
"""EM of Gaussian mixtures: dinf against scikit-learn, in one run, from the same
data file, the same start and with the same number of threads.

    tests/bench/gmm.py --dinf build/dinf [--threads 2] [--iterations 5] [--cases diag full]
                       [--data X.npy] [--json FILE]

Both sides start from a hard assignment of the rows to given means and time every
iteration of EM (E and M step); medians are compared, and
the mean log-likelihoods under the final parameters, which must agree."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

CASES = {"diag": (50000, 2048, 20), "full": (25000, 512, 10)}

SKLEARN = """
import json, sys, time
import numpy as np
from scipy.spatial.distance import cdist
from sklearn.mixture import GaussianMixture
data, means, covariance, iterations = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
x, means = np.load(data), np.load(means)
label = np.concatenate([cdist(x[i:i + 2000], means, "sqeuclidean").argmin(1) for i in range(0, len(x), 2000)])
g = GaussianMixture(len(means), covariance_type=covariance, reg_covar=1e-6)
g._initialize(x, np.eye(len(means))[label])
seconds = []
for _ in range(iterations):
    start = time.perf_counter()
    _, log_resp = g._e_step(x)
    g._m_step(x, log_resp)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds_per_iteration": float(np.median(seconds)), "loglik": float(g._e_step(x)[0])}))
"""


def make_data(path, n, d, k):
    """Clusters with a common low-rank covariance, rows of length one: what
    representations look like."""
    import numpy as np
    rng = np.random.default_rng(0)
    centres, low = rng.normal(size=(k, d)), rng.normal(size=(64, d)) * 0.3
    x = np.lib.format.open_memmap(path, "w+", np.float64, (n, d))
    for i in range(0, n, 5000):
        m = min(5000, n - i)
        x[i:i + m] = (0.5 * centres[rng.integers(0, k, m)] + rng.normal(size=(m, 64)) @ low
                      + 0.5 * rng.normal(size=(m, d)))
        x[i:i + m] /= np.linalg.norm(x[i:i + m], axis=1, keepdims=True)
    x.flush()


def measure(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"failed with status {done.returncode}: {' '.join(command[:4])} ...")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dinf", default="build/dinf", help="the program (default build/dinf)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--data", help="a .npy (n, d) float64 instead of generated data")
    parser.add_argument("--components", type=int, help="with --data")
    parser.add_argument("--json", help="also write the figures here")
    arguments = parser.parse_args()

    import numpy as np
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in arguments.cases:
            n, d, k = CASES[case]
            k = arguments.components or k
            data, means = arguments.data or os.path.join(folder, "x.npy"), os.path.join(folder, "means.npy")
            if arguments.data:
                n, d = np.load(data, mmap_mode="r").shape
            else:
                make_data(data, n, d, k)
            np.save(means, np.load(data, mmap_mode="r")[:k])
            ours = measure([arguments.dinf, "bench", "gmm", "--device", "cpu", "--data", data, "--means", means,
                            "--components", str(k), "--covariance", case, "--iterations", str(arguments.iterations),
                            "--threads", str(arguments.threads), "--json"], arguments.threads)
            theirs = measure(["/usr/bin/python3", "-c", SKLEARN, data, means, case, str(arguments.iterations)],
                             arguments.threads)
            rows.append({"covariance": case, "n": int(n), "d": int(d), "components": k, "threads": arguments.threads,
                         "dinf": ours["seconds_per_iteration"], "sklearn": theirs["seconds_per_iteration"],
                         "ratio": theirs["seconds_per_iteration"] / ours["seconds_per_iteration"],
                         "loglik_dinf": ours["loglik"], "loglik_sklearn": theirs["loglik"],
                         "loglik_difference": abs(ours["loglik"] - theirs["loglik"]) / abs(theirs["loglik"])})
    print(f"{'EM iteration':<28}{'dinf [s]':>10}{'sklearn [s]':>13}{'ratio':>8}"
          f"{'rel. difference of log-likelihood':>36}")
    for r in rows:
        name = f"{r['covariance']} {r['n']} x {r['d']} x {r['components']}"
        print(f"{name:<28}{r['dinf']:>10.3f}{r['sklearn']:>13.3f}{r['ratio']:>8.1f}{r['loglik_difference']:>36.1e}")
    text = json.dumps({"threads": arguments.threads, "iterations": arguments.iterations, "cases": rows}, indent=1)
    if arguments.json:
        with open(arguments.json, "w") as f:
            f.write(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
