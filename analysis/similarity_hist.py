#!/usr/bin/python3
"""Similarity to the victim: stolen encoders against independent ones, plain and obfuscated."""

import numpy as np
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

from figure import INDEPENDENT, THIEF, finite, headline, legend_below, main, save
from results import Missing

FILE = "similarity_hist.png"
TABLE = "scores/similarity"
SCORES = ("cosine_abs", "l2_score", "mi_score")
GROUPS = (("stolen", "thief", THIEF["all"]), ("independent", "independent", INDEPENDENT[0]))


def panel(ax, part, column, low, high):
    bins = np.linspace(low, high, 25)
    for _, role, colour in GROUPS:
        values = finite(part[part.role == role][column])
        if len(values):
            ax.hist(values, bins, weights=np.full(len(values), 100 / len(values)), color=colour, alpha=0.55)
            ax.plot(values, np.full(len(values), -3.0), "|", color=colour, markersize=9, markeredgewidth=1.5)
    ax.axhline(0, color="#444444", linewidth=0.8)
    ax.set_ylim(-6, 106)
    ax.set_yticks([0, 50, 100])
    ax.set_xlim(low, high)


def draw(results, out):
    scores = results.scores("similarity")
    if "obfuscation" not in scores:
        scores["obfuscation"] = "none"
    columns = [c for c in SCORES if c in scores and len(finite(scores[c]))]
    counted = {text: scores[scores.role == role]["encoder"].nunique() for text, role, _ in GROUPS}
    if not columns or sum(counted.values()) == 0:
        raise Missing(f"{results.path}: /{TABLE} holds neither a stolen nor an independent encoder")
    rows = list(dict.fromkeys(scores["obfuscation"]))
    fig, axes = plt.subplots(
        len(rows),
        len(columns),
        figsize=(max(6.5, 4.2 * len(columns)), 1.7 * len(rows) + 2.2),
        squeeze=False,
        sharey=True,
    )
    for k, column in enumerate(columns):
        values = finite(scores[scores.role.isin(["thief", "independent"])][column])
        low, high = min(0, values.min(initial=0)) - 0.02, max(1, values.max(initial=1)) + 0.02
        for i, obfuscation in enumerate(rows):
            panel(axes[i][k], scores[scores.obfuscation == obfuscation], column, low, high)
            if k == 0:
                axes[i][k].set_ylabel(f"{obfuscation}\n[% of group]")
            if i < len(rows) - 1:
                axes[i][k].set_xticklabels([])
        axes[-1][k].set_xlabel(column.replace("_", " "))
        axes[0][k].set_title(headline(results, TABLE, column, 44), fontsize=10)
    handles = [
        Patch(color=colour, alpha=0.55, label=f"{text} encoders ({counted[text]})") for text, _, colour in GROUPS
    ]
    legend_below(
        fig,
        handles,
        f"Similarity to the victim, stolen against independent: {results.name}\n"
        "rows: obfuscation of the suspect's representations; ticks: single encoders",
    )
    save(fig, out)


if __name__ == "__main__":
    main(draw, FILE, __doc__)
