#!/usr/bin/python3
"""Similarity of stolen encoders to the victim against the query budget."""

import numpy as np
import matplotlib.pyplot as plt

from figure import (
    DASHES,
    MARKERS,
    budget_axis,
    finite,
    headline,
    kind_colours,
    kind_handles,
    legend_below,
    loss_handles,
    main,
    save,
)
from results import Missing

FILE = "similarity_budget.png"
TABLE = "scores/similarity"
SCORES = ("cosine_abs", "l2_score", "mi_score")


def draw(results, out):
    scores = results.scores("similarity")
    plain = scores[scores["obfuscation"] == "none"] if "obfuscation" in scores else scores
    plain = plain if len(plain) else scores
    columns = [c for c in SCORES if c in plain and len(finite(plain[c]))]
    if not columns:
        raise Missing(f"{results.path}: no similarity in /{TABLE} is a number")
    thieves, others = plain[plain.role == "thief"], plain[plain.role != "thief"]
    colours = kind_colours(plain)
    losses = sorted(set(thieves["loss"]))
    fig, axes = plt.subplots(1, len(columns), figsize=(max(6.5, 4.2 * len(columns)), 5.4), squeeze=False)
    for ax, column in zip(axes[0], columns):
        for kind, group in others.groupby("kind"):
            values = finite(group[column])
            if len(values):
                ax.axhline(values.mean(), color=colours[kind], linewidth=1.6, zorder=2)
        for (kind, _, loss), group in thieves.groupby(["kind", "queries", "loss"]):
            group = group[np.isfinite(group[column])]
            if group.empty:
                continue
            i = losses.index(loss)
            mean = group.groupby("budget")[column].mean()
            interval = group[column + "_ci"] if column + "_ci" in group else None
            ax.plot(mean.index, mean.values, color=colours[kind], linestyle=DASHES[i % len(DASHES)], zorder=3)
            ax.errorbar(
                group["budget"],
                group[column],
                yerr=interval,
                color=colours[kind],
                capsize=3,
                linestyle="none",
                marker=MARKERS[i % len(MARKERS)],
                markersize=5,
                zorder=4,
            )
        ax.set_title(headline(results, TABLE, column, 44), fontsize=10)
        ax.set_ylabel(column.replace("_", " "))
        if len(thieves):
            budget_axis(ax, thieves["budget"])
            ax.set_xlabel("query budget [images]")
        else:
            ax.set_xticks([])
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, 0) if low > -0.05 else low, max(high, 1.02))
    handles = kind_handles(plain, columns) + loss_handles(losses)
    title = (
        "Similarity to the victim against the number of queries"
        if len(thieves)
        else "Similarity to the victim (no thefts in this campaign)"
    )
    bars = (
        "\nbars: 99% intervals over images; of the mi score without the estimator's bias"
        if any(c + "_ci" in plain for c in columns) and len(thieves)
        else ""
    )
    legend_below(fig, handles, f"{title}: {results.name}{bars}")
    save(fig, out)


if __name__ == "__main__":
    main(draw, FILE, __doc__)
