#!/usr/bin/python3
"""The one loader of results.h5: tables as pandas frames, arrays by encoder, and
the texts (descriptions, units) that the file itself carries.

    from results import load            # with analysis/ on the path
    r = load("runs/demo/results.h5")    # or the run directory
    r.encoders[r.encoders.role == "thief"]
    r.scores("dataset_inference").groupby("kind").t.mean()
    r.representations("victim", "members")

Text is str. A number that is missing is NaN, or NA in a column of whole numbers."""

import pathlib

import h5py
import numpy as np
import pandas as pd

ROLES = ("victim", "thief", "suspect", "independent", "random")


class Missing(Exception):
    """What a figure needs is not in the file: one sentence for the user."""


def load(path):
    """Results of a run: its results.h5, or the run directory."""
    return Results(path)


def decode(values):
    """Text of a table, of a fixed width or any length, as str."""
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]


def numbers(values, description):
    """A column of numbers: -1 stands for a missing one among whole numbers, and elsewhere where the column says so."""
    if np.issubdtype(values.dtype, np.integer):
        missing = values == -1
        return pd.Series(values).astype("Int64").mask(missing) if missing.any() else values
    return np.where(values == -1, np.nan, values) if "-1" in description else values


class Results:
    def __init__(self, path):
        path = pathlib.Path(path)
        if path.is_dir():
            path = path / "results.h5"
        if not path.exists():
            raise Missing(f"{path} does not exist: run or collect the campaign first")
        self.path = path
        try:
            self.file = h5py.File(path, "r")
        except OSError as e:
            raise Missing(f"{path} cannot be read as HDF5: {e}") from None
        self._texts = {}

    @property
    def name(self):
        return self.file.attrs.get("campaign", self.path.resolve().parent.name)

    def has(self, table):
        return table in self.file

    def table(self, name):
        """The table as a frame of str, int and float; an empty frame without columns if there is none."""
        if name not in self.file:
            return pd.DataFrame()
        dataset = self.file[name]
        rows = dataset[:]
        units, helps = dataset.attrs.get("units", []), dataset.attrs.get("column_descriptions", [])
        columns = {}
        for i, c in enumerate(rows.dtype.names):
            text = helps[i] if i < len(helps) else ""
            self._texts[name, c] = (text, units[i] if i < len(units) else "")
            columns[c] = numbers(rows[c], text) if rows[c].dtype.kind in "biuf" else decode(rows[c])
        return pd.DataFrame(columns)

    def label(self, table, column):
        """An axis label out of the file: 'mean cosine', 'duration of the epoch [s]'."""
        if (table, column) not in self._texts:
            self.table(table)
        text, unit = self._texts.get((table, column), ("", ""))
        return (text or column.replace("_", " ")) + (f" [{unit}]" if unit else "")

    @property
    def tasks(self):
        """/tasks, one row a task."""
        return self.table("tasks")

    @property
    def encoders(self):
        """/encoders, one row an encoder, with `kind` and `sort` added."""
        return add_kinds(self.table("encoders"))

    def scores(self, name):
        """/scores/NAME with the encoders' data sets and `kind`, `sort` added; Missing if there is none."""
        frame = self.table(f"scores/{name}")
        if frame.empty:
            raise Missing(f"{self.path} has no finished {name.replace('_', ' ')} task yet (/scores/{name} is empty)")
        encoders = self.table("encoders")
        if "dataset" not in frame and not encoders.empty and "dataset" in encoders:
            sets = encoders.drop_duplicates("name").set_index("name")["dataset"]
            frame["dataset"] = frame["encoder"].map(sets).fillna("")
        return add_kinds(frame)

    def representations(self, encoder, images):
        """(n, d) float32: of the set `images` ("members", as the config calls it) by an encoder."""
        path = "/".join(["representations"] + [name.replace("/", "_") for name in (encoder, images)])
        if path not in self.file and self.file.get(path, getlink=True) is None:
            raise Missing(f"{self.path} has no /{path}")
        return self._linked(lambda: self.file[path][:])

    def curve(self, encoder):
        return self.table(f"curves/{encoder}".replace("//", "/"))

    def curves(self):
        """(encoder, frame of epoch, loss, lr, seconds) of every encoder in /curves, in the order of /encoders."""
        found = set(self.file.get("curves", {}))
        names = list(self.table("encoders").get("name", []))
        for name in names + sorted(found - {n.replace("/", "_") for n in names}):
            if name.replace("/", "_") in found:
                yield name, self._linked(lambda n=name: self.curve(n.replace("/", "_")))

    def logliks(self):
        """(group name, labels, members, held-out) of every pair in /loglik."""
        for name, group in self.file.get("loglik", {}).items():
            arrays = self._linked(lambda g=group: (g["members"][:], g["heldout"][:]))
            yield name, dict(group.attrs), *arrays

    def _linked(self, read):
        try:
            return read()
        except (KeyError, OSError):
            raise Missing(
                f"{self.path} links to the tasks' files, and one of them is gone: keep tasks/ beside it, "
                "or make a file without links by: dinf collect DIR --pack"
            ) from None


def add_kinds(frame):
    """Adds `kind`, what an encoder is in words ('thief, 50% overlap'), `share`, a thief's query set's overlap with
    the victim's training images (`overlap` is the single theft's, whose images are drawn), and `sort`, an order of
    kinds."""
    if frame.empty:
        return frame
    frame = frame.copy()
    for column, default in (
        ("role", "suspect"),
        ("overlap", np.nan),
        ("budget", 0),
        ("dataset", ""),
        ("queries", ""),
        ("loss", ""),
        ("trial", 0),
        ("victim", ""),
    ):
        if column not in frame:
            frame[column] = default
    frame["share"] = frame["set_overlap"] if "set_overlap" in frame else frame["overlap"]
    frame["kind"] = [kind(*row) for row in zip(frame["role"], frame["share"], frame["dataset"])]
    order = {role: i for i, role in enumerate(ROLES)}
    frame["sort"] = [
        order.get(role, len(order)) - (0.5 * share if role == "thief" and share >= 0 else 0)
        for role, share in zip(frame["role"], frame["share"])
    ]
    return frame


def kind(role, share, dataset=""):
    if role == "thief":
        return f"thief, {percent(share)} overlap" if np.isfinite(share) and share >= 0 else "thief"
    if role == "independent" and dataset:
        return f"independent, on {dataset}"
    return role


def percent(share):
    return f"{100 * share:.0f}%"
