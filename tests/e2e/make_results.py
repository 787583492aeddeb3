#!/usr/bin/python3
"""Synthetic results.h5 files for the figures' tests: make_results.py VARIANT OUT.h5.
The tables are those that the tasks and collect write; the numbers are drawn."""

import sys

import h5py
import numpy as np

LABELS = {
    "encoder": ("", "encoder under suspicion"),
    "victim": ("", "encoder whose owner asks"),
    "role": ("", "victim, thief, independent or suspect"),
    "queries": ("", "query set"),
    "budget": ("images", "number of unique images that the victim was queried with"),
    "loss": ("", "training loss"),
    "overlap": ("", "share of the queried images that are in the victim's training set; -1 if not a theft"),
    "set_overlap": ("", "share of the whole query set's images, likewise; -1 if not a theft"),
    "trial": ("", "repetition"),
}
TEXTS = dict(
    LABELS,
    t=("", "Welch's t"),
    gap=("nats", "difference of the two means"),
    cohen_d=("", "gap in pooled standard deviations"),
    cosine_abs=("", "mean absolute cosine"),
    l2_score=("", "1 - l2 / 2"),
    mi_score=("", "scaled between random initialisation (0) and the victim itself (1)"),
    epoch=("", "epochs completed"),
    lr=("", "learning rate"),
    seconds=("s", "duration of the epoch"),
)
TEXTS["loss"] = ("", "mean loss of the epoch")


def column_type(values):
    if isinstance(values[0], str):
        return h5py.string_dtype("utf-8", max([1] + [len(v.encode()) for v in values]))
    return np.int64 if isinstance(values[0], int) else np.float64


def put_table(f, path, rows, description):
    names = list(rows[0])
    types = [(n, column_type([r[n] for r in rows])) for n in names]
    cells = [tuple(r[n].encode() if isinstance(r[n], str) else r[n] for n in names) for r in rows]
    data = np.array(cells, dtype=types)
    d = f.create_dataset(path, data=data, maxshape=(None,), chunks=True, compression="gzip", shuffle=True)
    d.attrs["description"] = description
    d.attrs["units"] = np.array([TEXTS.get(n, ("", ""))[0] for n in names], dtype=object)
    d.attrs["column_descriptions"] = np.array([TEXTS.get(n, ("", ""))[1] for n in names], dtype=object)


def encoder(
    name, role, victim="victim", dataset="members", loss="infonce", queries="", budget=0, overlap=-1.0, trial=0
):
    return {
        "name": name,
        "role": role,
        "arch": "resnet8",
        "dataset": dataset,
        "loss": loss,
        "queries": queries,
        "budget": budget,
        "overlap": overlap if overlap in (-1, 0, 1) else overlap + 1 / budget,  # of the images that were drawn
        "set_overlap": overlap,
        "seed": 1,
        "trial": trial,
        "victim": victim,
    }


def thefts(victim, budgets, losses, trial=0):
    return [
        encoder(f"{victim}.{queries}.{budget}.{loss}", "thief", victim, queries, loss, queries, budget, overlap, trial)
        for queries, overlap in (("members", 1.0), ("half", 0.5), ("outside", 0.0))
        for budget in budgets
        for loss in losses
    ]


def others(victim, trial=0):
    return [
        encoder("ind-other" + victim[6:], "independent", victim, "textures", trial=trial),
        encoder("ind-disjoint" + victim[6:], "independent", victim, "outside", trial=trial),
    ]


def campaign(variant):
    victim = encoder("victim", "victim")
    if variant == "full":
        return [victim] + thefts("victim", (300, 600), ("infonce", "mse")) + others("victim")
    if variant == "one":
        return [victim]
    if variant == "nothefts":
        return [victim] + others("victim") + [encoder("mine", "suspect", dataset="")]
    if variant == "nan":
        return [victim] + thefts("victim", (300,), ("infonce",)) + others("victim")
    if variant == "trials":
        return [
            e
            for t in range(3)
            for e in [encoder(f"victim.t{t}", "victim", f"victim.t{t}", trial=t)]
            + thefts(f"victim.t{t}", (150, 300, 600), ("infonce",), t)
            + others(f"victim.t{t}", t)
        ]
    if variant == "many":
        return (
            [victim]
            + thefts("victim", (100, 200, 500, 1000, 2000, 5000), ("infonce", "mse"))
            + others("victim")
            + [encoder(f"ind-{i}", "independent", dataset="textures") for i in range(1, 4)]
        )
    raise SystemExit(f"unknown variant {variant}")


def strength(e):
    if e["role"] == "victim":
        return 8.0
    return 0.06 * e["budget"] * e["set_overlap"] if e["role"] == "thief" else 0.0


