#!/usr/bin/env python3
"""What was promised of the GPU, against what was measured: a table.

    claims.py [--parts FILE] FOLDER

FOLDER holds the --json of train_step.py, thefts.py and gmm.py. FILE: lines of a part of tests/gpu/run.sh and its
status. A figure counts if it has the device and the sizes of the promise."""
import argparse
import glob
import json
import os

STEP = {"device": "cuda", "arch": "resnet34", "width": 1, "size": 32, "batch": 256}
THEFTS = {"device": "cuda", "thefts": 16, "queries": 5000, "epochs": 20, "arch": "resnet18", "width": 1, "size": 32,
          "precision": "bf16", "batch": 256}
MIXTURES = {"diag": (100000, 2048, 50), "full": (25000, 512, 10)}
TOLERANCE = 1e-5

SPEEDS = (("bf16", "eager", 1.5), ("bf16", "compile", 1.15), ("bf16", "loader", 15), ("tf32", "eager", 1),
          ("tf32", "compile", 1), ("fp32", "eager", 1), ("fp32", "compile", 1))
SHOWN = (("every operation equals ref's: fp32 within 1e-4", ("table-fp32", "large-fp32", "linalg")),
         ("every operation equals ref's: bf16 within 1e-2", ("table-bf16", "large-bf16")),
         ("every operation equals ref's: tf32", ("table-tf32",)),
         ("gradients are right", ("nn-golden", "nn-gradient")),
         ("cpu and cuda train alike", ("curves",)),
         ("replayed steps equal eager ones", ("nn-feed",)),
         ("resumed bit for bit", ("nn-resume", "kill")),
         ("ranks that share a GPU: bit for bit", ("ranks", "ranks-bf16")),
         ("the demonstration runs", ("demo",)))


def figures_of(folder):
    found = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.json"))):
        with open(path) as f:
            figures = json.load(f)
        found.setdefault(figures.get("bench"), []).append(figures)
    return found


def has(figures, sizes):
    return all(figures.get(key) == value for key, value in sizes.items())


def other_sizes(results, sizes):
    return "other sizes" if results and not any(has(result, sizes) for result in results) else ""


def judge(name, wanted, measured, note=""):
    """A row; measured: a ratio or None."""
    if measured is None:
        return name, f"{wanted:g}x", "", "not measured" + (f" ({note})" if note else "")
    return name, f"{wanted:g}x", f"{measured:.2f}x{' (' + note + ')' if note else ''}", \
        "met" if measured >= wanted else "missed"


def speed(steps, precision, peer, wanted):
    name = f"SimCLR step, {precision}: over PyTorch, {peer}"
    note = other_sizes(steps, STEP)
    for result in steps:
        for r in result["rows"]:
            if (r["precision"], r["who"]) != (precision, peer) or not has(result, STEP):
                continue
            if "dinf_over_this" in r:
                return judge(name, wanted, r["dinf_over_this"])
            note = r.get("skipped", "dinf has no figure")
    return judge(name, wanted, None, note)


def sharing(results):
    rows = [r for result in results if has(result, THEFTS) for r in result["rows"]
            if r["workers"] > 1 and "over_one_worker" in r]
    name = "16 thefts by ranks that share a GPU: over one after another"
    if not rows:
        return judge(name, 3, None, other_sizes(results, THEFTS))
    best = max(rows, key=lambda r: r["over_one_worker"])
    return judge(name, 3, best["over_one_worker"], f"{best['workers']} workers{', MPS' if best['mps'] else ''}")


def mixture(results, covariance):
    n, d, k = MIXTURES[covariance]
    name = f"EM, {covariance} {n} x {d}, {k}: over scikit-learn"
    likelihood = f"EM, {covariance}: same log-likelihood"
    cases = [c for result in results if result["device"] == "cuda" for c in result["cases"]
             if (c["covariance"], c["n"], c["d"], c["components"]) == (covariance, n, d, k)]
    peer = cases[0]["figures"].get("scikit-learn", {}) if cases else {}
    if "over" not in peer:
        note = "NumPy in its place" if cases and "NumPy" in cases[0]["figures"] else "other sizes" if results else ""
        return [judge(name, 30, None, note), (likelihood, f"{TOLERANCE:g}", "", "not measured")]
    return [judge(name, 30, peer["over"]), (likelihood, f"{TOLERANCE:g}", f"{peer['difference']:.1e}",
                                            "met" if peer["difference"] <= TOLERANCE else "missed")]


def shown(name, parts, statuses):
    got = {part: statuses.get(part, "not run") for part in parts}
    bad = [part for part, status in got.items() if status in ("failed", "out of time")]
    verdict = "missed" if bad else "met" if all(s == "ok" for s in got.values()) else "not measured"
    return name, "all good", ", ".join(f"{part}: {status}" for part, status in got.items()), verdict


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--parts")
    p.add_argument("folder")
    a = p.parse_args()
    found, rows = figures_of(a.folder), []
    if a.parts:
        with open(a.parts) as f:
            statuses = dict(line.strip().split(" ", 1) for line in f)
        rows += [shown(name, parts, statuses) for name, parts in SHOWN]
    rows += [speed(found.get("train_step", []), *promise) for promise in SPEEDS]
    rows.append(sharing(found.get("thefts", [])))
    for covariance in MIXTURES:
        rows += mixture(found.get("gmm", []), covariance)
    print("| claim | wanted | measured | |")
    print("|---|---:|---:|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
