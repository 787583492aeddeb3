#!/usr/bin/python3
"""Every option's type, default and bounds against a committed table: a default that changes, changes every new run,
and is to be changed on purpose.

usage: test_options.py DINF [--write]

--write puts the table as it is now into tests/golden/options.txt."""

import json
import pathlib
import subprocess
import sys

TABLE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "options.txt"
NUMBERS = {"integer": int, "number": (int, float), "boolean": bool, "string": str, "choice": str}
LISTS = {"integers": int, "numbers": (int, float), "strings": str, "triple": (int, float)}


def check(option):
    """What a program that reads the JSON relies on."""
    kind, default = option["type"], option.get("default")
    assert option["help"] and option["name"], option
    if "default" not in option:
        return
    values = default if kind in LISTS else [default]
    for v in values:
        assert isinstance(v, {**NUMBERS, **LISTS}[kind]), option
        assert isinstance(v, bool) == (kind == "boolean"), option
        if kind in ("choice", "strings") and "choices" in option:
            assert v in option["choices"], option
        if "min" in option:
            assert v >= option["min"], option
        if "max" in option:
            assert v <= option["max"], option


def lines(catalogue):
    for what, table in catalogue.items():
        owners = [(e["name"], e["options"]) for e in table["entries"]] + [("*", table["options"])]
        for owner, options in owners:
            yield f"{what}: {owner}"
            for o in options:
                check(o)
                facts = [f"{k} {json.dumps(o[k])}" for k in ("default", "min", "max", "choices", "unit") if k in o]
                yield "; ".join([f"    {o['name']}: {o['type']}"] + facts + ([] if "default" in o else ["required"]))


def main():
    done = subprocess.run([sys.argv[1], "list", "--json"], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1
    catalogue = json.loads(done.stdout)
    now = list(lines(catalogue))
    for what in catalogue:  # a single list is a part of the whole
        one = subprocess.run([sys.argv[1], "list", what, "--json"], capture_output=True, text=True, check=True)
        assert json.loads(one.stdout) == {what: catalogue[what]}, what
    if "--write" in sys.argv:
        TABLE.write_text("\n".join(now) + "\n", encoding="utf-8")
        return
    before = TABLE.read_text(encoding="utf-8").splitlines()
    changes = [f"- {x}" for x in before if x not in now] + [f"+ {x}" for x in now if x not in before]
    if now != before:
        sys.exit("options are not those of tests/golden/options.txt (if that is meant: test_options.py DINF --write)\n"
                 + "\n".join(changes or ["the order differs"]))
    print(f"{len(now)} lines are as they were")


if __name__ == "__main__":
    main()