def add_scores(f, encoders, variant, rng):
    inference, similarity = [], []
    for e in encoders:
        labels = {
            "encoder": e["name"],
            **{k: e[k] for k in ("victim", "role", "queries", "budget", "loss", "overlap", "set_overlap", "trial")},
        }
        for statistic in ("gap", "learned"):
            t = rng.normal(strength(e) if statistic == "learned" else -0.4 * strength(e), 1)
            t = float("nan") if variant == "nan" and e["role"] != "independent" else t
            log10_p = -0.2171 * t * abs(t) if np.isfinite(t) else float("nan")
            log10_p = min(log10_p - 0.3, -1e-9) if t > 0 else max(-1.0 / (1 + abs(t)), -0.3) if np.isfinite(t) else t
            inference.append(
                dict(
                    labels,
                    statistic=statistic,
                    seed=0,
                    components=10 if statistic == "gap" else -1,
                    covariance="diag",
                    converged=int(e["role"] != "victim" or statistic == "gap"),
                    n_fit=300,
                    n_members=300,
                    n_heldout=600,
                    dim=64,
                    loglik_members=1.0,
                    loglik_heldout=0.5,
                    gap=t / 9,
                    t=t,
                    df=597.3,
                    p_value=10.0 ** max(log10_p, -300),
                    log10_p=log10_p,
                    cohen_d=t / 17,
                    alpha=0.05,
                    verdict=(
                        "stolen" if t > 1.65 else "assumptions violated" if e["name"] == "ind-other" else "inconclusive"
                    ),
                )
            )
        for k, obfuscation in enumerate(("none", "shuffle", "pad", "transform")):
            s = 1.0 if e["role"] == "victim" else 0.75 if e["role"] == "thief" else 0.2
            s = (
                float("nan")
                if variant == "nan" and e["role"] == "thief"
                else abs(s + rng.normal(0, 0.04) * (s < 1)) * (1, 0.1, 1, 0.8)[k]
            )
            similarity.append(
                dict(
                    labels,
                    obfuscation=obfuscation,
                    n=600,
                    dim=64,
                    cosine=s,
                    cosine_ci=0.01,
                    cosine_abs=s,
                    cosine_abs_ci=0.02,
                    l2_score=0.3 + 0.7 * s,
                    l2_score_ci=0.02,
                    mutual_information=10 * s,
                    mutual_information_ci=0.3,
                    mi_score=s**0.2,
                    mi_score_ci=0.03,
                )
            )
        if e["role"] != "suspect":
            group = f.create_group(f"loglik/{e['name']}")
            group.attrs.update(labels)
            for name, shift, n in (("members", 0.1 * strength(e), 300), ("heldout", 0.0, 600)):
                x = rng.normal(40 + shift, 3, n)
                x[0] = -400  # an outlier must not squeeze the histogram
                group[name] = x if variant != "nan" or name == "members" else x * np.where(np.arange(n) % 2, np.nan, 1)
                group[name].attrs["units"] = "nats"
                group[name].attrs["description"] = (
                    "of each tested image: log-likelihood under the mixture of the other members (statistic gap)"
                )
    put_table(f, "scores/dataset_inference", inference, "dataset inference, one row a statistic and seed")
    put_table(f, "scores/similarity", similarity, "similarity to the victim, one row an obfuscation")


def add_tasks(f, encoders, rng):
    tasks, clock = [], [1.7e9] * 3
    for i, e in enumerate(encoders):
        for kind, seconds in (
            ("steal" if e["role"] == "thief" else "train", 60),
            ("embed", 3),
            ("dataset_inference", 8),
        ):
            rank = int(np.argmin(clock))
            duration = float(seconds * rng.uniform(0.7, 1.3))
            failed = i == 2 and kind == "embed"
            tasks.append(
                {
                    "id": f"{len(tasks):032x}",
                    "kind": kind,
                    "name": f"{kind} {e['name']}",
                    "state": "failed" if failed else "done",
                    "attempt": 1,
                    "rank": rank,
                    "device": "cpu",
                    "start": clock[rank],
                    "seconds": duration,
                    "error": "it broke" if failed else "",
                }
            )
            clock[rank] += duration + 0.5
    tasks.append(dict(tasks[0], id="f" * 32, state="waiting", rank=-1, start=float("nan"), seconds=float("nan")))
    put_table(f, "tasks", tasks, "the campaign's tasks")


def make(variant, path):
    rng = np.random.default_rng(len(variant))
    with h5py.File(path, "w") as f:
        f.attrs["schema_version"] = 2
        f.attrs["campaign"] = variant
        if variant == "empty":
            put_table(
                f,
                "tasks",
                [
                    {
                        "id": "0",
                        "kind": "train",
                        "name": "x",
                        "state": "waiting",
                        "attempt": 0,
                        "rank": -1,
                        "device": "cpu",
                        "start": float("nan"),
                        "seconds": float("nan"),
                        "error": "",
                    }
                ],
                "tasks",
            )
            return
        encoders = campaign(variant)
        put_table(
            f,
            "encoders",
            [
                {k: v for k, v in e.items() if k != "victim"}
                | {"dim": 64, "parameters": 78000, "final_loss": 1.5, "checkpoint": "tasks/x.safetensors"}
                for e in encoders
            ],
            "the campaign's encoders",
        )
        for e in encoders:
            if e["role"] == "suspect":
                continue
            epochs = np.arange(1, 41)
            start = 0.02 if e["loss"] == "mse" else 5.0
            put_table(
                f,
                f"curves/{e['name']}",
                [
                    {
                        "epoch": int(k),
                        "loss": float(start * (0.3 + 0.7 * np.exp(-k / 12)) * rng.uniform(0.97, 1.03)),
                        "lr": 1e-3 * (1 + np.cos(np.pi * k / 40)) / 2,
                        "seconds": float(rng.uniform(0.5, 0.6)),
                    }
                    for k in epochs
                ],
                "training curve, one row an epoch",
            )
        add_scores(f, encoders, variant, rng)
        add_tasks(f, encoders, rng)


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2])
