#!/usr/bin/python3
"""What the figures share: colours by role (Okabe and Ito's, safe for colour-blind
readers), legends below the panels, the command line, saving."""

import argparse
import pathlib
import sys
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

from results import Missing, load  # noqa: E402

COLOURS = {"victim": "#000000", "suspect": "#009E73", "random": "#888888"}
THIEF = {"all": "#D55E00", "some": "#E69F00", "none": "#CC79A7"}
INDEPENDENT = ("#0072B2", "#56B4E9", "#004166", "#8FBBD9")
MARKERS = "osD^vPX*<>"
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))

plt.rcParams.update(
    {
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.labelsize": 11,
        "legend.fontsize": 10,
        "figure.titlesize": 13,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "savefig.dpi": 130,
    }
)


def colour(role, share=-1.0, rank=0):
    """rank: number of an independent's data set among the independents' ones."""
    if role == "thief":
        return THIEF["all" if share > 0.995 else "some" if share > 0.005 else "none"]
    if role == "independent":
        return INDEPENDENT[rank % len(INDEPENDENT)]
    return COLOURS.get(role, COLOURS["random"])


def kind_colours(frame):
    """Colour of each kind in the frame, in the order of `sort`."""
    kinds = frame.sort_values(["sort", "kind"]).drop_duplicates("kind")
    ranks = {k: i for i, k in enumerate(sorted(kinds[kinds.role == "independent"].kind))}
    return {row.kind: colour(row.role, row.share, ranks.get(row.kind, 0)) for row in kinds.itertuples()}


def kind_handles(frame, columns):
    """Legend entries of the frame's kinds: a thief's with its query sets; a kind without a finite number says so."""
    handles = []
    for kind, colour_ in kind_colours(frame).items():
        part = frame[frame.kind == kind]
        text = kind
        if (part.role == "thief").all():
            text += ": " + ", ".join(sorted(set(part["queries"])))
        if not np.isfinite(part[list(columns)].to_numpy(float)).any():
            text += " (no number)"
        handles.append(line(colour_, text))
    return handles


def loss_handles(losses):
    """Legend entries that tell several stealing losses apart."""
    if len(losses) < 2:
        return []
    return [
        line("#444444", f"stolen with {loss}", MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, loss in enumerate(losses)
    ]


def line(colour_, text, marker="", style="-"):
    return Line2D([], [], color=colour_, marker=marker, linestyle=style, label=text)


def legend_below(fig, handles, title=""):
    """The figure's title on top, its legend below the panels, the panels in what is left."""
    width, height = fig.get_size_inches()
    longest = max((len(h.get_label()) for h in handles), default=1)
    columns = max(1, min(len(handles), int(width * 10.5 / (longest + 6))))
    rows = -(-len(handles) // columns)
    bottom = (0.24 * rows + 0.1) / height if handles else 0
    lines = title.count("\n") + 1 if title else 0
    fig.tight_layout(rect=(0, bottom, 1, 1 - (0.24 * lines + 0.16) / height))
    if title:
        fig.suptitle(title, y=1 - 0.08 / height, va="top")
    if handles:
        fig.legend(handles=handles, loc="lower center", ncol=columns, frameon=False)


def shorten(name, width):
    """A name cut in its middle to `width` characters."""
    if len(name) <= width:
        return name
    head = (width - 1) // 2
    return name[:head] + "\u2026" + name[len(name) - (width - 1 - head) :]


def headline(results, table, column, width):
    """'l2 score: 1 - l2 / 2', in lines of about `width` characters."""
    return textwrap.fill(f"{column.replace('_', ' ')}: {results.label(table, column)}", width)


def finite(values):
    values = np.asarray(values, float)
    return values[np.isfinite(values)]


def budget_axis(ax, budgets):
    """Budgets as they are, spread by their logarithm."""
    ticks = sorted(set(int(b) for b in budgets))
    ax.set_xscale("log")
    if len(ticks) > 6:
        ticks = [ticks[i] for i in sorted(set(np.linspace(0, len(ticks) - 1, 6).round().astype(int)))]
    ax.set_xticks(ticks)
    ax.set_xticklabels([str(t) for t in ticks])
    ax.minorticks_off()
    ax.set_xlim(min(ticks) / 1.4, max(ticks) * 1.4)


def save(fig, out):
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(out)
    plt.close(fig)


def default_out(results, name):
    return results.path.parent / "figures" / name


def main(draw, file_name, text):
    """Command line of one figure: draw(results, out)."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("results", metavar="RESULTS.h5", help="the file, or the run directory")
    parser.add_argument("-o", "--out", help=f"where to write (default: figures/{file_name} beside the results)")
    options = parser.parse_args()
    try:
        results = load(options.results)
        out = options.out or default_out(results, file_name)
        draw(results, out)
    except Missing as e:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {e}")
    print(out)
