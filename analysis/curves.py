#!/usr/bin/python3
"""Training curves: loss, learning rate and time per epoch of every trained encoder."""

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from figure import finite, kind_colours, legend_below, line, main, save
from results import Missing

FILE = "curves.png"
ROWS = ("loss", "lr", "seconds")


def draw(results, out):
    encoders = results.encoders
    curves = [(name, curve) for name, curve in results.curves() if len(curve)]
    if encoders.empty or not curves:
        raise Missing(f"{results.path} has no training curve yet (/curves is empty)")
    about = encoders.drop_duplicates("name").set_index("name")
    curves = [(name, curve) for name, curve in curves if name in about.index]
    colours = kind_colours(encoders[encoders["name"].isin([name for name, _ in curves])])
    panels = sorted(
        {("stealing: " if about.loc[n].role == "thief" else "training: ") + about.loc[n].loss for n, _ in curves},
        key=lambda p: (p.startswith("stealing"), p),
    )
    fig, axes = plt.subplots(len(ROWS), len(panels), figsize=(max(6.5, 3.9 * len(panels)), 8.4), squeeze=False)
    for name, curve in curves:
        row = about.loc[name]
        k = panels.index(("stealing: " if row.role == "thief" else "training: ") + row.loss)
        for i, column in enumerate(ROWS):
            axes[i][k].plot(
                curve["epoch"],
                curve[column],
                color=colours[row.kind],
                linewidth=1.4,
                alpha=0.85,
                marker="o" if len(curve) == 1 else "",
            )
    table = f"curves/{curves[0][0].replace('/', '_')}"
    for k, panel in enumerate(panels):
        axes[0][k].set_title(panel)
        axes[-1][k].set_xlabel("epoch")
        for ax in axes[:, k]:
            ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        for i, column in enumerate(ROWS):
            low, high = axes[i][k].get_ylim()
            if column != "loss" or (low < 0.3 * high and low > -0.1 * high):
                axes[i][k].set_ylim(min(low, 0), high)
            if k == 0:
                axes[i][k].set_ylabel(results.label(table, column))
    handles = [line(c, k) for k, c in colours.items()]
    final = finite([c["loss"].iloc[-1] for _, c in curves])
    note = "" if len(final) == len(curves) else f" ({len(curves) - len(final)} ended without a finite loss)"
    legend_below(
        fig, handles, f"Training of {len(curves)} encoder{'s' if len(curves) > 1 else ''}{note}: {results.name}"
    )
    save(fig, out)


if __name__ == "__main__":
    main(draw, FILE, __doc__)
