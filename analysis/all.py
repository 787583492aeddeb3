#!/usr/bin/python3
"""All figures of a campaign into DIR/figures, and the verdict table to the terminal."""

import argparse
import pathlib
import sys

import curves
import loglik_hist
import pvalue_budget
import similarity_budget
import similarity_hist
import timeline
import verdicts
from results import Missing, load

FIGURES = (pvalue_budget, loglik_hist, similarity_budget, similarity_hist, curves, timeline, verdicts)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dir", metavar="DIR", help="run directory, or its results.h5")
    parser.add_argument("-o", "--out", metavar="FOLDER", help="where the figures go (default: DIR/figures)")
    options = parser.parse_args()
    try:
        results = load(options.dir)
    except Missing as e:
        sys.exit(f"all.py: {e}")
    folder = pathlib.Path(options.out) if options.out else results.path.parent / "figures"
    drawn = 0
    for module in FIGURES:
        try:
            module.draw(results, folder / module.FILE)
            drawn += 1
        except Missing as e:
            print(f"{module.FILE}: not drawn: {e}", file=sys.stderr)
    print(f"\n{drawn} of {len(FIGURES)} figures and tables are in {folder}")


if __name__ == "__main__":
    main()
