#!/usr/bin/python3
"""Log-likelihood of the victim's members against held-out images, one panel an encoder."""

import textwrap

import numpy as np
import pandas as pd
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

from figure import colour, finite, legend_below, line, main, save, shorten
from results import Missing, add_kinds

FILE = "loglik_hist.png"
MEMBERS, HELDOUT = "#F0C05A", "#222222"


def ordered(results):
    """(group, labels, members, held-out), victim first, then as the verdicts are ordered."""
    found = [g for g in results.logliks() if len(finite(g[2])) and len(finite(g[3]))]
    if not found:
        raise Missing(
            f"{results.path} has no log-likelihoods yet (/loglik is empty): a finished dataset inference "
            "leaves them"
        )
    frame = add_kinds(pd.DataFrame([g[1] for g in found]))
    for column in ("encoder", "victim"):
        if column not in frame:
            frame[column] = [g[0] for g in found]
    frame = frame.fillna({"overlap": -1.0, "budget": 0})
    order = frame.sort_values(["victim", "sort", "kind", "budget", "encoder"], kind="stable").index
    return [(found[i], frame.loc[i]) for i in order]


def panel(ax, labels, members, heldout, victims):
    members, heldout = finite(members), finite(heldout)
    low, high = np.percentile(np.concatenate([members, heldout]), [0.5, 99.5])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    bins = np.linspace(low, high, 31)
    ax.hist(np.clip(members, low, high), bins, density=True, color=MEMBERS)
    ax.hist(np.clip(heldout, low, high), bins, density=True, histtype="step", color=HELDOUT, linewidth=1.3)
    ax.axvline(members.mean(), color="#B07A00", linewidth=1.5)
    ax.axvline(heldout.mean(), color=HELDOUT, linewidth=1.5, linestyle=(0, (3, 2)))
    name = str(labels.encoder) + (f" against {labels.victim}" if victims > 1 else "")
    what = labels.kind + (f", {int(labels.budget)} queries" if labels.role == "thief" else "")
    ax.set_title(f"{shorten(name, 34)}\n{shorten(what, 38)}", fontsize=9.5, color=colour(labels.role, labels.share))
    ax.set_yticks([])
    ax.tick_params(labelsize=9)
    ax.grid(False)


def draw(results, out):
    groups = ordered(results)
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(max(6.5, 3.3 * columns), 2.35 * rows + 1.5), squeeze=False)
    victims = len({labels.victim for _, labels in groups})
    for ax, ((_, _, members, heldout), labels) in zip(axes.flat, groups):
        panel(ax, labels, members, heldout, victims)
    for ax in axes.flat[len(groups) :]:
        ax.set_axis_off()
    first = results.file["loglik"][groups[0][0][0]]["members"]
    unit, text = first.attrs.get("units", ""), first.attrs.get("description", "")
    what = text.partition(": ")[2] or "log-likelihood"
    name = "log-likelihood" if what.startswith("log-likelihood") else "score"
    for i in range(columns):
        last = (len(groups) - 1 - i) // columns
        axes[last][i].set_xlabel(name + (f" [{unit}]" if unit else ""))
    for row in axes:
        row[0].set_ylabel("density")
    handles = [
        Patch(color=MEMBERS, label="tested members"),
        Patch(facecolor="none", edgecolor=HELDOUT, label="held-out"),
        line("#B07A00", "mean of members"),
        line(HELDOUT, "mean of held-out", style=(0, (3, 2))),
    ]
    legend_below(
        fig,
        handles,
        "Does an encoder remember the victim's training images?\n"
        + textwrap.fill(f"{what[:1].upper()}{what[1:]}: {results.name}", int(9 * fig.get_figwidth())),
    )
    save(fig, out)


if __name__ == "__main__":
    main(draw, FILE, __doc__)
