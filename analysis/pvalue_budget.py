#!/usr/bin/python3
"""Strength of the evidence, p-value and effect size, against the query budget."""

import numpy as np
import matplotlib.pyplot as plt

from figure import (
    DASHES,
    MARKERS,
    budget_axis,
    finite,
    kind_colours,
    kind_handles,
    legend_below,
    line,
    loss_handles,
    main,
    save,
)

FILE = "pvalue_budget.png"
TABLE = "scores/dataset_inference"


def thief_lines(ax, part, column, colours, losses):
    for (kind, queries, loss), group in part.groupby(["kind", "queries", "loss"]):
        i = losses.index(loss)
        mean = group.groupby("budget")[column].mean()
        ax.plot(mean.index, mean.values, color=colours[kind], linestyle=DASHES[i % len(DASHES)], zorder=3)
        ax.scatter(
            group["budget"],
            group[column],
            color=colours[kind],
            marker=MARKERS[i % len(MARKERS)],
            s=28,
            zorder=4,
            linewidths=0,
        )


def references(ax, part, column, colours):
    """Encoders without a budget: a line at the mean over their tests."""
    for kind, group in part.groupby("kind"):
        values = finite(group[column])
        if len(values):
            ax.axhline(values.mean(), color=colours[kind], linewidth=1.6, alpha=0.9, zorder=2)


def evidence_axis(ax, most):
    """From p = 1 upwards; linear where verdicts are decided, logarithmic beyond."""
    ax.set_ylim(0, 1.15 * most)
    if most > 20:
        ax.set_yscale("symlog", linthresh=2, linscale=1)
        ax.set_ylim(0, 1.5 * most)
        ax.set_yticks([t for t in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if t <= 1.5 * most])
        ax.yaxis.set_major_formatter(plt.FuncFormatter(lambda v, _: f"{v:g}"))
        ax.yaxis.set_minor_locator(plt.NullLocator())


def draw(results, out):
    scores = results.scores("dataset_inference")
    scores["evidence"] = -scores["log10_p"].replace([np.inf, -np.inf], np.nan)
    thieves, others = scores[scores.role == "thief"], scores[scores.role != "thief"]
    colours = kind_colours(scores)
    statistics, losses = sorted(set(scores["statistic"])), sorted(set(thieves["loss"]))
    labels = {"evidence": "\u2212log10 p (one-sided)", "cohen_d": f"Cohen's d:\n{results.label(TABLE, 'cohen_d')}"}
    fig, axes = plt.subplots(
        2, len(statistics), figsize=(max(6.5, 4.8 * len(statistics)), 7.6), squeeze=False, sharex=True, sharey="row"
    )
    alpha = float(scores["alpha"].iloc[0]) if "alpha" in scores else 0.05
    for k, statistic in enumerate(statistics):
        for i, (column, label) in enumerate(labels.items()):
            ax = axes[i][k]
            references(ax, others[others.statistic == statistic], column, colours)
            part = thieves[thieves.statistic == statistic]
            thief_lines(ax, part, column, colours, losses)
            ax.axhline(-np.log10(alpha) if column == "evidence" else 0, color="#666666", linestyle=":", zorder=1)
            if column == "evidence":
                evidence_axis(ax, finite(scores["evidence"]).max(initial=2))
            if i == 0:
                ax.set_title(f"statistic: {statistic}")
            if k == 0:
                ax.set_ylabel(label, fontsize=10)
            if len(thieves):
                budget_axis(ax, thieves["budget"])
                if i == 1:
                    ax.set_xlabel("query budget [images]")
            else:
                ax.set_xticks([])
    handles = kind_handles(scores, labels) + loss_handles(losses)
    handles.append(line("#666666", f"alpha = {alpha:g}; d = 0", style=":"))
    title = "Evidence of theft " + ("against the number of queries" if len(thieves) else "(no thefts in this campaign)")
    legend_below(fig, handles, f"{title}: {results.name}")
    save(fig, out)


if __name__ == "__main__":
    main(draw, FILE, __doc__)
