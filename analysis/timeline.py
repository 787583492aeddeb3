#!/usr/bin/python3
"""Which rank ran what, when: the campaign's schedule as it happened."""

import numpy as np
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

from figure import legend_below, main, save
from results import Missing

FILE = "timeline.png"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442", "#882255", "#999999", "#44AA99")


def time_unit(seconds):
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds > 3 * size:
            return unit, size
    return "s", 1.0


def draw(results, out):
    tasks = results.table("tasks")
    if tasks.empty:
        raise Missing(f"{results.path} has no tasks")
    ran = tasks[
        tasks["rank"].notna() & np.isfinite(tasks["start"]) & np.isfinite(tasks["seconds"]) & (tasks["start"] > 0)
    ]
    if ran.empty:
        raise Missing(f"{results.path}: no task has run yet")
    start, end = ran["start"].min(), (ran["start"] + ran["seconds"]).max()
    ranks = sorted(set(ran["rank"]))
    unit, size = time_unit(end - start)
    kinds = list(dict.fromkeys(ran["kind"]))
    colours = {kind: PALETTE[i % len(PALETTE)] for i, kind in enumerate(kinds)}
    fig, ax = plt.subplots(figsize=(11, min(24, 0.42 * len(ranks)) + 2.2))
    for (rank, kind, failed), group in ran.assign(failed=ran["state"] == "failed").groupby(["rank", "kind", "failed"]):
        spans = list(zip((group["start"] - start) / size, group["seconds"] / size))
        ax.broken_barh(
            spans,
            (ranks.index(rank) - 0.4, 0.8),
            facecolors=colours[kind],
            edgecolor="#000000" if failed else "white",
            linewidth=0.4 if len(ran) < 2000 else 0,
            hatch="////" if failed else None,
        )
    ax.set_xlim(0, max((end - start) / size, 1e-9))
    ax.set_ylim(len(ranks) - 0.5, -0.5)
    step = -(-len(ranks) // 48)
    ax.set_yticks(range(0, len(ranks), step))
    ax.set_yticklabels([str(r) for r in ranks[::step]])
    ax.set_ylabel("rank")
    ax.set_xlabel(f"time since the first start [{unit}]")
    ax.grid(axis="y", visible=False)
    busy = ran["seconds"].sum() / max((end - start) * len(ranks), 1e-9)
    handles = [Patch(color=c, label=f"{k} ({(ran['kind'] == k).sum()})") for k, c in colours.items()]
    if (ran["state"] == "failed").any():
        handles.append(Patch(facecolor="white", edgecolor="#000000", hatch="////", label="failed"))
    legend_below(
        fig,
        handles,
        f"{len(ran)} tasks on {len(ranks)} ranks, busy {100 * min(busy, 1):.0f}% of the time: " f"{results.name}",
    )
    save(fig, out)


if __name__ == "__main__":
    main(draw, FILE, __doc__)
