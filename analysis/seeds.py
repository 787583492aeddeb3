#!/usr/bin/python3
"""How often each kind of encoder is called stolen, over several campaigns (or
trials) of the same config with different seeds: a Markdown table."""

import argparse
import pathlib
import sys

import pandas as pd

from results import Missing, load


def read(paths):
    frames = []
    for path in paths:
        scores = load(path).scores("dataset_inference")
        frames.append(scores.assign(campaign=str(path)))
    return pd.concat(frames, ignore_index=True)


def kind_of(row):
    return f"{row.kind}, {row.budget} queries" if row.role == "thief" else row.kind


def table(scores):
    scores = scores.assign(what=[kind_of(r) for r in scores.itertuples()])
    statistics = sorted(set(scores["statistic"]))
    losses = scores[scores.role == "thief"]["loss"].nunique()
    if losses > 1:
        thief = scores.role == "thief"
        scores.loc[thief, "what"] = scores[thief]["what"] + ", " + scores[thief]["loss"]
    head = ["encoder"] + [cell for s in statistics for cell in (f"{s}: stolen", f"{s}: mean t [range]")]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (2 * len(statistics))]
    order = scores.sort_values(["sort", "kind", "budget"], kind="stable")["what"]
    for what in dict.fromkeys(order):
        cells = [what]
        for statistic in statistics:
            part = scores[(scores.what == what) & (scores.statistic == statistic)]
            t = part["t"].dropna()
            cells.append(f"{(part.verdict == 'stolen').sum()}/{len(part)}" if len(part) else "")
            cells.append(f"{t.mean():.1f} [{t.min():.1f}, {t.max():.1f}]" if len(t) else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", metavar="RESULTS.h5", nargs="+", help="files or run directories")
    parser.add_argument("-o", "--out", help="also write the table to this file")
    options = parser.parse_args()
    try:
        scores = read(options.results)
    except Missing as e:
        sys.exit(f"seeds.py: {e}")
    alpha = ", ".join(f"{a:g}" for a in sorted(set(scores["alpha"])))
    text = (
        f"{table(scores)}\n\n{len(options.results)} campaigns, {scores.groupby(['campaign', 'trial']).ngroups} "
        f"victims, alpha = {alpha}; each cell counts single tests (encoder x campaign x seed of the test).\n"
        "N% overlap: share of the query set's images that are the victim's training images.\n"
    )
    print(text, end="")
    if options.out:
        pathlib.Path(options.out).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
