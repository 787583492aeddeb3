#!/usr/bin/python3
"""Are two run directories the same result? Everything in results.h5 must be
equal bit for bit, except when and where a task ran.

    compare.py A B        exit status 0: equal, 1: not, with what differs
"""
import sys

import h5py
import numpy as np

WHEN_AND_WHERE = {"attempt", "rank", "start", "seconds", "host", "device_name", "hosts", "error"}
TIMES = {"seconds", "seconds_per_epoch"}  # arrays of measured times


def items(file):
    found = {}

    def walk(group, path):
        for name in group:
            item, where = group[name], f"{path}/{name}"
            found[where] = item
            if isinstance(item, h5py.Group):
                walk(item, where)

    walk(file, "")
    return found


def same(a, b):
    if isinstance(a, np.ndarray) and a.dtype.kind == "O":
        return a.shape == b.shape and a.tolist() == b.tolist()
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def differences(a, b, path):
    for key in set(a.attrs) | set(b.attrs):
        if key in WHEN_AND_WHERE:
            continue
        if key not in a.attrs or key not in b.attrs or not same(a.attrs[key], b.attrs[key]):
            yield f"{path}: attribute {key}"
    if isinstance(a, h5py.Group):
        return
    x, y = a[()], b[()]
    if a.dtype.names:
        if a.dtype.names != b.dtype.names:
            yield f"{path}: columns {a.dtype.names} and {b.dtype.names}"
            return
        for column in a.dtype.names:
            if column not in WHEN_AND_WHERE and not same(x[column], y[column]):
                yield f"{path}: column {column}"
    elif path.rsplit("/", 1)[-1] not in TIMES and not same(x, y):
        yield path


def main(first, second):
    with h5py.File(f"{first}/results.h5") as f, h5py.File(f"{second}/results.h5") as g:
        a, b = items(f), items(g)
        wrong = [f"only in {first}: {p}" for p in sorted(a.keys() - b.keys())]
        wrong += [f"only in {second}: {p}" for p in sorted(b.keys() - a.keys())]
        wrong += differences(f, g, "/")
        for path in sorted(a.keys() & b.keys()):
            wrong += differences(a[path], b[path], path)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
