#!/usr/bin/env python3
"""EM of Gaussian mixtures: dinf on the GPU against scikit-learn on this machine's processor, or, where
that is not installed, against NumPy and dinf's own cpu device; same file, same start.

    gmm.py --dinf build/dinf [--device cuda] [--cases diag full] [--n N --d D --k K] [--iterations 50]
           [--peer-iterations 5] [--json FILE]

Data, start and the scikit-learn side are those of tests/bench/gmm.py. Seconds per iteration are medians of
--iterations of dinf, of --peer-iterations on the processor; before, dinf makes as many as the processor, a
warm-up whose mean log-likelihood under the final parameters is compared: exit status 1 if they differ by more
than 1e-5 of their size. --json is written again after every side; what it has of the same sizes is not measured
again."""
import argparse
import importlib.util
import json
import os
import shlex
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("gmm_cpu", os.path.join(HERE, "..", "gmm.py"))
gmm_cpu = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gmm_cpu)

CASES = {"diag": (100000, 2048, 50), "full": (25000, 512, 10)}
TOLERANCE = 1e-5
KEYS = ("seconds_per_iteration", "loglik", "command", "instead_of")

NUMPY = os.path.join(HERE, "gmm_numpy.py")


class Case:
    """One kind of mixture; its data are made when a side needs them."""

    def __init__(self, a, covariance, folder, earlier):
        self.a, self.covariance, self.folder = a, covariance, folder
        self.n, self.d, self.k = (given or preset for given, preset in zip((a.n, a.d, a.k), CASES[covariance]))
        self.sizes = {"covariance": covariance, "n": self.n, "d": self.d, "components": self.k}
        self.figures = next((c["figures"] for c in earlier if all(c[key] == v for key, v in self.sizes.items())), {})

    def files(self):
        import numpy as np
        data, means = (os.path.join(self.folder, f"{self.covariance}-{name}.npy") for name in ("x", "means"))
        if not os.path.exists(means):
            gmm_cpu.make_data(data, self.n, self.d, self.k)
            np.save(means, np.load(data, mmap_mode="r")[:self.k])
        return data, means

    def remove(self):
        for name in os.listdir(self.folder):
            os.remove(os.path.join(self.folder, name))

    def dinf(self, device, iterations):
        data, means = self.files()
        command = [self.a.dinf, "bench", "gmm", "--device", device, "--data", data, "--means", means, "--components",
                   str(self.k), "--covariance", self.covariance, "--iterations", str(iterations), "--threads",
                   str(self.a.threads), "--json"]
        out = gmm_cpu.measure(command, self.a.threads)
        return {**out, "command": shlex.join(command).replace(self.folder, "FOLDER")}

    def dinf_warmed(self, device):
        first = self.dinf(device, self.a.peer_iterations)
        return {**self.dinf(device, self.a.iterations), "loglik": first["loglik"]}

    def python(self, *program):
        data, means = self.files()
        return gmm_cpu.measure([sys.executable, *program, data, means, self.covariance, str(self.a.peer_iterations)],
                               self.a.threads)

    def sides(self):
        """(name, how it is measured), dinf's device first."""
        yield f"dinf {self.a.device}", lambda: self.dinf_warmed(self.a.device)
        if self.a.peer != "numpy":
            try:
                figure = self.figures.get("scikit-learn") or self.python("-c", gmm_cpu.SKLEARN)
                yield "scikit-learn", lambda: figure
                return
            except (SystemExit, ValueError) as e:
                if self.a.peer == "sklearn":
                    raise
                why = str(e).splitlines()[0]
                print(f"scikit-learn does not work here ({why}): NumPy in its place", file=sys.stderr)
        yield "NumPy", lambda: {**self.python(NUMPY), "instead_of": "scikit-learn"}
        if self.a.device != "cpu":
            yield "dinf cpu", lambda: self.dinf("cpu", self.a.peer_iterations)

    def measure(self, save):
        for who, figure in self.sides():
            if who not in self.figures:
                self.figures[who] = {key: v for key, v in figure().items() if key in KEYS}
                save()
        self.remove()

    def result(self):
        first = self.figures.get(f"dinf {self.a.device}")
        for f in self.figures.values() if first else ():
            f["over"] = f["seconds_per_iteration"] / first["seconds_per_iteration"]
            f["difference"] = abs(f["loglik"] - first["loglik"]) / abs(first["loglik"])
        return {**self.sizes, "figures": self.figures,
                "seconds_per_iteration": first["seconds_per_iteration"] if first else None}

    def wrong(self):
        return [f"{self.covariance}: {who}" for who, f in self.figures.items() if not f["difference"] <= TOLERANCE]

    def table(self):
        for who, f in self.figures.items():
            print(f"| {self.covariance} {self.n} x {self.d}, {self.k} | {who} | {f['seconds_per_iteration']:.4g} "
                  f"| {f['over']:.1f} | {f['loglik']:.8g} | {f['difference']:.1e} |")


def versions():
    out = {}
    for name in ("numpy", "scipy", "sklearn"):
        try:
            out[name] = importlib.import_module(name).__version__
        except ImportError:
            pass
    return out


def read(path, head):
    if not path or not os.path.exists(path):
        return []
    with open(path) as f:
        old = json.load(f)
    cases = old.pop("cases", [])
    return cases if old == head else []


def write(path, head, cases):
    if path:
        with open(path + ".new", "w") as f:
            json.dump({**head, "cases": [c.result() for c in cases if c.figures]}, f, indent=1)
            f.write("\n")
        os.replace(path + ".new", path)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dinf", default="build/dinf")
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    p.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    p.add_argument("--n", type=int, help="rows in place of the case's")
    p.add_argument("--d", type=int, help="columns in place of the case's")
    p.add_argument("--k", type=int, help="components in place of the case's")
    p.add_argument("--iterations", type=int, default=50)
    p.add_argument("--peer-iterations", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="of the processor's side")
    p.add_argument("--peer", choices=["auto", "sklearn", "numpy"], default="auto")
    p.add_argument("--json")
    a = p.parse_args()
    head = {"bench": "gmm", **{key: getattr(a, key) for key in ("device", "threads", "iterations", "peer_iterations")},
            "versions": versions()}
    earlier = read(a.json, head)
    with tempfile.TemporaryDirectory(prefix="dinf-gmm-") as folder:
        cases = [Case(a, covariance, folder, earlier) for covariance in a.cases]
        for case in cases:
            case.measure(lambda: write(a.json, head, cases))
    print("| case | | s an iteration | dinf's speed over it | mean log-likelihood | relative difference |")
    print("|---|---|---:|---:|---:|---:|")
    for case in cases:
        case.result()
        case.table()
        for f in case.figures.values():
            if "instead_of" in f:
                print(f"NumPy stands in for {f['instead_of']}, which does not work here")
    for command in (f["command"] for case in cases for f in case.figures.values() if "command" in f):
        print("$", command)
    print("versions:", head["versions"])
    wrong = [w for case in cases for w in case.wrong()]
    if wrong:
        sys.exit(f"log-likelihoods differ by more than {TOLERANCE}: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
