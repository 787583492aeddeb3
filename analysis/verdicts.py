#!/usr/bin/python3
"""Verdict table: which encoders derive from the victim? Markdown in full, and a
terminal table of at most 80 columns."""

import pathlib

import numpy as np

from figure import main, shorten
from results import percent

FILE = "verdicts.md"
WIDTH = 80


def summarize(results):
    """One row for each encoder, victim and statistic: means over the tests' seeds (median of log10 p)."""
    scores = results.scores("dataset_inference")
    scores["stolen"] = scores["verdict"] == "stolen"
    scores["violated"] = scores["verdict"] == "assumptions violated"
    for column in ("components", "covariance"):
        scores[column] = scores[column].astype(str).replace("<NA>", "") if column in scores else ""
    scores["unconverged"] = (scores["converged"] == 0).fillna(False) if "converged" in scores else False
    keys = [
        "victim",
        "sort",
        "kind",
        "budget",
        "encoder",
        "role",
        "queries",
        "loss",
        "overlap",
        "statistic",
        "components",
        "covariance",
    ]
    rows = scores.groupby(keys, as_index=False, dropna=False).agg(
        tests=("t", "size"),
        t=("t", "mean"),
        t_min=("t", "min"),
        t_max=("t", "max"),
        df=("df", "mean"),
        log10_p=("log10_p", "median"),
        cohen_d=("cohen_d", "mean"),
        stolen=("stolen", "sum"),
        violated=("violated", "sum"),
        unconverged=("unconverged", "sum"),
        alpha=("alpha", "first"),
        n_members=("n_members", "first"),
        n_heldout=("n_heldout", "first"),
    )
    return rows.sort_values(["victim", "sort", "kind", "budget", "encoder", "statistic"], kind="stable")


def verdict(row, short):
    if row.tests > 1:
        return f"stolen {row.stolen}/{row.tests}"
    if row.stolen:
        return "stolen"
    if row.violated:
        return "violated" if short else "assumptions violated"
    return "inconclusive"


def number(value, digits):
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def p_text(log10_p):
    """p from its logarithm, which does not underflow: 3.1e-210."""
    if not np.isfinite(log10_p):
        return "-"
    if log10_p > -3:
        return f"{10 ** log10_p:.3f}"
    exponent = int(np.floor(log10_p))
    return f"{10 ** (log10_p - exponent):.1f}e{exponent}"


def several_settings(rows):
    return rows[["statistic", "components", "covariance"]].drop_duplicates()["statistic"].duplicated().any()


def components_text(row):
    """Of a statistic that fits several mixtures: nothing."""
    return row.components


def notes(rows):
    """What a reader of the table must know."""
    lines = []
    if (rows.role == "thief").any():
        lines.append("thief N%: share of the queried images that are the victim's training images")
    if rows.unconverged.sum() > 0:
        lines.append(f"{rows.unconverged.sum()} of {rows.tests.sum()} tests: a mixture stopped before it converged")
    return lines


def sentence(rows):
    alpha = rows.alpha.iloc[0]
    text = f"one-sided Welch test, alpha = {alpha:g}"
    if rows.tests.max() > 1:
        text += f"; mean t and d, median log10 p over {rows.tests.max()} seeds"
    return text


def markdown(results, rows):
    settings = several_settings(rows)
    head = ["encoder", "role", "query set", "overlap", "budget", "loss", "statistic"]
    head += ["components", "covariance"] if settings else []
    head += ["t", "df", "p", "log10 p", "Cohen's d", "verdict"]
    text = [f"# Verdicts of {results.name}", ""]
    for victim, part in rows.groupby("victim", sort=False):
        text += [
            f"Victim **{victim}**: {sentence(part)}, {part.n_members.iloc[0]} members against "
            f"{part.n_heldout.iloc[0]} held-out images (statistic {part.statistic.iloc[0]}).",
            "",
            "| " + " | ".join(head) + " |",
            "|" + "---|" * len(head),
        ]
        for r in part.itertuples():
            thief = r.role == "thief"
            cells = [
                r.encoder,
                r.role,
                r.queries if thief else "",
                percent(r.overlap) if thief else "",
                str(r.budget) if thief else "",
                r.loss,
                r.statistic,
            ]
            cells += [components_text(r), r.covariance] if settings else []
            cells += [
                number(r.t, 2),
                number(r.df, 0),
                p_text(r.log10_p),
                number(r.log10_p, 2),
                number(r.cohen_d, 3),
                f"**{verdict(r, False)}**" if r.stolen else verdict(r, False),
            ]
            text.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        text.append("")
    text += [f"{note[:1].upper()}{note[1:]}.\n" for note in notes(rows) if not note.startswith("thief N%")]
    if (rows.role == "thief").any():
        text.append("Overlap: share of the queried images that are the victim's training images.\n")
    return "\n".join(text)


def terminal(rows):
    """Lines of at most WIDTH columns; an encoder's name stands once, at its first statistic."""
    widths = {"kind": 11, "budget": 6, "test": 7, "t": 6, "log10 p": 7, "d": 5, "verdict": 12}
    room = WIDTH - sum(widths.values()) - len(widths)
    settings = several_settings(rows)
    lines = []
    for victim, part in rows.groupby("victim", sort=False):
        names = [e[len(victim) + 1 :] if e.startswith(victim + ".") else e for e in part.encoder]
        width = max(7, min(room, max(map(len, names))))
        lines += [
            f"Victim {victim}: {sentence(part)}"[:WIDTH],
            " ".join(
                ["encoder".ljust(width)]
                + [k.ljust(w) if k in ("kind", "test", "verdict") else k.rjust(w) for k, w in widths.items()]
            ).rstrip(),
        ]
        before = None
        for name, r in zip(names, part.itertuples()):
            what = f"thief {percent(r.overlap)}" if r.role == "thief" and np.isfinite(r.overlap) else r.role
            first = before != r.encoder
            before = r.encoder
            test = f"{r.statistic[:4]}{components_text(r)}{str(r.covariance)[:1]}" if settings else r.statistic
            cells = [
                (shorten(name, width) if first else "").ljust(width),
                (what if first else "")[:11].ljust(11),
                (str(r.budget) if first and r.role == "thief" else "").rjust(6),
                test[:7].ljust(7),
                number(r.t, 1).rjust(6),
                number(r.log10_p, 1).rjust(7),
                number(r.cohen_d, 2).rjust(5),
                verdict(r, True),
            ]
            lines.append(" ".join(cells).rstrip())
        lines.append("")
    return "\n".join(lines + notes(rows)).rstrip()


def draw(results, out):
    rows = summarize(results)
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(markdown(results, rows) + "\n", encoding="utf-8")
    print(terminal(rows))


if __name__ == "__main__":
    main(draw, FILE, __doc__)
